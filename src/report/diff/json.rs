//! Two inventories, compared, as one JSON object: `kaspector.diff/1`.

use super::super::HostsReport;
use super::super::hosts::Source;
use super::super::report::Inputs;
use super::super::scan_json::{Host, Signatures};
use super::super::spelling::rfc3339;
use super::{Entry, HostChange, HostPart, HostsDiff, Side};
use kaspector::matching::{HostFinding, SignatureSet};
use serde::{Serialize, Serializer};
use std::io;
use std::net::IpAddr;

/// Writes the comparison, indented by two, with a newline behind it. Keys stand in the documented order.
///
/// # Errors
/// When `out` fails.
pub fn write_diff_json(out: &mut impl io::Write, diff: &HostsDiff<'_>, signatures: &SignatureSet) -> io::Result<()> {
    let answer = Answer {
        schema: "kaspector.diff/1",
        version: env!("CARGO_PKG_VERSION"),
        signatures: Signatures::of(signatures),
        old: Inventory::of(&diff.old),
        new: Inventory::of(&diff.new),
        new_has_later_evidence: diff.is_heard(),
        counts: Counts {
            appeared: diff.count(HostChange::Appeared),
            silent: diff.count(HostChange::Silent),
            risen: diff.count(HostChange::Risen),
            changed: diff.count(HostChange::Changed),
            unchanged: diff.unchanged(),
        },
        hosts: Entries { diff, signatures },
    };
    serde_json::to_writer_pretty(&mut *out, &answer)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    version: &'static str,
    signatures: Signatures<'a>,
    old: Inventory<'a>,
    new: Inventory<'a>,
    new_has_later_evidence: bool,
    counts: Counts,
    hosts: Entries<'a>,
}

#[derive(Serialize)]
struct Inventory<'a> {
    path: &'a str,
    hosts: usize,
    last_seen: Option<String>,
    sources: Vec<Source<'a>>,
}

impl<'a> Inventory<'a> {
    fn of(side: &Side<'a>) -> Self {
        Self {
            path: side.path,
            hosts: side.report.hosts.len(),
            last_seen: side.last_seen.map(rfc3339),
            sources: side.report.sources.iter().map(Source::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct Counts {
    appeared: usize,
    silent: usize,
    risen: usize,
    changed: usize,
    unchanged: usize,
}

/// Hosts are turned one by one while they are written: there may be many.
struct Entries<'a> {
    diff: &'a HostsDiff<'a>,
    signatures: &'a SignatureSet,
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (old, new) = (self.diff.old.report, self.diff.new.report);
        serializer.collect_seq(self.diff.entries.iter().map(|entry| Changed::of(entry, old, new, self.signatures)))
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    change: &'static str,
    address: IpAddr,
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner_vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vni: Option<u32>,
    differs: Vec<&'static str>,
    old: Option<Host<'a>>,
    new: Option<Host<'a>>,
}

impl<'a> Changed<'a> {
    fn of(entry: &Entry<'a>, old: &'a HostsReport, new: &'a HostsReport, signatures: &'a SignatureSet) -> Self {
        fn told<'a>(
            host: Option<&'a HostFinding>,
            inputs: &'a impl Inputs,
            signatures: &'a SignatureSet,
        ) -> Option<Host<'a>> {
            host.map(|host| Host::of(host, inputs, signatures))
        }
        Self {
            change: entry.change.name(),
            address: entry.host.address,
            vlan: entry.host.zone.vlan,
            inner_vlan: entry.host.zone.inner_vlan,
            vni: entry.host.zone.vni,
            differs: entry.differs.iter().copied().map(HostPart::name).collect(),
            old: told(entry.old, old, signatures),
            new: told(entry.new, new, signatures),
        }
    }
}
