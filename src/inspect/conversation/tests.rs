//! Conversations in pieces of every size, with gaps, and out of the middle.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::super::http;
use super::super::reputation::tests::{answer, request};
use super::direction::TRIES_MAX;
use super::speech::Speech;
use super::*;
use proptest::prelude::*;

/// A smallest hello with a server name.
fn hello(name: &str) -> Vec<u8> {
    let length = |value: usize| u16::try_from(value).unwrap().to_be_bytes();
    let mut list = vec![0];
    list.extend(length(name.len()));
    list.extend(name.as_bytes());
    let mut extension = vec![0, 0];
    extension.extend(length(list.len() + 2));
    extension.extend(length(list.len()));
    extension.extend(list);
    let mut body = vec![3, 3];
    body.extend([1; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(length(extension.len()));
    body.extend(extension);
    let mut record = vec![22, 3, 1];
    record.extend(length(body.len() + 4));
    record.extend([1, 0]);
    record.extend(length(body.len()));
    record.extend(body);
    record
}

fn words(observation: &Observation<'_>) -> String {
    match observation {
        Observation::TlsClientHello(hello) => {
            format!("hello {}", hello.sni.map(|name| name.to_string()).unwrap_or_default())
        }
        Observation::HttpRequest(request) => {
            format!("http {}", request.host.map(|name| name.to_string()).unwrap_or_default())
        }
        Observation::ProxyRequest(request) => {
            format!("proxy {:?} {}", request.kind, request.name.map(ToString::to_string).unwrap_or_default())
        }
        Observation::HttpResponse(response) => {
            let path = response.request().map(|request| String::from_utf8_lossy(request.path).into_owned());
            format!("{} {} for {}", response.status, String::from_utf8_lossy(response.body), path.unwrap_or_default())
        }
        Observation::FtpRequest(request) => format!("ftp {}", String::from_utf8_lossy(request.path)),
        Observation::MailHeader(header) => format!("mail from {}", String::from_utf8_lossy(header.greeting)),
        Observation::SyslogOriginator(originator) => {
            let text = originator.device.or(originator.structured_data).unwrap_or_default();
            format!("syslog by {}", String::from_utf8_lossy(text))
        }
        Observation::HttpUpload(piece) => format!("upload {}", String::from_utf8_lossy(piece)),
        Observation::UnknownStart(start) => format!("unknown {start:?}"),
        Observation::ReputationFrames(frames) => format!("frames {frames:?}"),
        Observation::Dns(message) => {
            format!("dns {}", message.question.map(|(name, _)| name.to_string()).unwrap_or_default())
        }
        other => format!("{other:?}"),
    }
}

/// Every fact, when the low side sends `stream` in pieces of `step` bytes.
fn facts(stream: &[u8], step: usize) -> Vec<String> {
    let mut conversation = Conversation::default();
    let mut all = Vec::new();
    let mut at = 0;
    for piece in stream.chunks(step) {
        conversation.accept(Side::Low, at, piece, |client, observation| {
            assert_eq!(client, Side::Low);
            all.push(words(observation));
        });
        at += piece.len() as u64;
    }
    conversation.finish(Side::Low, |_, observation| all.push(words(observation)));
    all
}

fn check(stream: &[u8], expected: &[&str]) {
    for step in 1..=stream.len() {
        assert_eq!(facts(stream, step), expected, "step {step}");
    }
}

#[test]
fn a_hello_behind_connect() {
    let mut stream = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec();
    stream.extend(hello("s07.upd.kaspersky.com"));
    check(&stream, &["http a.example", "proxy HttpConnect a.example", "hello s07.upd.kaspersky.com"]);
}

#[test]
fn a_hello_behind_socks_behind_connect() {
    let mut stream =
        b"CONNECT socks.example:1080 HTTP/1.1\r\n\r\n\x05\x01\x00\x05\x01\x00\x03\x10ds.kaspersky.com\x01\xbb".to_vec();
    stream.extend(hello("ds.kaspersky.com"));
    let expected = [
        "http socks.example",
        "proxy HttpConnect socks.example",
        "proxy Socks5 ds.kaspersky.com",
        "hello ds.kaspersky.com",
    ];
    check(&stream, &expected);
}

#[test]
fn a_hello_behind_starttls() {
    for text in
        ["EHLO a.example\r\nSTARTTLS\r\n", "a1 CAPABILITY\r\na2 STARTTLS\r\n", "CAPA\r\nSTLS\r\n", "AUTH TLS\r\n"]
    {
        let mut stream = text.as_bytes().to_vec();
        stream.extend(hello("ds.kaspersky.com"));
        check(&stream, &["hello ds.kaspersky.com"]);
    }
}

#[test]
fn both_hellos_behind_text_without_lines() {
    // LDAP's StartTLS and its answer (RFC 4511 section 4.14): the first byte is also the digit 0.
    let mut conversation = Conversation::default();
    conversation.accept(Side::Low, 0, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", |_, _| {});
    conversation.accept(Side::High, 0, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", |_, _| {});
    let mut names = Vec::new();
    conversation.accept(Side::Low, 31, &hello("ds.kaspersky.com"), |_, observation| names.push(words(observation)));
    assert_eq!(names, ["hello ds.kaspersky.com"]);
    conversation.accept(Side::High, 14, &[22, 3, 3, 0, 74, 2, 0, 0, 70], |_, _| {});
    assert_eq!(conversation.high.speech, Speech::Tls);
}

#[test]
fn messages_of_dns() {
    let mut query = vec![0, 33, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2];
    query.extend(b"ds\x09kaspersky\x03com\0\0\x01\0\x01");
    query[1] = u8::try_from(query.len() - 2).unwrap();
    let stream = [query.clone(), query].concat();
    check(&stream, &["dns ds.kaspersky.com", "dns ds.kaspersky.com"]);
}

#[test]
fn a_tunnel_behind_refused_ones() {
    let mut stream =
        b"CONNECT a.example:443 HTTP/1.1\r\n\r\nCONNECT a.example:443 HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n"
            .to_vec();
    stream.extend(hello("a.example"));
    let connect = ["http a.example", "proxy HttpConnect a.example"];
    check(&stream, &[&connect[..], &connect[..], &["hello a.example"]].concat());
}

#[test]
fn requests_are_found_behind_the_middle_of_another() {
    let mut conversation = Conversation::default();
    let mut all = Vec::new();
    let pieces = [&b"<html>the rest of an upload</html>"[..], b"GET / HTTP/1.1\r\nHost: ds.kaspersky.com\r\n\r\n"];
    let mut at = 1 << 32;
    for piece in pieces {
        conversation.accept(Side::High, at, piece, |_, observation| all.push(words(observation)));
        at += piece.len() as u64;
    }
    assert_eq!(all, ["http ds.kaspersky.com"]);
}

#[test]
fn a_gap_ends_what_it_interrupts_and_nothing_else() {
    let mut conversation = Conversation::default();
    let mut all = Vec::new();
    let mut send = |offset, bytes: &[u8]| {
        conversation.accept(Side::Low, offset, bytes, |_, observation| all.push(words(observation)))
    };
    send(0, b"GET / HTTP/1.1\r\nHost: a.example\r\nUser-A");
    send(1_000, b"gent: x\r\n\r\n");
    send(1_011, b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
    assert_eq!(all, ["http a.example", "http b.example"]);
}

#[test]
fn the_answer_to_connect_is_not_taken_for_the_end() {
    let mut conversation = Conversation::default();
    conversation.accept(Side::Low, 0, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", |_, _| {});
    conversation.accept(Side::High, 0, b"HTTP/1.1 200 Connection established\r\n\r\n", |_, _| {});
    assert!(conversation.wants(Side::High) && conversation.wants(Side::Low));
    conversation.accept(Side::Low, 34, &hello("a.example"), |_, _| {});
    assert!(!conversation.wants(Side::Low));
    conversation.accept(
        Side::High,
        39,
        &[&[22, 3, 3, 0, 74, 2, 0, 0, 70][..], &[0; 70], &[20, 3, 3, 0, 1, 1]].concat(),
        |_, _| {},
    );
    assert!(conversation.is_settled());
}

#[test]
fn a_connection_joined_behind_its_handshake_is_left_alone_at_once() {
    let mut conversation = Conversation::default();
    let record: Vec<u8> = [&[23, 3, 3, 0, 100][..], &[0x41; 100]].concat();
    for side in [Side::Low, Side::High] {
        assert!(conversation.wants(side));
        let (first, rest) = record.split_at(3);
        conversation.accept(side, 1 << 32, first, |_, _| panic!("too few bytes"));
        conversation.accept(side, (1 << 32) + 3, rest, |_, _| panic!("nothing to tell"));
    }
    assert!(conversation.is_settled());
}

#[test]
fn each_response_is_read_as_far_as_its_body_begins() {
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n").into_bytes();
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{body}").into_bytes();
    let mut conversation = Conversation::default();
    let mut all = Vec::new();
    let mut offsets = [0, 0];
    for round in 0..3 {
        for (at, bytes) in [ask(&format!("/{round}")), answer(&"K".repeat(2_000))].into_iter().enumerate() {
            let side = if at == 0 { Side::Low } else { Side::High };
            for piece in bytes.chunks(500) {
                conversation.accept(side, offsets[at], piece, |client, observation| {
                    assert_eq!(client, Side::Low);
                    all.push(words(observation));
                });
                offsets[at] += piece.len() as u64;
            }
        }
        assert!(!conversation.wants(Side::High), "the rest of the body is left alone");
        // Nobody hears of the rest: it shows as a gap.
        offsets[1] += 98_000;
    }
    let expected = (0..3)
        .flat_map(|round| ["http a.example".to_owned(), format!("200 {} for /{round}", "K".repeat(http::BODY_MAX))]);
    assert_eq!(all, expected.collect::<Vec<_>>());
    conversation.clear();
    let mut asked = Vec::new();
    conversation.accept(Side::High, 0, &answer(&"K".repeat(99)), |_, observation| asked.push(words(observation)));
    assert_eq!(asked, [format!("200 {} for ", "K".repeat(http::BODY_MAX))], "nothing of the connection before");
}

#[test]
fn mail_and_files_are_read_and_a_handshake_behind_them() {
    let mut stream =
        b"EHLO mx.a.example\r\nMAIL FROM:<a>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nSTARTTLS\r\n".to_vec();
    stream.extend(hello("s07.upd.kaspersky.com"));
    check(&stream, &["mail from mx.a.example", "hello s07.upd.kaspersky.com"]);
    let mut stream = b"USER a\r\nCWD /index\r\nRETR u1313g.xml\r\nAUTH TLS\r\n".to_vec();
    stream.extend(hello("s07.upd.kaspersky.com"));
    check(&stream, &["ftp /index/", "ftp /index/u1313g.xml", "hello s07.upd.kaspersky.com"]);
}

#[test]
fn what_begins_nothing_tells_its_first_bytes_once() {
    let mut stream = b"KE\0\x02".to_vec();
    stream.extend([0xff; 40]);
    assert_eq!(
        facts(&stream, stream.len()),
        ["unknown [75, 69, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]"]
    );
    for step in 1..stream.len() {
        let facts = facts(&stream, step);
        assert!(facts.len() == 1 && facts[0].starts_with("unknown [75, 69, 0, 2"), "{step}: {facts:?}");
    }
    assert_eq!(facts(b"KE\0\x02\0", 5), ["unknown [75, 69, 0, 2, 0]"], "too short to tell, and over");
}

/// What a client (low) and a server (high) said, in the order in which it came, from that offset on; then both ends.
fn dialogue(messages: &[(Side, Vec<u8>)], step: usize, start: u64) -> Vec<(Side, String)> {
    let mut conversation = Conversation::default();
    let mut all = Vec::new();
    let mut offsets = [start, start];
    for (from, bytes) in messages {
        let offset = &mut offsets[usize::from(*from == Side::High)];
        for piece in bytes.chunks(step) {
            conversation.accept(*from, *offset, piece, |client, seen| all.push((client, words(seen))));
            *offset += piece.len() as u64;
        }
    }
    for side in [Side::Low, Side::High] {
        conversation.finish(side, |client, seen| all.push((client, words(seen))));
    }
    all.retain(|(_, words)| !words.starts_with("unknown"));
    all
}

#[test]
fn frames_that_are_answered_tell_who_asked() {
    let exchange = |number| [(Side::High, request(number, 90)), (Side::Low, answer(number, 40))];
    let answered = vec![(Side::High, "frames Answered".to_owned())];
    for step in (1..30).chain([1_000]) {
        for start in [0, 1 << 32] {
            assert_eq!(dialogue(&exchange(6), step, start), answered, "{step}");
            assert_eq!(dialogue(&[exchange(6), exchange(8), exchange(9)].concat(), step, start), answered, "{step}");
        }
    }
    let together =
        [(Side::High, [request(1, 9), request(2, 9)].concat()), (Side::Low, [answer(2, 3), answer(1, 3)].concat())];
    assert_eq!(dialogue(&together, 1_000, 0), answered);
    let joined_late = [(Side::Low, answer(5, 40)), (Side::High, request(6, 90)), (Side::Low, answer(6, 40))];
    assert_eq!(dialogue(&joined_late, 1_000, 1 << 32), answered);
    let joined_within =
        [&[(Side::High, vec![0x9c; 50]), (Side::Low, vec![0x9c; 50])][..], &exchange(6), &exchange(7)].concat();
    assert_eq!(dialogue(&joined_within, 1_000, 1 << 32), answered);
    let tunnel = [
        &[
            (Side::High, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n".to_vec()),
            (Side::Low, b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        ][..],
        &exchange(6),
        &exchange(7),
    ]
    .concat();
    assert_eq!(dialogue(&tunnel, 1_000, 0).last(), answered.last());
}

#[test]
fn frames_that_nobody_answers_tell_something_only_if_nobody_was_heard() {
    let asked: Vec<_> = (1..5).map(|number| (Side::Low, request(number, 90))).collect();
    assert_eq!(dialogue(&asked, 1_000, 0), [(Side::Low, "frames OneSided".to_owned())]);
    let answers: Vec<_> = (1..5).map(|number| (Side::Low, answer(number, 90))).collect();
    assert_eq!(dialogue(&answers, 1_000, 0), [(Side::High, "frames OneSided".to_owned())]);
    assert_eq!(dialogue(&asked[..2], 1_000, 0), []);
    let endless: Vec<_> = (1..100).map(|number| (Side::Low, request(number, 9))).collect();
    assert_eq!(dialogue(&endless, 1_000, 0), [(Side::Low, "frames OneSided".to_owned())]);
    for other in [vec![0], answer(9, 4), request(1, 4), b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), b"KE\0\0".to_vec()] {
        let all = dialogue(&[&[(Side::High, other)], &asked[..]].concat(), 1_000, 0);
        assert!(all.iter().all(|(_, words)| !words.starts_with("frames")), "{all:?}");
    }
}

#[test]
fn strange_bytes_are_left_alone_after_some_tries() {
    let mut conversation = Conversation::default();
    for number in 0..TRIES_MAX {
        assert!(conversation.wants(Side::Low));
        conversation.accept(Side::Low, u64::from(number) * 20, &[0xff; 20], |_, _| {});
    }
    assert!(!conversation.wants(Side::Low));
}

proptest! {
    #[test]
    fn arbitrary_conversations_never_panic_and_hold_little(
        pieces in prop::collection::vec((any::<bool>(), 0u64..3, prop::sample::select(vec![
            &b"CONNECT a:1 HTTP/1.1\r\n\r\n"[..], b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n", b"\x05\x01\x00", b"\x16\x03\x01\x02\x00\x01\x00",
            b"\x00\x1d\x00\x01\x01\x00\x00\x01", b"EHLO x\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"DATA\r\nX: y\r\n\r\n", b"USER x\r\nRETR y\r\n", b"KE\0\0", b"\0\x01\x01\x55\0\0\0\x02", b"\0\x01\0\0\0\0\x02", b"\0\0\0\0", b"\xff\xff", b"\x05\x01\x00\x03\x03abc\x01\xbb",
        ])), 0..60),
    ) {
        let mut conversation = Conversation::default();
        let mut offsets = [0u64; 2];
        for (side, gap, bytes) in pieces {
            let offset = &mut offsets[usize::from(side)];
            *offset += gap;
            conversation.accept(if side { Side::High } else { Side::Low }, *offset, bytes, |_, _| {});
            *offset += bytes.len() as u64;
            prop_assert!(conversation.held_bytes() < 64 << 10);
        }
        conversation.finish(Side::Low, |_, _| {});
        conversation.finish(Side::High, |_, _| {});
    }
}
