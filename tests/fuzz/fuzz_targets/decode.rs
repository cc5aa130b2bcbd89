//! One frame of any link type, whole or cut, with tunnels at ports of a site's own. Two bytes choose the link type, the third how much was cut
//! off.
#![no_main]

use kaspector::capture::{Frame, LinkType, Timestamp};
use kaspector::decode::{Dissected, Outcome, TunnelPorts, dissect_general, dissect_into, looks_like_tunnel};
use kaspector::flow::{checksum, sum, timestamps, urgent};
use std::sync::LazyLock;

static PORTS: LazyLock<TunnelPorts> = LazyLock::new(|| {
    let own = ["vxlan:14789", "geneve:16081", "gtp-u:12152", "gre:14754"];
    TunnelPorts::with_own(&own.map(|text| text.parse().unwrap()))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [high, low, cut, bytes @ ..] = data else { return };
    // Every number below 300; Ethernet most often.
    let link_type = u16::from_be_bytes([*high, *low]) % 600;
    let link_type = if link_type < 300 { link_type } else { 1 };
    let frame = Frame {
        number: 1,
        at: Timestamp(0),
        link_type: LinkType(link_type),
        wire_len: bytes.len() as u32 + u32::from(cut.saturating_sub(128)),
        bytes,
    };
    _ = looks_like_tunnel(bytes, frame.wire_len);
    let mut fast = Dissected::Other(Outcome::NotIp);
    dissect_into(&frame, &PORTS, &mut fast);
    match (fast, dissect_general(&frame, &PORTS)) {
        (Dissected::Segment(fast), Dissected::Segment(general)) => {
            assert_eq!(fast, general);
            let _ = (checksum(&fast, sum(fast.payload)), timestamps(fast.header), urgent(&fast));
            assert!(fast.payload.len() <= fast.payload_len as usize);
            assert!(fast.payload.is_empty() || bytes.as_ptr_range().contains(&fast.payload.as_ptr()));
        }
        (Dissected::Other(fast), Dissected::Other(general)) => assert_eq!(fast, general),
        (Dissected::Fragment(fast), Dissected::Fragment(general)) => assert_eq!(fast.key, general.key),
        (fast, general) => panic!("{fast:?} is not {general:?}"),
    }
});
