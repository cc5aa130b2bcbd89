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
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
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
    assert_eq!(code(&["scan", UPDATE, "--eve", "README.md"]), 2);
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

/// A folder of its own with these captures in it.
fn folder_of(captures: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, capture) in captures {
        fs::copy(root().join(capture), folder.path().join(name)).unwrap();
    }
    folder
}

/// Exit code, standard output and standard error of a command line of a shell; `kaspector` is the program.
#[cfg(unix)]
fn shell(folder: &Path, line: &str) -> (i32, String, String) {
    let program = assert_cmd::cargo::cargo_bin("kaspector");
    let line = format!("kaspector() {{ '{}' \"$@\"; }}; {line}", program.display());
    let output = std::process::Command::new("bash")
        .args(["-c", &line])
        .current_dir(folder)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), lossy(&output.stdout), lossy(&output.stderr))
}

#[cfg(unix)]
#[test]
fn no_output_is_written_over_an_input() {
    use std::os::unix::fs::symlink;
    let folder = folder_of(&[("a.pcap", UPDATE), ("b.pcap", BROWSING), ("c.pcap", UPDATE), ("log-wal", UPDATE)]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("foreign"), "bookmarks\n").unwrap();
    fs::hard_link(at("a.pcap"), at("hard")).unwrap();
    symlink("a.pcap", at("soft")).unwrap();
    fs::create_dir(at("own")).unwrap();
    fs::write(at("own/set.toml"), "version = \"1\"\n").unwrap();
    let before = |name: &str| fs::read(at(name)).unwrap();
    let (a, set) = (before("a.pcap"), before("own/set.toml"));
    for (line, said) in [
        ("kaspector scan --eve *.pcap", "a.pcap: this is a capture"),
        ("kaspector scan --force --eve *.pcap", "a.pcap: this is a capture"),
        ("kaspector scan --state *.pcap", "a.pcap: this is a capture"),
        ("kaspector scan --force --state *.pcap", "a.pcap: this is a capture"),
        ("kaspector scan *.pcap --eve a.pcap", "a.pcap: this is an input"),
        ("kaspector scan *.pcap --force --eve ./a.pcap", "an input"),
        ("kaspector scan a.pcap --force --eve hard", "hard: this is an input"),
        ("kaspector scan a.pcap --force --eve soft", "soft: this is an input"),
        ("kaspector scan . --force --eve hard", "hard: this is an input"),
        ("kaspector scan '*.pcap' --force --eve soft", "soft: this is an input"),
        ("kaspector scan . --force --state soft", "soft: this is an input"),
        ("kaspector scan - --force --eve hard <a.pcap", "standard input"),
        ("kaspector scan a.pcap >>a.pcap", "standard output: this is an input"),
        ("kaspector scan a.pcap --signatures-extra own --force --eve own/set.toml", "a signature file"),
        ("kaspector scan a.pcap --eve same --state same", "same: this is the file for alerts"),
        ("kaspector scan a.pcap --eve same-wal --state same", "same-wal: this is the file for alerts"),
        ("kaspector scan log-wal --state log", "log-wal: this is an input"),
        ("kaspector scan a.pcap --force --state log", "log-wal: this is a capture"),
        // The inventory is not touched either when the alerts cannot go where they should.
        ("kaspector scan a.pcap --force --state foreign --eve a.pcap", "a.pcap: this is an input"),
        ("kaspector scan a.pcap --state new --eve a.pcap", "a.pcap: this is an input"),
        ("kaspector scan a.pcap --state foreign --eve new", "foreign: not a state file"),
    ] {
        let (code, out, err) = shell(folder.path(), line);
        assert_eq!(code, 2, "{line}: {err}");
        assert!(err.contains(said) && err.lines().count() == 1, "{line}: {err}");
        assert!(out.is_empty(), "{line}: {out}");
        assert!(before("a.pcap") == a && before("log-wal") == a && before("own/set.toml") == set, "{line}");
        assert!(before("foreign") == b"bookmarks\n" && !at("same").exists() && !at("new").exists(), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn machines_without_findings_are_listed_with_their_names() {
    let names = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/names.pcap");
    let folder = folder_of(&[("a.pcap", UPDATE)]);
    fs::copy(names, folder.path().join("names.pcap")).unwrap();
    let line = "kaspector scan a.pcap names.pcap --format machines";
    let (code, out, err) = shell(folder.path(), line);
    assert_eq!(code, 0, "{err}");
    let row = |address: &str| out.lines().find(|row| row.starts_with(&format!("{address},"))).unwrap_or_default();
    let client = row("10.20.0.100");
    for part in ["DESK-7 (dhcp)", "DESK-7 (ntlm)", "CORP.EXAMPLE (kerberos)", ",judged,"] {
        assert!(client.contains(part), "{part}: {out}");
    }
    assert!(client.ends_with(','), "it shows nothing: {client}");
    assert!(row("10.20.0.5").ends_with(",confirmed"), "{out}");
    // It is known for an answer of this program.
    for _ in 0..2 {
        assert_eq!(shell(folder.path(), &format!("{line} -o machines.csv")).0, 0);
    }
    assert_eq!(fs::read_to_string(folder.path().join("machines.csv")).unwrap(), out);
}

#[cfg(unix)]
#[test]
fn a_file_of_somebody_else_is_written_over_only_by_force() {
    let folder = folder_of(&[("a.pcap", UPDATE)]);
    let at = |name: &str| folder.path().join(name);
    let (code, _, err) = shell(folder.path(), "kaspector scan a.pcap --eve eve.json");
    assert_eq!(code, 0, "{err}");
    let alerts = fs::read_to_string(at("eve.json")).unwrap();
    assert!(!alerts.is_empty());
    // The same again, also where the answer, or an earlier one, lies among the captures.
    fs::write(at("earlier.json"), &alerts).unwrap();
    for line in ["kaspector scan a.pcap --eve eve.json", "kaspector scan . --eve eve.json"] {
        assert_eq!(shell(folder.path(), line).0, 0, "{line}");
        assert_eq!(fs::read_to_string(at("eve.json")).unwrap().lines().count(), alerts.lines().count());
    }
    let of_a_sensor = alerts.replace("pcap_filename", "in_iface");
    fs::write(at("live.json"), format!("{alerts}{of_a_sensor}")).unwrap();
    fs::write(at("notes.txt"), "noon\n").unwrap();
    for name in ["live.json", "notes.txt"] {
        let before = fs::read(at(name)).unwrap();
        let (code, out, err) = shell(folder.path(), &format!("kaspector scan a.pcap --eve {name}"));
        assert!(code == 2 && out.is_empty() && err.contains(name) && err.contains("--force"), "{code} {err}");
        assert_eq!(fs::read(at(name)).unwrap(), before);
        assert_eq!(shell(folder.path(), &format!("kaspector scan a.pcap --force --eve {name}")).0, 0);
        assert_eq!(fs::read_to_string(at(name)).unwrap(), alerts);
    }
    fs::write(at("foreign.db"), "bookmarks\n".repeat(1000)).unwrap();
    assert_eq!(shell(folder.path(), "kaspector scan a.pcap --state foreign.db").0, 2);
    assert!(fs::read_to_string(at("foreign.db")).unwrap().starts_with("bookmarks"));
    let line = "kaspector scan -q a.pcap --force --state foreign.db && kaspector hosts --state foreign.db";
    let (code, out, err) = shell(folder.path(), line);
    assert!(code == 0 && out.contains("10.20.0.5"), "{err}");
}

#[cfg(unix)]
#[test]
fn an_output_that_cannot_be_written_costs_nothing_else() {
    let folder = folder_of(&[("a.pcap", UPDATE)]);
    fs::write(folder.path().join("file"), "").unwrap();
    for (line, code, said) in [
        ("kaspector scan a.pcap --eve no/such/eve.json", 1, "no/such/eve.json: cannot be written: No such file"),
        ("kaspector scan a.pcap --eve .", 1, "name a file in it"),
        ("kaspector scan a.pcap --eve file/eve.json", 1, "is a file"),
        ("kaspector scan a.pcap --eve /proc/version", 1, "/proc/version"),
        ("kaspector scan a.pcap --eve /dev/full", 1, "/dev/full: not all alerts could be written: No space left"),
        ("kaspector scan a.pcap --fail-on confirmed --eve /dev/full", 1, "No space left"),
        ("kaspector scan a.pcap --state no/such/hosts.state", 1, "no/such/hosts.state"),
        ("kaspector scan a.pcap --state no/such/hosts.state --eve eve.json", 1, "no/such/hosts.state"),
    ] {
        let (ended, out, err) = shell(folder.path(), line);
        assert_eq!(ended, code, "{line}: {err}");
        assert!(err.contains("error:") && err.contains(said), "{line}: {err}");
        assert!(out.contains("10.20.0.5") && out.contains("confirmed"), "{line}: {out}");
    }
    assert!(fs::metadata(folder.path().join("eve.json")).unwrap().len() > 0, "one output does not cost another");
    let line = "kaspector scan a.pcap --state hosts.state >/dev/full; kaspector hosts --state hosts.state";
    let (_, out, err) = shell(folder.path(), line);
    assert!(out.contains("10.20.0.5") && err.contains("standard output: cannot be written"), "{out} {err}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_keeps_whole_lines() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "this test needs root, to mount a small disk");
        eprintln!("skipped: needs root, to mount a small disk");
        return;
    }
    let folder = folder_of(&[]);
    fs::create_dir(folder.path().join("small")).unwrap();
    // More alerts than the disk takes, out of many captures.
    for number in 0..40 {
        fs::copy(root().join(UPDATE), folder.path().join(format!("{number:02}.pcap"))).unwrap();
    }
    let script = "mount -t tmpfs -o size=64k tmpfs small || exit 77; kaspector scan *.pcap --eve small/eve.json; code=$?; \
        echo; echo LINES; cat small/eve.json; umount small; exit $code";
    let program = assert_cmd::cargo::cargo_bin("kaspector");
    let line = format!("kaspector() {{ '{}' \"$@\"; }}; {script}", program.display());
    let output = std::process::Command::new("unshare")
        .args(["--mount", "bash", "-c", &line])
        .current_dir(folder.path())
        .output();
    let output = output.unwrap();
    if output.status.code() == Some(77) {
        assert!(std::env::var_os("CI").is_none(), "{output:?}");
        eprintln!("skipped: no disk can be mounted");
        return;
    }
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("small/eve.json: not all alerts could be written: No space left on device"), "{err}");
    let (table, lines) = out.split_once("\nLINES\n").unwrap();
    assert!(table.contains("10.20.0.5") && table.contains("confirmed"), "{table}");
    assert!(lines.lines().count() > 10 && lines.ends_with('\n'), "{}", lines.len());
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[cfg(unix)]
#[test]
fn every_command_says_when_its_output_is_lost_and_none_when_nobody_reads_on() {
    let folder = folder_of(&[("a.pcap", UPDATE)]);
    assert_eq!(shell(folder.path(), "kaspector scan -q a.pcap --state hosts.state").0, 0);
    for command in [
        "--help",
        "--version",
        "scan --help",
        "scan a.pcap",
        "scan a.pcap --format json",
        "scan a.pcap --format csv",
        "scan a.pcap --eve -",
        "hosts --state hosts.state",
        "hosts --state hosts.state --format json",
        "hosts --state hosts.state --format csv",
        "signatures list",
        "signatures show KL-UPD-0001",
        "signatures test s07.upd.kaspersky.com",
        "watch -i lo --check-config",
    ] {
        let (code, _, err) = shell(folder.path(), &format!("kaspector {command} >/dev/full"));
        assert_eq!(code, 1, "{command}: {err}");
        let complaints = err.lines().filter(|line| line.starts_with("error:")).count();
        assert!(
            complaints == 1 && err.contains("standard output") && err.contains("No space left"),
            "{command}: {err}"
        );
        let (code, _, err) = shell(folder.path(), &format!("kaspector {command} | true; exit ${{PIPESTATUS[0]}}"));
        assert!(code == 0 && !err.contains("error:"), "{command}: {code} {err}");
        // Where nobody can be told what went wrong, it is still no reason to fail.
        for nowhere in ["2>/dev/full", "2>&-"] {
            assert_eq!(shell(folder.path(), &format!("kaspector {command} {nowhere}")).0, 0, "{command} {nowhere}");
        }
    }
    let (code, ..) = shell(folder.path(), "kaspector scan a.pcap --fail-on confirmed | true; exit ${PIPESTATUS[0]}");
    assert_eq!(code, 3, "what was asked for does not depend on who reads on");
}

#[cfg(unix)]
#[test]
fn names_of_any_bytes_are_read_and_told_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder_of(&[]);
    let names: [(&[u8], &str); 4] = [
        (b"caf\xe9.pcap", r"caf\xe9.pcap"),
        (b"caf\\xe9.pcap", r"caf\\xe9.pcap"),
        ("café.pcap".as_bytes(), "café.pcap"),
        (b"\xff\xfe/\xc3.pcap", r"\xff\xfe/\xc3.pcap"),
    ];
    for (name, _) in names {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(root().join(UPDATE), path).unwrap();
    }
    let mut expected: Vec<&str> = names.iter().map(|(_, display_path)| *display_path).collect();
    expected.sort_unstable();
    let paths = |line: &str| {
        let (code, out, err) = shell(folder.path(), &format!("{line} --format json"));
        assert_eq!(code, 0, "{line}: {err}");
        let answer: Value = serde_json::from_str(&out).unwrap();
        let path = |input: &Value| input["path"].as_str().unwrap().trim_start_matches("./").to_owned();
        let mut paths: Vec<String> = answer["inputs"].as_array().unwrap().iter().map(path).collect();
        paths.sort_unstable();
        paths
    };
    assert_eq!(paths("kaspector scan ."), expected);
    assert_eq!(paths("kaspector scan '**/*.pcap'"), expected);
    assert_eq!(paths("kaspector scan *.pcap */*.pcap"), expected);
    assert_eq!(paths("kaspector scan $'caf\\xe9*'"), [r"caf\xe9.pcap"]);
    assert_eq!(
        paths("kaspector scan 'caf?.pcap'"),
        ["café.pcap", r"caf\xe9.pcap"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
    );
    let (_, eve, _) = shell(folder.path(), "kaspector scan $'caf\\xe9.pcap' --eve -");
    let alert: Value = serde_json::from_str(eve.lines().next().unwrap()).unwrap();
    assert_eq!(alert["pcap_filename"], r"caf\xe9.pcap");
    for form in ["csv", "table"] {
        let line =
            format!("kaspector scan -q $'caf\\xe9.pcap' --state s.db && kaspector hosts --state s.db --format {form}");
        let (_, out, err) = shell(folder.path(), &line);
        assert!(out.contains(r"caf\xe9.pcap"), "{out} {err}");
    }
    let (code, _, err) = shell(folder.path(), "kaspector scan $'gone\\xe9.pcap' $'gone\\xe9*' $'\\xff[.pcap'");
    assert!(
        code == 4 && err.contains(r"gone\xe9.pcap: cannot be opened") && err.contains(r"gone\xe9*: no file"),
        "{err}"
    );
    let (code, _, err) = shell(folder.path(), "kaspector hosts --state $'gone\\xe9.db'");
    assert!(code == 2 && err.contains(r"gone\xe9.db: no such state file"), "{err}");
    let eve = "kaspector scan -q 'café.pcap' --eve $'out\\xe9.json' --state $'out\\xe9.db' && ls $'out\\xe9.json' $'out\\xe9.db'";
    assert_eq!(shell(folder.path(), eve).0, 0);
}

#[cfg(unix)]
#[test]
fn in_folders_only_captures_matter() {
    use std::os::unix::fs::symlink;
    let folder = folder_of(&[("a.pcap", UPDATE)]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("notes.txt"), "noon\n").unwrap();
    // As the linker's cache begins; its first bytes could be a time of 2023.
    let mut cache = b"glibc-ld.so.cache1.1\x00\x06\x00\x00\xb2\x35\x00\x00\x02\x00\x00\x00".to_vec();
    cache.extend((0..4096_u32).flat_map(|number| (number * 7919).to_le_bytes()));
    fs::write(at("ld.so.cache"), cache).unwrap();
    symlink("nowhere", at("gone.pcap")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let (code, out, err) = shell(folder.path(), "kaspector scan . --format json");
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("error:") && !err.contains("warning:"), "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["inputs"].as_array().unwrap().len(), 1);
    let left_out = serde_json::json!({"not_a_capture": 2, "dangling_link": 1, "special_file": 1});
    assert_eq!(answer["counters"]["left_out"], left_out);
    let (_, table, _) = shell(folder.path(), "kaspector scan .");
    assert!(table.contains("dangling_link 1, not_a_capture 2, special_file 1"), "{table}");
    for name in ["gone.pcap", "socket", "ld.so.cache"] {
        let (code, _, err) = shell(folder.path(), &format!("kaspector scan {name}"));
        assert!(code == 4 && err.contains(name), "{name}: {err}");
    }
}

/// Where there is too little memory, parts of the program fail, and what they found before is still told.
#[cfg(target_os = "linux")]
#[test]
fn what_memory_allows_is_read() {
    let folder = folder_of(&[]);
    for number in 0..12 {
        fs::copy(root().join(UPDATE), folder.path().join(format!("{number:02}.pcap"))).unwrap();
    }
    let (_, expected, _) = shell(folder.path(), "kaspector scan *.pcap --threads 1");
    let mut failures = 0;
    // What the program needs for one thread and for twelve differs from build to build.
    for megabytes in [200, 300, 400, 600, 800, 1600, 3200] {
        let line = format!("ulimit -v {}; kaspector scan *.pcap --threads 12", megabytes << 10);
        let (code, out, err) = shell(folder.path(), &line);
        assert!(!err.contains("panicked"), "{megabytes}: {err}");
        let failed = err.lines().filter(|line| line.starts_with("error: kaspector ")).count();
        assert!(failed <= 1, "{megabytes}: {err}");
        match code {
            0 => assert!(out == expected && failed == 0, "{megabytes}: {err}"),
            // Too little for a single thread; or enough for one after the other.
            1 => {
                failures += 1;
                assert!(err.contains("error:") && (out != expected || failed == 1), "{megabytes}: {err}");
            }
            // The allocator of the language ends a program that it has no memory for.
            other => assert_eq!(other, 134, "{megabytes}: {err}"),
        }
    }
    assert!(failures > 0, "no bound was low enough to tell anything");
}

#[test]
#[ignore = "the test below runs it, in a process of its own"]
fn a_process_that_panics() {
    kaspector_cli::process::report_panics();
    let worker = |name: &str, message: &'static str| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        assert!(thread.spawn(move || panic!("{message}")).unwrap().join().is_err());
    };
    worker("ring eth1 0", "out of\nbounds \u{1b}[2J");
    worker("ring eth1 1", "what follows from it");
    std::process::exit(7);
}

#[test]
fn a_panic_is_one_sentence() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "a_process_that_panics"])
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    let said = text(&output.stderr);
    let [line] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    let version = env!("CARGO_PKG_VERSION");
    assert!(line.starts_with(&format!("error: kaspector {version} failed at {}:", file!())), "{line}");
    assert!(line.contains(r", thread ring eth1 0: out of\nbounds \u{1b}[2J; unless "), "{line}");
}
