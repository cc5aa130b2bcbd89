"""How much faster two threads read two captures than one: `plugins/python/benchmark.py CAPTURE [SCANS]`.

Run it with a Python that has the wheel (`pip install ./plugins/python`) and a large capture, for example
`cargo run --release --example generate -- mix 60000 /tmp/mix.pcap`. Wall time; on a machine with two idle cores.
SCANS are in all, so many that a run is longer than what the system takes to spread threads over cores.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time

import kaspector

ROUNDS = 7


def seconds(threads: int, scans: int, path: str) -> float:
    def work() -> None:
        for _ in range(scans // threads):
            kaspector.scan(path, signatures=signatures)

    started = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started


signatures = kaspector.Signatures()
path, scans = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4
seconds(1, 1, path)
ratios = []
for _ in range(ROUNDS):
    one, two = seconds(1, scans, path), seconds(2, scans, path)
    ratios.append(one / two)
    print(f"one thread {one:.3f} s, two threads {two:.3f} s: {one / two:.2f} times")
print(f"median {statistics.median(ratios):.2f} times, best {max(ratios):.2f} times")
