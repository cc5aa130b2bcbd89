//! How fast the whole journey is: `cargo bench --bench pipeline`.
//!
//! `detector` is [`Detector::feed_block`] with the built-in signatures, on one thread, with its alerts taken after each block. Beside
//! it stand `count only`, `touch` and `dissect` on the same blocks, as in the benchmark of `decode`. Every pass is fed with later
//! times; in all cases but `small64` it has other servers besides, so that each flow is new to a table that earlier passes filled.
//!
//! | case | a pass | flows in the table |
//! |---|---|---|
//! | small64 | bare ACKs of 1M flows, uniformly random | 1M, all established |
//! | mix | 40,000 connections, 512 at a time, mean frame about 750 bytes, 0.5 % Kaspersky | about 0.9M, ended by their timeouts |
//! | churn | 400,000 flows of one to three packets | its half-open tier is full: every new flow pushes out the oldest |
//! | syn flood | 800,000 SYNs | the same |
//! | syn flood, 10 % real | SYNs, every tenth answered and followed by a hello | the same |
//! | dns | 300,000 queries and their answers | its datagram tier is full |
//! | tls | 250,000 handshakes up to the hello | full |
//! | vxlan | the mix inside VXLAN | about 0.9M |

mod clock;
mod traffic;

use std::hint::black_box;
use std::time::Duration;

use clock::ThreadTime;
use criterion::measurement::Measurement;
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use kaspector::decode::{Dissected, Transport, dissect};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use std::sync::Arc;
use traffic::Generator;
use traffic::blocks::{Blocks, count, touch, vxlan};

/// Time between frames where flows outnumber the table: a million packets per second.
const FAST: u64 = 1_000;
/// Time between frames of the mix: so slow that about 0.9M flows have not timed out yet. Timeouts are minutes, a pass is not.
const SLOW: u64 = 35_000;

struct Case {
    name: &'static str,
    blocks: Blocks,
    /// Fed once before all else.
    opening: Option<Blocks>,
    /// Passes before measuring.
    warm_up: usize,
    is_known: bool,
}

impl Case {
    fn new(
        name: &'static str,
        step: u64,
        before: Vec<u8>,
        fill: fn(&mut Generator<'_>) -> std::io::Result<()>,
    ) -> Self {
        let blocks = Blocks::generate(step, before, fill);
        Self { name, blocks, opening: None, warm_up: 4, is_known: false }
    }
}

fn cases() -> impl Iterator<Item = Case> {
    // Made one at a time, for the sake of memory.
    let makers: [fn() -> Case; 8] = [
        || Case {
            opening: Some(Blocks::generate(FAST, Vec::new(), |generator| generator.open64(1_000_000))),
            is_known: true,
            ..Case::new("small64", FAST, Vec::new(), |generator| generator.small64(2_000_000, 1_000_000))
        },
        || Case { warm_up: 30, ..Case::new("mix", SLOW, Vec::new(), |generator| generator.mix(40_000)) },
        || Case::new("churn", FAST, Vec::new(), |generator| generator.churn(400_000)),
        || Case::new("syn flood", FAST, Vec::new(), |generator| generator.syn_flood(800_000, None)),
        || Case::new("syn flood, 10 % real", FAST, Vec::new(), |generator| generator.syn_flood(600_000, Some(10))),
        || Case::new("dns", FAST, Vec::new(), |generator| generator.dns(600_000)),
        || Case { warm_up: 6, ..Case::new("tls", FAST, Vec::new(), |generator| generator.tls_handshakes(250_000)) },
        || Case { warm_up: 30, ..Case::new("vxlan", SLOW, vxlan(), |generator| generator.mix(40_000)) },
    ];
    makers.into_iter().map(|make| make())
}

fn dissect_all(blocks: &Blocks) -> u64 {
    blocks.frames().fold(0, |sum, frame| match dissect(&frame) {
        Dissected::Segment(segment) => {
            let number = if let Transport::Tcp { seq, .. } = segment.transport { seq } else { 0 };
            sum ^ u64::from(number) ^ u64::from(segment.five_tuple.src_port) ^ segment.payload.len() as u64
        }
        _ => sum,
    })
}

/// Feeds one pass, and takes the time.
fn pass(detector: &mut Detector, case: &mut Case) -> Duration {
    let start = ThreadTime.start();
    for block in &case.blocks.blocks {
        detector.feed_block(block.view(), |_| true);
        black_box(detector.take_alerts());
    }
    let took = ThreadTime.end(start);
    if case.is_known {
        case.blocks.advance();
    } else {
        case.blocks.renew();
    }
    took
}

fn pipeline(criterion: &mut Criterion<ThreadTime>) {
    let signatures = Arc::new(SignatureSet::builtin());
    let mut group = criterion.benchmark_group("pipeline");
    group.sampling_mode(SamplingMode::Flat);
    for mut case in cases() {
        group.throughput(clock::packets(case.blocks.frames, case.blocks.bytes));
        let name = case.name;
        let id = |what| BenchmarkId::new(what, name);
        group.bench_function(id("count only"), |bench| bench.iter(|| black_box(count(&case.blocks))));
        group.bench_function(id("touch"), |bench| bench.iter(|| black_box(touch(&case.blocks))));
        group.bench_function(id("dissect"), |bench| bench.iter(|| black_box(dissect_all(&case.blocks))));
        let mut detector: Option<Detector> = None;
        group.bench_function(id("detector"), |bench| {
            // Not made when the filter of the command line leaves this row out.
            let detector = detector.get_or_insert_with(|| {
                let mut detector = Detector::new(&signatures);
                for block in case.opening.take().iter().flat_map(|opening| &opening.blocks) {
                    detector.feed_block(block.view(), |_| true);
                }
                for _ in 0..case.warm_up {
                    pass(&mut detector, &mut case);
                }
                detector
            });
            bench.iter_custom(|count| (0..count).map(|_| pass(detector, &mut case)).sum());
        });
        if let Some(mut detector) = detector {
            let findings = detector.finish();
            eprintln!(
                "{}: mean frame {} bytes; {} frames, {} flows, {} hosts; given up: {:?}",
                case.name,
                case.blocks.bytes / case.blocks.frames,
                findings.outcomes.total(),
                findings.flows,
                findings.hosts.len(),
                findings.dropped
            );
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = clock::short(); targets = pipeline }
criterion_main!(benches);
