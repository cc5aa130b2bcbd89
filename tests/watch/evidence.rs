//! The packets that prove what the sensor found, kept while it watches.

use super::machines::{get, metric, until};
use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What is in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn chain_is_whole(folder: &Path) -> bool {
    let check = "sha256sum --check --strict --quiet manifest-*.sha256";
    Command::new("sh").args(["-c", check]).current_dir(folder).status().unwrap().success()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn scanned(path: &Path) -> Value {
    let scan = ["scan", "--format", "json", path.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_kaspector")).args(scan).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_packets_that_prove_a_finding_are_kept() {
    let Some(cable) = Cable::lay("g") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (eve, proof) = (folder.path().join("eve.json"), folder.path().join("proof"));
    let output = format!("file:{}", eve.display());
    for (run, workers) in [(1, "1"), (2, "2")] {
        let watched = ["-i", &cable.far, "-o", &output, "--evidence", proof.to_str().unwrap(), "--workers", workers];
        let sensor = Sensor::start(&watched);
        cable.send(&root().join("pcaps/unrelated.pcap"));
        cable.send(&root().join("pcaps/dns-then-tls.pcap"));
        // What was shown before in this run is no news.
        cable.send_from(&root().join("pcaps/dns-then-tls.pcap"), 1);
        let said = sensor.end();
        let stem = format!("{run:04}-10.20.0.5");
        let description = json(&proof.join(format!("{stem}.json")));
        assert_eq!(names(&proof).len(), 3 * run, "{said}");
        assert!(chain_is_whole(&proof));
        assert_eq!(description["by_itself"]["is_whole"], true, "{description:#}");
        assert_eq!(description["finding"]["verdict"], "confirmed");
        assert_eq!(description["inputs"], serde_json::json!([{"path": cable.far}]));
        // Both ways of the handshake, the hello, and the answer that gave the address.
        let parts: BTreeSet<&str> = description["packets"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|packet| packet["reasons"].as_array().unwrap())
            .map(|reason| reason["part"].as_str().unwrap())
            .collect();
        assert!(parts.is_superset(&["evidence", "handshake"].into()), "{parts:?}");
        let alerts = fs::read_to_string(&eve).unwrap();
        for line in description["evidence"].as_array().unwrap() {
            assert!(line["complete"] == true && alerts.contains(line["uid"].as_str().unwrap()), "{line} {alerts}");
        }
        let again = scanned(&proof.join(format!("{stem}.pcapng")));
        let by_wire = scanned(&root().join("pcaps/dns-then-tls.pcap"));
        for key in ["address", "verdict", "confidence", "products", "categories"] {
            assert_eq!(again["hosts"][0][key], by_wire["hosts"][0][key], "{key}");
        }
    }
    assert!(fs::read_to_string(proof.join("manifest-0002.sha256")).unwrap().contains("  manifest-0001.sha256\n"));
}

#[test]
fn payload_behind_the_proof_is_zeroed_on_request() {
    let Some(cable) = Cable::lay("z") else { return };
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    let config = folder.path().join("watch.toml");
    let text = format!("interface = '{}'\nevidence = '{}'\nevidence-redact = true\n", cable.far, proof.display());
    fs::write(&config, text).unwrap();
    let sensor = Sensor::start(&["-c", config.to_str().unwrap(), "-o", "file:/dev/null"]);
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    sensor.end();
    let description = json(&proof.join("0001-10.20.0.5.json"));
    assert_eq!((&description["redacted"], &description["by_itself"]["is_whole"]), (&true.into(), &true.into()));
    let cut = |packet: &Value| packet["zero_from"].is_u64();
    assert!(description["packets"].as_array().unwrap().iter().any(cut), "{description:#}");
}

#[test]
fn a_folder_that_is_full_takes_no_more_and_that_is_counted() {
    let Some(cable) = Cable::lay("u") else { return };
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    fs::create_dir(&proof).unwrap();
    fs::set_permissions(&proof, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(proof.join("0001-10.9.9.9.pcapng"), vec![0; 1 << 20]).unwrap();
    let served = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sensor = Sensor::start(&[
        "-i",
        &cable.far,
        "-o",
        "file:/dev/null",
        "--http",
        &served.to_string(),
        "--evidence",
        proof.to_str().unwrap(),
        "--evidence-total",
        "1MiB",
    ]);
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    let status = until(served, "/api/status", |status| status["evidence"]["no_room"] == 1);
    assert_eq!(status["evidence"]["kept"], 0);
    assert!(status["evidence"]["used_bytes"].as_u64() >= Some(1 << 20));
    assert_eq!(metric(served, "kaspector_evidence_total{result=\"no_room\"}"), 1);
    assert_eq!(get(served, "/readyz").status, 200);
    sensor.end();
    assert_eq!(names(&proof), ["0001-10.9.9.9.pcapng"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_the_first_packet() {
    // Who may not listen is told of that first.
    let Some(_cable) = Cable::lay("j") else { return };
    for folder in ["/proc/evidence", "/nowhere-near/evidence", "/etc/hostname"] {
        let output = Command::new(env!("CARGO_BIN_EXE_kaspector"))
            .args(["watch", "-i", "lo", "--evidence", folder, "-o", "file:/dev/null"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && !said.contains("Watching"), "{said}");
        assert!(said.contains(folder) && said.contains("evidence"), "{said}");
    }
}
