//! The latest packets of live traffic that may come to prove something: the first of each flow.
//!
//! A worker copies them into a chunk of its own and puts that up when it is full, or a moment old. Whoever reads holds the lock for as long as
//! it takes to count references, so a worker never waits for a search.

use kaspector::capture::{Frame, LinkType, Timestamp};
use kaspector::flow::FlowKey;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a chunk that is full.
const CHUNK_BYTES: usize = 256 << 10;
/// How old a chunk becomes before it is put up.
pub const CHUNK_AGE: Duration = Duration::from_millis(50);
/// Bytes of chunks that are kept of an interface.
pub const KEPT_BYTES: usize = 16 << 20;

/// What is kept of one ring; shared by its worker and by who reads.
#[derive(Debug)]
pub struct KeptFrames {
    chunks: Mutex<(VecDeque<Arc<Chunk>>, usize)>,
    most: usize,
}

/// Some packets, one after the other.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    packets: Vec<KeptFrame>,
}

/// A packet, whose bytes lie in its chunk.
#[derive(Clone, Copy, Debug)]
pub struct KeptFrame {
    /// Its number on the interface.
    pub number: u64,
    /// Its flow.
    pub flow: FlowKey,
    /// When it was captured.
    pub at: Timestamp,
    /// How its bytes are to be read.
    pub link_type: LinkType,
    /// Its length on the wire.
    pub wire_len: u32,
    start: u32,
    len: u32,
}

impl Chunk {
    /// The packets with their bytes, the latest first.
    pub fn latest_first(&self) -> impl Iterator<Item = (&KeptFrame, &[u8])> {
        self.packets.iter().rev().filter_map(|packet| {
            Some((
                packet,
                self.bytes.get(packet.start as usize..(packet.start as usize).checked_add(packet.len as usize)?)?,
            ))
        })
    }

    fn with_room() -> Self {
        Self { bytes: Vec::with_capacity(CHUNK_BYTES + (64 << 10)), packets: Vec::new() }
    }

    fn size(&self) -> usize {
        self.bytes.capacity() + self.packets.capacity() * size_of::<KeptFrame>()
    }
}

impl KeptFrames {
    /// Of a ring that shares its interface with `rings - 1` others.
    pub fn new(rings: usize) -> Arc<Self> {
        Arc::new(Self { chunks: Mutex::default(), most: KEPT_BYTES / rings.max(1) })
    }

    /// What there is, the earliest first.
    pub fn chunks(&self) -> Vec<Arc<Chunk>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).0.iter().cloned().collect()
    }

    /// Puts up a chunk; gives one back that had to go for it, whose memory can be used again.
    fn put_up(&self, chunk: Chunk) -> Option<Chunk> {
        let mut gone = Vec::new();
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.1 += chunk.size();
        chunks.0.push_back(Arc::new(chunk));
        while chunks.1 > self.most
            && let Some(oldest) = chunks.0.pop_front()
        {
            chunks.1 -= oldest.size();
            gone.push(oldest);
        }
        drop(chunks);
        gone.into_iter().filter_map(Arc::into_inner).find(|chunk| chunk.bytes.capacity() >= CHUNK_BYTES)
    }
}

/// The worker's side.
#[derive(Debug)]
pub struct FrameKeeper {
    kept: Arc<KeptFrames>,
    open: Chunk,
    since: Instant,
}

impl FrameKeeper {
    /// Keeps packets there.
    pub fn new(kept: Arc<KeptFrames>) -> Self {
        Self { kept, open: Chunk::with_room(), since: Instant::now() }
    }

    /// Keeps a packet under this number.
    pub fn add(&mut self, number: u64, flow: FlowKey, frame: &Frame<'_>) {
        let &Frame { at, link_type, wire_len, bytes, .. } = frame;
        if self.open.packets.is_empty() {
            self.since = Instant::now();
        }
        let Ok(len) = u32::try_from(bytes.len()) else { return };
        let Ok(start) = u32::try_from(self.open.bytes.len()) else { return };
        self.open.bytes.extend_from_slice(bytes);
        self.open.packets.push(KeptFrame { number, flow, at, link_type, wire_len, start, len });
        if self.open.bytes.len() >= CHUNK_BYTES {
            self.put_up();
        }
    }

    /// Puts up what is old enough.
    pub fn pass(&mut self) {
        if !self.open.packets.is_empty() && self.since.elapsed() >= CHUNK_AGE {
            self.put_up();
        }
    }

    /// Puts up what there is.
    pub fn put_up(&mut self) {
        if self.open.packets.is_empty() {
            return;
        }
        if self.open.bytes.len() < CHUNK_BYTES / 2 {
            // As small as what is in it: where little comes, the latest packets are those of a long time.
            let Chunk { bytes, packets } = &mut self.open;
            self.kept.put_up(Chunk { bytes: bytes.as_slice().to_vec(), packets: packets.as_slice().to_vec() });
        } else {
            // Memory that is used again costs no page faults.
            let full = std::mem::take(&mut self.open);
            self.open = self.kept.put_up(full).unwrap_or_else(Chunk::with_room);
        }
        self.open.bytes.clear();
        self.open.packets.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kaspector::matching::FlowSummary;

    #[test]
    fn the_latest_packets_stay_within_the_bound() {
        let kept = KeptFrames::new(4);
        let mut keeper = FrameKeeper::new(Arc::clone(&kept));
        let flow = FlowSummary::new(([10, 0, 0, 1].into(), 1), ([10, 0, 0, 2].into(), 2), 6).key();
        let bytes = [7; 1000];
        let last = 40_000;
        for number in 1..=last {
            let frame =
                Frame { number, at: Timestamp(number), link_type: LinkType::ETHERNET, wire_len: 1500, bytes: &bytes };
            keeper.add(number, flow, &frame);
        }
        keeper.put_up();
        let chunks = kept.chunks();
        let size: usize = chunks.iter().map(|chunk| chunk.size()).sum();
        assert!((KEPT_BYTES / 8..=KEPT_BYTES / 4).contains(&size), "{size}");
        let latest: Vec<u64> =
            chunks.iter().rev().flat_map(|chunk| chunk.latest_first().map(|(packet, _)| packet.number)).collect();
        assert_eq!(latest.first(), Some(&last));
        assert!(latest.windows(2).all(|pair| pair[0] == pair[1] + 1));
        let (packet, of_packet) = chunks.last().unwrap().latest_first().next().unwrap();
        assert_eq!((packet.wire_len, of_packet), (1500, &bytes[..]));
    }
}
