//! The packet ring against the kernel, over a pair of virtual interfaces that each test makes and removes.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::capture::{Block, LinkType, LiveError, Ring, RingOptions, RingStatistics};
use std::process::{self, Command};
use std::time::{Duration, Instant};

/// An EtherType for local experiments (IEEE 802): no other program sends it here.
const OURS: [u8; 2] = [0x88, 0xb5];
const FROM: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Neither end has it: only a promiscuous ring should care, and nobody answers.
const TO: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// A test gives up after this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two interfaces joined by a virtual wire; gone when dropped.
struct Wire {
    near: String,
    far: String,
}

impl Wire {
    /// `None`, with a message, where this cannot be tested.
    fn new(tag: &str) -> Option<Self> {
        let near = format!("ksp{tag}{}a", process::id());
        let wire = Self { far: format!("ksp{tag}{}b", process::id()), near };
        if !ip(&["link", "add", &wire.near, "type", "veth", "peer", "name", &wire.far]) {
            assert!(std::env::var("CI").is_err(), "CI must run this: it takes root and the program `ip`");
            eprintln!("skipped: needs root and the program `ip` with veth");
            return None;
        }
        for end in [&wire.near, &wire.far] {
            assert!(ip(&["link", "set", end, "addrgenmode", "none"]));
            assert!(ip(&["link", "set", end, "up"]));
        }
        Some(wire)
    }

    fn ring(&self, options: &RingOptions) -> Ring {
        Ring::open(&self.far, options).unwrap()
    }

    fn send(&self, frames: &[Vec<u8>]) {
        let mut sender = pcap::Capture::from_device(self.near.as_str()).unwrap().open().unwrap();
        for frame in frames {
            sender.sendpacket(frame.as_slice()).unwrap();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        ip(&["link", "del", &self.near]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A frame with its number in it; `tags` stand before the EtherType.
fn frame(number: u32, length: usize, tags: &[u8]) -> Vec<u8> {
    let mut frame = [&TO[..], &FROM, tags, &OURS, &number.to_be_bytes()].concat();
    frame.extend((frame.len()..length).map(|at| (at as u32 ^ number) as u8));
    frame
}

/// What a ring gave: number, bytes and length on the wire.
type Seen = (u64, Vec<u8>, u32);

/// Our frames from a ring until `wanted` are there and nothing more comes for a while.
fn receive(ring: &mut Ring, wanted: usize) -> Vec<Seen> {
    let (mut block, mut seen, begun) = (Block::default(), Vec::new(), Instant::now());
    while begun.elapsed() < PATIENCE {
        let came = ring.next_block(&mut block, Duration::from_millis(200)).unwrap();
        if !came && seen.len() >= wanted {
            break;
        }
        for frame in block.frames().filter(|frame| frame.bytes.get(6..12) == Some(&FROM)) {
            assert_eq!(frame.link_type, LinkType::ETHERNET);
            seen.push((frame.number, frame.bytes.to_vec(), frame.wire_len));
        }
    }
    seen
}

#[test]
fn every_frame_arrives_once_in_order_and_whole() {
    let Some(wire) = Wire::new("o") else { return };
    let mut ring = wire.ring(&RingOptions { block_bytes: 64 << 10, blocks: 128, ..RingOptions::default() });
    let sent: Vec<_> = (0..2_000).map(|number| frame(number, 60 + number as usize * 7 % 1_440, &[])).collect();
    wire.send(&sent);
    let seen = receive(&mut ring, sent.len());
    assert_eq!(seen.len(), sent.len());
    for ((_, bytes, wire_len), sent) in seen.iter().zip(&sent) {
        assert_eq!(bytes, sent);
        assert_eq!(*wire_len as usize, sent.len());
    }
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "frames are numbered on");
    let statistics = ring.statistics().unwrap();
    assert!(statistics.packets >= 2_000, "{statistics:?}");
    assert_eq!((statistics.drops, statistics.damaged_blocks), (0, 0));
}

#[test]
fn tags_are_where_they_were_sent() {
    let Some(wire) = Wire::new("v") else { return };
    let mut ring = wire.ring(&RingOptions::default());
    let tags: [&[u8]; 4] = [
        &[0x81, 0x00, 0x00, 0x64],
        &[0x81, 0x00, 0xef, 0xfe],
        &[0x88, 0xa8, 0x20, 0x07],
        &[0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06],
    ];
    let sent: Vec<_> = (0..40).map(|number| frame(number, 100, tags[number as usize % tags.len()])).collect();
    wire.send(&sent);
    let seen = receive(&mut ring, sent.len());
    assert_eq!(seen.iter().map(|(_, bytes, _)| bytes.clone()).collect::<Vec<_>>(), sent);
    assert!(seen.iter().all(|(_, _, wire_len)| *wire_len == 100));
}

#[test]
fn a_snap_length_cuts_bytes_and_not_the_length_on_the_wire() {
    let Some(wire) = Wire::new("s") else { return };
    let mut ring = wire.ring(&RingOptions { snaplen: 96, ..RingOptions::default() });
    let sent = [frame(0, 60, &[]), frame(1, 1_000, &[]), frame(2, 500, &[0x81, 0x00, 0x00, 0x64])];
    wire.send(&sent);
    let seen = receive(&mut ring, sent.len());
    assert_eq!(seen.len(), sent.len());
    for ((_, bytes, wire_len), sent) in seen.iter().zip(&sent) {
        assert_eq!(bytes, &sent[..sent.len().min(96)]);
        assert_eq!(*wire_len as usize, sent.len());
    }
}

#[test]
fn what_finds_no_room_is_counted() {
    let Some(wire) = Wire::new("d") else { return };
    let mut ring = wire.ring(&RingOptions { block_bytes: 16 << 10, blocks: 4, ..RingOptions::default() });
    let sent: Vec<_> = (0..1_000).map(|number| frame(number, 1_000, &[])).collect();
    wire.send(&sent);
    let seen = receive(&mut ring, 1).len() as u64;
    let RingStatistics { packets, drops, freezes, .. } = ring.statistics().unwrap();
    assert!(seen < 1_000 && drops > 0 && freezes > 0, "{seen} seen, {drops} dropped, {freezes} freezes");
    // Other frames of this machine may pass, none of ours may be missing.
    assert!(packets >= seen && (1_000..1_020).contains(&(packets + drops)), "{packets} + {drops}, {seen} seen");
    let again = ring.statistics().unwrap();
    assert!(again.packets >= packets && again.drops == drops, "asking again forgets nothing");
}

#[test]
fn a_link_that_goes_down_is_no_error_and_one_that_returns_goes_on() {
    let Some(wire) = Wire::new("l") else { return };
    let mut ring = wire.ring(&RingOptions::default());
    assert!(!ring.link_is_down());
    assert!(ip(&["link", "set", &wire.far, "down"]));
    let (mut block, begun, mut rounds) = (Block::default(), Instant::now(), 0);
    while begun.elapsed() < Duration::from_millis(500) {
        ring.next_block(&mut block, Duration::from_millis(50)).unwrap();
        rounds += 1;
    }
    assert!(ring.link_is_down());
    assert!(rounds < 20, "{rounds} rounds: it waits");
    assert!(ip(&["link", "set", &wire.far, "up"]));
    let sent = [frame(1, 60, &[])];
    wire.send(&sent);
    assert_eq!(receive(&mut ring, 1).len(), 1);
    assert!(!ring.link_is_down());
}

#[test]
fn rings_of_a_group_share_the_frames() {
    let Some(wire) = Wire::new("f") else { return };
    let options = RingOptions { fanout: Some(process::id() as u16), ..RingOptions::default() };
    let mut rings = [wire.ring(&options), wire.ring(&options)];
    let sent: Vec<_> = (0..200).map(|number| frame(number, 100, &[])).collect();
    wire.send(&sent);
    let mut seen: Vec<Vec<u8>> =
        rings.iter_mut().flat_map(|ring| receive(ring, 0)).map(|(_, bytes, _)| bytes).collect();
    seen.sort();
    assert_eq!(seen, sent);
}

#[test]
fn an_unknown_interface_is_named_with_those_that_there_are() {
    let Err(error) = Ring::open("ksp-nowhere", &RingOptions::default()) else { panic!("it opened") };
    assert!(
        matches!(&error, LiveError::NoSuchInterface { present, .. } if present.contains(&"lo".to_owned())),
        "{error}"
    );
    let wrong = RingOptions { block_bytes: 1_000, ..RingOptions::default() };
    assert!(matches!(Ring::open("lo", &wrong), Err(LiveError::Options { .. })));
}
