//! The live sensor: what is sent over a pair of virtual interfaces gives what a scan of the same capture gives.
//!
//! Needs root and `ip`; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Two ends of a virtual cable, gone with this value.
struct Cable {
    near: String,
    far: String,
}

impl Cable {
    fn lay(tag: &str) -> Option<Self> {
        let number = std::process::id() % 100_000;
        let (near, far) = (format!("k{tag}n{number}"), format!("k{tag}f{number}"));
        let laid = ip(&["link", "add", &near, "type", "veth", "peer", "name", &far]);
        if !laid {
            assert!(std::env::var_os("CI").is_none(), "these tests must run here: root and iproute2 are needed");
            eprintln!("skipped: needs root and iproute2 to lay a virtual cable");
            return None;
        }
        let cable = Self { near, far };
        for end in [&cable.near, &cable.far] {
            // Nothing of the system's own may be on the wire.
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1");
            assert!(ip(&["link", "set", end, "mtu", "9000", "up"]));
        }
        Some(cable)
    }

    /// Sends what a capture holds, once, in order.
    fn send(&self, path: &Path) -> u64 {
        self.send_from(path, 0)
    }

    /// The same out of other client ports: `shift` is put into the high byte of each.
    fn send_from(&self, path: &Path, shift: u8) -> u64 {
        let mut sender = pcap::Capture::from_device(self.near.as_str()).unwrap().open().unwrap();
        let mut sent = 0;
        for mut frame in frames(path) {
            // Ethernet and IPv4 without options: the ports of TCP and UDP stand at the same place.
            for port in [34, 36] {
                if frame.len() > port && frame[12..15] == [8, 0, 0x45] && frame[port] >= 0x80 {
                    frame[port] ^= shift;
                }
            }
            sender.sendpacket(frame).unwrap();
            sent += 1;
        }
        sent
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&["link", "del", &self.near]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut capture = pcap::Capture::from_file(path).unwrap();
    assert_eq!(capture.get_datalink(), pcap::Linktype::ETHERNET);
    while let Ok(packet) = capture.next_packet() {
        frames.push(packet.data.to_vec());
    }
    frames
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A running sensor and the lines that it says.
struct Sensor {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Sensor {
    /// Starts one and waits until it captures.
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kaspector"))
            .arg("watch")
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.starts_with("Watching "), "{line}");
        Self { child, said }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Asks it to end; gives what it said.
    fn end(mut self) -> String {
        self.signal("TERM");
        let mut text = String::new();
        while self.said.read_line(&mut text).unwrap() > 0 {}
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }
}

/// What the alerts of an EVE file prove, without what differs by nature between a wire and a file.
fn proven(eve: &str) -> BTreeSet<String> {
    let alerts = eve.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    alerts
        .filter(|alert| alert["event_type"] == "alert")
        .map(|alert| {
            let metadata = &alert["alert"]["metadata"];
            let said: Vec<&Value> = ["indicator", "field", "observed", "seen_as"]
                .iter()
                .map(|key| &metadata[format!("kaspector_{key}")])
                .collect();
            format!("{} {} {} {said:?}", alert["alert"]["target"]["ip"], alert["dest_ip"], alert["dest_port"])
        })
        .collect()
}

/// Waits until `path` holds at least `count` alerts.
fn wait_for(path: &Path, count: usize) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().filter(|line| line.contains("\"alert\"")).count() >= count || Instant::now() > deadline {
            return text;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_same_packets_give_the_same_evidence_as_a_scan() {
    let Some(cable) = Cable::lay("e") else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["dns-then-tls", "browsing-www", "unrelated"] {
        let capture = root().join(format!("pcaps/{name}.pcap"));
        let (scanned, live) = (folder.path().join("scan.json"), folder.path().join(format!("{name}.json")));
        let scan = Command::new(env!("CARGO_BIN_EXE_kaspector"))
            .args(["scan", "-q", capture.to_str().unwrap(), "--eve", scanned.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(scan.status.success());
        // Every sighting is told at the end, if only as a summary.
        let sensor = Sensor::start(&["-i", &cable.far, "-o", &format!("file:{}", live.display())]);
        let sent = cable.send(&capture);
        let said = sensor.end();
        assert!(said.contains(&format!("{}: {sent} packets", cable.far)), "{name}: {said}");
        assert!(said.contains("dropped by the kernel: 0."), "{name}: {said}");
        let expected = proven(&std::fs::read_to_string(&scanned).unwrap());
        assert_eq!(proven(&std::fs::read_to_string(&live).unwrap_or_default()), expected, "{name}: {said}");
        assert_eq!(expected.is_empty(), name == "unrelated");
    }
}

#[test]
fn what_was_told_before_is_told_again_as_a_summary_with_its_count() {
    let Some(cable) = Cable::lay("s") else { return };
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("eve.json");
    let sensor = Sensor::start(&["-i", &cable.far, "-o", &format!("file:{}", live.display())]);
    let capture = root().join("pcaps/dns-then-tls.pcap");
    for shift in 0..3 {
        cable.send_from(&capture, shift);
    }
    sensor.end();
    let text = std::fs::read_to_string(&live).unwrap();
    let alerts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let alerts: Vec<&Value> = alerts.iter().filter(|alert| alert["event_type"] == "alert").collect();
    let (again, first): (Vec<&Value>, Vec<&Value>) =
        alerts.iter().partition(|alert| !alert["alert"]["metadata"]["kaspector_count"].is_null());
    assert!(!first.is_empty() && !again.is_empty(), "{text}");
    let pair = |alert: &&Value| {
        let metadata = &alert["alert"]["metadata"];
        format!(
            "{} {} {}",
            alert["alert"]["target"]["ip"], metadata["kaspector_indicator"], metadata["kaspector_seen_as"]
        )
    };
    assert_eq!(first.iter().map(pair).collect::<BTreeSet<_>>().len(), first.len(), "told at once, once: {text}");
    let uids: BTreeSet<_> =
        alerts.iter().map(|alert| alert["alert"]["metadata"]["kaspector_uid"].to_string()).collect();
    assert_eq!(uids.len(), alerts.len());
    assert!(alerts.iter().all(|alert| alert["in_iface"] == cable.far.as_str()));
}

#[test]
fn an_alert_comes_while_the_sensor_runs_and_a_file_moved_away_is_opened_anew() {
    let Some(cable) = Cable::lay("r") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (live, moved) = (folder.path().join("eve.json"), folder.path().join("eve.json.1"));
    let sensor = Sensor::start(&["-i", &cable.far, "--stats-interval", "1", "-o", &format!("file:{}", live.display())]);
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    assert!(!proven(&wait_for(&live, 1)).is_empty());
    std::fs::rename(&live, &moved).unwrap();
    sensor.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !live.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    sensor.end();
    let text = std::fs::read_to_string(&live).unwrap();
    let stats: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(stats["event_type"], "stats");
    assert_eq!(stats["stats"]["capture"]["kernel_drops"], 0);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_kaspector")).args(["watch", "-i", "kaspector-none"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("kaspector-none"));
}

#[test]
fn an_output_that_is_none_is_bad_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_kaspector"))
        .args(["watch", "-i", "lo", "-o", "carrier-pigeon:nest"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("carrier-pigeon"));
}
