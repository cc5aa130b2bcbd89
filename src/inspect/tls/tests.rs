#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::client_hello::is_grease;
use super::*;
use proptest::prelude::*;

fn vector(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[4 - width..], bytes].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, data)].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    extension(0, &vector(2, &[&[0][..], &vector(2, name.as_bytes())].concat()))
}

/// A hello that a browser might send, with GREASE in every list.
fn body(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend(vector(1, &[9; 32]));
    body.extend(vector(2, &[0x1a, 0x1a, 0x13, 0x02, 0x13, 0x01, 0xc0, 0x2b]));
    body.extend([1, 0]);
    body.extend(vector(2, &extensions.concat()));
    body
}

fn browser_extensions(name: &str) -> Vec<Vec<u8>> {
    vec![
        extension(0x2a2a, &[]),
        server_name(name),
        extension(10, &vector(2, &[0x3a, 0x3a, 0, 29, 0, 23])),
        extension(11, &vector(1, &[0])),
        extension(13, &vector(2, &[4, 3, 8, 4])),
        extension(16, &vector(2, &[vector(1, b"h2"), vector(1, b"http/1.1")].concat())),
        extension(43, &vector(1, &[0x4a, 0x4a, 3, 4, 3, 3])),
        extension(0xfe0d, &[0; 40]),
    ]
}

fn records(message: u8, body: &[u8], size: usize) -> Vec<u8> {
    let message = [&[message][..], &vector(3, body)].concat();
    message.chunks(size).flat_map(|piece| [&[22, 3, 1][..], &vector(2, piece)].concat()).collect()
}

/// The server name that the stream gives when it comes in pieces of `step` bytes.
fn name_of(stream: &[u8], step: usize) -> Option<String> {
    let mut handshake = HandshakeStream::default();
    let mut found = None;
    for piece in stream.chunks(step) {
        let progress = handshake.accept(piece, |message| {
            if let Handshake::ClientHello(hello) = message {
                assert!(hello.is_complete);
                found = hello.sni.map(|name| name.as_str().to_owned());
            }
        });
        if progress == Progress::Done {
            break;
        }
    }
    found
}

#[test]
fn a_hello_says_all_that_we_ask_it() {
    let body = body(&browser_extensions("S07.upd.kaspersky.com"));
    let hello = ClientHello::parse(&body, true).unwrap();
    assert_eq!(hello.sni.unwrap().as_str(), "s07.upd.kaspersky.com");
    assert_eq!(hello.alpn, Some(&b"h2"[..]));
    assert_eq!(hello.alpns().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
    assert!(hello.ech && hello.is_complete);
    assert_eq!((hello.legacy_version, hello.version()), (0x0303, 0x0304));
    let mut ja3 = String::new();
    hello.ja3_string(&mut ja3);
    assert_eq!(ja3, "771,4866-4865-49195,0-10-11-13-16-43-65037,29-23,0");
    let ja4 = hello.ja4(Ja4Transport::Tcp).to_string();
    assert_eq!(&ja4[..10], "t13d0307h2");
    assert_eq!(ja4.len(), 36);
    assert_eq!(&hello.ja4(Ja4Transport::Quic).to_string()[..1], "q");
}

#[test]
fn segments_and_records_may_cut_anywhere() {
    let body = body(&browser_extensions("s07.upd.kaspersky.com"));
    for record in [1, 2, 3, 5, 40, 100, 4_000] {
        let stream = records(CLIENT_HELLO, &body, record);
        for step in [1, 2, 3, 4, 5, 6, 7, 50, 200, stream.len()] {
            assert_eq!(name_of(&stream, step).as_deref(), Some("s07.upd.kaspersky.com"), "{record} {step}");
        }
    }
}

#[test]
fn a_hello_of_post_quantum_size_is_read() {
    let mut extensions = browser_extensions("ds.kaspersky.com");
    extensions.insert(1, extension(51, &[5; 1_216]));
    extensions.insert(1, extension(35, &[6; 9_000]));
    let stream = records(CLIENT_HELLO, &body(&extensions), 16_384);
    assert_eq!(name_of(&stream, 1_460).as_deref(), Some("ds.kaspersky.com"));
}

#[test]
fn a_long_hello_is_read_whole() {
    let mut extensions = browser_extensions("ds.kaspersky.com");
    extensions.push(extension(21, &[0; 60_000]));
    for (record, step) in [(16_000, 1_460), (16_000, 90_000), (1, 1_460), (300, 90_000)] {
        let stream = records(CLIENT_HELLO, &body(&extensions), record);
        let mut found = None;
        let mut handshake = HandshakeStream::default();
        for piece in stream.chunks(step) {
            let _ = handshake.accept(piece, |message| {
                let Handshake::ClientHello(hello) = message else { return };
                found = Some((hello.sni.unwrap().as_str().to_owned(), hello.is_complete));
            });
            assert!(handshake.held_bytes() <= 61 << 10);
        }
        assert_eq!(found, Some(("ds.kaspersky.com".to_owned(), true)), "{record} {step}");
    }
}

#[test]
fn every_prefix_is_recognised_or_waited_for() {
    let stream = records(CLIENT_HELLO, &body(&browser_extensions("a.example")), 16_000);
    for end in 0..stream.len() {
        let expected = if end < 9 { Match::NeedMore } else { Match::Yes };
        assert_eq!(recognise_client(&stream[..end]), expected);
        let mut handshake = HandshakeStream::default();
        assert_eq!(handshake.accept(&stream[..end], |_| panic!("too early")), Progress::More);
        handshake.finish(|message| {
            let Handshake::ClientHello(hello) = message else { panic!("no certificate was sent") };
            assert!(!hello.is_complete);
            assert!(hello.sni.is_none_or(|name| name.as_str() == "a.example"));
        });
    }
    assert_eq!(recognise_client(b"GET / HTTP/1.1\r\n"), Match::No);
    assert_eq!(recognise_server(&stream), Match::No);
}

#[test]
fn records_may_be_empty_and_bear_any_version() {
    let record = |kind: u8, minor: u8, body: &[u8]| [&[kind, 3, minor][..], &vector(2, body)].concat();
    let message = [&[CLIENT_HELLO][..], &vector(3, &body(&browser_extensions("a.example")))].concat();
    let name = |stream: &[u8]| (recognise_client(stream) == Match::Yes).then(|| name_of(stream, 7)).flatten();
    for minor in [0, 1, 5, 9, 255] {
        let parts = [record(22, minor, &message[..1]), record(22, 1, &message[1..])].concat();
        assert_eq!(name(&parts).as_deref(), Some("a.example"), "{minor}");
    }
    let bytewise: Vec<u8> = message.iter().flat_map(|byte| record(22, 3, &[*byte])).collect();
    assert_eq!(name(&bytewise).as_deref(), Some("a.example"));
    // As many without content as OpenSSL takes in a row, and no more.
    for (kind, empty, is_taken) in
        [(22, 1, true), (20, 1, true), (22, 32, true), (22, 33, false), (23, 1, false), (21, 1, false)]
    {
        let first = [record(kind, 3, &[]).repeat(empty), record(22, 3, &message)].concat();
        assert_eq!(name(&first).is_some(), is_taken, "{kind} {empty}");
        let between =
            [record(22, 3, &message[..50]), record(kind, 3, &[]).repeat(empty), record(22, 3, &message[50..])];
        assert_eq!(name(&between.concat()).is_some(), is_taken, "{kind} {empty}");
    }
    let mut other_major = record(22, 3, &message);
    other_major[1] = 4;
    assert_eq!(recognise_client(&other_major), Match::No);
    // A hello that claims to be shorter or longer than any.
    for length in [37_u32, 131_397] {
        let bytes = [&[22, 3, 1, 2, 0, 1][..], &length.to_be_bytes()[1..]].concat();
        assert_eq!(recognise_client(&bytes), Match::No);
    }
}

#[test]
fn a_certificate_of_the_longest_signature_is_waited_for_and_a_longer_one_counted() {
    for (length, dropped) in [(60 << 10, 0), (101 << 10, 1)] {
        let mut stream = records(SERVER_HELLO, &[7; 70], 16_000);
        stream.extend(records(11, &vector(3, &vector(3, &vec![0x30; length])), 16_000));
        let mut handshake = HandshakeStream::default();
        let (mut met, mut held) = (0, 0);
        for piece in stream.chunks(1_460) {
            if handshake.accept(piece, |message| met += u32::from(matches!(message, Handshake::BoundReached(_))))
                == Progress::Done
            {
                break;
            }
            held = held.max(handshake.held_bytes());
        }
        assert_eq!((met, held > 55 << 10), (dropped, true), "{length}");
    }
}

#[test]
fn a_server_may_warn_before_it_goes_on() {
    let warning = [21, 3, 3, 0, 2, 1, 112];
    let stream = [&warning[..], &records(SERVER_HELLO, &[7; 70], 16_000)].concat();
    for end in 0..stream.len() {
        let expected = if end < 16 { Match::NeedMore } else { Match::Yes };
        assert_eq!(recognise_server(&stream[..end]), expected, "{end}");
    }
    let fatal = [&[21, 3, 3, 0, 2, 2, 40][..], &stream].concat();
    assert_eq!(recognise_server(&fatal), Match::No);
    // What is behind the warning is read, however it is cut.
    let hello = records(CLIENT_HELLO, &body(&browser_extensions("a.example")), 16_000);
    let stream = [&warning[..], &hello].concat();
    for step in 1..20 {
        assert_eq!(name_of(&stream, step).as_deref(), Some("a.example"));
    }
    let long_alert = [&[21, 3, 3, 0, 3, 1, 112, 0][..], &hello].concat();
    assert_eq!(name_of(&long_alert, 1_000), None, "an alert of another length is encrypted");
}

#[test]
fn grease_is_what_the_rfc_lists() {
    let listed = (0..16u16).map(|step| 0x0a0a + step * 0x1010);
    assert!(listed.clone().all(is_grease));
    assert_eq!((0..=u16::MAX).filter(|&value| is_grease(value)).count(), 16);
}

/// The example of the JA4 specification: TLS 1.3, h2, a browser's lists.
#[test]
fn ja4_agrees_with_the_published_example() {
    let suites = [
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f,
        0x0035u16,
    ];
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let algorithms: Vec<u8> = [0x0403u16, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend(vector(2, &suites));
    hello.extend([1, 0]);
    let mut extensions: Vec<Vec<u8>> = [0x1b, 0x33, 0x4469, 0x17, 0x2d, 0x0a, 0x05, 0x0b, 0x12, 0x23, 0xff01, 0x15u16]
        .iter()
        .map(|&kind| extension(kind, &[]))
        .collect();
    extensions.push(server_name("example.com"));
    extensions.push(extension(13, &vector(2, &algorithms)));
    extensions.push(extension(16, &vector(2, &vector(1, b"h2"))));
    extensions.push(extension(43, &vector(1, &[3, 4, 3, 3])));
    hello.extend(vector(2, &extensions.concat()));
    let hello = ClientHello::parse(&hello, true).unwrap();
    assert_eq!(hello.ja4(Ja4Transport::Tcp).to_string(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..900), step in 1usize..400) {
        let _ = ClientHello::parse(&bytes, true).map(|hello| (hello.ja3_hash(), hello.ja4(Ja4Transport::Tcp), hello.alpns().count()));
        let _ = Certificate::parse(&bytes);
        let mut stream = HandshakeStream::default();
        for piece in bytes.chunks(step) {
            let _ = stream.accept(piece, |_| {});
        }
        stream.finish(|_| {});
    }

    /// Mutated good hellos agree with a parser of others wherever both read them.
    #[test]
    fn hellos_agree_with_another_parser(name in "[a-z]{1,20}\\.[a-z]{2,10}", flips in prop::collection::vec((0usize..300, any::<u8>()), 0..3)) {
        let mut bytes = body(&browser_extensions(&name));
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let message = [&[CLIENT_HELLO][..], &vector(3, &bytes)].concat();
        let Ok((_, tls_parser::TlsMessage::Handshake(tls_parser::TlsMessageHandshake::ClientHello(theirs)))) =
            tls_parser::parse_tls_message_handshake(&message)
        else {
            return Ok(());
        };
        let Some(ours) = ClientHello::parse(&bytes, true) else { return Ok(()) };
        prop_assert_eq!(ours.legacy_version, theirs.version.0);
        let suites: Vec<u16> = theirs.ciphers.iter().map(|suite| suite.0).collect();
        prop_assert_eq!(super::client_hello::pairs(ours.cipher_suites).collect::<Vec<_>>(), suites);
        if ours.is_complete && let Some(extensions) = theirs.ext && let Ok((rest, list)) = tls_parser::parse_tls_client_hello_extensions(extensions) && rest.is_empty() {
            let named = list.iter().find_map(|extension| match extension {
                tls_parser::TlsExtension::SNI(names) => names.iter().find(|(kind, _)| kind.0 == 0).map(|(_, name)| *name),
                _ => None,
            });
            let expected = named.and_then(crate::inspect::DomainName::from_text);
            prop_assert_eq!(ours.sni, expected);
        }
    }
}

#[test]
fn application_data_is_known_by_its_record() {
    let record = [23, 3, 3, 0x40, 0, 1, 2];
    for length in 0..5 {
        assert_eq!(recognise_protected(&record[..length]), Match::NeedMore, "{length}");
    }
    assert_eq!(recognise_protected(&record), Match::Yes);
    // Another kind or version, an empty record, one that is too long.
    for (at, value) in [(0, 22), (1, 4), (2, 0), (2, 5), (3, 0), (3, 0x49)] {
        let mut other = record;
        other[at] = value;
        assert_eq!(recognise_protected(&other), Match::No, "{value} at {at}");
    }
}
