//! Reads a block that the kernel has retired: a header, then a chain of frames (`linux/if_packet.h`).

use libc::{sockaddr_ll, tpacket_block_desc, tpacket_hdr_v1, tpacket_hdr_variant1, tpacket3_hdr};
use std::mem::offset_of;

use kaspector::capture::{LinkType, Record, Timestamp};

/// Where the fields of a block's header lie.
const BLOCK: usize = offset_of!(tpacket_block_desc, hdr);
/// Where a block says whose it is.
pub(super) const BLOCK_STATUS: usize = BLOCK + offset_of!(tpacket_hdr_v1, block_status);
const VLAN: usize = offset_of!(tpacket3_hdr, hv1);
/// `sockaddr_ll` stands behind the frame's header.
const ADDRESS: usize = size_of::<tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
/// What stands in front of a frame, but for the room that is kept free.
const HEADER: usize = ADDRESS + size_of::<sockaddr_ll>();
/// Two addresses, behind which a tag stands.
const MAC_ADDRESSES: usize = 12;
/// Bytes that the kernel must keep free in front of each frame (`PACKET_RESERVE`): a tag.
pub(super) const HEADROOM: usize = 4;
const TPID_8021Q: u16 = 0x8100;

/// How the frames of an interface are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    /// How their first header is to be read.
    pub link_type: LinkType,
    /// Bytes that are kept of each.
    pub snaplen: u32,
    /// Whether frames that the machine sent are left out: on loopback each would come twice.
    pub skip_outgoing: bool,
}

/// Frames of a retired block, which point into it; reused from block to block.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Where they lie.
    pub records: Vec<Record>,
    /// Those of them whose time is that of the interface's own clock.
    pub hardware_stamped: u64,
}

impl Taking {
    /// Finds the frames of a retired block, and puts tags that the kernel took off back into it. `None` when a header makes no
    /// sense: what stood before it was taken.
    pub(super) fn find_frames(self, retired: &mut [u8], taken: &mut Taken) -> Option<()> {
        taken.records.clear();
        taken.hardware_stamped = 0;
        let frames = u32_at(retired, BLOCK + offset_of!(tpacket_hdr_v1, num_pkts))?;
        let mut at = u32_at(retired, BLOCK + offset_of!(tpacket_hdr_v1, offset_to_first_pkt))? as usize;
        for left in (0..frames).rev() {
            let step = self.find_frame(retired, at, taken)?;
            // Each step leads past a header, so the chain cannot turn round.
            if left > 0 && step < HEADER {
                return None;
            }
            at = at.checked_add(step)?;
        }
        Some(())
    }

    /// Finds the frame whose header begins at `at`, and says how far the next one is.
    #[inline]
    fn find_frame(self, retired: &mut [u8], at: usize, taken: &mut Taken) -> Option<usize> {
        let header: &[u8; HEADER] = retired.get(at..)?.first_chunk()?;
        let step = u32_at(header, offset_of!(tpacket3_hdr, tp_next_offset))? as usize;
        let status = u32_at(header, offset_of!(tpacket3_hdr, tp_status))?;
        let captured = u32_at(header, offset_of!(tpacket3_hdr, tp_snaplen))? as usize;
        let mut wire_len = u32_at(header, offset_of!(tpacket3_hdr, tp_len))?;
        let seconds = u32_at(header, offset_of!(tpacket3_hdr, tp_sec))?;
        let nanoseconds = u32_at(header, offset_of!(tpacket3_hdr, tp_nsec))?;
        let offset = usize::from(u16_at(header, offset_of!(tpacket3_hdr, tp_mac))?);
        let tci = u32_at(header, VLAN + offset_of!(tpacket_hdr_variant1, tp_vlan_tci))?;
        let tpid = u16_at(header, VLAN + offset_of!(tpacket_hdr_variant1, tp_vlan_tpid))?;
        let direction = *header.get(ADDRESS + offset_of!(sockaddr_ll, sll_pkttype))?;
        let mut start = at.checked_add(offset)?;
        let end = start.checked_add(captured)?;
        retired.get(start..end)?;
        if self.skip_outgoing && direction == libc::PACKET_OUTGOING {
            return Some(step);
        }
        let tagged = status & libc::TP_STATUS_VLAN_VALID != 0 && self.link_type == LinkType::ETHERNET;
        if tagged && captured >= MAC_ADDRESSES {
            // The kernel takes the outermost tag out; readers of captures know it in its place. The addresses move down to make
            // room, into what `HEADROOM` keeps free behind this frame's own header.
            if offset < HEADER + HEADROOM {
                return None;
            }
            let [low, high, ..] = tci.to_le_bytes();
            let tpid = if status & libc::TP_STATUS_VLAN_TPID_VALID == 0 { TPID_8021Q } else { tpid };
            let [upper, lower] = tpid.to_be_bytes();
            retired.copy_within(start..start + MAC_ADDRESSES, start - HEADROOM);
            start -= HEADROOM;
            let tag = retired.get_mut(start + MAC_ADDRESSES..start + MAC_ADDRESSES + HEADROOM)?;
            tag.copy_from_slice(&[upper, lower, high, low]);
            wire_len = wire_len.saturating_add(HEADROOM as u32);
        }
        taken.hardware_stamped += u64::from(status & libc::TP_STATUS_TS_RAW_HARDWARE != 0);
        taken.records.push(Record {
            at: Timestamp(u64::from(seconds) * 1_000_000_000 + u64::from(nanoseconds)),
            start: u32::try_from(start).ok()?,
            len: u32::try_from(end - start).ok()?.min(self.snaplen),
            wire_len,
            link_type: self.link_type,
        });
        Some(step)
    }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use kaspector::capture::Block;
    use proptest::prelude::*;

    const TAKING: Taking = Taking { link_type: LinkType::ETHERNET, snaplen: 65535, skip_outgoing: false };
    /// Where the first of the two frames of `retired` begins, and how far the second is from it.
    const FIRST: usize = 48;
    const STEP: usize = 144;

    /// Two frames of 60 bytes as the kernel lays them out.
    fn retired() -> Vec<u8> {
        let mut bytes = vec![0; FIRST + 2 * STEP];
        put(&mut bytes, 12, 2);
        put(&mut bytes, 16, FIRST as u32);
        for (index, next) in [(0, STEP as u32), (1, 0)] {
            let at = FIRST + index * STEP;
            for (offset, value) in [(0, next), (4, 7), (8, 9), (12, 60), (16, 90)] {
                put(&mut bytes, at + offset, value);
            }
            bytes[at + 24..at + 26].copy_from_slice(&82_u16.to_ne_bytes());
            bytes[at + 82..at + 142].fill(index as u8 + 1);
        }
        bytes
    }

    fn put(bytes: &mut [u8], at: usize, value: u32) {
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// The frames as a block, and whether all were found.
    fn taken(taking: Taking, retired: &[u8]) -> (Block, bool) {
        let (mut bytes, mut taken) = (retired.to_vec(), Taken::default());
        let whole = taking.find_frames(&mut bytes, &mut taken).is_some();
        (Block { first_number: 1, bytes, records: taken.records }, whole)
    }

    #[test]
    fn frames_come_with_their_lengths_and_times() {
        let (block, whole) = taken(TAKING, &retired());
        assert!(whole);
        let frames: Vec<_> = block.frames().collect();
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[1].bytes, frames[1].wire_len), ([2; 60].as_slice(), 90));
        assert_eq!(frames[0].at, Timestamp(7_000_000_009));
    }

    #[test]
    fn a_tag_goes_back_behind_the_addresses() {
        let mut bytes = retired();
        put(&mut bytes, FIRST + 20, libc::TP_STATUS_VLAN_VALID);
        put(&mut bytes, FIRST + 32, 0x2064);
        let (block, _) = taken(TAKING, &bytes);
        let frame = block.frame(0).unwrap();
        assert_eq!((frame.bytes.len(), frame.wire_len), (64, 94));
        assert_eq!(frame.bytes[10..18], [1, 1, 0x81, 0x00, 0x20, 0x64, 1, 1]);
    }

    #[test]
    fn a_tag_that_has_no_room_is_damage_and_overwrites_no_header() {
        let mut bytes = retired();
        put(&mut bytes, FIRST + 20, libc::TP_STATUS_VLAN_VALID);
        bytes[FIRST + 24..FIRST + 26].copy_from_slice(&(HEADER as u16 + 3).to_ne_bytes());
        let (block, whole) = taken(TAKING, &bytes);
        assert_eq!((block.records.len(), whole, block.bytes == bytes), (0, false, true));
        bytes[FIRST + 24..FIRST + 26].copy_from_slice(&(HEADER as u16 + 4).to_ne_bytes());
        let (block, whole) = taken(TAKING, &bytes);
        assert_eq!((block.records.len(), whole), (2, true));
        assert_eq!(block.bytes[..FIRST + HEADER], bytes[..FIRST + HEADER]);
    }

    #[test]
    fn a_frame_without_bytes_is_a_frame() {
        let mut bytes = retired();
        put(&mut bytes, FIRST + 12, 0);
        put(&mut bytes, FIRST + 20, libc::TP_STATUS_VLAN_VALID);
        let (block, whole) = taken(TAKING, &bytes);
        assert!(whole);
        assert!(block.frame(0).unwrap().bytes.is_empty());
    }

    #[test]
    fn a_snap_length_counts_the_tag() {
        let mut bytes = retired();
        put(&mut bytes, FIRST + 20, libc::TP_STATUS_VLAN_VALID);
        let (block, _) = taken(Taking { snaplen: 20, ..TAKING }, &bytes);
        let lengths: Vec<_> = block.frames().map(|frame| (frame.bytes.len(), frame.wire_len)).collect();
        assert_eq!(lengths, [(20, 94), (20, 90)]);
    }

    #[test]
    fn the_clock_that_stamped_is_told() {
        let mut bytes = retired();
        put(&mut bytes, FIRST + 20, libc::TP_STATUS_TS_RAW_HARDWARE);
        let mut taken = Taken::default();
        for _ in 0..2 {
            assert!(TAKING.find_frames(&mut bytes, &mut taken).is_some());
            assert_eq!((taken.records.len(), taken.hardware_stamped), (2, 1));
        }
    }

    #[test]
    fn what_the_machine_sent_is_left_out_on_loopback() {
        let mut bytes = retired();
        bytes[FIRST + 48 + 10] = libc::PACKET_OUTGOING;
        assert_eq!(taken(TAKING, &bytes).0.records.len(), 2);
        assert_eq!(taken(Taking { skip_outgoing: true, ..TAKING }, &bytes).0.records.len(), 1);
    }

    #[test]
    fn every_prefix_gives_the_frames_that_it_holds() {
        let bytes = retired();
        for length in 0..bytes.len() {
            let (block, whole) = taken(TAKING, &bytes[..length]);
            let held = [FIRST + 142, FIRST + STEP + 142].iter().filter(|&&end| end <= length).count();
            assert_eq!((block.records.len(), whole), (held, held == 2), "{length}");
        }
    }

    #[test]
    fn a_chain_that_stands_still_ends() {
        let mut bytes = retired();
        put(&mut bytes, 12, u32::MAX);
        put(&mut bytes, FIRST, 0);
        let (block, whole) = taken(TAKING, &bytes);
        assert_eq!((block.records.len(), whole), (1, false));
    }

    proptest! {
        #[test]
        fn any_change_stays_within_the_block(changes in prop::collection::vec((0_usize..FIRST + 2 * STEP, any::<u8>()), 1..40)) {
            let mut bytes = retired();
            for (at, value) in changes {
                bytes[at] = value;
            }
            let (block, _) = taken(TAKING, &bytes);
            prop_assert!(block.records.len() <= bytes.len() / size_of::<tpacket3_hdr>());
            prop_assert_eq!(block.frames().count(), block.records.len());
        }
    }
}
