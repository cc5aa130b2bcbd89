//! Which TCP segments their receivers take, as far as a bystander can tell: by the rules of RFC 9293, RFC 5961 and RFC 7323, as Linux
//! follows them.
//!
//! A checksum that is wrong means a segment that was damaged, or that somebody made for bystanders alone: its receiver drops it. Or it
//! means a capture made on the sending machine, whose network card was still to compute it, or one in which addresses were changed since.
//! So a wrong checksum is no more than a doubt, which [`Stream`](super::Stream) keeps until it is known what the receiver took.

use crate::decode::{Segment, Transport, tcp_flags};
use std::net::IpAddr;

/// Why a segment may not have been taken by its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its checksum does not fit.
    Checksum,
    /// It came with the SYN, which receivers take only from clients that they know (RFC 7413).
    WithSyn,
    /// It acknowledges what was never sent, or what was acknowledged long ago (RFC 5961 section 5).
    Acknowledgement,
    /// Its timestamp is older than that of what came before (RFC 7323 section 5).
    Old,
}

/// What a checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It fits.
    Right,
    /// It does not.
    Wrong,
    /// It is zero, or the sum of the addresses alone: what a sender hands to a network card that computes the rest.
    Unfinished,
    /// Not all of the segment was captured.
    Unknown,
}

/// Whether receivers drop a segment with these control bits, whatever it carries: behind the handshake every one acknowledges something
/// (RFC 9293 section 3.10.7.4, fifth).
#[must_use]
pub const fn is_dropped(flags: u8) -> bool {
    flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST) == 0
}

/// Whether receivers take what a segment with these control bits carries. What comes with a reset is no data, and a SYN that is also an end
/// is dropped.
#[must_use]
pub const fn carries_data(flags: u8) -> bool {
    !is_dropped(flags)
        && flags & tcp_flags::RST == 0
        && flags & (tcp_flags::SYN | tcp_flags::FIN) != tcp_flags::SYN | tcp_flags::FIN
}

/// Sum of a payload as [`checksum`] wants it; also tells nearly all payloads apart.
#[inline]
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut sum = blocks.iter().fold(0, |sum, block| add_words(sum, block.as_chunks().0));
    let (words, rest) = rest.as_chunks::<8>();
    sum = words.iter().fold(sum, |sum, word| add(sum, u64::from_ne_bytes(*word)));
    let (halves, rest) = rest.as_chunks::<4>();
    sum = halves.iter().fold(sum, |sum, half| add(sum, u32::from_ne_bytes(*half).into()));
    let (pairs, rest) = rest.as_chunks::<2>();
    sum = pairs.iter().fold(sum, |sum, pair| add(sum, u16::from_ne_bytes(*pair).into()));
    rest.iter().fold(sum, |sum, last| add(sum, u16::from_ne_bytes([*last, 0]).into()))
}

/// Adds eight words, each with the carry of the one before: one instruction for each.
#[inline(always)]
fn add_words(sum: u64, words: &[[u8; 8]]) -> u64 {
    let next = |(sum, carry): (u64, bool), word: &[u8; 8]| sum.carrying_add(u64::from_ne_bytes(*word), carry);
    let (sum, carry) = words.iter().fold((sum, false), next);
    add(sum, carry.into())
}

/// What the checksum of a TCP segment says, whose payload has this [`sum`].
#[must_use]
pub fn checksum(segment: &Segment<'_>, payload_sum: u64) -> Checksum {
    let header = segment.header;
    let (Some(fixed), true) = (header.first_chunk::<20>(), segment.payload.len() == segment.payload_len as usize)
    else {
        return Checksum::Unknown;
    };
    let [.., offset, _, _, _, high, low, _, _] = *fixed;
    if usize::from(offset >> 4) * 4 != header.len() {
        return Checksum::Unknown;
    }
    let five_tuple = &segment.five_tuple;
    let addresses = match (five_tuple.src, five_tuple.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => add(sum(&src.octets()), sum(&dst.octets())),
        (IpAddr::V6(src), IpAddr::V6(dst)) => add(sum(&src.octets()), sum(&dst.octets())),
        _ => return Checksum::Unknown,
    };
    let length = u32::try_from(header.len()).unwrap_or(0).wrapping_add(segment.payload_len);
    let addresses = add(addresses, sum(&[0, five_tuple.protocol]));
    let pseudo = add(addresses, sum(&length.to_be_bytes()));
    if fold(add(add(pseudo, sum(header)), payload_sum)) == u16::MAX {
        return Checksum::Right;
    }
    let field = u16::from_ne_bytes([high, low]);
    // With segmentation by the card, Windows leaves the length out.
    if field == 0 || field == fold(pseudo) || field == fold(addresses) {
        return Checksum::Unfinished;
    }
    Checksum::Wrong
}

/// Value and echo of a segment's timestamps (RFC 7323 section 3.2).
#[must_use]
pub fn timestamps(header: &[u8]) -> Option<(u32, u32)> {
    let mut options = header.get(20..)?;
    loop {
        options = match options {
            [8, 10, rest @ ..] => {
                let [a, b, c, d, e, f, g, h] = *rest.first_chunk::<8>()?;
                return Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
            }
            // The end, and the one option without a length.
            [0, ..] => return None,
            [1, rest @ ..] => rest,
            [_, length, ..] if *length >= 2 => options.get(usize::from(*length)..)?,
            _ => return None,
        };
    }
}

/// Where the byte stands that a segment calls urgent, counted from its first: Linux does not hand it to its reader with the others unless
/// that asks for it.
#[must_use]
pub fn urgent(segment: &Segment<'_>) -> Option<usize> {
    let Transport::Tcp { flags, .. } = segment.transport else { return None };
    if flags & tcp_flags::URG == 0 {
        return None;
    }
    let [.., high, low] = *segment.header.first_chunk::<20>()?;
    Some(usize::from(u16::from_be_bytes([high, low])).saturating_sub(1))
}

/// Adds as ones' complement (RFC 1071), in whatever byte order.
#[inline]
const fn add(one: u64, other: u64) -> u64 {
    let (sum, carry) = one.overflowing_add(other);
    // A sum that carried is less than the largest number, so this does not wrap.
    sum.wrapping_add(carry as u64)
}

/// The sixteen bits that a sum comes to.
#[allow(clippy::cast_possible_truncation)]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::capture::{Frame, LinkType, Timestamp};
    use crate::decode::{Dissected, dissect};
    use proptest::prelude::*;

    fn check(frame: &[u8]) -> (Checksum, Option<(u32, u32)>) {
        let wire_len = u32::try_from(frame.len()).unwrap();
        let frame = Frame { number: 1, at: Timestamp(0), link_type: LinkType::ETHERNET, wire_len, bytes: frame };
        let Dissected::Segment(segment) = dissect(&frame) else { panic!("no segment") };
        (checksum(&segment, sum(segment.payload)), timestamps(segment.header))
    }

    fn frame(is_v6: bool, payload: &[u8], options: &[etherparse::TcpOptionElement]) -> Vec<u8> {
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]);
        let builder =
            if is_v6 { builder.ipv6([1; 16], [0xff; 16], 64) } else { builder.ipv4([10, 0, 0, 1], [255; 4], 64) };
        let mut frame = Vec::new();
        builder.tcp(40_000, 443, 7, 1000).ack(9).options(options).unwrap().write(&mut frame, payload).unwrap();
        frame
    }

    proptest! {
        /// The sum is that of RFC 1071, sixteen bits at a time, also where every addition carries.
        #[test]
        fn sums_are_those_of_single_words(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff)], 0..400)) {
            let words = bytes.chunks(2).map(|pair| u32::from(u16::from_ne_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
            let expected = words.fold(0, |sum: u32, word| (sum + word) % 0x1_0000 + (sum + word) / 0x1_0000);
            prop_assert_eq!(u32::from(fold(sum(&bytes))), expected);
        }

        /// The checksums of another implementation are right, and no single change of a byte leaves them so.
        #[test]
        fn checksums_are_those_of_others(
            is_v6: bool,
            payload in prop::collection::vec(any::<u8>(), 1..200),
            at in any::<prop::sample::Index>(),
            change in 1_u8..,
        ) {
            let mut frame = frame(is_v6, &payload, &[]);
            prop_assert_eq!(check(&frame).0, Checksum::Right);
            let length = frame.len();
            frame[length - 1 - at.index(payload.len())] ^= change;
            prop_assert_ne!(check(&frame).0, Checksum::Right);
        }
    }

    #[test]
    fn what_a_network_card_would_finish_is_known() {
        for is_v6 in [false, true] {
            let good = frame(is_v6, b"hello", &[]);
            let tcp = good.len() - 25;
            let addresses = if is_v6 { &good[22..54] } else { &good[26..34] };
            let mut pseudo = addresses.to_vec();
            pseudo.extend([0, 6, 0, 25]);
            let partial = fold(sum(&pseudo)).to_ne_bytes();
            pseudo.truncate(pseudo.len() - 2);
            let large = fold(sum(&pseudo)).to_ne_bytes();
            for (field, expected) in [
                (partial, Checksum::Unfinished),
                (large, Checksum::Unfinished),
                ([0, 0], Checksum::Unfinished),
                ([0x12, 0x34], Checksum::Wrong),
            ] {
                let mut frame = good.clone();
                frame[tcp + 16..tcp + 18].copy_from_slice(&field);
                assert_eq!(check(&frame).0, expected, "{is_v6} {field:x?}");
            }
        }
    }

    #[test]
    fn timestamps_are_found_among_options() {
        use etherparse::TcpOptionElement::{MaximumSegmentSize, Noop, Timestamp};
        let options = [Noop, Noop, Timestamp(5, 9)];
        assert_eq!(check(&frame(false, b"x", &options)).1, Some((5, 9)));
        assert_eq!(check(&frame(false, b"x", &[MaximumSegmentSize(1460), Timestamp(5, 9)])).1, Some((5, 9)));
        assert_eq!(check(&frame(false, b"x", &[MaximumSegmentSize(1460)])).1, None);
    }

    #[test]
    fn receivers_want_an_acknowledgement_or_a_beginning() {
        use tcp_flags::{ACK, FIN, PSH, RST, SYN, URG};
        for (flags, expected) in [
            (ACK, true),
            (ACK | PSH | FIN | URG, true),
            (SYN, true),
            (0, false),
            (PSH, false),
            (FIN, false),
            (FIN | PSH | URG, false),
            (RST, false),
            (RST | ACK, false),
            (SYN | FIN, false),
            (SYN | RST, false),
        ] {
            assert_eq!(carries_data(flags), expected, "{flags:x}");
        }
    }
}
