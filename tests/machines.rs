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

const SERVER: ([u8; 6], [u8; 4]) = ([2, 0, 0, 0, 0, 9], [10, 20, 0, 9]);

/// A TCP connection of 10.20.0.7 with [`SERVER`], in which either side sends these in turn, the client first.
fn connection(ports: (u16, u16), speeches: &[&[u8]]) -> Vec<Vec<u8>> {
    let client = ([2, 0, 0, 0, 0, 7], [10, 20, 0, 7]);
    let mut next = [1000_u32, 5000];
    let mut frames = Vec::new();
    let mut send = |side: usize, syn: bool, payload: &[u8]| {
        let (from, to) = if side == 0 { (client, SERVER) } else { (SERVER, client) };
        let (src_port, dst_port) = if side == 0 { ports } else { (ports.1, ports.0) };
        let mut builder =
            PacketBuilder::ethernet2(from.0, to.0).ipv4(from.1, to.1, 64).tcp(src_port, dst_port, next[side], 64_000);
        builder = if syn { builder.syn() } else { builder };
        builder = if syn && side == 0 { builder } else { builder.ack(next[1 - side]) };
        let mut frame = Vec::new();
        builder.write(&mut frame, payload).unwrap();
        frames.push(frame);
        next[side] += u32::from(syn) + u32::try_from(payload.len()).unwrap();
    };
    send(0, true, &[]);
    send(1, true, &[]);
    for (number, speech) in speeches.iter().enumerate() {
        // In segments, as a slow sender makes them.
        speech.chunks(11).for_each(|piece| send(number % 2, false, piece));
    }
    frames
}

/// What machine is called, each kind with its source.
fn labels(machine: &Machine) -> Vec<String> {
    machine.labels.iter().map(|label| format!("{:?} {} {}", label.kind, label.text, label.source.name())).collect()
}

/// A message of SMB 2 that sets up a session, with a token of NTLM in it.
fn session_setup(is_answer: bool, token: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 0, 0, u8::try_from(64 + token.len()).unwrap(), 0xfe, b'S', b'M', b'B', 64, 0];
    message.resize(4 + 64, 0);
    (message[16], message[20]) = (1, is_answer.into());
    [&message, token].concat()
}

/// A token of NTLM whose fields, text each, stand at these places of its fixed part.
fn ntlm(kind: u8, fixed: usize, flags_at: usize, flags: u32, fields: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut token = [b"NTLMSSP\0", &[kind, 0, 0, 0][..]].concat();
    token.resize(fixed, 0);
    token[flags_at..flags_at + 4].copy_from_slice(&flags.to_le_bytes());
    for (at, value) in fields {
        let (length, offset) = (u8::try_from(value.len()).unwrap(), u8::try_from(token.len()).unwrap());
        token[*at..at + 8].copy_from_slice(&[length, 0, length, 0, offset, 0, 0, 0]);
        token.extend_from_slice(value);
    }
    token
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
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

#[test]
fn both_sides_of_smb_are_named_by_what_they_prove() {
    let name = [&[1, 0, 6, 0][..], &utf16("FS1"), &[0; 4]].concat();
    let challenge = ntlm(2, 56, 20, 0x0080_0001, &[(40, name)]);
    let proof = ntlm(3, 72, 60, 1, &[(28, utf16("CORP")), (36, utf16("jane")), (44, utf16("PC7"))]);
    let offer = ntlm(1, 32, 12, 0, &[]);
    let machines = machines(&connection(
        // No port of SMB: the bytes say what it is.
        (50_000, 4450),
        &[
            &session_setup(false, &offer),
            &session_setup(true, &challenge),
            &session_setup(false, &proof),
            b"\0\0\0\x50\xfeSMB",
        ],
    ));
    let client = with(&machines, "10.20.0.7");
    assert_eq!(labels(&client), ["Name PC7 ntlm", "Domain CORP ntlm", "User jane ntlm"]);
    assert_eq!(labels(&with(&machines, "10.20.0.9")), ["Name FS1 ntlm"]);
}

#[test]
fn the_server_of_ssh_names_its_system_and_the_client_does_not() {
    let greetings: [&[u8]; 2] = [b"SSH-2.0-PuTTY_Release_0.78\r\n", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"];
    let named = ["System OpenSSH_9.2p1 Debian-2 ssh"];
    let direct = machines(&connection((50_000, 2222), &greetings));
    assert_eq!(labels(&with(&direct, "10.20.0.9")), named);
    assert!(labels(&with(&direct, "10.20.0.7")).is_empty());
    // Behind a proxy it is somebody else.
    let connect: [&[u8]; 4] =
        [b"CONNECT ssh.example:22 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", greetings[0], greetings[1]];
    let proxied = machines(&connection((50_000, 8080), &connect));
    assert!(labels(&with(&proxied, "10.20.0.9")).is_empty());
    // The server may speak first, as it mostly does.
    let first = machines(&connection((50_000, 22), &[b"", greetings[1], greetings[0]]));
    assert_eq!(labels(&with(&first, "10.20.0.9")), named);
}

#[test]
fn a_client_of_kerberos_over_tcp_is_named() {
    /// `jane` at CORP.EXAMPLE asks for a ticket.
    const REQUEST: &[u8] = b"\0\0\0\x49\x6a\x47\x30\x45\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa4\x39\x30\x37\
        \xa0\x07\x03\x05\0\x40\x81\0\x10\xa1\x11\x30\x0f\xa0\x03\x02\x01\x01\xa1\x08\x30\x06\x1b\x04jane\
        \xa2\x0e\x1b\x0cCORP.EXAMPLE\xa7\x03\x02\x01\x07\xa8\x04\x30\x02\x05\0";
    let machines = machines(&connection((50_000, 88), &[REQUEST]));
    assert_eq!(labels(&with(&machines, "10.20.0.7")), ["Domain CORP.EXAMPLE kerberos", "User jane kerberos"]);
}

#[test]
fn a_switch_that_says_where_it_is_managed_is_a_machine() {
    let announce =
        |kind: u16, to: [u8; 6], body: &[u8]| [&to[..], &[0, 0, 0x0c, 0, 0, 1], &kind.to_be_bytes(), body].concat();
    let lldp = |address: [u8; 4]| {
        let [a, b, c, d] = address;
        let elements: [&[u8]; 5] = [
            b"\x02\x07\x04\0\0\x0c\0\0\x01\x04\x04\x05Gi1\x06\x02\0\x78",
            b"\x0a\x03sw1\x0c\x05IOS 1",
            &[0x10, 0x0c, 5, 1, a, b, c, d],
            b"\x02\0\0\0\x01\0",
            b"\0\0",
        ];
        announce(0x88cc, [1, 0x80, 0xc2, 0, 0, 0x0e], &elements.concat())
    };
    let cdp: [&[u8]; 3] = [
        b"\xaa\xaa\x03\0\0\x0c\x20\0\x02\xb4\0\0\0\x01\0\x07sw2\0\x06\0\x0bC2960-X",
        b"\0\x02\0\x11\0\0\0\x01\x01\x01\xcc\0\x04\x0a\x14\0\x03",
        b"\0\x05\0\x09IOS 2",
    ];
    let cdp = cdp.concat();
    let cdp = announce(u16::try_from(cdp.len()).unwrap(), [1, 0, 0x0c, 0xcc, 0xcc, 0xcc], &cdp);
    let outside = lldp([203, 0, 113, 2]);
    let none = announce(0x88cc, [1, 0x80, 0xc2, 0, 0, 0x0e], b"\x02\x07\x04\0\0\x0c\0\0\x01\x0a\x03sw9\0\0");
    let machines = machines(&[lldp([10, 20, 0, 2]), cdp, outside, none]);
    assert_eq!(machines.len(), 4, "{machines:?}");
    let switch = with(&machines, "10.20.0.2");
    assert_eq!(labels(&switch), ["Name sw1 lldp", "System IOS 1 lldp"]);
    assert_eq!((switch.flows.total(), switch.mac), (0, None));
    assert_eq!(labels(&with(&machines, "10.20.0.3")), ["Name sw2 cdp", "System IOS 2 cdp", "Device C2960-X cdp"]);
}

#[test]
fn a_machine_that_announces_itself_is_named_by_its_own_card() {
    let lldp =
        [&[1, 0x80, 0xc2, 0, 0, 0x0e][..], &CLIENT, &[0x88, 0xcc], b"\x02\x02\x07x\x0a\x09desktop-1\0\0"].concat();
    let machines = machines(&[lldp]);
    assert_eq!((machines.len(), labels(&with(&machines, "10.20.0.5"))), (2, vec!["Name desktop-1 lldp".to_owned()]));
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
