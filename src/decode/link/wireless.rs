//! IEEE 802.11, and the radio headers in front of it.

use super::super::{Context, Outcome};
use super::ethernet::llc;
use super::{Behind, be16, behind, mac_at};
use crate::capture::LinkType;

/// 802.11 behind a radiotap header (<https://www.radiotap.org>), of which only the flags matter: some hardware pads the
/// 802.11 header to a multiple of four bytes, and says so there.
pub(super) fn radiotap<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let le16 = |at: usize| be16(bytes, at).map(u16::swap_bytes);
    let length = usize::from(le16(2).ok_or(short)?);
    let present = le16(4).ok_or(short)?;
    let flags = if present & 2 != 0 {
        // Bit 31 of each word of presence bits says that another follows; the time, if there, is aligned to eight bytes.
        let mut at = 8;
        while bytes.get(at - 1).ok_or(short)? & 0x80 != 0 {
            at += 4;
        }
        let at = if present & 1 != 0 { at.next_multiple_of(8) + 8 } else { at };
        bytes.get(at).copied().ok_or(short)?
    } else {
        0
    };
    ieee802_11(bytes.get(length..).ok_or(short)?, flags & 0x20 != 0, context)
}

/// 802.11 behind a Prism or AVS header; either says its length in the second word, Prism in the byte order of its writer. Files
/// that are said to have one may have the other.
pub(super) fn older_radio<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let word = bytes.get(4..).and_then(<[u8]>::first_chunk::<4>).ok_or(short)?;
    let length = usize::try_from(u32::from_be_bytes(*word).min(u32::from_le_bytes(*word))).unwrap_or(usize::MAX);
    ieee802_11(bytes.get(length..).ok_or(short)?, false, context)
}

/// A frame of any link type behind fields about its reception (PPI, version 0); little endian.
pub(super) fn per_packet_information<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let [0, _, l0, l1, t0, t1, 0, 0, ..] = *bytes else {
        return Err(if bytes.len() < 8 { short } else { Outcome::UnsupportedLinkType });
    };
    let rest = bytes.get(usize::from(u16::from_le_bytes([l0, l1]))..).ok_or(short)?;
    behind(LinkType(u16::from_le_bytes([t0, t1])), rest, context)
}

/// Data frames of IEEE 802.11 that carry LLC in the clear. Of several frames in one (A-MSDU), the first.
pub(super) fn ieee802_11<'a>(bytes: &'a [u8], padded: bool, context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let (control, flags) = match bytes {
        [control, flags, ..] => (*control, *flags),
        _ => return Err(short),
    };
    // Type 2 is data; bit 6 of the subtype means that there is none.
    if control & 0x0c != 0x08 || control & 0x40 != 0 {
        return Err(Outcome::NotIp);
    }
    if flags & 0x40 != 0 {
        return Err(Outcome::Encrypted);
    }
    let address = |at: usize| mac_at(bytes, at);
    let (to_ds, from_ds) = (flags & 1 != 0, flags & 2 != 0);
    // The low four bits of the sequence control number the fragments (IEEE 802.11 clause 9.2.4.4); only the first has an LLC
    // header, and nobody puts them together here.
    if bytes.get(22).is_some_and(|sequence| sequence & 0x0f != 0) {
        return Err(Outcome::UnsupportedLinkType);
    }
    context.cut |= flags & 0x04 != 0;
    let mut header: usize = 24;
    let mut several = false;
    let (mut dst, mut src) = match (to_ds, from_ds) {
        (false, false) => (address(4), address(10)),
        (false, true) => (address(4), address(16)),
        (true, false) => (address(16), address(10)),
        (true, true) => {
            header += 6;
            (address(16), address(24))
        }
    };
    if control & 0x80 != 0 {
        // QoS control; bit 7 says that several frames share this one.
        several = bytes.get(header).is_some_and(|qos| qos & 0x80 != 0);
        header += 2;
        if flags & 0x80 != 0 {
            header += 4;
        }
    }
    if padded {
        header = header.next_multiple_of(4);
    }
    let mut length = bytes.len();
    if several {
        // Each has its own addresses and length before LLC.
        (dst, src) = (address(header), address(header + 6));
        length = usize::from(be16(bytes, header + 12).ok_or(short)?);
        header += 14;
    }
    context.macs = src.zip(dst);
    let body = bytes.get(header..).ok_or(short)?;
    llc(body.get(..length).unwrap_or(body), context)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::super::sample::{ethernet, *};
    use super::*;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    fn raw(parts: &[&[u8]], link_type: LinkType) {
        let bytes = glue(&[&glue(parts), &tcp4()]);
        check(link_type, &bytes, TCP4);
    }

    #[test]
    fn wireless_data_frames() {
        let (a, b, c, d) = ([2, 0, 0, 0, 0, 0xa], [2, 0, 0, 0, 0, 0xb], [2, 0, 0, 0, 0, 0xc], [2, 0, 0, 0, 0, 0xd]);
        let header = |control: [u8; 2], rest: &[u8]| glue(&[&control, &[0, 0], &a, &b, &c, &[0x10, 0], rest]);
        let body = glue(&[&SNAP, &tcp4()]);
        for (control, rest, src, dst) in [
            ([0x08, 0], &[][..], b, a),
            ([0x08, 1], &[], b, c),
            ([0x08, 2], &[], c, a),
            ([0x08, 3], &d, d, c),
            // Quality of service, with and without the HT control field.
            ([0x88, 2], &[0, 0], c, a),
            ([0x88, 0x82], &[0, 0, 9, 9, 9, 9], c, a),
        ] {
            let frame = glue(&[&header(control, rest), &body]);
            check(LinkType::IEEE802_11, &frame, TCP4);
            let (was_src, was_dst) = segment(LinkType::IEEE802_11, &frame).macs.unwrap();
            assert_eq!((was_src.0, was_dst.0), (src, dst), "{control:?}");
        }
        // Two frames in one: the first of them, with its own addresses.
        let length = (body.len() as u16).to_be_bytes();
        let several = glue(&[&header([0x88, 2], &[0x80, 0]), &d, &a, &length, &body, &[0; 20]]);
        assert_eq!(said(&segment(LinkType::IEEE802_11, &several)), TCP4);
        assert_eq!(segment(LinkType::IEEE802_11, &several).macs.unwrap().0.0, a);
        // Beacon, null data, protected, and a fragment that is not the first.
        let outcome_of = |control, sequence: u8| {
            let mut frame = glue(&[&header(control, &[]), &body]);
            frame[22] |= sequence;
            outcome(LinkType::IEEE802_11, &frame)
        };
        assert_eq!(outcome_of([0x80, 0], 0), Outcome::NotIp);
        assert_eq!(outcome_of([0x48, 0], 0), Outcome::NotIp);
        assert_eq!(outcome_of([0x08, 0x40], 0), Outcome::Encrypted);
        assert_eq!(outcome_of([0x08, 0], 1), Outcome::UnsupportedLinkType);
    }

    #[test]
    fn radiotap_says_whether_the_header_is_padded() {
        let wireless = [0x88, 2, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0];
        raw(&[&[0, 0, 8, 0, 0, 0, 0, 0], &wireless, &SNAP], LinkType::IEEE802_11_RADIOTAP);
        // Flags alone; behind a time; behind a time and two words of presence.
        raw(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0x20], &wireless, &[0, 0], &SNAP], LinkType::IEEE802_11_RADIOTAP);
        let time = [9; 8];
        raw(&[&[0, 0, 17, 0, 3, 0, 0, 0], &time, &[0x20], &wireless, &[0, 0], &SNAP], LinkType::IEEE802_11_RADIOTAP);
        raw(
            &[&[0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0], &time, &[0x20], &wireless, &[0, 0], &SNAP],
            LinkType::IEEE802_11_RADIOTAP,
        );
        raw(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0x10], &wireless, &SNAP], LinkType::IEEE802_11_RADIOTAP);
    }

    #[test]
    fn older_radio_headers_say_their_length() {
        let wireless = [0x08, 1, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0];
        let avs = glue(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], &[0; 56]]);
        for prism in
            [glue(&[&[0, 0, 0, 0x44, 0, 0, 0, 144], &[0; 136]]), glue(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136]])]
        {
            raw(&[&prism, &wireless, &SNAP], LinkType::PRISM);
            assert_eq!(outcome(LinkType::PRISM, &prism[..100]), Outcome::MalformedLink);
        }
        raw(&[&avs, &wireless, &SNAP], LinkType::PRISM);
        raw(&[&avs, &wireless, &SNAP], LinkType::IEEE802_11_AVS);
        let ppi = [0, 0, 16, 0, 105, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9];
        raw(&[&ppi, &wireless, &SNAP], LinkType::PPI);
        let ethernet = glue(&[&[0, 0, 8, 0, 1, 0, 0, 0], &ethernet(0x0800, &tcp4())]);
        check(LinkType::PPI, &ethernet, TCP4);
        assert_eq!(outcome(LinkType::PPI, &[0, 0, 8, 0, 147, 0, 0, 0, 1]), Outcome::UnsupportedLinkType);
        assert_eq!(outcome(LinkType::PPI, &ppi[..7]), Outcome::MalformedLink);
    }
}
