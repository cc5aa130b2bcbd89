//! `kaspector explain`: the same verdict as the scan's, with the way there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const CAPTURE: &str = "pcaps/dns-then-tls.pcap";

fn kaspector(arguments: &[&str]) -> Output {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    Command::new(env!("CARGO_BIN_EXE_kaspector")).args(arguments).current_dir(root).output().unwrap()
}

fn answer(arguments: &[&str]) -> String {
    let output = kaspector(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_host_is_explained_from_captures_from_an_inventory_and_by_its_alert() {
    let text = answer(&["explain", "10.20.0.5", CAPTURE]);
    let found: Value = serde_json::from_str(&answer(&["scan", "-q", "--format", "json", CAPTURE])).unwrap();
    let host = &found["hosts"][0];
    let first = format!("10.20.0.5: {}, {} % sure", host["verdict"].as_str().unwrap(), host["confidence"]);
    assert!(text.starts_with(&first), "{text}");
    for line in host["evidence"].as_array().unwrap() {
        let [indicator, field, observed] = ["indicator", "field", "observed"].map(|key| line[key].as_str().unwrap());
        let packet = format!("packet {} of {CAPTURE}", line["example"]["packet"]);
        assert!(text.contains(&format!("{indicator} {field} {observed}\n")) && text.contains(&packet), "{text}");
    }
    // Ninety percent and fifty: docs/verdicts.md has it as an example.
    for part in [
        "source, checked ",
        "Verdict: confirmed",
        "server name: 90 %",
        "DNS: 50 %",
        "Confidence: 95 %",
        "Role: endpoint",
        "Without evidence 1: suspected, ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("hosts.state");
    answer(&["scan", "-q", "--format", "json", "--state", state.to_str().unwrap(), CAPTURE]);
    // An inventory does not say whether an input was a capture or a log.
    let of_state = answer(&["explain", "10.20.0.5", "--state", state.to_str().unwrap()]);
    assert_eq!(of_state.replace("packet or line", "packet"), text);
    let alerts = answer(&["scan", "-q", "--eve", "-", CAPTURE]);
    let alert: Value = serde_json::from_str(alerts.lines().next().unwrap()).unwrap();
    let uid = alert["alert"]["metadata"]["kaspector_uid"][0].as_str().unwrap();
    assert_eq!(answer(&["explain", uid, CAPTURE]), text);
}

#[test]
fn what_others_asked_for_is_told_as_a_relay() {
    let text = answer(&["explain", "10.20.0.53", "pcaps/resolver-both-sides.pcap"]);
    for part in ["relayed: it did this for somebody else", "Role: relay", "Had nobody else asked it for this: "] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn names_and_indicators_are_explained_and_what_cannot_be_is_said() {
    let name = answer(&["explain", "s07.upd.kaspersky.com"]);
    assert!(name.starts_with("KL-UPD-0001 update installed: ") && name.contains("\nsource "), "{name}");
    assert_eq!(answer(&["explain", "kl-upd-0001"]), answer(&["signatures", "show", "KL-UPD-0001"]));
    for (arguments, code, why) in [
        (&["explain", "www.example.com"][..], 3, ""),
        (&["explain", "10.20.0.99", CAPTURE], 3, "10.20.0.99: no evidence of it"),
        (&["explain", "10.20.0.5", "/no/such.pcap"], 4, "/no/such.pcap: cannot be opened"),
        (&["explain", "10.20.0.5"], 2, "name captures behind it, or an inventory"),
        (&["explain", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], 2, "name the captures behind it"),
        (&["explain", "some.name", CAPTURE], 2, "an address or the identifier of an alert"),
        (&["explain", "some.name", "--state", "x"], 2, "a host is known by its address"),
        (&["explain", "10.20.0.5", "--state", "/no/such.state"], 2, "/no/such.state"),
    ] {
        let output = kaspector(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}
