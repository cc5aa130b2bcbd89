//! What one ring's thread does: packets in, reports out.

use super::desk::END;
use super::snapshot::{Latest, Snapshot};
use crate::capture::{Block, Filter, LiveError, Ring, RingStatistics, Timestamp};
use crate::decode::{Outcome, OutcomeCounters};
use crate::matching::SignatureSet;
use crate::pipeline::{LANES, Lanes, Numbering, Outbox, Report};
pub use crate::supervisor::status::InterfaceStatus;
use rtrb::{Producer, PushError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait for packets before looking at the clock and at the stop sign again.
const WAIT: Duration = Duration::from_millis(100);
/// The same where other workers wait to hear that nothing came.
const WAIT_AMONG_OTHERS: Duration = Duration::from_millis(5);
/// How long a packet may be under way in the kernel beyond the time after which a block is handed over.
const UNDER_WAY: Duration = Duration::from_millis(4);
/// How often the kernel is asked what it dropped.
const ASK_KERNEL: Duration = Duration::from_secs(1);
/// How often idle flows are looked for, whatever comes.
const SWEEP: Duration = Duration::from_millis(100);
/// Entries of each lane and tier that are looked at then: a full lane takes half a minute.
const SWEPT: usize = 512;

/// Packets with a header that cannot be.
const MALFORMED: [Outcome; 5] = [
    Outcome::FragmentMalformed,
    Outcome::MalformedLink,
    Outcome::MalformedNetwork,
    Outcome::MalformedTunnel,
    Outcome::MalformedTransport,
];

/// What one worker counts. One writer; readers want a recent value, not an order between counters.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkerCounters {
    /// Packets taken.
    pub packets: AtomicU64,
    /// Their bytes on the wire.
    pub bytes: AtomicU64,
    /// When the last of them came, in nanoseconds since 1970; zero: none did.
    pub last_packet: AtomicU64,
    /// Packets with a malformed header.
    pub invalid: AtomicU64,
    /// Packets that the kernel counted: those taken and those dropped.
    pub kernel_packets: AtomicU64,
    /// Packets that the kernel dropped.
    pub kernel_drops: AtomicU64,
    /// Times that the ring was full.
    pub ring_freezes: AtomicU64,
    /// Times that the queue of reports was full.
    pub queue_full: AtomicU64,
    /// Events that were lost because it stayed so.
    pub queue_lost: AtomicU64,
    /// Whether the interface was last seen down or gone.
    pub is_down: AtomicBool,
    /// What is counted too finely for one word each, as of the last second.
    pub detail: Mutex<Detail>,
}

/// Counters of a worker, some of them under names.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Where the packets ended.
    pub outcomes: OutcomeCounters,
    /// Flows seen.
    pub flows: u64,
    /// Flows that are followed now.
    pub flows_active: u64,
    /// What was given up at a bound, under the bound's name.
    pub given_up: BTreeMap<&'static str, u64>,
}

impl InterfaceStatus {
    /// The interface `name`, as its workers count.
    #[must_use]
    pub fn of(name: &str, workers: &[WorkerCounters]) -> Self {
        let sum = |counter: fn(&WorkerCounters) -> &AtomicU64| {
            workers.iter().map(|worker| counter(worker).load(Ordering::Relaxed)).sum()
        };
        let last = workers.iter().map(|worker| worker.last_packet.load(Ordering::Relaxed)).max();
        Self {
            name: name.to_owned(),
            is_up: !workers.iter().any(|worker| worker.is_down.load(Ordering::Relaxed)),
            packets: sum(|counters| &counters.packets),
            bytes: sum(|counters| &counters.bytes),
            kernel_packets: sum(|counters| &counters.kernel_packets),
            kernel_drops: sum(|counters| &counters.kernel_drops),
            ring_freezes: sum(|counters| &counters.ring_freezes),
            nic_drops: 0,
            queue_drops: sum(|counters| &counters.queue_lost),
            last_packet: last.filter(|&at| at > 0).map(Timestamp),
        }
    }
}

impl WorkerCounters {
    /// What is counted too finely for one word each.
    #[must_use]
    pub fn detail(&self) -> Detail {
        self.detail.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The thread of one ring.
pub struct Worker<'c> {
    ring: Ring,
    retire: Duration,
    latest: Latest,
    signatures: Arc<SignatureSet>,
    expression: Option<Arc<str>>,
    filter: Option<Filter>,
    lanes: Lanes,
    outbox: Outbox,
    queue: Producer<Report>,
    numbering: Numbering,
    counters: &'c WorkerCounters,
}

impl<'c> Worker<'c> {
    /// A worker for `ring`, whose blocks are handed over after `retire`. `seed` keys its flow hash, the same for all workers.
    pub fn new(
        ring: Ring,
        retire: Duration,
        latest: Latest,
        seed: u64,
        numbering: Numbering,
        queue: Producer<Report>,
        counters: &'c WorkerCounters,
    ) -> Self {
        let signatures = Arc::clone(&latest.load().signatures);
        let shares = usize::try_from(numbering.threads).unwrap_or(LANES);
        // Together they follow as many flows as one thread would alone.
        let lanes = Lanes::new(&signatures, seed, (LANES / shares).max(1), numbering);
        let outbox = if numbering == Numbering::ALONE { Outbox::alone() } else { Outbox::among_others() };
        let mut worker = Self {
            ring,
            retire,
            latest,
            signatures,
            expression: None,
            filter: None,
            lanes,
            outbox,
            queue,
            numbering,
            counters,
        };
        worker.adopt(&worker.latest.load_full());
        worker
    }

    /// Takes packets until `stop` says so, and one round of what is in the ring after that; then ends all flows.
    ///
    /// # Errors
    /// When the ring fails for good. What was seen until then is reported all the same.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), LiveError> {
        let ended = self.watch(stop);
        self.conclude();
        ended
    }

    fn watch(&mut self, stop: &AtomicBool) -> Result<(), LiveError> {
        let mut block = Block::default();
        let (mut asked, mut swept) = (Instant::now(), Instant::now());
        loop {
            let is_last = stop.load(Ordering::Relaxed);
            let wait = match (is_last, self.numbering == Numbering::ALONE) {
                (true, _) => Duration::ZERO,
                (false, true) => WAIT,
                (false, false) => WAIT_AMONG_OTHERS,
            };
            let came = self.ring.next_block(&mut block, wait)?;
            let latest = self.latest.load_full();
            self.adopt(&latest);
            let until = if came { self.take(&block) } else { self.nothing_until() };
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.lanes.sweep(until, SWEPT, &mut self.outbox);
            }
            self.counters.is_down.store(self.ring.link_is_down(), Ordering::Relaxed);
            self.outbox.settle(&latest.told, latest.told_until, &mut self.lanes);
            self.outbox.pass(until, self.next_packet());
            self.hand_over();
            if is_last && !came {
                return self.ask_kernel();
            }
            if asked.elapsed() >= ASK_KERNEL {
                asked = Instant::now();
                self.ask_kernel()?;
            }
        }
    }

    /// Ends all flows, once it is known which of them matter, and waits until everything has been taken.
    fn conclude(&mut self) {
        let mut is_told = false;
        // Closed rounds first, then the open one, and then all others have heard what we know.
        while self.numbering != Numbering::ALONE && !(is_told && !self.outbox.is_waiting()) {
            if !self.outbox.is_waiting() {
                self.outbox.pass(END, self.next_packet());
                is_told = true;
            }
            self.hand_over();
            std::thread::sleep(Duration::from_millis(1));
            let latest = self.latest.load_full();
            self.outbox.settle(&latest.told, latest.told_until, &mut self.lanes);
        }
        self.outbox.decide_at_once();
        self.lanes.finish(&mut self.outbox);
        self.outbox.pass(END, self.next_packet());
        self.publish();
        // The other side takes reports until we are gone.
        while !self.hand_over() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Takes up what has changed.
    fn adopt(&mut self, latest: &Snapshot) {
        if !Arc::ptr_eq(&self.signatures, &latest.signatures) {
            self.signatures = Arc::clone(&latest.signatures);
            self.lanes.set_signatures(&self.signatures);
        }
        if self.expression != latest.filter {
            self.expression.clone_from(&latest.filter);
            self.filter = self.expression.as_deref().and_then(|expression| Filter::new(expression).ok());
        }
    }

    /// Takes a block, and gives the time of its last packet.
    fn take(&mut self, block: &Block) -> Timestamp {
        let Self { lanes, outbox, filter, counters, .. } = self;
        lanes.feed_block(block, |frame| filter.as_mut().is_none_or(|filter| filter.accepts(frame)), outbox);
        let bytes = block.records.iter().map(|record| u64::from(record.wire_len)).sum();
        add(&counters.packets, block.records.len() as u64);
        add(&counters.bytes, bytes);
        let (_, at) = lanes.last();
        counters.last_packet.store(at.0, Ordering::Relaxed);
        let invalid = MALFORMED.iter().map(|&outcome| lanes.outcomes().count(outcome)).sum();
        counters.invalid.store(invalid, Ordering::Relaxed);
        at
    }

    /// The time until which it is certain that nothing has come, when nothing is in the ring.
    fn nothing_until(&self) -> Timestamp {
        let margin = self.retire + UNDER_WAY;
        Timestamp(super::now().0.saturating_sub(u64::try_from(margin.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// A number that no packet so far has reached.
    fn next_packet(&self) -> u64 {
        self.lanes.last().0.saturating_add(1)
    }

    /// Moves reports into the queue, as far as there is room; true when none is left.
    fn hand_over(&mut self) -> bool {
        self.counters.queue_lost.store(self.outbox.lost(), Ordering::Relaxed);
        while let Some(report) = self.outbox.pop() {
            if let Err(PushError::Full(report)) = self.queue.push(report) {
                self.outbox.put_back(report);
                add(&self.counters.queue_full, 1);
                return false;
            }
        }
        true
    }

    fn ask_kernel(&mut self) -> Result<(), LiveError> {
        let RingStatistics { packets, drops, freezes, .. } = self.ring.statistics()?;
        let counters = self.counters;
        counters.kernel_packets.store(packets.saturating_add(drops), Ordering::Relaxed);
        counters.kernel_drops.store(drops, Ordering::Relaxed);
        counters.ring_freezes.store(freezes, Ordering::Relaxed);
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let mut given_up = BTreeMap::new();
        self.lanes.add_given_up(&mut given_up);
        let detail = Detail {
            outcomes: self.lanes.outcomes().clone(),
            flows: self.lanes.flows(),
            flows_active: self.lanes.flows_active() as u64,
            given_up,
        };
        *self.counters.detail.lock().unwrap_or_else(PoisonError::into_inner) = detail;
    }
}

/// One writer, so no read-modify-write is needed.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
