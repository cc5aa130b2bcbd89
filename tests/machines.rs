//! Which machines a capture shows, whether or not they show anything of the vendor's, and what they are called.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use etherparse::PacketBuilder;
use kaspector::capture::{CaptureFile, Frame, LinkType, Timestamp};
use kaspector::inspect::IdentitySource;
use kaspector::matching::{LabelKind, Machine, SignatureSet};
use kaspector::pipeline::{Detector, Findings};
use std::sync::Arc;

/// The client of `pcaps/dns-then-tls.pcap`.
const CLIENT: [u8; 6] = [0x1a, 0x52, 0x6c, 0xee, 0x93, 0x90];

/// A DHCP message of a client (RFC 2131, figure 1), with these options.
fn dhcp(operation: u8, client: [u8; 6], given: [u8; 4], options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = vec![operation, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&given);
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&client);
    message.resize(236, 0);
    message.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    for (code, value) in options {
        message.extend_from_slice(&[*code, u8::try_from(value.len()).unwrap()]);
        message.extend_from_slice(value);
    }
    message.push(255);
    message
}

fn udp(from: ([u8; 6], [u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, [0xff; 6])
        .ipv4(from.1, to.0, 64)
        .udp(from.2, to.1)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

/// The machines that `pcaps/dns-then-tls.pcap` shows when these frames come first.
fn machines(before: &[Vec<u8>]) -> Vec<Machine> {
    let signatures = Arc::new(SignatureSet::builtin());
    let findings = findings(before, &signatures);
    assert_eq!(findings.host_findings(&signatures).len(), 1);
    findings.machines()
}

fn findings(before: &[Vec<u8>], signatures: &Arc<SignatureSet>) -> Findings {
    let mut detector = Detector::new(signatures);
    let start = Timestamp(1_795_491_540_000_000_000);
    for (number, frame) in (1..).zip(before) {
        let at = Timestamp(start.0 + number * 1_000_000);
        detector.feed(&Frame::new(number, at, LinkType::ETHERNET, frame));
    }
    for block in CaptureFile::open(concat!(env!("CARGO_MANIFEST_DIR"), "/pcaps/dns-then-tls.pcap")).unwrap().blocks() {
        detector.feed_block(block.unwrap().view(), |_| true);
    }
    detector.finish()
}

fn with(machines: &[Machine], address: &str) -> Machine {
    let has = |machine: &&Machine| machine.addresses.iter().any(|held| held.address.to_string() == address);
    machines.iter().find(has).unwrap_or_else(|| panic!("{address} in {machines:?}")).clone()
}

#[test]
fn machines_without_findings_count() {
    let machines = machines(&[]);
    assert_eq!(machines.len(), 2, "{machines:?}");
    let client = with(&machines, "10.20.0.5");
    assert_eq!((client.flows.named, client.flows.total(), client.is_resolver), (2, 2, false));
    let resolver = with(&machines, "10.20.0.53");
    assert_eq!((resolver.flows.total(), resolver.is_resolver), (0, true));
    assert_eq!((client.name(), resolver.name()), (None, None));
}

#[test]
fn dhcp_names_the_machine_that_is_found() {
    let request = dhcp(1, CLIENT, [0; 4], &[(53, &[3]), (50, &[10, 20, 0, 5]), (12, b"desktop-17"), (60, b"MSFT 5.0")]);
    let ack = dhcp(2, CLIENT, [10, 20, 0, 5], &[(53, &[5]), (51, &3600_u32.to_be_bytes()), (15, b"corp.example")]);
    let server = ([2, 0, 0, 0, 0, 1], [10, 20, 0, 1], 67);
    let machines =
        machines(&[udp((CLIENT, [0; 4], 68), ([255; 4], 67), &request), udp(server, ([10, 20, 0, 5], 68), &ack)]);
    assert_eq!(machines.len(), 3, "the server of DHCP is one more: {machines:?}");
    let client = with(&machines, "10.20.0.5");
    let name = client.name().unwrap();
    assert_eq!((&*name.text, name.source), ("desktop-17", IdentitySource::Dhcp));
    assert_eq!(&*client.label(LabelKind::Device).unwrap().text, "MSFT 5.0");
    assert_eq!(client.leases[0].until.since(client.leases[0].from), 3_600_000_000_000);
}

/// Neighbours tell each other whose address is whose; a name that nobody may have moves nothing.
#[test]
fn neighbours_and_liars_are_heard_and_believed_by_nobody() {
    // An answer of multicast DNS: `printer.local` has 10.20.0.77, which never sends anything.
    let mut answer = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    answer.extend_from_slice(b"\x07printer\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0a\x14\0\x4d");
    let neighbour = ([2, 0, 0, 0, 0, 7], [10, 20, 0, 7], 5353);
    let hostile = dhcp(1, CLIENT, [0; 4], &[(53, &[3]), (12, b"<script>\x1b[31m=cmd()")]);
    let machines = machines(&[
        udp(neighbour, ([224, 0, 0, 251], 5353), &answer),
        udp((CLIENT, [0; 4], 68), ([255; 4], 67), &hostile),
    ]);
    assert_eq!(machines.len(), 3, "who answers is there, who is named is not: {machines:?}");
    assert_eq!(with(&machines, "10.20.0.7").name(), None);
    assert_eq!(&*with(&machines, "10.20.0.5").name().unwrap().text, "<script>\x1b[31m=cmd()");
}

/// The same address with another card is another machine, though both were seen within one capture.
#[test]
fn an_address_that_changes_hands_within_a_capture_is_two_machines() {
    let query = |mac| udp((mac, [10, 20, 0, 8], 40_000), ([10, 20, 0, 1], 9999), b"x");
    let again = |mac| udp((mac, [10, 20, 0, 8], 40_001), ([10, 20, 0, 1], 9999), b"x");
    let (one, other) = ([2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]);
    let machines = machines(&[query(one), again(other)]);
    let macs: Vec<_> = machines
        .iter()
        .filter(|machine| machine.addresses.iter().any(|held| held.address.to_string() == "10.20.0.8"))
        .map(|machine| machine.mac.unwrap().0)
        .collect();
    assert_eq!(macs, [one, other]);
}

/// Only a machine without evidence shows that the link-layer address before both is a router's.
#[test]
fn a_router_s_link_layer_address_is_not_the_host_s() {
    let signatures = Arc::new(SignatureSet::builtin());
    let found = |before: &[Vec<u8>]| {
        let findings = findings(before, &signatures);
        let host = findings.host_findings(&signatures).remove(0);
        assert_eq!(host.mac, with(&findings.machines(), "10.20.0.5").mac);
        (host.mac.map(|mac| mac.0), host.next_hop_mac.map(|mac| mac.0))
    };
    assert_eq!(found(&[]), (Some(CLIENT), None));
    let other = udp((CLIENT, [10, 20, 0, 6], 40_000), ([10, 20, 0, 1], 9999), b"x");
    assert_eq!(found(&[other]), (None, Some(CLIENT)));
}
