//! The report that an auditor signs: which machines, how many of how many, found how, and are they gone.
//!
//! One model, [`ComplianceReport`], from which JSON, CSV and a page come. What it takes to hold an endpoint is little, and a finding is put
//! together when it is written, so a report of very many endpoints stays possible.

mod changes;
mod csv;
mod endpoint;
mod figures;
mod finding;
mod html;
mod json;
mod plots;
mod product;
mod regime;
mod rules;
mod trend;

pub use self::csv::write_compliance_csv;
pub use changes::{ChangedEndpoint, Changes};
pub use endpoint::{EVIDENCE_MAX, Endpoint, SiteOf};
pub use figures::{ByReached, ByVerdict, Closeness, Figures, Interval, LastSeen, ProductFigures, RegimeFigures, Row};
pub use finding::{EndpointOf, Evidence, EvidenceInput, EvidencePlace, Finding, Findings, NameOf, Scope};
pub use html::write_compliance_html;
pub use json::write_compliance_json;
pub use product::{Embedding, ProductBasis, ProductGroup, ProductGroups};
pub use regime::{FindingKind, InScope, Reason, Regime};
pub use trend::Stage;

use crate::escape::for_terminal;
use crate::spelling::{link_type, rfc3339};
use crate::{HostsReport, MachineCounts, Missing, RunCoverage, RunVerdict, ScanReport, Site, SourceReport};
use jiff::civil::Date;
use kaspector::matching::{SignatureSet, Verdict};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// The day of the report.
    pub date: Date,
    /// The set that the evidence was judged by.
    pub signatures: &'a SignatureSet,
    /// In the order of [`Endpoint::order`].
    pub endpoints: &'a [Endpoint],
    /// What the evidence was found in.
    pub basis: Basis<'a>,
    /// What evidence points into, by number.
    pub inputs: &'a [EvidenceInput],
    /// Community IDs of the flows that show evidence, where they are known.
    pub community_ids: &'a HashMap<EvidencePlace, String>,
    /// What is different from an earlier inventory.
    pub changes: Option<&'a Changes>,
    /// The earlier inventories and this one, the earliest first; empty without an earlier one.
    pub trend: &'a [Stage],
    /// What the people of the site say.
    pub site: &'a Site,
}

/// What evidence was found in.
#[derive(Clone, Copy, Debug)]
pub enum Basis<'a> {
    /// Captures that were read for the report.
    Captures(&'a ScanReport),
    /// An inventory, of which these are the sources.
    Inventory(&'a HostsReport),
}

/// The report. Serialized, it is `kaspector.report/1`.
#[derive(Clone, Debug, Serialize)]
pub struct ComplianceReport<'a> {
    schema: &'static str,
    schema_version: u32,
    /// The day of the report; nothing else in it depends on a clock.
    pub generated_at: String,
    /// `captures` or `inventory`.
    pub basis: &'static str,
    /// What the site file says of the organisation, by key of [`PARTICULARS`](crate::PARTICULARS).
    pub organisation: &'a BTreeMap<&'static str, String>,
    /// From the first to the last packet; of an inventory, of evidence.
    pub period: Period,
    /// What looked.
    pub sensor: Sensor<'a>,
    /// What it looked for.
    pub signature_set: SetOfSignatures<'a>,
    /// Captures that were read.
    pub inputs: Vec<InputOf<'a>>,
    /// Who contributed to the inventory.
    pub sources: Vec<SourceOf<'a>>,
    /// What the whole comes to.
    pub verdict: RunVerdict,
    /// What is missing for that nothing found would mean that nothing is there.
    pub missing: Vec<Missing>,
    /// The numbers that the verdict rests on; null for an inventory, which does not hold them.
    pub coverage: Option<RunCoverage>,
    /// What became of the packets; null for an inventory, which does not hold it.
    pub packets: Option<PacketsOf<'a>>,
    /// What endpoints are counted against; null for an inventory.
    pub machines: Option<MachinesOf>,
    /// What was found, added up.
    pub figures: Figures,
    /// What is different from an earlier inventory, the latest of several; null without one.
    pub changes: Option<&'a Changes>,
    /// The earlier inventories and this one, the earliest first; empty without an earlier one.
    pub trend: &'a [Stage],
    /// One for each endpoint and product.
    pub findings: Findings<'a>,
}

/// A time with an end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Period {
    /// Its begin; null when nothing was seen.
    pub from: Option<String>,
    /// Its end.
    pub to: Option<String>,
}

/// What looked.
#[derive(Clone, Debug, Serialize)]
pub struct Sensor<'a> {
    /// The sensor's name, where an inventory is of one.
    pub id: Option<&'a str>,
    /// Version of the program that made the report.
    pub version: &'static str,
}

/// What was looked for.
#[derive(Clone, Debug, Serialize)]
pub struct SetOfSignatures<'a> {
    /// As its files say.
    pub version: &'a str,
    /// Over what the indicators say.
    pub sha256: &'a str,
    /// How many.
    pub indicators: usize,
    /// The day on which the newest indicator was checked.
    pub newest: Option<&'a str>,
    /// Days from then to the day of the report.
    pub age_days: Option<i32>,
}

/// A capture that was read.
#[derive(Clone, Debug, Serialize)]
pub struct InputOf<'a> {
    /// Its path.
    pub name: &'a str,
    /// SHA-256 of the file as it lies there; null for what can be read only once.
    pub sha256: Option<&'a str>,
    /// Packets read.
    pub packets: u64,
    /// Captured bytes of them.
    pub bytes: u64,
    /// Time of the earliest.
    pub first: Option<String>,
    /// Time of the latest.
    pub last: Option<String>,
    /// Link types met.
    pub link_types: Vec<Cow<'static, str>>,
    /// `read`, `partly-read` or `unreadable`.
    pub status: &'static str,
    /// What was wrong.
    pub error: Option<&'a str>,
}

/// Who contributed to an inventory.
#[derive(Clone, Debug, Serialize)]
pub struct SourceOf<'a> {
    /// `capture` or `sensor`.
    pub kind: &'a str,
    /// Path or name.
    pub name: &'a str,
    /// The filter that chose packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<&'a str>,
    /// When it was saved last.
    pub saved_at: String,
    /// Hosts that it knows.
    pub hosts: u64,
}

/// What became of the packets.
#[derive(Clone, Debug, Serialize)]
pub struct PacketsOf<'a> {
    /// Read.
    pub seen: u64,
    /// Examined up to their transport and further.
    pub examined: u64,
    /// The others.
    pub not_examined: u64,
    /// Why, in numbers that add up to `not_examined`.
    pub why: BTreeMap<&'static str, u64>,
    /// What was given up at a bound of the program, by bound.
    pub dropped: &'a BTreeMap<&'static str, u64>,
    /// What was in the folders and is no capture.
    pub left_out: &'a BTreeMap<&'static str, u64>,
    /// Flows.
    pub flows: u64,
}

/// What endpoints are counted against.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MachinesOf {
    /// By how much of them could be judged.
    #[serde(flatten)]
    pub counts: MachineCounts,
    /// Those that endpoints of the findings may be.
    pub with_findings: usize,
    /// The same, of endpoints that did more than open web pages.
    pub with_product: usize,
    /// Flows that machines inside began.
    pub flows: u64,
    /// Of these, those of which only one direction was seen.
    pub one_sided_flows: u64,
    /// Machines that ask for names on behalf of others.
    pub resolvers: usize,
    /// Machines that pass on what others ask for.
    pub proxies: usize,
}

impl<'a> ComplianceReport<'a> {
    /// Puts a report together.
    #[must_use]
    pub fn new(material: &Material<'a>) -> Self {
        let &Material { date, signatures, endpoints, basis, inputs, community_ids, changes, trend, site } = material;
        let of_evidence = || {
            let first = endpoints.iter().map(|endpoint| endpoint.first_seen).min();
            (first, endpoints.iter().map(|endpoint| endpoint.last_seen).max())
        };
        let (from, to) = match basis {
            Basis::Captures(scan) => (
                scan.inputs.iter().filter_map(|input| input.first_packet).min(),
                scan.inputs.iter().filter_map(|input| input.last_packet).max(),
            ),
            Basis::Inventory(_) => of_evidence(),
        };
        let figures = Figures::of(endpoints, to, site);
        let (verdict, missing, coverage) = verdict_of(basis, &figures);
        Self {
            schema: SCHEMA,
            schema_version: 1,
            generated_at: date.to_string(),
            basis: if matches!(basis, Basis::Captures(_)) { "captures" } else { "inventory" },
            organisation: &site.for_report().particulars,
            period: Period { from: from.map(rfc3339), to: to.map(rfc3339) },
            sensor: Sensor { id: sensor_of(basis), version: env!("CARGO_PKG_VERSION") },
            signature_set: SetOfSignatures::of(signatures, date),
            inputs: inputs_of(basis, inputs),
            sources: sources_of(basis),
            verdict,
            missing,
            coverage,
            packets: packets_of(basis),
            machines: machines_of(basis),
            figures,
            changes,
            trend,
            findings: Findings { endpoints, inputs, community_ids, signatures, said: &site.for_report().findings },
        }
    }

    /// Whether it is of captures that were read for it.
    pub(super) const fn of_captures(&self) -> bool {
        self.packets.is_some()
    }

    /// What the site file says under a key of [`PARTICULARS`](crate::PARTICULARS), for a reader.
    pub(super) fn particular(&self, key: &str) -> Option<String> {
        self.organisation.get(key).map(|text| for_terminal(text).into_owned())
    }
}

/// What the whole comes to. An inventory proves what was found; that nothing was, it cannot.
fn verdict_of(basis: Basis<'_>, figures: &Figures) -> (RunVerdict, Vec<Missing>, Option<RunCoverage>) {
    if let Basis::Captures(scan) = basis {
        let coverage = scan.coverage();
        return (coverage.verdict, coverage.missing.clone(), Some(coverage));
    }
    let missing = Missing {
        id: "inventory",
        what: "an inventory does not say how long was listened, what was lost, and which machines were seen".to_owned(),
        why: "nothing found would not mean that nothing is there",
        settle: "report the captures of a whole working day",
    };
    let verdict = if figures.endpoints.confirmed > 0 { RunVerdict::Found } else { RunVerdict::Inconclusive };
    (verdict, vec![missing], None)
}

const SCHEMA: &str = "kaspector.report/1";

impl<'a> SetOfSignatures<'a> {
    fn of(signatures: &'a SignatureSet, date: Date) -> Self {
        let newest = signatures.iter().map(|indicator| indicator.date.as_str()).max();
        let age = newest.and_then(|newest| newest.parse::<Date>().ok()).and_then(|newest| date.since(newest).ok());
        Self {
            version: signatures.version(),
            sha256: signatures.sha256(),
            indicators: signatures.len(),
            newest,
            age_days: age.map(|age| age.get_days()),
        }
    }
}

fn inputs_of<'a>(basis: Basis<'a>, inputs: &'a [EvidenceInput]) -> Vec<InputOf<'a>> {
    let Basis::Captures(scan) = basis else { return Vec::new() };
    let of_input = |(number, input): (usize, &'a crate::InputReport)| InputOf {
        name: &input.path,
        sha256: inputs.get(number).and_then(|input| input.sha256.as_deref()),
        packets: input.packets,
        bytes: input.bytes,
        first: input.first_packet.map(rfc3339),
        last: input.last_packet.map(rfc3339),
        link_types: input.link_types.iter().copied().map(link_type).collect(),
        status: match (&input.error, input.unreadable) {
            (None, _) => "read",
            (Some(_), false) => "partly-read",
            (Some(_), true) => "unreadable",
        },
        error: input.error.as_deref(),
    };
    (0..).zip(&scan.inputs).map(of_input).collect()
}

fn sources_of(basis: Basis<'_>) -> Vec<SourceOf<'_>> {
    let Basis::Inventory(inventory) = basis else { return Vec::new() };
    inventory.sources.iter().map(SourceOf::of).collect()
}

impl<'a> SourceOf<'a> {
    fn of(source: &'a SourceReport) -> Self {
        Self {
            kind: &source.kind,
            name: &source.name,
            filter: source.filter.as_deref(),
            saved_at: rfc3339(source.saved_at),
            hosts: source.hosts,
        }
    }
}

/// The sensor, where there is one and nothing else.
fn sensor_of(basis: Basis<'_>) -> Option<&str> {
    let Basis::Inventory(HostsReport { sources, .. }) = basis else { return None };
    match sources.as_slice() {
        [only] if only.kind == "sensor" => Some(&only.name),
        _ => None,
    }
}

fn packets_of(basis: Basis<'_>) -> Option<PacketsOf<'_>> {
    let Basis::Captures(scan) = basis else { return None };
    let (seen, examined) = (scan.outcomes.total(), scan.outcomes.count(kaspector::decode::Outcome::Inspected));
    let why = scan.outcomes.non_zero().filter(|(outcome, _)| *outcome != kaspector::decode::Outcome::Inspected);
    Some(PacketsOf {
        seen,
        examined,
        not_examined: seen - examined,
        why: why.map(|(outcome, count)| (outcome.name(), count)).collect(),
        dropped: &scan.dropped,
        left_out: &scan.left_out,
        flows: scan.flows,
    })
}

fn machines_of(basis: Basis<'_>) -> Option<MachinesOf> {
    let Basis::Captures(scan) = basis else { return None };
    let rows = scan.machines.rows();
    Some(MachinesOf {
        counts: scan.machines.counts(),
        with_findings: scan.machines.among(scan.hosts.iter()),
        with_product: scan.machines.among(scan.hosts.iter().filter(|host| host.verdict != Verdict::Browsing)),
        flows: rows.iter().map(|machine| machine.flows.total()).sum(),
        one_sided_flows: rows.iter().map(|machine| machine.flows.one_sided).sum(),
        resolvers: rows.iter().filter(|machine| machine.is_resolver).count(),
        proxies: rows.iter().filter(|machine| machine.is_proxy).count(),
    })
}
