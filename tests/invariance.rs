//! What must not change an answer: the number of threads, the order of reading, the way in which a capture is stored.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use assert_cmd::Command;
use std::io::Write;
use std::path::{Path, PathBuf};

#[path = "../benches/traffic/mod.rs"]
mod traffic;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// JSON answer and alerts of a scan, as bytes.
fn answers(path: &Path, threads: usize) -> (Vec<u8>, Vec<u8>) {
    let threads = threads.to_string();
    let run = |form: &[&str]| {
        let mut command = Command::cargo_bin("kaspector").unwrap();
        command.current_dir(root()).args(["scan", path.to_str().unwrap(), "-q", "--threads", &threads]).args(form);
        command.output().unwrap().stdout
    };
    (run(&["--format", "json"]), run(&["--eve", "-"]))
}

#[test]
fn many_small_captures_on_any_number_of_threads() {
    let one = answers(Path::new("pcaps"), 1);
    assert!(one.0.len() > 10_000 && one.1.len() > 10_000);
    for threads in [2, 3, 8] {
        assert!(answers(Path::new("pcaps"), threads) == one, "{threads} threads");
    }
}

/// Large enough to be read by all threads together, with every kind of traffic and with our captures in between.
#[test]
fn one_big_capture_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.pcap");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    {
        let mut writer = traffic::PcapWriter::new(&mut file).unwrap();
        let mut generator = traffic::Generator::new(&mut writer, 11, 2_000);
        generator.mix(2_500).unwrap();
        generator.churn(20_000).unwrap();
        generator.dns(5_000).unwrap();
        generator.tls_handshakes(2_000).unwrap();
        generator.syn_flood(20_000, Some(10)).unwrap();
    }
    for name in
        ["dns-then-tls", "derived/ipv4-fragments-shuffled", "proxy-both-sides", "browser-quic", "tls12-certificate"]
    {
        let bytes = std::fs::read(root().join(format!("pcaps/{name}.pcap"))).unwrap();
        // The records of one little-endian capture go behind those of another, once its header is gone.
        assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1], "{name}");
        file.write_all(&bytes[24..]).unwrap();
    }
    file.flush().unwrap();
    drop(file);
    assert!(path.metadata().unwrap().len() > 33 << 20, "{}", path.metadata().unwrap().len());
    let one = answers(&path, 1);
    assert!(String::from_utf8_lossy(&one.0).contains("confirmed"));
    for threads in [2, 3, 8] {
        assert!(answers(&path, threads) == one, "{threads} threads");
    }
}
