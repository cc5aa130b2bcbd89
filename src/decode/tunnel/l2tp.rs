//! Layer two tunneling protocol: version 2 over UDP, version 3 over IP and UDP.

use super::ip_layer;
use crate::decode::carried::Carried;
use crate::decode::link::{be16, is_ethernet};
use crate::decode::{Context, Layer, Next, Outcome, Step, TunnelKind};

/// L2TPv3 over IP (RFC 3931): a session identifier, a cookie, then most often Ethernet.
pub(in crate::decode) fn l2tp_v3<'a>(carried: Carried<'a>, context: &mut Context) -> Step<'a> {
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

/// RFC 2661 section 3.1: data messages of version 2 carry PPP.
pub(super) fn l2tp_v2(payload: &[u8]) -> Option<Layer<'_>> {
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
pub(super) fn l2tp_v3_udp(payload: &[u8]) -> Option<Layer<'_>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [high, low, _, _, session @ ..] = *header;
    if high & 0x80 != 0 || low & 0x0f != 3 || session == [0; 4] {
        return None;
    }
    behind_cookie(rest).map(Layer::Ethernet)
}
