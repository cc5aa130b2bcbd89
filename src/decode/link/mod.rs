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
use crate::capture::{LinkType, RecordedFrame, frame_of_record};

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
        LinkType::ERF => recorded(bytes, context),
        LinkType::JUNIPER_ETHER
        | LinkType::JUNIPER_PPPOE
        | LinkType::JUNIPER_PPP
        | LinkType::JUNIPER_FRAME_RELAY
        | LinkType::JUNIPER_C_HDLC => juniper::juniper(link_type, bytes, context),
        _ => media::media(link_type, bytes, context),
    }
}

/// A record of Endace's: padded, so it says itself what of the frame is there.
fn recorded<'a>(bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let record = frame_of_record(bytes).ok_or(context.short(Outcome::MalformedLink))?;
    let RecordedFrame { link_type, bytes, wire_len } = record.ok_or(Outcome::NotIp)?;
    context.missing = wire_len.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    context.cut = context.missing > 0;
    behind(link_type, bytes, context)
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
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
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

    /// A record: its kind, extension headers, what stands before the frame, and padding behind it.
    fn record(kind: u8, extensions: &[u8], before: &[u8], frame: &[u8], wire_len: usize) -> Vec<u8> {
        let padding = [0; 8];
        // Cards cut where no padding is needed.
        let is_cut = frame.len() < wire_len;
        let unpadded = extensions.len() + before.len() + frame.len();
        let padding = if is_cut { &[] } else { &padding[..(8 - unpadded % 8) % 8] };
        let record_len = (16 + extensions.len() + before.len() + frame.len() + padding.len()) as u16;
        let lengths = glue(&[&record_len.to_be_bytes(), &[0, 0], &(wire_len as u16).to_be_bytes()]);
        glue(&[&[1, 2, 3, 4, 0x9b, 4, 0, 0x80, kind, 4], &lengths, extensions, before, frame, padding])
    }

    #[test]
    fn a_record_of_endace_is_what_it_holds() {
        let (frame, packet) = (ethernet(0x0800, &tcp4()), tcp4());
        let extensions = [0x83, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        let hdlc = glue(&[&[0xff, 3, 0, 0x21], &packet]);
        for (kind, extensions, before, frame) in [
            (2, &[][..], &[0, 0][..], &frame),
            (0x82, &extensions, &[0, 0], &frame),
            (22, &[], &[], &packet),
            (1, &[], &[], &hdlc),
            (5, &[], &[0; 4], &hdlc),
        ] {
            let whole = record(kind, extensions, before, frame, frame.len());
            assert_eq!(said(&segment(LinkType::ERF, &whole)), TCP4, "{kind}");
            // What was on the wire goes on behind what the card kept.
            let kept = record(kind, extensions, before, &frame[..frame.len() - 1], frame.len());
            let cut = segment(LinkType::ERF, &kept);
            assert_eq!(cut.payload_len as usize, cut.payload.len() + 1, "{kind}");
            for end in 0..whole.len() {
                _ = super::super::dissect(&super::super::sample::frame(LinkType::ERF, &whole[..end]));
            }
        }
        assert_eq!(outcome(LinkType::ERF, &record(48, &[], &[], &[0; 8], 0)), Outcome::NotIp);
        assert_eq!(outcome(LinkType::ERF, &record(3, &[], &[], &[0; 52], 52)), Outcome::UnsupportedLinkType);
        assert_eq!(outcome(LinkType::ERF, &frame), Outcome::MalformedLink);
        assert_eq!(outcome(LinkType::ERF, &[1; 15]), Outcome::MalformedLink);
    }
}
