//! The Lua plugin marks in tshark the packets that Kaspector names as evidence by a name, and nothing in decoys.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/name_fields.rs"]
mod name_fields;

use kaspector::matching::{SignatureSet, Strength};
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, ScanOptions, Takers, scan};
use name_fields::NAMES;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn tshark(capture: &Path, table: &Path) -> Output {
    Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .arg("-X")
        .arg(format!("lua_script:{}", root().join("plugins/wireshark/kaspector.lua").display()))
        .args(["-Y", "kaspector.indicator", "-T", "fields"])
        .args([
            "-e",
            "frame.number",
            "-e",
            "kaspector.indicator",
            "-e",
            "kaspector.strength",
            "-e",
            "kaspector.category",
        ])
        .env("KASPECTOR_TABLE", table)
        .output()
        .unwrap()
}

fn has_tshark() -> bool {
    let there = Command::new("tshark")
        .arg("-v")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("with Lua"));
    if !there {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: scripts/install-deps test");
        eprintln!("skipped: needs tshark with Lua");
    }
    there
}

/// What differs on one capture.
fn differences(capture: &Path, table: &Path, signatures: &Arc<SignatureSet>) -> Vec<String> {
    let options = ScanOptions { inputs: expand([capture]), threads: 1, ..ScanOptions::default() };
    let hosts = scan(&options, signatures, &Progress::default(), Takers::default()).unwrap().report.hosts;
    let lines = hosts.iter().flat_map(|host| &host.evidence).filter(|line| {
        let one = signatures.get(line.indicator);
        let is_name = !one.names().is_empty();
        NAMES.contains(&line.field) && is_name && one.strength != Strength::Browse
    });
    let expected: BTreeSet<(u64, &str)> =
        lines.map(|line| (line.example.packet, signatures.get(line.indicator).id.as_str())).collect();
    let output = tshark(capture, table);
    let text = String::from_utf8(output.stdout).unwrap();
    let name = capture.file_name().unwrap().to_str().unwrap();
    let mut wrong = Vec::new();
    let mut marked = BTreeSet::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let lists = columns[1].split(',').zip(columns[2].split(',')).zip(columns[3].split(','));
        for ((id, strength), category) in lists {
            let one = signatures.find(id).unwrap();
            assert_eq!((one.strength.name(), one.category.name()), (strength, category), "{name}");
            marked.insert((columns[0].parse::<u64>().unwrap(), id));
        }
    }
    if hosts.is_empty() && !marked.is_empty() {
        wrong.push(format!("{name}: a decoy is marked: {marked:?}"));
    }
    wrong
        .extend(expected.difference(&marked).map(|(packet, id)| format!("{name}: packet {packet} is not marked {id}")));
    wrong
}

#[test]
fn tshark_marks_the_packets_that_names_give() {
    if !has_tshark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("kaspector.tsv");
    let signatures = Arc::new(SignatureSet::builtin());
    let pack = kaspector_export::wireshark(&signatures, &kaspector_export::Options::default());
    std::fs::write(&table, &pack.files[0].bytes).unwrap();
    let found = std::fs::read_dir(root().join("pcaps")).unwrap().map(|entry| entry.unwrap().path());
    let captures: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|ending| ending == "pcap")).collect();
    assert!(captures.len() > 80);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(capture) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let differences = differences(capture, &table, &signatures);
                    wrong.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_table_there_is_an_error_and_no_field() {
    if !has_tshark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("pcaps/dns-then-tls.pcap");
    let fails = |table: &Path, why: &str| {
        let output = tshark(&capture, table);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(why) && said.contains("kaspector export wireshark"),
            "{said}"
        );
    };
    fails(&folder.path().join("none"), "there is no table at");
    let table = folder.path().join("table");
    for (text, why) in [
        ("", "does not begin with kaspector-wireshark/1"),
        ("other\n", "does not begin with kaspector-wireshark/1"),
        ("kaspector-wireshark/1\n\n# comment\nname\tx.example\n", ":4: not five columns"),
        ("kaspector-wireshark/1\nkind\tx\tA-1\tupdate\tinstalled\n", ":2: unknown kind"),
        ("kaspector-wireshark/1\naddress\tx\tA-1\tupdate\tinstalled\n", ":2: no range of addresses"),
    ] {
        std::fs::write(&table, text).unwrap();
        fails(&table, why);
    }
}

/// A suffix ends at a label, a star stays in its label, the closest row wins, and ranges of both families hold their addresses.
#[test]
fn rows_match_as_the_detector_matches() {
    if !has_tshark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    let capture = root().join("pcaps/dns-then-tls.pcap");
    let marks = |rows: &str| {
        std::fs::write(&table, format!("kaspector-wireshark/1\n{rows}")).unwrap();
        let output = tshark(&capture, &table);
        let text = String::from_utf8(output.stdout).unwrap();
        let ids: BTreeSet<String> =
            text.lines().flat_map(|line| line.split('\t').nth(1).unwrap().split(',').map(str::to_owned)).collect();
        ids.into_iter().collect::<Vec<_>>().join(" ")
    };
    let row = |kind: &str, value: &str, id: &str| format!("{kind}\t{value}\t{id}\tupdate\tinstalled\n");
    // The capture holds s07.upd.kaspersky.com and addresses of 10.20.0.0/24.
    assert_eq!(marks(&row("suffix", "kaspersky.com", "A-1")), "A-1");
    assert_eq!(marks(&row("suffix", "ersky.com", "A-1")), "");
    assert_eq!(marks(&row("template", "s*.upd.kaspersky.com", "A-1")), "A-1");
    assert_eq!(marks(&row("template", "s07*.upd.kaspersky.com", "A-1")), "");
    assert_eq!(marks(&row("template", "*.kaspersky.com", "A-1")), "");
    let suffixes = row("suffix", "kaspersky.com", "A-1") + &row("suffix", "upd.kaspersky.com", "A-2");
    assert_eq!(marks(&suffixes), "A-2");
    assert_eq!(marks(&(suffixes.clone() + &row("name", "s07.upd.kaspersky.com", "A-3"))), "A-3");
    assert_eq!(marks(&(suffixes.clone() + &row("not-name", "s07.upd.kaspersky.com", "A-3"))), "");
    assert_eq!(marks(&(suffixes + &row("not-suffix", "s07.upd.kaspersky.com", "A-3"))), "");
    assert_eq!(marks(&(row("address", "10.20.0.0/16", "A-1") + &row("address", "10.20.0.0/17", "A-2"))), "A-2");
    assert_eq!(marks(&(row("address", "10.21.0.0/16", "A-1") + &row("address", "::/0", "A-2"))), "");
}
