#!/usr/bin/env bash
# scapy dates a packet that has no time to the moment at which the file is read.
#
# Package:  scapy 2.8.0
# Expected: a Simple Packet Block has no time (pcapng draft, section 4.4): none, zero, or an error, and the same at each reading
# Seen:     the time is that of the reading process, so two readings of one file differ, and the packet seems to be of today
# So:       look at block types before a time from such a file is taken as evidence
#
# Needs python3 with venv, and a package index. Exits with 0 as long as it is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'scapy==2.8.0'
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


def simple_packet(data):
    return block(3, struct.pack("<I", len(data)) + data + bytes(-len(data) % 4))


SECONDS = 1_700_000_000
IP = bytes.fromhex("45000021000040004011 26b0 0a000001 0a000002".replace(" ", ""))
IP += struct.pack(">HHHH", 1000, 53, 13, 0) + b"hello"
ETHERNET = bytes.fromhex("0200000000010200000000020800") + IP
import time

with open("simple.pcapng", "wb") as file:
    file.write(section() + interface(1) + simple_packet(ETHERNET))

import logging

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import rdpcap

before = time.time()
first = rdpcap("simple.pcapng")[0].time
time.sleep(0.1)
second = rdpcap("simple.pcapng")[0].time
seen = "time of reading" if before <= first < second <= time.time() else (first, second)

expected, known = "no time", "time of reading"
print("seen:", seen)
if seen == known:
    print("as described:", seen, "where", expected, "is right")
else:
    raise SystemExit(f"changed: {seen}; right is {expected}, described is {known}")
PYTHON
venv/bin/python run.py
