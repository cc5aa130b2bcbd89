//! The live sensor: what is sent over a pair of virtual interfaces gives what a scan of the same capture gives.
//!
//! Needs root and `ip`; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use cable::Cable;
use kaspector::matching::SignatureSet;
use kaspector_cli::state::{HostFilter, State};
use sensor::Sensor;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "support/cable.rs"]
mod cable;
#[path = "watch/evidence.rs"]
mod evidence;
#[path = "web/http.rs"]
#[allow(dead_code, reason = "shared with the tests of the server")]
mod http;
#[path = "watch/machines.rs"]
mod machines;
#[path = "support/sensor.rs"]
#[allow(dead_code, reason = "each file of tests takes its part")]
mod sensor;
#[path = "watch/top.rs"]
mod top;
#[path = "../benches/traffic/mod.rs"]
mod traffic;

impl Cable {
    /// Sends what a capture holds, once, in order.
    fn send(&self, path: &Path) -> u64 {
        self.send_from(path, 0)
    }

    fn send_frames(&self, frames: impl Iterator<Item = Vec<u8>>) {
        let mut sender = pcap::Capture::from_device(self.near.as_str()).unwrap().open().unwrap();
        frames.for_each(|frame| sender.sendpacket(frame).unwrap());
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
        // The kernel carries them to the other end by itself, which on a busy machine takes a while.
        std::thread::sleep(Duration::from_millis(50));
        sent
    }
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
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
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
        if text.lines().filter(|line| line.contains("\"event_type\":\"alert\"")).count() >= count
            || Instant::now() > deadline
        {
            return text;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_same_packets_give_the_same_evidence_as_a_scan() {
    let Some(cable) = Cable::lay("e") else { return };
    let folder = tempfile::tempdir().unwrap();
    let captures = ["dns-then-tls", "browsing-www", "unrelated"];
    let ways = [["1", "afpacket"], ["2", "afpacket"], ["4", "afpacket"], ["1", "pcap"]];
    for (name, [workers, kind]) in ways.iter().flat_map(|way| captures.map(|name| (name, way))) {
        let capture = root().join(format!("pcaps/{name}.pcap"));
        let (scanned, live) = (folder.path().join("scan.json"), folder.path().join(format!("{name}.json")));
        let scan = Command::new(env!("CARGO_BIN_EXE_kaspector"))
            .args(["scan", "-q", capture.to_str().unwrap(), "--eve", scanned.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(scan.status.success());
        // Every sighting is told at the end, if only as a summary.
        let output = format!("file:{}", live.display());
        let sensor = Sensor::start(&["-i", &cable.far, "--workers", workers, "--capture", kind, "-o", &output]);
        let sent = cable.send(&capture);
        let said = sensor.end();
        let name = &format!("{name} with {workers} workers and {kind}");
        assert!(said.contains(&format!("{}: {sent} packets", cable.far)), "{name}: {said}");
        assert!(said.contains("dropped by the kernel: 0."), "{name}: {said}");
        let expected = proven(&std::fs::read_to_string(&scanned).unwrap());
        assert_eq!(proven(&std::fs::read_to_string(&live).unwrap_or_default()), expected, "{name}: {said}");
        assert_eq!(expected.is_empty(), name.starts_with("unrelated"));
        std::fs::remove_file(&live).unwrap();
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
fn several_interfaces_are_watched_at_once() {
    let (Some(one), Some(other)) = (Cable::lay("a"), Cable::lay("b")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("eve.json");
    let sensor = Sensor::start(&["-i", &one.far, "-i", &other.far, "-o", &format!("file:{}", live.display())]);
    one.send(&root().join("pcaps/dns-then-tls.pcap"));
    other.send(&root().join("pcaps/browsing-www.pcap"));
    let said = sensor.end();
    // Both captures are of one client.
    assert_eq!(said.matches(" confirmed ").count(), 1, "{said}");
    let text = std::fs::read_to_string(&live).unwrap();
    for cable in [&one, &other] {
        assert!(text.contains(&format!("\"in_iface\":\"{}\"", cable.far)), "{text}");
    }
}

/// An answer comes to one worker, and the connection that it leads to comes to another.
#[test]
fn what_one_worker_sees_told_another_knows() {
    let Some(cable) = Cable::lay("w") else { return };
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("eve.json");
    let sensor = Sensor::start(&["-i", &cable.far, "--workers", "4", "-o", &format!("file:{}", live.display())]);
    let capture = root().join("pcaps/dns-cname-then-address.pcap");
    let connections = 8;
    for shift in 0..connections {
        cable.send_from(&capture, shift);
    }
    sensor.end();
    let text = std::fs::read_to_string(&live).unwrap();
    let alerts = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let contacts = alerts.filter_map(|alert| {
        let metadata = &alert["alert"]["metadata"];
        let count = metadata["kaspector_count"][0].as_str().map_or(1, |count| count.parse().unwrap());
        // On a slow machine the lookup is a while before the contact, and that the verdict rose is told by an alert that was told before.
        let is_rise = !metadata["kaspector_verdict_before"].is_null();
        (metadata["kaspector_field"][0] == "dns.resolved_address" && !is_rise).then_some(count)
    });
    assert_eq!(contacts.sum::<u64>(), u64::from(connections), "{text}");
}

/// Frames that are chosen and outputs change while packets come; one output stays.
#[test]
fn filter_snap_length_and_outputs_are_read_again_while_it_runs() {
    let Some(cable) = Cable::lay("o") else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (stays, first, second, config) = (at("stays.json"), at("first.json"), at("second.json"), at("watch.toml"));
    let configure = |outputs: &[&Path], more: &str| {
        let outputs: Vec<String> = outputs.iter().map(|path| format!("'file:{}'", path.display())).collect();
        // On disk, what an output has missed outlives the time without it.
        let spool = at("spool");
        let text = format!(
            "interface = '{}'\nspool = '{}'\noutput = [{}]\n{more}\n",
            cable.far,
            spool.display(),
            outputs.join(", ")
        );
        std::fs::write(&config, text).unwrap();
    };
    let capture = root().join("pcaps/dns-then-tls.pcap");
    let count = |path: &Path| proven(&std::fs::read_to_string(path).unwrap_or_default()).len();
    // Once there is something, and nothing more has come for a while.
    let settled = |path: &Path| {
        let mut text = wait_for(path, 1);
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = std::fs::read_to_string(path).unwrap();
            if now == text {
                return count(path);
            }
            text = now;
        }
    };
    // A worker looks for what is new at least so often.
    let takes_up = || std::thread::sleep(Duration::from_millis(500));
    configure(&[&stays, &first], "");
    let mut sensor = Sensor::start(&["-c", config.to_str().unwrap()]);
    let sent = cable.send(&capture);
    let before = settled(&stays);
    assert!(before > 0);

    // What is wrong changes nothing, whatever else is right.
    for (outputs, more, why) in [
        (&[&*stays, &second][..], "filter = 'host and'", "filter"),
        (&[&*stays, Path::new("/nowhere-near/eve.json")][..], "filter = 'udp'", "/nowhere-near"),
        (&[&*stays, &stays][..], "filter = 'udp'", "given twice"),
    ] {
        configure(outputs, more);
        sensor.signal("HUP");
        let refused = sensor.next_line("not reloaded, everything stays as it was");
        assert!(refused.contains(why), "{refused}");
    }

    // Nothing passes the filter, and of what would there is too little to read.
    configure(&[&second, &stays], "filter = 'tcp port 1'\nsnaplen = 64");
    sensor.signal("HUP");
    assert!(sensor.next_line("reloaded: filter").contains("tcp port 1; snap length: 64"));
    sensor.next_line("reloaded: outputs");
    takes_up();
    cable.send_from(&capture, 1);
    takes_up();
    configure(&[&second, &stays], "snaplen = 64");
    sensor.signal("HUP");
    sensor.next_line("reloaded: filter: none; snap length: 64");
    takes_up();
    let cut = cable.send_from(&capture, 2);
    takes_up();
    assert_eq!(count(&stays), before, "filtered, or cut before the name");
    assert_eq!(count(&first), before);
    assert_eq!(count(&second), 0, "it begins with what comes");

    configure(&[&second, &stays], "");
    sensor.signal("HUP");
    sensor.next_line("reloaded: filter: none; snap length: 65535");
    takes_up();
    let other = root().join("pcaps/http-update.pcap");
    let whole = cable.send(&other);
    settled(&second);
    // The first is there again, and goes on where it stood.
    configure(&[&second, &stays, &first], "");
    sensor.signal("HUP");
    sensor.next_line("reloaded: outputs");
    let said = sensor.end();
    assert!(count(&second) > 0 && count(&stays) == before + count(&second), "{said}");
    assert_eq!(count(&first), before + count(&second), "{said}");
    let lines = std::fs::read_to_string(&stays).unwrap().lines().count();
    let delivered = format!("file:{}: {lines} messages delivered, 0 lost.", stays.display());
    assert!(said.contains(&delivered), "what came at the end is counted, too: {delivered} {said}");
    assert!(said.contains(&format!("{}: {} packets", cable.far, sent + cut + whole)), "{said}");
    assert!(said.contains("dropped by the kernel: 0."), "{said}");
}

/// A signature file that looks for one name.
fn signature(name: &str) -> String {
    format!(
        "[[indicator]]\nid = \"KL-UPD-0490\"\nmatch = \"exact\"\nvalue = \"{name}\"\ncategory = \"update\"\nstrength = \"installed\"\n\
         products = [\"a product\"]\nera = \"2020-\"\nsources = [\"https://example.com\"]\ndate = 2026-11-23\n"
    )
}

#[test]
fn signatures_are_read_again_while_it_runs_and_a_bad_file_changes_nothing() {
    let Some(cable) = Cable::lay("l") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (live, extra) = (folder.path().join("eve.json"), folder.path().join("extra"));
    std::fs::create_dir(&extra).unwrap();
    let write = |text: &str| std::fs::write(extra.join("own.toml"), text).unwrap();
    write(&signature("nobody-asks-for-this.example"));
    let mut sensor = Sensor::start(&[
        "-i",
        &cable.far,
        "--signatures-extra",
        extra.to_str().unwrap(),
        "-o",
        &format!("file:{}", live.display()),
    ]);
    let unrelated = root().join("pcaps/unrelated.pcap");
    cable.send(&unrelated);
    write("[[indicator]]\nid = 7\n");
    sensor.signal("HUP");
    let refused = sensor.next_line("not reloaded");
    assert!(refused.contains("own.toml:1"), "{refused}");
    write(&signature("www.example"));
    sensor.signal("HUP");
    sensor.next_line("reloaded");
    cable.send_from(&unrelated, 1);
    let text = wait_for(&live, 1);
    let found = proven(&text);
    assert!(!found.is_empty() && found.iter().all(|alert| alert.contains("KL-UPD-0490")), "{text}");
    // What was found before goes on to be looked for.
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    let said = sensor.end();
    assert!(said.contains("dropped by the kernel: 0."), "{said}");
    assert!(
        proven(&std::fs::read_to_string(&live).unwrap()).iter().any(|alert| !alert.contains("KL-UPD-0490")),
        "{said}"
    );
}

#[test]
fn a_verdict_that_rises_is_told() {
    let Some(cable) = Cable::lay("v") else { return };
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("eve.json");
    let sensor = Sensor::start(&["-i", &cable.far, "-o", &format!("file:{}", live.display())]);
    let capture = root().join("pcaps/dns-then-tls.pcap");
    // The lookup alone makes a suspicion, and what follows a certainty.
    cable.send_frames(frames(&capture).into_iter().take(4));
    wait_for(&live, 1);
    std::thread::sleep(Duration::from_millis(2500));
    cable.send_frames(frames(&capture).into_iter().skip(4));
    sensor.end();
    let text = std::fs::read_to_string(&live).unwrap();
    let alerts = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rises: Vec<Value> = alerts.filter(|alert| !alert["alert"]["metadata"]["kaspector_verdict"].is_null()).collect();
    assert_eq!(rises.len(), 1, "{text}");
    let metadata = &rises[0]["alert"]["metadata"];
    assert_eq!(metadata["kaspector_verdict_before"], serde_json::json!(["suspected"]));
    assert_eq!(metadata["kaspector_verdict"], serde_json::json!(["confirmed"]));
    let uid = |alert: &Value| alert["alert"]["metadata"]["kaspector_uid"].to_string();
    let others: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|alert| uid(alert) == uid(&rises[0]))
        .collect();
    assert_eq!(others.len(), 1, "a receiver that drops copies must not drop it");
}

/// The hosts of a state file, with their verdicts and the lines of evidence.
fn kept(path: &Path) -> Vec<(String, &'static str, usize)> {
    let state = State::open_to_read(path).unwrap();
    let listing = state.listing(&SignatureSet::builtin(), &HostFilter::default()).unwrap();
    let hosts = listing.hosts.iter();
    hosts.map(|host| (host.host.address.to_string(), host.verdict.name(), host.evidence.len())).collect()
}

#[test]
fn what_is_known_of_hosts_outlives_the_sensor() {
    let Some(cable) = Cable::lay("k") else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("hosts.db");
    let capture = root().join("pcaps/dns-then-tls.pcap");
    let start = || Sensor::start(&["-i", &cable.far, "--state", state.to_str().unwrap()]);
    let mut sensor = start();
    cable.send_frames(frames(&capture).into_iter().take(4));
    // Saved while it runs: nobody asks it to end.
    let deadline = Instant::now() + Duration::from_secs(20);
    while kept(&state).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    sensor.child.kill().unwrap();
    assert_eq!(kept(&state), [("10.20.0.5".to_owned(), "suspected", 1)]);
    let sensor = start();
    cable.send_frames(frames(&capture).into_iter().skip(4));
    let said = sensor.end();
    assert!(said.contains("10.20.0.5 confirmed"), "{said}");
    assert_eq!(kept(&state), [("10.20.0.5".to_owned(), "confirmed", 2)]);
}

/// A restart is no news: what the state file has is told as a repeat, and only what is new as a first sight.
#[test]
fn a_host_that_was_known_before_a_restart_is_no_first_sight() {
    let Some(cable) = Cable::lay("n") else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("hosts.db");
    let (updates, page) = (root().join("pcaps/dns-then-tls.pcap"), root().join("pcaps/browsing-www.pcap"));
    let run = |name: &str, captures: &[&Path]| -> Vec<Value> {
        let live = folder.path().join(name);
        let output = format!("file:{}", live.display());
        let sensor = Sensor::start(&["-i", &cable.far, "--state", state.to_str().unwrap(), "-o", &output]);
        for capture in captures {
            cable.send(capture);
        }
        sensor.end();
        let text = std::fs::read_to_string(&live).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["event_type"] == "alert").collect()
    };
    let first_of = |alert: &Value, key: &str| alert["alert"]["metadata"][key][0].as_str().map(str::to_owned);
    let since = |alert: &Value| first_of(alert, "kaspector_known_since");
    let is_repeat = |alert: &Value| first_of(alert, "kaspector_count").is_some();
    let is_rise = |alert: &Value| first_of(alert, "kaspector_verdict").is_some();
    let first = run("first.json", &[&updates]);
    assert!(first.iter().any(|alert| !is_repeat(alert) && !is_rise(alert)), "{first:?}");
    let began = first.iter().map(|alert| alert["timestamp"].as_str().unwrap().to_owned()).min();
    assert!(first.iter().all(|alert| since(alert) == began), "{first:?}");
    let again = run("again.json", &[&updates]);
    assert!(!again.is_empty() && again.iter().all(|alert| is_repeat(alert) && since(alert) == began), "{again:?}");
    // The same host with something that it did not show before.
    let more = run("more.json", &[&updates, &page]);
    let (of_page, of_updates): (Vec<&Value>, Vec<&Value>) =
        more.iter().partition(|alert| first_of(alert, "kaspector_service").unwrap() == "web-browse");
    assert!(!of_updates.is_empty() && of_updates.iter().all(|alert| is_repeat(alert)), "{more:?}");
    assert!(of_page.iter().any(|alert| !is_repeat(alert)), "{more:?}");
    assert!(more.iter().all(|alert| since(alert) == began), "{more:?}");
}

#[test]
fn a_link_that_goes_down_is_told_and_one_that_returns_is_watched_again() {
    let Some(cable) = Cable::lay("d") else { return };
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("eve.json");
    let mut sensor =
        Sensor::start(&["-i", &cable.far, "--stats-interval", "1", "-o", &format!("file:{}", live.display())]);
    std::thread::sleep(Duration::from_millis(300));
    cable.set_far("down");
    // The advice at the beginning, where it comes that late, says "is down", too.
    sensor.next_line("is down or gone");
    cable.set_far("up");
    sensor.next_line("is up again");
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    assert!(!proven(&wait_for(&live, 1)).is_empty());
    sensor.end();
}

#[test]
fn an_interface_that_is_made_anew_is_watched_again() {
    let Some(cable) = Cable::lay("x") else { return };
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("eve.json");
    let output = format!("file:{}", live.display());
    let mut sensor = Sensor::start(&["-i", &cable.far, "--stats-interval", "1", "-o", &output]);
    drop(cable);
    sensor.next_line("is down or gone");
    let cable = Cable::lay("x").unwrap();
    sensor.next_line("was removed and made anew");
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    assert!(!proven(&wait_for(&live, 1)).is_empty());
    let said = sensor.end();
    assert!(said.contains(&format!("{}: 20 packets", cable.far)), "{said}");
}

#[test]
fn a_reader_that_leaves_ends_the_sensor() {
    let Some(cable) = Cable::lay("p") else { return };
    let mut child = Command::new(env!("CARGO_BIN_EXE_kaspector"))
        .args(["watch", "-i", &cable.far, "--stats-interval", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    assert!(out.read_line(&mut line).unwrap() > 0);
    drop(out);
    assert_eq!(ended(&mut child), Some(0));
}

#[test]
fn a_second_wish_to_end_is_granted_at_once() {
    let Some(cable) = Cable::lay("t") else { return };
    let folder = tempfile::tempdir().unwrap();
    let nobody = format!("unix-stream:{}", folder.path().join("nobody.sock").display());
    let mut sensor = Sensor::start(&["-i", &cable.far, "-o", &nobody]);
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    // The alert has nowhere to go, so the first wish is a matter of seconds.
    sensor.signal("TERM");
    std::thread::sleep(Duration::from_millis(500));
    assert!(sensor.child.try_wait().unwrap().is_none());
    sensor.signal("TERM");
    let begun = Instant::now();
    assert_eq!(ended(&mut sensor.child), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// The exit code of a process that is expected to end soon.
fn ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_may_not_listen_is_told_what_is_missing() {
    let Some(cable) = Cable::lay("c") else { return };
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", env!("CARGO_BIN_EXE_kaspector")])
        .args(["watch", "-i", &cable.far])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("CAP_NET_RAW") && said.contains("setcap"), "{said}");
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

/// Most resident memory of a process so far, in MiB (`VmHWM` of proc_pid_status(5)); `None` once it has ended.
fn peak_mib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()? >> 10)
}

/// Frames one after the other.
struct Collected(Vec<Vec<u8>>);

impl traffic::Receiver for Collected {
    fn frame(&mut self, _: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.0.push(bytes.to_vec());
        Ok(())
    }
}

/// More clients than a sensor keeps: some look a name up and are told addresses, others say hello. The figures are those of
/// docs/limits.md.
/// Packets that a sensor has taken, by its metrics.
fn packets_taken(served: std::net::SocketAddr) -> u64 {
    let metrics = http::exchange(served, &["GET /metrics HTTP/1.1", "Host: localhost"], "").body;
    let series = metrics.lines().filter(|line| line.starts_with("kaspector_capture_packets_total{"));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn invented_clients_take_no_more_memory_than_is_stated() {
    const RING_MIB: u64 = 64;
    let Some(cable) = Cable::lay("m") else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = format!("file:{}", folder.path().join("eve.json").display());
    let served = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sensor = Sensor::start(&["-i", &cable.far, "-o", &output, "--http", &served.to_string()]);
    let process = sensor.child.id();
    let mut collected = Collected(Vec::new());
    let mut generator = traffic::Generator::new(&mut collected, 7, 1);
    let name = "s07.upd.kaspersky.com";
    let (query, answer) = (traffic::dns_message(7, name, false), traffic::dns_message(7, name, true));
    let hello = traffic::client_hello(name, 517);
    for number in 0..160_000 {
        let resolver = traffic::Pair { server: 0x0a63_0035, ..traffic::Pair::of(number, 53) };
        match number % 4 {
            0 => generator.tcp(traffic::Pair::of(number, 443), true, traffic::ACK, 0, 0, &hello).unwrap(),
            1 => {
                generator.udp(resolver, true, &query).unwrap();
                generator.udp(resolver, false, &answer).unwrap();
            }
            _ => generator.udp(resolver, true, &query).unwrap(),
        }
    }
    let mut frames = collected.0.into_iter();
    cable.send_frames(frames.by_ref().take(1));
    std::thread::sleep(Duration::from_millis(300));
    let idle = peak_mib(process).unwrap();
    assert!(idle < 120, "{idle} MiB idle");
    // No faster than it takes them, whatever else runs here: what is measured is memory, and what is lost takes none.
    let mut sent = 1;
    while frames.len() > 0 {
        sent += frames.len().min(2_000) as u64;
        cable.send_frames(frames.by_ref().take(2_000));
        let begun = Instant::now();
        while packets_taken(served) < sent {
            assert!(begun.elapsed() < Duration::from_secs(60), "{sent} sent, {} taken", packets_taken(served));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // The end is part of it: then the hosts are told.
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        while let Some(now) = peak_mib(process) {
            peak = peak.max(now);
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let said = sensor.end();
    let peak = watch.join().unwrap();
    println!("{idle} MiB idle, at most {peak} MiB\n{said}");
    assert!(said.contains("more hosts"), "{said}");
    assert!(peak < 512 + RING_MIB, "{peak} MiB");
}
