//! Segments of one direction, in any order. Each byte's value follows from its place in the stream, so whatever is delivered
//! can be checked: no byte at a wrong place, no place twice, and never more held than the bound.
#![no_main]

use kaspector::capture::Timestamp;
use kaspector::flow::{Doubt, Origin, Stream, StreamCounters};

const ISN: u32 = u32::MAX - 5000;

fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut stream = Stream::default();
    let mut counters = StreamCounters::default();
    stream.synchronise(ISN);
    let mut delivered = 0;
    let mut check = |_: Origin, offset: u64, bytes: &[u8]| {
        assert!(offset >= delivered, "{offset} was delivered before");
        for (at, &byte) in (offset..).zip(bytes) {
            assert_eq!(byte, byte_at(at), "at {at}");
        }
        delivered = offset + bytes.len() as u64;
    };
    let mut at = 0;
    for (packet, step) in data.as_chunks::<7>().0.iter().enumerate() {
        let [kind, o0, o1, l0, l1, cut, ms] = *step;
        at += u64::from(ms) * 10_000_000;
        let origin = Origin { packet: packet as u64, at: Timestamp(at) };
        let offset = u64::from(u16::from_be_bytes([o0, o1])) * if kind & 4 == 0 { 1 } else { 64 };
        let sequence = ISN.wrapping_add(1).wrapping_add(offset as u32);
        if kind & 24 == 24 {
            // Copies that their receiver may have dropped say the same here.
            let length = u64::from(u16::from_be_bytes([l0, l1]) & 0x3fff);
            let payload: Vec<u8> = (offset..offset + length).map(byte_at).collect();
            let promised = length as u32;
            stream.doubt(origin, sequence, &payload, promised, Doubt::Checksum, &mut counters, &mut check);
        } else if kind & 3 == 3 {
            stream.acknowledge(origin.at, sequence, &mut counters, &mut check);
        } else {
            let length = u64::from(u16::from_be_bytes([l0, l1]) & 0x3fff);
            let payload: Vec<u8> = (offset..offset + length).map(byte_at).collect();
            stream.accept(origin, sequence, &payload, length as u32 + u32::from(cut & 0x1f), &mut counters, &mut check);
        }
        assert!(stream.held_bytes() <= 2 * 128 * 1024);
    }
    stream.finish(&mut counters, &mut check);
});
