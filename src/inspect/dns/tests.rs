#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use proptest::prelude::*;

/// A name in wire form, without compression.
fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes
}

fn query(name: &str, record_type: u16) -> Vec<u8> {
    let mut bytes = header(RD, [1, 0, 0, 0]);
    bytes.extend(wire(name));
    bytes.extend(record_type.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

fn record(owner: &str, record_type: u16, ttl_s: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = wire(owner);
    bytes.extend(record_type.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(ttl_s.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn response(question: &str, record_type: u16, answers: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = header(QR | RD | 0x80, [1, u16::try_from(answers.len()).unwrap(), 0, 0]);
    bytes.extend(wire(question));
    bytes.extend(record_type.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(answers.concat());
    bytes
}

fn parsed(bytes: &[u8]) -> Message {
    let mut message = Message::default();
    message.parse(bytes).unwrap();
    message
}

#[test]
fn a_query_in_mixed_case() {
    let bytes = query("S05.uPd.KasPersky.com", 28);
    assert!(recognise(&bytes));
    let message = parsed(&bytes);
    let (name, record_type) = message.question.unwrap();
    assert_eq!((name.as_str(), record_type), ("s05.upd.kaspersky.com", 28));
    assert!(!message.is_response && message.recursion_desired);
    assert_eq!(message.id, 0x1234);
}

#[test]
fn a_chain_in_any_order_gives_the_smallest_lifetime() {
    let cname = record("a.example", 5, 30, &wire("b.example"));
    let second = record("b.example", 5, 300, &wire("c.example"));
    let address = record("c.example", 1, 60, &[203, 0, 113, 9]);
    let stranger = record("d.example", 1, 60, &[203, 0, 113, 10]);
    for answers in
        [[cname.clone(), second.clone(), address.clone(), stranger.clone()], [stranger, address, second, cname]]
    {
        let message = parsed(&response("a.example", 1, &answers));
        let names: Vec<_> = message.names.iter().map(DomainName::as_str).collect();
        assert_eq!(names, ["b.example", "c.example"]);
        assert_eq!(message.addresses, [ResolvedAddress { address: "203.0.113.9".parse().unwrap(), ttl_s: 30 }]);
    }
}

#[test]
fn a_loop_of_aliases_ends() {
    let there = record("a.example", 5, 30, &wire("b.example"));
    let back = record("b.example", 5, 30, &wire("a.example"));
    let message = parsed(&response("a.example", 1, &[there, back]));
    assert_eq!(message.names.len(), 1);
}

#[test]
fn a_service_record_gives_target_and_hints() {
    let mut data = vec![0, 1];
    data.extend(wire("edge.example"));
    data.extend([0, 1, 0, 3, 2, b'h', b'2', 0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2]);
    data.extend([0, 6, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    let message = parsed(&response("www.example", 65, &[record("www.example", 65, 20, &data)]));
    assert_eq!(message.names[0].as_str(), "edge.example");
    let addresses: Vec<_> = message.addresses.iter().map(|resolved| resolved.address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2", "2001:db8::5"]);
}

#[test]
fn compressed_names_are_followed_backwards_only() {
    let mut bytes = response("s00.upd.kaspersky.com", 1, &[]);
    bytes[7] = 1;
    bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7]);
    assert_eq!(parsed(&bytes).addresses.len(), 1);
    let itself = u8::try_from(bytes.len()).unwrap() - 16;
    let at = usize::from(itself);
    bytes[at + 1] = itself;
    assert!(parsed(&bytes).addresses.is_empty());
}

/// A response whose owners all point to the end of `pointers` pointers, each to the one before.
fn with_chain(pointers: usize) -> Vec<u8> {
    let mut bytes = response("a.example", 1, &[]);
    let name = 12;
    bytes[7] = 2;
    // The chain stands where a record of an unknown type keeps its data.
    bytes.extend([0xc0, name, 0xff, 0xfa, 0, 1, 0, 0, 0, 0]);
    bytes.extend(u16::try_from(2 * pointers).unwrap().to_be_bytes());
    let mut target = u16::from(name);
    for _ in 0..pointers {
        let at = u16::try_from(bytes.len()).unwrap();
        bytes.extend((0xc000 | target).to_be_bytes());
        target = at;
    }
    bytes.extend((0xc000 | target).to_be_bytes());
    bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7]);
    bytes
}

#[test]
fn chains_of_pointers_are_followed_as_far_as_a_name_may_need_them() {
    assert_eq!(parsed(&with_chain(126)).addresses.len(), 1);
    assert!(parsed(&with_chain(127)).addresses.is_empty());
    assert!(parsed(&with_chain(8_000)).addresses.is_empty());
}

#[test]
fn a_record_of_nothing_but_hints_costs_no_more_than_others() {
    let mut hints = vec![0, 1, 0, 0, 4];
    hints.extend(60_000u16.to_be_bytes());
    hints.extend((0..15_000u32).flat_map(u32::to_be_bytes));
    let bytes = response("a.example", 65, &[record("a.example", 65, 60, &hints)]);
    let message = parsed(&bytes);
    assert_eq!(message.addresses.len(), 128);
    assert_eq!(message.addresses[127].address.to_string(), "0.0.0.127");
}

#[test]
fn the_question_of_a_message_lies_within_it() {
    let message = query("a.example", 1);
    for length in [17, message.len() - 1] {
        let stream = [&u16::try_from(length).unwrap().to_be_bytes()[..], &message].concat();
        for end in 2 + length..=stream.len() {
            assert_eq!(recognise_stream(&stream[..end]), Match::No);
        }
    }
}

#[test]
fn a_long_chain_of_pointers_is_no_name() {
    let mut bytes = header(QR, [1, 1, 0, 0]);
    bytes.extend([0, 0, 1, 0, 1]);
    // The chain stands in the data of the first record; each pointer leads to the one before.
    for hop in 0..2_000_u16 {
        let target = if hop == 0 { 12 } else { 17 + 2 * (hop - 1) };
        bytes.extend((0xc000 | target).to_be_bytes());
    }
    assert!(name::read_name(&bytes, 17 + 2 * 100).is_some());
    assert!(name::read_name(&bytes, 17 + 2 * 1_999).is_none());
}

#[test]
fn every_prefix_says_no_more_than_it_holds() {
    let address = record("a.example", 1, 60, &[203, 0, 113, 9]);
    let bytes = response("a.example", 1, &[address]);
    let mut message = Message::default();
    for end in 0..bytes.len() {
        if message.parse(&bytes[..end]).is_ok() {
            assert!(message.question.is_some() && message.addresses.is_empty());
        }
    }
}

#[test]
fn other_datagrams_are_not_taken_for_dns() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"[..],
        b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n",
        &[0; 40],
        &[0xff; 40],
        &[0x80, 0x60, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xd0],
    ] {
        assert!(!recognise(bytes), "{bytes:x?}");
    }
}

#[test]
fn a_stream_of_messages_comes_out_however_it_is_cut() {
    let messages = [query("a.example", 1), query("b.example", 28), response("b.example", 28, &[])];
    let stream: Vec<u8> = messages
        .iter()
        .flat_map(|message| [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat())
        .collect();
    for step in 1..stream.len() {
        let mut tcp = TcpStream::default();
        let mut seen = Vec::new();
        for piece in stream.chunks(step) {
            tcp.accept(piece, |message| seen.push(message.to_vec()));
        }
        assert_eq!(seen, messages);
    }
    assert_eq!(recognise_stream(&stream), Match::Yes);
    for end in 0..2 + messages[0].len() {
        assert_eq!(recognise_stream(&stream[..end]), Match::NeedMore);
    }
    assert_eq!(recognise_stream(b"SSH-2.0-OpenSSH_9.2p1\r\n"), Match::No);
}

#[test]
fn a_long_message_is_read_whole() {
    let mut message = query("a.example", 1);
    message.resize(40_000, 0);
    let mut stream = 40_000u16.to_be_bytes().to_vec();
    stream.extend(&message);
    stream.extend([0, 0]);
    stream.extend(u16::try_from(query("b.example", 1).len()).unwrap().to_be_bytes());
    stream.extend(query("b.example", 1));
    let mut tcp = TcpStream::default();
    let mut lengths = Vec::new();
    for piece in stream.chunks(1_460) {
        tcp.accept(piece, |message| lengths.push(message.len()));
        assert!(tcp.held_bytes() <= KEPT);
    }
    assert_eq!(lengths, [40_000, query("b.example", 1).len()]);
    let mut lengths = Vec::new();
    TcpStream::default().accept(&stream, |message| lengths.push(message.len()));
    assert_eq!(lengths, [40_000, query("b.example", 1).len()]);
}

const KEPT: usize = (64 << 10) + 2;

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut message = Message::default();
        let _ = message.parse(&bytes);
        let _ = recognise(&bytes);
        let _ = recognise_stream(&bytes);
        prop_assert!(message.names.len() <= 65 && message.addresses.len() <= 128);
    }

    /// A peer that wrote the library reads the same question.
    #[test]
    fn questions_agree_with_another_parser(labels in prop::collection::vec("[a-zA-Z0-9][a-zA-Z0-9_-]{0,19}", 1..6), record_type in 1u16..70) {
        let name = labels.join(".");
        let bytes = query(&name, record_type);
        let theirs = hickory_proto::op::Message::from_vec(&bytes).unwrap();
        let ours = parsed(&bytes);
        let (ours, our_type) = ours.question.unwrap();
        let question = &theirs.queries[0];
        prop_assert_eq!(ours.as_str(), question.name().to_ascii().trim_end_matches('.').to_ascii_lowercase());
        prop_assert_eq!(our_type, u16::from(question.query_type()));
    }
}
