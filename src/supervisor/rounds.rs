//! One big capture on several threads, with the answer of one thread.
//!
//! The capture is taken in rounds of a few blocks. While the lanes run over one round, the next is read; the threads take whatever work
//! there is:
//!
//! 1. blocks of the next round from the reader, in turn, to say for every packet which lane it belongs to; and lanes, each to run over all
//!    blocks of the round at hand. A lane tells the others which addresses it saw in answers;
//! 2. lanes again, each to drop those of its events that matter to nobody, as is known now;
//! 3. one thread alone gives the ledger the events of all lanes in packet order, and puts fragments of the next round together, since they
//!    belong to no lane before they are whole.
//!
//! Between the steps the threads meet at a barrier. Lanes are fixed in number and each sees its packets in order, so nothing depends on
//! which thread did what.

use super::progress::Progress;
use super::scan::{InputScan, Tally, compiled};
use crate::capture::{Block, CaptureFile, Filter, Frame, Timestamp};
use crate::decode::{Decoder, OutcomeCounters};
use crate::matching::{Event, Ledger, SignatureSet, ToldAddresses};
use crate::pipeline::{Findings, LANES, Lane, OFFLINE_SEED, Plan, RoundEvents, Route};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, TryLockError};

/// Blocks in a round: enough to spread, few enough that two rounds stay in the last-level cache.
const BLOCKS: usize = 8;

/// A block and where its packets go.
#[derive(Debug, Default)]
struct Planned {
    block: Block,
    plan: Plan,
}

/// The blocks of one round; those beyond its end are empty.
type Round = [RwLock<Planned>; BLOCKS];

/// The sequential part of the work.
struct Reading {
    file: CaptureFile,
    tally: Tally,
    /// Blocks taken in this round.
    taken: usize,
    ended: bool,
    /// Whether the round that was read last has nothing in it: then all is done.
    is_through: bool,
    last: (u64, Timestamp),
}

struct Concluding {
    ledger: Ledger,
    decoder: Decoder,
    outcomes: OutcomeCounters,
}

/// A lane, and what it brought about in the round at hand.
struct Share {
    lane: Lane,
    events: RoundEvents,
}

/// What the threads work on together.
struct Work {
    reading: Mutex<Reading>,
    /// The round that is run and the one that is read, in turns.
    rounds: [Round; 2],
    shares: Vec<Mutex<Share>>,
    /// Shares that were taken in this step.
    taken: AtomicUsize,
    told: RwLock<ToldAddresses>,
    concluding: Mutex<Concluding>,
    barrier: Barrier,
}

/// Scans one capture with `threads` threads.
pub fn run(
    file: CaptureFile,
    input: u32,
    signatures: &Arc<SignatureSet>,
    threads: usize,
    filter: Option<&str>,
    keeps_alerts: bool,
    progress: &Progress,
) -> InputScan {
    let ledger = Ledger::new(signatures, input);
    let ledger = if keeps_alerts { ledger } else { ledger.without_alerts() };
    let tally = Tally::new(&file);
    let share = |_| Mutex::new(Share { lane: Lane::new(signatures, OFFLINE_SEED), events: RoundEvents::default() });
    let work = Work {
        reading: Mutex::new(Reading {
            file,
            tally,
            taken: 0,
            ended: false,
            is_through: false,
            last: (0, Timestamp::default()),
        }),
        rounds: Default::default(),
        shares: (0..LANES).map(share).collect(),
        taken: AtomicUsize::new(0),
        told: RwLock::default(),
        concluding: Mutex::new(Concluding {
            ledger,
            decoder: Decoder::default(),
            outcomes: OutcomeCounters::default(),
        }),
        barrier: Barrier::new(threads),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work.take_part(filter.map(compiled), progress));
        }
    });
    let Work { reading, shares, concluding, .. } = work;
    let Concluding { mut ledger, decoder, outcomes } = owned(concluding);
    let Reading { file, tally, last, .. } = owned(reading);
    let mut lanes: Vec<Lane> = shares.into_iter().map(|share| owned(share).lane).collect();
    Lane::finish(&mut lanes, last.0, last.1, &mut ledger);
    let mut given_up = BTreeMap::new();
    lanes.iter().for_each(|lane| lane.add_given_up(&mut given_up));
    decoder.add_given_up(&mut given_up);
    let flows = lanes.iter().map(|lane| lane.counters().flows).sum();
    InputScan { report: tally.close(&file), findings: Findings::close(ledger, outcomes, flows, given_up) }
}

impl Work {
    /// What each thread does, until the capture is through.
    fn take_part(&self, mut filter: Option<Filter>, progress: &Progress) {
        let [mut running, mut coming] = self.rounds.each_ref();
        // At first there is nothing to run, and at last nothing to read.
        loop {
            self.run_and_read(running, coming, filter.as_mut(), progress);
            self.meet(|| {});
            while let Some((_, share)) = self.next_share() {
                let Share { lane, events } = &mut *lock(share);
                let told = self.told.read().unwrap_or_else(PoisonError::into_inner);
                events.sift(&told, |opened, packet| lane.remember(&Route::of_opened(opened, OFFLINE_SEED), packet));
            }
            self.meet(|| self.conclude(coming));
            if lock(&self.reading).is_through {
                return;
            }
            std::mem::swap(&mut running, &mut coming);
        }
    }

    /// Ends a step: one thread does what is to be done once, while all others wait. Shares can then be taken again.
    fn meet(&self, once: impl FnOnce()) {
        if self.barrier.wait().is_leader() {
            // Relaxed, here and below: barriers order the steps, and locks guard what is in the shares.
            self.taken.store(0, Ordering::Relaxed);
            once();
        }
        self.barrier.wait();
    }

    /// A share that nobody has taken in this step, and its lane's number.
    fn next_share(&self) -> Option<(usize, &Mutex<Share>)> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        Some((number, self.shares.get(number)?))
    }

    /// Runs lanes over one round while the next is read. Reading goes first, since only one thread at a time can do it.
    fn run_and_read(&self, running: &Round, coming: &Round, mut filter: Option<&mut Filter>, progress: &Progress) {
        loop {
            let mut is_read = false;
            match self.reading.try_lock() {
                Ok(mut reading) if reading.taken < coming.len() => {
                    let place = reading.next_place(coming, progress);
                    drop(reading);
                    plan(place, filter.as_deref_mut());
                    continue;
                }
                Ok(_) => is_read = true,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Poisoned(_)) => return,
            }
            if let Some((number, share)) = self.next_share() {
                self.run_lane(number, &mut lock(share), running);
                continue;
            }
            if is_read {
                return;
            }
            // Nothing is left but to wait for a turn at the reader.
            let mut reading = lock(&self.reading);
            if reading.taken >= coming.len() {
                return;
            }
            let place = reading.next_place(coming, progress);
            drop(reading);
            plan(place, filter.as_deref_mut());
        }
    }

    fn run_lane(&self, number: usize, share: &mut Share, running: &Round) {
        let Share { lane, events } = share;
        for (place, planned) in running.iter().enumerate() {
            let planned = planned.read().unwrap_or_else(PoisonError::into_inner);
            if place == 0 {
                events.begin(planned.block.first_number);
            }
            planned.plan.run(planned.block.view(), number, lane, events);
        }
        if events.was_told() {
            events.take_told(&mut self.told.write().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Gives the ledger what the round at hand brought about, and gets the coming one ready.
    fn conclude(&self, coming: &Round) {
        let Concluding { ledger, decoder, outcomes } = &mut *lock(&self.concluding);
        let mut all: Vec<Event> = Vec::new();
        for share in &self.shares {
            all.extend(lock(share).events.drain());
        }
        // Each lane's events are in packet order, and a packet has events of one lane only.
        all.sort_by_key(|event| event.packet);
        for event in all {
            ledger.record(event);
        }
        let mut is_empty = true;
        for planned in coming {
            let mut planned = planned.write().unwrap_or_else(PoisonError::into_inner);
            let Planned { block, plan } = &mut *planned;
            is_empty &= block.records.is_empty();
            plan.reassemble(block.view(), decoder);
            outcomes.add(plan.outcomes());
        }
        let mut reading = lock(&self.reading);
        reading.taken = 0;
        reading.is_through = is_empty && reading.ended;
    }
}

impl Reading {
    /// Fills the next place of a round with a block; with an empty one behind the end.
    fn next_place<'r>(&mut self, coming: &'r Round, progress: &Progress) -> Option<RwLockWriteGuard<'r, Planned>> {
        let mut planned = coming.get(self.taken)?.write().unwrap_or_else(PoisonError::into_inner);
        let block = &mut planned.block;
        self.taken += 1;
        block.records.clear();
        if self.ended {
            return Some(planned);
        }
        match self.file.next_block(block) {
            Ok(true) if progress.is_stopped() => self.tally.interrupt(),
            Ok(true) => {
                self.tally.count(block, progress);
                if let Some(frame) = block.records.len().checked_sub(1).and_then(|last| block.frame(last)) {
                    self.last = (frame.number, frame.at);
                }
                return Some(planned);
            }
            Ok(false) => {}
            Err(error) => self.tally.fail(&error),
        }
        block.records.clear();
        self.ended = true;
        Some(planned)
    }
}

fn plan(place: Option<RwLockWriteGuard<'_, Planned>>, mut filter: Option<&mut Filter>) {
    let Some(mut planned) = place else { return };
    let Planned { block, plan } = &mut *planned;
    plan.clear();
    plan.draw(block.view(), |frame: &Frame<'_>| filter.as_deref_mut().is_none_or(|filter| filter.accepts(frame)));
}

/// A thread that panicked ends the process, so a poisoned lock is never met by another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn owned<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
