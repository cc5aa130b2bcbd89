//! An inventory of hosts in the forms of a scan's answer: the same host objects, rows and table.

use super::scan_json::{Signatures, write_with_hosts};
use super::scan_table::{WIDTH_MIN, counted, wrapped};
use super::spelling::{formatted, rfc3339};
use super::{HostsReport, SourceReport, TableStyle, scan_csv, scan_table};
use kaspector::matching::SignatureSet;
use serde::Serialize;
use std::io;

/// Writes the inventory as one JSON object, `kaspector.hosts/1`: its hosts are those of `kaspector.scan/1`.
///
/// # Errors
/// When `out` fails.
pub fn write_hosts_json(out: &mut impl io::Write, report: &HostsReport, signatures: &SignatureSet) -> io::Result<()> {
    let answer = Answer {
        schema: "kaspector.hosts/1",
        version: env!("CARGO_PKG_VERSION"),
        signatures: Signatures::of(signatures),
        sources: report.sources.iter().map(Source::of).collect(),
        hosts_in_all: report.in_all,
    };
    write_with_hosts(out, &answer, &report.hosts, report, signatures)
}

/// Writes the inventory as comma-separated values, in the columns of a scan.
///
/// # Errors
/// When `out` fails.
pub fn write_hosts_csv(out: &mut impl io::Write, report: &HostsReport, signatures: &SignatureSet) -> io::Result<()> {
    scan_csv::write_hosts(out, &report.hosts, report, signatures)
}

/// Writes the inventory for a person: the table of a scan, then who contributed to it and when.
///
/// # Errors
/// When `out` fails.
pub fn write_hosts_table(
    out: &mut impl io::Write,
    report: &HostsReport,
    signatures: &SignatureSet,
    style: TableStyle,
) -> io::Result<()> {
    let style = TableStyle { width: style.width.max(WIDTH_MIN), ..style };
    match (report.hosts.len(), report.in_all) {
        (0, 0) => writeln!(out, "No host is known.")?,
        (0, in_all) => writeln!(out, "No host is what was asked for; {} known in all.", counted(in_all, "host"))?,
        _ => scan_table::write_hosts(out, &report.hosts, report, signatures, style)?,
    }
    if report.hosts.len() < report.in_all && !report.hosts.is_empty() {
        writeln!(out, "{} known in all.", counted(report.in_all, "host"))?;
    }
    writeln!(out, "{}", wrapped(&sources(&report.sources), style.width))
}

/// `From 2 captures and 1 sensor; last saved 2026-11-23 15:43:54 UTC.`
fn sources(sources: &[SourceReport]) -> String {
    let Some(last) = sources.iter().map(|source| source.saved_at).max() else {
        return "Nothing was saved yet.".to_owned();
    };
    let of_kind = |kind: &str| sources.iter().filter(|source| source.kind == kind).count();
    let kinds = [("capture", of_kind("capture")), ("sensor", of_kind("sensor"))];
    let kinds: Vec<String> =
        kinds.into_iter().filter(|&(_, count)| count > 0).map(|(kind, count)| counted(count, kind)).collect();
    format!("From {}; last saved {} UTC.", kinds.join(" and "), formatted(last, "%Y-%m-%d %H:%M:%S"))
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    version: &'static str,
    signatures: Signatures<'a>,
    sources: Vec<Source<'a>>,
    hosts_in_all: usize,
}

#[derive(Serialize)]
pub(super) struct Source<'a> {
    kind: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
    saved_at: String,
    hosts: u64,
}

impl<'a> Source<'a> {
    pub(super) fn of(source: &'a SourceReport) -> Self {
        Self {
            kind: &source.kind,
            name: &source.name,
            filter: source.filter.as_deref(),
            saved_at: rfc3339(source.saved_at),
            hosts: source.hosts,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::{samples, write_csv, write_json, write_table};
    use serde_json::{Value, json};

    fn report() -> HostsReport {
        let scan = samples::report();
        let source = |kind: &str, name: &str, hosts| SourceReport {
            kind: kind.to_owned(),
            name: name.to_owned(),
            filter: None,
            saved_at: samples::AT,
            hosts,
        };
        HostsReport {
            inputs: scan.inputs.into_iter().map(|input| input.path).collect(),
            sources: vec![source("capture", "captures/a.pcap", 3), source("sensor", "s\u{1b}[2J", 1)],
            in_all: scan.hosts.len(),
            hosts: scan.hosts,
            ..HostsReport::default()
        }
    }

    fn table(report: &HostsReport) -> String {
        let mut out = Vec::new();
        write_hosts_table(&mut out, report, &SignatureSet::builtin(), TableStyle::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hosts_look_as_those_of_a_scan() {
        let signatures = SignatureSet::builtin();
        let (mut of_scan, mut of_hosts) = (Vec::new(), Vec::new());
        write_json(&mut of_scan, &samples::report(), &signatures).unwrap();
        write_hosts_json(&mut of_hosts, &report(), &signatures).unwrap();
        let (of_scan, of_hosts): (Value, Value) =
            (serde_json::from_slice(&of_scan).unwrap(), serde_json::from_slice(&of_hosts).unwrap());
        assert_eq!(of_scan["hosts"], of_hosts["hosts"]);
        assert_eq!(of_scan["signatures"], of_hosts["signatures"]);
        assert_eq!(of_hosts["schema"], "kaspector.hosts/1");
        assert_eq!(
            of_hosts["sources"][0],
            json!({"kind": "capture", "name": "captures/a.pcap", "saved_at": "2026-11-23T15:43:54.449556Z", "hosts": 3})
        );
        let (mut of_scan, mut of_hosts) = (Vec::new(), Vec::new());
        write_csv(&mut of_scan, &samples::report(), &signatures).unwrap();
        write_hosts_csv(&mut of_hosts, &report(), &signatures).unwrap();
        assert_eq!(of_scan, of_hosts);
        let mut of_scan = Vec::new();
        write_table(&mut of_scan, &samples::report(), &signatures, TableStyle::default()).unwrap();
        let of_scan = String::from_utf8(of_scan).unwrap();
        let above = of_scan.split_once("\n\n").unwrap().0;
        assert!(table(&report()).starts_with(above));
    }

    #[test]
    fn who_contributed_stands_below() {
        let table = table(&report());
        assert!(
            table.ends_with("browsing.\nFrom 1 capture and 1 sensor; last saved 2026-11-23 15:43:54 UTC.\n"),
            "{table}"
        );
        assert!(!table.contains('\u{1b}'));
    }

    #[test]
    fn an_empty_answer_says_why() {
        assert_eq!(table(&HostsReport::default()), "No host is known.\nNothing was saved yet.\n");
        let mut report = report();
        report.hosts.clear();
        assert!(table(&report).starts_with("No host is what was asked for; 3 hosts known in all.\n"));
    }
}
