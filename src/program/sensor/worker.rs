//! What one ring's thread does: packets in, reports out.

use super::counters::{Detail, WorkerCounters};
use super::snapshot::Latest;
use crate::evidence::{FrameKeeper, KeptFrames};
use kaspector::capture::{Frames, Timestamp};
use kaspector::decode::{Outcome, TunnelPorts};
use kaspector::matching::{Event, SignatureSet};
use kaspector::pipeline::{END, EventSink, LANES, Lanes, Numbering, Opening, Report, ReportQueue};
use kaspector_live::{Choice, Filter, Listener, LiveError, RingStatistics};
use rtrb::{Producer, PushError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long to wait for packets before looking at the clock and at the stop sign again.
const WAIT: Duration = Duration::from_millis(100);
/// The same where other workers wait to know that nothing came.
const WAIT_AMONG_OTHERS: Duration = Duration::from_millis(5);
/// How long a packet may be under way in the kernel beyond the time after which a block is handed over.
const UNDER_WAY: Duration = Duration::from_millis(4);
/// How long the ring may be emptied at the end; what is left in it then is counted as dropped.
const LAST_ROUND: Duration = Duration::from_secs(10);
/// How long whoever takes reports may need for those of the flows that are open at the end; what is left then is lost, and counted.
const LAST_REPORTS: Duration = Duration::from_secs(15);
/// Between two looks whether the last packets have been handed over.
const LAST_LOOKS: Duration = Duration::from_millis(1);
/// How often the kernel is asked what it dropped.
const ASK_KERNEL: Duration = Duration::from_secs(1);
/// How often idle flows are looked for, whatever comes.
const SWEEP: Duration = Duration::from_millis(100);
/// Entries of each lane and tier that are looked at then: a full lane takes a minute.
const SWEPT: usize = 256;

/// What is handed over of machines after one block, so that a flood of invented ones takes little of the time of whoever takes it.
const MACHINES_AT_ONCE: usize = 1024;

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
    choice: Arc<Choice>,
    filter: Option<Filter>,
    lanes: Lanes,
    report_queue: ReportQueue,
    numbering: Numbering,
    frame_keeper: Option<FrameKeeper>,
    counters: &'c WorkerCounters,
}

impl<'c> Worker<'c> {
    /// A worker for `listener`, which was opened for the choice of the latest snapshot and whose blocks are handed over after `retire`.
    /// `seed` keys its flow hash, the same for all workers.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        listener: Listener,
        retire: Duration,
        filter: Option<Filter>,
        latest: Latest,
        ports: &Arc<TunnelPorts>,
        seed: u64,
        numbering: Numbering,
        queue: Producer<Report>,
        counters: &'c WorkerCounters,
    ) -> Self {
        let (signatures, choice) = {
            let snapshot = latest.load();
            (Arc::clone(&snapshot.signatures), Arc::clone(&snapshot.choice))
        };
        let shares = usize::try_from(numbering.threads).unwrap_or(LANES);
        // Together they follow as many flows as one thread would alone.
        let lanes = Lanes::new(&signatures, seed, (LANES / shares).max(1), numbering).with_tunnels(ports);
        let report_queue =
            if numbering == Numbering::ALONE { ReportQueue::alone() } else { ReportQueue::among_others() };
        let inspection = Inspection {
            latest,
            signatures,
            choice,
            filter,
            lanes,
            report_queue,
            numbering,
            frame_keeper: None,
            counters,
        };
        Self { listener, retire, inspection, queue, numbering, counters }
    }

    /// Keeps the latest packets there, if anywhere.
    pub fn keeping(mut self, kept: Option<Arc<KeptFrames>>) -> Self {
        if let Some(kept) = kept {
            self.inspection.frame_keeper = Some(FrameKeeper::new(kept));
            self.inspection.report_queue = self.inspection.report_queue.noting_packets();
        }
        self
    }

    /// Takes packets until `stop` says so, and all that came before; then ends all flows. However it ends, `stop` is set, and where
    /// nobody takes reports any more it ends, too.
    ///
    /// # Errors
    /// When the ring fails for good. What was seen until then is reported all the same.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), LiveError> {
        let end_of_all = EndOfAll(stop);
        let ended = self.watch(stop);
        // Others must know of it first: what is concluded waits for them.
        drop(end_of_all);
        self.conclude();
        ended
    }

    fn watch(&mut self, stop: &AtomicBool) -> Result<(), LiveError> {
        let (mut asked, mut swept) = (Instant::now(), Instant::now());
        let longest = if self.numbering == Numbering::ALONE { WAIT } else { WAIT_AMONG_OTHERS };
        // Once the end is asked for: when all packets before it have been handed over.
        let (mut end, mut ended_at): (Option<Instant>, Option<Timestamp>) = (None, None);
        loop {
            if self.queue.is_abandoned() {
                return Ok(());
            }
            if end.is_none() && stop.load(Ordering::Relaxed) {
                end = Some(Instant::now() + self.retire + UNDER_WAY);
                ended_at = Some(super::now());
            }
            let left = |end: Instant| end.saturating_duration_since(Instant::now()).max(LAST_LOOKS);
            let wait = end.map_or(longest, |end| longest.min(left(end)));
            add(&self.counters.rounds, 1);
            let Self { listener, inspection, .. } = self;
            inspection.choose(listener);
            let came = listener.with_block(wait, |frames| inspection.take(frames))?;
            let until = came.unwrap_or_else(|| self.nothing_until());
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.inspection.sweep(until);
            }
            let is_down = self.listener.link_is_down();
            if is_down && !self.counters.is_down.swap(is_down, Ordering::Relaxed) {
                add(&self.counters.went_down, 1);
            }
            self.counters.is_down.store(is_down, Ordering::Relaxed);
            self.inspection.settle();
            self.inspection.pass(until);
            self.hand_over();
            let over = end.map(|end| Instant::now().saturating_duration_since(end));
            if over.is_some_and(|over| over > LAST_ROUND) {
                return self.leave();
            }
            // What came after the end was asked for need not be taken, where packets come as fast as they are.
            if over.is_some() && came.is_some_and(|at| ended_at.is_some_and(|ended| at > ended)) {
                return self.ask_kernel();
            }
            // The timer that hands blocks over may be late on a busy machine, so the kernel is asked what is still there.
            if over.is_some_and(|over| !over.is_zero()) && came.is_none() && self.has_taken_all()? {
                return Ok(());
            }
            if asked.elapsed() >= ASK_KERNEL {
                asked = Instant::now();
                self.ask_kernel()?;
            }
        }
    }

    /// Ends all flows, once it is known which of them matter, and waits until everything has been taken.
    fn conclude(&mut self) {
        let until = Instant::now() + LAST_REPORTS;
        if let Some(keeper) = &mut self.inspection.frame_keeper {
            keeper.put_up();
        }
        self.inspection.report_queue.take_all(true);
        let mut is_told = false;
        // Closed rounds first, then the open one, and then all others have heard what we know.
        while self.numbering != Numbering::ALONE && (!is_told || self.inspection.report_queue.is_waiting()) {
            if self.queue.is_abandoned() {
                return;
            }
            if !self.inspection.report_queue.is_waiting() {
                self.inspection.pass(END);
                is_told = true;
            }
            self.hand_over();
            std::thread::sleep(Duration::from_millis(1));
            self.inspection.settle();
        }
        let Self { inspection, queue, counters, .. } = self;
        inspection.finish(|report_queue| {
            while report_queue.is_crowded() && !pass_on(report_queue, queue, counters) {
                if queue.is_abandoned() || Instant::now() >= until {
                    report_queue.take_all(false);
                    return;
                }
                std::thread::sleep(LAST_LOOKS);
            }
        });
        self.counters.set_detail(self.inspection.detail());
        // The other side takes reports until we are gone.
        while !self.hand_over() && !self.queue.is_abandoned() {
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
        pass_on(&mut self.inspection.report_queue, &mut self.queue, self.counters)
    }

    /// Whether every packet that the kernel kept for us has been taken.
    fn has_taken_all(&mut self) -> Result<bool, LiveError> {
        self.ask_kernel()?;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let WorkerCounters { kernel_packets, kernel_drops, packets, .. } = self.counters;
        Ok(read(kernel_packets).saturating_sub(read(kernel_drops)) <= read(packets))
    }

    /// Leaves what is in the ring.
    fn leave(&mut self) -> Result<(), LiveError> {
        self.ask_kernel()?;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let WorkerCounters { kernel_packets, kernel_drops, packets, .. } = self.counters;
        let left = read(kernel_packets).saturating_sub(read(kernel_drops)).saturating_sub(read(packets));
        add(kernel_drops, left);
        Ok(())
    }

    fn ask_kernel(&mut self) -> Result<(), LiveError> {
        let RingStatistics { packets, drops, freezes, hardware_stamped, reopened, .. } = self.listener.statistics()?;
        let counters = self.counters;
        counters.kernel_packets.store(packets.saturating_add(drops), Ordering::Relaxed);
        counters.kernel_drops.store(drops, Ordering::Relaxed);
        counters.ring_freezes.store(freezes, Ordering::Relaxed);
        counters.hardware_stamped.store(hardware_stamped, Ordering::Relaxed);
        counters.reopened.store(reopened, Ordering::Relaxed);
        counters.set_detail(self.inspection.detail());
        Ok(())
    }
}

impl Inspection<'_> {
    /// Takes up another choice of frames.
    fn choose(&mut self, listener: &mut Listener) {
        let snapshot = self.latest.load();
        if Arc::ptr_eq(&self.choice, &snapshot.choice) {
            return;
        }
        self.choice = Arc::clone(&snapshot.choice);
        // Whoever offered it has compiled it before.
        if let Ok(filter) = self.choice.filter.as_deref().map(Filter::new).transpose() {
            self.filter = filter;
            listener.choose(&self.choice);
        }
    }

    /// Takes a block, and gives the time of its last packet.
    fn take(&mut self, frames: Frames<'_>) -> Timestamp {
        let Self { latest, signatures, filter, lanes, report_queue, counters, numbering, frame_keeper, .. } = self;
        let snapshot = latest.load();
        if !Arc::ptr_eq(signatures, &snapshot.signatures) {
            *signatures = Arc::clone(&snapshot.signatures);
            lanes.set_signatures(signatures);
        }
        lanes.feed_block(frames, |frame| filter.as_mut().is_none_or(|filter| filter.accepts(frame)), report_queue);
        if let Some(keeper) = frame_keeper {
            for (number, flow) in report_queue.take_noted() {
                let own = numbering.own(number);
                let index = usize::try_from(own.wrapping_sub(frames.first_number)).unwrap_or(usize::MAX);
                if let Some(frame) = frames.frame(index) {
                    keeper.add(number, flow, &frame);
                }
            }
        }
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
        self.lanes.sweep(now, SWEPT, &mut self.report_queue);
    }

    /// Says that everything until `until` has been taken.
    fn pass(&mut self, until: Timestamp) {
        if let Some(keeper) = &mut self.frame_keeper {
            keeper.pass();
        }
        let (last, _) = self.lanes.last();
        self.report_queue.pass(until, last.saturating_add(1));
    }

    /// Reports what waited for other workers, if they have come so far.
    fn settle(&mut self) {
        let latest = self.latest.load();
        self.report_queue.settle(&latest.resolved, latest.resolved_until, &mut self.lanes);
    }

    /// Ends all flows, of which it is known whether they matter. `make_room` is called after each event, and may wait.
    fn finish(&mut self, make_room: impl FnMut(&mut ReportQueue)) {
        self.report_queue.decide_at_once();
        self.lanes.finish(&mut WithRoom { report_queue: &mut self.report_queue, make_room });
        self.pass(END);
    }

    fn detail(&self) -> Detail {
        let mut dropped = BTreeMap::new();
        self.lanes.add_dropped(&mut dropped);
        if self.report_queue.forced() > 0 {
            dropped.insert("hurried_rounds", self.report_queue.forced());
        }
        Detail {
            outcomes: self.lanes.outcomes().clone(),
            flows: self.lanes.flows(),
            flows_active: self.lanes.flows_active() as u64,
            memory_bytes: self.lanes.memory_bytes() as u64,
            coverage: self.lanes.coverage(),
            dropped,
        }
    }
}

/// A report queue that has room made for each event.
struct WithRoom<'o, F> {
    report_queue: &'o mut ReportQueue,
    make_room: F,
}

impl<F: FnMut(&mut ReportQueue)> EventSink for WithRoom<'_, F> {
    fn event(&mut self, event: Event) {
        self.report_queue.event(event);
        (self.make_room)(self.report_queue);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        self.report_queue.opened(opening)
    }

    fn is_undecided(&self, first_packet: u64) -> bool {
        self.report_queue.is_undecided(first_packet)
    }
}

/// Moves reports into the queue, as far as there is room; true when none is left.
fn pass_on(report_queue: &mut ReportQueue, queue: &mut Producer<Report>, counters: &WorkerCounters) -> bool {
    counters.queue_lost.store(report_queue.lost(), Ordering::Relaxed);
    counters.machines_lost.store(report_queue.machines_lost(), Ordering::Relaxed);
    while let Some(report) = report_queue.pop() {
        if let Err(PushError::Full(report)) = queue.push(report) {
            report_queue.put_back(report);
            add(&counters.queue_full, 1);
            return false;
        }
    }
    // Behind all else, and half of the queue stays free for what comes next.
    let free = queue.slots().saturating_sub(queue.buffer().capacity() / 2);
    for report in std::iter::from_fn(|| report_queue.pop_machine()).take(free.min(MACHINES_AT_ONCE)) {
        queue.push(report).expect("the room was counted, and nobody else puts in");
    }
    report_queue.is_empty()
}

/// Asks all workers to end when one does, and be it by a panic: one interface less would look like a quiet network.
struct EndOfAll<'s>(&'s AtomicBool);

impl Drop for EndOfAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One writer, so no read-modify-write is needed.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::sensor::event_merger::EventMerger;
    use kaspector_live::{CaptureKind, RingOptions};
    use rtrb::RingBuffer;

    /// Two workers that share the loopback interface, and their event merger. `retires` are the times after which blocks are handed over.
    fn workers(retires: [Duration; 2]) -> Option<(Vec<Worker<'static>>, EventMerger)> {
        let group = u16::try_from(std::process::id() & 0xffff).unwrap();
        let options = RingOptions { blocks: 2, fanout: Some(group), ..RingOptions::default() };
        let open = || Listener::open(CaptureKind::Afpacket, "lo", &options);
        let listeners = match (0..2).map(|_| open()).collect::<Result<Vec<_>, _>>() {
            Ok(listeners) => listeners,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "this must run here: {error}");
                eprintln!("skipped: {error}");
                return None;
            }
        };
        let (producers, queues): (Vec<_>, Vec<_>) = (0..2).map(|_| RingBuffer::new(16)).unzip();
        let merger = EventMerger::new(0, &Arc::new(SignatureSet::default()), &Arc::new(options.choice()), queues);
        let made = (0..).zip(listeners).zip(producers.into_iter().zip(retires));
        let workers = made.map(|((thread, listener), (producer, retire))| {
            let counters: &'static WorkerCounters = Box::leak(Box::default());
            let numbering = Numbering { thread, threads: 2 };
            let ports = Arc::new(TunnelPorts::ASSIGNED);
            Worker::new(listener, retire, None, Arc::clone(merger.latest()), &ports, 0, numbering, producer, counters)
        });
        let workers = workers.collect();
        Some((workers, merger))
    }

    /// Runs them until all have ended; whether each panicked.
    fn ended(workers: Vec<Worker<'static>>, mut look: impl FnMut()) -> Vec<bool> {
        let stop: &'static AtomicBool = Box::leak(Box::default());
        let threads: Vec<_> =
            workers.into_iter().map(|worker| std::thread::spawn(move || worker.run(stop).unwrap())).collect();
        let begun = Instant::now();
        while !threads.iter().all(std::thread::JoinHandle::is_finished) {
            assert!(begun.elapsed() < Duration::from_secs(10), "a worker goes on although another has ended");
            look();
            std::thread::sleep(Duration::from_millis(5));
        }
        threads.into_iter().map(|thread| thread.join().is_err()).collect()
    }

    #[test]
    fn a_worker_that_panics_ends_all() {
        // No clock counts that far, so one panics as soon as nothing comes.
        let Some((workers, mut merger)) = workers([Duration::MAX, Duration::from_millis(8)]) else { return };
        assert_eq!(ended(workers, || drop(merger.look())), [true, false]);
    }

    #[test]
    fn workers_end_when_nobody_takes_their_reports_any_more() {
        let Some((workers, merger)) = workers([Duration::from_millis(8); 2]) else { return };
        drop(merger);
        assert_eq!(ended(workers, || ()), [false, false]);
    }
}
