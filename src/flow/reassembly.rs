//! One direction of a TCP connection, put in order (RFC 9293 section 3.4, as a bystander has to do it).
//!
//! A bystander cannot ask for a segment again. So a gap is waited for only as long as that can help: until the receiver
//! acknowledges bytes that were never seen here, or a bound is met. Then the stream jumps, and the offset shows it.
//!
//! Where two segments overlap, what counts is what Linux hands to its reader: the bytes that came first in order, and of those that wait
//! behind a gap the segment that begins first, or covers the other. A segment that its receiver may have dropped ([`Doubt`]) counts once
//! the receiver acknowledges its bytes and no better copy came.

mod counters;
mod doubtful;
mod midstream;

pub use counters::StreamCounters;

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
mod tests;
