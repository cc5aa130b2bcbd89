//! The decoder on captures that others made: set `KASPECTOR_CAPTURES` to a folder of them. Without it, and without tshark for
//! the comparison, these tests say so and pass.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use kaspector::capture::{Block, CaptureFile};
use kaspector::decode::{Decoder, Outcome, OutcomeCounters};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("KASPECTOR_CAPTURES").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: KASPECTOR_CAPTURES names no folder of captures");
    }
    folder
}

/// Each segment of a capture: its packet's number, source, destination, protocol, and payload bytes.
fn by_us(mut file: CaptureFile) -> (BTreeMap<u64, String>, OutcomeCounters) {
    let (mut segments, mut outcomes) = (BTreeMap::new(), OutcomeCounters::default());
    let (mut block, mut decoder) = (Block::default(), Decoder::default());
    // Damage ends a capture; what came before was read.
    while file.next_block(&mut block).unwrap_or(false) {
        for frame in block.frames() {
            let outcome = match decoder.decode(&frame) {
                Ok(segment) => {
                    assert!(segment.payload.len() <= segment.payload_len as usize);
                    let five = segment.five_tuple;
                    let protocol = if five.protocol == 6 { "tcp" } else { "udp" };
                    let text = format!(
                        "{} {} {} {} {protocol} {}",
                        five.src, five.src_port, five.dst, five.dst_port, segment.payload_len
                    );
                    segments.insert(frame.number, text);
                    Outcome::Inspected
                }
                Err(outcome) => outcome,
            };
            outcomes.bump(outcome);
        }
    }
    assert_eq!(outcomes.total(), file.frames());
    (segments, outcomes)
}

/// The same from tshark; `None` when it cannot be run.
fn by_tshark(path: &Path) -> Option<BTreeMap<u64, String>> {
    let mut tshark = Command::new("tshark");
    // Streams and datagrams as they come, no guess beyond that.
    tshark
        .args(["-n", "-o", "tcp.analyze_sequence_numbers:FALSE", "-T", "fields", "-E", "occurrence=l", "-r"])
        .arg(path);
    const FIELDS: [&str; 12] = [
        "frame.number",
        "frame.protocols",
        "ip.src",
        "ip.dst",
        "ipv6.src",
        "ipv6.dst",
        "tcp.srcport",
        "tcp.dstport",
        "tcp.len",
        "udp.srcport",
        "udp.dstport",
        "udp.length",
    ];
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = tshark.output().ok()?;
    let mut segments = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let protocols: Vec<&str> = fields[1].split(':').collect();
        let last = |names: [&str; 2]| protocols.iter().rposition(|protocol| names.contains(protocol));
        let (Some(network), Some(transport)) = (last(["ip", "ipv6"]), last(["tcp", "udp"])) else { continue };
        // What an ICMP error quotes is not a segment.
        if transport < network || protocols.iter().any(|protocol| protocol.starts_with("icmp")) {
            continue;
        }
        let (src, dst) = if protocols[network] == "ip" { (fields[2], fields[3]) } else { (fields[4], fields[5]) };
        let (src_port, dst_port, len) = match protocols[transport] {
            "tcp" => (fields[6], fields[7], fields[8].to_owned()),
            _ => (fields[9], fields[10], (fields[11].parse::<u32>().unwrap() - 8).to_string()),
        };
        let text = format!("{src} {src_port} {dst} {dst_port} {} {len}", protocols[transport]);
        segments.insert(fields[0].parse().unwrap(), text);
    }
    Some(segments)
}

#[test]
fn every_packet_of_a_capture_has_one_outcome() {
    let Some(folder) = folder() else { return };
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let Ok(entry) = entry else { continue };
        let Ok(file) = CaptureFile::open(entry.path()) else { continue };
        let name = file.input().to_owned();
        let (segments, outcomes) = by_us(file);
        let shown: Vec<String> =
            outcomes.non_zero().map(|(outcome, count)| format!("{} {count}", outcome.name())).collect();
        println!("{name}: {} segments; {}", segments.len(), shown.join(", "));
    }
}

#[test]
fn tshark_finds_the_same_segments() {
    let Some(folder) = folder() else { return };
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        let Some(theirs) = by_tshark(&path) else {
            println!("skipped: tshark cannot be run");
            return;
        };
        let (ours, _) = by_us(CaptureFile::open(&path).unwrap());
        for number in ours.keys().chain(theirs.keys()) {
            assert_eq!(ours.get(number), theirs.get(number), "{} packet {number}", path.display());
        }
        println!("{}: {} segments, the same by tshark", path.display(), ours.len());
        compared += 1;
    }
    assert!(compared > 0, "a folder without captures");
}
