//! The answer of a scan, before it is written in one of its formats.

use super::{CoveredTime, SeenMachines, Site, SiteEntry};
use kaspector::capture::{Block, LinkType, Timestamp};
use kaspector::decode::OutcomeCounters;
use kaspector::matching::{HostFinding, LabelKind, Position, SignatureSet};
use kaspector::pipeline::{Coverage, Findings};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What became of one input.
#[derive(Clone, Debug, Default)]
pub struct InputReport {
    /// As given on the command line, or found below a folder that was; `-` for standard input.
    pub path: String,
    /// Packets read.
    pub packets: u64,
    /// Captured bytes of those packets, headers of the file format not counted.
    pub bytes: u64,
    /// Time of the earliest packet.
    pub first_packet: Option<Timestamp>,
    /// Time of the latest packet.
    pub last_packet: Option<Timestamp>,
    /// The times in which it has packets.
    pub covered: CoveredTime,
    /// Packets of which the capture holds only the beginning, as its snap length has it.
    pub cut: u64,
    /// Packets that were lost before they could be written, as far as the capture says so.
    pub lost: u64,
    /// Link types met.
    pub link_types: BTreeSet<LinkType>,
    /// Why reading ended early, where, and what to do about it.
    pub error: Option<String>,
    /// Whether not even the first packet could be read (exit code 4).
    pub unreadable: bool,
    /// Identifies what was read: from it follow the identifiers of alerts, so that two runs give the same ones.
    pub digest: [u8; 32],
    /// Of a log in place of a capture: what became of its lines.
    pub log: Option<LogReport>,
}

/// What became of the lines of a log that another program wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// Its format, such as `zeek-tsv`.
    pub format: &'static str,
    /// Lines, without empty ones.
    pub lines: u64,
    /// Lines that were read.
    pub read: u64,
    /// Lines that tell of nothing that is looked at.
    pub others: u64,
    /// Alerts that do not say which end is the client.
    pub undirected: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first of those: its number, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_malformed: Option<String>,
    /// Identifies the logs that were read together with it, all the same ones.
    #[serde(skip)]
    pub series: [u8; 32],
}

impl InputReport {
    /// Counts the frames of a block: packets, bytes, times, and how many are cut. Link types are the reader's to tell.
    pub fn count(&mut self, block: &Block) {
        self.packets += block.records.len() as u64;
        self.bytes += block.captured_bytes();
        let (mut earliest, mut latest, mut cut) = (Timestamp(u64::MAX), Timestamp(0), 0);
        for record in &block.records {
            earliest = earliest.min(record.at);
            latest = latest.max(record.at);
            cut += u64::from(record.wire_len > record.len);
        }
        self.cut += cut;
        if !block.records.is_empty() {
            self.first_packet = self.first_packet.into_iter().chain([earliest]).min();
            self.last_packet = self.last_packet.into_iter().chain([latest]).max();
            self.covered.add_packets((earliest, latest), block.records.iter().map(|record| record.at));
        }
    }
}

/// The answer of a scan.
#[derive(Clone, Debug, Default)]
pub struct ScanReport {
    /// In the order given; below a folder in path order.
    pub inputs: Vec<InputReport>,
    /// Where every packet ended.
    pub outcomes: OutcomeCounters,
    /// Captured bytes in all.
    pub bytes: u64,
    /// Flows seen.
    pub flows: u64,
    /// How much was seen of the connections, and what could not be read.
    pub connections: Coverage,
    /// What was dropped at a bound, under the bound's name; bounds that were not met are absent.
    pub dropped: BTreeMap<&'static str, u64>,
    /// What was found in folders and left out, by kind: `not_a_capture` (by its content), `dangling_link`, `own_output`, `special_file` (sockets, pipes,
    /// devices); kinds that were not met are absent.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Strongest verdict first, then by address, then by tenant.
    pub hosts: Vec<HostFinding>,
    /// All machines inside that were seen, whether or not they show anything.
    pub machines: SeenMachines,
    /// What the people of the site know of it; set by [`Self::set_site`].
    pub site: Arc<Site>,
}

impl ScanReport {
    /// The answer of a scan of one input.
    #[must_use]
    pub fn of(input: InputReport, findings: &Findings, signatures: &SignatureSet) -> Self {
        Self {
            outcomes: findings.outcomes.clone(),
            bytes: input.bytes,
            flows: findings.flows,
            connections: findings.coverage,
            dropped: findings.dropped.clone(),
            left_out: BTreeMap::new(),
            hosts: findings.host_findings(signatures),
            machines: SeenMachines::new(findings.machines()),
            inputs: vec![input],
            site: Arc::default(),
        }
    }

    /// Sets what is known of the site, and notes at each host what follows for its finding. To be called once, when all hosts are there.
    pub fn set_site(&mut self, site: Arc<Site>) {
        note_shared(&mut self.hosts, &site);
        self.site = site;
    }

    /// What the site file says of a host.
    #[must_use]
    pub fn site_entry(&self, finding: &HostFinding) -> SiteEntry<'_> {
        entry(self, finding)
    }

    /// Counts what was left out; see [`Self::left_out`].
    pub fn leave_out(&mut self, kind: &'static str, count: u64) {
        if count > 0 {
            *self.left_out.entry(kind).or_default() += count;
        }
    }

    /// Path of the input that holds an example.
    #[must_use]
    pub fn path_of(&self, example: Position) -> &str {
        let input = usize::try_from(example.input).ok().and_then(|at| self.inputs.get(at));
        input.map(|input| input.path.as_str()).unwrap_or_default()
    }
}

/// The hosts of an inventory that outlives the program.
#[derive(Clone, Debug, Default)]
pub struct HostsReport {
    /// Names of the inputs that examples stand in.
    pub inputs: Vec<String>,
    /// Who contributed: captures, then sensors.
    pub sources: Vec<SourceReport>,
    /// Those that were asked for: strongest verdict first, then by address, then by tenant.
    pub hosts: Vec<HostFinding>,
    /// What they are called.
    pub machines: SeenMachines,
    /// Hosts with evidence, asked for or not.
    pub in_all: usize,
    /// What the people of the site know of it; set by [`Self::set_site`].
    pub site: Arc<Site>,
}

impl HostsReport {
    /// Sets what is known of the site, and notes at each host what follows for its finding. To be called once, when all hosts are there.
    pub fn set_site(&mut self, site: Arc<Site>) {
        note_shared(&mut self.hosts, &site);
        self.site = site;
    }

    /// What the site file says of a host.
    #[must_use]
    pub fn site_entry(&self, finding: &HostFinding) -> SiteEntry<'_> {
        entry(self, finding)
    }
}

/// An address of many is one finding.
pub(super) fn note_shared(hosts: &mut [HostFinding], site: &Site) {
    for host in hosts {
        host.notes.extend(site.of_finding(host, []).shared_line());
    }
}

/// What is known of the site of these inputs says of a host.
pub(super) fn entry<'i>(inputs: &'i (impl Inputs + ?Sized), finding: &HostFinding) -> SiteEntry<'i> {
    let Some(site) = inputs.site().filter(|site| !site.is_empty()) else { return SiteEntry::default() };
    let labels = inputs.machines().map_or_else(Vec::new, |machines| machines.labels(finding));
    let names = labels.iter().filter(|label| label.kind == LabelKind::Name).map(|label| &*label.text);
    site.of_finding(finding, names)
}

/// Who contributed to an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// `sensor` or `capture`.
    pub kind: String,
    /// The sensor's name, or the capture's path when it was scanned last.
    pub name: String,
    /// The libpcap expression that chose packets of the capture.
    pub filter: Option<String>,
    /// When it was saved last.
    pub saved_at: Timestamp,
    /// Hosts that it knows of.
    pub hosts: u64,
}

/// What knows the names of the inputs that evidence points into.
pub(super) trait Inputs: Sync {
    /// Name of the input that holds an example; empty when nobody knows.
    fn name_of(&self, example: Position) -> &str;

    /// The machines that were seen, where that is known.
    fn machines(&self) -> Option<&SeenMachines> {
        None
    }

    /// What is known of the site, where there is something.
    fn site(&self) -> Option<&Site> {
        None
    }
}

impl Inputs for ScanReport {
    fn name_of(&self, example: Position) -> &str {
        self.path_of(example)
    }

    fn machines(&self) -> Option<&SeenMachines> {
        Some(&self.machines)
    }

    fn site(&self) -> Option<&Site> {
        Some(&self.site)
    }
}

impl Inputs for HostsReport {
    fn name_of(&self, example: Position) -> &str {
        self.inputs.name_of(example)
    }

    fn machines(&self) -> Option<&SeenMachines> {
        Some(&self.machines)
    }

    fn site(&self) -> Option<&Site> {
        Some(&self.site)
    }
}

/// What single hosts are read with: the names of what evidence points into, who the machines are, and what is known of the site.
#[derive(Clone, Copy, Debug)]
pub struct OnSite<'a> {
    /// Names of the inputs that examples stand in.
    pub inputs: &'a [String],
    /// The machines that were seen.
    pub machines: &'a SeenMachines,
    /// What the people of the site know of it.
    pub site: &'a Site,
}

impl OnSite<'_> {
    /// Notes at hosts what follows from the site for their findings. To be called once for each.
    pub fn note_shared(&self, hosts: &mut [HostFinding]) {
        note_shared(hosts, self.site);
    }

    /// What the site file says of a host.
    #[must_use]
    pub fn site_entry(&self, finding: &HostFinding) -> SiteEntry<'_> {
        entry(self, finding)
    }
}

impl Inputs for OnSite<'_> {
    fn name_of(&self, example: Position) -> &str {
        self.inputs.name_of(example)
    }

    fn machines(&self) -> Option<&SeenMachines> {
        Some(self.machines)
    }

    fn site(&self) -> Option<&Site> {
        Some(self.site)
    }
}

impl Inputs for [String] {
    fn name_of(&self, example: Position) -> &str {
        let input = usize::try_from(example.input).ok().and_then(|at| self.get(at));
        input.map(String::as_str).unwrap_or_default()
    }
}
