//! The common shape, by fixed offsets: Ethernet, up to two VLAN tags, IPv4 without options or IPv6 without extensions, TCP or UDP.
//! Anything else, and anything odd, is left to the general walk, which must agree on every frame that this one takes.

use super::{Dissected, FiveTuple, MacAddress, Segment, Transport, TunnelPorts, Zone};
use crate::capture::{Frame, LinkType, Timestamp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Puts the segment of a frame of the common shape into its place; `None` when the frame has another shape.
#[inline(always)]
pub(super) fn dissect_into<'a>(frame: &Frame<'a>, ports: &TunnelPorts, place: &mut Dissected<'a>) -> Option<()> {
    if frame.link_type != LinkType::ETHERNET || frame.wire_len as usize != frame.bytes.len() {
        return None;
    }
    let (link, mut rest) = frame.bytes.split_first_chunk::<14>()?;
    let mut kind = [link[12], link[13]];
    let mut zone = Zone::default();
    for _ in 0..2 {
        if kind != [0x81, 0x00] {
            break;
        }
        let (tag, after) = rest.split_first_chunk::<4>()?;
        let number = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
        // Priority tags, which name no VLAN, are rare.
        if number == 0 {
            return None;
        }
        if zone.vlan.is_none() {
            zone.vlan = Some(number);
        } else {
            zone.inner_vlan = Some(number);
        }
        kind = [tag[2], tag[3]];
        rest = after;
    }
    // Each version goes on by itself: where they met again, addresses would have to be copied byte by byte.
    match kind {
        [0x08, 0x00] => {
            let (header, body) = rest.split_first_chunk::<20>()?;
            let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
            if header[0] != 0x45 || fragment != 0 {
                return None;
            }
            let (src, dst) = header.get(12..)?.split_first_chunk::<4>()?;
            let addresses = (Ipv4Addr::from(*src).into(), Ipv4Addr::from(*dst.first_chunk::<4>()?).into());
            let ip =
                Ip { addresses, hop_limit: header[8], protocol: header[9], body: body.get(..total.checked_sub(20)?)? };
            ip.dissect_into(frame.at, link, zone, ports, place)
        }
        [0x86, 0xdd] => {
            let (header, body) = rest.split_first_chunk::<40>()?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if header[0] >> 4 != 6 || length == 0 {
                return None;
            }
            let (src, dst) = header.get(8..)?.split_first_chunk::<16>()?;
            let addresses = (Ipv6Addr::from(*src).into(), Ipv6Addr::from(*dst.first_chunk::<16>()?).into());
            let ip = Ip { addresses, hop_limit: header[7], protocol: header[6], body: body.get(..length)? };
            ip.dissect_into(frame.at, link, zone, ports, place)
        }
        _ => None,
    }
}

/// What an IP header says, and what it carries.
struct Ip<'a> {
    /// Source and destination.
    addresses: (IpAddr, IpAddr),
    hop_limit: u8,
    protocol: u8,
    body: &'a [u8],
}

impl<'a> Ip<'a> {
    #[inline(always)]
    fn dissect_into(
        self,
        at: Timestamp,
        link: &[u8; 14],
        zone: Zone,
        tunnel_ports: &TunnelPorts,
        place: &mut Dissected<'a>,
    ) -> Option<()> {
        let Self { addresses: (src, dst), hop_limit, protocol, body } = self;
        let ports = body.first_chunk::<4>()?;
        let src_port = u16::from_be_bytes([ports[0], ports[1]]);
        let dst_port = u16::from_be_bytes([ports[2], ports[3]]);
        let (transport, header, payload) = match protocol {
            FiveTuple::TCP => {
                let fixed = body.first_chunk::<20>()?;
                let length = usize::from(fixed[12] >> 4) * 4;
                if length < 20 {
                    return None;
                }
                let seq = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
                let ack = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
                let (header, payload) = body.split_at_checked(length)?;
                (Transport::Tcp { seq, ack, flags: fixed[13] }, header, payload)
            }
            FiveTuple::UDP => {
                let header = body.first_chunk::<8>()?;
                let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
                // The general walk has to look into those.
                if tunnel_ports.may_be(src_port, dst_port) {
                    return None;
                }
                (Transport::Udp, &[][..], body.get(8..length)?)
            }
            _ => return None,
        };
        // Byte by byte: copied as arrays they would go through memory in pieces of other sizes, which stalls.
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, ..] = *link;
        // In place, since a segment is large for one packet's share of time.
        *place = Dissected::Segment(Segment {
            at,
            five_tuple: FiveTuple { src, dst, src_port, dst_port, protocol },
            zone,
            transport,
            payload_len: u32::try_from(payload.len()).ok()?,
            header,
            payload,
            macs: Some((MacAddress([s0, s1, s2, s3, s4, s5]), MacAddress([d0, d1, d2, d3, d4, d5]))),
            tunnel: None,
            hop_limit,
        });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::sample::*;
    use super::super::{Outcome, tunnel_ports};
    use super::*;
    use proptest::prelude::*;

    fn dissect<'a>(frame: &Frame<'a>) -> Option<Segment<'a>> {
        let mut place = Dissected::Other(Outcome::NotIp);
        dissect_into(frame, &tunnel_ports::ASSIGNED, &mut place)?;
        let Dissected::Segment(segment) = place else { panic!("not filled") };
        Some(segment)
    }

    /// A frame of the common shape, most of the time.
    fn common() -> impl Strategy<Value = Vec<u8>> {
        let port = || prop_oneof![any::<u16>(), Just(53), Just(443), Just(4789), Just(2152)];
        let tags = prop::collection::vec((any::<u16>(), prop::sample::select(vec![0x8100_u16, 0x8100, 0x88a8])), 0..4);
        let payload = prop::collection::vec(any::<u8>(), 0..100);
        let options = (0_usize..11).prop_map(|words| vec![1; 4 * words]);
        (tags, any::<(bool, bool)>(), port(), port(), options, payload, 0_usize..8).prop_map(
            |(tags, (is_v4, is_tcp), src_port, dst_port, options, payload, padding)| {
                let body = if is_tcp { tcp(&options, &payload) } else { udp(src_port, dst_port, &payload) };
                let protocol = if is_tcp { 6 } else { 17 };
                let (mut kind, mut packet) =
                    if is_v4 { (0x0800, ipv4(protocol, &body)) } else { (0x86dd, ipv6(protocol, &body)) };
                packet.resize(packet.len() + padding, 0);
                for (number, outer) in tags {
                    packet = tag(number, kind, &packet);
                    kind = outer;
                }
                ethernet(kind, &packet)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_the_general_walk_on_common_frames(bytes in common(), missing in prop_oneof![9 => Just(0), 1 => 1_u32..9]) {
            agrees(&Frame { wire_len: bytes.len() as u32 + missing, ..frame(LinkType::ETHERNET, &bytes) });
        }

        #[test]
        fn agrees_with_the_general_walk_on_mutated_frames(
            bytes in common(),
            changes in prop::collection::vec((0_usize..80, any::<u8>()), 1..4),
            end in any::<prop::sample::Index>(),
            is_cut: bool,
        ) {
            let mut bytes = bytes;
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            if is_cut {
                bytes.truncate(end.index(bytes.len() + 1));
            }
            agrees(&frame(LinkType::ETHERNET, &bytes));
        }
    }

    #[test]
    fn takes_what_is_common() {
        let frames = [
            ethernet(0x0800, &tcp4()),
            ethernet(0x86dd, &tcp6()),
            ethernet(0x8100, &tag(7, 0x8100, &tag(5, 0x0800, &ipv4(17, &udp(5, 53, HELLO))))),
        ];
        for bytes in &frames {
            let short = dissect(&frame(LinkType::ETHERNET, bytes)).unwrap();
            assert_eq!((short, short.at), (segment(LinkType::ETHERNET, bytes), Timestamp(5)));
        }
    }

    #[test]
    fn leaves_what_is_odd() {
        // First of several fragments, a later one, reserved bit and offset, options, offloaded length, ICMP.
        let changes = [(20, 0x20), (21, 1), (20, 0xa0), (14, 0x46), (17, 0), (23, 1)];
        for (place, value) in changes {
            let mut bytes = ethernet(0x0800, &tcp4());
            bytes[place] = value;
            assert_eq!(dissect(&frame(LinkType::ETHERNET, &bytes)), None, "{value} at {place}");
        }
        // Not to fragment is common.
        let mut bytes = ethernet(0x0800, &tcp4());
        bytes[20] = 0x40;
        assert!(dissect(&frame(LinkType::ETHERNET, &bytes)).is_some());
        let priority = ethernet(0x8100, &tag(0, 0x0800, &tcp4()));
        assert_eq!(dissect(&frame(LinkType::ETHERNET, &priority)), None);
        let cut = Frame { wire_len: 100, ..frame(LinkType::ETHERNET, &bytes) };
        assert_eq!(dissect(&cut), None);
    }

    #[test]
    fn leaves_what_may_be_a_tunnel() {
        for port in tunnel_ports::assigned::ALL {
            let bytes = ethernet(0x0800, &ipv4(17, &udp(5, port, HELLO)));
            assert_eq!(dissect(&frame(LinkType::ETHERNET, &bytes)), None);
            let bytes = ethernet(0x0800, &ipv4(17, &udp(port, 5, HELLO)));
            assert_eq!(dissect(&frame(LinkType::ETHERNET, &bytes)), None);
        }
    }
}
