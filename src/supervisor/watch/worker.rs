//! What one interface's thread does: ring in, alerts out.

use crate::capture::{Filter, Frames, LiveError, Ring, RingStatistics};
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
    /// Whether the interface was last seen down or gone.
    pub is_down: AtomicBool,
}

/// One interface, since the sensor began to capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Packets taken.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets that the kernel dropped because the ring was full.
    pub kernel_drops: u64,
    /// Times that the ring was found full.
    pub ring_freezes: u64,
    /// Alerts that were lost because our queue stayed full.
    pub alerts_lost: u64,
}

impl WorkerCounters {
    /// What they say now of the interface `name`.
    #[must_use]
    pub fn status(&self, name: &str) -> InterfaceStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        InterfaceStatus {
            name: name.to_owned(),
            packets: read(&self.packets),
            bytes: read(&self.bytes),
            kernel_drops: read(&self.kernel_drops),
            ring_freezes: read(&self.ring_freezes),
            alerts_lost: read(&self.queue_lost),
        }
    }
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
        let mut asked = Instant::now();
        loop {
            let is_last = stop.load(Ordering::Relaxed);
            let wait = if is_last { Duration::ZERO } else { WAIT };
            let Self { ring, detector, filter, waiting, counters, .. } = &mut self;
            let came =
                ring.with_block(wait, |frames| take(frames, detector, filter.as_mut(), waiting, counters))?.is_some();
            self.counters.is_down.store(self.ring.link_is_down(), Ordering::Relaxed);
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

/// Takes one block of frames.
fn take(
    frames: Frames<'_>,
    detector: &mut Detector<'_>,
    mut filter: Option<&mut Filter>,
    waiting: &mut VecDeque<Alert>,
    counters: &WorkerCounters,
) {
    detector.feed_block(frames, |frame| filter.as_mut().is_none_or(|filter| filter.accepts(frame)));
    let bytes = frames.records.iter().map(|record| u64::from(record.wire_len)).sum();
    add(&counters.packets, frames.len() as u64);
    add(&counters.bytes, bytes);
    let invalid = MALFORMED.iter().map(|&outcome| detector.outcomes().count(outcome)).sum();
    counters.invalid.store(invalid, Ordering::Relaxed);
    for alert in detector.take_alerts() {
        if waiting.len() < WAITING_MAX {
            waiting.push_back(alert);
        } else {
            add(&counters.queue_lost, 1);
        }
    }
}

/// One writer, so no read-modify-write is needed.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
