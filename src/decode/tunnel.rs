//! Encapsulations. Those over UDP are opened only when the header is well formed *and* what is inside looks like what it claims:
//! anybody may use port 4789 for something else, and that must still be read as itself.

use super::carried::Carried;
use super::link::{self, be16, ether_types as kinds, is_ethernet};
use super::tunnel_ports::assigned as ports;
use super::{Context, Layer, Next, Outcome, Step, TunnelKind, TunnelPort};
use crate::capture::LinkType;

/// GRE (RFC 2784, 2890), enhanced GRE (RFC 2637), NVGRE (RFC 7637), ERSPAN.
pub(super) fn gre<'a>(carried: Carried<'a>, context: &mut Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedTunnel);
    let (header, _) = carried.bytes.split_first_chunk::<4>().ok_or(short)?;
    let [flags, version, high, low] = *header;
    let protocol = u16::from_be_bytes([high, low]);
    let (checksum, routing, key, sequence) =
        (flags & 0x80 != 0, flags & 0x40 != 0, flags & 0x20 != 0, flags & 0x10 != 0);
    let mut at = 4;
    if version & 7 == 1 {
        // Enhanced GRE carries PPP; without a payload it only acknowledges.
        at += 4 + 4 * usize::from(sequence) + 4 * usize::from(version & 0x80 != 0);
        if !sequence {
            return Err(Outcome::OtherTransport);
        }
        context.enter(TunnelKind::Gre, carried.src, carried.dst, None);
        return Ok(Next::Layer(Layer::Ppp(carried.bytes.get(at..).ok_or(short)?)));
    }
    if version & 7 != 0 {
        return Err(Outcome::MalformedTunnel);
    }
    if checksum || routing {
        at += 4;
    }
    let key_at = at;
    at += 4 * usize::from(key) + 4 * usize::from(sequence);
    if routing {
        // Source route entries (RFC 1701): address family, offset, length; a zero family ends the list.
        for _ in 0..16 {
            let entry = carried.bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).ok_or(short)?;
            at += 4 + usize::from(entry[3]);
            if entry[..2] == [0, 0] {
                break;
            }
        }
    }
    let rest = carried.bytes.get(at..).ok_or(short)?;
    let kind =
        if matches!(protocol, kinds::ERSPAN_II | kinds::ERSPAN_III) { TunnelKind::Erspan } else { TunnelKind::Gre };
    context.enter(kind, carried.src, carried.dst, None);
    context.tags = 0;
    match protocol {
        kinds::ERSPAN_II if sequence => erspan(rest, context),
        // Type I has no header of its own.
        kinds::ERSPAN_II => Ok(Next::Layer(Layer::Ethernet(rest))),
        kinds::ERSPAN_III => erspan(rest, context),
        kinds::TRANSPARENT_ETHERNET => {
            if key && let Some(key) = carried.bytes.get(key_at..).and_then(<[u8]>::first_chunk::<4>) {
                context.zone.vni = Some(network_of(*key));
            }
            Ok(Next::Layer(Layer::Ethernet(rest)))
        }
        // Web cache redirection: four bytes of its own before the packet, unless an IPv4 header is there already.
        0x883e => {
            let rest =
                if rest.first().is_some_and(|first| first >> 4 == 4) { rest } else { rest.get(4..).ok_or(short)? };
            Ok(Next::Layer(Layer::Ip(rest)))
        }
        _ => Ok(Next::Layer(Layer::EtherType(protocol, rest))),
    }
}

/// ERSPAN II and III (draft-foschiano-erspan).
fn erspan<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedTunnel);
    match bytes.first().ok_or(short)? >> 4 {
        1 => Ok(Next::Layer(Layer::Ethernet(bytes.get(8..).ok_or(short)?))),
        2 => {
            let word = be16(bytes, 10).ok_or(short)?;
            let subheader = 8 * usize::from(word & 1);
            let rest = bytes.get(12 + subheader..).ok_or(short)?;
            // Frame type: 0 is Ethernet, 2 is IP.
            match word >> 10 & 0x1f {
                0 => Ok(Next::Layer(Layer::Ethernet(rest))),
                2 => Ok(Next::Layer(Layer::Ip(rest))),
                _ => Err(Outcome::NotIp),
            }
        }
        _ => Err(Outcome::MalformedTunnel),
    }
}

/// L2TPv3 over IP (RFC 3931): a session identifier, a cookie, then most often Ethernet.
pub(super) fn l2tp_v3<'a>(carried: Carried<'a>, context: &mut Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedTunnel);
    let (session, rest) = carried.bytes.split_first_chunk::<4>().ok_or(short)?;
    if *session == [0; 4] {
        return Err(Outcome::OtherTransport);
    }
    let Some(inner) = behind_cookie(rest) else {
        // With less than the longest cookie and an Ethernet header there is no telling.
        return Err(if rest.len() < 12 + 15 {
            context.short(Outcome::OtherTransport)
        } else {
            Outcome::OtherTransport
        });
    };
    context.enter(TunnelKind::L2tp, carried.src, carried.dst, None);
    context.tags = 0;
    Ok(Next::Layer(Layer::Ethernet(inner)))
}

/// The Ethernet frame of an L2TPv3 data message. Cookies have 0, 4 or 8 bytes; a sublayer of four more may follow. Neither is
/// announced.
fn behind_cookie(rest: &[u8]) -> Option<&[u8]> {
    [0, 4, 8, 12].into_iter().filter_map(|skip| rest.get(skip..)).find(|rest| is_ethernet(rest))
}

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

/// RFC 8086 section 3: version 0, with checksum, key and sequence number as the only options.
fn gre_in_udp<'a>(payload: &'a [u8], vni: &mut Option<u32>) -> Option<Layer<'a>> {
    let [flags, 0, high, low, rest @ ..] = payload else { return None };
    if flags & 0x4f != 0 {
        return None;
    }
    let inner = rest.get(4 * (flags & 0xb0).count_ones() as usize..)?;
    match u16::from_be_bytes([*high, *low]) {
        kinds::IPV4 | kinds::IPV6 => ip_layer(inner),
        kinds::MPLS => mpls_in_udp(inner),
        kinds::TRANSPARENT_ETHERNET if is_ethernet_or_llc(inner) => {
            if flags & 0x20 != 0 {
                let at = if flags & 0x80 != 0 { 4 } else { 0 };
                *vni = rest.get(at..)?.first_chunk::<4>().map(|key| network_of(*key));
            }
            Some(Layer::Ethernet(inner))
        }
        _ => None,
    }
}

/// The virtual network that a key names. NVGRE: 24 bits of subnet identifier, eight of flow identifier, which may differ by direction.
/// Subnets below 0x1000 are reserved (RFC 7637 section 3.3), so a small number is a plain key, all of which counts.
fn network_of(key: [u8; 4]) -> u32 {
    let key = u32::from_be_bytes(key);
    if key < 0x0010_0000 { key } else { key >> 8 }
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

/// RFC 2661 section 3.1: data messages of version 2 carry PPP.
fn l2tp_v2(payload: &[u8]) -> Option<Layer<'_>> {
    let flags = be16(payload, 0)?;
    if flags & 0x800f != 0x0002 {
        return None;
    }
    let mut at = 2 + 2 * usize::from(flags & 0x4000 != 0) + 4 + 4 * usize::from(flags & 0x0800 != 0);
    if flags & 0x0200 != 0 {
        at += 2 + usize::from(be16(payload, at)?);
    }
    let rest = payload.get(at..)?;
    let ppp = rest.strip_prefix(&[0xff, 0x03]).unwrap_or(rest);
    match ppp {
        [0x00, 0x21 | 0x57, inner @ ..] | [0x21 | 0x57, inner @ ..] => ip_layer(inner),
        _ => None,
    }
}

/// RFC 3931 section 4.1.2.1: data messages of version 3 have two reserved bytes and a session identifier before the cookie.
fn l2tp_v3_udp(payload: &[u8]) -> Option<Layer<'_>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [high, low, _, _, session @ ..] = *header;
    if high & 0x80 != 0 || low & 0x0f != 3 || session == [0; 4] {
        return None;
    }
    behind_cookie(rest).map(Layer::Ethernet)
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::sample::*;
    use super::*;
    use crate::capture::Frame;
    use crate::decode::{Dissected, Tunnel, TunnelPorts, dissect_general, dissect_into};

    const ETHERNET: LinkType = LinkType::ETHERNET;

    fn inner() -> Vec<u8> {
        ethernet(0x0800, &tcp4())
    }

    /// Checks a tunnel between 192.0.2.1 and 192.0.2.2, and gives its network identifier.
    fn opens(kind: TunnelKind, frame: &[u8], expected: &str) -> Option<u32> {
        check(ETHERNET, frame, expected);
        let segment = segment(ETHERNET, frame);
        let tunnel = segment.tunnel.unwrap();
        assert_eq!((tunnel.kind, tunnel.depth, tunnel.src.to_string()), (kind, 1, "192.0.2.1".to_owned()));
        segment.zone.vni
    }

    /// The same for tunnels that are known by what is inside: cut before that, they are datagrams.
    fn opens_after_header(kind: TunnelKind, bytes: &[u8], expected: &str) -> Option<u32> {
        let segment = segment(ETHERNET, bytes);
        let tunnel = segment.tunnel.unwrap();
        assert_eq!((said(&segment).as_str(), tunnel.kind, tunnel.depth), (expected, kind, 1));
        for end in 0..bytes.len() {
            agrees(&frame(ETHERNET, &bytes[..end]));
            agrees(&Frame { wire_len: bytes.len() as u32, ..frame(ETHERNET, &bytes[..end]) });
        }
        segment.zone.vni
    }

    fn over(port: u16, parts: &[&[u8]]) -> Vec<u8> {
        outer(17, &udp(50_000, port, &glue(parts)))
    }

    /// Checks that a datagram on a tunnel's port is read as itself.
    fn stays(frame: &[u8], port: u16) {
        let segment = segment(ETHERNET, frame);
        assert_eq!((segment.five_tuple.dst_port, segment.tunnel), (port, None));
    }

    #[test]
    fn ip_in_ip_all_four() {
        for (protocol, packet, expected) in [(4, tcp4(), TCP4), (41, tcp6(), TCP6)] {
            opens(TunnelKind::IpInIp, &outer(protocol, &packet), expected);
            let frame = ethernet(0x86dd, &ipv6(protocol, &packet));
            check(ETHERNET, &frame, expected);
            assert_eq!(segment(ETHERNET, &frame).tunnel.unwrap().kind, TunnelKind::IpInIp);
        }
        opens(TunnelKind::IpInIp, &outer(137, &glue(&[&[0, 1, 0x41, 64], &tcp4()])), TCP4);
        opens(TunnelKind::IpInIp, &outer(97, &glue(&[&[0x30, 0], &inner()])), TCP4);
        assert_eq!(outcome(ETHERNET, &outer(97, &glue(&[&[0x20, 0], &inner()]))), Outcome::MalformedTunnel);
    }

    #[test]
    fn gre_in_udp_with_each_optional_field() {
        let gre = TunnelKind::Gre;
        for (flags, fields) in [(0, 0), (0x80, 4), (0x20, 4), (0x10, 4), (0xb0, 12)] {
            opens_after_header(gre, &over(4754, &[&[flags, 0, 8, 0], &vec![9; fields], &tcp4()]), TCP4);
            opens_after_header(gre, &over(4754, &[&[flags, 0, 0x86, 0xdd], &vec![9; fields], &tcp6()]), TCP6);
        }
        let keyed = over(4754, &[&[0xa0, 0, 0x65, 0x58, 9, 9, 9, 9, 0, 0x50, 0, 7], &inner()]);
        assert_eq!(opens_after_header(gre, &keyed, TCP4), Some(0x5000));
        let labels = over(4754, &[&[0, 0, 0x88, 0x47, 0, 1, 0x41, 64], &tcp4()]);
        opens_after_header(gre, &labels, TCP4);
        stays(&over(4754, &[&[0x40, 0, 8, 0], &tcp4()]), 4754);
        stays(&over(4754, &[&[0, 1, 8, 0], &tcp4()]), 4754);
        stays(&over(4754, &[b"hello"]), 4754);
    }

    #[test]
    fn frames_that_access_points_mirror() {
        let frame = over(37_008, &[&[1, 0, 0, 1, 10, 1, 0xd0, 1], &inner()]);
        opens_after_header(TunnelKind::Tzsp, &frame, TCP4);
        let wireless = [0x08, 1, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0];
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        opens_after_header(TunnelKind::Tzsp, &over(37_008, &[&[1, 0, 0, 18, 1], &wireless, &snap, &tcp4()]), TCP4);
        // A beacon.
        stays(&over(37_008, &[&[1, 0, 0, 18, 1], &[0x80; 40]]), 37_008);
    }

    #[test]
    fn tunnels_at_ports_of_the_site() {
        let own: Vec<TunnelPort> =
            ["vxlan:14789", "geneve:16081", "gtp-u:12152", "gre:14754"].map(|text| text.parse().unwrap()).to_vec();
        let ports = TunnelPorts::with_own(&own);
        let length = (tcp4().len() as u16).to_be_bytes();
        for (kind, bytes) in [
            (TunnelKind::Vxlan, over(14789, &[&[8, 0, 0, 0, 0, 0, 9, 0], &inner()])),
            (TunnelKind::Geneve, over(16081, &[&[0, 0, 0x65, 0x58, 0, 0, 9, 0], &inner()])),
            (TunnelKind::GtpU, over(12152, &[&[0x30, 255], &length, &[0, 0, 0, 9], &tcp4()])),
            (TunnelKind::Gre, over(14754, &[&[0, 0, 8, 0], &tcp4()])),
        ] {
            let frame = frame(ETHERNET, &bytes);
            let mut place = Dissected::Other(Outcome::NotIp);
            dissect_into(&frame, &ports, &mut place);
            let Dissected::Segment(segment) = place else { panic!("{place:?}") };
            assert_eq!((said(&segment).as_str(), segment.tunnel.unwrap().kind), (TCP4, kind));
            let Dissected::Segment(general) = dissect_general(&frame, &ports) else { panic!() };
            assert_eq!(general, segment);
            // Where nobody named the port, it is a datagram.
            assert_eq!(super::super::sample::segment(ETHERNET, &bytes).tunnel, None);
        }
        // What is at the port and is none stays itself.
        let other = over(14789, &[b"hello"]);
        let Dissected::Segment(segment) = dissect_general(&frame(ETHERNET, &other), &ports) else { panic!() };
        assert_eq!((segment.five_tuple.dst_port, segment.tunnel), (14789, None));
    }

    #[test]
    fn gre_with_each_optional_field() {
        let gre = TunnelKind::Gre;
        for (flags, fields) in [(0, 0), (0x80, 4), (0x20, 4), (0x10, 4), (0xa0, 8), (0xb0, 12)] {
            opens(gre, &outer(47, &glue(&[&[flags, 0, 8, 0], &vec![9; fields], &tcp4()])), TCP4);
            opens(gre, &outer(47, &glue(&[&[flags, 0, 0x86, 0xdd], &vec![9; fields], &tcp6()])), TCP6);
        }
        // Source routes (RFC 1701): one entry of four bytes, then the end.
        let routes = [0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0];
        opens(gre, &outer(47, &glue(&[&[0x40, 0, 8, 0], &routes, &tcp4()])), TCP4);
        // PPTP: call number, sequence, acknowledgement, then PPP; without a sequence nothing is carried.
        opens(gre, &outer(47, &glue(&[&[0x30, 0x81, 0x88, 0x0b], &[0; 12], &[0xff, 3, 0, 0x21], &tcp4()])), TCP4);
        let acknowledgement = outer(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 5]);
        assert_eq!(outcome(ETHERNET, &acknowledgement), Outcome::OtherTransport);
        assert_eq!(outcome(ETHERNET, &outer(47, &[0, 2, 8, 0])), Outcome::MalformedTunnel);
        assert_eq!(outcome(ETHERNET, &outer(47, &[0x20, 0, 8, 0, 1])), Outcome::MalformedTunnel);
        // Keepalives say protocol 0.
        assert_eq!(outcome(ETHERNET, &outer(47, &[0, 0, 0, 0])), Outcome::NotIp);
        // Web cache redirection.
        opens(gre, &outer(47, &glue(&[&[0, 0, 0x88, 0x3e], &tcp4()])), TCP4);
        assert_eq!(said(&segment(ETHERNET, &outer(47, &glue(&[&[0, 0, 0x88, 0x3e, 1, 0, 0, 0], &tcp4()])))), TCP4);
    }

    #[test]
    fn ethernet_in_gre_and_nvgre() {
        let gre = |key: &[u8]| {
            let flags = if key.is_empty() { 0 } else { 0x20 };
            opens(TunnelKind::Gre, &outer(47, &glue(&[&[flags, 0, 0x65, 0x58], key, &inner()])), TCP4)
        };
        assert_eq!(gre(&[]), None);
        assert_eq!(
            gre(&[0x12, 0x34, 0x56, 0x99]),
            Some(0x0012_3456),
            "the flow identifier is no part of the network's"
        );
        assert_eq!(gre(&[0, 0, 0, 7]), Some(7), "no such subnet may be: a plain key");
    }

    #[test]
    fn erspan_of_each_type() {
        let kind = TunnelKind::Erspan;
        opens(kind, &outer(47, &glue(&[&[0, 0, 0x88, 0xbe], &inner()])), TCP4);
        let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 1, 0, 0, 0, 0];
        opens(kind, &outer(47, &glue(&[&second, &inner()])), TCP4);
        let third = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 1, 9, 9, 9, 9, 0, 0, 0, 0];
        opens(kind, &outer(47, &glue(&[&third, &inner()])), TCP4);
        // With a platform's own eight bytes, and with an IP packet in place of a frame.
        let mut platform = third;
        platform[19] = 1;
        opens(kind, &outer(47, &glue(&[&platform, &[7; 8], &inner()])), TCP4);
        let mut packet = third;
        packet[18] = 2 << 2;
        opens(kind, &outer(47, &glue(&[&packet, &tcp4()])), TCP4);
    }

    #[test]
    fn vxlan_on_both_ports_with_its_network() {
        for port in [4789, 8472] {
            let frame = over(port, &[&[8, 0, 0, 0, 0, 0x12, 0x34, 0], &inner()]);
            assert_eq!(opens(TunnelKind::Vxlan, &frame, TCP4), Some(0x1234));
            let ports = Some((50_000, port));
            assert!(matches!(segment(ETHERNET, &frame).tunnel, Some(Tunnel { ports: was, .. }) if was == ports));
        }
        // Group policy; reserved bits, which receivers ignore; an outer tag gives way to an inner one.
        opens(TunnelKind::Vxlan, &over(4789, &[&[0x88, 0, 0, 9, 0, 0, 1, 0], &inner()]), TCP4);
        opens(TunnelKind::Vxlan, &over(4789, &[&[0x08, 1, 1, 1, 0, 0, 1, 1], &inner()]), TCP4);
        let tagged = ethernet(0x8100, &tag(5, 0x0800, &tcp4()));
        let mut frame = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &tagged]);
        assert_eq!(segment(ETHERNET, &frame).zone.vlan, Some(5));
        frame.splice(12..12, [0x81, 0, 0, 7]);
        assert_eq!(segment(ETHERNET, &frame).zone.vlan, Some(5));
        assert_eq!(segment(ETHERNET, &frame).zone.inner_vlan, None);
        // Without the I bit, or without a frame inside, it is a datagram like others.
        stays(&over(4789, &[&[0; 8], &inner()]), 4789);
        stays(&over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &[0x77; 40]]), 4789);
        stays(
            &over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0026, b"something else, long enough for that")]),
            4789,
        );
        let spanning_tree = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0026, &[0x42; 38])]);
        assert_eq!(outcome(ETHERNET, &spanning_tree), Outcome::NotIp);
        let arp = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0806, &[0; 28])]);
        assert_eq!(outcome(ETHERNET, &arp), Outcome::NotIp);
    }

    #[test]
    fn vxlan_gpe_by_next_protocol() {
        let gpe = |flags: u8, protocol: u8| [flags, 0, 0, protocol, 0, 0, 9, 0];
        for port in [4790, 4789] {
            assert_eq!(opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 1), &tcp4()]), TCP4), Some(9));
            opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 2), &tcp6()]), TCP6);
            opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 3), &inner()]), TCP4);
            opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 4), &[0, 2, 2, 1, 0, 0, 1, 255], &tcp4()]), TCP4);
            opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 5), &[0, 1, 0x41, 64], &tcp4()]), TCP4);
        }
        opens(TunnelKind::Vxlan, &over(4790, &[&gpe(0x08, 0), &inner()]), TCP4);
        stays(&over(4790, &[&gpe(0x1c, 1), &tcp4()]), 4790);
        stays(&over(4790, &[&gpe(0x0c, 99), &tcp4()]), 4790);
    }

    #[test]
    fn geneve_with_options() {
        let frame = over(6081, &[&[2, 0, 0x65, 0x58, 0, 0, 7, 0], &[1, 1, 0x80, 1, 9, 9, 9, 9], &inner()]);
        assert_eq!(opens(TunnelKind::Geneve, &frame, TCP4), Some(7));
        opens(TunnelKind::Geneve, &over(6081, &[&[0, 0, 8, 0, 0, 0, 7, 0], &tcp4()]), TCP4);
        opens(TunnelKind::Geneve, &over(6081, &[&[0, 0, 0x86, 0xdd, 0, 0, 7, 0], &tcp6()]), TCP6);
        stays(&over(6081, &[&[0x40, 0, 8, 0, 0, 0, 7, 0], &tcp4()]), 6081);
        stays(&over(6081, &[&[0x3f, 0, 8, 0, 0, 0, 7, 0], &tcp4()]), 6081);
    }

    #[test]
    fn gtp_u_with_extension_headers() {
        let length = |extra: usize| ((tcp4().len() + extra) as u16).to_be_bytes();
        let teid = [0, 0, 0, 1];
        opens(TunnelKind::GtpU, &over(2152, &[&[0x30, 255], &length(0), &teid, &tcp4()]), TCP4);
        // A sequence number alone; the next type counts only with the E bit.
        opens(TunnelKind::GtpU, &over(2152, &[&[0x32, 255], &length(4), &teid, &[0, 1, 0, 0x85], &tcp4()]), TCP4);
        // A PDU session container (one unit), then a container of two units.
        let extensions = [0, 0, 0, 0x85, 1, 0x10, 9, 0x84, 2, 0, 0, 0, 0, 0, 0, 0];
        opens(TunnelKind::GtpU, &over(2152, &[&[0x34, 255], &length(16), &teid, &extensions, &tcp4()]), TCP4);
        // Echo requests and the charging protocol are datagrams like others.
        stays(&over(2152, &[&[0x32, 1, 0, 4], &teid, &[0; 4]]), 2152);
        stays(&over(2152, &[&[0x20, 255], &length(0), &teid, &tcp4()]), 2152);
        stays(&over(2152, &[&[0x34, 255], &length(8), &teid, &[0, 0, 0, 0x85, 0, 0, 0, 0], &tcp4()]), 2152);
    }

    #[test]
    fn teredo_with_its_indications() {
        let kind = TunnelKind::Teredo;
        opens(kind, &over(3544, &[&tcp6()]), TCP6);
        let authentication = glue(&[&[0, 1, 2, 3], &[9; 5], &[7; 8], &[0]]);
        let origin = [0, 0, 0xaa, 0xaa, 1, 2, 3, 4];
        opens(kind, &over(3544, &[&authentication, &tcp6()]), TCP6);
        opens(kind, &over(3544, &[&origin, &tcp6()]), TCP6);
        opens(kind, &over(3544, &[&authentication, &origin, &tcp6()]), TCP6);
        stays(&over(3544, &[&tcp4()]), 3544);
        stays(&over(3544, &[&tcp6()[..60]]), 3544);
    }

    #[test]
    fn l2tp_with_each_optional_field() {
        let kind = TunnelKind::L2tp;
        let ppp = [0xff, 3, 0, 0x21];
        let ids = [0, 1, 0, 2];
        opens(kind, &over(1701, &[&[0, 2], &ids, &ppp, &tcp4()]), TCP4);
        opens(kind, &over(1701, &[&[0x40, 2, 0, 99], &ids, &ppp, &tcp4()]), TCP4);
        opens(kind, &over(1701, &[&[0x08, 2], &ids, &[0, 1, 0, 0], &[0x21], &tcp4()]), TCP4);
        opens(kind, &over(1701, &[&[0x02, 2], &ids, &[0, 3, 9, 9, 9], &ppp, &tcp4()]), TCP4);
        opens(kind, &over(1701, &[&[0, 2], &ids, &[0, 0x57], &tcp6()]), TCP6);
        // Control messages, and LCP.
        stays(&over(1701, &[&[0xc8, 2, 0, 12], &ids, &[0; 4]]), 1701);
        stays(&over(1701, &[&[0, 2], &ids, &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4]]), 1701);
        // Version 3 over IP, with a cookie of four bytes.
        opens(kind, &outer(115, &glue(&[&[0, 0, 0, 9], &inner()])), TCP4);
        assert_eq!(said(&segment(ETHERNET, &outer(115, &glue(&[&[0, 0, 0, 9, 7, 7, 7, 7], &inner()])))), TCP4);
        assert_eq!(outcome(ETHERNET, &outer(115, &[0; 20])), Outcome::OtherTransport);
        // Version 3 over UDP, without a cookie and with one of eight bytes and a sublayer.
        for cookie in [&[][..], &[7; 4], &[7; 12]] {
            opens(kind, &over(1701, &[&[0, 3, 0, 0, 0, 0, 0, 9], cookie, &inner()]), TCP4);
        }
        stays(&over(1701, &[&[0xc8, 3, 0, 20, 0, 0, 0, 0], &[0; 12]]), 1701);
        stays(&over(1701, &[&[0, 3, 0, 0, 0, 0, 0, 0], &inner()]), 1701);
    }

    #[test]
    fn mpls_in_udp() {
        opens(TunnelKind::IpInIp, &over(6635, &[&[0, 1, 0x40, 64, 0, 1, 0x41, 64], &tcp4()]), TCP4);
        stays(&over(6635, &[b"just text on this port"]), 6635);
    }

    #[test]
    fn a_tunnel_within_a_tunnel_tells_the_outermost() {
        let vxlan = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &inner()]);
        let frame = outer(47, &glue(&[&[0, 0, 0x65, 0x58], &vxlan]));
        let segment = segment(ETHERNET, &frame);
        let tunnel = segment.tunnel.unwrap();
        assert_eq!((tunnel.kind, tunnel.depth, segment.zone.vni), (TunnelKind::Gre, 2, Some(1)));
    }
}
