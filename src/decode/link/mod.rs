//! Link layers, and the tags and labels between a link header and IP.

mod atm;
mod cooked;
mod ethernet;
mod frame_relay;
mod juniper;
mod logged;
mod media;
mod mpls;
mod ppp;
mod switches;
mod wireless;

use super::{Context, HEADERS_MAX, Layer, Outcome};
use crate::capture::LinkType;

pub(super) use ethernet::{ether_type, ether_types, ethernet, is_ethernet};
pub(super) use media::tazmen;
pub(super) use mpls::mpls;
pub(super) use ppp::ppp;

/// What a link header leads to.
type Behind<'a> = Result<Layer<'a>, Outcome>;

/// The first header of a frame, by the capture's link type (<https://www.tcpdump.org/linktypes.html>).
pub(super) fn first<'a>(link_type: LinkType, bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let skip = |count: usize| bytes.get(count..).ok_or(short);
    match link_type {
        LinkType::ETHERNET => Ok(Layer::Ethernet(bytes)),
        // 12 and 14 are what some systems call raw IP in files, too.
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(12 | 14) => Ok(Layer::Ip(bytes)),
        LinkType::NULL | LinkType::LOOP => cooked::loopback(bytes, 4, context),
        LinkType::ENC => cooked::loopback(bytes, 12, context),
        LinkType::IPNET => cooked::ipnet(bytes, context),
        LinkType::LINUX_SLL => cooked::linux_v1(bytes, context),
        LinkType::LINUX_SLL2 => cooked::linux_v2(bytes, context),
        LinkType::PPP | LinkType::PPP_HDLC | LinkType::PPP_PPPD => ppp::in_hdlc(link_type, bytes, context),
        LinkType::PPP_WITH_DIRECTION => Ok(Layer::Ppp(skip(1)?)),
        LinkType::PPPOE => ppp::pppoe(bytes, context),
        LinkType::C_HDLC => ppp::cisco_hdlc(bytes, context),
        LinkType::C_HDLC_WITH_DIRECTION => ppp::cisco_hdlc(skip(1)?, context),
        LinkType::FRAME_RELAY => frame_relay::frame_relay(bytes, context),
        LinkType::FRAME_RELAY_WITH_DIRECTION => frame_relay::frame_relay(skip(1)?, context),
        LinkType::MULTILINK_FRAME_RELAY => frame_relay::multilink(bytes, context),
        LinkType::ATM_RFC1483 | LinkType::ATM_CLIP => atm::rfc1483(bytes, context),
        LinkType::SUNATM => atm::sunatm(bytes, context),
        // A direction, and fifteen bytes for compressed headers, which nobody uses any more.
        LinkType::SLIP => Ok(Layer::Ip(skip(16)?)),
        LinkType::MPLS => Ok(Layer::EtherType(ether_types::MPLS, bytes)),
        LinkType::IEEE802_11 => wireless::ieee802_11(bytes, false, context),
        LinkType::IEEE802_11_RADIOTAP => wireless::radiotap(bytes, context),
        LinkType::PRISM | LinkType::IEEE802_11_AVS => wireless::older_radio(bytes, context),
        LinkType::PPI => wireless::per_packet_information(bytes, context),
        LinkType::PKTAP | LinkType::USER2 => logged::pktap(link_type, bytes, context),
        LinkType::NFLOG => logged::nflog(bytes, context),
        LinkType::PFLOG => logged::pflog(bytes, context),
        LinkType::OLD_PFLOG => Ok(Layer::Ip(skip(28)?)),
        LinkType::TZSP => {
            let (inner, frame) = tazmen(bytes).ok_or(short)?;
            behind(inner, frame, context)
        }
        LinkType::JUNIPER_ETHER
        | LinkType::JUNIPER_PPPOE
        | LinkType::JUNIPER_PPP
        | LinkType::JUNIPER_FRAME_RELAY
        | LinkType::JUNIPER_C_HDLC => juniper::juniper(link_type, bytes, context),
        _ => media::media(link_type, bytes, context),
    }
}

/// A frame of another link type inside one. It counts as a header, so that such frames within each other end somewhere.
fn behind<'a>(link_type: LinkType, bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    context.headers += 1;
    if context.headers > HEADERS_MAX {
        return Err(Outcome::NestedTooDeep);
    }
    first(link_type, bytes, context)
}

/// Two bytes at `at`, big endian.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// Six bytes at `at`.
fn mac_at(bytes: &[u8], at: usize) -> Option<super::MacAddress> {
    bytes.get(at..)?.first_chunk().copied().map(super::MacAddress)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::sample::{ethernet, *};
    use super::*;

    #[test]
    fn link_types_within_each_other_end_somewhere() {
        let mut frame = ethernet(0x0800, &tcp4());
        let mut link_type = 1_u32;
        for _ in 0..20 {
            frame = glue(&[&[0, 0, 8, 0], &link_type.to_le_bytes(), &frame]);
            link_type = 192;
        }
        assert_eq!(said(&segment(LinkType::PPI, &frame)), TCP4);
        for _ in 0..20 {
            frame = glue(&[&[0, 0, 8, 0], &link_type.to_le_bytes(), &frame]);
        }
        assert_eq!(outcome(LinkType::PPI, &frame), Outcome::NestedTooDeep);
        assert_eq!(outcome(LinkType(147), &tcp4()), Outcome::UnsupportedLinkType);
    }
}
