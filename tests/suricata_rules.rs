//! The exported rules find with Suricata 7 what Kaspector finds by names, on every golden capture, and nothing on decoys.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/name_fields.rs"]
mod name_fields;

use kaspector::matching::{SignatureSet, Strength};
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, ScanOptions, Takers, scan};
use name_fields::NAMES;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Hosts that names give, and Suricata 7 does not see by name: the beginning of the capture's path, and why.
const UNSEEN: [(&str, &str); 37] = [
    ("derived/erspan3", ERSPAN),
    ("derived/frame-relay", LINK),
    ("derived/linux-cooked-v2", LINK),
    ("derived/llc-snap", LINK),
    ("derived/macos-pktap", LINK),
    ("derived/macsec", LINK),
    ("derived/netfilter-log", LINK),
    ("derived/openbsd-loop", LINK),
    ("derived/pflog", LINK),
    ("derived/ppp-hdlc", LINK),
    ("derived/trill", LINK),
    ("derived/wifi", LINK),
    ("derived/pcapng", "libpcap reads only pcapng files whose interfaces have one link type"),
    ("derived/gre-in-udp", TUNNEL),
    ("derived/gtp-u", TUNNEL),
    ("derived/ip-in-ip", TUNNEL),
    ("derived/l2tp", TUNNEL),
    ("derived/mpls-in-udp", TUNNEL),
    ("derived/tzsp", TUNNEL),
    ("derived/vxlan-gpe", TUNNEL),
    ("derived/vxlan-linux-port", "tunnels at other ports have to be configured"),
    ("derived/wccp", TUNNEL),
    ("derived/socks", SOCKS),
    ("socks", SOCKS),
    ("derived/starttls-imap", STARTTLS),
    ("derived/starttls-pop3", STARTTLS),
    ("starttls-imap", STARTTLS),
    ("starttls-pop3", STARTTLS),
    ("starttls-postgresql", STARTTLS),
    ("derived/tls12-certificate", CERTIFICATE),
    ("tls12-certificate", CERTIFICATE),
    ("management-certificate", CERTIFICATE),
    ("dns-alias-of-update-server", ANSWER),
    ("dns-answers-only", ANSWER),
    ("one-direction-from-server", ANSWER),
    ("midstream-http", "connections without their beginning are left alone unless stream.midstream is on"),
    ("quic-same-ports", "a second connection with the same addresses and ports is the same flow"),
];
const LINK: &str = "a link type that Suricata does not decode";
const TUNNEL: &str = "a tunnel that Suricata does not look into";
const ERSPAN: &str = "of ERSPAN, Suricata decodes types I and II";
const SOCKS: &str = "Suricata reads neither SOCKS nor what is said behind it";
const STARTTLS: &str = "Suricata follows STARTTLS in SMTP alone";
const CERTIFICATE: &str =
    "a name in a certificate counts only when all of its names are the vendor's, which no rule can say";
const ANSWER: &str = "Suricata 7 matches names of questions, not of answers";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Captures that Suricata may be able to read.
fn captures() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(root().join("pcaps"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pcap" || ending == "pcapng"))
        .collect();
    found.sort();
    found
}

/// Hosts with evidence by a name that is looked for, and all hosts.
fn hosts(capture: &Path, signatures: &Arc<SignatureSet>) -> (BTreeSet<IpAddr>, BTreeSet<IpAddr>) {
    let options = ScanOptions { inputs: expand([capture]), threads: 1, ..ScanOptions::default() };
    let found = scan(&options, signatures, &Progress::default(), Takers::default()).unwrap().report.hosts;
    let by_name = found.iter().filter(|host| {
        host.evidence
            .iter()
            .any(|line| NAMES.contains(&line.field) && signatures.get(line.indicator).strength != Strength::Browse)
    });
    (by_name.map(|host| host.host.address).collect(), found.iter().map(|host| host.host.address).collect())
}

/// Suricata, which reads one capture after the other.
struct Suricata {
    process: Child,
    control: UnixStream,
}

impl Suricata {
    fn start(rules: &Path, folder: &Path) -> Self {
        let socket = folder.join("control");
        let process = Command::new("suricata")
            .arg(format!("--unix-socket={}", socket.display()))
            .arg("-S")
            .arg(rules)
            .arg("-l")
            .arg(folder)
            // Some captures were taken before the network card computed checksums.
            .args(["-k", "none", "--set"])
            .arg("vars.address-groups.HOME_NET=[10.0.0.0/8,192.0.2.0/24,2001:db8::/32]")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let control = loop {
            match UnixStream::connect(&socket) {
                Ok(control) => break control,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(120), "Suricata does not answer: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let mut suricata = Self { process, control };
        suricata.say(&json!({"version": "0.2"}));
        suricata
    }

    fn say(&mut self, message: &Value) -> Value {
        self.control.write_all(format!("{message}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(&self.control).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn read(&mut self, captures: &[PathBuf], folder: &Path) {
        for (number, capture) in captures.iter().enumerate() {
            let output = folder.join(number.to_string());
            std::fs::create_dir(&output).unwrap();
            let answer = self.say(&json!({"command": "pcap-file",
                "arguments": {"filename": capture.canonicalize().unwrap(), "output-dir": output}}));
            assert_eq!(answer["return"], "OK", "{answer}");
        }
        let begun = Instant::now();
        loop {
            let waiting = self.say(&json!({"command": "pcap-file-number"}))["message"].clone();
            let current = self.say(&json!({"command": "pcap-current"}))["message"].clone();
            if waiting == 0 && current == "None" {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(300), "{waiting} captures wait");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Suricata {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Hosts that alerts name, and the texts of those.
fn alerted(folder: &Path) -> BTreeMap<IpAddr, BTreeSet<String>> {
    let mut found = BTreeMap::<IpAddr, BTreeSet<String>>::new();
    let text = std::fs::read_to_string(folder.join("eve.json")).unwrap_or_default();
    for record in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let alert = &record["alert"];
        if alert["signature"].as_str().is_some_and(|text| text.starts_with("KASPECTOR ")) {
            let host = alert["target"]["ip"].as_str().unwrap().parse().unwrap();
            found.entry(host).or_default().insert(alert["signature"].as_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn suricata_finds_each_host_that_names_give() {
    let version = Command::new("suricata").arg("-V").output().map(|output| output.stdout).unwrap_or_default();
    if !String::from_utf8_lossy(&version).contains("version 7.") {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: scripts/install-deps test");
        eprintln!("skipped: needs Suricata 7");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("pack");
    let written = assert_cmd::Command::cargo_bin("kaspector")
        .unwrap()
        .args(["export", "suricata", "--quiet", "-o"])
        .arg(&pack)
        .output()
        .unwrap();
    assert!(written.status.success(), "{written:?}");
    let rules = pack.join("kaspector-7.rules");
    let tested =
        Command::new("suricata").arg("-T").arg("-S").arg(&rules).arg("-l").arg(folder.path()).output().unwrap();
    assert!(tested.status.success(), "{tested:?}");
    assert!(!String::from_utf8_lossy(&tested.stderr).contains("rror"), "{tested:?}");

    let signatures = Arc::new(SignatureSet::builtin());
    let captures = captures();
    Suricata::start(&rules, folder.path()).read(&captures, folder.path());
    let (mut wrong, mut found, mut unseen) = (Vec::new(), 0, BTreeSet::new());
    for (number, capture) in captures.iter().enumerate() {
        let name = capture.strip_prefix(root().join("pcaps")).unwrap().to_str().unwrap();
        let (expected, all) = hosts(capture, &signatures);
        let alerts = alerted(&folder.path().join(number.to_string()));
        let excuse = UNSEEN.iter().find(|(prefix, _)| name.starts_with(prefix));
        for host in &expected {
            match (alerts.contains_key(host), excuse) {
                (true, _) => found += 1,
                (false, Some((prefix, _))) => _ = unseen.insert(*prefix),
                (false, None) => wrong.push(format!("{name}: {host} is not found")),
            }
        }
        for (host, texts) in alerts.iter().filter(|(host, _)| !all.contains(host)) {
            wrong.push(format!("{name}: {host} is found by {texts:?}, and should not be"));
        }
    }
    let stale: Vec<_> = UNSEEN.iter().filter(|(prefix, _)| !unseen.contains(prefix)).collect();
    assert!(wrong.is_empty(), "{found} hosts were found, but\n{}", wrong.join("\n"));
    assert!(stale.is_empty(), "found by now: {stale:?}");
    assert!(found > 100, "{found}");
}
