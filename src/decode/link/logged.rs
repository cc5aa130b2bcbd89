//! What packet filters and an operating system's taps put in front of the packets that they log.

use super::super::{Context, Layer, MacAddress, Outcome};
use super::{Behind, behind, mac_at};
use crate::capture::LinkType;

/// Apple's packet tap (`tcpdump -i pktap`, `-i any`): where the packet came from, which process sent it, and the link type of the
/// frame behind. Little endian: no big-endian system had it.
///
/// Older systems write it under a number that is everybody's own (`DLT_USER2`), so there the header must look like one.
pub(super) fn pktap<'a>(link_type: LinkType, bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let word = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).map(|word| u32::from_le_bytes(*word));
    let (Some(length), Some(next), Some(inner)) = (word(0), word(4), word(8)) else { return Err(short) };
    let is_tap = (PKTAP_MIN..=PKTAP_MAX).contains(&length) && next <= 1 && inner <= u32::from(u16::MAX);
    if !is_tap {
        return Err(if link_type == LinkType::PKTAP { Outcome::MalformedLink } else { Outcome::UnsupportedLinkType });
    }
    // Type 0: about a process, without a packet.
    if next == 0 {
        return Err(Outcome::NotIp);
    }
    let frame = bytes.get(length as usize..).ok_or(short)?;
    behind(LinkType(inner as u16), frame, context)
}

/// The first form of the header has this length; later forms are longer.
const PKTAP_MIN: u32 = 108;
const PKTAP_MAX: u32 = 1024;

/// OpenBSD's packet filter, and those that came from it. The first byte is the header's length without padding; what it
/// holds differs from system to system, but not that the packet follows at the next multiple of four.
pub(super) fn pflog<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let length = usize::from(*bytes.first().ok_or(short)?);
    // As far as the name of the interface and the number of the rule, none is shorter.
    if length < 44 {
        return Err(Outcome::MalformedLink);
    }
    Ok(Layer::Ip(bytes.get(length.next_multiple_of(4)..).ok_or(short)?))
}

/// Linux's netfilter: a family, then attributes in the byte order of the system, of which one is the packet.
pub(super) fn nflog<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let [family, version, _, _, attributes @ ..] = bytes else { return Err(short) };
    if *version != 0 {
        return Err(Outcome::UnsupportedLinkType);
    }
    // Nothing says the byte order, but in the wrong one a length is far too long.
    let logged = Logged::read(attributes, u16::from_le_bytes, context.cut)
        .or_else(|| Logged::read(attributes, u16::from_be_bytes, context.cut))
        .ok_or(short)?;
    if let Some(mac) = logged.sender {
        context.macs = Some((mac, MacAddress([0; 6])));
    }
    let packet = logged.packet.ok_or(if context.cut { Outcome::Truncated } else { Outcome::NotIp })?;
    match *family {
        AF_INET | AF_INET6 => Ok(Layer::Ip(packet)),
        // A bridge or an interface: what came is said beside it.
        _ => Ok(Layer::EtherType(logged.ether_type.ok_or(Outcome::NotIp)?, packet)),
    }
}

/// What the attributes of a logged packet say.
#[derive(Debug, Default)]
struct Logged<'a> {
    packet: Option<&'a [u8]>,
    ether_type: Option<u16>,
    sender: Option<MacAddress>,
}

impl<'a> Logged<'a> {
    /// `None` when lengths do not fit, in this byte order.
    fn read(mut rest: &'a [u8], number: fn([u8; 2]) -> u16, cut: bool) -> Option<Self> {
        let mut logged = Self::default();
        // Each takes at least four bytes, so this ends.
        while let [l0, l1, t0, t1, body @ ..] = rest {
            let (length, kind) = (usize::from(number([*l0, *l1])), number([*t0, *t1]) & 0x3fff);
            let value = match body.get(..length.checked_sub(4)?) {
                Some(value) => value,
                // The packet is the last that matters, and the snap length may cut it.
                None if cut && kind == NFULA_PAYLOAD => body,
                None => return None,
            };
            match kind {
                NFULA_PACKET_HDR => logged.ether_type = super::be16(value, 0),
                // The length of the address comes first, in network order.
                NFULA_HWADDR if value.starts_with(&[0, 6]) => logged.sender = mac_at(value, 4),
                NFULA_PAYLOAD => logged.packet = Some(value),
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
        // Less than the head of another.
        (rest.is_empty() || cut).then_some(logged)
    }
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const NFULA_PACKET_HDR: u16 = 1;
const NFULA_HWADDR: u16 = 8;
const NFULA_PAYLOAD: u16 = 9;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::super::sample::*;
    use super::*;

    fn tap(inner: u32, length: u32) -> Vec<u8> {
        let mut header = glue(&[&length.to_le_bytes(), &1_u32.to_le_bytes(), &inner.to_le_bytes(), b"en0"]);
        header.resize(length as usize, 0);
        header
    }

    #[test]
    fn the_tap_of_macos_says_its_inner_link_type() {
        for link_type in [LinkType::PKTAP, LinkType::USER2] {
            for length in [108, 156] {
                check(link_type, &glue(&[&tap(1, length), &ethernet(0x0800, &tcp4())]), TCP4);
                check(link_type, &glue(&[&tap(12, length), &tcp4()]), TCP4);
                check(link_type, &glue(&[&tap(0, length), &[30, 0, 0, 0], &tcp6()]), TCP6);
            }
        }
        let mut about_a_process = tap(1, 108);
        about_a_process[4] = 0;
        assert_eq!(outcome(LinkType::PKTAP, &about_a_process), Outcome::NotIp);
        assert_eq!(outcome(LinkType::PKTAP, &tap(9999, 108)), Outcome::UnsupportedLinkType);
        // Somebody's own use of the number, and a tap that cannot be.
        let own = ethernet(0x0800, &tcp4());
        assert_eq!(outcome(LinkType::USER2, &own), Outcome::UnsupportedLinkType);
        assert_eq!(outcome(LinkType::PKTAP, &own), Outcome::MalformedLink);
    }

    #[test]
    fn the_packet_filter_pads_its_header() {
        for length in [48_u8, 61, 64, 84, 100] {
            let mut header = vec![length, 2, 0, 0];
            header.resize(usize::from(length).next_multiple_of(4), 7);
            check(LinkType::PFLOG, &glue(&[&header, &tcp4()]), TCP4);
            check(LinkType::PFLOG, &glue(&[&header, &tcp6()]), TCP6);
        }
        check(LinkType::OLD_PFLOG, &glue(&[&[0; 28], &tcp4()]), TCP4);
        assert_eq!(outcome(LinkType::PFLOG, &[9; 90]), Outcome::MalformedLink);
    }

    fn attribute(kind: u16, value: &[u8], number: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mut bytes = glue(&[&number(4 + value.len() as u16), &number(kind), value]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn netfilter_logs_in_either_byte_order() {
        for number in [u16::to_le_bytes, u16::to_be_bytes] {
            let prefix = attribute(10, b"x\0", number);
            let address = attribute(8, &[0, 6, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0], number);
            let head = attribute(1, &[8, 0, 1, 0], number);
            let mark = attribute(5, &[0, 0, 0, 1], number);
            let packet = attribute(9, &tcp4(), number);
            let frame = glue(&[&[2, 0, 0, 1], &head, &prefix, &address, &packet]);
            check(LinkType::NFLOG, &frame, TCP4);
            assert_eq!(segment(LinkType::NFLOG, &frame).macs.unwrap().0.0, [2, 0, 0, 0, 0, 9]);
            let behind = glue(&[&[2, 0, 0, 1], &packet, &mark]);
            assert_eq!(said(&segment(LinkType::NFLOG, &behind)), TCP4);
            // The bridge's family: the EtherType stands in the packet's head.
            check(LinkType::NFLOG, &glue(&[&[7, 0, 0, 1], &head, &packet]), TCP4);
            assert_eq!(outcome(LinkType::NFLOG, &glue(&[&[7, 0, 0, 1], &packet])), Outcome::NotIp);
            check(LinkType::NFLOG, &glue(&[&[10, 0, 0, 1], &attribute(9, &tcp6(), number)]), TCP6);
            assert_eq!(outcome(LinkType::NFLOG, &glue(&[&[2, 0, 0, 1], &prefix])), Outcome::NotIp);
            assert_eq!(outcome(LinkType::NFLOG, &glue(&[&[2, 1, 0, 1], &packet])), Outcome::UnsupportedLinkType);
        }
        assert_eq!(outcome(LinkType::NFLOG, &[2, 0, 0, 1, 3, 0, 9, 0]), Outcome::MalformedLink);
    }
}
