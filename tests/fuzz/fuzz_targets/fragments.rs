//! Frames one after the other through one decoder. Each has a byte for its link type, a byte of seconds, and two of length.
#![no_main]

use kaspector::capture::{Frame, LinkType, Timestamp};
use kaspector::decode::Decoder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::default();
    let mut rest = data;
    let mut at = 0;
    while let [link_type, seconds, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (bytes, after) = after.split_at(length);
        rest = after;
        at += u64::from(*seconds) * 1_000_000_000;
        let link_type = LinkType([1, 101][usize::from(link_type & 1)]);
        let frame = Frame { number: 1, at: Timestamp(at), link_type, wire_len: length as u32, bytes };
        if let Ok(segment) = decoder.decode(&frame) {
            assert!(segment.payload.len() <= segment.payload_len as usize);
            assert!(segment.payload_len <= 65_535 || segment.payload.len() <= bytes.len());
        }
    }
});
