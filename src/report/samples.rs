//! Alerts and findings for the tests of this room, by hand.

#![allow(clippy::unwrap_used)]

use super::{InputReport, ScanReport};
use kaspector::capture::{LinkType, Timestamp};
use kaspector::decode::{MacAddress, Outcome, Tunnel, TunnelKind, Zone};
use kaspector::matching::{
    Alert, Alternatives, Application, Confidence, ConnectionOutcome, EvidenceLine, Field, FlowCounts, FlowSummary,
    HostFinding, HostKey, IndicatorIndex, Position, Role, SeenAs, SignatureSet, Strength, Verdict,
};

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
    FlowSummary {
        first_packet: 1,
        started: Timestamp(AT.0 - 49_556_000),
        client: "10.20.1.15".parse().unwrap(),
        client_port: 49152,
        server: "203.0.113.10".parse().unwrap(),
        server_port: 443,
        protocol: 6,
        zone: Zone::default(),
        client_mac: Some(MacAddress([0x46, 0x7e, 0x3f, 0xaf, 0x25, 0x32])),
        client_hop_limit: Some(64),
        server_mac: None,
        tunnel: None,
        counts: FlowCounts { packets_to_server: 3, packets_to_client: 1, bytes_to_server: 749, bytes_to_client: 74 },
        connection_outcome: ConnectionOutcome::Established,
    }
}

pub fn tls() -> Alert {
    Alert {
        at: AT,
        packet: 4,
        indicator: indicator("update", Strength::Installed),
        seen_as: SeenAs::Contact,
        connection_outcome: ConnectionOutcome::Established,
        field: Field::TlsSni,
        observed: "s07.upd.kaspersky.com".into(),
        host_is_server: false,
        on_behalf: false,
        asks_server: false,
        flow: flow(),
        application: Application::Tls {
            sni: Some("s07.upd.kaspersky.com".into()),
            version: 0x0304,
            ja3: "771,4865,0,,".into(),
            ja3_hash: "b9103d9d134e0c59cafbe4ae0a8299a8".into(),
            ja4: "t13d1516h2_8daaf6152771_e5627efa2ab1".into(),
            subject: None,
            issuer: None,
        },
    }
}

pub fn quic() -> Alert {
    let flow = FlowSummary {
        client: "2001:db8:20::15".parse().unwrap(),
        server: "2001:db8:ffff::5".parse().unwrap(),
        protocol: 17,
        ..flow()
    };
    let application =
        Application::Quic { version: "1", sni: Some("s07.upd.kaspersky.com".into()), ja4: "q13d0310h3_x_y".into() };
    Alert { field: Field::QuicSni, flow, application, ..tls() }
}

pub fn dns() -> Alert {
    let flow = FlowSummary { server: "10.20.0.53".parse().unwrap(), server_port: 53, protocol: 17, ..flow() };
    let application =
        Application::Dns { id: 4660, name: "s07.upd.kaspersky.com".into(), record_type: 28, response_code: None };
    Alert { field: Field::DnsQuery, seen_as: SeenAs::Lookup, asks_server: true, flow, application, ..tls() }
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
    Alert { field: Field::HttpHost, observed: "dnl-01.geo.kaspersky.com".into(), application, ..tls() }
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
    EvidenceLine {
        indicator: indicator("update", Strength::Installed),
        seen_as,
        connection_outcome: ConnectionOutcome::DataExchanged,
        field,
        observed: observed.into(),
        count: 1,
        first_seen: AT,
        last_seen: AT,
        server: "198.51.100.10".parse().unwrap(),
        server_port: 443,
        relayed: false,
        role: Role::Endpoint,
        example: Position { input: 0, packet },
    }
}

pub fn host(address: &str, zone: Zone, verdict: Verdict, confidence: u8, evidence: Vec<EvidenceLine>) -> HostFinding {
    let signatures = SignatureSet::builtin();
    HostFinding {
        host: HostKey { address: address.parse().unwrap(), zone },
        mac: None,
        next_hop_mac: None,
        macs: Vec::new(),
        verdict,
        confidence: Confidence(confidence),
        role: Role::Endpoint,
        notes: Vec::new(),
        categories: evidence.iter().map(|line| signatures.get(line.indicator).category).collect(),
        products: Alternatives::default(),
        engine_in: Alternatives::default(),
        first_seen: AT,
        last_seen: Timestamp(AT.0 + 65_000_000_000),
        flows: 1,
        bytes_sent: 1834,
        bytes_received: 90211,
        evidence,
    }
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
    confirmed.products = Alternatives::of([
        &["KES Windows 11.6+".to_owned()][..],
        &["KSC 14".to_owned()],
        &["Safe Kids".to_owned(), "Premium 21".to_owned()],
    ]);
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
