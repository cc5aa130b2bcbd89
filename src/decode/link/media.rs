//! Links other than Ethernet, and Ethernet with something in front of it or in it that the medium or the tap adds.

use super::super::{Context, Layer, MacAddress, Outcome};
use super::ethernet::{by_type_or_length, llc, tagged};
use super::{Behind, be16, mac_at};
use crate::capture::LinkType;

/// The links that have no file of their own.
pub(super) fn media<'a>(link_type: LinkType, bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let skip = |count: usize| bytes.get(count..).ok_or(short);
    match link_type {
        LinkType::FDDI => fddi(bytes, context),
        LinkType::TOKEN_RING => token_ring(bytes, context),
        // RFC 2625: two addresses of eight bytes, of which the last six are like those of Ethernet.
        LinkType::IP_OVER_FC => {
            context.macs = mac_at(bytes, 10).zip(mac_at(bytes, 2));
            llc(skip(16)?, context)
        }
        // RFC 4391 behind the 40 bytes of a global routing header.
        LinkType::IP_OVER_INFINIBAND => Ok(Layer::EtherType(be16(bytes, 40).ok_or(short)?, skip(44)?)),
        // RFC 2734, with two addresses of eight bytes.
        LinkType::APPLE_IEEE1394 => Ok(Layer::EtherType(be16(bytes, 16).ok_or(short)?, skip(18)?)),
        LinkType::DOCSIS => docsis(bytes, context),
        // What is left of the preamble (IEEE 802.3 clause 65.1.3.2).
        LinkType::EPON => Ok(Layer::Ethernet(skip(6)?)),
        LinkType::ETHERNET_MPACKET => mpacket(bytes, context),
        LinkType::NETANALYZER => Ok(Layer::Ethernet(skip(4)?)),
        // With preamble and start-of-frame delimiter.
        LinkType::NETANALYZER_TRANSPARENT => Ok(Layer::Ethernet(skip(12)?)),
        LinkType::DSA_BROADCOM => switch_chip(bytes, 4, None, context),
        LinkType::DSA_BROADCOM_PREPENDED => Ok(Layer::Ethernet(skip(4)?)),
        LinkType::DSA_MARVELL => switch_chip(bytes, 4, Some(12), context),
        // An EtherType and two bytes in front of the tag.
        LinkType::DSA_MARVELL_ETHERTYPE => switch_chip(bytes, 8, Some(16), context),
        _ => Err(Outcome::UnsupportedLinkType),
    }
}

/// FDDI (RFC 1390): frame control, and addresses with the bits of each byte in the order of the wire.
fn fddi<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    // Frames of LLC, in either class of service.
    if bytes.first().ok_or(short)? & 0x70 != 0x50 {
        return Err(Outcome::NotIp);
    }
    let turned = |at: usize| mac_at(bytes, at).map(|mac| MacAddress(mac.0.map(u8::reverse_bits)));
    context.macs = turned(7).zip(turned(1));
    llc(bytes.get(13..).ok_or(short)?, context)
}

/// IEEE 802.5: access and frame control, addresses, and perhaps the route through bridges.
fn token_ring<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let [_, control, ..] = *bytes else { return Err(short) };
    if control & 0xc0 != 0x40 {
        return Err(Outcome::NotIp);
    }
    let MacAddress([first, src @ ..]) = mac_at(bytes, 8).ok_or(short)?;
    let [b, c, d, e, f] = src;
    context.macs = Some(MacAddress([first & 0x7f, b, c, d, e, f])).zip(mac_at(bytes, 2));
    // The first bit of the source says that a route follows, whose length is in its first byte.
    let route = if first & 0x80 != 0 { usize::from(bytes.get(14).ok_or(short)? & 0x1f) } else { 0 };
    llc(bytes.get(14 + route..).ok_or(short)?, context)
}

/// DOCSIS (CM-SP-MULPI section 6.2): a packet with or without an extended header, which may say that it is encrypted.
fn docsis<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let [control, parameter, ..] = *bytes else { return Err(short) };
    // Other types are ATM, isolated packets, and management.
    if control & 0xfe != 0 {
        return Err(Outcome::NotIp);
    }
    let extended = if control & 1 != 0 { usize::from(parameter) } else { 0 };
    // Elements of baseline privacy, upstream and downstream (types 3 and 4), of which a bit says whether it is on.
    if extended > 2
        && let Some([kind, _, on, ..]) = bytes.get(4..)
        && matches!(kind >> 4, 3 | 4)
        && on & 0x80 != 0
    {
        return Err(Outcome::Encrypted);
    }
    Ok(Layer::Ethernet(bytes.get(6 + extended..).ok_or(short)?))
}

/// IEEE 802.3br: a whole frame, or the first part of one that was interrupted, behind the preamble.
fn mpacket<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    match bytes {
        // Parts that go on: what follows is their number.
        [_, _, _, _, _, _, 0x61 | 0x52 | 0x9e | 0x2a, _, ..] => Err(Outcome::UnsupportedLinkType),
        [_, _, _, _, _, _, _, 0xd5, frame @ ..] => Ok(Layer::Ethernet(frame)),
        [_, _, _, _, _, _, _, 0xe6 | 0x4c | 0x7f | 0xb3, frame @ ..] => {
            context.cut = true;
            Ok(Layer::Ethernet(frame))
        }
        [_, _, _, _, _, _, _, _, ..] => Err(Outcome::UnsupportedLinkType),
        _ => Err(short),
    }
}

/// Ethernet with the tag of a switch chip between the addresses and the EtherType. Marvell's tag, at `vlan_at`, takes the place of
/// that of a VLAN and holds its number.
fn switch_chip<'a>(bytes: &'a [u8], tag: usize, vlan_at: Option<usize>, context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    context.macs = mac_at(bytes, 6).zip(mac_at(bytes, 0));
    let kind = be16(bytes, 12 + tag).ok_or(short)?;
    if let Some(at) = vlan_at
        && bytes.get(at).is_some_and(|first| first & 0x20 != 0)
    {
        tagged(be16(bytes, at + 2).ok_or(short)? & 0x0fff, context);
    }
    by_type_or_length(kind, bytes.get(14 + tag..).ok_or(short)?, context)
}

/// A frame in the Tazmen sniffer protocol, which access points and routers mirror with, and its link type. `None` when it is none,
/// or of a kind that carries no IP.
pub(in crate::decode) fn tazmen(bytes: &[u8]) -> Option<(LinkType, &[u8])> {
    let ([version, kind, high, low], mut rest) = bytes.split_first_chunk::<4>()?;
    // Received or for transmission; others are about the connection itself.
    if *version != 1 || *kind > 1 {
        return None;
    }
    // Tagged fields: one byte of padding or the end, others with a length. Each takes a byte at least, so this ends.
    loop {
        match rest {
            [0, after @ ..] => rest = after,
            [1, frame @ ..] => {
                let link_type = match u16::from_be_bytes([*high, *low]) {
                    1 => LinkType::ETHERNET,
                    18 => LinkType::IEEE802_11,
                    119 => LinkType::PRISM,
                    127 => LinkType::IEEE802_11_AVS,
                    _ => return None,
                };
                return Some((link_type, frame));
            }
            [_, length, after @ ..] => rest = after.get(usize::from(*length)..)?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::super::sample::*;
    use super::*;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    const DST: [u8; 6] = [2, 0, 0, 0, 0, 2];
    const SRC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    /// Checks a frame whose headers come before an IPv4 packet, and gives its source and destination.
    fn addressed(link_type: LinkType, parts: &[&[u8]]) -> ([u8; 6], [u8; 6]) {
        let frame = glue(&[&glue(parts), &tcp4()]);
        check(link_type, &frame, TCP4);
        let (src, dst) = segment(link_type, &frame).macs.unwrap();
        (src.0, dst.0)
    }

    #[test]
    fn rings_and_fibres_carry_llc() {
        let turned = |mac: [u8; 6]| mac.map(u8::reverse_bits);
        let fddi = [&[0x50][..], &turned(DST), &turned(SRC), &SNAP];
        assert_eq!(addressed(LinkType::FDDI, &fddi), (SRC, DST));
        assert_eq!(outcome(LinkType::FDDI, &[0xc2; 40]), Outcome::NotIp);
        assert_eq!(addressed(LinkType::TOKEN_RING, &[&[0x10, 0x40], &DST, &SRC, &SNAP]), (SRC, DST));
        let routed = [&[0x10, 0x40][..], &DST, &[0x82, 0, 0, 0, 0, 1], &[0x06, 0x10, 0, 0x11, 0, 0x20], &SNAP];
        assert_eq!(addressed(LinkType::TOKEN_RING, &routed), (SRC, DST));
        assert_eq!(outcome(LinkType::TOKEN_RING, &[0x10; 20]), Outcome::NotIp);
        let fibre = [&[0x10, 0][..], &DST, &[0x10, 0], &SRC, &SNAP];
        assert_eq!(addressed(LinkType::IP_OVER_FC, &fibre), (SRC, DST));
    }

    #[test]
    fn an_ether_type_behind_long_addresses() {
        check(LinkType::IP_OVER_INFINIBAND, &glue(&[&[9; 40], &[8, 0, 0, 0], &tcp4()]), TCP4);
        check(LinkType::APPLE_IEEE1394, &glue(&[&[9; 16], &[0x86, 0xdd], &tcp6()]), TCP6);
    }

    #[test]
    fn ethernet_with_something_in_front() {
        let frame = ethernet(0x0800, &tcp4());
        for (link_type, front) in [
            (LinkType::EPON, &[0x55, 0xd5, 0x55, 0x55, 0x80, 0][..]),
            (LinkType::ETHERNET_MPACKET, &[0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5]),
            (LinkType::NETANALYZER, &[0; 4]),
            (LinkType::NETANALYZER_TRANSPARENT, &[0x55; 12]),
            (LinkType::DSA_BROADCOM_PREPENDED, &[0; 4]),
            (LinkType::DOCSIS, &[0, 0, 0, 60, 9, 9]),
            (LinkType::DOCSIS, &[1, 4, 0, 60, 0x30, 0, 0, 0, 9, 9]),
        ] {
            check(link_type, &glue(&[front, &frame]), TCP4);
        }
        let secret = glue(&[&[1, 5, 0, 60, 0x44, 1, 0x80, 1, 0, 9, 9], &frame]);
        assert_eq!(outcome(LinkType::DOCSIS, &secret), Outcome::Encrypted);
        assert_eq!(outcome(LinkType::DOCSIS, &[0xc2, 0, 0, 9, 9, 9]), Outcome::NotIp);
        // The first part of an interrupted frame, and a later one.
        let first = glue(&[&[0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xe6], &frame[..54]]);
        assert!(said(&segment(LinkType::ETHERNET_MPACKET, &first)).starts_with("10.0.0.1:1234>10.0.0.2:80/6"));
        let later = glue(&[&[0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x61, 0xe6], &frame[54..]]);
        assert_eq!(outcome(LinkType::ETHERNET_MPACKET, &later), Outcome::UnsupportedLinkType);
    }

    #[test]
    fn tags_of_switch_chips() {
        for (link_type, tag) in [
            (LinkType::DSA_BROADCOM, &[0x20, 0, 0, 1][..]),
            (LinkType::DSA_MARVELL, &[0xc0, 8, 0, 0]),
            (LinkType::DSA_MARVELL_ETHERTYPE, &[0xda, 0xda, 0, 0, 0xc0, 8, 0, 0]),
        ] {
            assert_eq!(addressed(link_type, &[&DST, &SRC, tag, &[8, 0]]), (SRC, DST));
        }
        let tagged = glue(&[&DST, &SRC, &[0xe0, 8, 0x60, 5], &[8, 0], &tcp4()]);
        check(LinkType::DSA_MARVELL, &tagged, TCP4);
        assert_eq!(segment(LinkType::DSA_MARVELL, &tagged).zone.vlan, Some(5));
    }

    #[test]
    fn frames_of_the_tazmen_protocol_behind_their_fields() {
        let frame = ethernet(0x0800, &tcp4());
        check(LinkType::TZSP, &glue(&[&[1, 0, 0, 1, 1], &frame]), TCP4);
        check(LinkType::TZSP, &glue(&[&[1, 1, 0, 1, 0, 10, 1, 0xd0, 0x29, 2, 0, 9, 1], &frame]), TCP4);
        let wireless = [0x08, 1, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0];
        check(LinkType::TZSP, &glue(&[&[1, 0, 0, 18, 1], &wireless, &SNAP, &tcp4()]), TCP4);
        for other in [&[2, 0, 0, 1, 1][..], &[1, 4, 0, 1, 1], &[1, 0, 0, 7, 1], &[1, 0, 0, 1, 9, 200]] {
            assert_eq!(tazmen(&glue(&[other, &frame])), None, "{other:?}");
        }
    }
}
