//! Headers that switches put between an Ethernet header and what it announced.

use super::super::{Context, Layer, Next, Outcome, Step};
use super::ethernet::{by_type_or_length, ether_types as kinds};
use super::{be16, mpls};

/// What follows an EtherType that announces a switch's header; [`Outcome::NotIp`] for any other.
pub(super) fn between<'a>(kind: u16, bytes: &'a [u8], context: &mut Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let ethernet = |at: usize| Ok(Next::Layer(Layer::Ethernet(bytes.get(at..).ok_or(short)?)));
    match kind {
        kinds::MACSEC => macsec(bytes, context),
        kinds::NSH => nsh(bytes, context),
        // Version, length in units of eight bytes, options, then the EtherType that was pushed out.
        kinds::CISCO_METADATA => {
            tagged(bytes, 8 * usize::from(bytes.get(1).copied().ok_or(short)?).max(1) - 2, context)
        }
        // Ports of a virtual switch: Cisco's tag, and that of IEEE 802.1BR.
        kinds::VN_TAG => tagged(bytes, 4, context),
        kinds::E_TAG => tagged(bytes, 6, context),
        // Redundancy: IEC 62439-3, and IEEE 802.1CB.
        kinds::HSR | kinds::R_TAG => tagged(bytes, 4, context),
        kinds::ARISTA => arista(bytes, context),
        // A tree and a hop count between an outer and an inner Ethernet header.
        kinds::FABRIC_PATH => ethernet(2),
        // RFC 6325 section 3: flags with the length of options in words, hop count, two nicknames.
        kinds::TRILL => {
            let flags = be16(bytes, 0).ok_or(short)?;
            ethernet(6 + 4 * usize::from(flags >> 6 & 0x1f))
        }
        // IEEE 802.1ah: flags and 24 bits that number the customer's service.
        kinds::PROVIDER_BACKBONE => {
            let [_, a, b, c] = *bytes.first_chunk::<4>().ok_or(short)?;
            context.zone.vni = Some(u32::from_be_bytes([0, a, b, c]));
            ethernet(4)
        }
        _ => Err(Outcome::NotIp),
    }
}

/// A tag of so many bytes, then the EtherType or length that it pushed out.
fn tagged<'a>(bytes: &'a [u8], length: usize, context: &Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let kind = be16(bytes, length).ok_or(short)?;
    by_type_or_length(kind, bytes.get(length + 2..).ok_or(short)?, context).map(Next::Layer)
}

/// When a switch of Arista's took the frame in: a kind, a form, and a time of 64 or 48 bits.
fn arista<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
    match bytes {
        [0, 1, _, 0x10, ..] => tagged(bytes, 12, context),
        [0, 1, _, 0x20, ..] => tagged(bytes, 10, context),
        [_, _, _, _, ..] => Err(Outcome::NotIp),
        _ => Err(context.short(Outcome::MalformedLink)),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::super::sample::*;
    use super::*;
    use crate::capture::LinkType;

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
        for (kind, header) in [
            (kinds::VN_TAG, &[0, 1, 0, 2][..]),
            (kinds::E_TAG, &[0, 1, 0, 2, 0, 0]),
            (kinds::R_TAG, &[0, 0, 0, 9]),
            (kinds::ARISTA, &[0, 1, 0, 0x10, 9, 9, 9, 9, 9, 9, 9, 9]),
            (kinds::ARISTA, &[0, 1, 1, 0x20, 9, 9, 9, 9, 9, 9]),
        ] {
            check(LinkType::ETHERNET, &ethernet(kind, &glue(&[header, &[8, 0], &tcp4()])), TCP4);
            // Where the frame was tagged before, the tag comes next.
            let tagged = glue(&[header, &[0x81, 0], &tag(5, 0x0800, &tcp4())]);
            check(LinkType::ETHERNET, &ethernet(kind, &tagged), TCP4);
            assert_eq!(segment(LinkType::ETHERNET, &ethernet(kind, &tagged)).zone.vlan, Some(5));
        }
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(kinds::ARISTA, &[0, 2, 0, 0x10, 9, 9])), Outcome::NotIp);
    }

    #[test]
    fn ethernet_within_the_ethernet_of_a_fabric() {
        let inner = glue(&[&[2, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 3, 0x81, 0], &tag(5, 0x0800, &tcp4())]);
        for (kind, header) in [
            (kinds::FABRIC_PATH, &[0, 1][..]),
            (kinds::TRILL, &[0, 0x3f, 0, 1, 0, 2]),
            (kinds::TRILL, &[0, 0x7f, 0, 1, 0, 2, 9, 9, 9, 9]),
            (kinds::PROVIDER_BACKBONE, &[0, 0, 1, 2]),
        ] {
            let frame = ethernet(kind, &glue(&[header, &inner]));
            check(LinkType::ETHERNET, &frame, TCP4);
            let segment = segment(LinkType::ETHERNET, &frame);
            assert_eq!((segment.macs.unwrap().0.0, segment.zone.vlan), ([2, 0, 0, 0, 0, 3], Some(5)));
            assert_eq!(segment.zone.vni, (kind == kinds::PROVIDER_BACKBONE).then_some(0x0102));
        }
    }
}
