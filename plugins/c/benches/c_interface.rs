//! What the C interface costs: `cargo bench -p kaspector-c`.
//!
//! The same frames go to two detectors in turn: to one by `Detector::feed`, to the other by `kaspector_feed` in batches of 32, behind a
//! pointer, so that nothing is put together across the border. Filling the batch is part of the measured time, as it is for C programs.
//! `slices` is `Detector::feed_block` over slices of 32 frames.

#![allow(unsafe_code)]

#[path = "../../../benches/clock/mod.rs"]
mod clock;
#[path = "../../../benches/traffic/mod.rs"]
mod traffic;

use clock::ThreadTime;
use criterion::measurement::Measurement;
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use kaspector::capture::Frame;
use kaspector::pipeline::Detector;
use kaspector_c::{Handle, Options, Packet, Status, kaspector_feed, kaspector_free, kaspector_new};
use std::hint::black_box;
use std::time::Duration;
use traffic::blocks::Blocks;

const BATCH: usize = 32;

/// Feeds one pass, and takes the time.
fn pass(blocks: &mut Blocks, is_known: bool, mut feed: impl FnMut(&[Frame<'_>])) -> Duration {
    let mut took = Duration::ZERO;
    for block in &blocks.blocks {
        // Frames are borrowed here and there alike; only what is done with them counts.
        let frames: Vec<Frame<'_>> = block.frames().collect();
        let start = ThreadTime.start();
        frames.chunks(BATCH).for_each(&mut feed);
        took += ThreadTime.end(start);
    }
    if is_known {
        blocks.advance()
    } else {
        blocks.renew()
    }
    took
}

fn detector() -> Detector {
    Detector::builder().without_alerts().build()
}

fn feed_c(handle: *mut Handle, frames: &[Frame<'_>]) {
    let mut batch = [Packet { ts_ns: 0, link_type: 0, caplen: 0, wirelen: 0, data: std::ptr::null() }; BATCH];
    for (packet, frame) in batch.iter_mut().zip(frames) {
        *packet = Packet {
            ts_ns: frame.at.0,
            link_type: u32::from(frame.link_type.0),
            caplen: frame.bytes.len() as u32,
            wirelen: frame.wire_len,
            data: frame.bytes.as_ptr(),
        };
    }
    let feed: unsafe extern "C" fn(*mut Handle, *const Packet, usize) -> Status = black_box(kaspector_feed);
    // SAFETY: the detector lives, and so do the frames.
    let status = unsafe { feed(handle, batch.as_ptr(), frames.len()) };
    assert_eq!(status, Status::KASPECTOR_OK);
}

fn interface(criterion: &mut Criterion<ThreadTime>) {
    let mut group = criterion.benchmark_group("c_interface");
    group.sampling_mode(SamplingMode::Flat);
    for (name, is_known, warm_up) in [("small64", true, 3), ("mix", false, 8)] {
        let mut blocks = if is_known {
            Blocks::generate(1_000, Vec::new(), |generator| generator.small64(1_000_000, 500_000))
        } else {
            Blocks::generate(35_000, Vec::new(), |generator| generator.mix(20_000))
        };
        group.throughput(clock::packets(blocks.frames, blocks.bytes));
        let options = Options { without_alerts: true, ..Options::default() };
        let mut handle = std::ptr::null_mut();
        // SAFETY: the options are whole, and the place is there.
        let status = unsafe { kaspector_new(&raw const options, &raw mut handle) };
        assert_eq!(status, Status::KASPECTOR_OK);
        let one = |frames: &[Frame<'_>], detector: &mut Detector| {
            for frame in frames {
                black_box(detector.feed(frame));
            }
        };
        let (mut by_frame, mut by_slice) = (detector(), detector());
        for _ in 0..warm_up {
            pass(&mut blocks, is_known, |frames| {
                one(frames, &mut by_frame);
                by_slice.feed_block(frames, |_| true);
                feed_c(handle, frames);
            });
        }
        group.bench_function(BenchmarkId::new("rust", name), |bench| {
            bench.iter_custom(|count| {
                (0..count).map(|_| pass(&mut blocks, is_known, |frames| one(frames, &mut by_frame))).sum()
            });
        });
        group.bench_function(BenchmarkId::new("slices", name), |bench| {
            bench.iter_custom(|count| {
                (0..count).map(|_| pass(&mut blocks, is_known, |frames| by_slice.feed_block(frames, |_| true))).sum()
            });
        });
        group.bench_function(BenchmarkId::new("c", name), |bench| {
            bench.iter_custom(|count| {
                (0..count).map(|_| pass(&mut blocks, is_known, |frames| feed_c(handle, frames))).sum()
            });
        });
        // SAFETY: it is not used again.
        unsafe { kaspector_free(handle) };
    }
    group.finish();
}

criterion_group! { name = benches; config = clock::short(); targets = interface }
criterion_main!(benches);
