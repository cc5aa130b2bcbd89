//! One big capture on several threads, with the answer of one thread.
//!
//! The capture is taken in rounds of a few blocks, and the work in steps. In one step the threads take whatever work there is of three
//! rounds:
//!
//! 1. blocks of the coming round: to fetch the next bytes, each thread for itself; to find the records in them, in turn; and to say for
//!    every packet which lane it belongs to;
//! 2. lanes: to drop those of a lane's last events that matter to nobody, as is known now, and to run it over all blocks of the round
//!    at hand;
//! 3. the ledger, for one thread: to take what is left of all lanes' events of the round before the last, in packet order.
//!
//! At the end of a step the threads wait at a barrier, and one does what is left: it lets all know which addresses clients got from DNS in
//! the round that was run, and puts fragments of the coming round together, since they belong to no lane before they are whole. Lanes are
//! fixed in number and each sees its packets in order, so nothing depends on which thread did what.

use super::barrier::Barrier;
use super::input_scan::{InputScan, Tally, compiled};
use super::progress::Progress;
use kaspector::capture::{Block, CaptureFile, Fetched, Frame, ReadChunk, Timestamp};
use kaspector::decode::{Decoder, OutcomeCounters, TunnelPorts};
use kaspector::matching::{Event, Ledger, ResolvedAddresses, SignatureSet};
use kaspector::pipeline::{Bounds, Findings, LANES, Lane, OFFLINE_SEED, Plan, RoundEvents, Route};
use kaspector_live::Filter;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};

/// Blocks in a round: enough to spread, few enough that two rounds stay in the last-level cache.
const BLOCKS: usize = 4;

/// A block and where its packets go.
#[derive(Debug, Default)]
struct Planned {
    block: Block,
    /// Bytes in `block` whose records are still to be found.
    fetched: Option<Fetched>,
    plan: Plan,
}

/// The blocks of one round; those beyond its end are empty.
type Round = [RwLock<Planned>; BLOCKS];

/// What is done in the order of the file.
struct Reading {
    file: CaptureFile,
    tally: Tally,
    /// Blocks of this round for which bytes were taken.
    taken: usize,
    /// Blocks of this round whose records were found.
    walked: usize,
    /// Whether the round that was read last has nothing in it: then all is done.
    is_through: bool,
    last: (u64, Timestamp),
}

struct Concluding {
    ledger: Ledger,
    decoder: Decoder,
    outcomes: OutcomeCounters,
    /// The events of all lanes that the ledger is to take next, one lane behind the other.
    events: Vec<Event>,
}

/// A lane, and what it brought about.
struct Share {
    lane: Lane,
    /// In the round that it was run over last.
    events: RoundEvents,
    /// In the round before that, what may matter.
    sifted: Vec<Event>,
}

/// What the threads work on together.
struct Work {
    ports: Arc<TunnelPorts>,
    reading: Mutex<Reading>,
    /// The round that is run and the one that is read, in turns.
    rounds: [Round; 2],
    shares: Vec<Mutex<Share>>,
    /// Shares that were taken in this step; beyond them, the ledger.
    taken: AtomicUsize,
    resolved: RwLock<ResolvedAddresses>,
    concluding: Mutex<Concluding>,
    /// Known once it is known how many threads there are.
    barrier: OnceLock<Barrier>,
}

/// Work of a step that one thread has taken.
enum Task<'w> {
    Lane(usize, &'w Mutex<Share>),
    Ledger,
}

/// Scans one capture with `threads` threads.
#[allow(clippy::too_many_arguments)]
pub fn run(
    file: CaptureFile,
    input: u32,
    signatures: &Arc<SignatureSet>,
    threads: usize,
    filter: Option<&str>,
    ports: &Arc<TunnelPorts>,
    keeps_alerts: bool,
    progress: &Progress,
) -> InputScan {
    // More would find nothing to do.
    let threads = threads.min(LANES + BLOCKS);
    let ledger = Ledger::new(signatures, input);
    let ledger = if keeps_alerts { ledger } else { ledger.without_alerts() };
    let tally = Tally::new(&file);
    let share = |_| {
        let lane = Lane::new(signatures, OFFLINE_SEED, &Bounds::default());
        Mutex::new(Share { lane, events: RoundEvents::default(), sifted: Vec::new() })
    };
    let work = Work {
        ports: Arc::clone(ports),
        reading: Mutex::new(Reading {
            file,
            tally,
            taken: 0,
            walked: 0,
            is_through: false,
            last: (0, Timestamp::default()),
        }),
        rounds: Default::default(),
        shares: (0..LANES).map(share).collect(),
        taken: AtomicUsize::new(0),
        resolved: RwLock::default(),
        concluding: Mutex::new(Concluding {
            ledger,
            decoder: Decoder::with_tunnels(ports),
            outcomes: OutcomeCounters::default(),
            events: Vec::new(),
        }),
        barrier: OnceLock::new(),
    };
    std::thread::scope(|scope| {
        let take_part = || work.take_part(filter.map(compiled), progress);
        let started = (0..threads).take_while(|_| std::thread::Builder::new().spawn_scoped(scope, take_part).is_ok());
        // Where the system allows fewer threads, fewer do the work; where it allows none, this one does.
        let started = started.count();
        work.barrier.get_or_init(|| Barrier::new(started.max(1)));
        if started == 0 {
            take_part();
        }
    });
    // What was brought about last still goes to the ledger.
    work.sift_all();
    work.hand_to_ledger();
    lock(&work.concluding).conclude();
    let Work { reading, shares, concluding, .. } = work;
    let Concluding { mut ledger, decoder, outcomes, .. } = owned(concluding);
    let Reading { file, tally, last, .. } = owned(reading);
    let mut lanes: Vec<Lane> = shares.into_iter().map(|share| owned(share).lane).collect();
    Lane::finish(&mut lanes, last.0, last.1, &mut ledger);
    let mut dropped = BTreeMap::new();
    lanes.iter().for_each(|lane| lane.add_dropped(&mut dropped));
    decoder.add_dropped(&mut dropped);
    let flows = lanes.iter().map(|lane| lane.counters().flows).sum();
    let findings = Findings::close(ledger, outcomes, flows, dropped);
    InputScan { report: tally.close(&file), findings, is_defective: false }
}

impl Work {
    /// What each thread does, until the capture is through.
    fn take_part(&self, mut filter: Option<Filter>, progress: &Progress) {
        let barrier = self.barrier.wait();
        let _seat = barrier.seat();
        let [mut running, mut coming] = self.rounds.each_ref();
        // At first there is nothing to run, and at last nothing to read.
        loop {
            self.take_step(running, coming, filter.as_mut(), progress);
            let goes_on = barrier.wait(|| self.conclude_step(coming));
            if !goes_on || lock(&self.reading).is_through {
                return;
            }
            std::mem::swap(&mut running, &mut coming);
        }
    }

    /// Takes work of this step until none is left. Reading goes first, since it ends with what only one thread at a time can do.
    fn take_step(&self, running: &Round, coming: &Round, mut filter: Option<&mut Filter>, progress: &Progress) {
        loop {
            // A stream is read by the thread that has the lock; the others may have something else to do meanwhile.
            let reading = match self.reading.try_lock() {
                Ok(reading) => Some(reading),
                Err(TryLockError::Poisoned(_)) => return,
                Err(TryLockError::WouldBlock) => None,
            };
            let is_read = match reading.map(|mut reading| reading.take(coming)) {
                Some(Some((place, chunk))) => {
                    self.read(place, chunk, coming, filter.as_deref_mut(), progress);
                    continue;
                }
                Some(None) => true,
                None => false,
            };
            match self.next_task() {
                Some(Task::Lane(number, share)) => self.run_lane(number, &mut lock(share), running),
                Some(Task::Ledger) => lock(&self.concluding).conclude(),
                None if is_read => return,
                None => {
                    let next = lock(&self.reading).take(coming);
                    let Some((place, chunk)) = next else { return };
                    self.read(place, chunk, coming, filter.as_deref_mut(), progress);
                }
            }
        }
    }

    /// Work that nobody has taken in this step.
    fn next_task(&self) -> Option<Task<'_>> {
        // Relaxed, here and elsewhere: meetings order the steps, and locks guard what is in the shares.
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        match self.shares.get(number) {
            Some(share) => Some(Task::Lane(number, share)),
            None => (number == self.shares.len()).then_some(Task::Ledger),
        }
    }

    /// Fetches a chunk and gets the block ready that it is for, as well as blocks behind it that only waited for it.
    fn read(
        &self,
        place: usize,
        chunk: ReadChunk,
        coming: &Round,
        mut filter: Option<&mut Filter>,
        progress: &Progress,
    ) {
        if let Some(mut planned) = coming.get(place).map(write) {
            planned.fetched = Some(chunk.fetch(&mut planned.block));
        }
        let walked = lock(&self.reading).walk(coming, progress);
        for planned in coming.get(walked).unwrap_or_default() {
            let Planned { block, plan, .. } = &mut *write(planned);
            plan.clear();
            plan.draw(block.view(), &self.ports, |frame: &Frame<'_>| {
                filter.as_deref_mut().is_none_or(|filter| filter.accepts(frame))
            });
        }
    }

    fn run_lane(&self, number: usize, share: &mut Share, running: &Round) {
        share.sift(&read(&self.resolved));
        let Share { lane, events, .. } = share;
        for (place, planned) in running.iter().enumerate() {
            let planned = read(planned);
            if place == 0 {
                events.begin(planned.block.first_number);
            }
            planned.plan.run(planned.block.view(), &self.ports, number, lane, events);
        }
    }

    /// What one thread does at the end of a step, while the others wait.
    fn conclude_step(&self, coming: &Round) {
        self.taken.store(0, Ordering::Relaxed);
        self.hand_to_ledger();
        let Concluding { decoder, outcomes, .. } = &mut *lock(&self.concluding);
        let mut is_empty = true;
        for planned in coming {
            let Planned { block, plan, .. } = &mut *write(planned);
            is_empty &= block.records.is_empty();
            plan.reassemble(block.view(), decoder);
            outcomes.add(plan.outcomes());
        }
        let mut reading = lock(&self.reading);
        reading.taken = 0;
        reading.walked = 0;
        reading.is_through = is_empty && !reading.file.has_more();
    }

    /// Lets all know what clients got from DNS in the round that was run, and gives the ledger what is left of the round before.
    fn hand_to_ledger(&self) {
        let resolved = &mut *write(&self.resolved);
        let concluding = &mut *lock(&self.concluding);
        for share in &self.shares {
            let Share { events, sifted, .. } = &mut *lock(share);
            events.take_resolved(resolved);
            concluding.events.append(sifted);
        }
    }

    fn sift_all(&self) {
        let resolved = &read(&self.resolved);
        self.shares.iter().for_each(|share| lock(share).sift(resolved));
    }
}

impl Share {
    /// Keeps of the events of the last round what may matter; `resolved` knows the addresses of that round and of all before.
    fn sift(&mut self, resolved: &ResolvedAddresses) {
        let Self { lane, events, sifted } = self;
        events.sift(resolved, |opened, packet| lane.remember(&Route::of_opened(opened, OFFLINE_SEED), packet));
        sifted.extend(events.drain());
    }
}

impl Concluding {
    /// Gives the ledger the events that wait for it.
    fn conclude(&mut self) {
        // Each lane's events are in packet order, and a packet has events of one lane only.
        self.events.sort_by_key(|event| event.packet);
        for event in self.events.drain(..) {
            self.ledger.record(event);
        }
    }
}

impl Reading {
    /// Takes the next bytes of the capture, for the next place of the coming round. Behind the end the place stays empty.
    fn take(&mut self, coming: &Round) -> Option<(usize, ReadChunk)> {
        let place = self.taken;
        let mut planned = write(coming.get(place)?);
        self.taken += 1;
        Some((place, self.file.next_chunk(&mut planned.block)))
    }

    /// Finds the records of blocks whose turn it is, and says which they are.
    fn walk(&mut self, coming: &Round, progress: &Progress) -> Range<usize> {
        let first = self.walked;
        // What is locked is still being fetched, by a thread that will come here, too.
        while let Some(Ok(mut planned)) = coming.get(self.walked).map(RwLock::try_write) {
            let Planned { block, fetched, .. } = &mut *planned;
            let Some(fetched) = fetched.take() else { break };
            self.walked += 1;
            self.walk_block(fetched, block, progress);
        }
        first..self.walked
    }

    fn walk_block(&mut self, fetched: Fetched, block: &mut Block, progress: &Progress) {
        match self.file.walk(fetched, block) {
            Err(error) => self.tally.fail(&error),
            Ok(()) if block.records.is_empty() => {}
            Ok(()) if progress.is_stopped() => {
                self.tally.interrupt();
                self.file.stop();
                block.records.clear();
            }
            Ok(()) => {
                self.tally.count(block, progress);
                if let Some(frame) = block.records.len().checked_sub(1).and_then(|last| block.frame(last)) {
                    self.last = (frame.number, frame.at);
                }
            }
        }
    }
}

/// A thread that panicked ends the scan with the same panic, so what a poisoned lock guards is not looked at any more.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn owned<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
