//! Generic routing encapsulation, over IP and over UDP, and what is built on it: NVGRE, ERSPAN, PPTP.

use super::{ip_layer, is_ethernet_or_llc, mpls_in_udp};
use crate::decode::carried::Carried;
use crate::decode::link::{be16, ether_types as kinds};
use crate::decode::{Context, Layer, Next, Outcome, Step, TunnelKind};

/// GRE (RFC 2784, 2890), enhanced GRE (RFC 2637), NVGRE (RFC 7637), ERSPAN.
pub(in crate::decode) fn gre<'a>(carried: Carried<'a>, context: &mut Context) -> Step<'a> {
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

/// RFC 8086 section 3: version 0, with checksum, key and sequence number as the only options.
pub(super) fn gre_in_udp<'a>(payload: &'a [u8], vni: &mut Option<u32>) -> Option<Layer<'a>> {
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
