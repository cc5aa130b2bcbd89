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
use super::input_scan::InputScan;
use super::lock;
use super::progress::Progress;
use super::reading::Reading;
use kaspector::capture::{Block, CaptureFile, Fetched, Frame, ReadChunk, Timestamp};
use kaspector::decode::TunnelPorts;
use kaspector::matching::ResolvedAddresses;
use kaspector::pipeline::{LANES, Plan, RoundLane, RoundLedger};
use kaspector_live::Filter;
use kaspector_report::Tally;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

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

/// The capture, which is read in its own order.
struct File<'p> {
    file: CaptureFile,
    tally: Tally,
    progress: &'p Progress,
    /// Blocks of this round for which bytes were taken.
    taken: usize,
    /// Blocks of this round whose records were found.
    walked: usize,
    /// Whether the round that was read last has nothing in it: then all is done.
    is_through: bool,
    last: (u64, Timestamp),
}

/// What the threads work on together.
struct Work<'p> {
    ports: &'p TunnelPorts,
    file: Mutex<File<'p>>,
    /// The round that is run and the one that is read, in turns.
    rounds: [Round; 2],
    lanes: Vec<Mutex<RoundLane>>,
    /// Lanes that were taken in this step; beyond them, the ledger.
    taken: AtomicUsize,
    /// Addresses that clients got from DNS in rounds that were run.
    resolved: RwLock<ResolvedAddresses>,
    ledger: Mutex<RoundLedger>,
    /// Known once it is known how many threads there are.
    barrier: OnceLock<Barrier>,
}

/// Work of a step that one thread has taken.
enum Task<'w> {
    Lane(&'w Mutex<RoundLane>),
    Ledger,
}

/// Reads one capture with `threads` threads.
pub fn read(file: CaptureFile, input: u32, threads: usize, reading: &Reading<'_>) -> InputScan {
    let Reading { signatures, progress, ref ports, keeps_alerts, .. } = *reading;
    // More would find nothing to do.
    let threads = threads.min(LANES + BLOCKS);
    let tally = Tally::new(&file);
    let file = File { file, tally, progress, taken: 0, walked: 0, is_through: false, last: Default::default() };
    let work = Work {
        ports,
        file: Mutex::new(file),
        rounds: Default::default(),
        lanes: (0..LANES).map(|number| Mutex::new(RoundLane::new(number, signatures))).collect(),
        taken: AtomicUsize::new(0),
        resolved: RwLock::default(),
        ledger: Mutex::new(RoundLedger::new(signatures, input, ports, keeps_alerts)),
        barrier: OnceLock::new(),
    };
    std::thread::scope(|scope| {
        let take_part = || work.take_part(reading.filter());
        let started = (0..threads).take_while(|_| std::thread::Builder::new().spawn_scoped(scope, take_part).is_ok());
        // Where the system allows fewer threads, fewer do the work; where it allows none, this one does.
        let started = started.count();
        work.barrier.get_or_init(|| Barrier::new(started.max(1)));
        if started == 0 {
            take_part();
        }
    });
    let Work { file, lanes, resolved, ledger, .. } = work;
    let File { file, tally, last, .. } = owned(file);
    let resolved = resolved.into_inner().unwrap_or_else(PoisonError::into_inner);
    let findings = owned(ledger).finish(lanes.into_iter().map(owned).collect(), resolved, last);
    InputScan { report: tally.close(&file), findings, ..InputScan::default() }
}

impl Work<'_> {
    /// What each thread does, until the capture is through.
    fn take_part(&self, mut filter: Option<Filter>) {
        let barrier = self.barrier.wait();
        let _seat = barrier.seat();
        let [mut running, mut coming] = self.rounds.each_ref();
        // At first there is nothing to run, and at last nothing to read.
        loop {
            self.take_step(running, coming, filter.as_mut());
            let goes_on = barrier.wait(|| self.conclude_step(coming));
            if !goes_on || lock(&self.file).is_through {
                return;
            }
            std::mem::swap(&mut running, &mut coming);
        }
    }

    /// Takes work of this step until none is left. Reading goes first, since it ends with what only one thread at a time can do.
    fn take_step(&self, running: &Round, coming: &Round, mut filter: Option<&mut Filter>) {
        loop {
            // A stream is read by the thread that has the lock; the others may have something else to do meanwhile.
            let file = match self.file.try_lock() {
                Ok(file) => Some(file),
                Err(TryLockError::Poisoned(_)) => return,
                Err(TryLockError::WouldBlock) => None,
            };
            let is_read = match file.map(|mut file| file.take(coming)) {
                Some(Some((place, chunk))) => {
                    self.read(place, chunk, coming, filter.as_deref_mut());
                    continue;
                }
                Some(None) => true,
                None => false,
            };
            match self.next_task() {
                Some(Task::Lane(lane)) => self.run(&mut lock(lane), running),
                Some(Task::Ledger) => lock(&self.ledger).record(),
                None if is_read => return,
                None => {
                    let next = lock(&self.file).take(coming);
                    let Some((place, chunk)) = next else { return };
                    self.read(place, chunk, coming, filter.as_deref_mut());
                }
            }
        }
    }

    /// Work that nobody has taken in this step.
    fn next_task(&self) -> Option<Task<'_>> {
        // Relaxed, here and elsewhere: the barrier orders the steps, and locks guard what is in the lanes.
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        match self.lanes.get(number) {
            Some(lane) => Some(Task::Lane(lane)),
            None => (number == self.lanes.len()).then_some(Task::Ledger),
        }
    }

    /// Reading: fetches a chunk and gets the block ready that it is for, as well as blocks behind it that only waited for it.
    fn read(&self, place: usize, chunk: ReadChunk, coming: &Round, mut filter: Option<&mut Filter>) {
        if let Some(mut planned) = coming.get(place).map(write) {
            planned.fetched = Some(chunk.fetch(&mut planned.block));
        }
        let walked = lock(&self.file).walk(coming);
        for planned in coming.get(walked).unwrap_or_default() {
            let Planned { block, plan, .. } = &mut *write(planned);
            plan.clear();
            plan.draw(block.view(), self.ports, |frame: &Frame<'_>| {
                filter.as_deref_mut().is_none_or(|filter| filter.accepts(frame))
            });
        }
    }

    /// Lanes: runs one over the round that was read before.
    fn run(&self, lane: &mut RoundLane, running: &Round) {
        for (place, planned) in running.iter().enumerate() {
            let Planned { block, plan, .. } = &*shared(planned);
            if place == 0 {
                lane.begin(block.first_number, &shared(&self.resolved));
            }
            lane.run(block.view(), plan, self.ports);
        }
    }

    /// What one thread does at the end of a step, while the others wait: lets all know what clients got from DNS in the round that was run,
    /// takes for the ledger what is left of the round before, and gets the plans of the coming round ready.
    fn conclude_step(&self, coming: &Round) {
        self.taken.store(0, Ordering::Relaxed);
        let (resolved, ledger) = (&mut *write(&self.resolved), &mut *lock(&self.ledger));
        for lane in &self.lanes {
            ledger.take(&mut lock(lane), resolved);
        }
        let mut is_empty = true;
        for planned in coming {
            let Planned { block, plan, .. } = &mut *write(planned);
            is_empty &= block.records.is_empty();
            ledger.reassemble(block.view(), plan);
        }
        let mut file = lock(&self.file);
        file.taken = 0;
        file.walked = 0;
        file.is_through = is_empty && !file.file.has_more();
    }
}

impl File<'_> {
    /// Takes the next bytes of the capture, for the next place of the coming round. Behind the end the place stays empty.
    fn take(&mut self, coming: &Round) -> Option<(usize, ReadChunk)> {
        let place = self.taken;
        let mut planned = write(coming.get(place)?);
        self.taken += 1;
        Some((place, self.file.next_chunk(&mut planned.block)))
    }

    /// Finds the records of blocks whose turn it is, and says which they are.
    fn walk(&mut self, coming: &Round) -> Range<usize> {
        let first = self.walked;
        // What is locked is still being fetched, by a thread that will come here, too.
        while let Some(Ok(mut planned)) = coming.get(self.walked).map(RwLock::try_write) {
            let Planned { block, fetched, .. } = &mut *planned;
            let Some(fetched) = fetched.take() else { break };
            self.walked += 1;
            self.walk_block(fetched, block);
        }
        first..self.walked
    }

    fn walk_block(&mut self, fetched: Fetched, block: &mut Block) {
        match self.file.walk(fetched, block) {
            Err(error) => self.tally.fail(&error),
            Ok(()) if block.records.is_empty() => {}
            Ok(()) if self.progress.is_stopped() => {
                self.tally.interrupt();
                self.file.stop();
                block.records.clear();
            }
            Ok(()) => {
                self.tally.count(block);
                self.progress.add_block(block);
                if let Some(frame) = block.records.len().checked_sub(1).and_then(|last| block.frame(last)) {
                    self.last = (frame.number, frame.at);
                }
            }
        }
    }
}

fn shared<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn owned<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
