#![allow(clippy::unwrap_used)]
use super::*;
use crate::decode::Zone;
use crate::matching::Reached;

const NAME: &str = "dnl-01.geo.kaspersky.com";

/// When another set of signatures comes.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Never,
    BeforeTheFlow,
    DuringTheFlow,
}

/// A client is told an address for a name, and connects to it without a word about whom it wants. Says what alerts come of it.
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
        reached: Reached::DataExchanged,
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
