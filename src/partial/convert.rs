//! Results of a scan as rows, and back.

use super::rows::{
    Count, EvidenceRow, FlowsRow, HopLimitRow, HostRow, IdentityRow, InputRow, LabelRow, LeaseRow, LeftOutRow,
    LinkAddressRow, LinkFlowsRow, LinkRow, LogRow, MachineRow, Row, Span, ZoneRow,
};
use super::{InputPart, LeftOut, Reading};
use kaspector::capture::{LinkType, Timestamp};
use kaspector::decode::{MacAddress, Outcome, OutcomeCounters, Zone};
use kaspector::inspect::IdentitySource;
use kaspector::matching::{
    ConnectionOutcome, Field, HostKey, HostRecord, Label, LabelKind, Lease, LinkAddress, MachineFlows, Position, Role,
    SeenAs, SignatureSet, StoredAddress, StoredHost, StoredIdentity, StoredLine, StoredLink, StoredMachines,
    StoredNames,
};
use kaspector::pipeline::{Coverage, Findings};
use kaspector_report::{CoveredTime, InputReport, LogReport};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// What is wrong with a row.
pub type Read<T> = Result<T, String>;

pub fn left_out_row(left_out: &LeftOut) -> LeftOutRow {
    LeftOutRow { kinds: named_counts(&left_out.kinds), scan: left_out.scan.clone() }
}

pub fn left_out(row: LeftOutRow) -> Read<LeftOut> {
    Ok(LeftOut { kinds: interned_counts(row.kinds)?, scan: row.scan })
}

pub fn input_row(
    reading: &Reading,
    report: &InputReport,
    findings: &Findings,
    defective: bool,
    (machines_dropped, statements_dropped): (u64, u64),
) -> InputRow {
    let Coverage { ended, one_sided, midstream, encrypted_hellos, unknown_quic_versions, .. } = findings.coverage;
    InputRow {
        path: report.path.clone(),
        digest: hex(&report.digest),
        signatures: reading.signatures.clone(),
        signatures_sha256: reading.signatures_sha256.clone(),
        filter: reading.filter.clone(),
        packets: report.packets,
        bytes: report.bytes,
        first_packet: report.first_packet.map(|at| at.0),
        last_packet: report.last_packet.map(|at| at.0),
        covered: report.covered.spans().map(span_row).collect(),
        cut: report.cut,
        lost: report.lost,
        link_types: report.link_types.iter().map(|link_type| link_type.0).collect(),
        error: report.error.clone(),
        unreadable: report.unreadable,
        defective,
        log: report.log.as_ref().map(log_row),
        outcomes: named_counts(&findings.outcomes.non_zero().map(|(outcome, count)| (outcome.name(), count)).collect()),
        flows: findings.flows,
        connections_ended: ended,
        one_sided,
        midstream,
        encrypted_hellos,
        unknown_quic_versions,
        dropped: named_counts(&findings.dropped),
        machines_dropped,
        statements_dropped,
    }
}

/// An input, without hosts and machines.
pub fn input(row: InputRow) -> Read<InputPart> {
    let reading = Reading { signatures: row.signatures, signatures_sha256: row.signatures_sha256, filter: row.filter };
    let mut covered = CoveredTime::default();
    row.covered.iter().for_each(|span| covered.add_span(Timestamp(span.first), Timestamp(span.last)));
    let report = InputReport {
        path: row.path,
        packets: row.packets,
        bytes: row.bytes,
        first_packet: row.first_packet.map(Timestamp),
        last_packet: row.last_packet.map(Timestamp),
        covered,
        cut: row.cut,
        lost: row.lost,
        link_types: row.link_types.into_iter().map(LinkType).collect(),
        error: row.error,
        unreadable: row.unreadable,
        digest: digest(&row.digest)?,
        log: row.log.map(log).transpose()?,
    };
    let mut outcomes = OutcomeCounters::default();
    for Count { name, count } in row.outcomes {
        outcomes.bump_by(named("outcome", &name, Outcome::from_name)?, count);
    }
    let mut coverage = Coverage::default();
    coverage.ended = row.connections_ended;
    coverage.one_sided = row.one_sided;
    coverage.midstream = row.midstream;
    coverage.encrypted_hellos = row.encrypted_hellos;
    coverage.unknown_quic_versions = row.unknown_quic_versions;
    let mut findings = Findings::default();
    findings.outcomes = outcomes;
    findings.coverage = coverage;
    findings.flows = row.flows;
    findings.dropped = interned_counts(row.dropped)?;
    Ok(InputPart { reading, report, findings, is_defective: row.defective })
}

/// Hosts, machines and link-layer addresses of an input.
pub fn other_rows(
    findings: &Findings,
    machines: StoredMachines,
    signatures: &SignatureSet,
) -> impl Iterator<Item = Row> {
    let hosts = findings.hosts.iter();
    let hosts = hosts.map(|(host, record)| host_row(*host, record.to_stored(signatures)));
    let StoredMachines { addresses, links, .. } = machines;
    hosts
        .map(|host| Row { host: Some(host), ..Row::default() })
        .chain(addresses.into_iter().map(|machine| Row { machine: Some(machine_row(machine)), ..Row::default() }))
        .chain(links.into_iter().map(|link| Row { link: Some(link_row(link)), ..Row::default() }))
}

fn host_row(host: HostKey, stored: StoredHost) -> HostRow {
    let evidence = stored.lines.into_iter().map(|line| EvidenceRow {
        indicator: line.indicator.as_ref().to_owned(),
        seen_as: line.seen_as.name().to_owned(),
        connection_outcome: line.connection_outcome.name().to_owned(),
        field: line.field.name().to_owned(),
        observed: line.observed.into(),
        count: line.count,
        first_seen: line.first_seen.0,
        last_seen: line.last_seen.0,
        server: line.server.to_string(),
        server_port: line.server_port,
        relayed: line.relayed,
        role: line.role.name().to_owned(),
        packet: line.example.packet,
    });
    let hop_limits = stored.hop_limits.into_iter();
    HostRow {
        address: host.address.to_string(),
        zone: zone_row(host.zone),
        links: stored.links.into_iter().map(link_address_row).collect(),
        evidence: evidence.collect(),
        flows: stored.flows,
        bytes_sent: stored.bytes_sent,
        bytes_received: stored.bytes_received,
        resolves: stored.resolves.names.into_iter().map(Into::into).collect(),
        resolves_more: stored.resolves.overflowed,
        connects: stored.connects.names.into_iter().map(Into::into).collect(),
        connects_more: stored.connects.overflowed,
        hop_limits: hop_limits
            .map(|(last, together)| HopLimitRow { last_seen: last.map(|at| at.0), together })
            .collect(),
        dropped: stored.dropped,
    }
}

/// A host, and how many lines of its evidence name indicators that `signatures` does not know.
pub fn host(row: HostRow, signatures: &SignatureSet) -> Read<(HostKey, HostRecord, u64)> {
    let names =
        |names: Vec<String>, overflowed| StoredNames { names: names.into_iter().map(Into::into).collect(), overflowed };
    let mut hop_limits = [(None, false); 3];
    for (place, HopLimitRow { last_seen, together }) in hop_limits.iter_mut().zip(row.hop_limits) {
        *place = (last_seen.map(Timestamp), together);
    }
    let lines: Vec<StoredLine> = row.evidence.into_iter().map(line).collect::<Read<_>>()?;
    let unknown = lines.iter().filter(|line| signatures.index_of(&line.indicator).is_none()).count() as u64;
    let stored = StoredHost {
        links: row.links.into_iter().map(link_address).collect::<Read<_>>()?,
        lines,
        flows: row.flows,
        bytes_sent: row.bytes_sent,
        bytes_received: row.bytes_received,
        resolves: names(row.resolves, row.resolves_more),
        connects: names(row.connects, row.connects_more),
        hop_limits,
        dropped: row.dropped,
    };
    let host = HostKey { address: parsed("address", &row.address)?, zone: zone(row.zone) };
    Ok((host, HostRecord::from_stored(stored, signatures), unknown))
}

fn line(row: EvidenceRow) -> Read<StoredLine> {
    Ok(StoredLine {
        indicator: row.indicator.into(),
        seen_as: named("seen_as", &row.seen_as, SeenAs::from_name)?,
        connection_outcome: named("connection_outcome", &row.connection_outcome, ConnectionOutcome::from_name)?,
        field: named("field", &row.field, Field::from_name)?,
        observed: row.observed.into(),
        count: row.count,
        first_seen: Timestamp(row.first_seen),
        last_seen: Timestamp(row.last_seen),
        server: parsed("server", &row.server)?,
        server_port: row.server_port,
        relayed: row.relayed,
        role: named("role", &row.role, Role::from_name)?,
        // Whoever puts inputs together gives them their numbers.
        example: Position { input: 0, packet: row.packet },
    })
}

fn machine_row(stored: StoredAddress) -> MachineRow {
    let by_link = stored.flows_by_link.into_iter();
    MachineRow {
        address: stored.host.address.to_string(),
        zone: zone_row(stored.host.zone),
        span: stored.span.map(span_row),
        flows: flows_row(stored.flows),
        is_resolver: stored.is_resolver,
        is_proxy: stored.is_proxy,
        has_evidence: stored.has_evidence,
        links: stored.links.into_iter().map(link_address_row).collect(),
        links_dropped: stored.links_dropped,
        flows_by_link: by_link
            .map(|(mac, flows)| LinkFlowsRow { mac: mac.to_string(), flows: flows_row(flows) })
            .collect(),
        identity: identity_row(stored.identity),
    }
}

pub fn machine(row: MachineRow) -> Read<StoredAddress> {
    let by_link = row.flows_by_link.into_iter();
    Ok(StoredAddress {
        host: HostKey { address: parsed("address", &row.address)?, zone: zone(row.zone) },
        span: row.span.map(|span| (Timestamp(span.first), Timestamp(span.last))),
        flows: flows(&row.flows),
        is_resolver: row.is_resolver,
        is_proxy: row.is_proxy,
        has_evidence: row.has_evidence,
        links: row.links.into_iter().map(link_address).collect::<Read<_>>()?,
        links_dropped: row.links_dropped,
        flows_by_link: by_link.map(|of| Ok((parsed("mac", &of.mac)?, flows(&of.flows)))).collect::<Read<_>>()?,
        identity: identity(row.identity)?,
    })
}

fn link_row(StoredLink { zone, mac, identity }: StoredLink) -> LinkRow {
    LinkRow { mac: mac.to_string(), zone: zone_row(zone), identity: identity_row(identity) }
}

pub fn link(row: LinkRow) -> Read<StoredLink> {
    Ok(StoredLink { zone: zone(row.zone), mac: parsed("mac", &row.mac)?, identity: identity(row.identity)? })
}

fn identity_row(stored: StoredIdentity) -> Option<IdentityRow> {
    let StoredIdentity { labels, leases, last_said } = stored;
    if labels.is_empty() && leases.is_empty() && last_said == Timestamp::default() {
        return None;
    }
    let label = |label: Label| LabelRow {
        kind: label.kind.name().to_owned(),
        source: label.source.name().to_owned(),
        text: label.text.into(),
        first_seen: label.first_seen.0,
        last_seen: label.last_seen.0,
    };
    let lease =
        |lease: Lease| LeaseRow { address: lease.address.to_string(), from: lease.from.0, until: lease.until.0 };
    Some(IdentityRow {
        labels: labels.into_iter().map(label).collect(),
        leases: leases.into_iter().map(lease).collect(),
        last_said: last_said.0,
    })
}

fn identity(row: Option<IdentityRow>) -> Read<StoredIdentity> {
    let Some(row) = row else { return Ok(StoredIdentity::default()) };
    let label = |row: LabelRow| {
        Ok(Label::said(
            named("kind", &row.kind, LabelKind::from_name)?,
            named("source", &row.source, IdentitySource::from_name)?,
            row.text.into(),
            Timestamp(row.first_seen),
            Timestamp(row.last_seen),
        ))
    };
    let lease =
        |row: LeaseRow| Ok(Lease::given(parsed("address", &row.address)?, Timestamp(row.from), Timestamp(row.until)));
    Ok(StoredIdentity {
        labels: row.labels.into_iter().map(label).collect::<Read<_>>()?,
        leases: row.leases.into_iter().map(lease).collect::<Read<_>>()?,
        last_said: Timestamp(row.last_said),
    })
}

fn log_row(log: &LogReport) -> LogRow {
    LogRow {
        format: log.format.to_owned(),
        series: hex(&log.series),
        lines: log.lines,
        read: log.read,
        others: log.others,
        undirected: log.undirected,
        malformed: log.malformed,
        first_malformed: log.first_malformed.clone(),
    }
}

fn log(row: LogRow) -> Read<LogReport> {
    Ok(LogReport {
        format: interned(&row.format)?,
        lines: row.lines,
        read: row.read,
        others: row.others,
        undirected: row.undirected,
        malformed: row.malformed,
        first_malformed: row.first_malformed,
        series: digest(&row.series)?,
    })
}

fn link_address_row(link: LinkAddress) -> LinkAddressRow {
    LinkAddressRow {
        mac: link.mac.to_string(),
        first_seen: link.first_seen.0,
        last_seen: link.last_seen.0,
        is_next_hop: link.is_next_hop,
    }
}

fn link_address(row: LinkAddressRow) -> Read<LinkAddress> {
    Ok(LinkAddress {
        mac: parsed::<MacAddress>("mac", &row.mac)?,
        first_seen: Timestamp(row.first_seen),
        last_seen: Timestamp(row.last_seen),
        is_next_hop: row.is_next_hop,
    })
}

const fn zone_row(Zone { vlan, inner_vlan, vni }: Zone) -> ZoneRow {
    ZoneRow { vlan, inner_vlan, vni }
}

const fn zone(ZoneRow { vlan, inner_vlan, vni }: ZoneRow) -> Zone {
    Zone { vlan, inner_vlan, vni }
}

const fn span_row((first, last): (Timestamp, Timestamp)) -> Span {
    Span { first: first.0, last: last.0 }
}

const fn flows_row(flows: MachineFlows) -> FlowsRow {
    let MachineFlows { named, one_sided, midstream, unnamed, .. } = flows;
    FlowsRow { named, one_sided, midstream, unnamed }
}

fn flows(row: &FlowsRow) -> MachineFlows {
    let mut flows = MachineFlows::default();
    flows.named = row.named;
    flows.one_sided = row.one_sided;
    flows.midstream = row.midstream;
    flows.unnamed = row.unnamed;
    flows
}

fn named_counts(all: &BTreeMap<&'static str, u64>) -> Vec<Count> {
    all.iter().map(|(&name, &count)| Count { name: name.to_owned(), count }).collect()
}

fn interned_counts(rows: Vec<Count>) -> Read<BTreeMap<&'static str, u64>> {
    rows.into_iter().map(|Count { name, count }| Ok((interned(&name)?, count))).collect()
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(text: &str) -> Read<[u8; 32]> {
    let mut bytes = [0; 32];
    let wrong = || format!("a digest of 64 hexadecimal digits is wanted, not {text:?}");
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

fn named<T>(what: &str, name: &str, from_name: impl FnOnce(&str) -> Option<T>) -> Read<T> {
    from_name(name).ok_or_else(|| format!("{what} {name:?} is not known"))
}

fn parsed<T: FromStr<Err: Display>>(what: &str, text: &str) -> Read<T> {
    text.parse().map_err(|error| format!("{what} {text:?}: {error}"))
}

/// Names that were interned, at most, and their longest: names of bounds and of formats are few and short.
const NAMES_MAX: usize = 512;
const NAME_MAX: usize = 64;

/// A name that lives as long as the program, as those that it was built with do.
fn interned(name: &str) -> Read<&'static str> {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Ok(known);
    }
    if names.len() >= NAMES_MAX || name.len() > NAME_MAX {
        return Err(format!("{name:?} is no name of a bound, a kind of file or a format of logs"));
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    Ok(name)
}
