#!/usr/bin/env bash
# The crate pcap-parser knows no time resolution that is a power of two.
#
# Package:  pcap-parser 0.17.0
# Expected: if_tsresol with its highest bit set is a negative power of two (pcapng draft, section 4.2): 0x94 is 1048576 ticks a second
# Seen:     ts_resolution() is None for all of them, as if the value were invalid
# So:       take the exponent from if_tsresol yourself
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
pcap-parser = "=0.17.0"

[workspace]
TOML
cat >src/main.rs <<'RUST'
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, PcapBlockOwned, PcapNGReader};

fn main() {
    let mut reader = PcapNGReader::new(65_536, std::fs::File::open("one.pcapng").unwrap()).unwrap();
    while let Ok((length, block)) = reader.next() {
        if let PcapBlockOwned::NG(Block::InterfaceDescription(interface)) = block {
            println!("{:?}", interface.ts_resolution());
        }
        reader.consume(length);
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
file += block(1, struct.pack("<HHI", 1, 0, 65535) + option(9, bytes([0x80 | 20])) + option(0, b""))
ticks = 1_700_000_000 << 20
file += block(6, struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet)) + packet)
open("one.pcapng", "wb").write(file)
PYTHON
python3 make.py
cargo build --quiet
seen=$(target/debug/finding)
echo "seen: $seen"
if [ "$seen" = "None" ]; then
    echo "as described: $seen where Some(1048576) is right"
else
    echo "changed: $seen; right is Some(1048576), described is None" >&2
    exit 1
fi
