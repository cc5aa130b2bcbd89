//! What Linux and OpenSSL accept is read, and what they drop is not believed: segments made by hand go to a real listener in a network
//! namespace of their own, and what was on the wire goes through the detector. The server says by its answer what it read.
//!
//! `real_stack/cases.py` has the cases and the client. Needs root, and the programs `unshare`, `ip` and `python3`; skipped without them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use kaspector::capture::{Block, CaptureFile};
use kaspector::matching::{Field, SignatureSet};
use kaspector::pipeline::Detector;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Fewer answers than this, and something is wrong with the cases rather than with us.
const ANSWERED_MIN: usize = 100;

/// Whether a network namespace can be had, and what runs in it.
fn can_run() -> bool {
    let can = |arguments: &[&str]| {
        let run = Command::new("unshare").args(["--net", "--"]).args(arguments).stdout(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let is_ready = can(&["ip", "link", "set", "lo", "up"]) && can(&["python3", "-c", "import ssl"]);
    if !is_ready {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: root, iproute2 and python3 are needed");
        eprintln!("skipped: needs root for a network namespace, iproute2 and python3");
    }
    is_ready
}

/// Server names that the detector finds in a capture.
fn names_found(detector: &mut Detector, signatures: &SignatureSet, path: &Path) -> Vec<String> {
    let mut file = CaptureFile::open(path).unwrap();
    let mut block = Block::default();
    while file.next_block(&mut block).unwrap() {
        detector.feed_block(block.view(), |_| true);
    }
    let hosts = detector.finish().host_findings(signatures);
    let evidence = hosts.iter().flat_map(|host| &host.evidence).filter(|evidence| evidence.field == Field::TlsSni);
    evidence.map(|evidence| evidence.observed.to_string()).collect()
}

#[test]
fn what_a_server_answers_is_found_and_nothing_else() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["server.example".to_owned()]).unwrap();
    std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_stack/cases.py");
    let run = Command::new("unshare").args(["--net", "--", "python3", script]).arg(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}\n{}", run.status, String::from_utf8_lossy(&run.stderr));

    let signatures = Arc::new(SignatureSet::builtin());
    let mut detector = Detector::new(&signatures);
    let (mut wrong, mut answered) = (Vec::new(), 0);
    for line in String::from_utf8(run.stdout).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| case.get(key).and_then(Value::as_str);
        let found = names_found(&mut detector, &signatures, &folder.path().join(text("capture").unwrap()));
        let closed_before = case.get("closed_before") == Some(&Value::Bool(true));
        answered += usize::from(text("answered").is_some());
        let is_right = match (closed_before, text("answered")) {
            (true, None) => found == ["a-true-name.upd.kaspersky.com"],
            (true, Some(_)) => false,
            (false, answered) => found.iter().map(String::as_str).eq(answered),
        };
        if !is_right {
            let (name, kernel) = (text("case").unwrap(), case.get("kernel").unwrap());
            wrong.push(format!(
                "{name}: the server answered {:?}, the kernel sent {kernel}; found {found:?}",
                text("answered")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(answered >= ANSWERED_MIN, "only {answered} hellos were answered");
}
