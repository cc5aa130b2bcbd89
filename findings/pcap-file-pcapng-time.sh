#!/usr/bin/env bash
# The crate pcap-file reads the times of a pcapng file as nanoseconds, whatever the file says.
#
# Package:  pcap-file 2.0.0
# Expected: microseconds where an interface names no resolution (pcapng draft, section 4.2): what dumpcap and tcpdump write
# Seen:     the Duration of a packet is a thousandth of what it should be, and if_tsresol is not applied either
# So:       multiply by hand: ticks are packet.timestamp.as_nanos(), their unit is in the options of the interface
#
# Needs python3, cargo and crates. Exits with 0 as long as it is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
pcap-file = "=2.0.0"

[workspace]
TOML
cat >src/main.rs <<'RUST'
use pcap_file::pcapng::{Block, PcapNgReader};

fn main() {
    let mut reader = PcapNgReader::new(std::fs::File::open("one.pcapng").unwrap()).unwrap();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            println!("{}", packet.timestamp.as_secs());
        }
    }
}
RUST
cat >make.py <<'PYTHON'
import struct


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind, body):
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


packet = bytes(60)
file = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
file += block(1, struct.pack("<HHI", 1, 0, 65535))
ticks = 1_700_000_000 * 10**6
file += block(6, struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet)) + packet)
open("one.pcapng", "wb").write(file)
PYTHON
python3 make.py
cargo build --quiet
seen=$(target/debug/finding)
echo "seen: $seen"
if [ "$seen" = "1700000" ]; then
    echo "as described: $seen where 1700000000 is right"
else
    echo "changed: $seen; right is 1700000000, described is 1700000" >&2
    exit 1
fi
