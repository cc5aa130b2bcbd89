#!/usr/bin/env bash
# dpkt reads every packet of a pcapng file by the first interface.
#
# Package:  dpkt 1.9.8
# Expected: a packet has the time resolution and link type of the interface that its block names (pcapng draft, sections 4.2 and 4.3)
# Seen:     a packet of the second interface, which counts nanoseconds, is dated a thousand times too late, in the year 55840
# So:       captures of "any" interface sets by dumpcap -i a -i b give wrong times; compare times with another reader first
#
# Needs python3 with venv, and a package index. Exits with 0 as long as it is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'dpkt==1.9.8'
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
# Ethernet in microseconds (the default), and raw IP in nanoseconds (if_tsresol 9).
with open("two.pcapng", "wb") as file:
    file.write(section() + interface(1) + interface(101, option(9, b"\x09")))
    file.write(packet(0, SECONDS * 10**6, ETHERNET) + packet(1, SECONDS * 10**9, IP))

import dpkt

with open("two.pcapng", "rb") as file:
    seen = [int(time) for time, _ in dpkt.pcapng.Reader(file)]

expected, known = [SECONDS, SECONDS], [SECONDS, SECONDS * 1000]
print("seen:", seen)
if seen == known:
    print("as described:", seen, "where", expected, "is right")
else:
    raise SystemExit(f"changed: {seen}; right is {expected}, described is {known}")
PYTHON
venv/bin/python run.py
