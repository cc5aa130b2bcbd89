"""Whole captures give what the program says of them."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest

import kaspector
from conftest import ROOT, Said

FOUND = Path("pcaps/dns-then-tls.pcap")


# One of them is cut.
cut = pytest.mark.filterwarnings("ignore::kaspector.CaptureWarning")


@cut
def test_every_capture_gives_the_answer_of_the_program(said: dict[Path, Said]) -> None:
    hosts = 0
    for capture, (answer, eve) in said.items():
        result = kaspector.scan(capture)
        assert result.to_dict() == answer, capture
        assert [alert.eve for alert in result.alerts] == eve, capture
        assert [host.to_dict() for host in result.hosts] == answer["hosts"], capture
        assert kaspector.scan(str(capture)) == result
        of_bytes = kaspector.scan(capture.read_bytes(), name=str(capture))
        assert of_bytes.to_dict() == answer, capture
        assert of_bytes.alerts == result.alerts
        hosts += len(result.hosts)
    assert hosts > 80


def test_fields_are_those_of_the_answer(said: dict[Path, Said]) -> None:
    result = kaspector.scan(FOUND)
    (host,) = result.hosts
    record = said[FOUND].answer["hosts"][0]
    assert (host.address, host.verdict, host.confidence, host.role) == ("10.20.0.5", "confirmed", 95, "endpoint")
    assert (result.verdict, result.error, result.counters.packets) == ("confirmed", None, 20)
    assert result.counters.outcomes == said[FOUND].answer["counters"]["outcomes"]
    machines = result.machines
    assert machines.seen == machines.judged + machines.one_sided + machines.unnamed + machines.silent > 0
    assert sum(result.counters.outcomes.values()) == 20
    for time, ns, text in [
        (host.first_seen, host.first_seen_ns, record["first_seen"]),
        (host.evidence[0].last_seen, host.evidence[0].last_seen_ns, record["evidence"][0]["last_seen"]),
    ]:
        assert time == datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        assert ns // 1000 == round(time.timestamp() * 1_000_000)
    evidence, shown = host.evidence[0], record["evidence"][0]
    assert (evidence.input, evidence.packet) == (str(FOUND), shown["example"]["packet"])
    assert (evidence.observed, evidence.server) == (shown["observed"], shown["server"])
    alert = result.alerts[0]
    assert (alert.address, alert.packet) == (host.address, alert.to_dict()["pcap_cnt"])
    assert alert.indicator == alert.to_dict()["alert"]["metadata"]["kaspector_indicator"][0]


def test_results_can_be_copied_and_pickled(said: dict[Path, Said]) -> None:
    result = kaspector.scan("pcaps/two-tenants.pcap")
    assert result.hosts and result.hosts[0].vni is not None
    for other in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert other == result and other.to_dict() == result.to_dict()
    assert len({*result.hosts, *copy.deepcopy(result).hosts}) == len(result.hosts)
    with pytest.raises(AttributeError):
        result.hosts[0].verdict = "browsing"  # type: ignore[misc]
    result.to_dict()["hosts"].clear()
    assert result.to_dict()["hosts"]


def test_what_comes_before_damage_is_found(said: dict[Path, Said]) -> None:
    content = FOUND.read_bytes()[:-1]
    with pytest.warns(kaspector.CaptureWarning, match="what came before was read"):
        result = kaspector.scan(bytearray(content))
    assert result.error is not None and "memory: damaged at byte" in result.error
    assert [host.address for host in result.hosts] == ["10.20.0.5"]
    with pytest.raises(kaspector.CaptureError, match="damaged at byte") as raised:
        kaspector.scan(memoryview(content), strict=True)
    assert getattr(raised.value, "result") == result


def test_what_is_no_capture_is_told(tmp_path: Path) -> None:
    with pytest.raises(kaspector.CaptureError, match="nowhere.pcap: cannot be opened"):
        kaspector.scan(tmp_path / "nowhere.pcap")
    for content in (b"", b"hello", bytes(100)):
        with pytest.raises(kaspector.Error, match="memory: not a capture that can be read"):
            kaspector.scan(content)
    for wrong in (5, None, [1, 2], open):
        with pytest.raises(TypeError, match="source is a path, or bytes"):
            kaspector.scan(wrong)  # type: ignore[arg-type]


def test_signatures_can_be_others(tmp_path: Path, said: dict[Path, Said]) -> None:
    builtin = kaspector.Signatures()
    assert (builtin.version, len(builtin)) == (
        said[FOUND].answer["signatures"]["version"],
        said[FOUND].answer["signatures"]["indicators"],
    )
    same = kaspector.scan(FOUND, signatures=ROOT / "signatures")
    assert same == kaspector.scan(FOUND, signatures=builtin)
    own = tmp_path / "own.toml"
    own.write_text(
        '[[indicator]]\nid = "X-1"\nmatch = "suffix"\nvalue = "kaspersky.com"\ncategory = "update"\n'
        'strength = "installed"\nsources = ["https://example.org/"]\ndate = 2026-11-23\n'
    )
    result = kaspector.scan(FOUND, signatures=tmp_path)
    assert {one.indicator for one in result.hosts[0].evidence} == {"X-1"}
    own.write_text(own.read_text().replace("kaspersky.com", "updates.example.org"))
    assert len(kaspector.Signatures(extra=tmp_path)) == len(builtin) + 1
    own.write_text("[[indicator]]\nid = 1\n")
    with pytest.raises(kaspector.SignatureError, match=r"own\.toml:1: .*\n.*own\.toml:1: "):
        kaspector.Signatures(tmp_path)
    with pytest.raises(kaspector.SignatureError, match="cannot be read"):
        kaspector.scan(FOUND, signatures=tmp_path / "nowhere")


@cut
def test_threads_get_the_same_answers(said: dict[Path, Said]) -> None:
    captures = list(said)
    found: dict[Path, object] = {}

    def work(part: list[Path]) -> None:
        for capture in part:
            found[capture] = kaspector.scan(capture).to_dict()

    threads = [threading.Thread(target=work, args=(captures[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {capture: of.answer for capture, of in said.items()}


def test_other_threads_run_during_a_scan(tmp_path: Path) -> None:
    # The scan waits for a pipe that another thread fills. Would it hold the interpreter's lock, both would wait for ever.
    program = f"""
import os, threading, kaspector
os.mkfifo({str(tmp_path / "pipe")!r})
found = []
scan = threading.Thread(target=lambda: found.append(kaspector.scan({str(tmp_path / "pipe")!r})))
scan.start()
with open({str(tmp_path / "pipe")!r}, "wb") as pipe:
    for byte in open({str(ROOT / FOUND)!r}, "rb").read():
        pipe.write(bytes([byte])); pipe.flush()
scan.join()
print(found[0].hosts[0].address)
"""
    output = subprocess.run([sys.executable, "-c", program], timeout=60, check=True, capture_output=True, text=True)
    assert output.stdout == "10.20.0.5\n"
    assert json.dumps(output.stderr) == '""'
