//! What Juniper's routers put in front of the frames that they capture.

use super::super::{Context, Layer, Outcome};
use super::frame_relay::frame_relay;
use super::{Behind, be16, ppp};
use crate::capture::LinkType;

/// A magic number, flags, and perhaps a list of extensions; then the frame as it was on the wire, for these link types.
pub(super) fn juniper<'a>(link_type: LinkType, bytes: &'a [u8], context: &mut Context) -> Behind<'a> {
    let short = context.short(Outcome::MalformedLink);
    let [0x4d, 0x47, 0x43, flags, ..] = *bytes else {
        return Err(if bytes.len() < 4 { short } else { Outcome::MalformedLink });
    };
    let extensions = if flags & HAS_EXTENSIONS != 0 { 2 + usize::from(be16(bytes, 4).ok_or(short)?) } else { 0 };
    let rest = bytes.get(4 + extensions..).ok_or(short)?;
    if flags & HAS_NO_LINK_HEADER != 0 {
        return Ok(Layer::Ip(rest));
    }
    match link_type {
        LinkType::JUNIPER_PPP => Ok(Layer::Ppp(rest)),
        LinkType::JUNIPER_C_HDLC => ppp::cisco_hdlc(rest, context),
        LinkType::JUNIPER_FRAME_RELAY => frame_relay(rest, context),
        _ => Ok(Layer::Ethernet(rest)),
    }
}

const HAS_NO_LINK_HEADER: u8 = 0x02;
const HAS_EXTENSIONS: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::super::super::sample::*;
    use super::*;

    #[test]
    fn frames_of_each_kind_with_and_without_extensions() {
        let packet = tcp4();
        let frame = ethernet(0x0800, &packet);
        for header in [&[0x4d, 0x47, 0x43, 1][..], &[0x4d, 0x47, 0x43, 0x80, 0, 6, 1, 1, 9, 3, 1, 9]] {
            check(LinkType::JUNIPER_ETHER, &glue(&[header, &frame]), TCP4);
            check(LinkType::JUNIPER_PPPOE, &glue(&[header, &frame]), TCP4);
            check(LinkType::JUNIPER_PPP, &glue(&[header, &[0xff, 3, 0, 0x21], &packet]), TCP4);
            check(LinkType::JUNIPER_C_HDLC, &glue(&[header, &[0x0f, 0, 8, 0], &packet]), TCP4);
            check(LinkType::JUNIPER_FRAME_RELAY, &glue(&[header, &[0x18, 0x41, 3, 0xcc], &packet]), TCP4);
        }
        check(LinkType::JUNIPER_ETHER, &glue(&[&[0x4d, 0x47, 0x43, 2], &packet]), TCP4);
        assert_eq!(outcome(LinkType::JUNIPER_ETHER, &frame), Outcome::MalformedLink);
    }
}
