//! Datagrams that look like tunnels where none is expected: so that a site which has them learns of it.

use super::TunnelKind;
use super::link::be16;

/// Which kind of tunnel a datagram at a port without tunnels looks like. `payload_len` is what its headers promise, if the snap length
/// cut it.
///
/// This is to count, not to decode, so it wants far more than a decoder: a header without one odd bit, and in it an IP packet
/// whose length fits and whose header has the right checksum, or none as offloading network cards leave it.
#[must_use]
pub fn looks_like_tunnel(payload: &[u8], payload_len: u32) -> Option<TunnelKind> {
    // The largest header here has 252 bytes of options behind eight of its own; what is inside tells its length itself.
    let promised = payload_len as usize;
    let inside = |at: usize| Some((payload.get(at..)?, promised.checked_sub(at)?));
    let is_ip = |at: usize| inside(at).is_some_and(|(rest, promised)| is_ip(rest, promised));
    let is_ethernet = |at: usize| inside(at).is_some_and(|(rest, promised)| is_ethernet(rest, promised));
    let is_vxlan = matches!(payload, [0x08, 0, 0, 0, _, _, _, 0, ..]) && is_ethernet(8);
    // Version 0, no reserved bit; Ethernet or IP.
    let is_geneve = || match payload {
        [words, 0 | 0x40 | 0x80, high, low, _, _, _, 0, ..] if words >> 6 == 0 => {
            let at = 8 + 4 * usize::from(words & 0x3f);
            match u16::from_be_bytes([*high, *low]) {
                0x6558 => is_ethernet(at),
                0x0800 | 0x86dd => is_ip(at),
                _ => false,
            }
        }
        _ => false,
    };
    // Version 1, the protocol GTP, perhaps with a sequence number, a user's packet of the right length.
    let is_gtp_u = || match payload {
        [flags @ (0x30 | 0x32), 255, high, low, ..] => {
            let fits = usize::from(u16::from_be_bytes([*high, *low])) + 8 == promised;
            fits && is_ip(if *flags == 0x30 { 8 } else { 12 })
        }
        _ => false,
    };
    // Checksum, key and sequence number may follow; nothing else is set.
    let is_gre = || match payload {
        [flags, 0, high, low, ..] if flags & 0x4f == 0 => {
            let at = 4 + 4 * (flags & 0xb0).count_ones() as usize;
            match u16::from_be_bytes([*high, *low]) {
                0x6558 => is_ethernet(at),
                0x0800 | 0x86dd => is_ip(at),
                _ => false,
            }
        }
        _ => false,
    };
    if is_vxlan {
        Some(TunnelKind::Vxlan)
    } else if is_geneve() {
        Some(TunnelKind::Geneve)
    } else if is_gtp_u() {
        Some(TunnelKind::GtpU)
    } else {
        is_gre().then_some(TunnelKind::Gre)
    }
}

/// An Ethernet header, perhaps with a tag, and IP in it.
fn is_ethernet(bytes: &[u8], promised: usize) -> bool {
    let at = match be16(bytes, 12) {
        Some(0x0800 | 0x86dd) => 14,
        Some(0x8100) if matches!(be16(bytes, 16), Some(0x0800 | 0x86dd)) => 18,
        _ => return false,
    };
    // Nobody sends from a group's address.
    let from_one = bytes.get(6).is_some_and(|first| first & 1 == 0);
    from_one && bytes.get(at..).zip(promised.checked_sub(at)).is_some_and(|(rest, promised)| is_ip(rest, promised))
}

/// An IP header whose length fits into what is promised; short frames may be padded.
fn is_ip(bytes: &[u8], promised: usize) -> bool {
    let fits = |length: usize| length <= promised && (promised - length < 46);
    match bytes.first() {
        Some(0x45) => {
            let Some(header) = bytes.first_chunk::<20>() else { return false };
            let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let sum: u32 = header.chunks_exact(2).filter_map(|pair| be16(pair, 0)).map(u32::from).sum();
            let folded = (sum & 0xffff) + (sum >> 16);
            let is_right = folded == 0xffff || [header[10], header[11]] == [0, 0];
            is_right && length >= 20 && fits(length) && matches!(header[9], 1 | 6 | 17)
        }
        Some(0x60..=0x6f) => {
            let Some(header) = bytes.first_chunk::<40>() else { return false };
            let length = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
            // Addresses that hosts have, or talk to: global, unique local, link local, groups.
            let is_address = |first: u8| matches!(first, 0x20..=0x3f | 0xfc..=0xff);
            fits(length) && matches!(header[6], 0 | 6 | 17 | 58) && is_address(header[8]) && is_address(header[24])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::sample::*;
    use super::*;
    use proptest::prelude::*;

    fn kind(parts: &[&[u8]]) -> Option<TunnelKind> {
        let payload = glue(parts);
        let whole = looks_like_tunnel(&payload, payload.len() as u32);
        for end in 0..payload.len() {
            // Cut by the snap length, it is the same or nothing.
            let cut = looks_like_tunnel(&payload[..end], payload.len() as u32);
            assert!(cut.is_none() || cut == whole);
            _ = looks_like_tunnel(&payload[..end], end as u32);
        }
        whole
    }

    #[test]
    fn each_kind_is_known_by_what_is_inside() {
        let (packet, frame) = (tcp4(), ethernet(0x0800, &tcp4()));
        assert_eq!(kind(&[&[8, 0, 0, 0, 0, 0, 9, 0], &frame]), Some(TunnelKind::Vxlan));
        let tagged = ethernet(0x8100, &tag(5, 0x86dd, &tcp6()));
        assert_eq!(kind(&[&[8, 0, 0, 0, 0, 0, 9, 0], &tagged]), Some(TunnelKind::Vxlan));
        assert_eq!(kind(&[&[0, 0, 0x65, 0x58, 0, 0, 9, 0], &frame]), Some(TunnelKind::Geneve));
        assert_eq!(kind(&[&[1, 0, 0x08, 0, 0, 0, 9, 0, 1, 2, 3, 4], &packet]), Some(TunnelKind::Geneve));
        let length = (packet.len() as u16).to_be_bytes();
        assert_eq!(kind(&[&[0x30, 255], &length, &[0, 0, 0, 9], &packet]), Some(TunnelKind::GtpU));
        assert_eq!(kind(&[&[0, 0, 0x08, 0], &packet]), Some(TunnelKind::Gre));
        assert_eq!(kind(&[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 9], &frame]), Some(TunnelKind::Gre));
        assert_eq!(kind(&[&[0, 0, 0x86, 0xdd], &tcp6()]), Some(TunnelKind::Gre));
    }

    #[test]
    fn what_only_begins_so_is_none() {
        let mut wrong_sum = tcp4();
        wrong_sum[10] = 1;
        assert_eq!(kind(&[&[0, 0, 0x08, 0], &wrong_sum]), None);
        // Longer than the packet says, shorter, and a flag that nobody sets.
        assert_eq!(kind(&[&[0, 0, 0x08, 0], &tcp4(), &[0; 60]]), None);
        assert_eq!(kind(&[&[0, 0, 0x08, 0], &tcp4()[..30]]), None);
        assert_eq!(kind(&[&[0x0c, 0, 0, 0, 0, 0, 9, 0], &ethernet(0x0800, &tcp4())]), None);
        assert_eq!(kind(&[&[0x30, 255, 0, 9, 0, 0, 0, 9], &tcp4()]), None);
        // An answer of DNS without records, and a hello of QUIC.
        assert_eq!(kind(&[&[8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], b"\x03www\x00\x00\x01\x00\x01"]), None);
        assert_eq!(kind(&[&[0xc0, 0, 0, 0, 1, 8], &[7; 80]]), None);
    }

    proptest! {
        #[test]
        fn other_bytes_are_none(bytes in prop::collection::vec(any::<u8>(), 0..200), missing in 0_u32..9) {
            // The sum of a header is right by chance once in 65,536, and then the rest has to fit, too.
            prop_assert_eq!(looks_like_tunnel(&bytes, bytes.len() as u32 + missing), None);
        }
    }
}
