//! Every capture in `pcaps/` gives the answer that is written beside it.
//!
//! `NAME.expect.json` was written from what the clients in the capture did, not from what the program said. `NAME.hosts.json` is the
//! program's whole answer; `UPDATE_GOLDEN=1 cargo test --test golden` rewrites it, and the difference is to be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::matching::{HostFinding, SignatureSet};
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, Scan, ScanOptions, Takers, scan};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn captures() -> Vec<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps");
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(root)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.to_str().unwrap().ends_with(".expect.json"))
        .collect();
    found.sort();
    found
}

/// The capture beside an expectation: the one file with the same stem and another ending.
fn capture_of(expectation: &Path) -> PathBuf {
    let stem = expectation.to_str().unwrap().strip_suffix(".expect.json").unwrap();
    let endings = [
        "pcap",
        "pcapng",
        "pcap.gz",
        "pcap.zst",
        "pcapng.gz",
        "pcapng.zst",
        "pcap.xz",
        "pcap.bz2",
        "pcap.lz4",
        "snoop",
        "cap",
        "enc",
        "erf",
    ];
    let found: Vec<PathBuf> =
        endings.iter().map(|ending| PathBuf::from(format!("{stem}.{ending}"))).filter(|p| p.exists()).collect();
    assert_eq!(found.len(), 1, "one capture beside {}", expectation.display());
    found.into_iter().next().unwrap()
}

fn scan_with(path: &Path, threads: usize) -> Scan {
    let options = ScanOptions { inputs: expand([path]), threads, ..ScanOptions::default() };
    scan(&options, &Arc::new(SignatureSet::builtin()), &Progress::default(), Takers::default()).unwrap()
}

fn differs(expected: &Value, found: &HostFinding, signatures: &SignatureSet) -> Option<String> {
    let text = |key: &str| expected[key].as_str();
    if text("verdict").is_some_and(|verdict| verdict != found.verdict.name()) {
        return Some(format!("verdict {}", found.verdict.name()));
    }
    if text("role").is_some_and(|role| role != found.role.name()) {
        return Some(format!("role {}", found.role.name()));
    }
    if !expected["vlan"].is_null() && expected["vlan"].as_u64() != found.host.zone.vlan.map(u64::from) {
        return Some(format!("vlan {:?}", found.host.zone.vlan));
    }
    let categories: BTreeSet<&str> =
        found.evidence.iter().map(|line| signatures.get(line.indicator).category.name()).collect();
    for category in expected["categories"].as_array().into_iter().flatten() {
        if !categories.contains(category.as_str().unwrap()) {
            return Some(format!("categories {categories:?}, expected {category}"));
        }
    }
    let notes: Vec<_> = expected["notes"].as_array().into_iter().flatten().map(|note| note.as_str().unwrap()).collect();
    if notes.len() != found.notes.len() || !notes.iter().zip(&found.notes).all(|(part, note)| note.contains(part)) {
        return Some(format!("notes {:?}, expected {notes:?}", found.notes));
    }
    for field in expected["absent"].as_array().into_iter().flatten() {
        if found.evidence.iter().any(|line| line.field.name() == field) {
            return Some(format!("evidence {field}, which should not be there"));
        }
    }
    for evidence in expected["evidence"].as_array().into_iter().flatten() {
        let field = evidence["field"].as_str();
        let observed = evidence["observed"].as_str();
        let connection_outcome = evidence["reached"].as_str();
        let there = found.evidence.iter().any(|line| {
            field.is_none_or(|field| line.field.name() == field)
                && observed.is_none_or(|observed| &*line.observed == observed)
                && connection_outcome
                    .is_none_or(|connection_outcome| line.connection_outcome.name() == connection_outcome)
        });
        if !there {
            let lines: Vec<_> = found
                .evidence
                .iter()
                .map(|line| (line.field.name(), &*line.observed, line.connection_outcome.name()))
                .collect();
            return Some(format!("evidence {lines:?}, expected {evidence}"));
        }
    }
    None
}

#[test]
fn each_capture_gives_its_answer() {
    let signatures = SignatureSet::builtin();
    let expectations = captures();
    assert!(!expectations.is_empty(), "there are captures");
    let mut wrong = Vec::new();
    for expectation in &expectations {
        let capture = capture_of(expectation);
        let expected: Value = serde_json::from_str(&std::fs::read_to_string(expectation).unwrap()).unwrap();
        let scan = scan_with(&capture, 1);
        let name = capture.file_name().unwrap().to_str().unwrap().to_owned();
        let packets: u64 = scan.report.inputs.iter().map(|input| input.packets).sum();
        if packets != scan.report.outcomes.total() {
            wrong.push(format!("{name}: {packets} packets, but outcomes add up to {}", scan.report.outcomes.total()));
        }
        let mut found: Vec<&HostFinding> = scan.report.hosts.iter().collect();
        for host in expected["hosts"].as_array().unwrap() {
            let address = host["address"].as_str().unwrap();
            let vlan = host["vlan"].as_u64();
            let at = found.iter().position(|finding| {
                finding.host.address.to_string() == address
                    && (vlan.is_none() || finding.host.zone.vlan.map(u64::from) == vlan)
            });
            match at {
                None => wrong.push(format!("{name}: {address} is missing")),
                Some(at) => {
                    let finding = found.remove(at);
                    if let Some(difference) = differs(host, finding, &signatures) {
                        wrong.push(format!("{name}: {address}: {difference}"));
                    }
                }
            }
        }
        for finding in found {
            wrong.push(format!(
                "{name}: {} is reported as {} and should not be: {:?}",
                finding.host.address,
                finding.verdict.name(),
                finding.evidence.iter().map(|line| (line.field.name(), &*line.observed)).collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} captures:\n{}", wrong.len(), expectations.len(), wrong.join("\n"));
}
