//! One direction of a TCP connection, put in order (RFC 9293 section 3.4, as a bystander has to do it).
//!
//! A bystander cannot ask for a segment again. So a gap is waited for only as long as that can help: until the receiver
//! acknowledges bytes that were never seen here, or a bound is met. Then the stream jumps, and the offset shows it.
//!
//! Where two segments overlap, what counts is what Linux hands to its reader: the bytes that came first in order, and of those that wait
//! behind a gap the segment that begins first, or covers the other. A segment that its receiver may have dropped ([`Doubt`]) counts once
//! the receiver acknowledges its bytes and no better copy came.

use super::belief::{Doubt, sum};
use crate::capture::Timestamp;

/// Segments held per direction while one before them is missing.
pub const HELD_SEGMENTS_MAX: usize = 64;
/// Bytes held per direction while a segment before them is missing.
pub const HELD_BYTES_MAX: usize = 128 * 1024;
/// A segment further ahead than this belongs to another connection, or to nobody.
pub const WINDOW_MAX: u32 = 16 * 1024 * 1024;
/// How long a gap is waited for after the receiver acknowledged it, since a mirror port may swap the two directions.
pub const ACKNOWLEDGED_GAP_WAIT_NS: u64 = 200_000_000;

/// How far behind an acknowledgement may be: RFC 5961 says the largest window, which a bystander does not always know.
const ACKNOWLEDGED_BEFORE_MAX: u32 = 1 << 20;

/// Offset at which a stream starts when its beginning was not seen, so that earlier bytes still have a number.
const MIDSTREAM_OFFSET: u64 = 1 << 32;
/// How far before the first seen byte of a stream without SYN an earlier segment is still welcome.
const MIDSTREAM_REACH: u64 = 64 * 1024;

/// What became of segments, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamCounters {
    /// Segments that said nothing new.
    pub duplicate: u64,
    /// Segments of which a part had been seen; the first copy won.
    pub overlapping: u64,
    /// Segments that said other things about bytes than an earlier copy.
    pub differing: u64,
    /// Gaps that were skipped.
    pub gaps: u64,
    /// Segments outside every window.
    pub out_of_window: u64,
    /// Times a bound on held segments or bytes was met.
    pub over_bound: u64,
}

impl StreamCounters {
    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Self) {
        self.duplicate += other.duplicate;
        self.overlapping += other.overlapping;
        self.differing += other.differing;
        self.gaps += other.gaps;
        self.out_of_window += other.out_of_window;
        self.over_bound += other.over_bound;
    }
}

/// The packet that brought a run of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its number in the input.
    pub packet: u64,
    /// Its time.
    pub at: Timestamp,
}

/// A run of stream bytes that cannot be delivered yet, or that may have to be delivered again.
#[derive(Debug)]
struct Held {
    offset: u64,
    origin: Origin,
    bytes: Vec<u8>,
    /// Bytes that the headers promised beyond `bytes`, which the snap length cut off.
    missing: u64,
    /// Why its receiver may not have taken it.
    doubt: Option<Doubt>,
}

impl Held {
    const fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

/// A run that was delivered, by its place and the sum of its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Delivered {
    offset: u64,
    len: u32,
    sum: u32,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Stream {
    /// Sequence number and offset of the next byte to deliver; `None` until the first segment.
    next: Option<(u32, u64)>,
    /// Whether the beginning was not seen.
    midstream: bool,
    /// Highest offset that the receiver has acknowledged.
    acknowledged: u64,
    /// Sorted by offset.
    held: Vec<Held>,
    /// What was delivered of a stream that began midway, while it may not be the beginning; sorted. Whether that goes on.
    kept: Vec<Held>,
    keeps: bool,
    /// Segments that their receiver may have dropped, in the order in which they came.
    doubtful: Vec<Held>,
    /// Whether the receiver took a segment whose checksum was wrong.
    checksums_mean_nothing: bool,
    /// Offset at which the sender said that the stream ends.
    end: Option<u64>,
    /// Offset of a byte that is not handed on with the others, and how many such there were.
    urgent: Option<u64>,
    urgent_passed: u64,
    /// The runs delivered last, the latest at `latest`.
    delivered: [Delivered; DELIVERED_MAX],
    latest: u8,
}

/// Delivered runs that a later copy is compared with.
const DELIVERED_MAX: usize = 4;

impl Stream {
    /// Whether bytes were delivered or a SYN was seen.
    #[must_use]
    pub const fn has_started(&self) -> bool {
        self.next.is_some()
    }

    /// Whether the beginning of the stream was not captured.
    #[must_use]
    pub const fn is_midstream(&self) -> bool {
        self.midstream
    }

    /// Notes a SYN: the byte after `sequence` is the first of the stream.
    pub fn synchronise(&mut self, sequence: u32) {
        if self.next.is_none() {
            self.next = Some((sequence.wrapping_add(1), 0));
        }
    }

    /// Whether the receiver took a segment whose checksum was wrong: then the capture was made before a network card computed it, or was
    /// changed since, and checksums say nothing.
    #[must_use]
    pub const fn checksums_mean_nothing(&self) -> bool {
        self.checksums_mean_nothing
    }

    /// Whether the sender of this stream would take a segment for sound that acknowledges everything before `sequence`, as far as was seen
    /// of it: one that acknowledges more, its end apart, may have been made up.
    #[must_use]
    pub const fn could_be_acknowledged(&self, sequence: u32) -> bool {
        let Some((next, _)) = self.next else { return true };
        sequence.wrapping_sub(next) <= 1 || next.wrapping_sub(sequence) <= ACKNOWLEDGED_BEFORE_MAX
    }

    /// Notes that the byte with this number is not to be handed on with the others.
    pub fn set_urgent(&mut self, sequence: u32) {
        self.urgent = self.offset_of(sequence).filter(|&offset| offset >= self.position());
    }

    /// Notes that the sender has nothing to say from this number on. A receiver takes nothing behind it.
    pub fn close(&mut self, sequence: u32) {
        if let Some(end) = self.offset_of(sequence).filter(|&end| end >= self.position()) {
            self.end = Some(self.end.map_or(end, |known| known.min(end)));
        }
    }

    /// Place of the byte with this number, if it is near enough to be one of the stream's.
    fn offset_of(&self, sequence: u32) -> Option<u64> {
        let (next, position) = self.next?;
        let ahead = sequence.wrapping_sub(next);
        if ahead <= WINDOW_MAX {
            return position.checked_add(ahead.into());
        }
        let behind = next.wrapping_sub(sequence);
        if behind <= WINDOW_MAX { position.checked_sub(behind.into()) } else { None }
    }

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
    fn believe(
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
    fn believe_all(&mut self, counters: &mut StreamCounters, deliver: &mut impl FnMut(Origin, u64, &[u8])) {
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
    fn forget_doubts(&mut self) {
        let position = self.position();
        self.doubtful.retain(|held| held.end().saturating_add(held.missing) > position);
    }

    /// Counts a copy of delivered bytes that says something else.
    fn compare(&self, offset: u64, bytes: &[u8], sum: u64, counters: &mut StreamCounters) {
        let sum = half(sum);
        let is_other =
            |run: &Delivered| run.offset == offset && run.len as usize == bytes.len() && run.len > 0 && run.sum != sum;
        counters.differing += u64::from(self.delivered.iter().any(is_other));
    }

    /// Takes a segment's payload, whose first byte has number `sequence`; `promised` counts the bytes that the headers name,
    /// of which the snap length may have cut some.
    ///
    /// `deliver` gets each run of new bytes in order, with its offset.
    pub fn accept(
        &mut self,
        origin: Origin,
        sequence: u32,
        payload: &[u8],
        promised: u32,
        counters: &mut StreamCounters,
        deliver: impl FnMut(Origin, u64, &[u8]),
    ) {
        self.accept_summed(origin, sequence, (payload, sum(payload)), promised, counters, deliver);
    }

    /// The same for a payload whose [`sum`] is known.
    pub fn accept_summed(
        &mut self,
        origin: Origin,
        sequence: u32,
        (payload, sum): (&[u8], u64),
        promised: u32,
        counters: &mut StreamCounters,
        mut deliver: impl FnMut(Origin, u64, &[u8]),
    ) {
        let promised = u64::from(promised).max(payload.len() as u64);
        if promised == 0 {
            return;
        }
        let (next, position) = *self.next.get_or_insert_with(|| {
            self.midstream = true;
            self.keeps = true;
            (sequence, MIDSTREAM_OFFSET)
        });
        let ahead = sequence.wrapping_sub(next);
        if ahead > WINDOW_MAX && ahead < WINDOW_MAX.wrapping_neg() {
            counters.out_of_window += 1;
            return;
        }
        #[allow(clippy::cast_possible_wrap)]
        let Some(offset) = position.checked_add_signed(i64::from(ahead as i32)) else {
            // What stands before the beginning is no part of the stream: a keep-alive probe has the number of the SYN and a byte
            // of anything.
            #[allow(clippy::cast_possible_truncation)]
            let before = next.wrapping_sub(sequence).wrapping_sub(position as u32);
            let rest = usize::try_from(before).ok().and_then(|before| payload.get(before..)).unwrap_or(&[]);
            counters.duplicate += u64::from(rest.is_empty());
            #[allow(clippy::cast_possible_truncation)]
            let promised = promised.saturating_sub(u64::from(before)) as u32;
            return self.accept(origin, sequence.wrapping_add(before), rest, promised, counters, deliver);
        };
        let segment = Segment { origin, offset, bytes: payload, missing: promised - payload.len() as u64 };
        if !self.doubtful.is_empty() {
            let differing = self.doubtful.iter().any(|other| differs(other, offset, payload));
            counters.differing += u64::from(differing);
        }
        if offset == position {
            self.note_delivered(offset, payload, sum);
            if self.held.is_empty() && self.doubtful.is_empty() {
                self.deliver(segment, counters, &mut deliver);
                return;
            }
        }
        if offset < position {
            if self.reaches_back(offset) {
                self.start_over(segment, sequence, counters, &mut deliver);
                return;
            }
            self.compare(offset, payload, sum, counters);
            if offset.saturating_add(promised) <= position {
                counters.duplicate += 1;
                return;
            }
        }
        if offset > position {
            self.hold(segment, counters);
            counters.over_bound += u64::from(self.is_over_bound());
            // One gap skipped may free a single byte, so a bound may ask for several.
            while self.must_jump(origin.at) {
                self.jump(counters, &mut deliver);
            }
            return;
        }
        self.deliver(segment, counters, &mut deliver);
        self.deliver_held(counters, &mut deliver);
        self.forget_doubts();
        if self.acknowledged > self.position() {
            self.believe(true, counters, &mut deliver);
        }
    }

    /// Keeps no more of a stream that began midway: its beginning is known, or would be of no use.
    pub fn forget_kept(&mut self) {
        self.keeps = false;
        self.kept.clear();
    }

    fn keep(&mut self, origin: Origin, offset: u64, bytes: &[u8]) {
        let kept: usize = self.kept.iter().map(|kept| kept.bytes.len()).sum();
        if kept + bytes.len() > MIDSTREAM_KEPT_MAX || self.kept.len() >= MIDSTREAM_KEPT_SEGMENTS_MAX {
            self.forget_kept();
            return;
        }
        self.kept.push(Held { offset, origin, bytes: bytes.to_vec(), missing: 0, doubt: None });
    }

    /// What came first was not the beginning: segments came in another order, and no SYN was seen. Starts over from an earlier one.
    fn start_over(
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

    /// Notes that the receiver has seen everything before `sequence`, and skips a gap that it must have filled.
    pub fn acknowledge(
        &mut self,
        at: Timestamp,
        sequence: u32,
        counters: &mut StreamCounters,
        mut deliver: impl FnMut(Origin, u64, &[u8]),
    ) {
        let Some((next, position)) = self.next else { return };
        let ahead = sequence.wrapping_sub(next);
        if ahead > WINDOW_MAX {
            return;
        }
        self.acknowledged = self.acknowledged.max(position.saturating_add(u64::from(ahead)));
        if !self.doubtful.is_empty() {
            self.believe(true, counters, &mut deliver);
        }
        while self.must_jump(at) {
            self.jump(counters, &mut deliver);
        }
    }

    /// Delivers what is held, gaps or not: the connection is over.
    pub fn finish(&mut self, counters: &mut StreamCounters, mut deliver: impl FnMut(Origin, u64, &[u8])) {
        self.believe_all(counters, &mut deliver);
        while self.has_gap() {
            self.jump(counters, &mut deliver);
        }
    }

    /// Whether everything before `sequence` was delivered or skipped: the stream may end there.
    #[must_use]
    pub fn is_through(&self, sequence: u32) -> bool {
        // A stream of which nothing was ever seen misses nothing that could still come in order.
        self.next.is_none_or(|(next, _)| next == sequence || next == sequence.wrapping_add(1))
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let of = |segments: &[Held]| segments.iter().map(|held| held.bytes.len()).sum::<usize>();
        of(&self.held) + of(&self.kept) + of(&self.doubtful)
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.next = None;
        self.midstream = false;
        self.acknowledged = 0;
        self.held.clear();
        self.kept.clear();
        self.keeps = false;
        self.doubtful.clear();
        self.checksums_mean_nothing = false;
        self.end = None;
        self.urgent = None;
        self.urgent_passed = 0;
        self.delivered = [Delivered::default(); DELIVERED_MAX];
        self.latest = 0;
    }

    /// Whether a segment may be the true beginning: all that was delivered is still kept, and lies behind it.
    fn reaches_back(&self, offset: u64) -> bool {
        let Some(first) = self.kept.first() else { return false };
        offset < first.offset && MIDSTREAM_OFFSET.saturating_sub(offset) <= MIDSTREAM_REACH
    }

    fn note_delivered(&mut self, offset: u64, bytes: &[u8], sum: u64) {
        if bytes.is_empty() {
            return;
        }
        self.latest = self.latest.wrapping_add(1);
        if let Some(place) = self.delivered.get_mut(usize::from(self.latest) % DELIVERED_MAX) {
            *place = Delivered { offset, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), sum: half(sum) };
        }
    }

    fn position(&self) -> u64 {
        self.next.map_or(0, |(_, position)| position)
    }

    /// Whether something is held that lies ahead of the next byte.
    fn has_gap(&self) -> bool {
        self.held.iter().any(|held| held.offset > self.position())
    }

    fn must_jump(&self, at: Timestamp) -> bool {
        let Some(first) = self.held.iter().find(|held| held.offset > self.position()) else { return false };
        if self.is_over_bound() {
            return true;
        }
        self.acknowledged >= first.offset && at.since(first.origin.at) >= ACKNOWLEDGED_GAP_WAIT_NS
    }

    fn is_over_bound(&self) -> bool {
        self.held.len() > HELD_SEGMENTS_MAX
            || self.held.iter().map(|held| held.bytes.len()).sum::<usize>() > HELD_BYTES_MAX
    }

    fn jump(&mut self, counters: &mut StreamCounters, deliver: &mut impl FnMut(Origin, u64, &[u8])) {
        // Better a doubtful byte than none.
        if !self.doubtful.is_empty() && self.believe(false, counters, deliver) {
            return;
        }
        let Some((sequence, position)) = self.next else { return };
        let Some(to) = self.held.iter().map(|held| held.offset).find(|&offset| offset > position) else { return };
        counters.gaps += 1;
        self.forget_kept();
        #[allow(clippy::cast_possible_truncation)]
        let step = (to - position) as u32;
        self.next = Some((sequence.wrapping_add(step), to));
        self.deliver_held(counters, deliver);
    }

    fn hold(&mut self, segment: Segment<'_>, counters: &mut StreamCounters) {
        let end = segment.offset.saturating_add(segment.bytes.len() as u64);
        if self.held.iter().any(|held| differs(held, segment.offset, segment.bytes)) {
            counters.differing += 1;
        }
        if self.held.iter().any(|held| held.offset <= segment.offset && held.end() >= end) {
            counters.duplicate += 1;
            return;
        }
        // One that is covered has nothing more to say.
        if segment.missing == 0 {
            self.held.retain(|held| held.offset < segment.offset || held.end().saturating_add(held.missing) > end);
        }
        let at = self.held.partition_point(|held| held.offset <= segment.offset);
        let held = Held {
            offset: segment.offset,
            origin: segment.origin,
            bytes: segment.bytes.to_vec(),
            missing: segment.missing,
            doubt: None,
        };
        self.held.insert(at, held);
    }

    /// Delivers every held run that now joins up.
    fn deliver_held(&mut self, counters: &mut StreamCounters, deliver: &mut impl FnMut(Origin, u64, &[u8])) {
        let mut held = std::mem::take(&mut self.held);
        let ready = held.partition_point(|held| held.offset <= self.position());
        // Delivering one run may make the next ready, so the border is looked at again for each.
        let mut done = 0;
        while let Some(run) = held.get(done).filter(|run| done < ready || run.offset <= self.position()) {
            let segment = Segment { origin: run.origin, offset: run.offset, bytes: &run.bytes, missing: run.missing };
            self.deliver(segment, counters, deliver);
            done += 1;
        }
        held.drain(..done);
        self.held = held;
    }

    /// Delivers the part of a run that lies at or after the next byte; the run must not begin after it.
    fn deliver(
        &mut self,
        segment: Segment<'_>,
        counters: &mut StreamCounters,
        deliver: &mut impl FnMut(Origin, u64, &[u8]),
    ) {
        let Some((sequence, position)) = self.next else { return };
        let mut end = segment.offset.saturating_add(segment.bytes.len() as u64).saturating_add(segment.missing);
        if let Some(last) = self.end {
            end = end.min(last);
        }
        if end <= position {
            return;
        }
        let seen = position - segment.offset;
        if seen > 0 {
            counters.overlapping += 1;
        }
        #[allow(clippy::cast_possible_truncation)]
        let step = (end - position) as u32;
        self.next = Some((sequence.wrapping_add(step), end));
        let mut fresh = usize::try_from(seen).ok().and_then(|seen| segment.bytes.get(seen..)).unwrap_or(&[]);
        if self.end.is_some() {
            let most = usize::try_from(end - position).unwrap_or(usize::MAX);
            fresh = fresh.get(..most).unwrap_or(fresh);
        }
        if self.keeps && !fresh.is_empty() {
            self.keep(segment.origin, position, fresh);
        }
        if let Some(urgent) = self.urgent
            && urgent < end
        {
            self.deliver_around(urgent, segment.origin, position, fresh, deliver);
        } else if !fresh.is_empty() {
            deliver(segment.origin, position - self.urgent_passed, fresh);
        }
    }

    /// Delivers a run without the urgent byte in it.
    fn deliver_around(
        &mut self,
        urgent: u64,
        origin: Origin,
        position: u64,
        bytes: &[u8],
        deliver: &mut impl FnMut(Origin, u64, &[u8]),
    ) {
        self.urgent = None;
        let before = urgent.checked_sub(position).and_then(|before| usize::try_from(before).ok());
        let Some((before, [_, after @ ..])) = before.and_then(|before| bytes.split_at_checked(before)) else {
            deliver(origin, position - self.urgent_passed, bytes);
            return;
        };
        if !before.is_empty() {
            deliver(origin, position - self.urgent_passed, before);
        }
        self.urgent_passed += 1;
        if !after.is_empty() {
            deliver(origin, urgent + 1 - self.urgent_passed, after);
        }
    }
}

/// Bytes and segments of a stream without SYN that are kept for the case that an earlier one follows.
const MIDSTREAM_KEPT_MAX: usize = 16 << 10;
const MIDSTREAM_KEPT_SEGMENTS_MAX: usize = 16;

/// Half of a sum's bits, which tell payloads apart nearly as well.
#[allow(clippy::cast_possible_truncation)]
const fn half(sum: u64) -> u32 {
    (sum ^ sum >> 32) as u32
}

/// Whether a held run and bytes at `offset` say different things about the same place.
fn differs(held: &Held, offset: u64, bytes: &[u8]) -> bool {
    let (from, to) = (held.offset.max(offset), held.end().min(offset.saturating_add(bytes.len() as u64)));
    if from >= to {
        return false;
    }
    part(&held.bytes, held.offset, from, to) != part(bytes, offset, from, to)
}

/// What `bytes`, which begin at `start`, have for the places `from..to`.
fn part(bytes: &[u8], start: u64, from: u64, to: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(from - start).ok()?..usize::try_from(to - start).ok()?)
}

#[derive(Clone, Copy)]
struct Segment<'a> {
    origin: Origin,
    offset: u64,
    bytes: &'a [u8],
    missing: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn origin(at: u64) -> Origin {
        Origin { packet: 1, at: Timestamp(at) }
    }

    #[derive(Default)]
    struct Collector {
        stream: Stream,
        counters: StreamCounters,
        runs: Vec<(u64, Vec<u8>)>,
    }

    impl Collector {
        fn segment(&mut self, sequence: u32, bytes: &[u8]) {
            self.at(0, sequence, bytes);
        }

        fn at(&mut self, at: u64, sequence: u32, bytes: &[u8]) {
            let runs = &mut self.runs;
            let len = u32::try_from(bytes.len()).unwrap();
            self.stream.accept(origin(at), sequence, bytes, len, &mut self.counters, |_, offset, bytes| {
                runs.push((offset, bytes.to_vec()));
            });
        }

        fn text(&self) -> Vec<u8> {
            self.runs.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
        }
    }

    proptest! {
        /// Whatever the network did to the segments, the stream comes out in order, once.
        #[test]
        fn any_order_gives_the_stream(
            bytes in prop::collection::vec(any::<u8>(), 1..2000),
            cuts in prop::collection::vec((0usize..2000, 1usize..300), 0..60),
            isn: u32,
            order in any::<prop::sample::Index>(),
        ) {
            let mut pieces: Vec<(usize, usize)> = (0..bytes.len()).step_by(97).map(|at| (at, (at + 97).min(bytes.len()))).collect();
            for (at, len) in cuts {
                let at = at % bytes.len();
                pieces.push((at, (at + len).min(bytes.len())));
            }
            let turn = order.index(pieces.len());
            pieces.rotate_left(turn);
            let mut collector = Collector::default();
            collector.stream.synchronise(isn);
            for &(from, to) in pieces.iter().rev() {
                let sequence = isn.wrapping_add(1).wrapping_add(u32::try_from(from).unwrap());
                collector.segment(sequence, &bytes[from..to]);
            }
            let mut expected = 0;
            for (offset, run) in &collector.runs {
                prop_assert_eq!(*offset, expected);
                expected += run.len() as u64;
            }
            prop_assert_eq!(collector.text(), bytes);
        }

        #[test]
        fn arbitrary_segments_never_panic_and_offsets_never_go_back(
            segments in prop::collection::vec((any::<u32>(), 0usize..100, 0u32..200, any::<bool>()), 0..300),
        ) {
            let mut stream = Stream::default();
            let mut counters = StreamCounters::default();
            let mut last = 0;
            stream.synchronise(7);
            for (sequence, len, promised, acknowledge) in segments {
                let sequence = sequence % 50_000;
                let mut check = |_: Origin, offset: u64, bytes: &[u8]| {
                    assert!(offset >= last);
                    last = offset + bytes.len() as u64;
                };
                if acknowledge {
                    stream.acknowledge(Timestamp(u64::from(sequence) << 20), sequence, &mut counters, &mut check);
                } else {
                    stream.accept(origin(u64::from(sequence) << 20), sequence, &vec![1; len], promised, &mut counters, &mut check);
                }
            }
        }
    }

    #[test]
    fn the_first_copy_of_a_byte_wins() {
        let mut collector = Collector::default();
        collector.stream.synchronise(99);
        collector.segment(100, b"abc");
        collector.segment(101, b"XYd");
        assert_eq!(collector.text(), b"abcd");
        assert_eq!(collector.counters.overlapping, 1);
        collector.segment(100, b"zzz");
        assert_eq!(collector.counters.duplicate, 1);
    }

    #[test]
    fn bytes_before_the_beginning_are_no_part_of_the_stream() {
        let mut collector = Collector::default();
        collector.stream.synchronise(99);
        // A keep-alive probe, before anything was said.
        collector.segment(99, b"\0");
        assert_eq!((collector.text(), collector.counters.duplicate), (Vec::new(), 1));
        collector.segment(97, b"xyzab");
        collector.segment(102, b"c");
        collector.segment(99, b"\0");
        assert_eq!(collector.text(), b"abc");
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut collector = Collector::default();
        collector.stream.synchronise(u32::MAX - 2);
        collector.segment(0, b"cd");
        collector.segment(u32::MAX - 1, b"ab");
        collector.segment(2, b"ef");
        assert_eq!(collector.text(), b"abcdef");
    }

    #[test]
    fn a_stream_without_syn_starts_at_the_earlier_of_two_swapped_segments() {
        let mut collector = Collector::default();
        collector.segment(1_100, b"world");
        collector.segment(1_094, b"hello ");
        assert_eq!(
            collector.runs[1..],
            [(MIDSTREAM_OFFSET - 6, b"hello ".to_vec()), (MIDSTREAM_OFFSET, b"world".to_vec())]
        );
        collector.segment(1_105, b"!");
        assert_eq!(collector.runs[3], (MIDSTREAM_OFFSET + 5, b"!".to_vec()));
    }

    /// Every order of four segments, none of them with a SYN: the last run of deliveries is the whole, from the first byte.
    #[test]
    fn a_stream_without_syn_is_put_in_order_whatever_came_first() {
        let pieces = [(1_000, &b"ab"[..]), (1_002, b"cde"), (1_005, b"f"), (1_006, b"gh")];
        for order in 0..4 * 4 * 4 * 4_usize {
            let order = [order % 4, order / 4 % 4, order / 16 % 4, order / 64];
            if (0..4).any(|number| !order.contains(&number)) {
                continue;
            }
            let mut collector = Collector::default();
            for (sequence, bytes) in order.map(|number| pieces[number]) {
                collector.segment(sequence, bytes);
            }
            let begin = collector.runs.iter().rposition(|(_, bytes)| bytes == b"ab").unwrap();
            let text: Vec<u8> = collector.runs[begin..].iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            assert_eq!(text, b"abcdefgh", "{order:?}");
        }
    }

    #[test]
    fn a_doubtful_copy_counts_once_the_receiver_has_its_bytes() {
        let doubt = |collector: &mut Collector, sequence: u32, bytes: &[u8]| {
            let runs = &mut collector.runs;
            let len = u32::try_from(bytes.len()).unwrap();
            let counters = &mut collector.counters;
            collector.stream.doubt(origin(0), sequence, bytes, len, Doubt::Checksum, counters, |_, offset, bytes| {
                runs.push((offset, bytes.to_vec()));
            });
        };
        let acknowledge = |collector: &mut Collector, sequence: u32| {
            let runs = &mut collector.runs;
            collector.stream.acknowledge(Timestamp(1), sequence, &mut collector.counters, |_, offset, bytes| {
                runs.push((offset, bytes.to_vec()));
            });
        };
        // A better copy comes first.
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        doubt(&mut collector, 1, b"decoy");
        acknowledge(&mut collector, 1);
        collector.segment(1, b"truth");
        acknowledge(&mut collector, 6);
        assert_eq!((collector.text(), collector.counters.differing), (b"truth".to_vec(), 1));
        assert!(!collector.stream.checksums_mean_nothing() && collector.stream.held_bytes() == 0);
        // None comes, and the receiver has the bytes.
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        doubt(&mut collector, 4, b"later");
        doubt(&mut collector, 1, b"abc");
        assert_eq!(collector.text(), b"");
        acknowledge(&mut collector, 9);
        assert_eq!((collector.text(), collector.counters.differing), (b"abclater".to_vec(), 0));
        assert!(collector.stream.checksums_mean_nothing());
        // Nobody says anything until the end.
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        doubt(&mut collector, 4, b"later");
        doubt(&mut collector, 1, b"abc");
        let runs = &mut collector.runs;
        collector.stream.finish(&mut collector.counters, |_, offset, bytes| runs.push((offset, bytes.to_vec())));
        assert_eq!(collector.text(), b"abclater");
    }

    #[test]
    fn what_waits_behind_a_gap_is_overlapped_as_linux_does_it() {
        for (first, second, expected) in [
            ((4, &b"DEF"[..]), (4, &b"def"[..]), b"abcDEF".to_vec()),
            ((4, b"DEF"), (4, b"defg"), b"abcdefg".to_vec()),
            ((4, b"DEF"), (5, b"ef"), b"abcDEF".to_vec()),
            ((5, b"EF"), (4, b"defg"), b"abcdefg".to_vec()),
            ((4, b"DEF"), (6, b"fgh"), b"abcDEFgh".to_vec()),
            ((6, b"FGH"), (4, b"def"), b"abcdefGH".to_vec()),
        ] {
            let mut collector = Collector::default();
            collector.stream.synchronise(0);
            collector.segment(first.0, first.1);
            collector.segment(second.0, second.1);
            collector.segment(1, b"abc");
            assert_eq!((collector.text(), collector.counters.differing), (expected, 1), "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_retransmission_that_says_something_else_is_counted() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        collector.segment(1, b"first");
        collector.segment(6, b"second");
        collector.segment(1, b"first");
        assert_eq!(collector.counters.differing, 0);
        collector.segment(1, b"worst");
        collector.segment(6, b"secone");
        assert_eq!((collector.text(), collector.counters.differing), (b"firstsecond".to_vec(), 2));
    }

    #[test]
    fn nothing_comes_behind_the_end() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        collector.segment(1, b"ab");
        collector.stream.close(4);
        collector.stream.close(2);
        collector.segment(3, b"cd");
        collector.segment(4, b"ef");
        assert_eq!(collector.text(), b"abc");
    }

    #[test]
    fn the_urgent_byte_is_left_out() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        collector.stream.set_urgent(3);
        collector.segment(1, b"abXcd");
        collector.segment(6, b"ef");
        let expected = [(0, b"ab".to_vec()), (2, b"cd".to_vec()), (4, b"ef".to_vec())];
        assert_eq!(collector.runs, expected);
    }

    #[test]
    fn an_acknowledged_gap_is_given_up_after_a_while() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        collector.segment(1, b"ab");
        collector.at(0, 10, b"later");
        let runs = &mut collector.runs;
        let mut deliver = |_: Origin, offset: u64, bytes: &[u8]| runs.push((offset, bytes.to_vec()));
        collector.stream.acknowledge(Timestamp(1), 15, &mut collector.counters, &mut deliver);
        assert_eq!(collector.counters.gaps, 0, "the missing segment may just be late in the mirror");
        collector.stream.acknowledge(Timestamp(ACKNOWLEDGED_GAP_WAIT_NS), 15, &mut collector.counters, &mut deliver);
        assert_eq!(collector.runs[1], (9, b"later".to_vec()));
        assert_eq!(collector.counters.gaps, 1);
    }

    #[test]
    fn held_bytes_are_bounded() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        for number in 0..1_000u32 {
            collector.segment(1_000 + number * 1_500, &[1; 1_400]);
            assert!(collector.stream.held.len() <= HELD_SEGMENTS_MAX + 1);
            assert!(collector.stream.held.iter().map(|held| held.bytes.len()).sum::<usize>() <= HELD_BYTES_MAX + 1_400);
        }
        assert!(collector.counters.gaps > 0);
    }

    #[test]
    fn the_bound_holds_where_one_gap_given_up_frees_little() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        for run in 1..30 {
            collector.segment(1 + 2 * run, b"x");
        }
        for run in 0..12 {
            collector.segment(100_000 + 20_000 * run, &[b'y'; 16_000]);
            assert!(collector.stream.held_bytes() <= HELD_BYTES_MAX);
        }
        assert_eq!(collector.counters.over_bound, 4);
    }

    #[test]
    fn bytes_cut_by_the_snap_length_are_a_gap() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        let runs = &mut collector.runs;
        collector.stream.accept(origin(0), 1, b"abc", 10, &mut collector.counters, |_, offset, bytes| {
            runs.push((offset, bytes.to_vec()));
        });
        collector.segment(11, b"next");
        assert_eq!(collector.runs, [(0, b"abc".to_vec()), (10, b"next".to_vec())]);
    }

    #[test]
    fn the_end_delivers_what_is_held() {
        let mut collector = Collector::default();
        collector.stream.synchronise(0);
        collector.segment(5, b"b");
        collector.segment(9, b"c");
        let runs = &mut collector.runs;
        collector.stream.finish(&mut collector.counters, |_, offset, bytes| runs.push((offset, bytes.to_vec())));
        assert_eq!(collector.runs, [(4, b"b".to_vec()), (8, b"c".to_vec())]);
    }
}
