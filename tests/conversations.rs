//! Verdicts about conversations made packet by packet: what takes several flows to see, and no client does at will.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use etherparse::PacketBuilder;
use kaspector::capture::{Frame, LinkType, Timestamp};
use kaspector::matching::{Alert, HostFinding, Ledger, Role, SignatureSet, Verdict};
use kaspector::pipeline::{Bounds, Detector, EventSink, Lanes, Numbering, RoundEvents};
use std::net::Ipv4Addr;
use std::sync::Arc;

const UPDATES: &str = "s07.upd.kaspersky.com";
const PC: &str = "10.20.0.5";
const PROXY: &str = "10.20.0.80";
const RESOLVER: &str = "10.20.0.53";
const SERVER: &str = "198.51.100.10";
const CDN: &str = "203.0.113.80";
const SYN: u8 = 1;
const ACK: u8 = 2;
const RST: u8 = 4;
const FIN: u8 = 8;
const URG: u8 = 16;

/// Frames in order, a millisecond apart.
#[derive(Default)]
struct Wire {
    frames: Vec<Vec<u8>>,
}

impl Wire {
    fn builder(from: &str, to: &str) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        let octets = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(octets(from), octets(to), 64)
    }

    fn udp(&mut self, (from, from_port): (&str, u16), (to, to_port): (&str, u16), payload: &[u8]) {
        let mut frame = Vec::new();
        Self::builder(from, to).udp(from_port, to_port).write(&mut frame, payload).unwrap();
        self.frames.push(frame);
    }

    fn tcp(&mut self, (from, from_port): (&str, u16), (to, to_port): (&str, u16), seq: u32, flags: u8, payload: &[u8]) {
        let mut step = Self::builder(from, to).tcp(from_port, to_port, seq, 65_000);
        if flags & SYN != 0 {
            step = step.syn();
        }
        if flags & ACK != 0 {
            step = step.ack(1);
        }
        if flags & RST != 0 {
            step = step.rst();
        }
        if flags & FIN != 0 {
            step = step.fin();
        }
        if flags & URG != 0 {
            step = step.urg(3);
        }
        let mut frame = Vec::new();
        step.write(&mut frame, payload).unwrap();
        self.frames.push(frame);
    }

    /// A connection in which the client sends `pieces`, one segment each.
    fn connection(&mut self, client: (&str, u16), server: (&str, u16), pieces: &[&[u8]]) {
        self.tcp(client, server, 100, SYN, &[]);
        let mut seq = 101;
        for piece in pieces {
            self.tcp(client, server, seq, ACK, piece);
            seq += u32::try_from(piece.len()).unwrap();
        }
    }

    /// A question to the resolver, and its answer.
    fn lookup(&mut self, client: &str, port: u16, name: &str, address: &str) {
        self.udp((client, port), (RESOLVER, 53), &query(name, A, true));
        self.udp((RESOLVER, 53), (client, port), &answer(name, address));
    }

    fn scan(&self) -> (Vec<HostFinding>, Vec<Alert>) {
        let signatures = Arc::new(SignatureSet::builtin());
        let mut detector = Detector::new(&signatures);
        for (number, bytes) in (1..).zip(&self.frames) {
            let wire_len = u32::try_from(bytes.len()).unwrap();
            let at = Timestamp(1_700_000_000_000_000_000 + number * 1_000_000);
            detector.feed(&Frame { number, at, link_type: LinkType::ETHERNET, wire_len, bytes });
        }
        let findings = detector.finish();
        assert_eq!(findings.outcomes.total(), self.frames.len() as u64);
        (findings.host_findings(&signatures), findings.alerts)
    }

    /// Address, verdict and role of each host.
    fn hosts(&self) -> Vec<(String, Verdict, Role)> {
        self.scan().0.iter().map(|host| (host.host.address.to_string(), host.verdict, host.role)).collect()
    }
}

const A: u16 = 1;
const DS: u16 = 43;
const DNSKEY: u16 = 48;

fn sized(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [length.get(4 - width..).unwrap(), bytes].concat()
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = name.split('.').flat_map(|label| sized(1, label.as_bytes())).collect();
    bytes.push(0);
    bytes
}

fn query(name: &str, record_type: u16, recursion_desired: bool) -> Vec<u8> {
    let header = [0, 7, u8::from(recursion_desired), 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], &labels(name), &record_type.to_be_bytes(), &[0, 1]].concat()
}

fn answer(name: &str, address: &str) -> Vec<u8> {
    let header = [0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    let octets = address.parse::<Ipv4Addr>().unwrap().octets();
    let question = [labels(name), vec![0, 1, 0, 1]].concat();
    [&header[..], &question, &question, &[0, 0, 1, 0, 0, 4], &octets].concat()
}

/// A ClientHello, with a server name or without.
fn hello(name: Option<&str>) -> Vec<u8> {
    hello_with(&[0, 10, 0, 4, 0, 2, 0, 29], name)
}

fn hello_with(extensions: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut extensions = extensions.to_vec();
    if let Some(name) = name {
        let list = sized(2, &[&[0][..], &sized(2, name.as_bytes())].concat());
        extensions.extend([&[0, 0][..], &sized(2, &list)].concat());
    }
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &sized(2, &extensions)].concat();
    [&[22, 3, 1][..], &sized(2, &[&[1][..], &sized(3, &body)].concat())].concat()
}

fn endpoint(address: &str, verdict: Verdict) -> (String, Verdict, Role) {
    (address.to_owned(), verdict, Role::Endpoint)
}

fn relay(address: &str) -> (String, Verdict, Role) {
    (address.to_owned(), Verdict::Suspected, Role::Relay)
}

#[test]
fn a_proxy_asked_for_an_address_relays_what_the_tunnel_names() {
    let connect = format!("CONNECT {SERVER}:443 HTTP/1.1\r\n\r\n").into_bytes();
    let socks = [&[5, 1, 0, 5, 1, 0, 1][..], &SERVER.parse::<Ipv4Addr>().unwrap().octets(), &[1, 187]].concat();
    for request in [connect, socks] {
        let mut wire = Wire::default();
        wire.connection((PC, 4_000), (PROXY, 3_128), &[&request, &hello(Some(UPDATES))]);
        wire.connection((PROXY, 5_000), (SERVER, 443), &[&hello(Some(UPDATES))]);
        assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed), relay(PROXY)]);
        // What it was not asked for is its own.
        wire.connection((PROXY, 5_001), (SERVER, 443), &[&hello(Some("s08.upd.kaspersky.com"))]);
        assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed), endpoint(PROXY, Verdict::Confirmed)]);
    }
}

#[test]
fn a_resolver_that_validates_asks_for_the_zones_above_on_behalf_of_others() {
    let mut wire = Wire::default();
    wire.udp((PC, 4_000), (RESOLVER, 53), &query(UPDATES, A, true));
    for (port, name, record_type) in
        [(1, UPDATES, A), (2, "upd.kaspersky.com", DS), (3, "upd.kaspersky.com", DNSKEY), (4, "kaspersky.com", DS)]
    {
        wire.udp((RESOLVER, 6_000 + port), ("198.51.100.53", 53), &query(name, record_type, true));
    }
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Suspected), relay(RESOLVER)]);
}

#[test]
fn a_gateway_that_resolves_for_others_forwards_for_them_too() {
    let mut wire = Wire::default();
    wire.udp((PC, 4_000), (PROXY, 53), &query(UPDATES, A, true));
    wire.lookup(PROXY, 5_000, UPDATES, SERVER);
    wire.udp((PROXY, 53), (PC, 4_000), &answer(UPDATES, SERVER));
    wire.connection((PROXY, 5_001), (SERVER, 443), &[&hello(None)]);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Suspected), relay(PROXY)]);
    wire.connection((PC, 4_001), (SERVER, 443), &[&hello(None)]);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed), relay(PROXY)]);
}

#[test]
fn a_resolver_learns_addresses_for_others() {
    let mut iterative = answer(UPDATES, SERVER);
    // Recursion desired is copied from the question.
    if let Some(flags) = iterative.get_mut(2) {
        *flags &= !1;
    }
    let mut wire = Wire::default();
    wire.udp((RESOLVER, 6_000), ("198.51.100.53", 53), &query(UPDATES, A, false));
    wire.udp(("198.51.100.53", 53), (RESOLVER, 6_000), &iterative);
    wire.connection((RESOLVER, 6_001), (SERVER, 443), &[&hello(None)]);
    assert_eq!(wire.hosts(), [relay(RESOLVER)]);
}

#[test]
fn whoever_asks_its_neighbours_is_no_relay() {
    for (group, port) in [("224.0.0.251", 5_353), ("224.0.0.252", 5_355)] {
        let mut wire = Wire::default();
        wire.udp((PC, port), (group, port), &query(UPDATES, A, false));
        assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Suspected)]);
    }
}

#[test]
fn an_address_that_the_client_also_got_for_another_name_proves_nothing() {
    let mut wire = Wire::default();
    wire.lookup(PC, 4_000, UPDATES, CDN);
    wire.lookup(PC, 4_001, "www.shop.example", CDN);
    wire.connection((PC, 4_002), (CDN, 443), &[&hello(None)]);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Suspected)]);
    wire.lookup(PC, 4_003, UPDATES, CDN);
    wire.connection((PC, 4_004), (CDN, 443), &[&hello(None)]);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)], "the last answer before the connection counts");
}

#[test]
fn a_port_used_again_is_another_flow_though_only_the_server_is_seen() {
    let mut wire = Wire::default();
    wire.tcp((CDN, 443), (PC, 4_000), 100, SYN | ACK, &[]);
    wire.tcp((CDN, 443), (PC, 4_000), 101, ACK, b"\x17\x03\x03\x00\x02xx");
    wire.udp((RESOLVER, 53), (PC, 4_001), &answer(UPDATES, CDN));
    wire.tcp((CDN, 443), (PC, 4_000), 100, SYN | ACK, &[]);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Suspected)], "the same connection, its answer sent again");
    wire.tcp((CDN, 443), (PC, 4_000), 90_000_000, SYN | ACK, &[]);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)]);
}

/// What the client sends to port 443 over UDP in a recorded capture.
fn datagrams(capture: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/pcaps/{capture}.pcap", env!("CARGO_MANIFEST_DIR"));
    let mut reader = pcap_file::pcap::PcapReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut payloads = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        let headers = etherparse::PacketHeaders::from_ethernet_slice(&packet.data).unwrap();
        if headers.transport.and_then(etherparse::TransportHeader::udp).is_some_and(|udp| udp.destination_port == 443) {
            payloads.push(headers.payload.slice().to_vec());
        }
    }
    payloads
}

#[test]
fn quic_connections_follow_each_other_between_the_same_ports() {
    let mut wire = Wire::default();
    // Nine datagrams of nobody's protocol first.
    let strange = std::iter::repeat_n(vec![1; 40], 9);
    for payload in strange.chain(datagrams("quic-v1")).chain(datagrams("quic-v2")).chain(datagrams("browser-quic")) {
        // Each twice: a copy is no connection of its own.
        wire.udp((PC, 4_000), (SERVER, 443), &payload);
        wire.udp((PC, 4_000), (SERVER, 443), &payload);
    }
    let (hosts, alerts) = wire.scan();
    let lines = hosts.iter().flat_map(|host| &host.evidence);
    let names: Vec<_> = lines.map(|line| (&*line.observed, line.count)).collect();
    assert_eq!(
        names,
        [
            ("ksn-verdict-geo.kaspersky-labs.com", 1),
            ("ksn-info-geo.kaspersky-labs.com", 1),
            ("ksn-cinfo-geo.kaspersky-labs.com", 1)
        ]
    );
    assert_eq!(alerts.len(), 3);
}

#[test]
fn a_host_an_indicator_and_a_flow_make_one_alert() {
    let request = format!("GET / HTTP/1.1\r\nHost: {UPDATES}\r\n\r\n").into_bytes();
    let mut wire = Wire::default();
    wire.connection((PC, 4_000), (SERVER, 80), &[&request, &request, &request]);
    for _ in 0..3 {
        wire.udp((PC, 4_001), (RESOLVER, 53), &query(UPDATES, A, true));
    }
    let (hosts, alerts) = wire.scan();
    assert_eq!(alerts.len(), 2);
    let counts: Vec<u64> = hosts.iter().flat_map(|host| &host.evidence).map(|line| line.count).collect();
    assert_eq!(counts, [3, 3]);
}

#[test]
fn what_hides_its_name_is_counted() {
    let mut wire = Wire::default();
    let encrypted = [0xfe, 0x0d, 0, 4, 0, 1, 2, 3];
    for (port, hello) in [(40_001, hello(Some("a.example"))), (40_002, hello_with(&encrypted, Some("b.example")))] {
        wire.connection((PC, port), (SERVER, 443), &[&hello]);
    }
    // Two datagrams of one flow under a draft's version, and one that is no QUIC.
    let mut unknown = [&[0xc3, 0xff, 0, 0, 0x15, 8][..], &[7; 8], &[0]].concat();
    unknown.resize(1200, 0);
    wire.udp((PC, 40_003), (SERVER, 443), &unknown);
    wire.udp((PC, 40_003), (SERVER, 443), &unknown);
    wire.udp((PC, 40_004), (SERVER, 443), &[0x41; 1200]);
    let signatures = Arc::new(SignatureSet::builtin());
    let mut lanes = Lanes::new(&signatures, 7, 2, Numbering::ALONE);
    let mut ledger = Ledger::new(&signatures, 0);
    for (number, bytes) in (1..).zip(&wire.frames) {
        let wire_len = u32::try_from(bytes.len()).unwrap();
        let at = Timestamp(1_700_000_000_000_000_000 + number);
        lanes.feed(&Frame { number, at, link_type: LinkType::ETHERNET, wire_len, bytes }, &mut ledger);
    }
    let seen = lanes.coverage();
    assert_eq!((seen.encrypted_hellos, seen.unknown_quic_versions), (1, 1));
}

/// A handshake of which both sides are seen: the client's first byte is 101, the server's 201.
fn opened() -> Wire {
    let mut wire = Wire::default();
    wire.tcp((PC, 4_000), (SERVER, 443), 100, SYN, &[]);
    wire.server_answers(200, SYN | ACK, 101);
    wire.tcp((PC, 4_000), (SERVER, 443), 101, ACK, &[]);
    wire
}

impl Wire {
    fn client_sends(&mut self, seq: u32, flags: u8, payload: &[u8]) {
        self.tcp((PC, 4_000), (SERVER, 443), seq, flags, payload);
    }

    /// A segment of the server that acknowledges everything before `ack`.
    fn server_answers(&mut self, seq: u32, flags: u8, ack: u32) {
        self.answers((SERVER, 443), (PC, 4_000), seq, flags, ack);
    }

    fn answers(&mut self, (from, from_port): (&str, u16), (to, to_port): (&str, u16), seq: u32, flags: u8, ack: u32) {
        let builder = Self::builder(from, to).tcp(from_port, to_port, seq, 65_000).ack(ack);
        let mut frame = Vec::new();
        if flags & SYN != 0 { builder.syn() } else { builder }.write(&mut frame, &[]).unwrap();
        self.frames.push(frame);
    }

    /// Puts something else into the checksum of the last segment.
    fn spoil_checksum(&mut self, field: Option<[u8; 2]>) {
        let frame = self.frames.last_mut().unwrap();
        let place = frame.get_mut(50..52).unwrap();
        match field {
            Some(field) => place.copy_from_slice(&field),
            None => place.iter_mut().for_each(|byte| *byte ^= 0x5a),
        }
    }

    /// How often a bound was met.
    fn dropped(&self, name: &str) -> u64 {
        let mut detector = Detector::new(&Arc::new(SignatureSet::builtin()));
        for (number, bytes) in (1..).zip(&self.frames) {
            let wire_len = u32::try_from(bytes.len()).unwrap();
            let at = Timestamp(1_700_000_000_000_000_000 + number * 1_000_000);
            detector.feed(&Frame { number, at, link_type: LinkType::ETHERNET, wire_len, bytes });
        }
        detector.finish().dropped.get(name).copied().unwrap_or(0)
    }
}

/// How a hello is sent.
type Send = fn(&mut Wire, &[u8]);

/// A decoy in the place of the true hello, sent so that its receiver drops it, and the true one.
#[test]
fn what_receivers_drop_is_not_believed() {
    let ways: [(&str, Send); 7] = [
        ("no flags", |wire, decoy| wire.client_sends(101, 0, decoy)),
        ("an end without ACK", |wire, decoy| wire.client_sends(101, FIN, decoy)),
        ("a reset", |wire, decoy| wire.client_sends(101, RST, decoy)),
        ("a reset with ACK", |wire, decoy| wire.client_sends(101, RST | ACK, decoy)),
        ("a SYN in an open connection", |wire, decoy| wire.client_sends(100_000, SYN, decoy)),
        ("a SYN that is an end", |wire, decoy| wire.client_sends(100, SYN | FIN, decoy)),
        ("a wrong checksum", |wire, decoy| {
            wire.client_sends(101, ACK, decoy);
            wire.spoil_checksum(None);
        }),
    ];
    let (decoy, truth) = (hello(Some("www.shop.example")), hello(Some(UPDATES)));
    for (way, send) in ways {
        for (first, second, expected) in
            [(&decoy, &truth, vec![endpoint(PC, Verdict::Confirmed)]), (&truth, &decoy, Vec::new())]
        {
            let mut wire = opened();
            send(&mut wire, first);
            wire.client_sends(101, ACK, second);
            wire.server_answers(201, ACK, 101 + u32::try_from(second.len()).unwrap());
            assert_eq!(wire.hosts(), expected, "{way}");
            assert_eq!(wire.dropped("overlapping_segments"), u64::from(way.contains("checksum")), "{way}");
        }
    }
}

#[test]
fn captures_of_the_sending_machine_are_read() {
    let truth = hello(Some(UPDATES));
    let end = 101 + u32::try_from(truth.len()).unwrap();
    for (acknowledged, field) in [(true, None), (false, None), (true, Some([0, 0])), (false, Some([0, 0]))] {
        let mut wire = opened();
        wire.client_sends(101, ACK, &truth);
        wire.spoil_checksum(field);
        if acknowledged {
            wire.server_answers(201, ACK, end);
        }
        assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)], "{acknowledged} {field:?}");
    }
}

#[test]
fn data_with_a_syn_counts_if_the_server_takes_it() {
    let (decoy, truth) = (hello(Some("www.shop.example")), hello(Some(UPDATES)));
    for taken in [false, true] {
        let mut wire = Wire::default();
        wire.client_sends(100, SYN, &decoy);
        wire.server_answers(200, SYN | ACK, if taken { 101 + u32::try_from(decoy.len()).unwrap() } else { 101 });
        wire.client_sends(101, ACK, &truth);
        assert_eq!(wire.hosts().is_empty(), taken);
    }
}

#[test]
fn a_stale_syn_changes_nothing_and_an_answered_one_begins_anew() {
    let truth = hello(Some(UPDATES));
    let (first, second) = truth.split_at(40);
    let mut wire = opened();
    wire.client_sends(5_000_000, SYN, &[]);
    wire.client_sends(101, ACK, first);
    wire.client_sends(9_000_000, SYN, &[]);
    wire.server_answers(201, ACK, 101);
    wire.client_sends(141, ACK, second);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)]);
    let mut wire = opened();
    wire.client_sends(101, ACK, &hello(Some("www.shop.example")));
    wire.client_sends(9_000_000, SYN, &[]);
    wire.server_answers(7_000, SYN | ACK, 9_000_001);
    wire.client_sends(9_000_001, ACK, &truth);
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)]);
}

/// Who began a connection answers nobody: the server challenges such a segment as it does any SYN (RFC 5961 section 4), and goes on.
#[test]
fn an_answer_by_the_client_changes_nothing() {
    let truth = hello(Some(UPDATES));
    let mut both_sides = opened();
    let mut client_alone = Wire::default();
    client_alone.client_sends(100, SYN, &[]);
    for wire in [&mut both_sides, &mut client_alone] {
        wire.answers((PC, 4_000), (SERVER, 443), 878, SYN | ACK, 201);
        wire.client_sends(101, ACK, &truth);
        assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)]);
    }
}

#[test]
fn the_urgent_byte_is_none_of_the_hello() {
    let truth = hello(Some(UPDATES));
    let mut wire = opened();
    // The third byte of the segment.
    wire.client_sends(101, ACK | URG, &[&truth[..2], b"!", &truth[2..]].concat());
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)]);
}

/// Segments of a hello in every order, no SYN seen.
#[test]
fn a_hello_joined_midway_is_put_in_order() {
    let truth = hello(Some(UPDATES));
    let third = truth.len() / 3;
    let pieces =
        [(101, &truth[..third]), (101 + third, &truth[third..2 * third]), (101 + 2 * third, &truth[2 * third..])];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut wire = Wire::default();
        for (at, piece) in order.map(|number| pieces[number]) {
            wire.client_sends(u32::try_from(at).unwrap(), ACK, piece);
        }
        assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)], "{order:?}");
    }
    // As many segments as are kept, the last one first.
    let mut wire = Wire::default();
    for (number, piece) in truth.chunks(truth.len().div_ceil(16)).enumerate().collect::<Vec<_>>().into_iter().rev() {
        wire.client_sends(u32::try_from(101 + number * truth.len().div_ceil(16)).unwrap(), ACK, piece);
    }
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)]);
    // What comes first here may still become a hello of its own.
    let mut wire = Wire::default();
    let end = u32::try_from(101 + truth.len() + 5).unwrap();
    wire.client_sends(end, ACK, b"\x16");
    wire.client_sends(101, ACK, &[&truth[..], b"\x17\x03\x03\0\x01"].concat());
    assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)]);
}

#[test]
fn a_proxy_that_names_another_is_a_relay() {
    let truth = hello(Some(UPDATES));
    for (source, expected) in [(PC, endpoint(PC, Verdict::Confirmed)), ("10.20.0.99", relay(PC))] {
        let line = format!("PROXY TCP4 {source} {SERVER} 40000 443\r\n");
        let binary = [
            &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
            &source.parse::<Ipv4Addr>().unwrap().octets(),
            &SERVER.parse::<Ipv4Addr>().unwrap().octets(),
            &[0x9c, 0x40, 1, 187],
        ]
        .concat();
        for header in [line.as_bytes(), &binary] {
            let mut wire = opened();
            wire.client_sends(101, ACK, &[header, &truth].concat());
            assert_eq!(wire.hosts(), std::slice::from_ref(&expected), "{source}");
        }
    }
}

/// What asks for TLS and the hello in one segment, and in segments that end anywhere.
#[test]
fn tls_behind_what_asked_for_it() {
    let truth = hello(Some(UPDATES));
    let mut mysql = b"\x20\0\0\x01\x05\xae\xff\x09\0\0\0\x01\xff".to_vec();
    mysql.resize(36, 0);
    let tds = |body: &[u8]| {
        let length = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
        [&[0x12, 1], &length[..], &[0, 0, 1, 0], body].concat()
    };
    let options = tds(b"\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\x10\0\0\0\0\0\x01");
    let streams = [
        ("RDP", [&b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"[..], &truth].concat()),
        ("LDAP", [&b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"[..], &truth].concat()),
        ("MySQL", [&mysql, &truth[..]].concat()),
        ("PostgreSQL", [&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], &truth].concat()),
        ("XMPP", [&b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"[..], &truth].concat()),
        ("TDS", [options, tds(&truth[..40]), tds(&truth[40..])].concat()),
    ];
    for (name, stream) in streams {
        // XML has no lines: the border has to be one of segments.
        let sizes: &[usize] = if name == "XMPP" { &[51] } else { &[stream.len(), 51, 19, 40] };
        for &size in sizes {
            let mut wire = opened();
            for (number, piece) in stream.chunks(size).enumerate() {
                wire.client_sends(101 + u32::try_from(number * size).unwrap(), ACK, piece);
            }
            assert_eq!(wire.hosts(), [endpoint(PC, Verdict::Confirmed)], "{name} {size}");
        }
    }
}

/// Whether somebody waits for the end of the round, as where several threads share a file, or not.
#[test]
fn an_answer_counts_though_the_conversation_had_to_make_room() {
    fn coverage(wire: &Wire, mut sink: impl EventSink) -> (u64, u64) {
        let mut bounds = Bounds::default();
        bounds.conversations = 1;
        let mut lanes = Lanes::with_bounds(&Arc::new(SignatureSet::builtin()), 1, 1, Numbering::ALONE, &bounds);
        for (number, bytes) in (1..).zip(&wire.frames) {
            let wire_len = u32::try_from(bytes.len()).unwrap();
            lanes.feed(
                &Frame { number, at: Timestamp(number), link_type: LinkType::ETHERNET, wire_len, bytes },
                &mut sink,
            );
        }
        lanes.finish(&mut sink);
        let coverage = lanes.coverage();
        (coverage.ended, coverage.one_sided)
    }
    let mut wire = Wire::default();
    wire.tcp((PC, 50_000), (SERVER, 7_000), 100, ACK, b"somebody speaks");
    wire.tcp((PC, 50_001), (SERVER, 7_000), 100, ACK, b"somebody else");
    wire.tcp((SERVER, 7_000), (PC, 50_000), 1, ACK, b"and is heard");
    let mut round = RoundEvents::default();
    round.begin(1);
    assert_eq!(coverage(&wire, round), (2, 1));
    assert_eq!(coverage(&wire, Ledger::new(&Arc::new(SignatureSet::builtin()), 0)), (2, 1));
}
