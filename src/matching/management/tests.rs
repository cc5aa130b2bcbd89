//! What flows to management ports prove of both ends, and what of it must not count.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::decode::Zone;
use crate::matching::{Event, EventKind, FlowCounts, FlowProtocol, HostRecord, Ledger, Role, Verdict};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: u64 = 1_000_000_000;
const AGENT: &str = "10.0.0.7";
const SERVER: &str = "10.0.0.2";

/// A flow: when it began, in seconds, and between whom.
#[derive(Clone, Debug)]
struct Flow {
    at_s: u64,
    src: (&'static str, u16),
    dst: (&'static str, u16),
    protocol: u8,
    evidence: Vec<ProtocolEvidence>,
    connection_outcome: ConnectionOutcome,
    opening_seen: bool,
}

/// For each host its verdict, its role, and the field and value of its evidence.
type Answer = BTreeMap<String, (Verdict, Role, Vec<(&'static str, String)>)>;

fn tcp(at_s: u64, dst_port: u16) -> Flow {
    let (src, dst) = ((AGENT, 40000), (SERVER, dst_port));
    Flow {
        at_s,
        src,
        dst,
        protocol: 6,
        evidence: Vec::new(),
        connection_outcome: ConnectionOutcome::DataExchanged,
        opening_seen: true,
    }
}

fn call(at_s: u64) -> Flow {
    let (src, dst) = ((SERVER, 50000), (AGENT, 15000));
    Flow { src, dst, protocol: 17, connection_outcome: ConnectionOutcome::Attempted, ..tcp(at_s, 0) }
}

/// What is found when these flows begin in this order, and end in that of `ends`.
fn found_when_ending(flows: &[Flow], ends: &[usize]) -> Answer {
    let signatures = Arc::new(SignatureSet::builtin());
    let mut ledger = Ledger::new(&signatures, 0);
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    for (packet, flow) in (1..).zip(flows) {
        let at = Timestamp(flow.at_s * SECOND);
        let (src, dst) = (address(flow.src.0), address(flow.dst.0));
        let five_tuple = FiveTuple { src, dst, src_port: flow.src.1, dst_port: flow.dst.1, protocol: flow.protocol };
        let zone = Zone::default();
        let opened =
            Opened { five_tuple, zone, macs: None, tunnel: None, src_range: None, dst_range: None, of_interest: true };
        ledger.record(Event { packet, at, kind: EventKind::Opened(opened) });
        for evidence in &flow.evidence {
            let protocol = FlowProtocol { flow: packet, evidence: evidence.clone() };
            ledger.record(Event { packet, at, kind: EventKind::Protocol(Box::new(protocol)) });
        }
    }
    for &number in ends {
        let flow = &flows[number];
        let ended = Ended {
            flow: number as u64 + 1,
            opener_is_client: true,
            named: !flow.evidence.is_empty(),
            matters: true,
            opening_seen: flow.opening_seen,
            connection_outcome: flow.connection_outcome,
            counts: FlowCounts::default(),
        };
        ledger.record(Event { packet: 1000, at: Timestamp(u64::MAX), kind: EventKind::Ended(ended) });
    }
    let finding = |(host, record): (HostKey, HostRecord)| {
        let finding = record.finding(host, &signatures)?;
        let lines = finding.evidence.iter().map(|line| (line.field.name(), line.observed.to_string())).collect();
        Some((host.address.to_string(), (finding.verdict, finding.role, lines)))
    };
    ledger.into_hosts().0.filter_map(finding).collect()
}

fn found(flows: &[Flow]) -> Answer {
    found_when_ending(flows, &(0..flows.len()).collect::<Vec<_>>())
}

/// Both ends are found with this and nothing else.
fn both(verdict: Verdict, lines: &[(&'static str, &str)]) -> Answer {
    let lines: Vec<_> = lines.iter().map(|&(field, observed)| (field, observed.to_owned())).collect();
    [(AGENT.to_owned(), (verdict, Role::Endpoint, lines.clone())), (SERVER.to_owned(), (verdict, Role::Server, lines))]
        .into()
}

#[test]
fn a_port_alone_is_a_hint_where_the_network_itself_answers() {
    assert_eq!(found(&[tcp(0, 13000)]), both(Verdict::Suspected, &[("flow.server_port", "tcp/13000")]));
    let outside = Flow { dst: ("198.51.100.7", 13000), ..tcp(0, 13000) };
    assert!(found(&[outside]).is_empty(), "not inside the network");
    for connection_outcome in [ConnectionOutcome::Attempted, ConnectionOutcome::Refused, ConnectionOutcome::Established]
    {
        assert!(found(&[Flow { connection_outcome, ..tcp(0, 13000) }]).is_empty(), "a scan: {connection_outcome:?}");
    }
    assert!(found(&[Flow { opening_seen: false, ..tcp(0, 13000) }]).is_empty(), "who opened it is not known");
    assert!(found(&[Flow { src: (AGENT, 13000), ..tcp(0, 443) }]).is_empty(), "the client's port");
    assert!(found(&[tcp(0, 443)]).is_empty());
    let datagrams = Flow { protocol: 17, opening_seen: false, ..tcp(0, 15111) };
    let call = Flow { src: (AGENT, 15110), ..datagrams.clone() };
    assert!(found(&[call]).is_empty(), "a telephone call");
    assert_eq!(found(&[datagrams]), both(Verdict::Suspected, &[("flow.server_port", "udp/15111")]));
}

#[test]
fn a_flow_for_somebody_else_is_none_of_ours() {
    let evidence = vec![ProtocolEvidence::Unrelated];
    assert!(found(&[Flow { evidence: evidence.clone(), ..tcp(0, 13000) }]).is_empty());
    let beacons: Vec<_> =
        (0..9).map(|beacon| Flow { evidence: evidence.clone(), ..tcp(beacon * 900, 13000) }).collect();
    assert!(found(&beacons).is_empty());
}

#[test]
fn a_certificate_of_the_servers_own_raises_the_port() {
    let evidence = vec![ProtocolEvidence::OwnCertificate("CN=ksc.corp.example".into())];
    let flow = Flow { evidence, ..tcp(0, 13000) };
    let expected = both(Verdict::Suspected, &[("tls.certificate", "CN=ksc.corp.example")]);
    assert_eq!(found(std::slice::from_ref(&flow)), expected);
    let stranger_first = Flow { evidence: vec![ProtocolEvidence::Unrelated, flow.evidence[0].clone()], ..flow.clone() };
    assert!(found(&[stranger_first]).is_empty());
    let named = ProtocolEvidence::NamedCertificate("CN=ksc.corp.example".into());
    assert_eq!(found(&[Flow { evidence: vec![ProtocolEvidence::Unrelated, named], ..flow.clone() }]), expected);
    let other_port = Flow { dst: (SERVER, 14000), ..flow };
    assert_eq!(found(&[other_port]), both(Verdict::Suspected, &[("flow.server_port", "tcp/14000")]));
}

#[test]
fn a_scanner_finds_the_server_and_is_none_itself() {
    const SERVERS: [&str; 17] = [
        SERVER,
        "10.1.0.1",
        "10.1.0.2",
        "10.1.0.3",
        "10.1.0.4",
        "10.1.0.5",
        "10.1.0.6",
        "10.1.0.7",
        "10.1.0.8",
        "10.1.0.9",
        "10.1.0.10",
        "10.1.0.11",
        "10.1.0.12",
        "10.1.0.13",
        "10.1.0.14",
        "10.1.0.15",
        "10.1.0.16",
    ];
    let mut flows: Vec<_> = SERVERS.iter().map(|&server| Flow { dst: (server, 13000), ..tcp(0, 13000) }).collect();
    flows[0].evidence = vec![ProtocolEvidence::OwnCertificate("CN=ksc".into())];
    let scanned = found(&flows);
    assert_eq!(scanned.len(), 1);
    assert_eq!(scanned[SERVER].1, Role::Server);
    flows.pop();
    assert_eq!(found(&flows).len(), 17, "an agent may know some");
}

#[test]
fn a_call_and_the_connection_back_prove_both() {
    let lines = [("flow.wake_up", "udp/15000, then tcp/13000")];
    assert_eq!(found(&[call(100), tcp(103, 13000)]), both(Verdict::Confirmed, &lines));
    let hint = both(Verdict::Suspected, &[("flow.server_port", "tcp/13000")]);
    assert_eq!(found(&[call(100), tcp(116, 13000)]), hint, "too late");
    assert_eq!(found(&[tcp(100, 13000), call(101)]), hint, "the wrong way round");
    let elsewhere = Flow { dst: ("10.0.0.3", 13000), ..tcp(101, 13000) };
    assert!(found(&[call(100), elsewhere]).values().all(|(verdict, ..)| *verdict == Verdict::Suspected));
    assert!(found(&[call(100)]).is_empty(), "a call alone");
    let refused = found(&[call(100), Flow { connection_outcome: ConnectionOutcome::Refused, ..tcp(101, 13000) }]);
    assert_eq!(refused[AGENT].0, Verdict::Confirmed, "an attempt counts");
}

#[test]
fn a_steady_pace_proves_both() {
    let beacon = [("flow.beat", "tcp/13000 every 900 s"), ("flow.server_port", "tcp/13000")];
    assert_eq!(found(&[tcp(0, 13000), tcp(930, 13000), tcp(1801, 13000)]), both(Verdict::Confirmed, &beacon));
    let with_events = [0, 400, 900, 1500, 1800].map(|at| tcp(at, 13000));
    assert_eq!(found(&with_events), both(Verdict::Confirmed, &beacon));
    let hint = both(Verdict::Suspected, &[("flow.server_port", "tcp/13000")]);
    assert_eq!(found(&[tcp(0, 13000), tcp(900, 13000)]), hint, "two are no pace");
    assert_eq!(found(&[tcp(0, 13000), tcp(950, 13000), tcp(1850, 13000)]), hint, "too slow");
    let busy: Vec<_> = (0..200).map(|minute| tcp(minute * 60, 13000)).collect();
    assert_eq!(found(&busy), hint, "among many, some are always 900 seconds apart");
    let mut refused = [0, 900, 1800].map(|at| tcp(at, 13000));
    refused[1].connection_outcome = ConnectionOutcome::Refused;
    assert_eq!(found(&refused), hint);
}

#[test]
fn the_order_in_which_flows_end_does_not_matter() {
    let flows = [0, 400, 900, 1500, 1800, 2700].map(|at| tcp(at, 13000));
    let proved = |ends: &[usize]| found_when_ending(&flows, ends)[AGENT].0;
    for ends in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [4, 0, 5, 2, 1, 3]] {
        assert_eq!(proved(&ends), Verdict::Confirmed);
    }
    // Of many, the few that end first must not look like all there are.
    let busy: Vec<_> = (0..7).map(|number| tcp(number * 300, 13000)).collect();
    assert_eq!(found_when_ending(&busy, &[0, 3, 6, 1, 2, 4, 5])[AGENT].0, Verdict::Suspected);
}

#[test]
fn the_port_of_a_hosted_console_counts_with_its_name() {
    let signatures = SignatureSet::builtin();
    let name = signatures.match_name("a1.ksc.kaspersky.com").unwrap();
    let flow = Flow {
        dst: ("198.51.100.7", 23150),
        evidence: vec![ProtocolEvidence::Vendor(name), ProtocolEvidence::Unrelated],
        ..tcp(0, 0)
    };
    let one = found(std::slice::from_ref(&flow));
    assert_eq!(one[AGENT].2, [("flow.server_port", "tcp/23150".to_owned())]);
    assert_eq!(one.len(), 1, "the vendor's server is no host of ours");
    assert!(found(&[Flow { evidence: Vec::new(), ..flow }]).is_empty());
}

#[test]
fn the_vendors_name_is_a_word_of_a_certificate() {
    for vendor in ["CN=Kaspersky Security Center CA", "C=CH, O=AO Kaspersky Lab, CN=ksc01", "O=KASPERSKY"] {
        assert!(bears_vendors_name(vendor), "{vendor}");
    }
    for other in
        ["", "CN=kaspersky01.corp.example", "O=Corp, CN=notkaspersky", "OU=Kaspersky team, CN=wiki", "CN=kaspersky-lab"]
    {
        assert!(!bears_vendors_name(other), "{other}");
    }
}

#[test]
fn names_that_anybody_may_use_are_told_from_others() {
    for own in ["ksc", "ksc.corp.local", "ksc.lan", "10.0.0.2", "server.home.arpa"] {
        assert!(is_private_name(own), "{own}");
    }
    for other in ["www.shop.example", "local.example.com", "ksc.company.com"] {
        assert!(!is_private_name(other), "{other}");
    }
}

#[test]
fn knocking_at_every_door_leaves_nothing_behind() {
    let signatures = SignatureSet::builtin();
    let mut management = Management::default();
    let flow = tcp(0, 13000);
    let src = AGENT.parse().unwrap();
    for number in 0..1000_u32 {
        let dst = std::net::Ipv4Addr::from(0x0a00_0000 + number).into();
        let five_tuple = FiveTuple { src, dst, src_port: 1, dst_port: 13000, protocol: 6 };
        let zone = Zone::default();
        let opened =
            Opened { five_tuple, zone, macs: None, tunnel: None, src_range: None, dst_range: None, of_interest: true };
        let port = management.opened(number.into(), Timestamp(0), &opened, &signatures).unwrap();
        let ended = Ended {
            flow: number.into(),
            opener_is_client: true,
            named: false,
            matters: true,
            opening_seen: true,
            connection_outcome: ConnectionOutcome::Attempted,
            counts: FlowCounts::default(),
        };
        let summary = opened.summary(Timestamp(flow.at_s), &ended);
        assert!(management.ended(&port, &summary, &ended, &signatures).is_empty());
        assert!(management.histories.get_mut(&(HostKey { address: src, zone }, dst, 13000)).is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_order_of_flows_makes_it_stumble(
        steps in prop::collection::vec((0_u64..4000, 0_usize..6, 0_usize..4, 0_usize..4), 0..60),
    ) {
        let flows: Vec<Flow> = steps.iter().map(|&(at_s, port, connection_outcome, evidence)| {
            let connection_outcome =
                [ConnectionOutcome::Attempted, ConnectionOutcome::Refused, ConnectionOutcome::Established, ConnectionOutcome::DataExchanged][connection_outcome];
            let evidence = [vec![], vec![ProtocolEvidence::Unrelated], vec![ProtocolEvidence::OwnCertificate("CN=x".into())], vec![]][evidence].clone();
            let base = if port == 0 { call(at_s) } else { tcp(at_s, [0, 13000, 14000, 13111, 443, 13000][port]) };
            Flow { connection_outcome, evidence, ..base }
        }).collect();
        let found = found(&flows);
        // What is held against the agent is held against the server, and the other way round.
        let fields = |host: &str| found.get(host).map(|(_, _, lines)| lines.clone());
        prop_assert_eq!(fields(AGENT), fields(SERVER));
    }
}
