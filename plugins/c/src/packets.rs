//! Packets where their caller has them.

#![allow(unsafe_code)]

use crate::handle::Failure;
use crate::types::{Packet, Status};
use kaspector::capture::{Frame, FrameSequence, LinkType, Timestamp, prefetch};

/// Bytes at the start of a packet that hold the headers of most.
const HEADERS: usize = 96;
/// Packets whose headers are prefetched before the first is read.
const PREFETCHED: usize = 16;

/// A batch of packets, each of which points to its bytes. That they are readable was promised when the batch was made.
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    packets: &'a [Packet],
    captured_bytes: u64,
    first_number: u64,
}

impl<'a> Packets<'a> {
    /// The batch of `count` packets that begins at `first`, of which the first has the number `first_number`.
    ///
    /// # Safety
    /// `first` is NULL or points to `count` packets, and `data` of each is NULL or points to `caplen` bytes, all for as long as the batch
    /// is used.
    #[inline]
    pub unsafe fn new(first: *const Packet, count: usize, first_number: u64) -> Result<Self, Failure> {
        let refused = |what: String| Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, what);
        if count == 0 {
            return Ok(Self { packets: &[], captured_bytes: 0, first_number });
        }
        if first.is_null() || !first.is_aligned() || count > isize::MAX as usize / size_of::<Packet>() {
            let what =
                format!("packets is NULL or not aligned, or {count} packets do not fit into memory; none was read");
            return Err(refused(what));
        }
        // SAFETY: as promised above.
        let packets = unsafe { std::slice::from_raw_parts(first, count) };
        if let Some(index) = packets.iter().position(|packet| packet.data.is_null() && packet.caplen > 0) {
            let what = format!("packet {index} of the batch, from 0: data is NULL and caplen is not 0; none was read");
            return Err(refused(what));
        }
        let captured_bytes = packets.iter().map(|packet| u64::from(packet.caplen)).sum();
        let batch = Self { packets, captured_bytes, first_number };
        for index in 0..PREFETCHED.min(count) {
            batch.prefetch(index);
        }
        Ok(batch)
    }

    /// Captured bytes of all of them.
    pub const fn captured_bytes(&self) -> u64 {
        self.captured_bytes
    }
}

/// The bytes of a packet of a batch.
#[inline]
fn bytes(packet: &Packet) -> &[u8] {
    if packet.caplen == 0 {
        return &[];
    }
    // SAFETY: not NULL, which was looked at; that it points to so many bytes was promised when the batch was made.
    unsafe { std::slice::from_raw_parts(packet.data, packet.caplen as usize) }
}

impl<'a> FrameSequence<'a> for Packets<'a> {
    #[inline]
    fn len(self) -> usize {
        self.packets.len()
    }

    #[inline]
    fn frame(self, index: usize) -> Option<Frame<'a>> {
        let packet = self.packets.get(index)?;
        Some(Frame {
            number: self.first_number + index as u64,
            at: Timestamp(packet.ts_ns),
            link_type: u16::try_from(packet.link_type).map_or(LinkType::UNKNOWN, LinkType),
            wire_len: packet.wirelen.max(packet.caplen),
            bytes: bytes(packet),
        })
    }

    #[inline]
    fn prefetch(self, index: usize) {
        if let Some(headers) = self.packets.get(index).and_then(|packet| bytes(packet).first_chunk::<HEADERS>()) {
            prefetch(headers);
        }
    }
}
