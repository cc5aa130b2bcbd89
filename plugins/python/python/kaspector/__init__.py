"""Finds the machines that run Kaspersky software by their network traffic.

>>> import kaspector
>>> for host in kaspector.scan("office.pcap").hosts:  # doctest: +SKIP
...     print(host.address, host.verdict, host.confidence)
"""

from __future__ import annotations

import functools
import os
import warnings
from decimal import Decimal
from typing import Any, Iterable, Optional, Union

from . import _findings, _kaspector, _types
from ._findings import Alert, Counters, Evidence, Host, Input, Label, LinkAddress, Machines, Missing, Result, Subnet
from ._kaspector import CaptureError, Error, SignatureError, Signatures, __version__

__all__ = [
    "Alert",
    "CaptureError",
    "CaptureWarning",
    "Counters",
    "Detector",
    "Error",
    "Evidence",
    "Host",
    "Input",
    "Label",
    "LinkAddress",
    "Machines",
    "Missing",
    "Result",
    "SignatureError",
    "Signatures",
    "Subnet",
    "__version__",
    "scan",
]

_Path = Union[str, "os.PathLike[str]"]


class CaptureWarning(UserWarning):
    """A capture that was read only up to some damage."""


def scan(
    source: Union[_Path, bytes, bytearray, memoryview],
    *,
    signatures: Optional[Union[Signatures, _Path]] = None,
    name: str = "memory",
    strict: bool = False,
) -> Result:
    """Reads a capture to its end, and says which hosts it shows. Other threads run meanwhile.

    source: the path of a file, or the content of one as bytes: pcap, pcapng and others, also packed ones.
    signatures: a folder of signature files, or Signatures that were loaded before; by default the built-in ones.
    name: what stands for the path where source is bytes.

    Raises CaptureError where nothing can be read. Damage later in the capture is a CaptureWarning, and stands in
    `Result.error` beside what was found before; with strict=True it is a CaptureError, whose `result` holds that.
    """
    loaded = _signatures(signatures)
    if isinstance(source, (bytes, bytearray, memoryview)):
        answer, alerts, error, unreadable = _kaspector.scan_bytes(source, name, loaded)
    elif isinstance(source, (str, os.PathLike)):
        answer, alerts, error, unreadable = _kaspector.scan_path(source, loaded)
    else:
        raise TypeError(f"source is a path, or bytes with the content of a capture; this is {type(source).__name__}")
    if error is not None and unreadable:
        raise CaptureError(error)
    result = Result._of(answer, alerts)
    if error is not None:
        if strict:
            damage = CaptureError(error)
            damage.result = result  # type: ignore[attr-defined]
            raise damage
        warnings.warn(error, CaptureWarning, stacklevel=2)
    return result


class Detector(_kaspector.Detector):
    """A detector for packets that come one by one.

    signatures: a folder of signature files, or Signatures that were loaded before; by default the built-in ones.
    link_type: how the first header of packets is to be read: a LINKTYPE_ number, 1 for Ethernet, 101 for raw IP.
    seed: key of the flow hash. Live traffic wants a random one, so that nobody can aim at one bucket of the table.
    source: where packets come from, as evidence and EVE lines name it.
    run: 32 bytes that tell this run from others; identifiers of alerts follow from it.

    Packets are gathered and read a thousand at a time, other threads run meanwhile. One detector may be used by
    several threads, but then the order of packets is theirs.
    """

    def __new__(
        cls,
        signatures: Optional[Union[Signatures, _Path]] = None,
        link_type: int = 1,
        *,
        seed: Optional[int] = None,
        source: str = "packets",
        run: bytes = bytes(32),
    ) -> Detector:
        made: Detector = super().__new__(cls, _signatures(signatures), link_type, seed, source, run)  # type: ignore[assignment]
        return made

    def feed(
        self,
        ts: _types.Time,
        data: _types.Data,
        wire_len: Optional[int] = None,
        link_type: Optional[int] = None,
    ) -> None:
        """Takes the next packet, in the order of time.

        ts: a float or Decimal is seconds since 1970, as dpkt and scapy have them (a float is rounded to microseconds,
            beyond which it has noise); an int is nanoseconds; a datetime has a time zone.
        data: bytes, bytearray, memoryview, or what has __bytes__, from the link-layer header on.
        wire_len: bytes on the wire, if the packet was cut.
        link_type: where it differs from that of the detector.
        """
        super().feed(ts, data, wire_len, link_type)

    def feed_packet(self, packet: Any) -> None:
        """Takes the next packet of scapy: its time, its bytes, its length on the wire."""
        super().feed(Decimal(packet.time), bytes(packet), getattr(packet, "wirelen", None))

    def feed_all(self, packets: Iterable[tuple[_types.Time, _types.Data]]) -> None:
        """Takes pairs of time and bytes, as the readers of dpkt give them."""
        feed = super().feed
        for ts, data in packets:
            feed(ts, data)

    def alerts(self) -> tuple[Alert, ...]:
        """Takes the alerts that were raised since they were taken last."""
        return _findings._alerts_of(self.take_alerts())

    def finish(self) -> Result:
        """Ends every flow, and says which hosts were seen. The detector is then as new."""
        answer, alerts, _, _ = self.take_answer()
        return Result._of(answer, alerts)


@functools.lru_cache(maxsize=1)
def _builtin() -> Signatures:
    return Signatures()


def _signatures(given: Optional[Union[Signatures, _Path]]) -> Signatures:
    if given is None:
        return _builtin()
    return given if isinstance(given, Signatures) else Signatures(given)
