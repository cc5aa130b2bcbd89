//! The live sensor at its ends: a start with too little of everything, outputs that hang when they are taken away, and what is still open
//! when it is told to stop.
//!
//! Needs root, `ip` and `prlimit`; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/cable.rs"]
mod cable;
#[path = "support/sensor.rs"]
#[allow(dead_code, reason = "each file of tests takes its part")]
mod sensor;

use cable::Cable;
use sensor::Sensor;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kaspector");

/// A segment with one byte of payload inside a connection of its own, to an address of the vendor's networks.
fn segment(flow: u32) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let client = 0x0a00_0000 + flow / 50_000;
    let port = 10_000 + u16::try_from(flow % 50_000).unwrap();
    frame.extend([0x45, 0, 0, 41, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(client.to_be_bytes());
    frame.extend([77, 74, 176, 9]);
    let sum: u32 = frame[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    frame[24..26].copy_from_slice(&(!u16::try_from(folded).unwrap()).to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend([0x01, 0xbb]);
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0x20, 0, 0, 0, 0, 0, 0x17]);
    frame
}

#[test]
fn every_open_flow_is_ended_when_nothing_hurries() {
    // Far more than the queues between a worker and the ledger hold.
    const FLOWS: u32 = 90_000;
    let Some(cable) = Cable::lay("w") else { return };
    for workers in ["1", "2"] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("hosts.db");
        let output = format!("file:{}", folder.path().join("eve.json").display());
        let sensor = Sensor::start(&[
            "-i",
            &cable.far,
            "--workers",
            workers,
            "--ring-blocks",
            "256",
            "--state",
            state.to_str().unwrap(),
            "-o",
            &output,
        ]);
        let mut sender = pcap::Capture::from_device(cable.near.as_str()).unwrap().open().unwrap();
        for flow in 0..FLOWS {
            sender.sendpacket(segment(flow)).unwrap();
            // The queue at the other end of the cable is short.
            if flow % 250 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let said = sensor.end();
        // The kernel may drop some on a busy machine. What it did not is in the ledger, to the last flow.
        let packets = said.split(&format!("{}: ", cable.far)).last().unwrap().split(' ').next().unwrap();
        let packets: u64 = packets.parse().unwrap_or_else(|_| panic!("{said}"));
        assert!(packets > 75_000, "as many as the queues hold: {said}");
        assert!(!said.contains("lost because"), "{workers} workers: {said}");
        let listed =
            Command::new(PROGRAM).args(["hosts", "--state", state.to_str().unwrap(), "--format", "json"]).output();
        let listed: serde_json::Value = serde_json::from_slice(&listed.unwrap().stdout).unwrap();
        let flows: u64 = listed["hosts"].as_array().unwrap().iter().map(|host| host["flows"].as_u64().unwrap()).sum();
        assert_eq!(flows, packets, "{workers} workers: {said}");
    }
}

#[test]
fn an_output_that_hangs_and_is_taken_away_leaves_no_descriptor() {
    let Some(cable) = Cable::lay("h") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Its queue is full, and nobody reads it.
    let _nobody = UnixDatagram::bind(path("hangs")).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"x", path("hangs")).is_ok() {}
    let configuration = path("watch.toml");
    let kept = format!("file:{}", path("eve.json").display());
    let write = |outputs: &[String]| {
        let text = format!("interface = \"{}\"\nstats-interval = \"1s\"\noutput = {outputs:?}\n", cable.far);
        std::fs::write(&configuration, text).unwrap();
    };
    write(std::slice::from_ref(&kept));
    let mut sensor = Sensor::start(&["-c", configuration.to_str().unwrap()]);
    let mut counts = Vec::new();
    for round in 0..10 {
        write(&[kept.clone(), format!("unix-dgram:{}", path("hangs").display())]);
        sensor.signal("HUP");
        sensor.next_line("reloaded: outputs");
        // The counters of a second or two are written to it, and stay under way.
        std::thread::sleep(Duration::from_millis(1_500));
        write(std::slice::from_ref(&kept));
        sensor.signal("HUP");
        sensor.next_line("reloaded: outputs");
        if round == 0 || round == 9 {
            std::thread::sleep(Duration::from_millis(3_000));
            counts.push(sensor.descriptors());
        }
    }
    assert_eq!(counts[0], counts[1], "descriptors after the first and the last of 20 reloads");
    let said = sensor.end();
    assert!(said.contains("eve.json"), "{said}");
}

/// Addresses of the hosts in a state file.
fn kept(state: &Path) -> Vec<String> {
    let listed = Command::new(PROGRAM).args(["hosts", "--state", state.to_str().unwrap(), "--format", "json"]).output();
    let listed: serde_json::Value = serde_json::from_slice(&listed.unwrap().stdout).unwrap_or_default();
    let hosts = listed["hosts"].as_array().cloned().unwrap_or_default();
    hosts.iter().map(|host| host["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_state_file_that_is_removed_or_replaced_is_filled_again() {
    let Some(cable) = Cable::lay("s") else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("hosts.db");
    let output = format!("file:{}", folder.path().join("eve.json").display());
    let sensor = Sensor::start(&["-i", &cable.far, "--state", state.to_str().unwrap(), "-o", &output]);
    let mut sender = pcap::Capture::from_device(cable.near.as_str()).unwrap().open().unwrap();
    let path = concat!(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), "/pcaps/dns-then-tls.pcap");
    let mut capture = pcap::Capture::from_file(path).unwrap();
    while let Ok(packet) = capture.next_packet() {
        sender.sendpacket(packet.data.to_vec()).unwrap();
    }
    let wait = |what: &str| {
        let begun = Instant::now();
        while kept(&state) != ["10.20.0.5"] {
            assert!(begun.elapsed() < Duration::from_secs(40), "{what}");
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    wait("saved");
    std::fs::remove_file(&state).unwrap();
    wait("saved after it was removed");
    // One of another sensor, say, that somebody put there.
    let other = folder.path().join("other.db");
    drop(kaspector_cli::state::State::open(&other).unwrap());
    std::fs::rename(&other, &state).unwrap();
    wait("saved after it was replaced");
    std::fs::remove_file(&state).unwrap();
    let said = sensor.end();
    assert_eq!(kept(&state), ["10.20.0.5"], "{said}");
}

/// What it comes to within some seconds under limits; `None` when it runs.
fn start_under(limits: &[&str], arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("prlimit");
    command.args(limits).arg(PROGRAM).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "CI must have prlimit");
        eprintln!("skipped: needs prlimit");
        return None;
    };
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(5) {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(child.wait_with_output().unwrap())
}

/// One sentence, and not the end of a program that did not expect it.
fn check_refusal(output: &Output, limits: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 4)), "{limits:?}: {:?}: {said}", output.status);
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{limits:?}: {said}");
    assert_eq!(said.lines().filter(|line| line.contains("error")).count(), 1, "{limits:?}: {said}");
}

#[test]
fn too_few_threads_end_a_start_in_one_sentence() {
    let Some(cable) = Cable::lay("n") else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = format!("file:{}", folder.path().join("eve.json").display());
    // Whom the sensor becomes must be able to write there.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    for threads in [1, 2, 3, 5, 8, 11, 14] {
        let limit = format!("--nproc={threads}");
        // The limit counts for the user that the sensor becomes, and not for root.
        let Some(ended) = start_under(&[&limit], &["watch", "-i", &cable.far, "-o", &output]) else {
            assert!(threads > 3, "it runs with {threads} threads");
            continue;
        };
        check_refusal(&ended, &[&limit]);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("threads more") && said.contains("ulimit -u"), "{said}");
    }
}

#[test]
fn too_little_memory_ends_a_start_in_one_sentence() {
    let Some(cable) = Cable::lay("m") else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = format!("file:{}", folder.path().join("eve.json").display());
    for mebibytes in [50_u64, 70, 100, 150, 200, 300, 400, 500, 700] {
        let limit = format!("--as={}", mebibytes << 20);
        // Where not even the program fits, the system ends it before it has a word.
        let fits = start_under(&[&limit], &["--version"]).is_some_and(|ended| ended.status.success());
        if fits && let Some(ended) = start_under(&[&limit], &["watch", "-i", &cable.far, "-o", &output]) {
            check_refusal(&ended, &[&limit]);
        }
    }
}

#[test]
fn a_limit_of_file_size_is_an_error_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eve.json");
    let capture = concat!(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), "/pcaps/dns-then-tls.pcap");
    let scan = ["scan", "-q", capture, "--eve", file.to_str().unwrap()];
    let Some(ended) = start_under(&["--fsize=100"], &scan) else { return };
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("eve.json") && said.contains("File too large"), "{said}");

    let Some(cable) = Cable::lay("z") else { return };
    let output = format!("file:{}", folder.path().join("live.json").display());
    let mut child = Command::new("prlimit")
        .args(["--fsize=1000", PROGRAM, "watch", "-i", &cable.far, "--stats-interval", "1", "-o", &output])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("File too large") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended without a word of it");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("had not taken everything"), "{rest}");
    // No half line is left behind.
    let text = std::fs::read_to_string(Path::new(output.trim_start_matches("file:"))).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
}
