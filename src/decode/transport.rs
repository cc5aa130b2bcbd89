//! What IP carries: TCP, UDP, and everything that leads to another header.

use super::carried::Carried;
use super::{Context, FiveTuple, Layer, Next, Outcome, Segment, Step, Transport, TunnelKind, extensions, tunnel};
use etherparse::IpNumber;

/// Goes on behind an IP header, without the detour of a [`Layer`]: handing it on costs more than reading most headers. It
/// counts all the same, and the way back to IP is by a layer, so the bounds on headers hold.
pub(super) fn next<'a>(content: Carried<'a>, context: &mut Context) -> Step<'a> {
    context.headers += 1;
    carried(content, context)
}

/// What an IP header carries.
pub(super) fn carried<'a>(carried: Carried<'a>, context: &mut Context) -> Step<'a> {
    match IpNumber(carried.protocol) {
        IpNumber::TCP => tcp(carried, context),
        IpNumber::UDP => udp(carried, context),
        IpNumber::IPV4 | IpNumber::IPV6 => {
            context.enter(TunnelKind::IpInIp, carried.src, carried.dst, None);
            Ok(Next::Layer(Layer::Ip(carried.bytes)))
        }
        IpNumber::GRE => tunnel::gre(carried, context),
        IpNumber::LAYER2_TUNNELING_PROTOCOL => tunnel::l2tp_v3(carried, context),
        IpNumber::ENCAPSULATING_SECURITY_PAYLOAD => Err(Outcome::Encrypted),
        // MPLS in IP (RFC 4023).
        IpNumber(137) => {
            context.enter(TunnelKind::IpInIp, carried.src, carried.dst, None);
            Ok(Next::Layer(Layer::EtherType(super::link::ether_types::MPLS, carried.bytes)))
        }
        // Ethernet in IP (RFC 3378): version 3, twelve bits that are zero.
        IpNumber(97) => match carried.bytes {
            [0x30, 0, frame @ ..] => {
                context.enter(TunnelKind::IpInIp, carried.src, carried.dst, None);
                Ok(Next::Layer(Layer::Ethernet(frame)))
            }
            [] | [0x30] => Err(context.short(Outcome::MalformedTunnel)),
            _ => Err(Outcome::MalformedTunnel),
        },
        // IPv4 has AH alone of these. With IPv6 the others come up behind a datagram that was put together from fragments.
        IpNumber::AUTHENTICATION_HEADER => extensions::follow(carried, context, next),
        IpNumber(protocol) if carried.src.is_ipv6() && extensions::is_extension(protocol) => {
            extensions::follow(carried, context, next)
        }
        _ => Err(Outcome::OtherTransport),
    }
}

/// RFC 9293 section 3.1.
fn tcp<'a>(carried: Carried<'a>, context: &Context) -> Step<'a> {
    // What the snap length left of the fixed part is enough down to the control bits; options may be cut anywhere.
    let cut = (carried.bytes.len() as u64) < u64::from(carried.promised);
    let short = if cut { Outcome::Truncated } else { context.short(Outcome::MalformedTransport) };
    let header = carried.bytes.first_chunk::<14>().ok_or(short)?;
    let [p0, p1, p2, p3, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags] = *header;
    let length = u32::from(offset >> 4) * 4;
    if length < 20 || length > carried.promised {
        return Err(Outcome::MalformedTransport);
    }
    let payload_len = carried.promised - length;
    let ports = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([p2, p3]));
    let (seq, ack) = (u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([a0, a1, a2, a3]));
    let (header, payload) = carried.bytes.split_at_checked(length as usize).unwrap_or((carried.bytes, &[]));
    let transport = Transport::Tcp { seq, ack, flags };
    Ok(Next::Segment(Segment { header, ..segment(carried, context, ports, transport, payload, payload_len) }))
}

/// RFC 768.
fn udp<'a>(carried: Carried<'a>, context: &mut Context) -> Step<'a> {
    if carried.promised < 8 {
        return Err(context.short(Outcome::MalformedTransport));
    }
    let by_network = carried.promised - 8;
    let Some((header, captured)) = carried.bytes.split_first_chunk::<8>() else {
        // Fewer bytes than promised, so the snap length cut here; the ports may be left.
        let [a, b, c, d, ..] = *carried.bytes else { return Err(Outcome::Truncated) };
        let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        return Ok(Next::Segment(segment(carried, context, ports, Transport::Udp, &[], by_network)));
    };
    let [a, b, c, d, e, f, ..] = *header;
    let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let payload_len = match u16::from_be_bytes([e, f]) {
        // A jumbogram (RFC 2675 section 4), or segmentation offload: the network layer knows.
        0 => by_network,
        length => u32::from(length).checked_sub(8).ok_or(Outcome::MalformedTransport)?.min(by_network),
    };
    let payload = captured.get(..payload_len as usize).unwrap_or(captured);
    if let Some(inner) = tunnel::over_udp(payload, ports, carried, context) {
        return Ok(Next::Layer(inner));
    }
    Ok(Next::Segment(segment(carried, context, ports, Transport::Udp, payload, payload_len)))
}

fn segment<'a>(
    carried: Carried<'a>,
    context: &Context,
    (src_port, dst_port): (u16, u16),
    transport: Transport,
    payload: &'a [u8],
    payload_len: u32,
) -> Segment<'a> {
    Segment {
        at: context.at,
        five_tuple: FiveTuple { src: carried.src, dst: carried.dst, src_port, dst_port, protocol: carried.protocol },
        zone: context.zone,
        transport,
        payload_len,
        header: &[],
        payload,
        macs: context.macs,
        tunnel: context.tunnel,
        hop_limit: context.hop_limit,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::sample::{segment, tcp, udp, *};
    use super::*;
    use crate::capture::{Frame, LinkType};
    use crate::decode::Dissected;

    const RAW: LinkType = LinkType::RAW;

    #[test]
    fn tcp_says_its_numbers_and_flags() {
        let packet = ipv4(6, &tcp(&[1; 12], HELLO));
        check(RAW, &packet, TCP4);
        assert_eq!(segment(RAW, &packet).transport, Transport::Tcp { seq: 7, ack: 9, flags: 0x18 });
        for offset in [0x00, 0x40, 0xf0] {
            let mut packet = tcp4();
            packet[32] = offset;
            assert_eq!(outcome(RAW, &packet), Outcome::MalformedTransport, "{offset:x}");
        }
        assert_eq!(outcome(RAW, &ipv4(6, &[0; 19])), Outcome::MalformedTransport);
    }

    #[test]
    fn a_snap_length_within_the_options_leaves_the_rest_readable() {
        // 64 bytes of a frame with 12 bytes of options: two of them are cut off.
        let frame_bytes = ethernet(0x0800, &ipv4(6, &tcp(&[1; 12], HELLO)));
        let cut = Frame { wire_len: frame_bytes.len() as u32, ..frame(LinkType::ETHERNET, &frame_bytes[..64]) };
        let Dissected::Segment(segment) = agrees(&cut) else { panic!() };
        assert_eq!(said(&segment), "10.0.0.1:1234>10.0.0.2:80/6 +5");
        assert_eq!(segment.transport, Transport::Tcp { seq: 7, ack: 9, flags: 0x18 });
    }

    #[test]
    fn udp_follows_the_shorter_of_its_lengths() {
        let mut packet = ipv4(17, &udp(5, 6, HELLO));
        check(RAW, &packet, "10.0.0.1:5>10.0.0.2:6/17 hello");
        for (length, expected) in [(0, "hello"), (8, ""), (11, "hel"), (14, "hello"), (255, "hello")] {
            packet[25] = length;
            assert_eq!(said(&segment(RAW, &packet)), format!("10.0.0.1:5>10.0.0.2:6/17 {expected}"));
        }
        for length in 1..8 {
            packet[25] = length;
            assert_eq!(outcome(RAW, &packet), Outcome::MalformedTransport);
        }
        assert_eq!(outcome(RAW, &ipv4(17, &[0; 7])), Outcome::MalformedTransport);
    }

    #[test]
    fn ports_alone_are_enough_of_a_cut_datagram() {
        let packet = ipv4(17, &udp(5, 6, HELLO));
        let cut = Frame { wire_len: packet.len() as u32, ..frame(RAW, &packet[..25]) };
        let Dissected::Segment(segment) = agrees(&cut) else { panic!() };
        assert_eq!(said(&segment), "10.0.0.1:5>10.0.0.2:6/17 +5");
    }
}
