//! Frames without IP in which a machine says to the other end of its cable who it is: LLDP (IEEE 802.1AB), and Cisco's CDP.

use super::link::ether_types as kinds;
use super::{MacAddress, Zone};
use crate::capture::{Frame, LinkType};

/// Tags of VLANs that are passed over.
const TAGS_MAX: usize = 2;
/// Below it, the number stands for a length (IEEE 802.3 clause 3.2.6), behind which LLC comes.
const ETHER_TYPE_MIN: u16 = 0x0600;
/// What LLC is in Linux's own numbers.
const COOKED_LLC: u16 = 4;
/// LLC and SNAP headers with Cisco's number and that of the protocol.
const CDP: &[u8] = &[0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x20, 0x00];

/// The protocol of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnouncementKind {
    /// LLDP.
    Lldp,
    /// Cisco Discovery Protocol.
    Cdp,
}

/// What a machine says of itself to its neighbours, not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// In which protocol.
    pub kind: AnnouncementKind,
    /// The address of the port that it was sent from.
    pub mac: MacAddress,
    /// By the tags of the frame.
    pub zone: Zone,
    /// Of LLDP its elements; of CDP what the LLC header begins.
    pub payload: &'a [u8],
}

/// The announcement in a frame that carries no IP, if it is one.
#[cold]
#[must_use]
pub fn announcement<'a>(frame: &Frame<'a>) -> Option<Announcement<'a>> {
    let (mac, mut kind, mut rest) = match frame.link_type {
        LinkType::ETHERNET => {
            let (header, rest) = frame.bytes.split_first_chunk::<14>()?;
            let [_, _, _, _, _, _, a, b, c, d, e, f, high, low] = *header;
            (MacAddress([a, b, c, d, e, f]), u16::from_be_bytes([high, low]), rest)
        }
        LinkType::LINUX_SLL => {
            let (header, rest) = frame.bytes.split_first_chunk::<16>()?;
            let [_, _, _, _, 0, 6, a, b, c, d, e, f, _, _, high, low] = *header else { return None };
            (MacAddress([a, b, c, d, e, f]), u16::from_be_bytes([high, low]), rest)
        }
        LinkType::LINUX_SLL2 => {
            let (header, rest) = frame.bytes.split_first_chunk::<20>()?;
            let [high, low, _, _, _, _, _, _, _, _, _, 6, a, b, c, d, e, f, _, _] = *header else { return None };
            (MacAddress([a, b, c, d, e, f]), u16::from_be_bytes([high, low]), rest)
        }
        _ => return None,
    };
    let mut zone = Zone::default();
    for _ in 0..TAGS_MAX {
        if !matches!(kind, kinds::VLAN | kinds::QINQ) {
            break;
        }
        let ([tag_high, tag_low, high, low], after) = rest.split_first_chunk::<4>()?;
        // Tag 0 carries a priority, not a VLAN.
        let number = Some(u16::from_be_bytes([*tag_high, *tag_low]) & 0x0fff).filter(|&number| number != 0);
        if zone.vlan.is_none() {
            zone.vlan = number;
        } else {
            zone.inner_vlan = number;
        }
        kind = u16::from_be_bytes([*high, *low]);
        rest = after;
    }
    let (kind, payload) = match kind {
        kinds::LLDP => (AnnouncementKind::Lldp, rest),
        length if length < ETHER_TYPE_MIN && rest.starts_with(CDP) => {
            let is_length = frame.link_type == LinkType::ETHERNET || length != COOKED_LLC;
            let llc = if is_length { rest.get(..length.into()).unwrap_or(rest) } else { rest };
            (AnnouncementKind::Cdp, llc)
        }
        _ => return None,
    };
    Some(Announcement { kind, mac, zone, payload })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
mod tests {
    use super::super::sample::*;
    use super::super::{Outcome, dissect};
    use super::*;
    use crate::decode::Dissected;
    use proptest::prelude::*;

    const SRC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    fn read(link_type: LinkType, bytes: &[u8]) -> Option<(AnnouncementKind, Option<u16>, Vec<u8>)> {
        let frame = frame(link_type, bytes);
        let found = announcement(&frame)?;
        assert_eq!(found.mac, SRC);
        assert!(matches!(dissect(&frame), Dissected::Other(Outcome::NotIp)));
        Some((found.kind, found.zone.vlan, found.payload.to_vec()))
    }

    #[test]
    fn lldp_by_its_type_and_cdp_by_its_headers() {
        let elements = b"\x02\x07\x04\x02\0\0\0\0\x01\0\0";
        let lldp = |vlan| Some((AnnouncementKind::Lldp, vlan, elements.to_vec()));
        assert_eq!(read(LinkType::ETHERNET, &ethernet(0x88cc, elements)), lldp(None));
        assert_eq!(read(LinkType::ETHERNET, &ethernet(0x8100, &tag(5, 0x88cc, elements))), lldp(Some(5)));
        assert_eq!(read(LinkType::ETHERNET, &ethernet(0x8100, &tag(0, 0x88cc, elements))), lldp(None));
        let body = glue(&[CDP, b"\x02\xb4\0\0"]);
        let cdp = |payload: &[u8]| Some((AnnouncementKind::Cdp, None, payload.to_vec()));
        // Behind the length there is only what fills the frame.
        let padded = glue(&[&body, &[0; 30]]);
        assert_eq!(read(LinkType::ETHERNET, &ethernet(body.len() as u16, &padded)), cdp(&body));
        let cooked = |kind: u16| glue(&[&[0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &kind.to_be_bytes()]);
        assert_eq!(read(LinkType::LINUX_SLL, &glue(&[&cooked(0x88cc), elements])), lldp(None));
        assert_eq!(read(LinkType::LINUX_SLL, &glue(&[&cooked(4), &body])), cdp(&body));
        let cooked2 = [0x88, 0xcc, 0, 0, 0, 0, 0, 3, 0, 1, 1, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(read(LinkType::LINUX_SLL2, &glue(&[&cooked2, elements])), lldp(None));
        for other in [ethernet(0x0806, &[0; 46]), ethernet(8, &CDP[..7]), ethernet(0x0800, &tcp4())] {
            assert_eq!(announcement(&frame(LinkType::ETHERNET, &other)), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_an_announcement_carries_no_ip(
            kind in prop::sample::select(vec![0x88cc_u16, 0x8100, 0x88a8, 8, 40]),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            for body in [bytes.clone(), glue(&[CDP, &bytes]), tag(3, 0x88cc, &bytes)] {
                read(LinkType::ETHERNET, &ethernet(kind, &body));
            }
        }
    }
}
