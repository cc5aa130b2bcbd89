//! Alerts and findings for the tests of this room, by hand.

#![allow(clippy::unwrap_used)]

use super::{InputReport, ScanReport};
use kaspector::capture::{LinkType, Timestamp};
use kaspector::decode::{MacAddress, Outcome, Tunnel, TunnelKind, Zone};
use kaspector::matching::{
    Alert, Alternatives, Application, Confidence, ConnectionOutcome, EvidenceLine, Field, FlowCounts, FlowSummary,
    HostFinding, HostKey, IndicatorIndex, Position, Role, SeenAs, SignatureSet, Strength, Verdict,
};
use std::sync::Arc;

/// 2026-11-23T15:43:54.449556Z.
pub const AT: Timestamp = Timestamp(1_795_448_634_449_556_000);

/// An indicator of the built-in set with this category and strength.
pub fn indicator(category: &str, strength: Strength) -> IndicatorIndex {
    let signatures = SignatureSet::builtin();
    (0..u32::try_from(signatures.len()).unwrap())
        .map(IndicatorIndex)
        .find(|&index| signatures.get(index).category.name() == category && signatures.get(index).strength == strength)
        .unwrap()
}

fn flow() -> FlowSummary {
    let (client, server) = ("10.20.1.15".parse().unwrap(), "203.0.113.10".parse().unwrap());
    let mut flow = FlowSummary::new((client, 49152), (server, 443), 6);
    flow.started = Timestamp(AT.0 - 49_556_000);
    flow.client_mac = Some(MacAddress([0x46, 0x7e, 0x3f, 0xaf, 0x25, 0x32]));
    flow.client_hop_limit = Some(64);
    flow.counts = FlowCounts { packets_to_server: 3, packets_to_client: 1, bytes_to_server: 749, bytes_to_client: 74 };
    flow.connection_outcome = ConnectionOutcome::Established;
    flow
}

/// What the fourth packet of that flow shows.
fn alert(seen_as: SeenAs, field: Field, observed: &str, application: Application) -> Alert {
    let mut alert = Alert::new(indicator("update", Strength::Installed), seen_as, field, observed, flow());
    (alert.at, alert.packet, alert.application) = (AT, 4, application);
    alert
}

pub fn tls() -> Alert {
    let application = Application::Tls {
        sni: Some("s07.upd.kaspersky.com".into()),
        version: 0x0304,
        ja3: "771,4865,0,,".into(),
        ja3_hash: "b9103d9d134e0c59cafbe4ae0a8299a8".into(),
        ja4: "t13d1516h2_8daaf6152771_e5627efa2ab1".into(),
        subject: None,
        issuer: None,
    };
    alert(SeenAs::Contact, Field::TlsSni, "s07.upd.kaspersky.com", application)
}

pub fn quic() -> Alert {
    let application =
        Application::Quic { version: "1", sni: Some("s07.upd.kaspersky.com".into()), ja4: "q13d0310h3_x_y".into() };
    let mut alert = alert(SeenAs::Contact, Field::QuicSni, "s07.upd.kaspersky.com", application);
    alert.flow.client = "2001:db8:20::15".parse().unwrap();
    alert.flow.server = "2001:db8:ffff::5".parse().unwrap();
    alert.flow.protocol = 17;
    alert
}

pub fn dns() -> Alert {
    let application =
        Application::Dns { id: 4660, name: "s07.upd.kaspersky.com".into(), record_type: 28, response_code: None };
    let mut alert = alert(SeenAs::Lookup, Field::DnsQuery, "s07.upd.kaspersky.com", application);
    alert.asks_server = true;
    alert.flow.server = "10.20.0.53".parse().unwrap();
    (alert.flow.server_port, alert.flow.protocol) = (53, 17);
    alert
}

pub fn http() -> Alert {
    let application = Application::Http {
        method: "GET".into(),
        host: Some("dnl-01.geo.kaspersky.com".into()),
        port: Some(8080),
        url: "/updates/upd?x=1".into(),
        user_agent: Some("agent/1".into()),
        minor_version: 1,
    };
    alert(SeenAs::Contact, Field::HttpHost, "dnl-01.geo.kaspersky.com", application)
}

pub fn vxlan() -> Tunnel {
    Tunnel {
        kind: TunnelKind::Vxlan,
        src: "192.0.2.1".parse().unwrap(),
        dst: "192.0.2.2".parse().unwrap(),
        ports: Some((50000, 4789)),
        depth: 1,
    }
}

pub fn line(seen_as: SeenAs, field: Field, observed: &str, packet: u64) -> EvidenceLine {
    let server = ("198.51.100.10".parse().unwrap(), 443);
    let mut line = EvidenceLine::new(indicator("update", Strength::Installed), seen_as, field, observed, server, AT);
    line.connection_outcome = ConnectionOutcome::DataExchanged;
    line.example = Position { input: 0, packet };
    line
}

pub fn host(address: &str, zone: Zone, verdict: Verdict, confidence: u8, evidence: Vec<EvidenceLine>) -> HostFinding {
    let signatures = SignatureSet::builtin();
    let host = HostKey { address: address.parse().unwrap(), zone };
    let mut finding = HostFinding::new(host, verdict, Confidence(confidence));
    finding.categories = evidence.iter().map(|line| signatures.get(line.indicator).category).collect();
    (finding.first_seen, finding.last_seen) = (AT, Timestamp(AT.0 + 65_000_000_000));
    (finding.flows, finding.bytes_sent, finding.bytes_received) = (1, 1834, 90211);
    finding.evidence = evidence;
    finding
}

/// Three hosts out of one capture: confirmed, suspected in a tenant with a hostile name, browsing.
pub fn report() -> ScanReport {
    let mut report = ScanReport {
        inputs: vec![InputReport {
            path: "captures/a.pcap".to_owned(),
            packets: 103,
            bytes: 81234,
            first_packet: Some(AT),
            last_packet: Some(Timestamp(AT.0 + 70_000_000_001)),
            link_types: [LinkType::ETHERNET].into(),
            ..InputReport::default()
        }],
        bytes: 81234,
        flows: 9,
        ..ScanReport::default()
    };
    let ends = std::iter::repeat_n(Outcome::Inspected, 97)
        .chain(std::iter::repeat_n(Outcome::NotIp, 4))
        .chain([Outcome::Truncated; 2]);
    ends.for_each(|outcome| report.outcomes.bump(outcome));
    let contact = line(SeenAs::Contact, Field::TlsSni, "s07.upd.kaspersky.com", 4);
    let lookup = line(SeenAs::Lookup, Field::DnsQuery, "s07.upd.kaspersky.com", 2);
    let mut confirmed = host("10.20.0.5", Zone::default(), Verdict::Confirmed, 95, vec![contact, lookup]);
    confirmed.mac = Some(MacAddress([0x46, 0x7e, 0x3f, 0xaf, 0x25, 0x32]));
    confirmed.products = Arc::new(Alternatives::of([
        &["KES Windows 11.6+".to_owned()][..],
        &["KSC 14".to_owned()],
        &["Safe Kids".to_owned(), "Premium 21".to_owned()],
    ]));
    let hostile = line(SeenAs::Lookup, Field::DnsQuery, "\u{1b}[2Jx.upd.kaspersky.com", 17);
    let zone = Zone { vlan: Some(120), inner_vlan: Some(7), vni: Some(5001) };
    let mut suspected = host("10.20.0.53", zone, Verdict::Suspected, 5, vec![hostile]);
    suspected.role = Role::Relay;
    suspected.notes = vec!["one address, \u{1b}possibly many endpoints".to_owned()];
    let mut page = line(SeenAs::Contact, Field::HttpUserAgent, "=cmd|' /C calc'!A0", 90);
    page.indicator = indicator("web-browse", Strength::Browse);
    let browsing = host("10.20.0.7", Zone::default(), Verdict::Browsing, 3, vec![page]);
    report.hosts = vec![confirmed, suspected, browsing];
    report
}
