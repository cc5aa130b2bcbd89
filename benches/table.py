#!/usr/bin/env python3
"""Tables of what `cargo bench` measured, from target/criterion.

benches/table.py            prints a Markdown table for each bench
benches/table.py --write    puts them between the marks of BENCHMARKS.md:
                            <!-- table: pipeline --> ... <!-- end of table -->

Per packet (or name, address, line of evidence) the median of the samples, the lowest and highest sample, how many there are in a second,
and, where the bench knows the bytes, gigabits per second. The last column is the ratio to the baseline of the same case: a loop that
reads the same input in the same run and does nothing with it.
"""

import json
import os
import re
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
MEASURED = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "criterion"
PAGE = ROOT / "BENCHMARKS.md"
BASELINES = [
    "bare walk",
    "count only",
    "key and hash",
    "bytes only",
    "names only",
    "addresses only",
    "lines only",
    "read and walk",
]
MARKS = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def rows():
    """(group, case, what, nanoseconds of each sample, elements, bytes), in the order of measuring."""
    found = []
    for path in MEASURED.glob("**/new/benchmark.json"):
        benchmark = json.loads(path.read_text())
        sample_path = path.parent / "sample.json"
        sample = json.loads(sample_path.read_text())
        times = [time / count for time, count in zip(sample["times"], sample["iters"])]
        case, what = benchmark["value_str"], benchmark["function_id"]
        if case is None:
            case, what = what.rsplit("/", 1)
        throughput = benchmark["throughput"] or {}
        (kind, count), = throughput.items() if throughput else (("Elements", 1),)
        if kind == "ElementsAndBytes":
            elements, size = count["elements"], count["bytes"]
        elif kind == "Elements":
            elements, size = count, None
        else:
            elements, size = 1, count
        found.append((sample_path.stat().st_mtime, benchmark["group_id"], case, what, times, elements, size))
    return [row[1:] for row in sorted(found)]


def figure(value):
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rate(value):
    for unit, name in [(1e9, "G"), (1e6, "M"), (1e3, "k")]:
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:.3g}"


def table(group, measured):
    mine = [row[1:] for row in measured if row[0] == group]
    baselines = {case: median(times) for case, what, times, *_ in mine if what in BASELINES}
    lines = [
        "| case | what | ns each | low to high | a second | Gb/s | to baseline |",
        "|---|---|---|---|---|---|---|",
    ]
    cases = list(dict.fromkeys(case for case, *_ in mine))
    for case, what, times, elements, size in sorted(mine, key=lambda row: cases.index(row[0])):
        each = median(times) / elements
        low, high = min(times) / elements, max(times) / elements
        # Bits per nanosecond are gigabits per second.
        bits = figure(8 * size / median(times)) if size else ""
        ratio = figure(median(times) / baselines[case]) if case in baselines else ""
        lines.append(
            f"| {case} | {what} | {figure(each)} | {figure(low)} to {figure(high)} | {rate(1e9 / each)} | {bits} | {ratio} |"
        )
    return "\n".join(lines) + "\n"


def main():
    measured = rows()
    if not measured:
        sys.exit(f"{MEASURED}: nothing was measured yet: cargo bench")
    groups = list(dict.fromkeys(row[0] for row in measured))
    if sys.argv[1:] == ["--write"]:
        def filled(match):
            head, group, tail = match.groups()
            return head + (table(group, measured) if group in groups else match.group(0)[len(head) : -len(tail)]) + tail

        PAGE.write_text(MARKS.sub(filled, PAGE.read_text()))
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        print("\n".join(f"{group}\n\n{table(group, measured)}" for group in groups), end="")


if __name__ == "__main__":
    main()
