//! The program from outside: arguments in, standard output and exit code out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn kaspector(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("kaspector")
        .unwrap()
        .current_dir(root())
        .env_remove("NO_COLOR")
        .args(arguments)
        .output()
        .unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const UPDATE: &str = "pcaps/dns-then-tls.pcap";
const NOTHING: &str = "pcaps/unrelated.pcap";
const BROWSING: &str = "pcaps/browsing-www.pcap";

#[test]
fn a_table_fits_eighty_columns_and_has_no_colour_in_a_pipe() {
    let output = kaspector(&["scan", UPDATE]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    assert!(table.contains("10.20.0.5") && table.contains("confirmed") && table.contains("update"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(!table.contains('\x1b'));
    let summary = text(&output.stderr);
    assert!(summary.contains("packets/s") && summary.contains("b/s"), "{summary}");
    assert!(!summary.contains('\x1b'));
}

#[test]
fn json_keeps_the_documented_shape() {
    let output = kaspector(&["scan", UPDATE, NOTHING, "--format", "json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["schema"], "kaspector.scan/1");
    assert_eq!(answer["signatures"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(answer["inputs"].as_array().unwrap().len(), 2);
    assert_eq!(answer["inputs"][0]["path"], UPDATE);
    assert_eq!(answer["inputs"][0]["link_types"], serde_json::json!(["EN10MB"]));
    assert!(answer["inputs"][0]["error"].is_null());
    let outcomes: u64 =
        answer["counters"]["outcomes"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(answer["counters"]["packets"].as_u64(), Some(outcomes));
    let host = &answer["hosts"][0];
    for key in [
        "address",
        "vlan",
        "mac",
        "verdict",
        "confidence",
        "role",
        "categories",
        "products",
        "first_seen",
        "last_seen",
        "flows",
        "bytes_sent",
        "bytes_received",
        "evidence",
    ] {
        assert!(host.get(key).is_some(), "{key}");
    }
    let evidence = &host["evidence"][0];
    for key in [
        "indicator",
        "category",
        "strength",
        "seen_as",
        "reached",
        "field",
        "observed",
        "count",
        "first_seen",
        "last_seen",
        "server",
        "server_port",
        "example",
    ] {
        assert!(evidence.get(key).is_some(), "{key}");
    }
    assert!(evidence["example"]["packet"].as_u64().unwrap() >= 1);
}

#[test]
fn csv_has_a_row_for_each_piece_of_evidence() {
    let json: Value = serde_json::from_slice(&kaspector(&["scan", UPDATE, "--format", "json"]).stdout).unwrap();
    let lines =
        json["hosts"].as_array().unwrap().iter().map(|host| host["evidence"].as_array().unwrap().len()).sum::<usize>();
    let output = kaspector(&["scan", UPDATE, "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), lines);
    assert!(rows.iter().all(|row| row.len() == columns));
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let code = |arguments: &[&str]| kaspector(arguments).status.code().unwrap();
    assert_eq!(code(&["scan", UPDATE]), 0);
    assert_eq!(code(&["scan", NOTHING, "--fail-on", "browsing"]), 0);
    assert_eq!(code(&["scan", UPDATE, "--fail-on", "confirmed"]), 3);
    assert_eq!(code(&["scan", UPDATE, "--fail-on", "browsing"]), 3);
    assert_eq!(code(&["scan", BROWSING, "--fail-on", "suspected"]), 0);
    assert_eq!(code(&["scan", BROWSING, "--fail-on", "browsing"]), 3);
    assert_eq!(code(&["scan", "no-such-file.pcap"]), 4);
    assert_eq!(code(&["scan", "no-such-file.pcap", UPDATE]), 4);
    assert_eq!(code(&["scan"]), 2);
    assert_eq!(code(&["scan", UPDATE, "--no-such-option"]), 2);
    assert_eq!(code(&["scan", UPDATE, "--filter", "no filter at all"]), 2);
    assert_eq!(code(&["scan", UPDATE, "--signatures", "pcaps"]), 2);
    assert_eq!(code(&["scan", UPDATE, "--eve", "no/such/folder/eve.json"]), 1);
    assert_eq!(code(&["signatures", "test", "s07.upd.kaspersky.com"]), 0);
    assert_eq!(code(&["signatures", "test", "notkaspersky.com"]), 3);
    assert_eq!(code(&["signatures", "show", "KL-XXX-9999"]), 2);
    assert_eq!(code(&["signatures", "check", "signatures"]), 0);
}

#[test]
fn one_bad_input_costs_only_itself() {
    let output = kaspector(&["scan", "no-such-file.pcap", "README.md", UPDATE]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stdout).contains("10.20.0.5"));
    let complaints = text(&output.stderr);
    assert!(complaints.contains("no-such-file.pcap") && complaints.contains("README.md"), "{complaints}");
}

#[test]
fn standard_input_is_an_input_like_any_other() {
    for file in
        [UPDATE, "pcaps/derived/gzip.pcap.gz", "pcaps/derived/zstandard.pcap.zst", "pcaps/derived/pcapng.pcapng"]
    {
        let whole = fs::read(root().join(file)).unwrap();
        let output = Command::cargo_bin("kaspector").unwrap().args(["scan", "-"]).write_stdin(whole).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("confirmed"), "{file}");
    }
}

#[test]
fn eve_is_one_alert_per_host_indicator_and_flow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let output = kaspector(&["scan", UPDATE, "--eve", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let lines = fs::read_to_string(&path).unwrap();
    let alerts: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!alerts.is_empty());
    let mut seen = std::collections::BTreeSet::new();
    for alert in &alerts {
        assert_eq!(alert["event_type"], "alert");
        assert_eq!(alert["pcap_filename"], UPDATE);
        let indicator = alert["alert"]["metadata"]["kaspector_indicator"][0].to_string();
        let identity = (alert["flow_id"].as_u64(), indicator, alert["src_ip"].to_string());
        assert!(seen.insert(identity), "{alert}");
    }
    let to_stdout = kaspector(&["scan", UPDATE, "--eve", "-"]);
    assert_eq!(text(&to_stdout.stdout), lines);
    assert_eq!(kaspector(&["scan", UPDATE, "--eve", "-", "--format", "json"]).status.code(), Some(2));
}

#[test]
fn a_filter_leaves_packets_out_and_counts_them() {
    let output = kaspector(&["scan", UPDATE, "--filter", "udp port 53", "--format", "json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["hosts"][0]["verdict"], "suspected");
    assert!(answer["counters"]["outcomes"]["filtered"].as_u64().unwrap() > 0);
}

/// A capture of VXLAN at another port than the assigned one.
fn vxlan_at(port: u16, folder: &Path) -> PathBuf {
    let mut bytes = fs::read(root().join("pcaps/derived/vxlan.pcap")).unwrap();
    let mut at = 24;
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        // Behind the headers of record, Ethernet and IPv4, and the source port.
        let place = at + 16 + 14 + 20 + 2;
        assert_eq!(bytes[place..place + 2], 4789_u16.to_be_bytes());
        bytes[place..place + 2].copy_from_slice(&port.to_be_bytes());
        at += 16 + length;
    }
    let path = folder.join("vxlan.pcap");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn tunnels_at_ports_of_the_site_are_opened_once_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = vxlan_at(14789, folder.path());
    let path = path.to_str().unwrap();
    let scan = |options: &[&str]| -> Value {
        let output = kaspector(&[&["scan", path, "--format", "json"], options].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let blind = scan(&[]);
    assert!(blind["hosts"].as_array().unwrap().is_empty());
    assert!(blind["counters"]["bounds"]["unknown_port_vxlan"].as_u64() > Some(0), "{}", blind["counters"]);
    for threads in ["1", "4"] {
        let named = scan(&["--tunnel", "gre:9", "--tunnel", "vxlan:14789", "--threads", threads]);
        assert_eq!(named["hosts"][0]["verdict"], "confirmed");
        assert_eq!(named["hosts"][0]["address"], "10.20.0.5");
        assert!(
            named["counters"]["bounds"].as_object().is_none_or(|bounds| !bounds.contains_key("unknown_port_vxlan"))
        );
    }
    let wrong = kaspector(&["scan", path, "--tunnel", "l2tp:9"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("expected KIND:PORT"), "{}", text(&wrong.stderr));
    let nine = vec!["--tunnel=vxlan:9"; 9];
    assert_eq!(kaspector(&[&["scan", path][..], &nine].concat()).status.code(), Some(2));
}

#[test]
fn signatures_may_be_replaced_and_extended() {
    let folder = tempfile::tempdir().unwrap();
    let own = r#"
version = "1"
[[indicator]]
id = "KL-UPD-0499"
match = "suffix"
value = "mirror.example"
category = "update"
strength = "installed"
products = ["our own mirror"]
era = "2026"
sources = ["https://wiki.example/mirror"]
date = 2026-11-23
note = ""
"#;
    fs::write(folder.path().join("own.toml"), own).unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(kaspector(&["signatures", "test", "a.mirror.example", "--signatures", path]).status.code(), Some(0));
    assert_eq!(
        kaspector(&["signatures", "test", "s07.upd.kaspersky.com", "--signatures", path]).status.code(),
        Some(3)
    );
    assert_eq!(
        kaspector(&["signatures", "test", "s07.upd.kaspersky.com", "--signatures-extra", path]).status.code(),
        Some(0)
    );
    assert!(text(&kaspector(&["scan", UPDATE, "--signatures", path]).stdout).contains("No host"));
    fs::write(folder.path().join("own.toml"), own.replace("\"update\"", "\"updates\"")).unwrap();
    let output = kaspector(&["signatures", "check", path]);
    assert_eq!(output.status.code(), Some(2));
    let complaint = text(&output.stderr);
    assert!(
        complaint.contains("own.toml:7") && complaint.contains("updates") && complaint.contains("update,"),
        "{complaint}"
    );
}

#[test]
fn values_are_shown_as_they_are_written_and_on_one_line() {
    let expression = text(&kaspector(&["signatures", "show", "KL-UPD-0062"]).stdout);
    assert!(expression.contains(r"^\*[A-Za-z0-9+/]{40,}={0,2}$"), "{expression}");
    let list = text(&kaspector(&["signatures", "list"]).stdout);
    assert!(list.lines().all(|line| line.starts_with("KL-")), "a value with a line end breaks the line");
}

#[test]
fn a_set_that_finds_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("set.toml"), "version = \"1\"\n").unwrap();
    let path = folder.path().to_str().unwrap();
    for arguments in [&["signatures", "check", path][..], &["scan", UPDATE, "--signatures", path]] {
        let output = kaspector(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("no indicator in this folder's files"));
    }
    assert_eq!(kaspector(&["scan", UPDATE, "--signatures-extra", path]).status.code(), Some(0));
}

#[test]
fn a_compressed_capture_cut_before_its_first_block_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(root().join("pcaps/derived/zstandard.pcap.zst")).unwrap();
    let cut = folder.path().join("cut.pcap.zst");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let output = kaspector(&["scan", cut.to_str().unwrap()]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{complaint}");
    assert!(complaint.contains("reading stops at byte 0") && complaint.contains("zstd -t"), "{complaint}");
}

#[test]
fn help_is_complete() {
    let commands =
        ["", "scan", "signatures", "signatures list", "signatures show", "signatures check", "signatures test"];
    for command in commands {
        let output = kaspector(&command.split_whitespace().chain(["--help"]).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        assert!(help.contains("Usage:") && help.contains("Example"), "{command}: {help}");
        assert!(help.contains(&format!("  kaspector {command}")), "{command}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
    let scan = text(&kaspector(&["scan", "--help"]).stdout);
    let options = [
        "--format",
        "--eve",
        "--eve-compat",
        "--signatures",
        "--signatures-extra",
        "--threads",
        "--filter",
        "--fail-on",
        "--no-progress",
        "--quiet",
        "--verbose",
        "Examples:",
    ];
    for option in options {
        assert!(scan.contains(option), "{option}");
    }
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error() {
    let binary = assert_cmd::cargo::cargo_bin("kaspector");
    for arguments in [
        "signatures list",
        "scan -q pcaps --format csv",
        "scan -q pcaps --format json",
        "scan -q pcaps --format table",
        "scan -q pcaps --eve -",
    ] {
        let script = format!("{} {arguments} | head -n 1; exit ${{PIPESTATUS[0]}}", binary.display());
        let output = std::process::Command::new("bash").args(["-c", &script]).current_dir(root()).output().unwrap();
        let said = text(&output.stderr);
        assert!(!said.contains("pipe"), "{arguments}: {said}");
        // Captures that are damaged on purpose are in the folder, but none that cannot be read at all.
        assert_eq!(output.status.code(), Some(0), "{arguments}: {said}");
    }
}

#[test]
fn quiet_says_nothing_beside_the_answer() {
    assert!(kaspector(&["scan", UPDATE, "-q"]).stderr.is_empty());
    assert!(text(&kaspector(&["scan", UPDATE, "-v"]).stderr).contains("inspected"));
}

#[test]
fn folders_are_searched_and_patterns_expanded() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::copy(root().join(UPDATE), folder.path().join("deep/a.cap")).unwrap();
    fs::write(folder.path().join("notes.txt"), "no capture").unwrap();
    let count = |argument: &Path| -> usize {
        let output = kaspector(&["scan", argument.to_str().unwrap(), "--format", "json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["inputs"].as_array().unwrap().len()
    };
    assert_eq!(count(folder.path()), 1);
    assert_eq!(count(&folder.path().join("*/*.cap")), 1);
}
