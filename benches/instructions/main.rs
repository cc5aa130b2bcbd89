//! One kind of traffic through the pipeline, for `scripts/instructions` to count what it takes: run under callgrind with
//! `--toggle-collect='*measured*'`, so that only [`measured`] counts. Says on standard output how many packets that were.
//!
//! The same case feeds the same bytes to the same tables every time, so the count is the same, too, whatever else the machine does.

#[path = "../traffic/mod.rs"]
mod traffic;

use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use std::hint::black_box;
use std::sync::Arc;
use traffic::Generator;
use traffic::blocks::{Blocks, vxlan};

/// Nanoseconds between frames: a million a second.
const STEP: u64 = 1_000;
/// Flows of the small packets.
const FLOWS: u64 = 20_000;

fn feed(detector: &mut Detector, blocks: &Blocks) {
    for block in &blocks.blocks {
        detector.feed_block(block.view(), |_| true);
        black_box(detector.take_alerts());
    }
}

/// The only part that counts. Never inlined, because callgrind knows it by its name; gives the number of packets, so that it is not
/// merged with another function that does the same.
#[inline(never)]
fn measured(detector: &mut Detector, blocks: &Blocks) -> u64 {
    feed(detector, blocks);
    blocks.frames
}

/// Small enough for a simulated processor; instructions do not care how large the tables are.
fn fill(case: &str, generator: &mut Generator<'_>) -> std::io::Result<()> {
    match case {
        "small64" => generator.small64(40_000, FLOWS),
        "mix" | "vxlan" => generator.mix(1_000),
        "churn" => generator.churn(15_000),
        "syn-flood" => generator.syn_flood(30_000, None),
        "syn-flood-10-real" => generator.syn_flood(15_000, Some(10)),
        "dns" => generator.dns(12_000),
        "tls" => generator.tls_handshakes(5_000),
        other => Err(std::io::Error::other(format!("unknown case {other}"))),
    }
}

fn main() -> std::io::Result<()> {
    let case = std::env::args().nth(1).unwrap_or_default();
    let signatures = Arc::new(SignatureSet::builtin());
    let mut detector = Detector::new(&signatures);
    if case == "small64" {
        feed(&mut detector, &Blocks::generate(STEP, Vec::new(), |generator| generator.open64(FLOWS)));
    }
    let before = if case == "vxlan" { vxlan() } else { Vec::new() };
    let mut blocks = Blocks::generate(STEP, before, |generator| fill(&case, generator));
    // Once before, so that conversations and buffers are there; then the same flows, or as many new ones between the same clients.
    feed(&mut detector, &blocks);
    if case == "small64" {
        blocks.advance();
    } else {
        blocks.renew();
    }
    println!("{}", measured(&mut detector, &blocks));
    Ok(())
}
