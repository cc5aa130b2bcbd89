//! How fast a packet finds its flow: `cargo bench --bench flow`.
//!
//! Packets of 1,000 to 10 million flows in random order. `key and hash` makes the key of each packet and looks nothing up: the baseline.
//! `lookup` does so and updates the flow's state, in batches with both prefetches, as the pipeline does; `one at a time` waits for
//! memory at each packet.

mod clock;
mod traffic;

use std::hint::black_box;
use std::net::Ipv4Addr;

use clock::ThreadTime;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kaspector::capture::Timestamp;
use kaspector::decode::{FiveTuple, Zone};
use kaspector::flow::{Capacities, FlowKey, FlowState, FlowTable, Found, Tier};
use kaspector::pipeline::OFFLINE_SEED;
use traffic::Random;

const PACKETS: usize = 1_000_000;
const BATCH: usize = 32;

/// As large as what the pipeline keeps per flow.
#[derive(Default)]
struct State {
    last_seen_s: u32,
    packets: u32,
    _rest: [u64; 8],
}

impl FlowState for State {
    fn idle_timeout_s(&self) -> u32 {
        600
    }

    fn last_seen_s(&self) -> u32 {
        self.last_seen_s
    }

    fn touch(&mut self, seconds: u32) {
        self.last_seen_s = seconds;
    }

    fn value(&self) -> u8 {
        1
    }
}

fn key(number: u32) -> (FlowKey, u64) {
    let tuple = FiveTuple {
        src: Ipv4Addr::from(0x0a00_0000 | number).into(),
        dst: Ipv4Addr::new(198, 51, 100, 7).into(),
        src_port: 40_000,
        dst_port: 443,
        protocol: FiveTuple::TCP,
    };
    let (key, _) = FlowKey::of(black_box(&tuple), &Zone::default());
    (key, key.hash(OFFLINE_SEED))
}

fn touch(table: &mut FlowTable<State>, key: &FlowKey, hash: u64) -> u64 {
    let found = table.find_or_open(key, hash, Timestamp(1), Tier::Kept, State::default, |_, _| {});
    let (Found::Known(slot) | Found::Opened(slot)) = found;
    let state = table.state(slot);
    state.packets += 1;
    state.packets.into()
}

fn lookup(table: &mut FlowTable<State>, order: &[u32]) -> u64 {
    let mut sum = 0;
    let mut batch = Vec::with_capacity(BATCH);
    for numbers in order.chunks(BATCH) {
        batch.clear();
        for &number in numbers {
            let (key, hash) = key(number);
            table.prefetch(hash);
            batch.push((key, hash));
        }
        for &(_, hash) in &batch {
            table.prefetch_entry(hash);
        }
        for (key, hash) in &batch {
            sum += touch(table, key, *hash);
        }
    }
    sum
}

fn flow(criterion: &mut Criterion<ThreadTime>) {
    let mut group = criterion.benchmark_group("flow");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(PACKETS as u64));
    for (name, flows) in [("1k", 1_000_u32), ("100k", 100_000), ("1M", 1_000_000), ("10M", 10_000_000)] {
        let mut random = Random::new(7);
        let order: Vec<u32> = (0..PACKETS).filter_map(|_| u32::try_from(random.below(flows.into())).ok()).collect();
        let mut table =
            FlowTable::new(Capacities { kept: flows as usize, half_open: 1, datagrams: 1, lookups: 1 }, OFFLINE_SEED);
        for number in 0..flows {
            let (key, hash) = key(number);
            touch(&mut table, &key, hash);
        }
        group.bench_function(BenchmarkId::new("key and hash", name), |bench| {
            bench.iter(|| order.iter().fold(0, |sum, &number| sum ^ key(number).1));
        });
        group.bench_function(BenchmarkId::new("lookup", name), |bench| bench.iter(|| lookup(&mut table, &order)));
        group.bench_function(BenchmarkId::new("one at a time", name), |bench| {
            bench.iter(|| {
                order.iter().fold(0, |sum, &number| {
                    let (key, hash) = key(number);
                    sum + touch(&mut table, &key, hash)
                })
            });
        });
        assert_eq!((table.len(), table.evicted(Tier::Kept)), (flows as usize, 0), "every flow stays");
    }
    group.finish();
}

criterion_group! { name = benches; config = clock::short(); targets = flow }
criterion_main!(benches);
