//! The point-to-point protocol, in whatever frames.

use super::super::{Context, Layer, Next, Outcome, Step};
use super::{Behind, be16, mpls};
use crate::capture::LinkType;

/// PPP with or without the address and control bytes of HDLC (RFC 1662).
pub(super) fn in_hdlc<'a>(link_type: LinkType, bytes: &'a [u8], context: &Context) -> Behind<'a> {
    match bytes {
        // The daemon on Linux has the direction in place of the address.
        [0x00 | 0x01, 0x03, rest @ ..] if link_type == LinkType::PPP_PPPD => Ok(Layer::Ppp(rest)),
        [0xff, 0x03, rest @ ..] => Ok(Layer::Ppp(rest)),
        // PPP in HDLC framing may also be Cisco HDLC: unicast or multicast address, control zero.
        [0x0f | 0x8f, 0x00, ..] => cisco_hdlc(bytes, context),
        _ => Ok(Layer::Ppp(bytes)),
    }
}

/// Cisco HDLC: an address, a control byte, an EtherType.
pub(super) fn cisco_hdlc<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    Ok(Layer::EtherType(be16(bytes, 2).ok_or(short)?, bytes.get(4..).ok_or(short)?))
}

/// PPPoE session (RFC 2516).
pub(super) fn pppoe<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
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
pub(in crate::decode) fn ppp<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::super::sample::{ethernet, *};
    use super::*;

    fn raw(parts: &[&[u8]], link_type: LinkType) {
        let bytes = glue(&[&glue(parts), &tcp4()]);
        check(link_type, &bytes, TCP4);
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
        raw(&[&[0, 0x8f, 0, 8, 0]], LinkType::C_HDLC_WITH_DIRECTION);
        raw(&[&[0x02, 0x81], &[0, 0x01, 0x41, 0x40]], LinkType::PPP);
        // Bridged Ethernet (RFC 3518), without and with a LAN identifier.
        let ethernet = ethernet(0x0800, &tcp4());
        check(LinkType::PPP, &glue(&[&[0, 0x31, 0, 1], &ethernet]), TCP4);
        check(LinkType::PPP, &glue(&[&[0, 0x31, 0x40, 1, 0, 0, 0, 9], &ethernet]), TCP4);
        assert_eq!(outcome(LinkType::PPP, &[0xc0, 0x21, 1, 1, 0, 4]), Outcome::NotIp);
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
}
