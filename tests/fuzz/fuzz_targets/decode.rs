//! One frame of any link type, whole or cut. The first byte chooses the link type, the second how much was cut off.
#![no_main]

use kaspector::capture::{Frame, LinkType, Timestamp};
use kaspector::decode::{Dissected, dissect, dissect_general};

const LINK_TYPES: [u16; 16] = [1, 1, 1, 1, 0, 9, 50, 51, 101, 104, 105, 108, 113, 127, 228, 276];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [link_type, cut, bytes @ ..] = data else { return };
    let frame = Frame {
        number: 1,
        at: Timestamp(0),
        link_type: LinkType(LINK_TYPES[usize::from(link_type % 16)]),
        wire_len: bytes.len() as u32 + u32::from(cut.saturating_sub(128)),
        bytes,
    };
    match (dissect(&frame), dissect_general(&frame)) {
        (Dissected::Segment(fast), Dissected::Segment(general)) => {
            assert_eq!(fast, general);
            assert!(fast.payload.len() <= fast.payload_len as usize);
            assert!(fast.payload.is_empty() || bytes.as_ptr_range().contains(&fast.payload.as_ptr()));
        }
        (Dissected::Other(fast), Dissected::Other(general)) => assert_eq!(fast, general),
        (Dissected::Fragment(fast), Dissected::Fragment(general)) => assert_eq!(fast.key, general.key),
        (fast, general) => panic!("{fast:?} is not {general:?}"),
    }
});
