//! Suricata 7 with the plugin: the alerts are those that the reader of logs gives for the EVE log of the same run; and what may happen to a
//! live engine costs neither it nor whole lines.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../../tests/support/cable.rs"]
mod cable;
#[path = "../../../tests/support/suricata.rs"]
mod suricata;

use cable::Cable;
use kaspector::matching::SignatureSet;
use kaspector_logs::{LineParser, LogReader};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use suricata::Suricata;

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

/// The plugin as cargo has put it beside the tests.
fn plugin() -> String {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    format!("plugins: [{}]", folder.join("libkaspector_suricata.so").display())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Suricata with its usual log and, beside it, the plugin.
fn with_plugin(log: &str, plugin_keys: &str) -> Suricata {
    let types = suricata::TYPES;
    let outputs = format!(
        "  - eve-log: {{enabled: yes, filetype: regular, filename: eve.json, community-id: yes, {log}types: {types}}}
  - eve-log: {{enabled: yes, filetype: kaspector, community-id: yes, {plugin_keys}types: {types}}}"
    );
    Suricata::new(&plugin(), &outputs)
}

/// All captures, in a folder that Suricata reads as one.
fn all_captures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in suricata::captures(root()) {
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Host, indicator, field and flow of an alert.
type Alert = (String, String, String, u64);

fn alerts(path: &Path) -> Vec<Alert> {
    let lines = std::fs::read_to_string(path).unwrap();
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of = |record: Value| {
        let text = |key: &str| record["alert"]["metadata"][key][0].as_str().unwrap().to_owned();
        let host = record["alert"]["target"]["ip"].as_str().unwrap().parse::<std::net::IpAddr>().unwrap();
        assert!(record["community_id"].as_str().is_some());
        (host.to_string(), text("kaspector_indicator"), text("kaspector_field"), record["flow_id"].as_u64().unwrap())
    };
    records.filter(|record| record["event_type"] == "alert").map(of).collect()
}

/// What the reader gives for the log of the same run; of several files their records in order of time.
fn logged(folder: &Path) -> Vec<Alert> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of_log = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("eve.");
    let mut files: Vec<PathBuf> = files.filter(of_log).collect();
    files.sort();
    let text: Vec<String> = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
    assert!(lines.len() > 500, "{}", lines.len());
    if files.len() > 1 {
        lines
            .sort_by_key(|line| serde_json::from_str::<Value>(line).unwrap()["timestamp"].as_str().unwrap().to_owned());
    }
    let mut reader = LogReader::new(&SIGNATURES);
    for line in lines {
        reader.line(&mut LineParser::eve(), line.as_bytes());
    }
    reader.finish();
    let alerts = reader.take_alerts().into_iter().map(|logged| {
        let alert = logged.alert;
        let indicator = SIGNATURES.get(alert.indicator).id.clone();
        (alert.host().address.to_string(), indicator, alert.field.name().to_owned(), logged.flow.flow_id.unwrap())
    });
    alerts.collect()
}

fn hosts(alerts: &[Alert]) -> BTreeSet<&str> {
    alerts.iter().map(|(host, ..)| host.as_str()).collect()
}

#[test]
fn alerts_are_those_of_the_log_of_the_same_run() {
    if !suricata::is_there() {
        return;
    }
    let captures = all_captures();
    let suricata = with_plugin("", "");
    let run = suricata.read(captures.path(), &["--runmode", "single", "-v"]);
    let log = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{log}");
    let found = alerts(&suricata.path().join("kaspector.json"));
    assert!(found.len() > 100, "{}: {log}", found.len());
    // The engine's thread for flows writes to one output while others write to the other: the order is not the same.
    let sorted = |mut alerts: Vec<Alert>| {
        alerts.sort();
        alerts
    };
    assert_eq!(sorted(found.clone()), sorted(logged(suricata.path())));
    // What it said.
    assert!(log.contains("kaspector: alerts go to") && log.contains("sees one direction"), "{log}");
    assert!(log.contains("0 that cannot be read, 0 dropped because the queue was full"), "{log}");
    let last = std::fs::read_to_string(suricata.path().join("kaspector.json")).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event_type"], &last["stats"]["kaspector"]["alerts"]),
        (&Value::from("stats"), &Value::from(found.len()))
    );
}

/// The name that a record matches stands in the record itself, in every output.
#[test]
fn records_of_suricata_8_are_marked() {
    if !suricata::is_there() || suricata::version() < Some(8) {
        eprintln!("skipped: needs suricata 8");
        return;
    }
    let marked = |keys: &str| -> Vec<(String, Value)> {
        let suricata = with_plugin("", keys);
        let run = suricata.read(&root().join("pcaps/dns-then-tls.pcap"), &["--runmode", "single"]);
        assert!(run.status.success(), "{run:?}");
        assert_eq!(alerts(&suricata.path().join("kaspector.json")).len(), 2);
        let log = std::fs::read_to_string(suricata.path().join("eve.json")).unwrap();
        let records = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records
            .filter(|record| !record["kaspector"].is_null())
            .map(|record| (record["event_type"].as_str().unwrap().to_owned(), record["kaspector"].clone()))
            .collect()
    };
    let mark = serde_json::json!({"indicator": "KL-UPD-0001", "category": "update", "strength": "installed"});
    let expected = ["dns", "dns", "dns", "dns", "tls"].map(|kind| (kind.to_owned(), mark.clone()));
    assert_eq!(marked(""), expected);
    assert_eq!(marked("mark-records: no, "), []);
}

#[test]
fn threads_find_the_same_hosts() {
    if !suricata::is_there() {
        return;
    }
    let captures = all_captures();
    for runmode in ["autofp", "single"] {
        let suricata = with_plugin("threaded: yes, ", "threaded: yes, ");
        let run = suricata.read(captures.path(), &["--runmode", runmode]);
        assert!(run.status.success(), "{run:?}");
        let (found, logged) = (alerts(&suricata.path().join("kaspector.json")), logged(suricata.path()));
        assert_eq!(hosts(&found), hosts(&logged), "{runmode}");
        assert!(hosts(&found).len() > 8, "{runmode}");
    }
}

#[test]
fn settings_are_read_and_a_wrong_one_ends_nothing() {
    if !suricata::is_there() {
        return;
    }
    let capture = root().join("pcaps/dns-then-tls.pcap");
    let said = |suricata: &Suricata| {
        let run = suricata.read(&capture, &["--runmode", "single"]);
        assert!(run.status.success(), "{run:?}");
        assert!(std::fs::read_to_string(suricata.path().join("eve.json")).unwrap().lines().count() > 3);
        format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
    };
    let log = said(&with_plugin("", "signatures: /nowhere, "));
    assert!(
        log.contains("kaspector: signatures: ") && log.contains("/nowhere") && log.contains("nothing is detected"),
        "{log}"
    );
    let log = said(&with_plugin("", "filename: /nowhere/a.json, "));
    assert!(log.contains("kaspector: /nowhere/a.json: "), "{log}");
    // Somebody listens to a socket.
    let suricata = with_plugin("", "filename: \"unix:alerts.sock\", ");
    let listener = UnixListener::bind(suricata.path().join("alerts.sock")).unwrap();
    let lines = std::thread::spawn(move || BufReader::new(listener.accept().unwrap().0).lines().count());
    said(&suricata);
    assert_eq!(lines.join().unwrap(), 3, "two alerts, and the counts");
    // Signatures of the site's own.
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root().join("signatures/set.toml"), folder.path().join("set.toml")).unwrap();
    std::fs::copy(root().join("signatures/reputation.toml"), folder.path().join("reputation.toml")).unwrap();
    std::fs::copy(root().join("signatures/products.toml"), folder.path().join("products.toml")).unwrap();
    let suricata = with_plugin("", &format!("signatures: {}, filename: own.json, ", folder.path().display()));
    let log = said(&suricata);
    assert_eq!(alerts(&suricata.path().join("own.json")), [], "update servers are not in these: {log}");
}

/// A live Suricata on one end of a cable, ended with this value.
struct Live {
    suricata: Suricata,
    cable: Cable,
    child: Option<Child>,
}

impl Live {
    fn start(suricata: Suricata, cable: Cable) -> Self {
        std::fs::write(suricata.path().join("one.rules"), "").unwrap();
        let mut live = Self { suricata, cable, child: None };
        live.run();
        live
    }

    fn run(&mut self) {
        let log = self.log();
        let before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let to = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = self.suricata.command();
        command.arg(format!("--af-packet={}", self.cable.far)).arg("-S").arg(self.suricata.path().join("one.rules"));
        self.child =
            Some(command.stdout(Stdio::from(to.try_clone().unwrap())).stderr(Stdio::from(to)).spawn().unwrap());
        self.wait_for("engine started", || {
            std::fs::read_to_string(&log).unwrap_or_default()[before..].contains("ngine started")
        });
    }

    fn log(&self) -> PathBuf {
        self.suricata.path().join("log.txt")
    }

    fn alerts(&self) -> usize {
        let lines = std::fs::read_to_string(self.suricata.path().join("kaspector.json")).unwrap_or_default();
        lines.lines().filter(|line| line.contains(r#""event_type":"alert""#)).count()
    }

    fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_there() {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a capture over the cable, and waits for more alerts than before.
    fn send(&self, capture: &str) {
        let before = self.alerts();
        suricata::send(&root().join("pcaps").join(capture), &self.cable.near);
        self.wait_for("an alert", || self.alerts() > before);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Ends it, and gives what it said.
    fn end(&mut self, signal: Signal) -> String {
        self.signal(signal);
        self.child.take().unwrap().wait().unwrap();
        std::fs::read_to_string(self.log()).unwrap()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_live_engine_is_followed_through_what_happens_to_it() {
    if !suricata::is_there() {
        return;
    }
    let Some(cable) = Cable::lay("sp") else { return };
    let mut live = Live::start(with_plugin("", "threaded: yes, "), cable);
    live.send("tls-reputation.pcap");
    // Rules are loaded anew.
    live.signal(Signal::USR2);
    live.wait_for("the rules", || std::fs::read_to_string(live.log()).unwrap().contains("rule reload complete"));
    live.send("tls-wget.pcap");
    // The file is rotated, with and without a word.
    let (file, old) = (live.suricata.path().join("kaspector.json"), live.suricata.path().join("kaspector.json.1"));
    std::fs::rename(&file, &old).unwrap();
    live.signal(Signal::HUP);
    live.send("tls-oem.pcap");
    std::fs::remove_file(&file).unwrap();
    live.wait_for("another file", || file.exists());
    live.send("tls-upper-case.pcap");
    // It is killed, and a line is torn.
    live.end(Signal::KILL);
    let mut torn = std::fs::read(&file).unwrap();
    torn.truncate(torn.len() - 20);
    std::fs::write(&file, torn).unwrap();
    live.run();
    live.wait_for("an end of the torn line", || std::fs::read(&file).unwrap().ends_with(b"\n"));
    suricata::send(&root().join("pcaps/tls-hello-retry.pcap"), &live.cable.near);
    live.wait_for("an alert", || std::fs::read_to_string(&file).unwrap().lines().count() > 1);
    let log = live.end(Signal::TERM);
    let lines = std::fs::read_to_string(&file).unwrap();
    let whole: Vec<bool> = lines.lines().map(|line| serde_json::from_str::<Value>(line).is_ok()).collect();
    assert!(whole.len() >= 3 && !whole[0] && whole[1..].iter().all(|&whole| whole), "{lines}");
    assert!(log.contains("0 dropped because the queue was full"), "{log}");
    assert!(std::fs::read_to_string(&old).unwrap().lines().count() >= 2);
}
