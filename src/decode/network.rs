//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use super::carried::Carried;
use super::fragment::{Fragment, FragmentKey};
use super::{Context, IP_HEADERS_MAX, Next, Outcome, Step, extensions, transport};
use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice};

pub(super) fn ip<'a>(bytes: &'a [u8], context: &mut Context) -> Step<'a> {
    context.ip_headers += 1;
    if context.ip_headers > IP_HEADERS_MAX {
        return Err(Outcome::NestedTooDeep);
    }
    match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(bytes, context),
        Some(6) => ipv6(bytes, context),
        Some(_) => Err(Outcome::MalformedNetwork),
        None => Err(context.short(Outcome::MalformedNetwork)),
    }
}

fn ipv4<'a>(bytes: &'a [u8], context: &mut Context) -> Step<'a> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        etherparse::err::ipv4::HeaderSliceError::Len(_) => context.short(Outcome::MalformedNetwork),
        etherparse::err::ipv4::HeaderSliceError::Content(_) => Outcome::MalformedNetwork,
    })?;
    context.hop_limit = header.ttl();
    let length = header.slice().len();
    let captured = bytes.get(length..).unwrap_or(&[]);
    // Segmentation offload leaves the length zero: then all that follows is the packet.
    let promised = match usize::from(header.total_len()) {
        0 => captured.len().saturating_add(context.missing as usize),
        total => total.checked_sub(length).ok_or(Outcome::MalformedNetwork)?,
    };
    let carried = Carried {
        protocol: header.protocol().0,
        src: header.source_addr().into(),
        dst: header.destination_addr().into(),
        bytes: captured.get(..promised).unwrap_or(captured),
        promised: u32::try_from(promised).unwrap_or(u32::MAX),
    };
    let offset = u32::from(header.fragments_offset().value()) * 8;
    if offset > 0 || header.more_fragments() {
        return Ok(Next::Fragment(Fragment::new(
            FragmentKey {
                src: carried.src,
                dst: carried.dst,
                id: header.identification().into(),
                protocol: carried.protocol,
                zone: context.zone,
            },
            offset,
            header.more_fragments(),
            carried,
            *context,
        )));
    }
    transport::next(carried, context)
}

fn ipv6<'a>(bytes: &'a [u8], context: &mut Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedNetwork);
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| short)?;
    let (src, dst) = (header.source_addr().into(), header.destination_addr().into());
    context.hop_limit = header.hop_limit();
    let captured = bytes.get(40..).unwrap_or(&[]);
    let next = header.next_header().0;
    let promised = match usize::from(header.payload_length()) {
        // A jumbogram says its length in an option; segmentation offload leaves it out: then all that follows is the packet.
        0 => match jumbo_length(next, captured) {
            Some(length) => length,
            None => u32::try_from(captured.len()).unwrap_or(u32::MAX).saturating_add(context.missing),
        },
        length => u32::try_from(length).unwrap_or(u32::MAX),
    };
    let bytes = captured.get(..promised as usize).unwrap_or(captured);
    extensions::follow(Carried { protocol: next, src, dst, bytes, promised }, context, transport::next)
}

/// The jumbo payload option (RFC 2675 section 2) of a hop-by-hop header.
fn jumbo_length(next: u8, bytes: &[u8]) -> Option<u32> {
    if IpNumber(next) != IpNumber::IPV6_HEADER_HOP_BY_HOP {
        return None;
    }
    let length = 8 + 8 * usize::from(*bytes.get(1)?);
    let mut options = bytes.get(2..length).or_else(|| bytes.get(2..))?;
    loop {
        options = match options {
            // Pad1 is the only option without a length (RFC 8200 section 4.2).
            [0, rest @ ..] => rest,
            [0xc2, 4, a, b, c, d, ..] => return Some(u32::from_be_bytes([*a, *b, *c, *d])),
            [_, length, rest @ ..] => rest.get(usize::from(*length)..)?,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::sample::{ipv4, ipv6, *};
    use super::*;
    use crate::capture::{Frame, LinkType};

    const RAW: LinkType = LinkType::RAW;

    #[test]
    fn ipv4_options_padding_and_offloaded_length() {
        let mut packet = tcp4();
        packet.splice(20..20, [1, 1, 1, 1]);
        packet[0] = 0x46;
        packet[3] += 4;
        check(RAW, &packet, TCP4);
        // Ethernet pads to 60 bytes, which is no payload.
        let mut padded = tcp4();
        padded.resize(64, 0x5a);
        assert_eq!(said(&segment(RAW, &padded)), TCP4);
        // Segmentation offload: all that follows, and what the snap length cut off.
        let mut offloaded = tcp4();
        offloaded[2..4].fill(0);
        check(RAW, &offloaded, TCP4);
    }

    #[test]
    fn ipv4_that_contradicts_itself() {
        let mut packet = tcp4();
        packet[0] = 0x44;
        assert_eq!(outcome(RAW, &packet), Outcome::MalformedNetwork);
        packet[0] = 0x45;
        packet[3] = 19;
        assert_eq!(outcome(RAW, &packet), Outcome::MalformedNetwork);
        packet[0] = 0x55;
        assert_eq!(outcome(RAW, &packet), Outcome::MalformedNetwork);
        assert_eq!(outcome(RAW, &[]), Outcome::MalformedNetwork);
        assert_eq!(outcome(RAW, &ipv4(1, &[8; 40])), Outcome::OtherTransport);
        assert_eq!(outcome(RAW, &ipv4(50, &[8; 40])), Outcome::Encrypted);
    }

    #[test]
    fn authentication_header_in_both_versions() {
        // Length 4: 24 bytes.
        let header = |next: u8| glue(&[&[next, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &[7; 12]]);
        let packet = glue(&[&header(6), &tcp(&[], HELLO)]);
        check(RAW, &ipv4(51, &packet), TCP4);
        check(RAW, &ipv6(51, &packet), TCP6);
    }

    #[test]
    fn every_extension_header_of_ipv6_leads_on() {
        let segment_bytes = tcp(&[], HELLO);
        let mut all = segment_bytes.clone();
        let mut next = 6;
        for kind in [0, 43, 60, 135, 139, 140, 253, 254] {
            let one = glue(&[&[6, 1], &[0; 14], &segment_bytes]);
            check(RAW, &ipv6(kind, &one), TCP6);
            all = glue(&[&[next, 0, 0, 0, 0, 0, 0, 0], &all]);
            next = kind;
        }
        check(RAW, &ipv6(next, &all), TCP6);
        let mut endless = segment_bytes;
        for _ in 0..600 {
            endless = glue(&[&[60, 0, 0, 0, 0, 0, 0, 0], &endless]);
        }
        assert_eq!(outcome(RAW, &ipv6(60, &endless)), Outcome::NestedTooDeep);
        // A header longer than the packet.
        assert_eq!(outcome(RAW, &ipv6(60, &[6, 200, 0, 0, 0, 0, 0, 0])), Outcome::MalformedNetwork);
        // No next header.
        assert_eq!(outcome(RAW, &ipv6(59, &[])), Outcome::OtherTransport);
    }

    #[test]
    fn an_atomic_fragment_is_a_whole_datagram() {
        let body = glue(&[&[6, 0, 0, 0, 1, 2, 3, 4], &tcp(&[], HELLO)]);
        check(RAW, &ipv6(44, &body), TCP6);
    }

    #[test]
    fn a_jumbogram_says_its_length_in_an_option() {
        let length = 100_000_u32;
        let body = glue(&[&[6, 0, 0xc2, 4], &length.to_be_bytes(), &tcp(&[], &[0x5a; 100_000 - 28])]);
        let mut packet = ipv6(0, &[]);
        packet.extend(body);
        let jumbo = segment(RAW, &packet);
        assert_eq!((jumbo.payload.len(), jumbo.payload_len), (99_972, 99_972));
        // Cut by the snap length, the option still tells.
        let cut = Frame { wire_len: packet.len() as u32, ..frame(RAW, &packet[..200]) };
        let super::super::Dissected::Segment(jumbo) = agrees(&cut) else { panic!() };
        assert_eq!((jumbo.payload.len(), jumbo.payload_len), (132, 99_972));
        assert_eq!(
            jumbo_length(0, &[6, 1, 0, 0, 0, 0, 0xc2, 4, 0, 1, 0x86, 0xa0, 1, 2, 0, 0]),
            Some(length),
            "behind padding"
        );
        assert_eq!(jumbo_length(0, &[6, 0, 1, 4, 0, 0, 0, 0, 0xc2, 4, 0, 1, 0, 0]), None, "behind the header");
        // Padding in place of the option; a zero length without one is segmentation offload.
        packet[40..48].copy_from_slice(&[6, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(segment(RAW, &packet).payload_len, 99_972);
        let mut offloaded = tcp6();
        offloaded[4..6].fill(0);
        check(RAW, &offloaded, TCP6);
    }
}
