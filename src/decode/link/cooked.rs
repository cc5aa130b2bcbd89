//! Headers that an operating system makes up in place of those of the link.

use super::super::{Context, Layer, MacAddress, Outcome};
use super::ethernet::llc;
use super::wireless::{ieee802_11, older_radio, radiotap};
use super::{Behind, be16, mac_at};

/// The address family in front of raw IP, and what a header of `length` bytes says beyond it.
pub(super) fn loopback<'a>(bytes: &'a [u8], length: usize, context: &Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let family = bytes.first_chunk::<4>().ok_or(short)?;
    // AF_INET is 2 everywhere; AF_INET6 is 10, 24, 28 or 30; the writer's byte order is anyone's guess.
    match u32::from_le_bytes(*family).min(u32::from_be_bytes(*family)) {
        2 | 10 | 24 | 28 | 30 => Ok(Layer::Ip(bytes.get(length..).ok_or(short)?)),
        _ => Err(Outcome::NotIp),
    }
}

/// Solaris's view of IP between zones: a version, the family, and who talks to whom.
pub(super) fn ipnet<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    match bytes {
        [1, 2 | 26, ..] => Ok(Layer::Ip(bytes.get(24..).ok_or(short)?)),
        [_, _, ..] => Err(Outcome::NotIp),
        _ => Err(short),
    }
}

/// Linux cooked capture, first version.
pub(super) fn linux_v1<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    source_only(bytes, 6, bytes.get(5), context);
    let (protocol, hardware) = (be16(bytes, 14).ok_or(short)?, be16(bytes, 2).ok_or(short)?);
    cooked(protocol, hardware, bytes.get(16..).ok_or(short)?, context)
}

/// Linux cooked capture, second version.
pub(super) fn linux_v2<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    source_only(bytes, 12, bytes.get(11), context);
    let (protocol, hardware) = (be16(bytes, 0).ok_or(short)?, be16(bytes, 8).ok_or(short)?);
    cooked(protocol, hardware, bytes.get(20..).ok_or(short)?, context)
}

/// What the protocol field means depends on the hardware type (`ARPHRD_`). For most it is an EtherType, or one of Linux's own
/// numbers below 1536, of which 4 is LLC.
fn cooked<'a>(protocol: u16, hardware: u16, rest: &'a [u8], context: &mut Context) -> Behind<'a> {
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
        && let Some(mac) = mac_at(bytes, at)
    {
        context.macs = Some((mac, MacAddress([0; 6])));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::super::Outcome;
    use super::super::super::sample::*;
    use crate::capture::LinkType;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    fn raw(parts: &[&[u8]], link_type: LinkType) {
        let bytes = glue(&[&glue(parts), &tcp4()]);
        check(link_type, &bytes, TCP4);
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
        raw(&[&[0, 0, 0, 2], &[9; 8]], LinkType::ENC);
        raw(&[&[1, 2, 0, 0], &[0; 20]], LinkType::IPNET);
        raw(&[&[0; 16]], LinkType::SLIP);
        assert_eq!(outcome(LinkType::IPNET, &[2; 60]), Outcome::NotIp);
    }
}
