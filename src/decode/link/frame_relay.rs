//! Frame Relay, and the protocol identifiers (NLPID) that it shares with others.

use super::super::{Context, Layer, Outcome};
use super::ethernet::llc;
use super::{Behind, be16};

/// An address (Q.922), then an RFC 2427 header, or an EtherType as Cisco's own encapsulation has it.
pub(super) fn frame_relay<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    // The lowest bit marks the last of two to four bytes.
    let mut length = 1;
    while bytes.get(length - 1).ok_or(short)? & 1 == 0 {
        length += 1;
        if length > 4 {
            return Err(Outcome::MalformedLink);
        }
    }
    if length == 1 {
        return Err(Outcome::MalformedLink);
    }
    match bytes.get(length..).ok_or(short)? {
        // Unnumbered information; a zero may pad.
        [0x03, 0x00, rest @ ..] | [0x03, rest @ ..] => nlpid(rest, context),
        rest => {
            let kind = be16(rest, 0).ok_or(short)?;
            // Others are link management.
            if kind < 0x0600 {
                return Err(Outcome::NotIp);
            }
            Ok(Layer::EtherType(kind, rest.get(2..).unwrap_or(&[])))
        }
    }
}

/// Multilink Frame Relay (FRF.16): frames in one part; parts of others are not put together.
pub(super) fn multilink<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    match bytes {
        // Begin, end, and no control.
        [flags, _, rest @ ..] if flags & 0xe0 == 0xc0 => frame_relay(rest, context),
        [flags, _, ..] if flags & 0x20 != 0 => Err(Outcome::NotIp),
        [_, _, ..] => Err(Outcome::UnsupportedLinkType),
        _ => Err(context.short(Outcome::MalformedLink)),
    }
}

/// What a network-layer protocol identifier announces (RFC 2427 section 4, RFC 1973 section 4).
pub(super) fn nlpid<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    match bytes {
        [0xcc | 0x8e, packet @ ..] => Ok(Layer::Ip(packet)),
        [0xcf, rest @ ..] => Ok(Layer::Ppp(rest)),
        // Bridged Ethernet, with or without its check sequence.
        [0x80, 0x00, 0x80, 0xc2, 0x00, 0x01 | 0x07, frame @ ..] => Ok(Layer::Ethernet(frame)),
        [0x80, 0, 0, 0, high, low, rest @ ..] => Ok(Layer::EtherType(u16::from_be_bytes([*high, *low]), rest)),
        [] => Err(context.short(Outcome::MalformedLink)),
        [0x80, ..] if context.cut && bytes.len() < 6 => Err(Outcome::Truncated),
        // LLC right behind the control field, as some bridges do.
        [0xaa, 0xaa, ..] => llc(bytes, context),
        _ => Err(Outcome::NotIp),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::sample::*;
    use super::*;
    use crate::capture::LinkType;

    fn over(parts: &[&[u8]]) {
        let frame = glue(parts);
        check(LinkType::FRAME_RELAY, &frame, TCP4);
        check(LinkType::FRAME_RELAY_WITH_DIRECTION, &glue(&[&[1], &frame]), TCP4);
        check(LinkType::MULTILINK_FRAME_RELAY, &glue(&[&[0xc0, 9], &frame]), TCP4);
    }

    #[test]
    fn each_encapsulation_of_frame_relay() {
        let packet = tcp4();
        for address in [&[0x18, 0x41][..], &[0x18, 0x40, 0x01], &[0x18, 0x40, 0x02, 0x01]] {
            over(&[address, &[0x03, 0xcc], &packet]);
            over(&[address, &[0x03, 0x00, 0xcc], &packet]);
            over(&[address, &[0x03, 0x00, 0x80, 0, 0, 0, 8, 0], &packet]);
            over(&[address, &[8, 0], &packet]);
            over(&[address, &[0x03, 0xcf, 0x00, 0x21], &packet]);
            let bridged = ethernet(0x0800, &packet);
            over(&[address, &[0x03, 0x00, 0x80, 0, 0x80, 0xc2, 0, 7], &bridged]);
        }
        check(LinkType::FRAME_RELAY, &glue(&[&[0x18, 0x41, 0x03, 0x8e], &tcp6()]), TCP6);
    }

    #[test]
    fn what_frame_relay_says_for_itself_is_no_ip() {
        // Link management on DLCI 0, an address without end, one of a single byte, a part of a frame.
        let outcome = |bytes: &[u8]| outcome(LinkType::FRAME_RELAY, bytes);
        assert_eq!(outcome(&[0, 1, 0x03, 0x08, 0, 0x75]), Outcome::NotIp);
        assert_eq!(outcome(&[0x18, 0x40, 0, 0, 1]), Outcome::MalformedLink);
        assert_eq!(outcome(&[0x19, 0x41, 0x03, 0xcc]), Outcome::MalformedLink);
        let part = glue(&[&[0x80, 9, 0x18, 0x41, 0x03, 0xcc], &tcp4()]);
        assert_eq!(
            super::super::super::sample::outcome(LinkType::MULTILINK_FRAME_RELAY, &part),
            Outcome::UnsupportedLinkType
        );
    }
}
