"""What a scan finds, as dataclasses. Their fields have the names of the program's JSON (docs/output.md)."""

from __future__ import annotations

import copy
import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Mapping, Optional

from . import _tables

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["Alert", "Counters", "Evidence", "Host", "Input", "Label", "LinkAddress", "Machines", "Missing", "Result", "Subnet"]

#: Verdicts, strongest first.
VERDICTS = ("confirmed", "suspected", "browsing")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _nanoseconds(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time in UTC."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    passed = datetime.fromisoformat(seconds + "+00:00") - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


def _datetime(text: str) -> datetime:
    """The same as datetime, which ends at microseconds."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}+00:00")


@dataclass(frozen=True)
class Evidence:
    """All evidence of one host with the same indicator, field, value and server."""

    indicator: str
    category: str
    strength: str
    seen_as: str
    reached: str
    field: str
    observed: str
    count: int
    first_seen: datetime
    last_seen: datetime
    first_seen_ns: int
    last_seen_ns: int
    server: str
    server_port: int
    #: Name of the input, and number of the packet in it, that showed it first.
    input: str
    packet: int

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Evidence:
        values = {**record, **_times(record), **record["example"]}
        del values["example"]
        return cls(**values)


@dataclass(frozen=True)
class LinkAddress:
    """A link-layer address that a host was seen with."""

    mac: str
    first_seen: datetime
    last_seen: datetime
    first_seen_ns: int
    last_seen_ns: int
    next_hop: bool = False


@dataclass(frozen=True)
class Label:
    """Something to call a host by, as a protocol says. It can be wrong, and moves no verdict."""

    #: "name", "domain", "user", "system" or "device".
    kind: str
    text: str
    #: The protocol, such as "dhcp".
    source: str
    first_seen: datetime
    last_seen: datetime
    first_seen_ns: int
    last_seen_ns: int


@dataclass(frozen=True)
class Host:
    """A host with evidence, and what that adds up to."""

    address: str
    vlan: Optional[int]
    inner_vlan: Optional[int]
    vni: Optional[int]
    mac: Optional[str]
    #: Who made the card with `mac`, as the registry of the IEEE has it.
    maker: Optional[str]
    #: Whether `mac` was made up (locally administered): it has no maker, and may be another tomorrow.
    mac_local: bool
    next_hop_mac: Optional[str]
    macs: tuple[LinkAddress, ...]
    #: "confirmed", "suspected" or "browsing".
    verdict: str
    #: Per cent.
    confidence: int
    #: "endpoint", "relay", "server" or "gateway".
    role: str
    #: The best of each kind first.
    identity: tuple[Label, ...]
    notes: tuple[str, ...]
    categories: tuple[str, ...]
    products: tuple[str, ...]
    #: Lists of which one product is meant, nothing says which.
    products_one_of: tuple[tuple[str, ...], ...]
    engine_in: tuple[str, ...]
    engine_in_one_of: tuple[tuple[str, ...], ...]
    first_seen: datetime
    last_seen: datetime
    first_seen_ns: int
    last_seen_ns: int
    flows: int
    bytes_sent: int
    bytes_received: int
    #: Strongest first.
    evidence: tuple[Evidence, ...]
    _record: dict[str, Any] = dataclasses.field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The host as it stands in `kaspector scan --format json`."""
        return copy.deepcopy(self._record)

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Host:
        optional = {
            **{"inner_vlan": None, "vni": None, "maker": None, "mac_local": False, "next_hop_mac": None},
            **{"macs": (), "identity": (), "notes": ()},
        }
        values = {**optional, **record, **_times(record)}
        for name in ("notes", "categories", "products", "engine_in"):
            values[name] = tuple(values[name])
        for name in ("products_one_of", "engine_in_one_of"):
            values[name] = tuple(tuple(one) for one in values[name])
        values["macs"] = tuple(LinkAddress(**{**one, **_times(one)}) for one in values["macs"])
        values["identity"] = tuple(Label(**{**one, **_times(one)}) for one in values["identity"])
        values["evidence"] = tuple(Evidence._of(one) for one in values["evidence"])
        return cls(**values, _record=record)


@dataclass(frozen=True)
class Alert:
    """Evidence at the moment when it was first seen: one for each host, indicator, field and flow."""

    time: datetime
    time_ns: int
    packet: int
    #: The machine that it is about, within its tenant.
    address: str
    vlan: Optional[int]
    inner_vlan: Optional[int]
    vni: Optional[int]
    host_is_server: bool
    client: str
    client_port: int
    server: str
    server_port: int
    #: IP protocol number: 6 or 17.
    protocol: int
    indicator: str
    category: str
    strength: str
    seen_as: str
    reached: str
    field: str
    observed: str
    #: The alert as a line of Suricata's EVE JSON, without a newline.
    eve: str = dataclasses.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The EVE record."""
        record: dict[str, Any] = json.loads(self.eve)
        return record

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Alert:
        return cls(**{**record, "time": _datetime(record["time"])})


@dataclass(frozen=True)
class Input:
    """What was read."""

    path: str
    packets: int
    bytes: int
    first_packet: Optional[datetime]
    last_packet: Optional[datetime]
    link_types: tuple[str, ...]
    #: Why reading ended early, where, and what to do about it.
    error: Optional[str]

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Input:
        values = {**record, "link_types": tuple(record["link_types"])}
        for name in ("first_packet", "last_packet"):
            values[name] = _datetime(record[name]) if record[name] else None
        return cls(**values)


@dataclass(frozen=True)
class Counters:
    """Where packets ended, and what was dropped at a bound."""

    packets: int
    bytes: int
    flows: int
    #: Packets by outcome; each packet has exactly one.
    outcomes: dict[str, int]
    #: What was dropped, by the name of the bound.
    dropped: dict[str, int]


@dataclass(frozen=True)
class Subnet:
    """The machines of one subnet: a /24, or a /64 of IPv6. The four classes add up to `seen`."""

    #: Its addresses, such as "10.20.0.0/24".
    range: str
    seen: int
    judged: int
    one_sided: int
    unnamed: int
    silent: int
    #: When one of them sent something first.
    first_seen: Optional[datetime]
    #: When one of them did last.
    last_seen: Optional[datetime]

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Subnet:
        values = dict(record)
        for name in ("first_seen", "last_seen"):
            values[name] = _datetime(record[name]) if record[name] else None
        return cls(**values)


@dataclass(frozen=True)
class Machines:
    """Machines inside that were seen, whether or not they show anything. The four classes add up to `seen`."""

    seen: int
    #: At least one flow that it began said whom it was for.
    judged: int
    #: Of its flows only one direction was seen.
    one_sided: int
    #: It began flows, and none said whom it was for.
    unnamed: int
    #: It began no flow that carried anything.
    silent: int
    #: The same by subnet, each machine in one.
    subnets: tuple[Subnet, ...]

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Machines:
        return cls(**{**record, "subnets": tuple(Subnet._of(one) for one in record["subnets"])})


@dataclass(frozen=True)
class Missing:
    """Something without which it says nothing that nothing was found."""

    #: A word for programs, such as "window".
    id: str
    #: What is missing, with the number.
    what: str
    why: str
    #: What would settle it.
    settle: str


@dataclass(frozen=True)
class Result:
    """The answer for one input."""

    #: Strongest verdict first, then by address.
    hosts: tuple[Host, ...]
    #: In the order of packets, as far as they were not taken before.
    alerts: tuple[Alert, ...]
    counters: Counters
    machines: Machines
    #: The verdict of the whole: "found", "none-found" or "inconclusive".
    run_verdict: str
    #: What is missing for "none-found"; of "found", why there may be more.
    missing: tuple[Missing, ...]
    #: The numbers that the verdict of the whole rests on, as `kaspector scan --format json` has them.
    coverage: dict[str, Any] = dataclasses.field(repr=False)
    input: Input
    _record: dict[str, Any] = dataclasses.field(repr=False, compare=False)

    @property
    def verdict(self) -> Optional[str]:
        """The strongest verdict of any host; None where there is no host."""
        return self.hosts[0].verdict if self.hosts else None

    @property
    def error(self) -> Optional[str]:
        """Why reading ended early; what came before is in this result."""
        return self.input.error

    def to_dict(self) -> dict[str, Any]:
        """The whole answer, as `kaspector scan --format json` has it."""
        return copy.deepcopy(self._record)

    def to_pandas(self, rows: str = "hosts") -> pandas.DataFrame:
        """A data frame with a row for each of "hosts", "evidence" or "alerts". Needs pandas."""
        return _tables.to_pandas(self, rows)

    def to_arrow(self, rows: str = "hosts") -> pyarrow.Table:
        """The same as an Arrow table. Needs pyarrow."""
        return _tables.to_arrow(self, rows)

    @classmethod
    def _of(cls, answer: str, alerts: str) -> Result:
        record = json.loads(answer)
        counted = record["counters"]
        return cls(
            hosts=tuple(Host._of(host) for host in record["hosts"]),
            alerts=_alerts_of(alerts),
            counters=Counters(
                packets=counted["packets"],
                bytes=counted["bytes"],
                flows=counted["flows"],
                outcomes=dict(counted["outcomes"]),
                dropped=dict(counted.get("bounds", {})),
            ),
            machines=Machines._of(record["machines"]),
            run_verdict=record["verdict"],
            missing=tuple(Missing(**one) for one in record["coverage"]["missing"]),
            coverage=copy.deepcopy(record["coverage"]),
            input=Input._of(record["inputs"][0]),
            _record=record,
        )


def _alerts_of(text: str) -> tuple[Alert, ...]:
    return tuple(Alert._of(record) for record in json.loads(text))


def _times(record: Mapping[str, Any]) -> dict[str, Any]:
    first, last = record["first_seen"], record["last_seen"]
    return {
        "first_seen": _datetime(first),
        "last_seen": _datetime(last),
        "first_seen_ns": _nanoseconds(first),
        "last_seen_ns": _nanoseconds(last),
    }
