//! How fast headers are read: `cargo bench --bench decode`.
//!
//! `count only` looks at each frame's place and length and does nothing else: what any loop over a block must at least do.
//! `touch` also fetches the headers from memory, which is much of the work when the block is larger than the cache. `dissect`
//! is what the pipeline calls; `dissect_general` is the same without the short cut for the common shape. `vxlan` has the frames
//! of the mix inside VXLAN, which the short cut never takes.

mod clock;
mod traffic;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kaspector::capture::Frame;
use kaspector::decode::{Dissected, Transport, TunnelPorts, dissect, dissect_general};
use traffic::blocks::{Blocks, count, touch, vxlan};

/// Something from every segment, so that nothing is optimised away.
fn walk<'b>(blocks: &'b Blocks, dissect: impl Fn(&Frame<'b>) -> Dissected<'b>) -> (u64, u64) {
    let (mut segments, mut sum) = (0, 0_u64);
    for frame in blocks.frames() {
        if let Dissected::Segment(segment) = dissect(&frame) {
            segments += 1;
            let number = match segment.transport {
                Transport::Tcp { seq, .. } => seq,
                Transport::Udp => 0,
            };
            sum = sum.wrapping_add(u64::from(number))
                ^ u64::from(segment.five_tuple.src_port)
                ^ segment.payload.len() as u64
                ^ u64::from(segment.five_tuple.dst.is_ipv4());
        }
    }
    (segments, sum)
}

/// Without the short cut, with tunnels at their assigned ports.
fn general<'b>(frame: &Frame<'b>) -> Dissected<'b> {
    dissect_general(frame, &TunnelPorts::ASSIGNED)
}

fn decode(criterion: &mut Criterion<clock::ThreadTime>) {
    let traffic = [
        ("mix", Blocks::generate(1000, Vec::new(), |generator| generator.mix(8_000))),
        ("small64", Blocks::generate(1000, Vec::new(), |generator| generator.small64(500_000, 100_000))),
        ("vxlan", Blocks::generate(1000, vxlan(), |generator| generator.mix(8_000))),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, blocks) in &traffic {
        assert_eq!(walk(blocks, dissect).0, blocks.frames, "every generated frame has a segment");
        assert_eq!(walk(blocks, dissect), walk(blocks, general));
        group.throughput(clock::packets(blocks.frames, blocks.bytes));
        let id = |what| BenchmarkId::new(what, name);
        group.bench_function(id("count only"), |bench| bench.iter(|| black_box(count(blocks))));
        group.bench_function(id("touch"), |bench| bench.iter(|| black_box(touch(blocks))));
        group.bench_function(id("dissect"), |bench| bench.iter(|| black_box(walk(blocks, dissect))));
        group.bench_function(id("dissect_general"), |bench| bench.iter(|| black_box(walk(blocks, general))));
    }
    group.finish();
}

criterion_group! { name = benches; config = clock::short(); targets = decode }
criterion_main!(benches);
