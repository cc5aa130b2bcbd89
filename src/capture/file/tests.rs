//! However the bytes of a capture come, its frames and its errors are the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use super::*;
use crate::capture::MAX_FRAME_BYTES;
use proptest::prelude::*;
use std::io::Write;

/// Number, time, length on the wire and bytes of each frame; and the error at the end.
type Seen = (Vec<(u64, u64, u32, Vec<u8>)>, Option<String>);

/// A pcap file with a record of each of these lengths, whose bytes tell records apart.
fn capture(lengths: &[usize]) -> Vec<u8> {
    let mut bytes = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0".to_vec();
    for (number, &len) in lengths.iter().enumerate() {
        let words = [1_700_000_000, number as u32, len as u32, len as u32 + 4];
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend((0..len).map(|at| (number * 31 + at * 7) as u8));
    }
    bytes
}

fn note(block: &Block, seen: &mut Seen) {
    for frame in block.frames() {
        seen.0.push((frame.number, frame.at.0, frame.wire_len, frame.bytes.to_vec()));
    }
}

/// What is after the name of the input.
fn note_error(error: &CaptureError, seen: &mut Seen) {
    seen.1 = Some(error.to_string().replace(error.input(), ""));
}

fn read_in_turn(mut file: CaptureFile) -> Seen {
    let (mut seen, mut block) = (Seen::default(), Block::default());
    loop {
        match file.next_block(&mut block) {
            Ok(true) => note(&block, &mut seen),
            Ok(false) => return seen,
            Err(error) => note_error(&error, &mut seen),
        }
    }
}

/// Takes `width` chunks at a time and fetches the last of them first.
fn read_backwards(mut file: CaptureFile, width: usize) -> Seen {
    let mut seen = Seen::default();
    let mut blocks: Vec<Block> = (0..width).map(|_| Block::default()).collect();
    while file.has_more() {
        let chunks: Vec<ReadChunk> = blocks.iter_mut().map(|block| file.next_chunk(block)).collect();
        let mut fetched: Vec<Fetched> =
            chunks.into_iter().zip(&mut blocks).rev().map(|(chunk, block)| chunk.fetch(block)).collect();
        for block in &mut blocks {
            match file.walk(fetched.pop().unwrap(), block) {
                Ok(()) => note(block, &mut seen),
                Err(error) => note_error(&error, &mut seen),
            }
        }
    }
    seen
}

/// Hands out a few bytes at a time, as pipes do.
struct Trickle(io::Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(self.1);
        self.1 = self.1 % 60_000 + 1_237;
        self.0.read(&mut into[..len])
    }
}

fn stored(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Checks that all ways of reading agree, and returns what they see.
fn read_every_way(bytes: &[u8], step: usize) -> Seen {
    let file = stored(bytes);
    let in_turn = read_in_turn(CaptureFile::open(file.path()).unwrap());
    let trickle = Trickle(io::Cursor::new(bytes.to_vec()), step);
    assert!(read_in_turn(CaptureFile::from_reader("a stream", trickle).unwrap()) == in_turn, "as a stream");
    for width in [1, 2, 5] {
        assert!(read_backwards(CaptureFile::open(file.path()).unwrap(), width) == in_turn, "{width} stretches at once");
    }
    let trickle = Trickle(io::Cursor::new(bytes.to_vec()), step);
    assert!(
        read_backwards(CaptureFile::from_reader("a stream", trickle).unwrap(), 3) == in_turn,
        "a stream by stretches"
    );
    in_turn
}

#[test]
fn records_across_the_ends_of_stretches_are_whole() {
    // The first record ends just before, at and just behind the end of the first chunk; and so does a header.
    for short in [0, 3, 4, 5, 19, 20, 21, 36] {
        let first = BLOCK_BYTES - Pcap::HEADER_BYTES - 20 - short;
        let lengths = [first, 0, 1, 500, BLOCK_BYTES, 3];
        let (frames, error) = read_every_way(&capture(&lengths), 1);
        assert_eq!(frames.iter().map(|frame| frame.3.len()).collect::<Vec<_>>(), lengths);
        assert_eq!(error, None);
    }
}

#[test]
fn a_record_may_be_longer_than_many_stretches() {
    let lengths = [100, MAX_FRAME_BYTES, 200, 5 * BLOCK_BYTES, 300];
    let bytes = capture(&lengths);
    let (frames, error) = read_every_way(&bytes, 1);
    assert_eq!(frames.iter().map(|frame| frame.3.len()).collect::<Vec<_>>(), lengths);
    assert_eq!(error, None);
    let (frames, error) = read_every_way(&bytes[..bytes.len() - 1_000_000], 1);
    assert_eq!(frames.len(), 3);
    assert!(error.unwrap().contains("packet 4"));
}

#[test]
fn what_is_left_alone_is_not_told() {
    let file = stored(&capture(&[1_000; 5_000]));
    let (mut file, mut block) = (CaptureFile::open(file.path()).unwrap(), Block::default());
    assert!(file.next_block(&mut block).unwrap());
    file.stop();
    assert!(!file.has_more());
    assert!(!file.next_block(&mut block).unwrap());
    assert!(block.records.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cut_or_damaged_captures_read_the_same_every_way(
        lengths in prop::collection::vec(prop_oneof![8 => 0_usize..2_000, 1 => 60_000_usize..300_000], 0..400),
        cut in any::<prop::sample::Index>(),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        step in 1_usize..100_000,
    ) {
        let mut bytes = capture(&lengths);
        bytes.truncate(Pcap::HEADER_BYTES + cut.index(bytes.len() - Pcap::HEADER_BYTES + 1));
        if let Some((at, value)) = damage {
            let len = bytes.len();
            if let Some(byte) = bytes.get_mut(Pcap::HEADER_BYTES..).filter(|rest| !rest.is_empty()) {
                byte[at.index(len - Pcap::HEADER_BYTES)] = value;
            }
        }
        read_every_way(&bytes, step);
    }
}

/// How many packets a file says were lost, once all of it was read.
fn lost(bytes: Vec<u8>, packets: usize) -> u64 {
    let mut file = CaptureFile::from_reader("memory", std::io::Cursor::new(bytes)).unwrap();
    let read: usize = file.blocks().map(|block| block.unwrap().frames().count()).sum();
    assert_eq!(read, packets);
    file.lost()
}

#[test]
fn what_records_say_was_lost_is_counted() {
    // Snoop counts since the beginning.
    let mut snoop = b"snoop\0\0\0\0\0\0\x02\0\0\0\x04".to_vec();
    for drops in [3_u32, 7, 7] {
        for word in [60, 60, 84, drops, 1_700_000_000, 0] {
            snoop.extend(u32::to_be_bytes(word));
        }
        snoop.extend([0; 60]);
    }
    assert_eq!(lost(snoop, 3), 7);
    // ERF counts from record to record; in the type with a colour the field is that.
    let mut erf = Vec::new();
    for (second, kind, field) in [(0_u64, 2_u8, 2_u16), (1, 2, 5), (2, 11, 999)] {
        erf.extend(((1_700_000_000 + second) << 32).to_le_bytes());
        erf.extend([kind, 4]);
        for half in [16 + 2 + 60, field, 60] {
            erf.extend(half.to_be_bytes());
        }
        erf.extend([0; 2 + 60]);
    }
    assert_eq!(lost(erf, 3), 7);
}

#[test]
fn what_packets_and_statistics_of_pcapng_say_was_lost_is_counted_once() {
    let block = |kind: u32, body: &[u8]| {
        let len = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes()[..], &len, body, &len].concat()
    };
    let packet = |drops: u64| {
        let mut body = [0_u32, 0, 0, 4, 4].map(u32::to_le_bytes).concat();
        body.extend([1, 2, 3, 4, 4, 0, 8, 0]);
        body.extend(drops.to_le_bytes());
        body.extend([0; 4]);
        block(6, &body)
    };
    let mut bytes = block(0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    bytes.extend(block(1, b"\x01\0\0\0\0\0\0\0"));
    bytes.extend([packet(4), packet(5)].concat());
    // The obsolete kind of packet: 2 lost before one, and unknown before the other.
    for drops in [2_u16, u16::MAX] {
        let mut body = [&0_u16.to_le_bytes()[..], &drops.to_le_bytes()].concat();
        body.extend([0_u32, 0, 4, 4].map(u32::to_le_bytes).concat());
        body.extend([1, 2, 3, 4]);
        bytes.extend(block(2, &body));
    }
    let statistics = |drops: u64| {
        let mut body = vec![0; 12];
        body.extend([5, 0, 8, 0]);
        body.extend(drops.to_le_bytes());
        body.extend([0; 4]);
        block(5, &body)
    };
    assert_eq!(lost([&bytes[..], &statistics(3)].concat(), 4), 11);
    assert_eq!(lost([&bytes[..], &statistics(20)].concat(), 4), 20);
}
