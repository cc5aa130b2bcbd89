#!/usr/bin/env bash
# scapy and python-pcapng pass over the time offset of an interface.
#
# Package:  scapy 2.8.0, python-pcapng 2.1.1
# Expected: if_tsoffset is added to every time of the interface (pcapng draft, section 4.2), as tshark and dpkt do
# Seen:     both date the packet to five seconds after 1970; the option is read by python-pcapng, but not applied
# So:       add interface.options["if_tsoffset"] yourself, or convert with editcap first
#
# Needs python3 with venv, and a package index. Exits with 0 as long as it is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'scapy==2.8.0' 'python-pcapng==2.1.1'
cat >run.py <<'PYTHON'
import struct


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind, body):
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def section():
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(link_type, *options):
    return block(1, struct.pack("<HHI", link_type, 0, 65535) + b"".join(options) + option(0, b""))


def packet(interface_id, ticks, data):
    head = struct.pack("<IIIII", interface_id, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) % 4))


SECONDS = 1_700_000_000
IP = bytes.fromhex("45000021000040004011 26b0 0a000001 0a000002".replace(" ", ""))
IP += struct.pack(">HHHH", 1000, 53, 13, 0) + b"hello"
ETHERNET = bytes.fromhex("0200000000010200000000020800") + IP
with open("offset.pcapng", "wb") as file:
    file.write(section() + interface(1, option(9, b"\x06"), option(14, struct.pack("<q", SECONDS))))
    file.write(packet(0, 5 * 10**6, ETHERNET))

import logging

logging.getLogger("scapy").setLevel(logging.ERROR)
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket
from scapy.all import rdpcap

with open("offset.pcapng", "rb") as file:
    scanned = [block for block in FileScanner(file) if isinstance(block, EnhancedPacket)]
seen = [int(rdpcap("offset.pcapng")[0].time), int(scanned[0].timestamp)]

expected, known = [SECONDS + 5, SECONDS + 5], [5, 5]
print("seen:", seen)
if seen == known:
    print("as described:", seen, "where", expected, "is right")
else:
    raise SystemExit(f"changed: {seen}; right is {expected}, described is {known}")
PYTHON
venv/bin/python run.py
