"""What times and packets may be."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol, Union


class SupportsBytes(Protocol):
    """What bytes() takes, as packets of scapy and dpkt."""

    def __bytes__(self) -> bytes: ...


#: Seconds as float or Decimal, nanoseconds as int, or a datetime with a time zone.
Time = Union[int, float, Decimal, datetime]
Data = Union[bytes, bytearray, memoryview, SupportsBytes]
