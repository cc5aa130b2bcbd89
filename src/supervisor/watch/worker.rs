//! What one ring's thread does: packets in, reports out.

use super::counters::{Detail, WorkerCounters};
use super::desk::END;
use super::snapshot::Latest;
use crate::capture::{Filter, Frames, Listener, LiveError, RingStatistics, Timestamp};
use crate::decode::Outcome;
use crate::matching::SignatureSet;
use crate::pipeline::{LANES, Lanes, Numbering, Outbox, Report};
use rtrb::{Producer, PushError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long to wait for packets before looking at the clock and at the stop sign again.
const WAIT: Duration = Duration::from_millis(100);
/// The same where other workers wait to hear that nothing came.
const WAIT_AMONG_OTHERS: Duration = Duration::from_millis(5);
/// How long a packet may be under way in the kernel beyond the time after which a block is handed over.
const UNDER_WAY: Duration = Duration::from_millis(4);
/// How long the ring may be emptied at the end, where packets come as fast as they are taken.
const LAST_ROUND: Duration = Duration::from_secs(1);
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

/// The thread of one ring.
pub struct Worker<'c> {
    listener: Listener,
    retire: Duration,
    inspection: Inspection<'c>,
    queue: Producer<Report>,
    numbering: Numbering,
    counters: &'c WorkerCounters,
}

/// What packets go through.
struct Inspection<'c> {
    latest: Latest,
    signatures: Arc<SignatureSet>,
    filter: Option<Filter>,
    lanes: Lanes,
    outbox: Outbox,
    counters: &'c WorkerCounters,
}

impl<'c> Worker<'c> {
    /// A worker for `listener`, whose blocks are handed over after `retire`. `seed` keys its flow hash, the same for all workers.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        listener: Listener,
        retire: Duration,
        filter: Option<Filter>,
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
        let inspection = Inspection { latest, signatures, filter, lanes, outbox, counters };
        Self { listener, retire, inspection, queue, numbering, counters }
    }

    /// Takes packets until `stop` says so, and all that came before; then ends all flows.
    ///
    /// # Errors
    /// When the ring fails for good. What was seen until then is reported all the same.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), LiveError> {
        let ended = self.watch(stop);
        self.conclude();
        ended
    }

    fn watch(&mut self, stop: &AtomicBool) -> Result<(), LiveError> {
        let (mut asked, mut swept) = (Instant::now(), Instant::now());
        let longest = if self.numbering == Numbering::ALONE { WAIT } else { WAIT_AMONG_OTHERS };
        // Once the end is asked for: when all packets before it have been handed over.
        let mut end: Option<Instant> = None;
        loop {
            if end.is_none() && stop.load(Ordering::Relaxed) {
                end = Some(Instant::now() + self.retire + UNDER_WAY);
            }
            let wait = end.map_or(longest, |end| longest.min(end.saturating_duration_since(Instant::now())));
            let Self { listener, inspection, .. } = self;
            let came = listener.with_block(wait, |frames| inspection.take(frames))?;
            let until = came.unwrap_or_else(|| self.nothing_until());
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.inspection.sweep(until);
            }
            self.counters.is_down.store(self.listener.link_is_down(), Ordering::Relaxed);
            self.inspection.settle();
            self.inspection.pass(until);
            self.hand_over();
            let over = end.map(|end| Instant::now().saturating_duration_since(end));
            if over.is_some_and(|over| (!over.is_zero() && came.is_none()) || over > LAST_ROUND) {
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
        while self.numbering != Numbering::ALONE && !(is_told && !self.inspection.outbox.is_waiting()) {
            if !self.inspection.outbox.is_waiting() {
                self.inspection.pass(END);
                is_told = true;
            }
            self.hand_over();
            std::thread::sleep(Duration::from_millis(1));
            self.inspection.settle();
        }
        self.inspection.finish();
        self.counters.set_detail(self.inspection.detail());
        // The other side takes reports until we are gone.
        while !self.hand_over() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The time until which it is certain that nothing has come, when nothing is in the ring.
    fn nothing_until(&self) -> Timestamp {
        let margin = self.retire + UNDER_WAY;
        Timestamp(super::now().0.saturating_sub(u64::try_from(margin.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Moves reports into the queue, as far as there is room; true when none is left.
    fn hand_over(&mut self) -> bool {
        let Self { inspection: Inspection { outbox, .. }, queue, counters, .. } = self;
        counters.queue_lost.store(outbox.lost(), Ordering::Relaxed);
        while let Some(report) = outbox.pop() {
            if let Err(PushError::Full(report)) = queue.push(report) {
                outbox.put_back(report);
                add(&counters.queue_full, 1);
                return false;
            }
        }
        true
    }

    fn ask_kernel(&mut self) -> Result<(), LiveError> {
        let RingStatistics { packets, drops, freezes, .. } = self.listener.statistics()?;
        let counters = self.counters;
        counters.kernel_packets.store(packets.saturating_add(drops), Ordering::Relaxed);
        counters.kernel_drops.store(drops, Ordering::Relaxed);
        counters.ring_freezes.store(freezes, Ordering::Relaxed);
        counters.set_detail(self.inspection.detail());
        Ok(())
    }
}

impl Inspection<'_> {
    /// Takes a block, and gives the time of its last packet.
    fn take(&mut self, frames: Frames<'_>) -> Timestamp {
        let Self { latest, signatures, filter, lanes, outbox, counters } = self;
        let snapshot = latest.load();
        if !Arc::ptr_eq(signatures, &snapshot.signatures) {
            *signatures = Arc::clone(&snapshot.signatures);
            lanes.set_signatures(signatures);
        }
        lanes.feed_block(frames, |frame| filter.as_mut().is_none_or(|filter| filter.accepts(frame)), outbox);
        let bytes = frames.records.iter().map(|record| u64::from(record.wire_len)).sum();
        add(&counters.packets, frames.len() as u64);
        add(&counters.bytes, bytes);
        let (_, at) = lanes.last();
        counters.last_packet.store(at.0, Ordering::Relaxed);
        let invalid = MALFORMED.iter().map(|&outcome| lanes.outcomes().count(outcome)).sum();
        counters.invalid.store(invalid, Ordering::Relaxed);
        at
    }

    /// Ends flows that have been idle for too long.
    fn sweep(&mut self, now: Timestamp) {
        self.lanes.sweep(now, SWEPT, &mut self.outbox);
    }

    /// Says that everything until `until` has been taken.
    fn pass(&mut self, until: Timestamp) {
        let (last, _) = self.lanes.last();
        self.outbox.pass(until, last.saturating_add(1));
    }

    /// Reports what waited for other workers, if they have come so far.
    fn settle(&mut self) {
        let latest = self.latest.load();
        self.outbox.settle(&latest.told, latest.told_until, &mut self.lanes);
    }

    /// Ends all flows, of which it is known whether they matter.
    fn finish(&mut self) {
        self.outbox.decide_at_once();
        self.lanes.finish(&mut self.outbox);
        self.pass(END);
    }

    fn detail(&self) -> Detail {
        let mut given_up = BTreeMap::new();
        self.lanes.add_given_up(&mut given_up);
        Detail {
            outcomes: self.lanes.outcomes().clone(),
            flows: self.lanes.flows(),
            flows_active: self.lanes.flows_active() as u64,
            seen_in_part: self.lanes.seen_in_part(),
            given_up,
        }
    }
}

/// One writer, so no read-modify-write is needed.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
