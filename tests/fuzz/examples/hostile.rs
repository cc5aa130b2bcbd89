//! How long the most laborious inputs of 64 KiB take that we could think of: `cargo run --release --manifest-path tests/fuzz/Cargo.toml
//! --example hostile`. What a fuzzer calls slow is a second; what a sensor calls slow is a few milliseconds.

use kaspector::capture::Timestamp;
use kaspector::flow::{Origin, Side, Stream, StreamCounters};
use kaspector::inspect::dns::Message;
use kaspector::inspect::http::RequestStream;
use kaspector::inspect::quic::CryptoStream;
use kaspector::inspect::tls::{Certificate, ClientHello, Ja4Transport};
use kaspector::inspect::{Conversation, Observation};
use kaspector::matching::SignatureSet;
use std::hint::black_box;
use std::time::Instant;

const SIZE: usize = 64 << 10;

/// Prints the best of five, in microseconds.
fn time(name: &str, mut work: impl FnMut()) {
    let best = (0..5).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    println!("{:>8.0} us  {name}", best.min().unwrap_or_default().as_secs_f64() * 1e6);
}

fn response(answers: u16) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1];
    bytes.extend(answers.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1]);
    bytes
}

fn record(owner: u16, kind: u16, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_be_bytes();
    [&(0xc000 | owner).to_be_bytes()[..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &length, data].concat()
}

/// Every record's owner is at the end of a chain of pointers.
fn dns_chain() -> Vec<u8> {
    let mut bytes = response(257);
    let mut chain = vec![0xc0, 12];
    let start = bytes.len() as u16 + 12;
    for at in 0..8_100 {
        chain.extend((0xc000 | (start + 2 * at)).to_be_bytes());
    }
    bytes.extend(record(12, 0xfffa, &chain));
    let last = start + 2 * 8_099;
    for _ in 0..256 {
        bytes.extend(record(last, 5, &(0xc000 | last).to_be_bytes()));
    }
    bytes
}

fn dns_hints() -> Vec<u8> {
    let mut hints = vec![0, 1, 0, 0, 4, 0xea, 0x60];
    hints.resize(7 + 60_000, 7);
    [response(1), record(12, 65, &hints)].concat()
}

/// Long names that differ at their end, all aliases of the question.
fn dns_aliases() -> Vec<u8> {
    let mut bytes = response(255);
    for number in 0..255u8 {
        let mut name: Vec<u8> = (0..3).flat_map(|_| [&[60u8][..], &[b'a'; 60]].concat()).collect();
        name.extend([2, b'a' + number % 26, b'a' + number / 26, 0]);
        bytes.extend(record(12, 5, &name));
    }
    bytes
}

/// Aliases of aliases, against the order in which they are walked, in as few bytes as they take.
fn dns_chained_aliases() -> Vec<u8> {
    let mut bytes = response(256);
    let mut owner = 12;
    for number in 0..256u16 {
        let [_, number] = (number % 64).to_be_bytes();
        bytes.extend(record(owner, 5, &[2, b'a' + number / 8, b'a' + number % 8, 0xc0, 12]));
        owner = bytes.len() as u16 - 5;
    }
    bytes
}

fn hello(extension: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.resize(34, 1);
    body.push(0);
    body.extend(10_000u16.to_be_bytes());
    body.extend((0..5_000u16).flat_map(u16::to_be_bytes));
    body.extend([1, 0]);
    let extensions: Vec<u8> =
        extension.iter().copied().cycle().take(54_000 / extension.len() * extension.len()).collect();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    body
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = (body.len() as u32).to_be_bytes();
    [&[tag, 0x84][..], &length, &body].concat()
}

/// A certificate for some 15,000 names.
fn certificate() -> Vec<u8> {
    let names: Vec<u8> = (0..15_000u32)
        .flat_map(|number| [0x82, 2, b'!' + (number / 90) as u8 % 90, b'!' + (number % 90) as u8])
        .collect();
    let san = der(0x30, &[&[6, 3, 0x55, 0x1d, 0x11], &der(4, &[&der(0x30, &[&names])])]);
    let algorithm = der(0x30, &[&[6, 3, 0x2a, 3, 4]]);
    let name = der(0x30, &[]);
    let validity = der(0x30, &[b"\x17\x0d260101000000Z\x17\x0d270101000000Z"]);
    let key = der(0x30, &[&algorithm, &[3, 2, 0, 1]]);
    let extensions = der(0xa3, &[&der(0x30, &[&san])]);
    let body = der(0x30, &[&[0xa0, 3, 2, 1, 2, 2, 1, 1], &algorithm, &name, &validity, &name, &key, &extensions]);
    let certificate = der(0x30, &[&body, &algorithm, &[3, 2, 0, 1]]);
    let length = (certificate.len() as u32).to_be_bytes();
    [&length[1..], &length[1..], &certificate].concat()
}

fn converse(pieces: &[&[u8]]) {
    let mut conversation = Conversation::default();
    let mut at = 0;
    for piece in pieces {
        conversation.accept(Side::Low, at, piece, |_, fact| {
            black_box(matches!(fact, Observation::Dns(_)));
        });
        at += piece.len() as u64;
    }
}

fn main() {
    let signatures = SignatureSet::builtin();
    let mut message = Message::default();
    for (name, bytes) in [("pointers", dns_chain()), ("hints", dns_hints()), ("aliases", dns_aliases())] {
        time(&format!("dns {name}"), || {
            let _ = black_box(message.parse(&bytes));
        });
    }
    let bytes = dns_chained_aliases();
    time("dns chained aliases, as many messages as fit", || {
        for _ in 0..SIZE / bytes.len() {
            let _ = black_box(message.parse(&bytes));
        }
        assert_eq!(message.names.len(), 64);
    });
    for (name, extension) in [
        ("small extensions", &[0, 5, 0, 0][..]),
        ("names", &[0, 0, 0, 6, 0, 4, 0, 0, 1, b'a']),
        ("ALPN", &[0, 16, 0, 4, 0, 2, 1, b'h']),
    ] {
        let body = hello(extension);
        time(&format!("tls {name}"), || {
            let hello = ClientHello::parse(&body, true).expect("a hello");
            black_box((hello.ja3_hash(), hello.ja4(Ja4Transport::Tcp)));
        });
    }
    let body = certificate();
    time("tls certificate names", || {
        assert!(black_box(Certificate::parse(&body)).expect("a certificate").names().count() > 1_000);
    });
    time("quic single bytes", || {
        let mut stream = CryptoStream::default();
        for at in 0..(SIZE / 5) as u64 {
            stream.insert(at * 7_919 * 2 % 20_000, b"x");
        }
        black_box(stream.prefix().len());
    });
    for (name, text) in
        [("small requests", "GET / HTTP/1.0\n\n"), ("small chunks", "1\r\nx\r\n"), ("empty lines", "\n")]
    {
        let opening = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let stream = [if name == "small requests" { "" } else { opening }, &text.repeat(SIZE / text.len())].concat();
        time(&format!("http {name}"), || {
            let mut http = RequestStream::default();
            let _ = black_box(http.accept(stream.as_bytes(), |_| {}));
        });
    }
    for (name, unit) in [("a", "a"), ("/updates/", "/updates/"), ("digits", "0123456789-"), ("{}", "/{aB-9}?x=%2f")] {
        let path = unit.repeat((16 << 10) / unit.len());
        time(&format!("matching paths of 16 KiB, four: {name}"), || {
            for _ in 0..4 {
                black_box((signatures.match_path(path.as_bytes()), signatures.match_user_agent(path.as_bytes())));
            }
        });
    }
    for (name, opening) in [
        ("socks 4", &b"\x04\x01\x00\x50\x00\x00\x00\x01"[..]),
        ("dns", b"\xff\xff\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
        ("http", b"GET /"),
        ("text", b"a"),
        ("nothing", b"\xff"),
    ] {
        let mut stream = opening.to_vec();
        stream.resize(SIZE, b'a');
        let pieces: Vec<&[u8]> = stream.chunks(1).collect();
        time(&format!("conversation byte by byte: {name}"), || converse(&pieces));
    }
    time("stream of single bytes, every second missing", || {
        let (mut stream, mut counters) = (Stream::default(), StreamCounters::default());
        stream.synchronise(0);
        for at in 0..(SIZE / 54) as u32 {
            let origin = Origin { packet: 1, at: Timestamp(0) };
            stream.accept(origin, 2 + 2 * at, b"x", 1, &mut counters, |_, _, _| {});
        }
        stream.finish(&mut counters, |_, _, _| {});
    });
}
