//! Threads that follow packets ask the system for nothing on their behalf: only for the next part of the file, and to wait for each other
//! once a round.
//!
//! The program scans a capture and one four times as long under strace with two threads. What the longer one takes in addition, divided
//! by the packets that it has in addition, is the cost of a packet; beginning and end cancel out. Skipped where strace is not there or
//! may not trace, as in some containers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};

#[path = "../benches/traffic/mod.rs"]
mod traffic;

/// System calls that one more packet may cost. A block of a megabyte holds a thousand packets or more; reading it is two calls, and
/// meeting at the barriers of its round a few more.
const PER_PACKET_MAX: f64 = 0.01;

/// Whether programs can be traced here.
fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// A capture with `flows` connections, and how many packets that is.
fn capture(path: &Path, flows: u64) -> u64 {
    struct Counted<R>(R, u64);
    impl<R: traffic::Receiver> traffic::Receiver for Counted<R> {
        fn frame(&mut self, at: u64, bytes: &[u8]) -> std::io::Result<()> {
            self.1 += 1;
            self.0.frame(at, bytes)
        }
    }
    let file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut writer = Counted(traffic::PcapWriter::new(file).unwrap(), 0);
    traffic::Generator::new(&mut writer, 7, 10_000).mix(flows).unwrap();
    writer.1
}

/// System calls of a whole scan, by name.
fn traced(capture: &Path, threads: &str) -> BTreeMap<String, u64> {
    let summary = capture.with_extension("strace");
    let status = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o", summary.to_str().unwrap()])
        .args([env!("CARGO_BIN_EXE_kaspector"), "scan", "-q", "--threads", threads, capture.to_str().unwrap()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let text = std::fs::read_to_string(summary).unwrap();
    // A number and a name in each row; the last is the sum.
    let rows = text.lines().filter_map(|line| {
        let (calls, name) = line.trim().split_once(char::is_whitespace)?;
        Some((name.trim().to_owned(), calls.parse().ok()?))
    });
    rows.filter(|(name, _)| name != "total").collect()
}

#[test]
fn a_packet_costs_no_system_call() {
    if !can_trace() {
        eprintln!("skipped: strace is not there, or may not trace (Debian and Ubuntu: scripts/install-deps)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (short, long) = (folder.path().join("short.pcap"), folder.path().join("long.pcap"));
    let packets = capture(&long, 12_000) - capture(&short, 3_000);
    assert!(short.metadata().unwrap().len() > 33 << 20, "so long that all threads read it together");
    for threads in ["1", "2"] {
        let before = traced(&short, threads);
        let mut more: Vec<(i64, String)> = traced(&long, threads)
            .into_iter()
            .map(|(name, calls)| (calls.cast_signed() - before.get(&name).copied().unwrap_or(0).cast_signed(), name))
            .collect();
        more.sort_unstable();
        more.reverse();
        more.truncate(8);
        let calls: i64 = more.iter().map(|(calls, _)| calls).sum();
        #[allow(clippy::cast_precision_loss)]
        let each = calls as f64 / packets as f64;
        println!("{threads} threads, {packets} packets more: {each:.5} calls for each: {more:?}");
        assert!(calls > 0, "the longer file takes more reading");
        assert!(each < PER_PACKET_MAX, "{threads} threads: {each:.5} calls for each of {packets} packets: {more:?}");
    }
}
