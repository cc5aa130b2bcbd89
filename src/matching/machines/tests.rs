#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::inspect::{IdentityFact, IdentitySource, Statement, Subject};
use crate::matching::NextHops;
use std::net::IpAddr;

const SECOND: u64 = 1_000_000_000;

fn at(second: u64) -> Timestamp {
    Timestamp(second * SECOND)
}

fn mac(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn sight(machines: &mut Machines, address: &str, mac: Option<MacAddress>, second: u64) {
    machines.sight(&Sighting::of(ip(address), Zone::default(), mac, at(second)).unwrap());
}

fn say(machines: &mut Machines, about: Subject, source: IdentitySource, fact: IdentityFact<'_>, second: u64) {
    let said = Identified::of(
        &Statement { about, source, fact },
        (ip("0.0.0.0"), ip("255.255.255.255")),
        Zone::default(),
        None,
    );
    machines.identify(said.unwrap(), at(second));
}

fn rows(machines: &Machines) -> Vec<Machine> {
    machines.rows(&NextHops::among(machines.link_addresses()))
}

fn addresses(machine: &Machine) -> Vec<String> {
    machine.addresses.iter().map(|held| held.address.to_string()).collect()
}

#[test]
fn addresses_of_one_link_layer_address_are_one_machine() {
    let mut machines = Machines::default();
    sight(&mut machines, "10.0.0.5", Some(mac(1)), 0);
    sight(&mut machines, "fd00::5", Some(mac(1)), 1);
    sight(&mut machines, "fe80::5", Some(mac(1)), 2);
    sight(&mut machines, "10.0.0.6", Some(mac(2)), 3);
    let rows = rows(&machines);
    assert_eq!(rows.len(), 2);
    assert_eq!(addresses(&rows[0]), ["10.0.0.5", "fd00::5", "fe80::5"]);
    assert_eq!((rows[0].mac, rows[0].first_seen, rows[0].last_seen), (Some(mac(1)), at(0), at(2)));
}

#[test]
fn machines_behind_a_router_stay_apart() {
    let mut machines = Machines::default();
    (1..9).for_each(|number| sight(&mut machines, &format!("10.0.0.{number}"), Some(mac(9)), number));
    let rows = rows(&machines);
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|machine| machine.mac.is_none()));
}

#[test]
fn an_address_that_changed_hands_is_two_machines() {
    let mut machines = Machines::default();
    sight(&mut machines, "10.0.0.5", Some(mac(1)), 0);
    let mut used = Sighting::of(ip("10.0.0.5"), Zone::default(), Some(mac(1)), at(100)).unwrap();
    used.flows.named = 3;
    machines.sight(&used);
    sight(&mut machines, "10.0.0.5", Some(mac(2)), 5000);
    say(&mut machines, Subject::Link(mac(1)), IdentitySource::Dhcp, IdentityFact::HostName("first"), 0);
    say(&mut machines, Subject::Link(mac(2)), IdentitySource::Dhcp, IdentityFact::HostName("second"), 5000);
    let rows = rows(&machines);
    let names: Vec<_> = rows.iter().map(|machine| &*machine.name().unwrap().text).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!((rows[0].last_seen, rows[1].first_seen), (at(100), at(5000)));
    assert_eq!((rows[0].flows.named, rows[1].flows.total()), (3, 0), "what the first did is not the second's");
}

#[test]
fn a_lease_tells_whose_an_address_behind_a_relay_is() {
    let mut machines = Machines::default();
    (1..9).for_each(|number| sight(&mut machines, &format!("10.0.0.{number}"), Some(mac(99)), 10 + number));
    let lease = IdentityFact::Lease { address: ip("10.0.0.3"), seconds: 3600 };
    say(&mut machines, Subject::Link(mac(3)), IdentitySource::Dhcp, lease, 0);
    say(&mut machines, Subject::Link(mac(3)), IdentitySource::Dhcp, IdentityFact::HostName("laptop-3"), 0);
    let rows = rows(&machines);
    assert_eq!(rows.len(), 8);
    let third = rows.iter().find(|machine| machine.mac == Some(mac(3))).unwrap();
    assert_eq!((addresses(third), &*third.name().unwrap().text), (vec!["10.0.0.3".to_owned()], "laptop-3"));
    assert_eq!(third.leases[0].until, at(3600));
}

#[test]
fn two_leases_at_a_time_tell_nothing() {
    let mut machines = Machines::default();
    sight(&mut machines, "10.0.0.3", None, 100);
    for (number, second) in [(3, 0), (4, 1)] {
        let lease = IdentityFact::Lease { address: ip("10.0.0.3"), seconds: 3600 };
        say(&mut machines, Subject::Link(mac(number)), IdentitySource::Dhcp, lease, second);
    }
    assert_eq!(rows(&machines)[0].mac, None);
}

#[test]
fn the_best_source_names_a_machine_and_the_latest_of_one() {
    let mut machines = Machines::default();
    sight(&mut machines, "10.0.0.5", Some(mac(1)), 0);
    let subject = Subject::Address(ip("10.0.0.5"));
    say(&mut machines, subject, IdentitySource::Mdns, IdentityFact::HostName("printer.local"), 1);
    say(&mut machines, subject, IdentitySource::NetBios, IdentityFact::HostName("OLD"), 2);
    say(&mut machines, subject, IdentitySource::NetBios, IdentityFact::HostName("NEW\0 "), 3);
    let rows = rows(&machines);
    let names: Vec<_> = rows[0].labels.iter().map(|label| &*label.text).collect();
    assert_eq!(names, ["NEW", "OLD", "printer.local"]);
}

#[test]
fn what_was_only_spoken_of_is_no_machine_that_was_seen() {
    let mut machines = Machines::default();
    say(&mut machines, Subject::Address(ip("10.0.0.5")), IdentitySource::Mdns, IdentityFact::HostName("x.local"), 1);
    assert_eq!(rows(&machines), []);
    assert!(Sighting::of(ip("198.51.100.1"), Zone::default(), None, at(0)).is_none());
}

/// Invented senders have neither flows nor names, so they are the first to go.
#[test]
fn a_flood_of_senders_pushes_out_its_own_kind() {
    let mut machines = Machines::default();
    let mut real = Sighting::of(ip("10.255.255.1"), Zone::default(), Some(mac(1)), at(0)).unwrap();
    real.flows.named = 1;
    machines.sight(&real);
    let flood = u32::try_from(OF_CAPTURE.addresses * 2).unwrap();
    for number in 0..flood {
        let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        machines.sight(&Sighting::of(address, Zone::default(), None, at(1 + u64::from(number))).unwrap());
    }
    machines.settle();
    assert_eq!(machines.addresses.len(), OF_CAPTURE.addresses);
    assert!(machines.addresses.get(&real.host).is_some());
    assert_eq!(machines.dropped()[0], ("machines", u64::from(flood) + 1 - OF_CAPTURE.addresses as u64));
}

#[test]
fn a_flood_of_names_leaves_those_of_other_kinds() {
    let mut machines = Machines::default();
    sight(&mut machines, "10.0.0.5", Some(mac(1)), 0);
    let subject = Subject::Address(ip("10.0.0.5"));
    say(&mut machines, subject, IdentitySource::Dhcp, IdentityFact::HostName("real"), 1);
    for number in 0..100 {
        let name = format!("invented-{number:03}");
        say(&mut machines, subject, IdentitySource::NetBios, IdentityFact::HostName(&name), 2 + number);
    }
    let rows = rows(&machines);
    assert_eq!((rows[0].labels.len(), &*rows[0].labels[0].text), (16, "real"));
    assert_eq!(&*rows[0].labels[1].text, "invented-099");
    assert_eq!(machines.dropped()[1], ("identity_statements", 85));
}

/// However inputs are merged, the rows are the same.
#[test]
fn inputs_merge_in_any_order() {
    let part = |number: u8| {
        let mut machines = Machines::default();
        sight(&mut machines, &format!("10.0.0.{number}"), Some(mac(number / 2)), number.into());
        let name = format!("host-{}", number % 3);
        say(&mut machines, Subject::Link(mac(number / 2)), IdentitySource::Dhcp, IdentityFact::HostName(&name), 1);
        machines
    };
    let merged = |numbers: &[u8]| {
        let mut all = Machines::default();
        numbers.iter().for_each(|&number| all.merge(part(number)));
        rows(&all)
    };
    let forwards = merged(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(merged(&[6, 3, 1, 5, 2, 4]), forwards);
    assert!(!forwards.is_empty());
}

/// On a sensor anybody may invent senders with flows and names for months.
#[test]
fn a_flood_on_a_sensor_leaves_hosts_with_evidence_and_their_names() {
    let mut machines = Machines::of_sensor();
    sight(&mut machines, "10.255.255.1", Some(mac(1)), 0);
    say(&mut machines, Subject::Link(mac(1)), IdentitySource::Dhcp, IdentityFact::HostName("desk-7"), 0);
    machines.note_evidence(HostKey { address: ip("10.255.255.1"), zone: Zone::default() });
    machines.note_evidence(HostKey { address: ip("198.51.100.1"), zone: Zone::default() });
    for number in 0..u32::try_from(OF_SENSOR.addresses * 2).unwrap() {
        let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        let [_, _, three, four] = number.to_be_bytes();
        let [_, two, ..] = number.to_be_bytes();
        let mut sighting = Sighting::of(address, Zone::default(), None, at(1 + u64::from(number))).unwrap();
        sighting.flows.named = 1;
        machines.sight(&sighting);
        for turn in 0..4 {
            let name = format!("invented-{number}-{turn}");
            let link = Subject::Link(MacAddress([2, 1, 0, two, three, four]));
            let seconds = 1 + u64::from(number);
            say(&mut machines, Subject::Address(address), IdentitySource::Mdns, IdentityFact::HostName(&name), seconds);
            say(&mut machines, link, IdentitySource::Dhcp, IdentityFact::HostName(&name), seconds);
        }
    }
    let statements = |machines: &Machines| {
        let of_addresses = machines.addresses.iter().map(|(_, seen)| seen.identity());
        of_addresses.chain(machines.links.values()).map(Identity::statements).sum::<usize>()
    };
    assert_eq!(statements(&machines), machines.statements);
    assert!(machines.statements <= OF_SENSOR.statements * 5 / 4, "{}", machines.statements);
    machines.settle();
    assert_eq!((machines.addresses.len(), machines.links.len()), (OF_SENSOR.addresses, OF_SENSOR.links));
    assert_eq!(statements(&machines), machines.statements);
    let rows = rows(&machines);
    let real = rows.iter().find(|row| self::addresses(row).contains(&"10.255.255.1".to_owned())).unwrap();
    assert_eq!(&*real.name().unwrap().text, "desk-7");
    assert!(
        machines.addresses.iter().all(|(host, _)| is_private(host.address)),
        "the vendor's own are no machines inside"
    );
}

/// Two places of one network, where machines move, share addresses and stand behind a router.
fn two_places() -> [Machines; 2] {
    let [mut one, mut other] = [Machines::of_sensor(), Machines::of_sensor()];
    (1..40).for_each(|number| {
        sight(&mut one, &format!("10.0.0.{number}"), Some(mac(number % 20 + 1)), 100 * u64::from(number))
    });
    (1..9).for_each(|number| sight(&mut other, &format!("10.1.0.{number}"), Some(mac(99)), number));
    sight(&mut one, "10.0.0.7", Some(mac(50)), 5000);
    sight(&mut other, "10.0.0.8", Some(mac(51)), 9000);
    sight(&mut other, "10.0.0.9", None, 9000);
    let mut used = Sighting::of(ip("10.0.0.8"), Zone::default(), Some(mac(51)), at(9001)).unwrap();
    used.flows.named = 3;
    other.sight(&used);
    sight(&mut other, "fd00::5", Some(mac(6)), 77);
    say(&mut other, Subject::Address(ip("fd00::5")), IdentitySource::Mdns, IdentityFact::HostName("five.local"), 77);
    say(&mut one, Subject::Link(mac(51)), IdentitySource::Dhcp, IdentityFact::HostName("eight"), 9000);
    let lease = IdentityFact::Lease { address: ip("10.1.0.3"), seconds: 3600 };
    say(&mut one, Subject::Link(mac(60)), IdentitySource::Dhcp, lease, 0);
    say(&mut one, Subject::Link(mac(60)), IdentitySource::Dhcp, IdentityFact::HostName("leased"), 0);
    [one, other]
}

#[test]
fn machines_are_counted_without_a_row_for_each() {
    let parts = two_places();
    let mut all = parts[0].clone();
    all.merge(parts[1].clone());
    let sorted = |mut flows: Vec<MachineFlows>| {
        flows.sort_by_key(|flows| (flows.named, flows.total()));
        flows
    };
    let tally = JoinedMachines::new(&parts).tally();
    let expected = rows(&all);
    assert!(expected.len() > 20);
    assert_eq!(sorted(tally.flows), sorted(expected.iter().map(|row| row.flows).collect()));
}

#[test]
fn those_that_are_asked_for_are_told_of_as_among_all() {
    let parts = two_places();
    let mut all = parts[0].clone();
    all.merge(parts[1].clone());
    let joined = JoinedMachines::new(&parts);
    let hops = joined.tally().next_hops;
    let all = rows(&all);
    let mut told = 0;
    for row in &all {
        for held in &row.addresses {
            let host = HostKey { address: held.address, zone: row.zone };
            let of_host: Vec<&Machine> =
                all.iter().filter(|row| row.addresses.iter().any(|other| other.address == held.address)).collect();
            let asked = joined.rows_of(&[host], &hops);
            assert_eq!(asked.iter().collect::<Vec<_>>(), of_host, "{host:?}");
            told += 1;
        }
    }
    assert!(told > 40);
    let name = |address: &str| {
        let host = HostKey { address: ip(address), zone: Zone::default() };
        joined.name_of(host, &hops).map(|label| label.text.to_string())
    };
    assert_eq!(name("fd00::5").as_deref(), Some("five.local"));
    assert_eq!(name("10.0.0.8").as_deref(), Some("eight"));
    assert_eq!(name("10.1.0.4"), None, "behind the router");
}
