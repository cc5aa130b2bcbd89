//! What ATM adaptation layer 5 carries.

use super::super::{Context, Layer, Outcome};
use super::Behind;
use super::ethernet::llc;
use super::frame_relay::nlpid;

/// RFC 1483 and its successor 2684, with LLC or, where a circuit has IP alone, without; and classical IP (RFC 2225).
pub(super) fn rfc1483<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    match bytes {
        // Bridged Ethernet: two bytes pad.
        [0xaa, 0xaa, 0x03, 0x00, 0x80, 0xc2, 0x00, 0x01 | 0x07, _, _, frame @ ..] => Ok(Layer::Ethernet(frame)),
        [0xaa, 0xaa, 0x03, 0x00, 0x80, ..] if context.cut && bytes.len() < 10 => Err(Outcome::Truncated),
        [0xfe, 0xfe, 0x03, rest @ ..] => nlpid(rest, context),
        [0xfe, ..] if context.cut && bytes.len() < 3 => Err(Outcome::Truncated),
        [first, ..] if matches!(first >> 4, 4 | 6) => Ok(Layer::Ip(bytes)),
        _ => llc(bytes, context),
    }
}

/// What SunATM devices put in front: flags with the kind of traffic, and the circuit.
pub(super) fn sunatm<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    match bytes {
        [flags, _, _, _, rest @ ..] => match flags & 0x0f {
            // LAN emulation: an identifier of the client, then Ethernet.
            1 => Ok(Layer::Ethernet(rest.get(2..).ok_or(context.short(Outcome::MalformedLink))?)),
            2 => rfc1483(rest, context),
            _ => Err(Outcome::NotIp),
        },
        _ => Err(context.short(Outcome::MalformedLink)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::*;
    use super::*;
    use crate::capture::LinkType;

    #[test]
    fn each_encapsulation_over_atm() {
        let (packet, frame) = (tcp4(), ethernet(0x0800, &tcp4()));
        for body in [
            glue(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &packet]),
            glue(&[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], &frame]),
            glue(&[&[0xfe, 0xfe, 3, 0xcc], &packet]),
            glue(&[&[0xfe, 0xfe, 3, 0xcf, 0, 0x21], &packet]),
            packet,
        ] {
            check(LinkType::ATM_RFC1483, &body, TCP4);
            check(LinkType::ATM_CLIP, &body, TCP4);
            check(LinkType::SUNATM, &glue(&[&[0x82, 0, 0, 42], &body]), TCP4);
        }
        check(LinkType::SUNATM, &glue(&[&[0x01, 0, 0, 42, 0, 7], &frame]), TCP4);
        // Signalling.
        assert_eq!(outcome(LinkType::SUNATM, &[0x06, 0, 0, 5, 9, 3]), Outcome::NotIp);
        assert_eq!(outcome(LinkType::ATM_RFC1483, &[0xfe, 0xfe, 3, 0x83, 1]), Outcome::NotIp);
    }
}
