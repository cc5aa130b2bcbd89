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
