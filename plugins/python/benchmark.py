"""How much faster two threads read two captures than one: `plugins/python/benchmark.py CAPTURE [ROUNDS]`.

Run it with a Python that has the wheel (`pip install ./plugins/python`) and a capture of some 100 MB, for example
`cargo run --release --example generate -- mix 200000 /tmp/mix.pcap`. Wall time; on a machine with two idle cores.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time

import kaspector


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
path, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
seconds(1, 1, path)
ratios = []
for _ in range(rounds):
    one, two = seconds(1, 2, path), seconds(2, 2, path)
    ratios.append(one / two)
    print(f"one thread {one:.3f} s, two threads {two:.3f} s: {one / two:.2f} times")
print(f"median {statistics.median(ratios):.2f} times, best {max(ratios):.2f} times")
