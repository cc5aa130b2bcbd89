//! Streams whose beginning was not seen: what was delivered is kept for a while, in case that an earlier segment follows.

use super::{Held, MIDSTREAM_OFFSET, Origin, Segment, Stream, StreamCounters};

/// How far before the first seen byte of a stream without SYN an earlier segment is still welcome.
const MIDSTREAM_REACH: u64 = 64 * 1024;
/// Bytes and segments of a stream without SYN that are kept for the case that an earlier one follows.
const MIDSTREAM_KEPT_MAX: usize = 16 << 10;
const MIDSTREAM_KEPT_SEGMENTS_MAX: usize = 16;

impl Stream {
    /// Keeps no more of a stream that began midway: its beginning is known, or would be of no use.
    pub fn forget_kept(&mut self) {
        self.keeps = false;
        self.kept.clear();
    }

    pub(super) fn keep(&mut self, origin: Origin, offset: u64, bytes: &[u8]) {
        let kept: usize = self.kept.iter().map(|kept| kept.bytes.len()).sum();
        if kept + bytes.len() > MIDSTREAM_KEPT_MAX || self.kept.len() >= MIDSTREAM_KEPT_SEGMENTS_MAX {
            self.forget_kept();
            return;
        }
        self.kept.push(Held { offset, origin, bytes: bytes.to_vec(), missing: 0, doubt: None });
    }

    /// What came first was not the beginning: segments came in another order, and no SYN was seen. Starts over from an earlier one.
    pub(super) fn start_over(
        &mut self,
        segment: Segment<'_>,
        sequence: u32,
        counters: &mut StreamCounters,
        deliver: &mut impl FnMut(Origin, u64, &[u8]),
    ) {
        let later = std::mem::take(&mut self.kept);
        self.next = Some((sequence, segment.offset));
        self.deliver(segment, counters, deliver);
        for held in later {
            let segment =
                Segment { origin: held.origin, offset: held.offset, bytes: &held.bytes, missing: held.missing };
            if held.offset > self.position() {
                self.hold(segment, counters);
            } else {
                self.deliver(segment, counters, deliver);
            }
        }
        self.deliver_held(counters, deliver);
    }

    /// Whether a segment may be the true beginning: all that was delivered is still kept, and lies behind it.
    pub(super) fn reaches_back(&self, offset: u64) -> bool {
        let Some(first) = self.kept.first() else { return false };
        offset < first.offset && MIDSTREAM_OFFSET.saturating_sub(offset) <= MIDSTREAM_REACH
    }
}
