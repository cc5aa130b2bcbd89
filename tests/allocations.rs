//! Packets of flows that are known ask the heap for nothing.
//!
//! What does allocate, and may: a flow that brings evidence or a matching DNS answer (each is an event with its own text); the first
//! connections of a lane, since conversations are made as they are needed and their buffers grow to what messages need, after which
//! both are reused; a segment that comes out of order, which is copied until the missing one comes; a fragment.

use kaspector::capture::{Block, LinkType, Record, Timestamp};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[path = "../benches/traffic/mod.rs"]
mod traffic;

use std::sync::Arc;
use traffic::blocks::Blocks;

thread_local! {
    /// Times that this thread asked for memory; a test's neighbours do not count.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count.
struct Counting;

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator as it came; the count is a plain thread-local without destructor, so it neither
// allocates nor outlives its thread's memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often feeding `blocks` asks for memory.
fn asked_by(detector: &mut Detector, blocks: &Blocks) -> u64 {
    let before = ASKED.get();
    for block in &blocks.blocks {
        detector.feed_block(block.view(), |_| true);
    }
    let asked = ASKED.get() - before;
    println!("{} frames in {} blocks: {asked} allocations", blocks.frames, blocks.blocks.len());
    asked
}

#[test]
fn the_counter_counts() {
    let before = ASKED.get();
    let boxed = std::hint::black_box(Box::new(7_u64));
    assert_eq!(ASKED.get() - before, 1);
    drop(boxed);
}

#[test]
fn small_packets_of_known_flows() {
    let signatures = Arc::new(SignatureSet::builtin());
    let mut detector = Detector::new(&signatures);
    asked_by(&mut detector, &Blocks::generate(1_000, Vec::new(), |generator| generator.open64(20_000)));
    let mut blocks = Blocks::generate(1_000, Vec::new(), |generator| generator.small64(100_000, 20_000));
    asked_by(&mut detector, &blocks);
    blocks.advance();
    assert_eq!(asked_by(&mut detector, &blocks), 0);
}

/// Connections of all kinds, each read to the end of what there is to learn; then their data and acknowledgements again.
#[test]
fn data_of_settled_flows() {
    let signatures = Arc::new(SignatureSet::builtin());
    let mut detector = Detector::new(&signatures);
    let mut blocks = Blocks::generate(1_000, Vec::new(), |generator| generator.mix(2_000));
    asked_by(&mut detector, &blocks);
    // The same connections go on: without their openings, requests and messages, which would be read as new ones.
    let mut later = Block { first_number: blocks.frames + 1, ..Block::default() };
    let mut frames = 0;
    for frame in blocks.frames() {
        let is_bulk = frame.bytes.len() > 1_200 || frame.bytes.get(47) == Some(&16) && frame.bytes.len() == 60;
        if is_bulk {
            let start = u32::try_from(later.bytes.len()).unwrap();
            let len = u32::try_from(frame.bytes.len()).unwrap();
            later.bytes.extend_from_slice(frame.bytes);
            let at = Timestamp(frame.at.0 + 60_000_000_000);
            later.records.push(Record { at, start, len, wire_len: len, link_type: LinkType::ETHERNET });
            frames += 1;
        }
    }
    assert!(frames > 10_000, "most of the mix is data");
    blocks.blocks = vec![later];
    blocks.frames = frames;
    assert_eq!(asked_by(&mut detector, &blocks), 0);
}

/// New connections that prove nothing: tables, conversations and events are reused once they are warm. Only a machine that was not seen
/// before takes memory, once, for its link-layer address.
#[test]
fn new_connections_without_evidence() {
    let signatures = Arc::new(SignatureSet::default());
    let mut detector = Detector::new(&signatures);
    let mut blocks = Blocks::generate(1_000, Vec::new(), |generator| generator.tls_handshakes(20_000));
    for _ in 0..2 {
        asked_by(&mut detector, &blocks);
        detector.finish();
    }
    blocks.renew();
    let asked = asked_by(&mut detector, &blocks);
    let machines = u64::try_from(detector.finish().machines().len()).unwrap();
    // Beside those, the list of machines grows by doubling.
    assert!(machines > 1000 && asked <= machines + 32, "{asked} for {machines} machines");
}
