//! The answer of a scan as comma-separated values (RFC 4180, lines ending in a line feed).

use super::escape::for_spreadsheet;
use super::parallel::in_parallel;
use super::report::{Inputs, OnSite, entry};
use super::spelling::{named, rfc3339};
use super::{CardMaker, ScanReport, SiteEntry};
use kaspector::matching::{EvidenceLine, HostFinding, LabelKind, LinkAddress, SignatureSet};
use std::borrow::Cow;
use std::io;

/// Writes a header, then one row per host and piece of evidence: what is known of the host stands in each of its rows, so that
/// rows can be sorted and filtered. Lists within a cell are separated by `; `.
///
/// Control characters are written out, and a text that a spreadsheet would calculate begins with an apostrophe; the exact values are
/// in the JSON form.
///
/// # Errors
/// When `out` fails.
pub fn write_csv(out: &mut impl io::Write, report: &ScanReport, signatures: &SignatureSet) -> io::Result<()> {
    write_hosts(out, &report.hosts, report, signatures)
}

/// Writes single hosts in the same columns.
///
/// # Errors
/// When `out` fails.
pub fn write_csv_on_site(
    out: &mut impl io::Write,
    hosts: &[HostFinding],
    on_site: &OnSite<'_>,
    signatures: &SignatureSet,
) -> io::Result<()> {
    write_hosts(out, hosts, on_site, signatures)
}

/// Writes these hosts, whose evidence points into `inputs`.
pub(super) fn write_hosts(
    out: &mut impl io::Write,
    hosts: &[HostFinding],
    inputs: &impl Inputs,
    signatures: &SignatureSet,
) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(&mut *out);
    rows.write_record(COLUMNS).map_err(plain)?;
    rows.flush()?;
    drop(rows);
    in_parallel(out, hosts, |hosts, out| {
        let mut rows = csv::Writer::from_writer(out);
        for host in hosts {
            let safe = |cell: Cow<'_, str>| for_spreadsheet(&cell).into_owned();
            let of_site = of_site(&entry(inputs, host)).map(|cell| for_spreadsheet(&cell).into_owned());
            let (of_host, links) = (of_host(host).map(safe), links(host).map(safe));
            let (card, identity) = (card(host).map(safe), identity(host, inputs).map(safe));
            for line in &host.evidence {
                let of_line = of_evidence(line, inputs, signatures).map(safe);
                let cells = of_host.iter().chain(&of_line).chain(&links).chain(&of_site).chain(&card).chain(&identity);
                rows.write_record(cells).map_err(plain)?;
            }
        }
        rows.flush()
    })
}

/// The failure of the writer below, as it came: a closed pipe must be known for one.
pub(super) fn plain(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

const COLUMNS: [&str; 46] = [
    "address",
    "vlan",
    "inner_vlan",
    "vni",
    "mac",
    "verdict",
    "confidence",
    "role",
    "notes",
    "categories",
    "products",
    "engine_in",
    "first_seen",
    "last_seen",
    "flows",
    "bytes_sent",
    "bytes_received",
    "indicator",
    "category",
    "strength",
    "seen_as",
    "reached",
    "field",
    "observed",
    "count",
    "evidence_first_seen",
    "evidence_last_seen",
    "server",
    "server_port",
    "input",
    "packet",
    "next_hop_mac",
    "macs",
    "site_machine",
    "site_machine_owner",
    "site_subnet",
    "site_subnet_owner",
    "exception",
    "exception_until",
    "maker",
    "mac_local",
    "name",
    "domain",
    "user",
    "system",
    "device",
];

fn of_host(host: &HostFinding) -> [Cow<'_, str>; 17] {
    let zone = host.host.zone;
    let or_empty = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default().into();
    let categories: Vec<&str> = host.categories.iter().map(|category| category.name()).collect();
    let products: Vec<String> = named(&host.products);
    let engine_in: Vec<String> = named(&host.engine_in);
    [
        host.host.address.to_string().into(),
        or_empty(zone.vlan.map(u32::from)),
        or_empty(zone.inner_vlan.map(u32::from)),
        or_empty(zone.vni),
        host.mac.map(|mac| mac.to_string()).unwrap_or_default().into(),
        host.verdict.name().into(),
        host.confidence.0.to_string().into(),
        host.role.name().into(),
        host.notes.join("; ").into(),
        categories.join("; ").into(),
        products.join("; ").into(),
        engine_in.join("; ").into(),
        rfc3339(host.first_seen).into(),
        rfc3339(host.last_seen).into(),
        host.flows.to_string().into(),
        host.bytes_sent.to_string().into(),
        host.bytes_received.to_string().into(),
    ]
}

fn of_evidence<'a>(
    line: &'a EvidenceLine,
    inputs: &'a impl Inputs,
    signatures: &'a SignatureSet,
) -> [Cow<'a, str>; 14] {
    let indicator = signatures.get(line.indicator);
    [
        indicator.id.as_str().into(),
        indicator.category.name().into(),
        indicator.strength.name().into(),
        line.seen_as.name().into(),
        line.connection_outcome.name().into(),
        line.field.name().into(),
        (&*line.observed).into(),
        line.count.to_string().into(),
        rfc3339(line.first_seen).into(),
        rfc3339(line.last_seen).into(),
        line.server.to_string().into(),
        line.server_port.to_string().into(),
        inputs.name_of(line.example).into(),
        line.example.packet.to_string().into(),
    ]
}

/// What came to the columns later, and so stands last.
fn links(host: &HostFinding) -> [Cow<'static, str>; 2] {
    let spelt = |address: &LinkAddress| {
        let LinkAddress { mac, first_seen, last_seen, is_next_hop } = address;
        let hop = if *is_next_hop { " next hop" } else { "" };
        format!("{mac} {} {}{hop}", rfc3339(*first_seen), rfc3339(*last_seen))
    };
    let all: Vec<String> = host.macs.iter().map(spelt).collect();
    [host.next_hop_mac.map(|mac| mac.to_string()).unwrap_or_default().into(), all.join("; ").into()]
}

/// What the site file says of the host. An exception that ended is none.
fn of_site(site: &SiteEntry<'_>) -> [String; 6] {
    let or_empty = |text: Option<&String>| text.cloned().unwrap_or_default();
    let exception = site.exception.filter(|(_, holds)| *holds).map(|(exception, _)| exception);
    [
        or_empty(site.machine.map(|machine| &machine.name)),
        or_empty(site.machine.and_then(|machine| machine.owner.as_ref())),
        or_empty(site.subnet.map(|subnet| &subnet.name)),
        or_empty(site.subnet.and_then(|subnet| subnet.owner.as_ref())),
        or_empty(exception.map(|exception| &exception.reason)),
        exception.map(|exception| exception.until.to_string()).unwrap_or_default(),
    ]
}

/// Who made the card, and whether its address was made up.
fn card(host: &HostFinding) -> [Cow<'static, str>; 2] {
    match host.mac.map(CardMaker::of) {
        Some(CardMaker::Known(maker)) => [maker.into(), "".into()],
        Some(CardMaker::Local) => ["".into(), "true".into()],
        Some(CardMaker::Unknown) | None => ["".into(), "".into()],
    }
}

/// What the host is called, by kind: `desk-7 (dhcp); DESK-7 (netbios)`.
fn identity(host: &HostFinding, inputs: &impl Inputs) -> [Cow<'static, str>; LabelKind::ALL.len()] {
    let labels = inputs.machines().map_or_else(Vec::new, |machines| machines.labels(host));
    LabelKind::ALL.map(|kind| {
        let of_kind = labels.iter().filter(|label| label.kind == kind);
        let said: Vec<String> = of_kind.map(|label| format!("{} ({})", label.text, label.source.name())).collect();
        said.join("; ").into()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::{SeenMachines, samples};
    use kaspector::decode::MacAddress;
    use kaspector::inspect::IdentitySource;
    use kaspector::matching::{Label, Machine};

    fn text(report: &ScanReport) -> String {
        let mut out = Vec::new();
        write_csv(&mut out, report, &SignatureSet::builtin()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_piece_of_evidence_has_its_row_with_the_host() {
        let text = text(&samples::report());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), &COLUMNS[..]);
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        let cell = |row: usize, name: &str| &rows[row][COLUMNS.iter().position(|&column| column == name).unwrap()];
        assert_eq!(rows.len(), 4);
        assert_eq!((cell(0, "address"), cell(1, "address")), ("10.20.0.5", "10.20.0.5"));
        assert_eq!((cell(0, "field"), cell(1, "field")), ("tls.sni", "dns.query"));
        assert_eq!((cell(0, "vlan"), cell(2, "vlan"), cell(2, "inner_vlan"), cell(2, "vni")), ("", "120", "7", "5001"));
        assert_eq!(cell(0, "products"), "KES Windows 11.6+; KSC 14; one of: Premium 21, Safe Kids");
        assert_eq!((cell(0, "input"), cell(0, "packet")), ("captures/a.pcap", "4"));
        assert_eq!(cell(0, "first_seen"), "2026-11-23T15:43:54.449556Z");
    }

    #[test]
    fn hostile_values_stay_values() {
        let text = text(&samples::report());
        assert!(text.contains("\\u{1b}[2Jx.upd.kaspersky.com"));
        assert!(text.contains(",'=cmd|' /C calc'!A0,"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_host_has_its_maker_and_what_it_is_called() {
        let mut report = samples::report();
        let host = &mut report.hosts[0];
        host.mac = Some(MacAddress([0x00, 0x00, 0x0c, 1, 2, 3]));
        let said = |kind, source, text: &str| Label::said(kind, source, text.into(), host.first_seen, host.last_seen);
        let labels = vec![
            said(LabelKind::Name, IdentitySource::Dhcp, "=cmd|' /C calc'!A0"),
            said(LabelKind::Name, IdentitySource::NetBios, "DESK-7\u{202e}"),
            said(LabelKind::System, IdentitySource::Dhcp, "MSFT 5.0"),
        ];
        report.machines = SeenMachines::new(vec![Machine::called(host.host, labels)]);
        let text = text(&report);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        let cell = |name: &str| &row[COLUMNS.iter().position(|&column| column == name).unwrap()];
        assert_eq!((cell("maker"), cell("mac_local")), ("Cisco Systems, Inc", ""));
        assert_eq!(cell("name"), "'=cmd|' /C calc'!A0 (dhcp); DESK-7\\u{202e} (netbios)");
        assert_eq!((cell("system"), cell("domain"), cell("user"), cell("device")), ("MSFT 5.0 (dhcp)", "", "", ""));
        let row = reader.records().last().unwrap().unwrap();
        assert_eq!((&row[39], &row[41]), ("", ""), "nothing is known of it");
    }

    #[test]
    fn without_hosts_there_is_a_header_alone() {
        assert_eq!(text(&ScanReport::default()), COLUMNS.join(",") + "\n");
    }
}
