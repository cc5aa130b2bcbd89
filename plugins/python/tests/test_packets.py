"""Packets one by one, from wherever, give what the whole capture gives."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import dpkt
import pytest
from scapy.error import Scapy_Exception
from scapy.layers import all as _layers  # noqa: F401  (registers what packets are made of)
from scapy.utils import PcapReader

import kaspector
from conftest import Said

FOUND = Path("pcaps/dns-then-tls.pcap")


def pcaps(said: dict[Path, Said]) -> list[Path]:
    return [capture for capture in said if capture.suffix == ".pcap"]


def packets(capture: Path) -> list[tuple[float, bytes]]:
    with capture.open("rb") as file:
        return list(dpkt.pcap.Reader(file))


def test_a_stream_of_dpkt_gives_the_hosts_of_the_program(said: dict[Path, Said]) -> None:
    for capture in pcaps(said):
        with capture.open("rb") as file:
            reader = dpkt.pcap.Reader(file)
            detector = kaspector.Detector(link_type=reader.datalink(), source=str(capture))
            detector.feed_all(reader)
        result = detector.finish()
        answer = said[capture].answer
        assert [host.to_dict() for host in result.hosts] == answer["hosts"], capture
        assert len(result.alerts) == len(said[capture].eve)
        given = {**answer["inputs"][0], "link_types": result.to_dict()["inputs"][0]["link_types"]}
        assert result.to_dict() == {**answer, "inputs": [given]}, capture


def test_a_stream_of_scapy_gives_the_hosts_of_the_program(said: dict[Path, Said]) -> None:
    read = 0
    for capture in pcaps(said):
        try:
            reader = PcapReader(str(capture))
        except Scapy_Exception:
            continue
        with reader:
            detector = kaspector.Detector(link_type=reader.linktype, source=str(capture))
            for number, packet in enumerate(reader):
                if number % 2:
                    detector.feed_packet(packet)
                else:
                    detector.feed(packet.time, packet)
        assert [host.to_dict() for host in detector.finish().hosts] == said[capture].answer["hosts"], capture
        read += 1
    assert read > 80


def test_bytes_and_times_of_every_kind_are_the_same(said: dict[Path, Said]) -> None:
    class Packet:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def __bytes__(self) -> bytes:
            return self.data

    times: list[Any] = [
        lambda ts: ts,
        lambda ts: round(ts * 1_000_000) * 1_000,
        lambda ts: Decimal(f"{ts:.6f}"),
        lambda ts: datetime.fromtimestamp(ts, timezone.utc),
    ]
    kinds: list[Any] = [bytes, bytearray, memoryview, Packet]
    results = []
    for time, kind in zip(times, kinds):
        detector = kaspector.Detector()
        for ts, data in packets(FOUND):
            detector.feed(time(ts), kind(data))
        results.append(detector.finish())
    assert results[0].hosts and all(result == results[0] for result in results)


def test_alerts_come_while_packets_do_and_once(said: dict[Path, Said]) -> None:
    detector = kaspector.Detector(source="eth7", run=bytes(range(32)))
    live: list[kaspector.Alert] = []
    for ts, data in packets(FOUND):
        detector.feed(ts, data)
        live.extend(detector.alerts())
    assert len(live) == len(said[FOUND].eve) and detector.alerts() == ()
    assert live[0].to_dict()["in_iface"] == "eth7"
    result = detector.finish()
    assert result.alerts == () and result.hosts[0].address == "10.20.0.5"
    # The detector is as new, and another run has other identifiers.
    empty = detector.finish()
    assert (empty.hosts, empty.verdict, empty.counters.packets, empty.input.first_packet) == ((), None, 0, None)
    other = kaspector.Detector(source="eth7")
    other.feed_all(packets(FOUND))
    assert {alert.eve for alert in other.alerts()}.isdisjoint(alert.eve for alert in live)


def test_thousands_of_packets_are_all_counted() -> None:
    detector = kaspector.Detector(seed=7)
    for number in range(5_000):
        detector.feed(number, bytes(60), wire_len=1_500, link_type=1 if number % 2 else 101)
    counters = detector.finish().counters
    assert (counters.packets, counters.bytes, sum(counters.outcomes.values())) == (5_000, 300_000, 5_000)


@pytest.mark.parametrize(
    ("ts", "data", "error", "part"),
    [
        (-1, b"", ValueError, "times begin in 1970"),
        (1 << 64, b"", ValueError, "times begin in 1970"),
        (-0.5, b"", ValueError, "times begin in 1970"),
        (float("nan"), b"", ValueError, "times begin in 1970"),
        (float("inf"), b"", ValueError, "times begin in 1970"),
        (Decimal(-1), b"", ValueError, "times begin in 1970"),
        (datetime(2026, 11, 23), b"", ValueError, "time zone"),
        ("now", b"", TypeError, "ts is seconds"),
        (None, b"", TypeError, "ts is seconds"),
        (1, 60, TypeError, "a packet is bytes"),
        (1, [1, 2], TypeError, "a packet is bytes"),
        (1, "text", TypeError, "a packet is bytes"),
        (1, None, TypeError, "a packet is bytes"),
    ],
)
def test_what_is_no_packet_is_told_and_costs_nothing(ts: Any, data: Any, error: type[Exception], part: str) -> None:
    detector = kaspector.Detector()
    detector.feed(1, bytes(60))
    with pytest.raises(error, match=part):
        detector.feed(ts, data)
    detector.feed(2, b"")
    assert detector.finish().counters.packets == 2


def test_a_detector_that_cannot_be_is_told() -> None:
    with pytest.raises(ValueError, match="run has 3 bytes; it has 32"):
        kaspector.Detector(run=b"abc")
    with pytest.raises(OverflowError):
        kaspector.Detector(link_type=70_000)
    with pytest.raises(kaspector.SignatureError):
        kaspector.Detector("nowhere")
