//! What the real Suricata logs of each capture in `pcaps/` gives the hosts that the packets give, as far as its log can show them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/suricata.rs"]
mod suricata;

use kaspector::capture::{Block, CaptureFile};
use kaspector::decode::Zone;
use kaspector::matching::{HostFinding, HostKey, SignatureSet};
use kaspector::pipeline::Detector;
use kaspector_logs::{LineParser, LogReader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use suricata::Suricata;

/// Address of each host, with its tenant where it has one; its verdict and its role.
type Hosts = BTreeMap<String, String>;

/// The same as it stands here.
type Found = &'static [(&'static str, &'static str)];

/// What a log cannot show, by capture, and what is found then.
const EXCEPTIONS: [(&str, &str, Found); 31] = [
    ("body-chunked", BODY, &[]),
    ("body-database", BODY, &[]),
    ("body-difference", BODY, &[]),
    ("body-gzip", BODY, &[]),
    ("body-keepalive", BODY, &[]),
    ("body-of-named-component", BODY, &[]),
    ("body-public-server", BODY, &[]),
    ("upload-of-saved-page", BODY, &[]),
    ("mail-gateway", MAIL, &[]),
    ("mail-gateway-below-own-trace", MAIL, &[]),
    ("mail-gateway-in-chunks", MAIL, &[]),
    ("mail-gateway-names-itself", MAIL, &[]),
    ("mail-gateway-without-trace", MAIL, &[]),
    ("mail-old-filter", MAIL, &[]),
    ("syslog-cef", SYSLOG, &[]),
    ("syslog-cef-counted", SYSLOG, &[]),
    ("syslog-structured", SYSLOG, &[]),
    ("old-cloud-tcp", BYTES, &[]),
    ("old-cloud-udp", BYTES, &[]),
    ("scan-engine", "header fields of a request are logged only where the configuration asks for it", &[]),
    ("socks4a", SOCKS, &[]),
    ("socks5-address", SOCKS, &[]),
    // Nothing in the log says that the proxy was asked.
    ("socks5-address-both-sides", SOCKS, &[("10.20.0.5", "suspected endpoint"), ("10.20.0.80", "confirmed endpoint")]),
    ("socks5-domain", SOCKS, &[]),
    ("socks5-password", SOCKS, &[]),
    ("starttls-imap", STARTTLS, &[]),
    ("starttls-pop3", STARTTLS, &[]),
    ("quic-same-ports", "the second of two QUIC connections between the same ports is not logged", &[]),
    (
        "one-direction-to-server",
        "an unanswered hello is not logged, so only the lookup is left",
        &[("10.20.0.5", "suspected endpoint")],
    ),
    (
        "tls12-certificate",
        "of the names of a certificate only the common name is logged, and a content network's may name others, too",
        &[("10.20.0.5", "suspected endpoint")],
    ),
    ("two-tenants", "the number of a VXLAN network is not logged", &[("10.20.0.5", "confirmed endpoint")]),
];

/// Those that Suricata 8 can show.
const SHOWN_BY_8: [&str; 2] = ["starttls-pop3", "tls12-certificate"];

const BODY: &str = "bodies are not logged";
const MAIL: &str = "header fields of mail are not logged";
const SYSLOG: &str = "syslog messages are not logged";
const BYTES: &str = "first bytes of protocols that Suricata does not know are not logged";
const SOCKS: &str = "Suricata 7 knows no SOCKS, and what follows in the connection is not looked at";
const STARTTLS: &str = "Suricata 7 does not follow STARTTLS of IMAP and POP3";

fn hosts(found: &[HostFinding]) -> Hosts {
    let of = |finding: &HostFinding| {
        let HostKey { address, zone } = finding.host;
        let tenant = if zone == Zone::default() { String::new() } else { format!(" {zone:?}") };
        (format!("{address}{tenant}"), format!("{} {}", finding.verdict.name(), finding.role.name()))
    };
    found.iter().map(of).collect()
}

fn scanned(path: &Path, signatures: &Arc<SignatureSet>) -> Hosts {
    let mut detector = Detector::new(signatures);
    let mut file = CaptureFile::open(path).unwrap();
    let mut block = Block::default();
    while file.next_block(&mut block).unwrap() {
        detector.feed_block(block.view(), |_| true);
    }
    hosts(&detector.finish().host_findings(signatures))
}

fn logged(path: &Path, signatures: &Arc<SignatureSet>) -> Hosts {
    let outputs = format!(
        "  - eve-log: {{enabled: yes, filetype: regular, filename: eve.json, community-id: true, types: {}}}",
        suricata::TYPES
    );
    let suricata = Suricata::new("", &outputs);
    let run = suricata.read(path, &["--runmode", "single"]);
    assert!(run.status.success(), "{}: {run:?}", path.display());
    let log = std::fs::read(suricata.path().join("eve.json")).unwrap();
    let read = |spelled: fn(&[u8]) -> Vec<u8>| {
        let mut reader = LogReader::new(signatures);
        for line in log.split(|&byte| byte == b'\n') {
            reader.line(&mut LineParser::eve(), &spelled(line));
        }
        let counters = reader.counters().clone();
        assert_eq!(counters.malformed, 0, "{}: {counters:?}", path.display());
        let findings = reader.finish();
        let alerts = reader.take_alerts();
        let alerts = alerts.iter().map(|one| format!("{:?} {:?} {:?}", one.alert, one.flow, findings.flows)).collect();
        (hosts(&findings.host_findings(signatures)), counters.read, alerts)
    };
    let (found, records, alerts): (Hosts, u64, Vec<String>) = read(<[u8]>::to_vec);
    // Suricata writes no blanks, so each of these lines is read in full.
    let in_full = read(|line| line.iter().take(1).copied().chain([b' ']).chain(line.iter().skip(1).copied()).collect());
    assert_eq!((&found, records, &alerts), (&in_full.0, in_full.1, &in_full.2), "{}", path.display());
    found
}

/// What is wrong with a capture's answer.
fn compare(path: &Path, signatures: &Arc<SignatureSet>) -> Option<String> {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let (scanned, logged) = (scanned(path, signatures), logged(path, signatures));
    let is_shown = suricata::version() >= Some(8) && SHOWN_BY_8.contains(&name);
    let exception = EXCEPTIONS.iter().find(|(capture, ..)| *capture == name && !is_shown);
    let Some((_, why, less)) = exception else {
        return (logged != scanned).then(|| format!("{name}: logged {logged:?}, captured {scanned:?}"));
    };
    let less: Hosts = less.iter().map(|&(address, found)| (address.to_owned(), found.to_owned())).collect();
    (logged != less || logged == scanned).then(|| format!("{name}: {why}; now logged {logged:?}, captured {scanned:?}"))
}

#[test]
fn hosts_of_a_log_are_those_of_the_packets() {
    if !suricata::is_there() {
        return;
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let signatures = Arc::new(SignatureSet::builtin());
    let captures = suricata::captures(root);
    assert!(captures.len() > 100, "the captures are there");
    // Starting is most of what Suricata does for a small capture.
    let compare_all =
        |chunk: &[PathBuf]| -> Vec<String> { chunk.iter().filter_map(|path| compare(path, &signatures)).collect() };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let chunks = captures.chunks(captures.len().div_ceil(4));
        let threads: Vec<_> = chunks.map(|chunk| scope.spawn(|| compare_all(chunk))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {} captures:\n{}", wrong.len(), captures.len(), wrong.join("\n"));
}
