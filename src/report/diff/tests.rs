#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::{TableStyle, samples};
use kaspector::decode::MacAddress;
use kaspector::matching::{Alternatives, Role, SignatureSet, Verdict};
use serde_json::{Value, json};
use std::sync::Arc;

/// The hosts of the sample, with another address each, so many times.
fn report(change: impl FnOnce(&mut Vec<HostFinding>)) -> HostsReport {
    let scan = samples::report();
    let mut hosts = scan.hosts;
    change(&mut hosts);
    HostsReport {
        inputs: scan.inputs.into_iter().map(|input| input.path).collect(),
        sources: Vec::new(),
        in_all: hosts.len(),
        hosts,
        ..HostsReport::default()
    }
}

/// The same a day later.
fn later(hosts: &mut [HostFinding]) {
    hosts.iter_mut().for_each(|host| host.last_seen.0 += 86_400_000_000_000);
}

fn changes(diff: &HostsDiff<'_>) -> Vec<(HostChange, String, Vec<HostPart>)> {
    let told = |entry: &Entry<'_>| (entry.change, entry.host.address.to_string(), entry.differs.clone());
    diff.entries.iter().map(told).collect()
}

#[test]
fn each_host_has_one_change_and_all_are_counted() {
    let old = report(|hosts| {
        let mut gone = hosts[0].clone();
        gone.host.address = "10.20.0.9".parse().unwrap();
        let mut not_heard = gone.clone();
        not_heard.host.address = "10.20.0.8".parse().unwrap();
        hosts.extend([gone, not_heard]);
    });
    let new = report(|hosts| {
        later(hosts);
        // The kept copy of a host that showed nothing since.
        let mut not_heard = samples::report().hosts[0].clone();
        not_heard.host.address = "10.20.0.8".parse().unwrap();
        let mut came = hosts[2].clone();
        came.host.address = "10.20.0.77".parse().unwrap();
        hosts[0].role = Role::Relay;
        hosts[0].mac = Some(MacAddress([2, 0, 0, 0, 0, 9]));
        hosts[2].verdict = Verdict::Suspected;
        hosts[2].products = Arc::new(Alternatives::of([&["KES Windows 11.6+".to_owned()][..]]));
        hosts.extend([not_heard, came]);
    });
    let diff = HostsDiff::of(("a.state", &old), ("b.state", &new));
    use HostChange::{Appeared, Changed, Risen, Silent};
    use HostPart::{Mac, Products, Role as OfRole, Verdict as OfVerdict};
    assert_eq!(
        changes(&diff),
        [
            (Appeared, "10.20.0.77".to_owned(), vec![]),
            (Silent, "10.20.0.8".to_owned(), vec![]),
            (Silent, "10.20.0.9".to_owned(), vec![]),
            (Risen, "10.20.0.7".to_owned(), vec![OfVerdict, Products]),
            (Changed, "10.20.0.5".to_owned(), vec![OfRole, Mac]),
        ]
    );
    assert_eq!(diff.unchanged(), 1);
    let of_new = HostChange::ALL.iter().filter(|&&change| change != Silent).map(|&change| diff.count(change));
    assert_eq!(of_new.sum::<usize>() + diff.unchanged() + 1, new.hosts.len());
    assert!(diff.is_heard());
}

#[test]
fn a_verdict_that_fell_is_a_change_and_a_mac_that_is_not_seen_is_none() {
    let old = report(|_| ());
    let new = report(|hosts| {
        later(hosts);
        hosts[0].verdict = Verdict::Suspected;
        hosts[0].mac = None;
    });
    let diff = HostsDiff::of(("a", &old), ("b", &new));
    assert_eq!(changes(&diff), [(HostChange::Changed, "10.20.0.5".to_owned(), vec![HostPart::Verdict])]);
    assert_eq!(diff.unchanged(), 2);
}

#[test]
fn the_same_inventory_twice_says_that_nobody_may_have_listened() {
    let report = report(|_| ());
    let diff = HostsDiff::of(("a", &report), ("a", &report));
    assert_eq!((diff.count(HostChange::Silent), diff.is_heard()), (3, false));
    let mut table = Vec::new();
    write_diff_table(&mut table, &diff, TableStyle::default()).unwrap();
    let table = String::from_utf8(table).unwrap();
    assert!(table.replace('\n', " ").contains("whether they are gone, or nobody listened"), "{table}");
}

#[test]
fn each_form_tells_the_same_and_no_name_controls_it() {
    let hostile = "\u{1b}[2J=x";
    let old = report(|hosts| hosts[1].last_seen.0 -= 1);
    let new = report(|hosts| {
        later(hosts);
        hosts[0].engine_in = Arc::new(Alternatives::of([&[hostile.to_owned()][..]]));
        hosts.remove(1);
    });
    let diff = HostsDiff::of(("a\u{1b}.state", &old), ("b.state", &new));
    let (mut table, mut csv, mut json) = (Vec::new(), Vec::new(), Vec::new());
    write_diff_table(&mut table, &diff, TableStyle::default()).unwrap();
    write_diff_csv(&mut csv, &diff).unwrap();
    write_diff_json(&mut json, &diff, &SignatureSet::builtin()).unwrap();
    assert_eq!(
        String::from_utf8(table).unwrap(),
        "CHANGE    HOST       VERDICT                   LAST SEEN (UTC)
silent    10.20.0.53 vlan 120.7 vni 5001 (relay)
                     suspected                 2026-11-23 15:44
  update
changed   10.20.0.5  confirmed                 2026-11-24 15:44
  products: now also engine in \\u{1b}[2J=x

0 appeared, 1 silent, 0 risen, 1 changed; 1 unchanged.
Old: a\\u{1b}.state, 3 hosts, 1 of them confirmed; last evidence 2026-11-23 15:44
UTC.
New: b.state, 2 hosts, 1 of them confirmed; last evidence 2026-11-24 15:44 UTC.
"
    );
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["schema"], "kaspector.diff/1");
    assert_eq!(json["counts"], json!({"appeared": 0, "silent": 1, "risen": 0, "changed": 1, "unchanged": 1}));
    assert_eq!(json["new"]["last_seen"], "2026-11-24T15:44:59.449556Z");
    let told: Vec<&Value> = json["hosts"].as_array().unwrap().iter().map(|host| &host["change"]).collect();
    assert_eq!(told, ["silent", "changed"]);
    assert_eq!((&json["hosts"][0]["new"], &json["hosts"][0]["vlan"]), (&Value::Null, &json!(120)));
    assert_eq!(json["hosts"][1]["differs"], json!(["products"]));
    assert_eq!(json["hosts"][1]["new"]["engine_in"], json!([hostile]));
    let csv = String::from_utf8(csv).unwrap();
    let mut rows = ::csv::Reader::from_reader(csv.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let rows: Vec<::csv::StringRecord> = rows.records().collect::<Result<_, _>>().unwrap();
    let cell = |row: usize, name: &str| &rows[row][columns.iter().position(|column| column == name).unwrap()];
    assert_eq!(
        (rows.len(), cell(0, "change"), cell(0, "new_verdict"), cell(0, "old_role")),
        (2, "silent", "", "relay")
    );
    assert_eq!((cell(1, "differs"), cell(1, "old_engine_in")), ("products", ""));
    assert_eq!(cell(1, "new_engine_in"), "\\u{1b}[2J=x");
    assert!(!csv.contains('\u{1b}'));
}
