//! Datagrams of one connection, as they come from the wire. Each stands behind a byte for its side and two of length.
#![no_main]

use kaspector::flow::Side;
use kaspector::inspect::quic::recognise;
use kaspector::inspect::{InitialConversation, Observation};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut conversation = InitialConversation::default();
    let mut hellos = 0;
    let mut rest = data;
    while let [side, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (datagram, after) = after.split_at(length);
        rest = after;
        let _ = recognise(datagram);
        let side = if side & 1 == 0 { Side::Low } else { Side::High };
        conversation.accept(side, datagram, |_, fact| hellos += u32::from(!matches!(fact, Observation::BoundReached(_))));
        assert!(conversation.held_bytes() <= 131_400);
    }
    conversation.finish(|_, _| hellos += 1);
    assert!(hellos <= 1 && conversation.held_bytes() == 0);
});
