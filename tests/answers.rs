//! `--output FILE` and the formats of `scan`, `hosts` and `signatures list`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use assert_cmd::Command;
use kaspector::matching::SignatureSet;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn kaspector(arguments: &[&str]) -> Output {
    Command::cargo_bin("kaspector").unwrap().args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn capture(name: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    root.join("pcaps").join(format!("{name}.pcap")).to_str().unwrap().to_owned()
}

/// An inventory with one host, the folder that it is in.
fn inventory() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("hosts.state");
    let output = kaspector(&["scan", "-q", "--state", state.to_str().unwrap(), &capture("dns-then-tls")]);
    assert!(output.status.success(), "{}", said(&output));
    (folder, state)
}

#[test]
fn a_file_holds_what_standard_output_would() {
    let (folder, state) = inventory();
    let state = state.to_str().unwrap();
    let capture = capture("two-tenants");
    let commands: [&[&str]; 10] = [
        &["scan", "-q", "--format", "table", &capture],
        &["scan", "-q", "--format", "json", &capture],
        &["scan", "-q", "--format", "jsonl", &capture],
        &["scan", "-q", "--format", "csv", &capture],
        &["hosts", "--format", "table", "--state", state],
        &["hosts", "--format", "json", "--state", state],
        &["hosts", "--format", "csv", "--state", state],
        &["signatures", "list", "--format", "table"],
        &["signatures", "list", "--format", "json"],
        &["signatures", "list", "--format", "csv"],
    ];
    for (number, command) in commands.iter().enumerate() {
        let printed = kaspector(command);
        assert!(printed.status.success() && !printed.stdout.is_empty(), "{}", said(&printed));
        let file = folder.path().join(number.to_string());
        // The second time it is there.
        for _ in 0..2 {
            let written = kaspector(&[*command, &["-o", file.to_str().unwrap()]].concat());
            assert!(written.status.success(), "{command:?}: {}", said(&written));
            assert!(written.stdout.is_empty());
            assert_eq!(fs::read(&file).unwrap(), printed.stdout, "{command:?}");
        }
        assert_eq!(kaspector(&[*command, &["--output", "-"]].concat()).stdout, printed.stdout);
        let foreign = folder.path().join("foreign");
        fs::write(&foreign, "mine\n").unwrap();
        let refused = kaspector(&[*command, &["-o", foreign.to_str().unwrap()]].concat());
        assert_eq!(refused.status.code(), Some(2), "{command:?}: {}", said(&refused));
        assert_eq!(fs::read(&foreign).unwrap(), b"mine\n");
        assert!(kaspector(&[*command, &["--force", "-o", foreign.to_str().unwrap()]].concat()).status.success());
        let none = kaspector(&[*command, &["-o", "/no/such/folder/file"]].concat());
        assert_eq!(none.status.code(), Some(1), "{command:?}: {}", said(&none));
    }
}

#[test]
fn an_answer_is_no_input_and_no_other_output() {
    let (folder, state) = inventory();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::copy(capture("dns-then-tls"), path("copy.pcap")).unwrap();
    let before = fs::read(path("copy.pcap")).unwrap();
    for arguments in [
        vec!["scan", "-q", "--force", "-o"]
            .into_iter()
            .map(str::to_owned)
            .chain([path("copy.pcap"), path("copy.pcap")])
            .collect::<Vec<_>>(),
        ["scan", "-q", "--force", "--eve"]
            .map(str::to_owned)
            .into_iter()
            .chain([path("new"), "-o".into(), path("new"), path("copy.pcap")])
            .collect(),
        ["scan", "-q", "--force", "--state"]
            .map(str::to_owned)
            .into_iter()
            .chain([
                state.to_str().unwrap().to_owned(),
                "-o".into(),
                state.to_str().unwrap().to_owned(),
                path("copy.pcap"),
            ])
            .collect(),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = kaspector(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
    }
    assert_eq!(fs::read(path("copy.pcap")).unwrap(), before);
    assert!(!folder.path().join("new").exists());
    let both = kaspector(&["scan", "-q", "--eve", "-", "-o", &path("table"), &path("copy.pcap")]);
    assert!(both.status.success() && both.stdout.starts_with(b"{\"timestamp\""));
    assert!(fs::read_to_string(path("table")).unwrap().contains("10.20.0.5"));
}

#[test]
fn each_line_is_a_host_as_in_the_object() {
    let capture = capture("resolver-both-sides");
    let json: Value = serde_json::from_slice(&kaspector(&["scan", "-q", "--format", "json", &capture]).stdout).unwrap();
    let lines = String::from_utf8(kaspector(&["scan", "-q", "--format", "jsonl", &capture]).stdout).unwrap();
    let hosts: Vec<Value> = lines
        .lines()
        .map(|line| {
            let mut host: Value = serde_json::from_str(line).unwrap();
            assert!(line.starts_with("{\"schema\":\"kaspector.host/1\","));
            host.as_object_mut().unwrap().remove("schema");
            host
        })
        .collect();
    assert_eq!(&Value::Array(hosts), &json["hosts"]);
    assert!(json["hosts"].as_array().unwrap().len() > 1);
}

#[test]
fn the_list_of_signatures_has_every_indicator() {
    let set = SignatureSet::builtin();
    let json: Value = serde_json::from_slice(&kaspector(&["signatures", "list", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["sha256"], set.sha256());
    let ids: Vec<&str> = json["indicators"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, set.iter().map(|one| one.id.as_str()).collect::<Vec<_>>());
    let text = kaspector(&["signatures", "list", "--format", "csv"]).stdout;
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), set.len());
    assert!(rows.iter().zip(set.iter()).all(|(row, one)| row[0] == one.id && &row[1] == one.kind.name()));
}
