//! Encapsulations. Those over UDP are opened only when the header is well formed *and* what is inside looks like what it claims:
//! anybody may use port 4789 for something else, and that must still be read as itself.

mod gre;
mod l2tp;

pub(super) use gre::gre;
pub(super) use l2tp::l2tp_v3;

use self::gre::gre_in_udp;
use self::l2tp::{l2tp_v2, l2tp_v3_udp};
use super::carried::Carried;
use super::link::{self, be16, ether_types as kinds, is_ethernet};
use super::tunnel_ports::assigned as ports;
use super::{Context, Layer, TunnelKind, TunnelPort};
use crate::capture::LinkType;

/// The header inside a datagram that is a tunnel's; `None` when it is just a datagram.
pub(super) fn over_udp<'a>(
    payload: &'a [u8],
    (src_port, dst_port): (u16, u16),
    carried: Carried<'a>,
    context: &mut Context,
) -> Option<Layer<'a>> {
    let mut vni = None;
    let (kind, layer) = match at_own_port(payload, (src_port, dst_port), &mut vni, context) {
        Some(found) => found,
        None => at_assigned_port(payload, (src_port, dst_port), &mut vni, context)?,
    };
    context.enter(kind, carried.src, carried.dst, Some((src_port, dst_port)));
    context.tags = 0;
    if vni.is_some() {
        context.zone.vni = vni;
    }
    Some(layer)
}

/// A tunnel at a port that the site named.
fn at_own_port<'a>(
    payload: &'a [u8],
    (src_port, dst_port): (u16, u16),
    vni: &mut Option<u32>,
    context: &Context,
) -> Option<(TunnelKind, Layer<'a>)> {
    context.own_tunnels.iter().flatten().find_map(|&TunnelPort { kind, port }| {
        let layer = match kind {
            TunnelKind::Vxlan if dst_port == port => vxlan(payload, vni)?,
            TunnelKind::Geneve if dst_port == port => geneve(payload, vni)?,
            TunnelKind::GtpU if dst_port == port || src_port == port => gtp_u(payload)?,
            TunnelKind::Gre if dst_port == port => gre_in_udp(payload, vni)?,
            _ => return None,
        };
        Some((kind, layer))
    })
}

fn at_assigned_port<'a>(
    payload: &'a [u8],
    (src_port, dst_port): (u16, u16),
    vni: &mut Option<u32>,
    context: &mut Context,
) -> Option<(TunnelKind, Layer<'a>)> {
    let either = |port: u16| src_port == port || dst_port == port;
    Some(if ports::VXLAN.contains(&dst_port) {
        (TunnelKind::Vxlan, vxlan(payload, vni)?)
    } else if dst_port == ports::VXLAN_GPE {
        (TunnelKind::Vxlan, vxlan_gpe(payload, vni)?)
    } else if dst_port == ports::GENEVE {
        (TunnelKind::Geneve, geneve(payload, vni)?)
    } else if either(ports::GTP_U) {
        (TunnelKind::GtpU, gtp_u(payload)?)
    } else if either(ports::TEREDO) {
        (TunnelKind::Teredo, teredo(payload, context.cut)?)
    } else if either(ports::L2TP) {
        (TunnelKind::L2tp, l2tp_v2(payload).or_else(|| l2tp_v3_udp(payload))?)
    } else if dst_port == ports::MPLS_IN_UDP {
        (TunnelKind::IpInIp, mpls_in_udp(payload)?)
    } else if dst_port == ports::GRE_IN_UDP {
        (TunnelKind::Gre, gre_in_udp(payload, vni)?)
    } else if dst_port == ports::TZSP {
        (TunnelKind::Tzsp, tazmen(payload, context)?)
    } else {
        return None;
    })
}

/// A mirrored frame of Ethernet, or of 802.11 that carries IP.
fn tazmen<'a>(payload: &'a [u8], context: &mut Context) -> Option<Layer<'a>> {
    let (link_type, frame) = link::tazmen(payload)?;
    if link_type == LinkType::ETHERNET {
        return is_ethernet_or_llc(frame).then_some(Layer::Ethernet(frame));
    }
    let before = *context;
    let layer = link::first(link_type, frame, context).ok();
    if layer.is_none() {
        *context = before;
    }
    layer
}

/// RFC 7348 section 5: the I bit is set, the identifier is 24 bits, and receivers ignore the rest, in which others found room
/// for a group policy and for the next protocol.
fn vxlan<'a>(payload: &'a [u8], vni: &mut Option<u32>) -> Option<Layer<'a>> {
    let (header, inner) = payload.split_first_chunk::<8>()?;
    let [flags, _, _, _, a, b, c, _] = *header;
    if flags & 0x0c == 0x0c {
        return vxlan_gpe(payload, vni);
    }
    if flags & 0x08 == 0 || !is_ethernet_or_llc(inner) {
        return None;
    }
    *vni = Some(u32::from_be_bytes([0, a, b, c]));
    Some(Layer::Ethernet(inner))
}

/// draft-ietf-nvo3-vxlan-gpe: the P bit says that a next protocol is given.
fn vxlan_gpe<'a>(payload: &'a [u8], vni: &mut Option<u32>) -> Option<Layer<'a>> {
    let (header, inner) = payload.split_first_chunk::<8>()?;
    let [flags, _, _, protocol, a, b, c, _] = *header;
    // Version 0, between two reserved bits and the I bit.
    if flags & 0x38 != 0x08 {
        return None;
    }
    let layer = match (flags & 0x04 != 0, protocol) {
        (false, _) | (true, 3) if is_ethernet_or_llc(inner) => Layer::Ethernet(inner),
        (true, 1 | 2) => ip_layer(inner)?,
        (true, 4) => Layer::EtherType(kinds::NSH, inner),
        (true, 5) => Layer::EtherType(kinds::MPLS, inner),
        _ => return None,
    };
    *vni = Some(u32::from_be_bytes([0, a, b, c]));
    Some(layer)
}

/// RFC 8926.
fn geneve<'a>(payload: &'a [u8], vni: &mut Option<u32>) -> Option<Layer<'a>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [first, _, high, low, a, b, c, _] = *header;
    if first >> 6 != 0 {
        return None;
    }
    let inner = rest.get(4 * usize::from(first & 0x3f)..)?;
    let layer = match u16::from_be_bytes([high, low]) {
        kinds::TRANSPARENT_ETHERNET if is_ethernet_or_llc(inner) => Layer::Ethernet(inner),
        kinds::IPV4 | kinds::IPV6 => ip_layer(inner)?,
        _ => return None,
    };
    *vni = Some(u32::from_be_bytes([0, a, b, c]));
    Some(layer)
}

/// GTPv1-U (3GPP TS 29.281 section 5): a T-PDU carries a user's packet.
fn gtp_u(payload: &[u8]) -> Option<Layer<'_>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [flags, message, ..] = *header;
    if flags >> 5 != 1 || flags & 0x10 == 0 || message != 255 {
        return None;
    }
    if flags & 0x07 == 0 {
        return ip_layer(rest);
    }
    // Sequence number, N-PDU number, and the type of the first extension header.
    let mut next = *rest.get(3)?;
    let mut at = 4;
    for _ in 0..8 {
        if next == 0 || flags & 0x04 == 0 {
            return ip_layer(rest.get(at..)?);
        }
        let length = 4 * usize::from(*rest.get(at)?);
        if length == 0 {
            return None;
        }
        at = at.checked_add(length)?;
        next = *rest.get(at - 1)?;
    }
    None
}

/// RFC 4380 section 5.1.1: authentication and origin indications may stand before the IPv6 packet.
fn teredo(payload: &[u8], cut: bool) -> Option<Layer<'_>> {
    let mut rest = payload;
    for _ in 0..2 {
        match rest {
            [0, 1, client, authentication, ..] => {
                rest = rest.get(13 + usize::from(*client) + usize::from(*authentication)..)?;
            }
            [0, 0, ..] => rest = rest.get(8..)?,
            _ => break,
        }
    }
    let length = usize::from(be16(rest, 4)?);
    let fits = rest.len() >= 40 && (cut || length <= rest.len() - 40);
    (fits && rest.first()? >> 4 == 6).then_some(Layer::Ip(rest))
}

/// RFC 7510.
fn mpls_in_udp(payload: &[u8]) -> Option<Layer<'_>> {
    let bottom = payload.chunks_exact(4).take(8).position(|entry| entry.get(2).is_some_and(|byte| byte & 1 == 1))?;
    ip_layer(payload.get(4 * (bottom + 1)..)?)?;
    Some(Layer::EtherType(kinds::MPLS, payload))
}

/// An IP packet, if these bytes can begin one.
fn ip_layer(bytes: &[u8]) -> Option<Layer<'_>> {
    let plausible = match bytes.first()? >> 4 {
        4 => bytes.first()? & 0x0f >= 5 && be16(bytes, 2)? >= 20,
        6 => bytes.len() >= 8,
        _ => false,
    };
    plausible.then_some(Layer::Ip(bytes))
}

/// An Ethernet header, also of frames without IP, which VXLAN carries too (ARP, LLDP, spanning tree).
fn is_ethernet_or_llc(bytes: &[u8]) -> bool {
    let is_other = || match bytes.get(12..)? {
        // A length that fits, and the two service access points alike, as in all LLC that is bridged in practice.
        [high, low, dsap, ssap, ..] if *high < 6 => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            Some(length + 14 <= bytes.len() && dsap == ssap)
        }
        [0x88, 0xcc | 0x09 | 0x63, ..] => Some(true),
        _ => None,
    };
    is_ethernet(bytes) || is_other().unwrap_or(false)
}

#[cfg(test)]
mod tests;
