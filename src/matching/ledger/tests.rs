#![allow(clippy::unwrap_used)]
use super::alerts::ALERTS_MAX;
use super::known_hosts::{ASKED_MAX, HOSTS_MAX};
use super::*;
use crate::decode::Zone;
use crate::matching::{ConnectionOutcome, FlowSummary, IndicatorIndex, LINES_MAX, Role, Verdict};
use std::net::Ipv4Addr;

const NAME: &str = "dnl-01.geo.kaspersky.com";

/// When another set of signatures comes.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Never,
    BeforeTheFlow,
    DuringTheFlow,
}

/// A client gets an address for a name from DNS, and connects to it without a word about whom it wants. Says what alerts come of it.
fn alerts(set: &Arc<SignatureSet>, later: &Arc<SignatureSet>, change: Change) -> Vec<Alert> {
    let client: IpAddr = "10.0.0.5".parse().unwrap();
    let server: IpAddr = "203.0.113.9".parse().unwrap();
    let mut ledger = Ledger::new(set, 0);
    let record = |ledger: &mut Ledger, packet: u64, kind| {
        ledger.record(Event { packet, at: Timestamp(packet * 1_000_000_000), kind });
    };
    let resolved = Resolved {
        client: HostKey { address: client, zone: Zone::default() },
        indicator: set.match_name(NAME).unwrap(),
        name: NAME.into(),
        chain: Vec::new(),
        addresses: vec![(server, 60)],
    };
    record(&mut ledger, 1, EventKind::Resolved(Box::new(resolved)));
    if change == Change::BeforeTheFlow {
        ledger.set_signatures(later);
    }
    let opened = Opened {
        five_tuple: FiveTuple { src: client, dst: server, src_port: 40_000, dst_port: 443, protocol: FiveTuple::TCP },
        zone: Zone::default(),
        macs: None,
        tunnel: None,
        src_range: None,
        dst_range: None,
        of_interest: false,
    };
    record(&mut ledger, 2, EventKind::Opened(opened));
    if change == Change::DuringTheFlow {
        ledger.set_signatures(later);
    }
    let ended = Ended {
        flow: 2,
        opener_is_client: true,
        named: false,
        opening_seen: true,
        matters: true,
        counts: FlowCounts::default(),
        connection_outcome: ConnectionOutcome::DataExchanged,
    };
    record(&mut ledger, 3, EventKind::Ended(ended));
    ledger.take_alerts()
}

#[test]
fn what_was_learned_speaks_for_the_set_of_today() {
    let set = Arc::new(SignatureSet::builtin());
    let indicator = set.match_name(NAME).unwrap();
    let none = Arc::new(SignatureSet::default().succeed(&set).unwrap());
    let same = Arc::new(SignatureSet::builtin().succeed(&none).unwrap());
    assert!(set.is_in_force(indicator) && !none.is_in_force(indicator) && same.is_in_force(indicator));
    assert_eq!(alerts(&set, &none, Change::Never).len(), 1);
    for change in [Change::BeforeTheFlow, Change::DuringTheFlow] {
        assert!(alerts(&set, &none, change).is_empty(), "its indicator is gone");
        let found = alerts(&set, &same, change);
        assert_eq!(
            found.iter().map(|alert| (alert.indicator, &*alert.observed)).collect::<Vec<_>>(),
            [(indicator, NAME)]
        );
    }
}

fn host(number: u32) -> HostKey {
    HostKey { address: Ipv4Addr::from(0x0a00_0000 + number).into(), zone: Zone::default() }
}

/// Evidence of host number `client` in a flow of its own.
fn alert(set: &SignatureSet, packet: u64, client: u32, seen_as: SeenAs) -> Alert {
    let indicator = set.match_name(NAME).unwrap();
    Alert {
        at: Timestamp(packet * 1_000),
        packet,
        indicator,
        seen_as,
        connection_outcome: ConnectionOutcome::Attempted,
        field: if seen_as == SeenAs::Lookup { Field::DnsQuery } else { Field::TlsSni },
        observed: NAME.into(),
        host_is_server: false,
        on_behalf: false,
        asks_server: false,
        flow: FlowSummary {
            first_packet: packet,
            started: Timestamp(packet * 1_000),
            client: host(client).address,
            client_port: 40_000,
            server: [10, 255, 0, 53].into(),
            server_port: 53,
            protocol: FiveTuple::UDP,
            zone: Zone::default(),
            client_mac: None,
            client_hop_limit: None,
            server_mac: None,
            tunnel: None,
            counts: FlowCounts::default(),
            connection_outcome: ConnectionOutcome::Attempted,
        },
        application: Application::Unknown,
    }
}

/// Gives a ledger evidence, and the end of each flow.
fn tell(ledger: &mut Ledger, alert: Alert) {
    let (packet, at, flow) = (alert.packet, alert.at, alert.flow.first_packet);
    ledger.record(Event { packet, at, kind: EventKind::Evidence(Box::new(alert)) });
    let ended = Ended {
        flow,
        opener_is_client: true,
        named: true,
        opening_seen: false,
        matters: true,
        counts: FlowCounts::default(),
        connection_outcome: ConnectionOutcome::Attempted,
    };
    ledger.record(Event { packet, at, kind: EventKind::Ended(ended) });
}

fn verdict(set: &SignatureSet, hosts: &HashMap<HostKey, HostRecord>, number: u32) -> Option<(Verdict, Role)> {
    let finding = hosts.get(&host(number))?.finding(host(number), set)?;
    Some((finding.verdict, finding.role))
}

/// Hosts in a flood, enough that the weakest go several times.
const FLOOD: u32 = 100_000;
const STRONG: u32 = 200_000;
const INSISTENT: u32 = 200_001;

#[test]
fn no_flood_of_lookups_hides_a_confirmed_host_or_one_that_insists() {
    let set = Arc::new(SignatureSet::builtin());
    for place in [0, FLOOD - 1] {
        let mut ledger = Ledger::new(&set, 0).without_alerts();
        for number in 0..FLOOD {
            let packet = u64::from(number) * 10;
            tell(&mut ledger, alert(&set, packet + 1, number, SeenAs::Lookup));
            if number == place {
                tell(&mut ledger, alert(&set, packet + 2, STRONG, SeenAs::Contact));
                (3..5).for_each(|more| tell(&mut ledger, alert(&set, packet + more, INSISTENT, SeenAs::Lookup)));
            }
        }
        ledger.close();
        assert_eq!(ledger.dropped().get("hosts"), Some(&u64::from(FLOOD + 2 - HOSTS_MAX as u32)));
        let hosts: HashMap<_, _> = ledger.into_hosts().0.collect();
        assert_eq!(hosts.len(), HOSTS_MAX);
        assert_eq!(verdict(&set, &hosts, STRONG), Some((Verdict::Confirmed, Role::Endpoint)), "at {place}");
        assert_eq!(verdict(&set, &hosts, INSISTENT), Some((Verdict::Suspected, Role::Endpoint)), "at {place}");
        assert!(hosts.contains_key(&host(0)) && !hosts.contains_key(&host(FLOOD - 1)), "of equals, the first stay");
    }
}

#[test]
fn a_relay_that_had_to_go_is_still_one() {
    let set = Arc::new(SignatureSet::builtin());
    let mut ledger = Ledger::new(&set, 0).without_alerts();
    // Host 7 is asked to connect, and connects: the weakest that there is.
    let mut asks = alert(&set, 1, STRONG, SeenAs::Contact);
    (asks.field, asks.asks_server, asks.flow.server) = (Field::HttpConnect, true, host(7).address);
    tell(&mut ledger, asks);
    tell(&mut ledger, alert(&set, 2, 7, SeenAs::Contact));
    // Each of these also asks a server of its own, which takes a place without evidence.
    for number in 0..FLOOD {
        let mut flood = alert(&set, 10 + u64::from(number), 1_000 + number, SeenAs::Lookup);
        (flood.asks_server, flood.flow.server) = (true, host(1_000_000 + number).address);
        tell(&mut ledger, flood);
    }
    tell(&mut ledger, alert(&set, 2_000_000, 7, SeenAs::Contact));
    ledger.close();
    assert!(ledger.dropped().contains_key("asked_hosts"));
    let hosts: HashMap<_, _> = ledger.into_hosts().0.collect();
    assert_eq!(hosts.values().filter(|record| record.line_count() == 0).count(), ASKED_MAX);
    assert_eq!(verdict(&set, &hosts, STRONG), Some((Verdict::Confirmed, Role::Endpoint)));
    assert!(verdict(&set, &hosts, 7).is_none_or(|found| found == (Verdict::Suspected, Role::Relay)));
}

#[test]
fn what_a_sensor_has_no_room_for_is_kept_until_it_is_taken() {
    let set = Arc::new(SignatureSet::builtin());
    let mut ledger = Ledger::new(&set, 0).noting_changes();
    for number in 0..FLOOD {
        tell(&mut ledger, alert(&set, u64::from(number) + 1, number, SeenAs::Lookup));
    }
    assert!(ledger.is_crowded());
    let mut seen: std::collections::HashSet<_> = ledger.take_changed().into_iter().map(|(host, _)| host).collect();
    seen.extend(ledger.make_room().into_iter().map(|(host, _)| host));
    assert_eq!(seen.len(), FLOOD as usize);
    assert!(!ledger.is_crowded() && !ledger.dropped().contains_key("hosts"));
}

#[test]
fn lines_of_the_weakest_make_room_for_those_of_the_strong() {
    let set = Arc::new(SignatureSet::builtin());
    let mut ledger = Ledger::new(&set, 0).without_alerts();
    let mut packet = 0;
    let mut lines = |ledger: &mut Ledger, client: u32, seen_as| {
        for server in 0..LINES_MAX as u32 {
            packet += 1;
            let mut alert = alert(&set, packet, client, seen_as);
            alert.flow.server = Ipv4Addr::from(0xc633_6400 + server).into();
            tell(ledger, alert);
        }
    };
    lines(&mut ledger, STRONG, SeenAs::Contact);
    (0..5_000).for_each(|client| lines(&mut ledger, client, SeenAs::Lookup));
    lines(&mut ledger, STRONG + 1, SeenAs::Contact);
    ledger.close();
    let dropped = ledger.dropped();
    let hosts: HashMap<_, _> = ledger.into_hosts().0.collect();
    let count = |number| hosts.get(&host(number)).unwrap().line_count();
    assert_eq!((count(STRONG), count(STRONG + 1)), (LINES_MAX, LINES_MAX));
    assert_eq!(hosts.values().map(HostRecord::line_count).min(), Some(4), "as many as still help");
    let kept: usize = hosts.values().map(HostRecord::line_count).sum();
    assert!(kept <= 1 << 18);
    assert_eq!(dropped.get("evidence_lines"), Some(&((5_002 * LINES_MAX - kept) as u64)));
}

#[test]
fn repetitions_leave_room_for_what_is_told_first_and_the_weak_for_the_strong() {
    let set = Arc::new(SignatureSet::builtin());
    let mut ledger = Ledger::new(&set, 0);
    let noise = ALERTS_MAX as u64 / 2 * 3;
    for packet in 1..=noise {
        tell(&mut ledger, alert(&set, packet, 1, SeenAs::Lookup));
    }
    tell(&mut ledger, alert(&set, noise + 1, STRONG, SeenAs::Contact));
    let alerts = ledger.take_alerts();
    assert_eq!((alerts.len(), ledger.dropped().get("alerts")), (ALERTS_MAX, Some(&(noise + 1 - ALERTS_MAX as u64))));
    assert!(alerts.is_sorted_by_key(|alert| alert.packet));
    assert_eq!(alerts.first().unwrap().packet, 1);
    assert_eq!(alerts.last().unwrap().host(), host(STRONG));

    // First alerts alone: those of weaker hosts go.
    let mut ledger = Ledger::new(&set, 0);
    for packet in 1..=noise {
        tell(&mut ledger, alert(&set, packet, u32::try_from(packet).unwrap(), SeenAs::Lookup));
        if packet == noise {
            tell(&mut ledger, alert(&set, noise + 1, 0x00f0_0000, SeenAs::Contact));
        }
    }
    let alerts = ledger.take_alerts();
    assert_eq!(alerts.len(), ALERTS_MAX);
    assert_eq!(alerts.last().unwrap().host(), host(0x00f0_0000));
}

#[test]
fn of_a_host_that_says_the_same_to_many_the_other_kinds_are_kept() {
    let set = Arc::new(SignatureSet::builtin());
    let mut record = HostRecord::default();
    let other = set.match_name("s07.upd.kaspersky.com").unwrap();
    for server in 0..100_u32 {
        let mut alert = alert(&set, u64::from(server) + 1, 1, SeenAs::Contact);
        alert.flow.server = Ipv4Addr::from(0xc633_6400 + server).into();
        record.add(&alert, 0, LINES_MAX, &set);
    }
    let late = Alert { indicator: other, ..alert(&set, 200, 1, SeenAs::Contact) };
    record.add(&late, 0, LINES_MAX, &set);
    let indicators = |record: &HostRecord| -> Vec<IndicatorIndex> {
        record.finding(host(1), &set).unwrap().evidence.iter().map(|line| line.indicator).collect()
    };
    assert!(indicators(&record).contains(&other));
    record.trim(2, &set);
    assert_eq!(indicators(&record).len(), 2);
    assert!(indicators(&record).contains(&other), "a second server of the same says nothing new");
}

#[test]
fn a_host_that_is_asked_for_too_many_names_is_counted_once() {
    let set = Arc::new(SignatureSet::builtin());
    let mut ledger = Ledger::new(&set, 0).without_alerts();
    for number in 0..1_030 {
        assert_eq!(ledger.dropped().get("asked_names"), (number > 1_024).then_some(&1), "after {number}");
        let mut asks = alert(&set, 1 + number, 1, SeenAs::Lookup);
        asks.observed = format!("s{number}.geo.kaspersky.com").into();
        (asks.asks_server, asks.flow.server) = (true, host(7).address);
        tell(&mut ledger, asks);
    }
    // Of what it asks for itself nobody knows any more for whom.
    let mut own = alert(&set, 5_000, 7, SeenAs::Lookup);
    own.observed = "s9999.geo.kaspersky.com".into();
    tell(&mut ledger, own);
    ledger.close();
    let hosts: HashMap<_, _> = ledger.into_hosts().0.collect();
    assert_eq!(verdict(&set, &hosts, 7), Some((Verdict::Suspected, Role::Relay)));
}
