//! Label stacks.

use super::super::{Context, Layer, Next, Outcome, Step};
use super::be16;
use super::ethernet::is_ethernet;

/// A label stack (RFC 3032). What it carries is not said, so the first nibble decides, as routers do (RFC 4928).
pub(in crate::decode) fn mpls<'a>(bytes: &'a [u8], context: &Context) -> Step<'a> {
    let short = context.short(Outcome::MalformedLink);
    let mut rest = bytes;
    for _ in 0..16 {
        let (entry, after) = rest.split_first_chunk::<4>().ok_or(short)?;
        rest = after;
        if entry[2] & 1 == 1 {
            let layer = match rest.first().ok_or(short)? >> 4 {
                // Unless that cannot be: a pseudowire without control word begins with an Ethernet address, and many begin so.
                4 | 6 if is_whole_ip(rest, context) || !is_ethernet(rest) => Layer::Ip(rest),
                // A pseudowire control word (RFC 4385), or the first bytes of an Ethernet address.
                0 if rest.first() == Some(&0) && !is_ethernet(rest) => Layer::Ethernet(rest.get(4..).ok_or(short)?),
                1 => return Err(Outcome::NotIp),
                _ => Layer::Ethernet(rest),
            };
            return Ok(Next::Layer(layer));
        }
    }
    Err(Outcome::NestedTooDeep)
}

/// Whether an IP header can begin here, by the length in it.
fn is_whole_ip(bytes: &[u8], context: &Context) -> bool {
    let promised = match bytes.first() {
        Some(0x45..=0x4f) => be16(bytes, 2).filter(|&total| total >= 20).map(usize::from),
        Some(0x60..=0x6f) => be16(bytes, 4).map(|length| 40 + usize::from(length)),
        _ => None,
    };
    promised.is_some_and(|promised| context.cut || promised <= bytes.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::super::super::Outcome;
    use super::super::super::sample::*;
    use crate::capture::LinkType;

    #[test]
    fn mpls_is_read_by_its_first_nibble() {
        let label = |bottom: u8| [0, 1, 0x40 | bottom, 64];
        let over = |body: &[u8]| ethernet(0x8847, &glue(&[&label(0), &label(1), body]));
        check(LinkType::ETHERNET, &over(&tcp4()), TCP4);
        check(LinkType::ETHERNET, &over(&tcp6()), TCP6);
        // A pseudowire with a control word, without, and without where the address looks like IPv4.
        let inner = ethernet(0x0800, &tcp4());
        check(LinkType::ETHERNET, &over(&glue(&[&[0; 4], &inner])), TCP4);
        assert_eq!(said(&segment(LinkType::ETHERNET, &over(&inner))), TCP4);
        let mut address = inner;
        address[..2].copy_from_slice(&[0x48, 0x5b]);
        assert_eq!(said(&segment(LinkType::ETHERNET, &over(&address))), TCP4);
        // An associated channel carries no user's packet.
        assert_eq!(outcome(LinkType::ETHERNET, &over(&[0x10, 0, 0, 0x21])), Outcome::NotIp);
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(0x8847, &[0; 80])), Outcome::NestedTooDeep);
    }
}
