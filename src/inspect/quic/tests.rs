#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::keys::tests::seal;
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
    seal(version, &DCID, &header, 1, &frames)
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

/// RFC 9001 appendix A.2: the client's first packet.
const SAMPLE: &str = "\
    c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f6330\
    0099f3991c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c8eb7539ec4d4905fed1bee1fc8aafba17c750e2c7ace01e6\
    005f80fcb7df621230c83711b39343fa028cea7f7fb5ff89eac2308249a02252155e2347b63d58c5457afd84d05dfffdb20392844ae812154682e9cf\
    012f9021a6f0be17ddd0c2084dce25ff9b06cde535d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec4e15daf8500a6ef69ec4e3feb6b1d98e\
    610ac8b7ec3faf6ad760b7bad1db4ba3485e8a94dc250ae3fdb41ed15fb6a8e5eba0fc3dd60bc8e30c5c4287e53805db059ae0648db2f64264ed5e39\
    be2e20d82df566da8dd5998ccabdae053060ae6c7b4378e846d29f37ed7b4ea9ec5d82e7961b7f25a9323851f681d582363aa5f89937f5a67258bf63\
    ad6f1a0b1d96dbd4faddfcefc5266ba6611722395c906556be52afe3f565636ad1b17d508b73d8743eeb524be22b3dcbc2c7468d54119c7468449a13\
    d8e3b95811a198f3491de3e7fe942b330407abf82a4ed7c1b311663ac69890f4157015853d91e923037c227a33cdd5ec281ca3f79c44546b9d90ca00\
    f064c99e3dd97911d39fe9c5d0b23a229a234cb36186c4819e8b9c5927726632291d6a418211cc2962e20fe47feb3edf330f2c603a9d48c0fcb5699d\
    bfe5896425c5bac4aee82e57a85aaf4e2513e4f05796b07ba2ee47d80506f8d2c25e50fd14de71e6c418559302f939b0e1abd576f279c4b2e0feb85c\
    1f28ff18f58891ffef132eef2fa09346aee33c28eb130ff28f5b766953334113211996d20011a198e3fc433f9f2541010ae17c1bf202580f6047472f\
    b36857fe843b19f5984009ddc324044e847a4f4a0ab34f719595de37252d6235365e9b84392b061085349d73203a4a13e96f5432ec0fd4a1ee65accd\
    d5e3904df54c1da510b0ff20dcc0c77fcb2c0e0eb605cb0504db87632cf3d8b4dae6e705769d1de354270123cb11450efc60ac47683d7b8d0f811365\
    565fd98c4c8eb936bcab8d069fc33bd801b03adea2e1fbc5aa463d08ca19896d2bf59a071b851e6c239052172f296bfb5e72404790a2181014f3b94a\
    4e97d117b438130368cc39dbb2d198065ae3986547926cd2162f40a29f0c3c8745c0f50fba3852e566d44575c29d39a03f0cda721984b6f440591f35\
    5e12d439ff150aab7613499dbd49adabc8676eef023b15b65bfc5ca06948109f23f350db82123535eb8a7433bdabcb909271a6ecbcb58b936a88cd4e\
    8f2e6ff5800175f113253d8fa9ca8885c2f552e657dc603f252e1a8e308f76f0be79e2fb8f5d5fbbe2e30ecadd220723c8c0aea8078cdfcb3868263f\
    f8f0940054da48781893a7e49ad5aff4af300cd804a6b6279ab3ff3afb64491c85194aab760d58a606654f9f4400e8b38591356fbf6425aca26dc852\
    44259ff2b19c41b9f96f3ca9ec1dde434da7d2d392b905ddf3d1f9af93d1af5950bd493f5aa731b4056df31bd267b6b90a079831aaf579be0a390131\
    37aac6d404f518cfd46840647e78bfe706ca4cf5e9c5453e9f7cfd2b8b4c8d169a44e55c88d4a9a7f9474241e221af44860018ab0856972e194cd934";

#[test]
fn the_sample_packet_is_opened_and_nothing_shorter() {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    let packet: Vec<u8> = SAMPLE.as_bytes().chunks(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect();
    assert_eq!(names(&[(Side::Low, packet.clone())]), [(Side::Low, "example.com".to_owned())]);
    for end in 0..packet.len() {
        assert!(names(&[(Side::Low, packet[..end].to_vec())]).is_empty(), "{end}");
    }
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
        let (mut hellos, mut dropped) = (0, 0);
        for number in 0..datagrams {
            // The first datagram's bytes again and again, and the rest at last.
            let is_last = number + 1 == datagrams;
            let frames = if is_last { crypto(600, &message[600..]) } else { crypto(0, &message[..600]) };
            let datagram = datagram(QuicVersion::V1, &DCID, 1, frames);
            conversation.accept(Side::Low, &datagram, |_, observation| match observation {
                Observation::BoundReached(_) => dropped += 1,
                _ => hellos += 1,
            });
        }
        assert_eq!((hellos, dropped), expected, "{datagrams}");
    }
}

#[test]
fn packets_of_a_connection_that_is_known_are_told_by_their_identifiers() {
    let initial = |dcid: &[u8], scid: &[u8]| {
        let mut packet = vec![0xc0, 0, 0, 0, 1, u8::try_from(dcid.len()).unwrap()];
        packet.extend(dcid);
        packet.push(u8::try_from(scid.len()).unwrap());
        packet.extend(scid);
        packet.extend([0, 0x40, 20]);
        packet.extend([0; 20]);
        ends(&packet).unwrap()
    };
    let mut conversation = InitialConversation::default();
    conversation.accept(
        Side::Low,
        &datagram(QuicVersion::V1, &DCID, 0, crypto(0, &hello("ds.kaspersky.com", 300))),
        |_, _| {},
    );
    let mut known = conversation.connection().unwrap();
    assert!(known.takes(true, initial(&DCID, &[])), "sent again");
    assert!(!known.takes(true, initial(&[5; 8], &[])), "another connection, or an identifier that nobody has seen yet");
    assert!(known.takes(false, initial(&[], &[5; 8])), "the server answers");
    assert!(known.takes(true, initial(&[5; 8], &[])), "what the server wants to be called");
    assert!(!known.takes(true, initial(&[6; 8], &[])) && !known.takes(true, initial(&[], &[])));
    // An empty identifier is not that of a server that was not seen.
    assert!(!conversation.connection().unwrap().takes(true, initial(&[], &[])));
    assert_eq!(ends(&[0xc0, 0, 0, 0, 1]), None);
}
