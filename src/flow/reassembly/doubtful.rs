//! Segments that their receiver may have dropped: they wait until it says what it took.

use super::{
    HELD_BYTES_MAX, HELD_SEGMENTS_MAX, Held, MIDSTREAM_OFFSET, Origin, Segment, Stream, StreamCounters, differs,
};
use crate::flow::belief::{Doubt, sum};

impl Stream {
    /// Takes a segment that its receiver may have dropped. It is kept until the receiver says what it took, or nothing better can come.
    #[allow(clippy::too_many_arguments)]
    pub fn doubt(
        &mut self,
        origin: Origin,
        sequence: u32,
        payload: &[u8],
        promised: u32,
        doubt: Doubt,
        counters: &mut StreamCounters,
        mut deliver: impl FnMut(Origin, u64, &[u8]),
    ) {
        if self.next.is_none() {
            self.midstream = true;
            self.keeps = true;
            self.next = Some((sequence, MIDSTREAM_OFFSET));
        }
        let Some(offset) = self.offset_of(sequence) else {
            counters.out_of_window += 1;
            return;
        };
        let missing = u64::from(promised).saturating_sub(payload.len() as u64);
        let held = Held { offset, origin, bytes: payload.to_vec(), missing, doubt: Some(doubt) };
        if held.end().saturating_add(missing) <= self.position() {
            counters.duplicate += 1;
            self.compare(held.offset, payload, sum(payload), counters);
            return;
        }
        if self.doubtful.iter().any(|other| differs(other, offset, payload)) {
            counters.differing += 1;
        } else if self.doubtful.iter().any(|other| other.offset == offset && other.bytes.len() >= payload.len()) {
            counters.duplicate += 1;
            return;
        }
        self.doubtful.push(held);
        if self.acknowledged > self.position() {
            self.believe(true, counters, &mut deliver);
        }
        if self.doubtful.len() > HELD_SEGMENTS_MAX || self.held_bytes() > HELD_BYTES_MAX {
            counters.over_bound += 1;
            self.believe_all(counters, &mut deliver);
        }
    }

    /// Takes doubtful segments for sound that bring the next byte; `acknowledged`: because the receiver has it.
    pub(super) fn believe(
        &mut self,
        acknowledged: bool,
        counters: &mut StreamCounters,
        deliver: &mut impl FnMut(Origin, u64, &[u8]),
    ) -> bool {
        let mut any = false;
        while !self.doubtful.is_empty() && (!acknowledged || self.acknowledged > self.position()) {
            let position = self.position();
            let brings = |held: &Held| held.offset <= position && held.end() > position;
            let Some(at) = self.doubtful.iter().position(brings) else { break };
            let held = self.doubtful.remove(at);
            self.checksums_mean_nothing |= acknowledged && held.doubt == Some(Doubt::Checksum);
            any = true;
            let segment =
                Segment { origin: held.origin, offset: held.offset, bytes: &held.bytes, missing: held.missing };
            self.deliver(segment, counters, deliver);
            self.deliver_held(counters, deliver);
        }
        self.forget_doubts();
        any
    }

    /// Takes all doubtful segments for sound: nothing better will come.
    pub(super) fn believe_all(&mut self, counters: &mut StreamCounters, deliver: &mut impl FnMut(Origin, u64, &[u8])) {
        self.believe(false, counters, deliver);
        for held in std::mem::take(&mut self.doubtful) {
            let segment =
                Segment { origin: held.origin, offset: held.offset, bytes: &held.bytes, missing: held.missing };
            if held.offset > self.position() {
                self.hold(segment, counters);
            } else {
                self.deliver(segment, counters, deliver);
                self.deliver_held(counters, deliver);
            }
        }
    }

    /// Forgets doubtful segments that have nothing more to say.
    pub(super) fn forget_doubts(&mut self) {
        let position = self.position();
        self.doubtful.retain(|held| held.end().saturating_add(held.missing) > position);
    }
}
