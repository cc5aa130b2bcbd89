//! Both directions of a TCP connection, piece by piece, with gaps. Each piece stands behind a byte for its side and the gap before it,
//! and two of length.
#![no_main]

use kaspector::flow::Side;
use kaspector::inspect::Conversation;

/// Twice what one direction may hold: the largest message of each protocol, since a reader keeps its own until it is over.
const HELD_MAX: usize = 2 * (512 << 10);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut conversation = Conversation::default();
    for _ in 0..2 {
        let mut facts = Vec::new();
        let mut offsets = [0u64; 2];
        let mut rest = data;
        while let [kind, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
            let (piece, after) = after.split_at(length);
            rest = after;
            let (side, at) = if kind & 1 == 0 { (Side::Low, 0) } else { (Side::High, 1) };
            match kind >> 1 & 7 {
                7 => offsets[at] += u64::from(kind >> 4),
                6 => conversation.finish(side, |client, fact| facts.push(format!("{client:?} {fact:?}"))),
                _ => {}
            }
            conversation.accept(side, offsets[at], piece, |client, fact| facts.push(format!("{client:?} {fact:?}")));
            offsets[at] += length as u64;
            assert!(conversation.held_bytes() <= HELD_MAX, "{} bytes held", conversation.held_bytes());
        }
        for side in [Side::Low, Side::High] {
            conversation.finish(side, |client, fact| facts.push(format!("{client:?} {fact:?}")));
        }
        assert!(conversation.held_bytes() <= HELD_MAX);
        // Cleared, it is as new: another connection gets it.
        conversation.clear();
        assert!(conversation.held_bytes() == 0 && !conversation.is_settled());
        assert!(facts.len() <= data.len());
    }
});
