//! Ethernet, LLC, and what an EtherType announces.

use super::super::{Context, Layer, MacAddress, Next, Outcome, Step};
use super::{Behind, be16, frame_relay, mpls, ppp, switches};

/// EtherTypes (IEEE 802 numbers registry).
pub(in crate::decode) mod ether_types {
    pub const IPV4: u16 = 0x0800;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const QINQ: u16 = 0x88a8;
    pub const QINQ_OLD: [u16; 3] = [0x9100, 0x9200, 0x9300];
    pub const LLDP: u16 = 0x88cc;
    pub const MACSEC: u16 = 0x88e5;
    pub const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub const PPP: u16 = 0x880b;
    pub const ERSPAN_II: u16 = 0x88be;
    pub const ERSPAN_III: u16 = 0x22eb;
    pub const CISCO_METADATA: u16 = 0x8909;
    pub const NSH: u16 = 0x894f;
    pub const HSR: u16 = 0x892f;
    pub const VN_TAG: u16 = 0x8926;
    pub const E_TAG: u16 = 0x893f;
    pub const R_TAG: u16 = 0xf1c1;
    pub const FABRIC_PATH: u16 = 0x8903;
    pub const TRILL: u16 = 0x22f3;
    pub const PROVIDER_BACKBONE: u16 = 0x88e7;
    pub const ARISTA: u16 = 0xd28b;
    pub const RAW_FRAME_RELAY: u16 = 0x6559;
}
use ether_types as kinds;

/// Ethernet II or IEEE 802.3.
pub(in crate::decode) fn ethernet<'a>(bytes: &'a [u8], context: &mut Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let (dst, rest) = bytes.split_first_chunk::<6>().ok_or(short)?;
    let (src, rest) = rest.split_first_chunk::<6>().ok_or(short)?;
    let (kind, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
    context.macs = Some((MacAddress(*src), MacAddress(*dst)));
    context.tags = 0;
    by_type_or_length(u16::from_be_bytes(*kind), rest, context).map(Next::Layer)
}

/// A number below 1536 is the length of an LLC frame (IEEE 802.3 clause 3.2.6).
pub(super) fn by_type_or_length<'a>(kind: u16, rest: &'a [u8], context: &Context) -> Behind<'a> {
    if kind < 0x0600 { llc(rest.get(..kind.into()).unwrap_or(rest), context) } else { Ok(Layer::EtherType(kind, rest)) }
}

/// LLC with SNAP (RFC 1042), or the IP service access point.
pub(super) fn llc<'a>(bytes: &'a [u8], context: &Context) -> Behind<'a> {
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
pub(in crate::decode) fn ether_type<'a>(kind: u16, bytes: &'a [u8], context: &mut Context) -> Step<'a> {
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
        kinds::PPPOE_SESSION => ppp::pppoe(bytes, context).map(Next::Layer),
        kinds::TRANSPARENT_ETHERNET => Ok(Next::Layer(Layer::Ethernet(bytes))),
        kinds::PPP => Ok(Next::Layer(Layer::Ppp(bytes))),
        kinds::RAW_FRAME_RELAY => frame_relay::frame_relay(bytes, context).map(Next::Layer),
        _ => switches::between(kind, bytes, context),
    }
}

/// Tags of one Ethernet header come outermost first; those of an inner one replace them.
pub(super) fn tagged(tag: u16, context: &mut Context) {
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

/// Whether an Ethernet header with IP or a tag behind it can begin here.
pub(in crate::decode) fn is_ethernet(bytes: &[u8]) -> bool {
    let Some(kind) = be16(bytes, 12) else { return false };
    match kind {
        kinds::IPV4 => bytes.get(14).is_some_and(|first| first >> 4 == 4),
        kinds::IPV6 => bytes.get(14).is_some_and(|first| first >> 4 == 6),
        kinds::VLAN | kinds::QINQ | kinds::MPLS | kinds::PPPOE_SESSION | 0x0806 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::super::Outcome;
    use super::super::super::sample::*;
    use crate::capture::LinkType;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

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
}
