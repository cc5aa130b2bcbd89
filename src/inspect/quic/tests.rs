#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::keys::ClientKeys;
use super::*;
use crate::flow::Side;
use crate::inspect::Observation;
use proptest::prelude::*;

const DCID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// A handshake message with a server name, padded to `length` bytes.
fn hello(name: &str, length: usize) -> Vec<u8> {
    let two = |value: usize| u16::try_from(value).unwrap().to_be_bytes();
    let mut extensions = Vec::new();
    let mut list = vec![0];
    list.extend(two(name.len()));
    list.extend(name.as_bytes());
    extensions.extend([0, 0]);
    extensions.extend(two(list.len() + 2));
    extensions.extend(two(list.len()));
    extensions.extend(list);
    let padding = length.saturating_sub(extensions.len() + 53);
    extensions.extend([0, 21]);
    extensions.extend(two(padding));
    extensions.resize(extensions.len() + padding, 0);
    let mut body = vec![3, 3];
    body.extend([1; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(two(extensions.len()));
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend(two(body.len()));
    message.extend(body);
    message
}

fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let two = |value: usize| (u16::try_from(value).unwrap() | 0x4000).to_be_bytes();
    [&[6][..], &two(offset), &two(data.len()), data].concat()
}

/// A datagram with one Initial packet, keyed by [`DCID`] whatever identifier it carries.
fn datagram(version: QuicVersion, dcid: &[u8], number: u8, mut frames: Vec<u8>) -> Vec<u8> {
    frames.resize(frames.len().max(1_100), 0);
    let (wire, kind) = match version {
        QuicVersion::V1 => (1u32, 0xc0),
        QuicVersion::V2 => (0x6b33_43cf, 0xd0),
        QuicVersion::Draft29 => (0xff00_001d, 0xc0),
        QuicVersion::Draft27 => (0xface_b002, 0xc0),
        QuicVersion::Draft34 => (0xff00_0022, 0xc0),
        QuicVersion::Draft22 => (0xface_b001, 0xc0),
        QuicVersion::T050 => (0x5430_3530, 0xc0),
        QuicVersion::T051 => (0x5430_3531, 0xc0),
        QuicVersion::Q050 => (0x5130_3530, 0xc0),
        QuicVersion::Q043 | QuicVersion::Q046 => panic!("it has no keys"),
    };
    let mut header = vec![kind];
    header.extend(wire.to_be_bytes());
    header.push(u8::try_from(dcid.len()).unwrap());
    header.extend(dcid);
    header.extend([0, 0]);
    header.extend((u16::try_from(frames.len() + 1 + 16).unwrap() | 0x4000).to_be_bytes());
    header.push(number);
    ClientKeys::derive(version, &DCID).seal(&header, 1, &frames)
}

fn names(datagrams: &[(Side, Vec<u8>)]) -> Vec<(Side, String)> {
    let mut conversation = InitialConversation::default();
    let mut found = Vec::new();
    for (side, datagram) in datagrams {
        conversation.accept(*side, datagram, |client, observation| {
            let Observation::QuicClientHello { hello, .. } = observation else { panic!("nothing else is in there") };
            found.push((client, hello.sni.unwrap().to_string()));
        });
    }
    found
}

#[test]
fn one_initial_of_each_version() {
    for version in [QuicVersion::V1, QuicVersion::V2, QuicVersion::Draft29, QuicVersion::Draft27, QuicVersion::T051] {
        let datagram = datagram(version, &DCID, 0, crypto(0, &hello("ds.kaspersky.com", 300)));
        assert!(recognise(&datagram));
        assert_eq!(names(&[(Side::High, datagram)]), [(Side::High, "ds.kaspersky.com".to_owned())]);
    }
}

#[test]
fn a_hello_in_pieces_over_several_initials_in_any_order() {
    let hello = hello("ds.kaspersky.com", 1_900);
    let pieces: Vec<Vec<u8>> =
        hello.chunks(180).enumerate().map(|(number, piece)| crypto(number * 180, piece)).collect();
    let odd: Vec<u8> =
        pieces.iter().skip(1).step_by(2).rev().flat_map(|piece| [&[1, 0, 0][..], piece].concat()).collect();
    let even: Vec<u8> = pieces.iter().step_by(2).rev().flatten().copied().collect();
    let first = datagram(QuicVersion::V1, &DCID, 0, odd);
    // From the second packet on, the identifier may be the one that the server chose.
    let second = datagram(QuicVersion::V1, &[9; 20], 1, even);
    let server = datagram(QuicVersion::V1, &[7; 4], 0, vec![2, 0, 0, 0, 0]);
    let expected = [(Side::Low, "ds.kaspersky.com".to_owned())];
    assert_eq!(names(&[(Side::Low, first.clone()), (Side::High, server), (Side::Low, second.clone())]), expected);
    assert_eq!(names(&[(Side::Low, first.clone()), (Side::Low, first), (Side::Low, second)]), expected);
}

#[test]
fn packets_behind_another_in_the_same_datagram() {
    let mut zero_rtt = vec![0xd0, 0, 0, 0, 1, 8];
    zero_rtt.extend(DCID);
    zero_rtt.extend([0, 4, 1, 2, 3, 4]);
    zero_rtt.extend(datagram(QuicVersion::V1, &DCID, 0, crypto(0, &hello("ds.kaspersky.com", 300))));
    assert_eq!(names(&[(Side::Low, zero_rtt)]).len(), 1);
}

#[test]
fn damage_is_not_opened() {
    let good = datagram(QuicVersion::V1, &DCID, 0, crypto(0, &hello("ds.kaspersky.com", 300)));
    for at in (0..good.len()).step_by(37) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        assert!(names(&[(Side::Low, bad)]).is_empty());
    }
    for end in 0..good.len() {
        assert!(names(&[(Side::Low, good[..end].to_vec())]).is_empty());
    }
}

#[test]
fn a_hello_that_stays_incomplete_gives_its_beginning() {
    let hello = hello("ds.kaspersky.com", 1_900);
    let mut conversation = InitialConversation::default();
    conversation.accept(Side::Low, &datagram(QuicVersion::V1, &DCID, 0, crypto(0, &hello[..1_000])), |_, _| {
        panic!("too early")
    });
    let mut found = false;
    conversation.finish(|client, observation| {
        let Observation::QuicClientHello { hello, .. } = observation else { panic!("nothing else is in there") };
        found = client == Side::Low && !hello.is_complete && hello.sni.is_some();
    });
    assert!(found);
}

proptest! {
    /// Whatever order runs come in, and however they overlap, the first copy of each byte stays.
    #[test]
    fn runs_come_out_in_order(runs in prop::collection::vec((0usize..3_000, 1usize..400), 1..40)) {
        let message: Vec<u8> = (0..4_000usize).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut stream = CryptoStream::default();
        let mut have = vec![false; 4_000];
        for (from, len) in runs {
            let to = (from + len).min(4_000);
            stream.insert(from as u64, &message[from..to]);
            have[from..to].fill(true);
        }
        let expected = have.iter().take_while(|&&have| have).count();
        prop_assert_eq!(stream.prefix(), &message[..expected]);
    }

    #[test]
    fn arbitrary_datagrams_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 6..200), offset: u64) {
        bytes[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        bytes[5] %= 24;
        let _ = names(&[(Side::Low, bytes.clone()), (Side::High, bytes.clone())]);
        let mut stream = CryptoStream::default();
        stream.insert(offset, &bytes);
        stream.insert(offset % 50_000, &bytes);
        prop_assert!(stream.held_bytes() <= 131_400);
    }
}

#[test]
fn a_first_packet_of_an_unknown_version_is_told_from_other_datagrams() {
    let first = |version: u32, dcid: u8| {
        let mut datagram = vec![0xc3];
        datagram.extend(version.to_be_bytes());
        datagram.push(dcid);
        datagram.extend(vec![7; dcid.into()]);
        datagram.push(0);
        datagram.resize(1200, 0x41);
        datagram
    };
    let unknown = first(0xff00_0015, 8);
    assert!(unknown_version(&unknown).is_some() && !recognise(&unknown));
    for length in 0..unknown.len() {
        assert!(unknown_version(unknown.get(..length).unwrap()).is_none(), "{length}");
    }
    // Version 1, negotiation, a version meant to be unknown, identifiers that no client makes.
    for other in [first(1, 8), first(0, 8), first(0x1a2a_3a4a, 8), first(0xff00_0016, 7), first(0xff00_0016, 21)] {
        assert!(unknown_version(&other).is_none());
    }
    // Text and short headers.
    assert!(unknown_version(&[b'Z'; 1200]).is_none());
}

#[test]
fn every_version_with_keys_is_opened() {
    for version in [
        QuicVersion::V1,
        QuicVersion::V2,
        QuicVersion::Draft34,
        QuicVersion::Draft29,
        QuicVersion::Draft27,
        QuicVersion::Draft22,
        QuicVersion::T050,
        QuicVersion::T051,
        QuicVersion::Q050,
    ] {
        let frames = match version {
            // Google's numbers: a ping, then the message.
            QuicVersion::Q050 => [&[7, 8][..], &crypto(0, &google::tests::chlo("a.example"))[1..]].concat(),
            _ => crypto(0, &hello("a.example", 300)),
        };
        let datagram = datagram(version, &DCID, 1, frames);
        assert!(recognise(&datagram) && unknown_version(&datagram).is_none());
        let mut conversation = InitialConversation::default();
        let mut names = Vec::new();
        conversation.accept(Side::Low, &datagram, |_, observation| {
            let Observation::QuicClientHello { version, hello } = observation else { panic!("{observation:?}") };
            names.push((version.name(), hello.sni.unwrap().as_str().to_owned()));
        });
        assert_eq!(names, [(version.name(), "a.example".to_owned())]);
    }
}

#[test]
fn a_hello_comes_in_as_many_datagrams_as_it_takes_and_then_is_counted() {
    for (datagrams, expected) in [(500_u16, (1, 0)), (520, (0, 1))] {
        let message = hello("a.example", 16_000);
        let mut conversation = InitialConversation::default();
        let (mut hellos, mut given_up) = (0, 0);
        for number in 0..datagrams {
            // The first datagram's bytes again and again, and the rest at last.
            let is_last = number + 1 == datagrams;
            let frames = if is_last { crypto(600, &message[600..]) } else { crypto(0, &message[..600]) };
            let datagram = datagram(QuicVersion::V1, &DCID, 1, frames);
            conversation.accept(Side::Low, &datagram, |_, observation| match observation {
                Observation::GivenUp(_) => given_up += 1,
                _ => hellos += 1,
            });
        }
        assert_eq!((hellos, given_up), expected, "{datagrams}");
    }
}
