#!/usr/bin/env python3
"""What benches/live.sh needs beside a shell.

benches/live.py listen SOCKET          takes alerts as datagrams until SIGTERM, then prints how long after its packet each came
benches/live.py cpu PID                nanoseconds that a process has run so far, all its threads together
benches/live.py limit RESULTS TRAFFIC RECEIVER
                                       the highest rate, in packets per second as sent, at which the receiver lost nothing
benches/live.py tables RESULTS         Markdown tables of the trials
"""

import json
import signal
import socket
import sys
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from statistics import median

RECEIVERS = ["count", "kaspector", "tcpdump", "suricata"]
# A receiver begins to lose where more than this share of what was sent never arrived.
BEGINS = 1e-4


def listen(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind(path)
    late = []

    def end(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        while True:
            line = sock.recv(1 << 20)
            arrived = time.time()
            event = json.loads(line)
            if event["event_type"] == "alert":
                at = datetime.strptime(event["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
                late.append(1e3 * (arrived - at))
    except KeyboardInterrupt:
        pass
    late.sort()
    share = lambda part: late[min(len(late) - 1, int(part * len(late)))] if late else float("nan")
    print(f"{len(late)} {share(0.5):.2f} {share(0.99):.2f} {share(1):.2f}")


def cpu(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    print(sum(int(task.read_text().split()[0]) for task in tasks))


def trials(path):
    """By traffic, rate as wished, and receiver: (sent per second, share lost, ns per packet received, dropped in the ring)."""
    found = defaultdict(list)
    for line in Path(path).read_text().splitlines():
        traffic, wished, receiver, warm, sent, seconds, received, dropped, spent = line.split()
        warm, sent, received = int(warm), int(sent), int(received)
        lost = max(0, warm + sent - received) / (warm + sent)
        # What was received in the warm-up did not count.
        counted = max(1, received * sent / (warm + sent))
        found[traffic, int(wished), receiver].append(
            (sent / float(seconds), lost, int(spent) / counted, int(dropped))
        )
    return found


def middle(rows, column):
    return median(row[column] for row in rows)


def spread(rows, column, form):
    values = [row[column] for row in rows]
    return f"{form(median(values))} ({form(min(values))} to {form(max(values))})"


def in_order(found, traffic):
    """Rates of a traffic, the lowest first; 0 stands for as many as go."""
    return sorted({wished for kind, wished, _ in found if kind == traffic}, key=lambda wished: wished or float("inf"))


def kilo(rate):
    return f"{rate / 1e3:,.0f} k"


def limit_of(found, traffic, receiver):
    """(highest rate without loss below the first with loss, that rate or None)"""
    highest = 0
    for wished in in_order(found, traffic):
        rows = found.get((traffic, wished, receiver))
        if not rows:
            continue
        if middle(rows, 1) > BEGINS:
            return highest, middle(rows, 0)
        highest = max(highest, middle(rows, 0))
    return highest, None


def tables(path):
    found = trials(path)
    kinds = list(dict.fromkeys(kind for kind, _, _ in found))
    for traffic in kinds:
        print(f"`{traffic}`\n")
        print("| packets/s sent | receiver | lost, % | dropped in the ring | CPU, ns per packet | over count-only |")
        print("|---|---|---|---|---|---|")
        for wished in in_order(found, traffic):
            base = found.get((traffic, wished, "count"))
            for receiver in RECEIVERS:
                rows = found.get((traffic, wished, receiver))
                if not rows:
                    continue
                over = f"{middle(rows, 2) - middle(base, 2):+,.0f}" if base and receiver != "count" else ""
                what = "all that go" if wished == 0 else ""
                print(
                    f"| {kilo(middle(rows, 0))} {what}| {receiver} | {spread(rows, 1, lambda value: f'{100 * value:.2f}')} "
                    f"| {middle(rows, 3):,.0f} | {spread(rows, 2, lambda value: f'{value:,.0f}')} | {over} |"
                )
        print()
        print("| receiver | no loss up to | loses at |\n|---|---|---|")
        for receiver in RECEIVERS:
            if any(kind == traffic and name == receiver for kind, _, name in found):
                up_to, loses = limit_of(found, traffic, receiver)
                print(f"| {receiver} | {kilo(up_to)} | {kilo(loses) if loses else 'never, as far as the sender goes'} |")
        print()


def main():
    match sys.argv[1:]:
        case ["listen", path]:
            listen(path)
        case ["cpu", pid]:
            cpu(pid)
        case ["limit", path, traffic, receiver]:
            print(int(limit_of(trials(path), traffic, receiver)[0]))
        case ["tables", path]:
            tables(path)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
