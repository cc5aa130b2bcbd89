//! One direction of a TCP connection, put in order (RFC 9293 section 3.4, as a bystander has to do it).
//!
//! A bystander cannot ask for a segment again. So a gap is waited for only as long as that can help: until the receiver
//! acknowledges bytes that were never seen here, or a bound is met. Then the stream jumps, and the offset shows it.

use crate::capture::Timestamp;

/// Segments held per direction while one before them is missing.
pub const HELD_SEGMENTS_MAX: usize = 64;
/// Bytes held per direction while a segment before them is missing.
pub const HELD_BYTES_MAX: usize = 128 * 1024;
/// A segment further ahead than this belongs to another connection, or to nobody.
pub const WINDOW_MAX: u32 = 16 * 1024 * 1024;
/// How long a gap is waited for after the receiver acknowledged it, since a mirror port may swap the two directions.
pub const ACKNOWLEDGED_GAP_WAIT_NS: u64 = 200_000_000;

/// Offset at which a stream starts when its beginning was not seen, so that earlier bytes still have a number.
const MIDSTREAM_OFFSET: u64 = 1 << 32;
/// How far before the first seen byte of a stream without SYN an earlier segment is still welcome.
const MIDSTREAM_REACH: u64 = 64 * 1024;

/// What became of segments, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Segments that said nothing new.
    pub duplicate: u64,
    /// Segments of which a part had been seen; the first copy won.
    pub overlapping: u64,
    /// Gaps that were given up.
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
}

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
        mut deliver: impl FnMut(Origin, u64, &[u8]),
    ) {
        let promised = u64::from(promised).max(payload.len() as u64);
        if promised == 0 {
            return;
        }
        let (next, position) = *self.next.get_or_insert_with(|| {
            self.midstream = true;
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
        if offset == position && self.held.is_empty() {
            self.deliver(segment, counters, &mut deliver);
            return;
        }
        if offset < position {
            if self.midstream && self.reaches_back(offset, position) {
                // What came first was not the beginning: two segments swapped, and no SYN seen. Start over from the earlier one.
                self.next = Some((sequence, offset));
                self.deliver(segment, counters, &mut deliver);
                self.deliver_held(counters, &mut deliver);
                return;
            }
            if offset.saturating_add(promised) <= position {
                counters.duplicate += 1;
                return;
            }
        }
        if offset > position {
            self.hold(segment, counters);
            counters.over_bound += u64::from(self.is_over_bound());
            // One gap given up may free a single byte, so a bound may ask for several.
            while self.must_jump(origin.at) {
                self.jump(counters, &mut deliver);
            }
            return;
        }
        self.deliver(segment, counters, &mut deliver);
        self.deliver_held(counters, &mut deliver);
    }

    /// Keeps a copy of the first bytes of a stream that began midway, in case an earlier segment still comes.
    pub fn keep_first(&mut self, origin: Origin, bytes: &[u8]) {
        let is_first = self.position() == MIDSTREAM_OFFSET + bytes.len() as u64;
        if self.midstream && is_first && self.held.is_empty() && bytes.len() <= MIDSTREAM_KEPT_MAX {
            self.held.push(Held { offset: MIDSTREAM_OFFSET, origin, bytes: bytes.to_vec(), missing: 0 });
        }
    }

    /// Notes that the receiver has seen everything before `sequence`, and gives up a gap that it must have filled.
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
        while self.must_jump(at) {
            self.jump(counters, &mut deliver);
        }
    }

    /// Delivers what is held, gaps or not: the connection is over.
    pub fn finish(&mut self, counters: &mut StreamCounters, mut deliver: impl FnMut(Origin, u64, &[u8])) {
        while self.has_gap() {
            self.jump(counters, &mut deliver);
        }
    }

    /// Whether everything before `sequence` was delivered or given up: the stream may end there.
    #[must_use]
    pub fn is_through(&self, sequence: u32) -> bool {
        // A stream of which nothing was ever seen misses nothing that could still come in order.
        self.next.is_none_or(|(next, _)| next == sequence || next == sequence.wrapping_add(1))
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(|held| held.bytes.len()).sum()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.next = None;
        self.midstream = false;
        self.acknowledged = 0;
        self.held.clear();
    }

    fn reaches_back(&self, offset: u64, position: u64) -> bool {
        // Only while nothing but the kept first segment was delivered; a retransmission later on is just that.
        let first_only = match self.held.as_slice() {
            [first, ..] => first.offset == MIDSTREAM_OFFSET && position == MIDSTREAM_OFFSET + first.bytes.len() as u64,
            [] => false,
        };
        first_only && offset < MIDSTREAM_OFFSET && MIDSTREAM_OFFSET - offset <= MIDSTREAM_REACH
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
        self.held.len() > HELD_SEGMENTS_MAX || self.held_bytes() > HELD_BYTES_MAX
    }

    fn jump(&mut self, counters: &mut StreamCounters, deliver: &mut impl FnMut(Origin, u64, &[u8])) {
        let Some((sequence, position)) = self.next else { return };
        let Some(to) = self.held.iter().map(|held| held.offset).find(|&offset| offset > position) else { return };
        counters.gaps += 1;
        #[allow(clippy::cast_possible_truncation)]
        let step = (to - position) as u32;
        self.next = Some((sequence.wrapping_add(step), to));
        self.deliver_held(counters, deliver);
    }

    fn hold(&mut self, segment: Segment<'_>, counters: &mut StreamCounters) {
        let end = segment.offset.saturating_add(segment.bytes.len() as u64);
        if self.held.iter().any(|held| held.offset <= segment.offset && held.offset + held.bytes.len() as u64 >= end) {
            counters.duplicate += 1;
            return;
        }
        let at = self.held.partition_point(|held| held.offset <= segment.offset);
        let held = Held {
            offset: segment.offset,
            origin: segment.origin,
            bytes: segment.bytes.to_vec(),
            missing: segment.missing,
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
        let end = segment.offset.saturating_add(segment.bytes.len() as u64).saturating_add(segment.missing);
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
        let fresh = usize::try_from(seen).ok().and_then(|seen| segment.bytes.get(seen..)).unwrap_or(&[]);
        if !fresh.is_empty() {
            deliver(segment.origin, position, fresh);
        }
    }
}

/// Longest first segment of a stream without SYN that is kept for the case that an earlier one follows.
const MIDSTREAM_KEPT_MAX: usize = 9_000;

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
        collector.stream.keep_first(origin(0), b"world");
        collector.segment(1_094, b"hello ");
        assert_eq!(
            collector.runs[1..],
            [(MIDSTREAM_OFFSET - 6, b"hello ".to_vec()), (MIDSTREAM_OFFSET, b"world".to_vec())]
        );
        collector.segment(1_105, b"!");
        assert_eq!(collector.runs[3], (MIDSTREAM_OFFSET + 5, b"!".to_vec()));
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
