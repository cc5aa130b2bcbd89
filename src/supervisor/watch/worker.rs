//! What one interface's thread does: ring in, alerts out.

use crate::capture::{Block, Filter, LiveError, Ring, RingStatistics};
use crate::decode::Outcome;
use crate::matching::{Alert, SignatureSet};
use crate::pipeline::{Detector, Findings};
use rtrb::{Producer, PushError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long to wait for packets before looking at the clock and at the stop sign again.
const WAIT: Duration = Duration::from_millis(100);
/// How often the kernel is asked what it dropped.
const ASK_KERNEL: Duration = Duration::from_secs(1);
/// Alerts that wait here while the queue is full.
const WAITING_MAX: usize = 1 << 14;

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
    /// Packets with a malformed header.
    pub invalid: AtomicU64,
    /// Packets that the kernel counted: those taken and those dropped.
    pub kernel_packets: AtomicU64,
    /// Packets that the kernel dropped.
    pub kernel_drops: AtomicU64,
    /// Times that the ring was full.
    pub ring_freezes: AtomicU64,
    /// Times that the queue of alerts was full.
    pub queue_full: AtomicU64,
    /// Alerts that were lost because it stayed so.
    pub queue_lost: AtomicU64,
}

/// An interface's thread.
pub struct Worker<'s> {
    ring: Ring,
    detector: Detector<'s>,
    filter: Option<Filter>,
    queue: Producer<Alert>,
    waiting: VecDeque<Alert>,
    counters: &'s WorkerCounters,
}

impl<'s> Worker<'s> {
    /// A worker for `ring`. `seed` keys its flow hash.
    pub fn new(
        ring: Ring,
        signatures: &'s SignatureSet,
        seed: u64,
        filter: Option<Filter>,
        queue: Producer<Alert>,
        counters: &'s WorkerCounters,
    ) -> Self {
        let detector = Detector::with_seed(signatures, seed);
        Self { ring, detector, filter, queue, waiting: VecDeque::new(), counters }
    }

    /// Takes packets until `stop` says so, and one round of what is in the ring after that; then ends all flows.
    ///
    /// # Errors
    /// When the ring fails for good.
    pub fn run(mut self, stop: &AtomicBool) -> Result<Findings, LiveError> {
        let mut block = Block::default();
        let mut asked = Instant::now();
        loop {
            let is_last = stop.load(Ordering::Relaxed);
            let wait = if is_last { Duration::ZERO } else { WAIT };
            let came = self.ring.next_block(&mut block, wait)?;
            if came {
                self.take(&block);
            }
            self.hand_over();
            if is_last && !came {
                break;
            }
            if asked.elapsed() >= ASK_KERNEL {
                asked = Instant::now();
                self.ask_kernel()?;
            }
        }
        self.ask_kernel()?;
        let mut findings = self.detector.finish();
        self.waiting.extend(std::mem::take(&mut findings.alerts));
        // The other side drains the queue until we are gone.
        while !self.waiting.is_empty() {
            self.hand_over();
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(findings)
    }

    fn take(&mut self, block: &Block) {
        let Self { detector, filter, counters, .. } = self;
        detector.feed_block(block, |frame| filter.as_mut().is_none_or(|filter| filter.accepts(frame)));
        let bytes = block.records.iter().map(|record| u64::from(record.wire_len)).sum();
        add(&counters.packets, block.records.len() as u64);
        add(&counters.bytes, bytes);
        let invalid = MALFORMED.iter().map(|&outcome| detector.outcomes().count(outcome)).sum();
        counters.invalid.store(invalid, Ordering::Relaxed);
        for alert in detector.take_alerts() {
            if self.waiting.len() < WAITING_MAX {
                self.waiting.push_back(alert);
            } else {
                add(&counters.queue_lost, 1);
            }
        }
    }

    /// Moves what waits into the queue, as far as there is room.
    fn hand_over(&mut self) {
        while let Some(alert) = self.waiting.pop_front() {
            if let Err(PushError::Full(alert)) = self.queue.push(alert) {
                self.waiting.push_front(alert);
                add(&self.counters.queue_full, 1);
                return;
            }
        }
    }

    fn ask_kernel(&mut self) -> Result<(), LiveError> {
        let RingStatistics { packets, drops, freezes, .. } = self.ring.statistics()?;
        let counters = self.counters;
        counters.kernel_packets.store(packets.saturating_add(drops), Ordering::Relaxed);
        counters.kernel_drops.store(drops, Ordering::Relaxed);
        counters.ring_freezes.store(freezes, Ordering::Relaxed);
        Ok(())
    }
}

/// One writer, so no read-modify-write is needed.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
