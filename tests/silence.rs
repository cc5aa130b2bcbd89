//! A host that shows nothing any more, and one that comes back, as the live sensor tells of them.
//!
//! Needs root and `ip`; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::float_cmp)]

#[path = "support/cable.rs"]
mod cable;
#[path = "web/http.rs"]
#[allow(dead_code, reason = "shared with the tests of the server")]
mod http;
#[path = "support/sensor.rs"]
#[allow(dead_code, reason = "each file of tests takes its part")]
mod sensor;
#[path = "losses/served.rs"]
#[allow(dead_code, reason = "each file of tests takes its part")]
mod served;

use cable::Cable;
use serde_json::Value;
use served::Served;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Sends what a capture holds, once, in order.
fn send(cable: &Cable) {
    let capture = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps/dns-then-tls.pcap");
    let mut reader = pcap::Capture::from_file(capture).unwrap();
    let mut sender = pcap::Capture::from_device(cable.near.as_str()).unwrap().open().unwrap();
    while let Ok(packet) = reader.next_packet() {
        sender.sendpacket(packet.data).unwrap();
    }
}

/// Alerts of that kind.
fn alerts(path: &Path, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let records = whole.map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["event_type"] == "alert" && is_wanted(record)).collect()
}

fn is_silence(record: &Value) -> bool {
    record["alert"]["signature_id"] == 1_990_999
}

fn is_return(record: &Value) -> bool {
    !is_silence(record) && record["alert"]["metadata"]["kaspector_silent_since"].is_array()
}

fn silent_hosts(sensor: &Served) -> f64 {
    let metrics = sensor.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix("kaspector_hosts_silent "));
    line.unwrap().parse().unwrap()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_silence_is_told_once_over_restarts_and_so_is_its_end() {
    let Some(cable) = Cable::lay("si") else { return };
    let folder = tempfile::tempdir().unwrap();
    let eve = folder.path().join("eve.json");
    let (output, state) = (format!("file:{}", eve.display()), folder.path().join("hosts.db"));
    let options = ["--state", state.to_str().unwrap(), "--silent-after", "2s", "-o", &output];
    let confirmed = ["verdict=\"confirmed\"", "role=\"endpoint\""];
    let sensor = Served::start(&cable, &options);
    send(&cable);
    wait_until("the silence is told", || alerts(&eve, is_silence).len() == 1);
    sensor.until("it is counted", |sensor| silent_hosts(sensor) == 1.0);
    assert_eq!(sensor.sum("kaspector_hosts", &confirmed), 1);
    std::thread::sleep(Duration::from_secs(5));
    sensor.end();
    let told = alerts(&eve, is_silence);
    assert_eq!(told.len(), 1, "{told:?}");
    let metadata = &told[0]["alert"]["metadata"];
    assert_eq!((&told[0]["src_ip"], &metadata["kaspector_verdict"][0]), (&"10.20.0.5".into(), &"confirmed".into()));
    let before = alerts(&eve, |record| !is_silence(record));
    let last = before.iter().map(|alert| alert["timestamp"].as_str().unwrap()).max().unwrap();
    assert_eq!(metadata["kaspector_silent_since"][0], last);
    assert_eq!(metadata["kaspector_known_since"], before[0]["alert"]["metadata"]["kaspector_known_since"]);
    assert_eq!(metadata["kaspector_finding"], before[0]["alert"]["metadata"]["kaspector_finding"]);
    assert!(alerts(&eve, is_return).is_empty());

    let sensor = Served::start(&cable, &options);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(alerts(&eve, is_silence).len(), 1, "an earlier run told it");
    assert_eq!(silent_hosts(&sensor), 1.0);
    send(&cable);
    wait_until("the return is told", || !alerts(&eve, is_return).is_empty());
    let returns = alerts(&eve, is_return);
    assert_eq!(returns[0]["alert"]["metadata"]["kaspector_silent_since"], metadata["kaspector_silent_since"]);
    assert_eq!(returns[0]["alert"]["metadata"]["kaspector_known_since"], metadata["kaspector_known_since"]);
    wait_until("the next silence is told", || alerts(&eve, is_silence).len() == 2);
    sensor.end();
    assert_eq!(alerts(&eve, is_return).len(), 1);
}
