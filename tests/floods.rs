//! A real handshake among nine times as much flood is found.
//!
//! Of every ten packets nine are the flood's, each of a flow of its own and as fast as 10 Gb/s carries them: SYNs, random UDP, QUIC
//! Initials that nobody can open, first fragments. One belongs to a TLS connection for a name that matters, each from another client.
//! Thousands of flood packets come between its SYN and the answer, as many before its hello, and some between the two segments of the
//! hello, so that what is kept of it must outlast them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::capture::{Block, LinkType, Record, Timestamp};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::{Detector, Findings};
use std::io;

#[path = "../benches/traffic/mod.rs"]
mod traffic;

use traffic::{Generator, Pair, Receiver, client_hello};

const NAME: &str = "s07.upd.kaspersky.com";
/// Nanoseconds between frames: 14.88 million a second.
const STEP: u64 = 67;
/// Flood packets behind each packet of a handshake.
const FLOOD: u64 = 9;
/// Handshakes that begin between a SYN and its answer, and between that and the hello: about a hundred thousand packets, 7 ms.
const ROUND_TRIP: u64 = 2_500;
/// The same between the two segments of a hello.
const NEXT_SEGMENT: u64 = 10;
/// First of the numbers of flood flows; handshakes have smaller ones.
const FIRST_FLOOD: u64 = 1 << 22;

/// Feeds a detector with blocks of a megabyte, such as files give.
struct Feed<'d, 's> {
    detector: &'d mut Detector<'s>,
    block: Block,
}

impl Feed<'_, '_> {
    fn flush(&mut self) {
        self.detector.feed_block(&self.block, |_| true);
        self.block.first_number += self.block.records.len() as u64;
        self.block.bytes.clear();
        self.block.records.clear();
    }
}

impl Receiver for Feed<'_, '_> {
    fn frame(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let [start, len] = [self.block.bytes.len(), bytes.len()].map(|len| u32::try_from(len).unwrap());
        self.block.bytes.extend_from_slice(bytes);
        self.block.records.push(Record { at: Timestamp(at), start, len, wire_len: len, link_type: LinkType::ETHERNET });
        if self.block.bytes.len() > 1 << 20 {
            self.flush();
        }
        Ok(())
    }
}

/// `handshakes` among nine times as many packets of `flood`, which gets the number of each.
fn flooded(handshakes: u64, mut flood: impl FnMut(&mut Generator<'_>, u64) -> io::Result<()>) -> Findings {
    const SYN: u8 = 2;
    const PSH: u8 = 8;
    const ACK: u8 = 16;
    let signatures = SignatureSet::builtin();
    let mut detector = Detector::new(&signatures);
    let mut feed = Feed { detector: &mut detector, block: Block { first_number: 1, ..Block::default() } };
    let hello = client_hello(NAME, 1_700);
    let (first, second) = hello.split_at(1_400);
    let mut generator = Generator::new(&mut feed, 7, STEP);
    let mut number = FIRST_FLOOD;
    let mut flood = |generator: &mut Generator<'_>| {
        (0..FLOOD).try_for_each(|_| {
            number += 1;
            flood(generator, number)
        })
    };
    for turn in 0..handshakes + 2 * ROUND_TRIP + NEXT_SEGMENT {
        let of = |delay: u64| turn.checked_sub(delay).filter(|&it| it < handshakes).map(|it| Pair::of(it, 443));
        if let Some(pair) = of(0) {
            generator.tcp(pair, true, SYN, u32::MAX, 0, &[]).unwrap();
        }
        flood(&mut generator).unwrap();
        if let Some(pair) = of(ROUND_TRIP) {
            generator.tcp(pair, false, SYN | ACK, u32::MAX, 0, &[]).unwrap();
        }
        flood(&mut generator).unwrap();
        if let Some(pair) = of(2 * ROUND_TRIP) {
            generator.tcp(pair, true, ACK, 0, 0, first).unwrap();
        }
        flood(&mut generator).unwrap();
        if let Some(pair) = of(2 * ROUND_TRIP + NEXT_SEGMENT) {
            generator.tcp(pair, true, PSH | ACK, 1_400, 0, second).unwrap();
        }
        flood(&mut generator).unwrap();
    }
    feed.flush();
    detector.finish()
}

/// At most one of a thousand is missed.
#[track_caller]
fn found(handshakes: u64, findings: &Findings) {
    let hosts = findings.hosts.len() as u64;
    println!(
        "{hosts} of {handshakes} found in {} packets; given up: {:?}",
        findings.outcomes.total(),
        findings.given_up
    );
    assert!(hosts <= handshakes, "nobody else");
    assert!(1_000 * (handshakes - hosts) <= handshakes, "{hosts} of {handshakes}: {:?}", findings.given_up);
}

#[test]
fn among_syns() {
    let syn = |generator: &mut Generator<'_>, number| generator.tcp(Pair::of(number, 443), true, 2, u32::MAX, 0, &[]);
    found(30_000, &flooded(30_000, syn));
}

#[test]
fn among_random_datagrams() {
    let datagram = |generator: &mut Generator<'_>, number| {
        let bytes = generator.random.next().to_be_bytes();
        generator.udp(Pair::of(number, 10_000), true, &bytes)
    };
    found(30_000, &flooded(30_000, datagram));
}

#[test]
fn among_quic_initials() {
    let initial = |generator: &mut Generator<'_>, number: u64| {
        // RFC 9000 section 17.2.2: version 1, a connection of its own, no token, and a payload that no key opens.
        let mut bytes = vec![0xc3, 0, 0, 0, 1, 8];
        bytes.extend(generator.random.next().to_be_bytes());
        bytes.extend([0, 0, 0x44, 0x90]);
        bytes.resize(1_200, 0xa5);
        generator.udp(Pair::of(number, 443), true, &bytes)
    };
    found(1_000, &flooded(1_000, initial));
}

#[test]
fn among_first_fragments() {
    let fragment = |generator: &mut Generator<'_>, number: u64| {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 44];
        frame.extend(&u32::try_from(number).unwrap().to_be_bytes()[2..]);
        frame.extend([0x20, 0, 64, 17, 0, 0, 10]);
        frame.extend(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
        frame.extend([198, 51, 100, 7]);
        frame.resize(60, 0xa5);
        generator.raw(&frame)
    };
    found(3_000, &flooded(3_000, fragment));
}
