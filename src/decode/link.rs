//! Link layers, and the tags and labels between a link header and IP.

use super::{Context, Layer, MacAddress, Next, Outcome, Step};
use crate::capture::LinkType;

/// EtherTypes (IEEE 802 numbers registry).
pub(super) mod ether_types {
    pub const IPV4: u16 = 0x0800;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const QINQ: u16 = 0x88a8;
    pub const QINQ_OLD: [u16; 3] = [0x9100, 0x9200, 0x9300];
    pub const MACSEC: u16 = 0x88e5;
    pub const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub const PPP: u16 = 0x880b;
    pub const ERSPAN_II: u16 = 0x88be;
    pub const ERSPAN_III: u16 = 0x22eb;
    pub const CISCO_METADATA: u16 = 0x8909;
    pub const NSH: u16 = 0x894f;
    pub const HSR: u16 = 0x892f;
}
use ether_types as kinds;

/// The first header of a frame, by the capture's link type (<https://www.tcpdump.org/linktypes.html>).
pub(super) fn first<'a>(link_type: LinkType, bytes: &'a [u8], context: &mut Context) -> Result<Layer<'a>, Outcome> {
    let short = context.short(Outcome::MalformedLink);
    let skip = |count: usize| bytes.get(count..).ok_or(short);
    let be16 = |at: usize| be16(bytes, at).ok_or(short);
    match link_type {
        LinkType::ETHERNET => Ok(Layer::Ethernet(bytes)),
        // 12 and 14 are what some systems call raw IP in files, too.
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(12 | 14) => Ok(Layer::Ip(bytes)),
        LinkType::NULL | LinkType::LOOP => {
            let family = bytes.first_chunk::<4>().ok_or(short)?;
            // AF_INET is 2 everywhere; AF_INET6 is 10, 24, 28 or 30; the writer's byte order is anyone's guess.
            match u32::from_le_bytes(*family).min(u32::from_be_bytes(*family)) {
                2 | 10 | 24 | 28 | 30 => Ok(Layer::Ip(skip(4)?)),
                _ => Err(Outcome::NotIp),
            }
        }
        LinkType::LINUX_SLL => {
            source_only(bytes, 6, bytes.get(5), context);
            cooked(be16(14)?, be16(2)?, skip(16)?, context)
        }
        LinkType::LINUX_SLL2 => {
            source_only(bytes, 12, bytes.get(11), context);
            cooked(be16(0)?, be16(8)?, skip(20)?, context)
        }
        LinkType::PPP | LinkType::PPP_HDLC | LinkType::PPP_PPPD => match bytes {
            // The daemon on Linux has the direction in place of the address.
            [0x00 | 0x01, 0x03, rest @ ..] if link_type == LinkType::PPP_PPPD => Ok(Layer::Ppp(rest)),
            [0xff, 0x03, rest @ ..] => Ok(Layer::Ppp(rest)),
            // PPP in HDLC framing may also be Cisco HDLC: unicast or multicast address, control zero.
            [0x0f | 0x8f, 0x00, ..] => Ok(Layer::EtherType(be16(2)?, skip(4)?)),
            _ => Ok(Layer::Ppp(bytes)),
        },
        LinkType::C_HDLC => Ok(Layer::EtherType(be16(2)?, skip(4)?)),
        LinkType::IEEE802_11 => ieee802_11(bytes, false, context),
        LinkType::IEEE802_11_RADIOTAP => radiotap(bytes, context),
        LinkType::PRISM | LinkType::IEEE802_11_AVS => older_radio(bytes, context),
        LinkType::PPI => per_packet_information(bytes, context),
        LinkType::PPPOE => pppoe(bytes, context),
        LinkType::PPP_WITH_DIRECTION => Ok(Layer::Ppp(skip(1)?)),
        _ => Err(Outcome::UnsupportedLinkType),
    }
}

/// Linux cooked capture: what the protocol field means depends on the hardware type (`ARPHRD_`). For most it is an EtherType,
/// or one of Linux's own numbers below 1536, of which 4 is LLC.
fn cooked<'a>(protocol: u16, hardware: u16, rest: &'a [u8], context: &mut Context) -> Result<Layer<'a>, Outcome> {
    match hardware {
        // Netlink: the protocol is a netlink family.
        824 => Err(Outcome::NotIp),
        801 => ieee802_11(rest, false, context),
        802 => older_radio(rest, context),
        803 => radiotap(rest, context),
        _ if protocol == 0x0004 => llc(rest, context),
        _ => Ok(Layer::EtherType(protocol, rest)),
    }
}

/// Cooked captures keep the sender's address only.
fn source_only(bytes: &[u8], at: usize, length: Option<&u8>, context: &mut Context) {
    if length == Some(&6)
        && let Some(mac) = bytes.get(at..).and_then(<[u8]>::first_chunk::<6>)
    {
        context.macs = Some((MacAddress(*mac), MacAddress([0; 6])));
    }
}

/// Ethernet II or IEEE 802.3.
pub(super) fn ethernet<'a>(bytes: &'a [u8], context: &mut Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let (dst, rest) = bytes.split_first_chunk::<6>().ok_or(short)?;
    let (src, rest) = rest.split_first_chunk::<6>().ok_or(short)?;
    let (kind, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
    context.macs = Some((MacAddress(*src), MacAddress(*dst)));
    context.tags = 0;
    by_type_or_length(u16::from_be_bytes(*kind), rest, context).map(Next::Layer)
}

/// A number below 1536 is the length of an LLC frame (IEEE 802.3 clause 3.2.6).
fn by_type_or_length<'a>(kind: u16, rest: &'a [u8], context: &Context) -> Result<Layer<'a>, Outcome> {
    if kind < 0x0600 { llc(rest.get(..kind.into()).unwrap_or(rest), context) } else { Ok(Layer::EtherType(kind, rest)) }
}

/// LLC with SNAP (RFC 1042), or the IP service access point.
fn llc<'a>(bytes: &'a [u8], context: &Context) -> Result<Layer<'a>, Outcome> {
    match bytes {
        // Under other organisations' numbers than these two (the second is IEEE 802.1H's) the protocol is no EtherType.
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low, rest @ ..] => {
            Ok(Layer::EtherType(u16::from_be_bytes([*high, *low]), rest))
        }
        [0x06, 0x06, 0x03, rest @ ..] => Ok(Layer::EtherType(kinds::IPV4, rest)),
        _ if context.cut && (bytes.len() < 3 || bytes.len() < 8 && bytes.starts_with(&[0xaa, 0xaa, 0x03])) => {
            Err(Outcome::Truncated)
        }
        _ => Err(Outcome::NotIp),
    }
}

/// What follows a two-byte protocol number of the EtherType registry.
pub(super) fn ether_type<'a>(kind: u16, bytes: &'a [u8], context: &mut Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    match kind {
        kinds::IPV4 | kinds::IPV6 => Ok(Next::Layer(Layer::Ip(bytes))),
        _ if kind == kinds::VLAN || kind == kinds::QINQ || kinds::QINQ_OLD.contains(&kind) => {
            let (tag, rest) = bytes.split_first_chunk::<2>().ok_or(short)?;
            let (kind, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
            tagged(u16::from_be_bytes(*tag) & 0x0fff, context);
            by_type_or_length(u16::from_be_bytes(*kind), rest, context).map(Next::Layer)
        }
        kinds::MPLS | kinds::MPLS_UPSTREAM => mpls(bytes, context),
        kinds::PPPOE_SESSION => pppoe(bytes, context).map(Next::Layer),
        kinds::MACSEC => macsec(bytes, context),
        kinds::TRANSPARENT_ETHERNET => Ok(Next::Layer(Layer::Ethernet(bytes))),
        kinds::PPP => Ok(Next::Layer(Layer::Ppp(bytes))),
        kinds::CISCO_METADATA => {
            // Version, length in units of eight bytes, options, then the EtherType that was pushed out.
            let length = 8 * usize::from(bytes.get(1).copied().ok_or(short)?).max(1);
            let kind = be16(bytes, length - 2).ok_or(short)?;
            Ok(Next::Layer(Layer::EtherType(kind, bytes.get(length..).ok_or(short)?)))
        }
        kinds::HSR => {
            let kind = be16(bytes, 4).ok_or(short)?;
            by_type_or_length(kind, bytes.get(6..).ok_or(short)?, context).map(Next::Layer)
        }
        kinds::NSH => nsh(bytes, context),
        _ => Err(Outcome::NotIp),
    }
}

/// Tags of one Ethernet header come outermost first; those of an inner one replace them.
fn tagged(tag: u16, context: &mut Context) {
    if context.tags == 0 {
        context.zone.vlan = None;
        context.zone.inner_vlan = None;
    }
    context.tags = context.tags.saturating_add(1);
    // Tag 0 carries a priority, not a VLAN.
    if tag == 0 {
        return;
    }
    if context.zone.vlan.is_none() {
        context.zone.vlan = Some(tag);
    } else if context.zone.inner_vlan.is_none() {
        context.zone.inner_vlan = Some(tag);
    }
}

/// A label stack (RFC 3032). What it carries is not said, so the first nibble decides, as routers do (RFC 4928).
pub(super) fn mpls<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let mut rest = bytes;
    for _ in 0..16 {
        let (entry, after) = rest.split_first_chunk::<4>().ok_or(short)?;
        rest = after;
        if entry[2] & 1 == 1 {
            let layer = match rest.first().ok_or(short)? >> 4 {
                // Unless that cannot be: a pseudowire without control word begins with an Ethernet address, and many begin so.
                4 | 6 if is_whole_ip(rest, context) || !is_ethernet(rest) => Layer::Ip(rest),
                // A pseudowire control word (RFC 4385), or the first bytes of an Ethernet address.
                0 if rest.first() == Some(&0) && !is_ethernet(rest) => Layer::Ethernet(rest.get(4..).ok_or(short)?),
                1 => return Err(Outcome::NotIp),
                _ => Layer::Ethernet(rest),
            };
            return Ok(Next::Layer(layer));
        }
    }
    Err(Outcome::NestedTooDeep)
}

/// Whether an Ethernet header with IP or a tag behind it can begin here.
pub(super) fn is_ethernet(bytes: &[u8]) -> bool {
    let Some(kind) = be16(bytes, 12) else { return false };
    match kind {
        kinds::IPV4 => bytes.get(14).is_some_and(|first| first >> 4 == 4),
        kinds::IPV6 => bytes.get(14).is_some_and(|first| first >> 4 == 6),
        kinds::VLAN | kinds::QINQ | kinds::MPLS | kinds::PPPOE_SESSION | 0x0806 => true,
        _ => false,
    }
}

/// Whether an IP header can begin here, by the length in it.
fn is_whole_ip(bytes: &[u8], context: &Context) -> bool {
    let promised = match bytes.first() {
        Some(0x45..=0x4f) => be16(bytes, 2).filter(|&total| total >= 20).map(usize::from),
        Some(0x60..=0x6f) => be16(bytes, 4).map(|length| 40 + usize::from(length)),
        _ => None,
    };
    promised.is_some_and(|promised| context.cut || promised <= bytes.len())
}

/// PPPoE session (RFC 2516).
fn pppoe<'a>(bytes: &'a [u8], context: &Context) -> Result<Layer<'a>, Outcome> {
    let short = context.short(Outcome::MalformedLink);
    match bytes {
        [0x11, 0x00, _, _, high, low, rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            Ok(Layer::Ppp(rest.get(..length).unwrap_or(rest)))
        }
        [_, _, _, _, _, _, ..] => Err(Outcome::NotIp),
        _ => Err(short),
    }
}

/// The protocol field of PPP (RFC 1661), one byte when compressed.
pub(super) fn ppp<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    let (protocol, rest) = match bytes {
        // A compressed protocol number, or all that the snap length left of the framing.
        [_] if context.cut => return Err(Outcome::Truncated),
        [first, rest @ ..] if first & 1 == 1 => (u16::from(*first), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(context.short(Outcome::MalformedLink)),
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Next::Layer(Layer::Ip(rest))),
        0x0281 => mpls(rest, context),
        // Bridging (RFC 3518 section 4.2): flags, of which one announces a LAN identifier; MAC type 1 is Ethernet.
        0x0031 => match rest {
            [flags, 1, ..] if flags & 0x40 == 0 => Ok(Next::Layer(Layer::Ethernet(rest.get(2..).unwrap_or(&[])))),
            [_, 1, _, _, _, _, frame @ ..] => Ok(Next::Layer(Layer::Ethernet(frame))),
            [] | [_] | [_, 1, ..] => Err(context.short(Outcome::MalformedLink)),
            _ => Err(Outcome::NotIp),
        },
        _ => Err(Outcome::NotIp),
    }
}

/// IEEE 802.1AE tag: with E and C clear the payload is in the clear, followed by a check value.
fn macsec<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let (tci, length) = match bytes {
        [tci, length, ..] => (*tci, usize::from(length & 0x3f)),
        _ => return Err(short),
    };
    if tci & 0x0c != 0 {
        return Err(Outcome::Encrypted);
    }
    let header = if tci & 0x20 != 0 { 14 } else { 6 };
    let kind = be16(bytes, header).ok_or(short)?;
    let rest = bytes.get(header + 2..).ok_or(short)?;
    // A short length counts the bytes before the check value, the EtherType among them.
    let rest = if length >= 2 { rest.get(..length - 2).unwrap_or(rest) } else { rest };
    by_type_or_length(kind, rest, context).map(Next::Layer)
}

/// Network service header (RFC 8300).
fn nsh<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let (length, protocol) = match bytes {
        [_, length, _, protocol, ..] => (4 * usize::from(length & 0x3f), *protocol),
        _ => return Err(short),
    };
    let rest = bytes.get(length.max(8)..).ok_or(short)?;
    match protocol {
        1 | 2 => Ok(Next::Layer(Layer::Ip(rest))),
        3 => Ok(Next::Layer(Layer::Ethernet(rest))),
        4 => Ok(Next::Layer(Layer::EtherType(kinds::NSH, rest))),
        5 => mpls(rest, context),
        _ => Err(Outcome::NotIp),
    }
}

/// 802.11 behind a radiotap header (<https://www.radiotap.org>), of which only the flags matter: some hardware pads the
/// 802.11 header to a multiple of four bytes, and says so there.
fn radiotap<'a>(bytes: &'a [u8], context: &mut Context) -> Result<Layer<'a>, Outcome> {
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
fn older_radio<'a>(bytes: &'a [u8], context: &mut Context) -> Result<Layer<'a>, Outcome> {
    let short = context.short(Outcome::MalformedLink);
    let word = bytes.get(4..).and_then(<[u8]>::first_chunk::<4>).ok_or(short)?;
    let length = usize::try_from(u32::from_be_bytes(*word).min(u32::from_le_bytes(*word))).unwrap_or(usize::MAX);
    ieee802_11(bytes.get(length..).ok_or(short)?, false, context)
}

/// A frame of any link type behind fields about its reception (PPI, version 0); little endian. Only 802.11 is common in it.
fn per_packet_information<'a>(bytes: &'a [u8], context: &mut Context) -> Result<Layer<'a>, Outcome> {
    let short = context.short(Outcome::MalformedLink);
    let [_, _, low, high, link, 0, 0, 0, ..] = *bytes else {
        return Err(if bytes.len() < 8 { short } else { Outcome::UnsupportedLinkType });
    };
    let rest = bytes.get(usize::from(u16::from_le_bytes([low, high]))..).ok_or(short)?;
    match LinkType(u16::from(link)) {
        LinkType::IEEE802_11 => ieee802_11(rest, false, context),
        LinkType::ETHERNET => Ok(Layer::Ethernet(rest)),
        _ => Err(Outcome::UnsupportedLinkType),
    }
}

/// Data frames of IEEE 802.11 that carry LLC in the clear. Of several frames in one (A-MSDU), the first.
fn ieee802_11<'a>(bytes: &'a [u8], padded: bool, context: &mut Context) -> Result<Layer<'a>, Outcome> {
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
    let address = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk::<6>).copied().map(MacAddress);
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

/// Two bytes at `at`, big endian.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::sample::{ethernet, *};
    use super::*;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    fn raw(parts: &[&[u8]], link_type: LinkType) {
        let bytes = glue(&[&glue(parts), &tcp4()]);
        check(link_type, &bytes, TCP4);
    }

    #[test]
    fn ethernet_with_either_ip_and_its_addresses() {
        check(LinkType::ETHERNET, &ethernet(0x0800, &tcp4()), TCP4);
        let frame = ethernet(0x86dd, &tcp6());
        check(LinkType::ETHERNET, &frame, TCP6);
        let (src, dst) = segment(LinkType::ETHERNET, &frame).macs.unwrap();
        assert_eq!((src.0, dst.0), ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]));
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(0x0806, &[0; 46])), Outcome::NotIp);
    }

    #[test]
    fn ieee_802_3_with_llc() {
        let body = glue(&[&SNAP, &tcp4()]);
        check(LinkType::ETHERNET, &ethernet(body.len() as u16, &body), TCP4);
        let bridged = glue(&[&[0xaa, 0xaa, 3, 0, 0, 0xf8, 8, 0], &tcp4()]);
        check(LinkType::ETHERNET, &ethernet(bridged.len() as u16, &bridged), TCP4);
        let sap = glue(&[&[6, 6, 3], &tcp4()]);
        check(LinkType::ETHERNET, &ethernet(sap.len() as u16, &sap), TCP4);
        // Cisco's number: 0x0800 would be a protocol of theirs.
        let cisco = glue(&[&[0xaa, 0xaa, 3, 0, 0, 0x0c, 8, 0], &tcp4()]);
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(cisco.len() as u16, &cisco)), Outcome::NotIp);
        // Spanning tree.
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(3, &[0x42, 0x42, 3])), Outcome::NotIp);
    }

    #[test]
    fn vlan_tags_name_the_zone() {
        let zone = |frame: &[u8]| {
            check(LinkType::ETHERNET, frame, TCP4);
            let zone = segment(LinkType::ETHERNET, frame).zone;
            (zone.vlan, zone.inner_vlan)
        };
        let single = tag(0x6005, 0x0800, &tcp4());
        assert_eq!(zone(&ethernet(0x8100, &single)), (Some(5), None), "priority bits are no part of the number");
        let double = tag(7, 0x8100, &single);
        for kind in [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300] {
            assert_eq!(zone(&ethernet(kind, &double)), (Some(7), Some(5)));
        }
        assert_eq!(zone(&ethernet(0x8100, &tag(9, 0x8100, &double))), (Some(9), Some(7)));
        assert_eq!(zone(&ethernet(0x8100, &tag(0x2000, 0x0800, &tcp4()))), (None, None), "tag 0 is a priority only");
        assert_eq!(zone(&ethernet(0x8100, &tag(0, 0x8100, &single))), (Some(5), None));
        let llc = glue(&[&SNAP, &tcp4()]);
        assert_eq!(zone(&ethernet(0x8100, &tag(5, llc.len() as u16, &llc))), (Some(5), None));
    }

    #[test]
    fn linux_cooked_v1_and_v2() {
        raw(&[&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0]], LinkType::LINUX_SLL);
        raw(&[&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]], LinkType::LINUX_SLL2);
        // A tag, LLC, and loopback, whose hardware type is 772.
        raw(&[&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 5, 8, 0]], LinkType::LINUX_SLL);
        raw(&[&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 4], &SNAP], LinkType::LINUX_SLL);
        let cooked = glue(&[&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &tcp4()]);
        assert_eq!(segment(LinkType::LINUX_SLL2, &cooked).macs.unwrap().0.0, [2, 0, 0, 0, 0, 1]);
        let netlink = glue(&[&[0, 4, 3, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], &tcp4()]);
        assert_eq!(outcome(LinkType::LINUX_SLL, &netlink), Outcome::NotIp);
    }

    #[test]
    fn raw_ip_and_loopback_in_either_byte_order() {
        for link_type in [12, 14, 101, 228] {
            raw(&[], LinkType(link_type));
        }
        check(LinkType::IPV6, &tcp6(), TCP6);
        for family in [2_u32, 10, 24, 28, 30] {
            raw(&[&family.to_le_bytes()], LinkType::NULL);
            raw(&[&family.to_be_bytes()], LinkType::NULL);
            raw(&[&family.to_be_bytes()], LinkType::LOOP);
        }
        assert_eq!(outcome(LinkType::NULL, &glue(&[&[7, 0, 0, 0], &tcp4()])), Outcome::NotIp);
        assert_eq!(outcome(LinkType(147), &tcp4()), Outcome::UnsupportedLinkType);
    }

    #[test]
    fn ppp_with_the_direction() {
        for direction in [0, 1] {
            raw(&[&[direction, 3, 0, 0x21]], LinkType::PPP_PPPD);
            raw(&[&[direction, 0xff, 3, 0, 0x21]], LinkType::PPP_WITH_DIRECTION);
        }
        raw(&[&[0xff, 3, 0, 0x21]], LinkType::PPP_PPPD);
    }

    #[test]
    fn ppp_and_hdlc() {
        for link_type in [LinkType::PPP, LinkType::PPP_HDLC] {
            raw(&[&[0xff, 3, 0, 0x21]], link_type);
            raw(&[&[0xff, 3, 0x21]], link_type);
            raw(&[&[0, 0x21]], link_type);
            raw(&[&[0x0f, 0, 8, 0]], link_type);
        }
        raw(&[&[0x8f, 0, 8, 0]], LinkType::C_HDLC);
        raw(&[&[0x02, 0x81], &[0, 0x01, 0x41, 0x40]], LinkType::PPP);
        // Bridged Ethernet (RFC 3518), without and with a LAN identifier.
        let ethernet = ethernet(0x0800, &tcp4());
        check(LinkType::PPP, &glue(&[&[0, 0x31, 0, 1], &ethernet]), TCP4);
        check(LinkType::PPP, &glue(&[&[0, 0x31, 0x40, 1, 0, 0, 0, 9], &ethernet]), TCP4);
        assert_eq!(outcome(LinkType::PPP, &[0xc0, 0x21, 1, 1, 0, 4]), Outcome::NotIp);
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

    #[test]
    fn mpls_is_read_by_its_first_nibble() {
        let label = |bottom: u8| [0, 1, 0x40 | bottom, 64];
        let over = |body: &[u8]| ethernet(0x8847, &glue(&[&label(0), &label(1), body]));
        check(LinkType::ETHERNET, &over(&tcp4()), TCP4);
        check(LinkType::ETHERNET, &over(&tcp6()), TCP6);
        // A pseudowire with a control word, without, and without where the address looks like IPv4.
        let inner = ethernet(0x0800, &tcp4());
        check(LinkType::ETHERNET, &over(&glue(&[&[0; 4], &inner])), TCP4);
        assert_eq!(said(&segment(LinkType::ETHERNET, &over(&inner))), TCP4);
        let mut address = inner;
        address[..2].copy_from_slice(&[0x48, 0x5b]);
        assert_eq!(said(&segment(LinkType::ETHERNET, &over(&address))), TCP4);
        // An associated channel carries no user's packet.
        assert_eq!(outcome(LinkType::ETHERNET, &over(&[0x10, 0, 0, 0x21])), Outcome::NotIp);
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(0x8847, &[0; 80])), Outcome::NestedTooDeep);
    }

    #[test]
    fn pppoe_drops_padding_and_knows_sessions_only() {
        let body = tcp4();
        let length = ((body.len() + 2) as u16).to_be_bytes();
        let session = glue(&[&[0x11, 0, 0, 9], &length, &[0, 0x21], &body]);
        check(LinkType::ETHERNET, &ethernet(0x8864, &session), TCP4);
        check(LinkType::PPPOE, &session, TCP4);
        let discovery = ethernet(0x8864, &glue(&[&[0x11, 9, 0, 0], &[0; 8]]));
        assert_eq!(outcome(LinkType::ETHERNET, &discovery), Outcome::NotIp);
    }

    #[test]
    fn macsec_is_read_when_it_is_in_the_clear() {
        let packet = tcp4();
        let icv = [7; 16];
        for (control, channel) in [(0, &[][..]), (0x20, &[1; 8])] {
            let tagged = glue(&[&[control, 0, 0, 0, 0, 1], channel, &[8, 0], &packet]);
            check(LinkType::ETHERNET, &ethernet(0x88e5, &tagged), TCP4);
            assert_eq!(said(&segment(LinkType::ETHERNET, &ethernet(0x88e5, &glue(&[&tagged, &icv])))), TCP4);
        }
        let secret = glue(&[&[0x2c, 0, 0, 0, 0, 1], &[1; 8], &[0x99; 60]]);
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(0x88e5, &secret)), Outcome::Encrypted);
    }

    #[test]
    fn tags_of_switches_and_service_chains() {
        check(LinkType::ETHERNET, &ethernet(0x8909, &glue(&[&[1, 1, 0, 1, 0, 9, 8, 0], &tcp4()])), TCP4);
        check(LinkType::ETHERNET, &ethernet(0x892f, &glue(&[&[0, 52, 0, 1, 8, 0], &tcp4()])), TCP4);
        check(LinkType::ETHERNET, &ethernet(0x894f, &glue(&[&[0, 2, 2, 1, 0, 0, 1, 255], &tcp4()])), TCP4);
        let inner = ethernet(0x0800, &tcp4());
        check(LinkType::ETHERNET, &ethernet(0x894f, &glue(&[&[0, 3, 2, 3, 0, 0, 1, 255, 0, 0, 0, 0], &inner])), TCP4);
    }
}
