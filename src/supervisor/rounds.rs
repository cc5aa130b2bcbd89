//! One big capture on several threads, with the answer of one thread.
//!
//! The capture is taken in rounds of a few blocks. In a round, threads meet at barriers between five steps:
//!
//! 1. each takes blocks from the reader in turn, and says for every packet which lane it belongs to;
//! 2. one puts fragments together, in packet order, since they belong to no lane before they are whole;
//! 3. each runs its own lanes over all blocks of the round, and tells the others which addresses it saw in answers;
//! 4. each drops those of its events that matter to nobody, as it now knows;
//! 5. one gives the ledger the events of all lanes in packet order, while the others begin the next round.
//!
//! Lanes are fixed in number and each sees its packets in order, so nothing depends on which thread did what.

use super::progress::Progress;
use super::scan::{InputScan, Tally, compiled};
use crate::capture::{Block, CaptureFile, Filter, Frame, Timestamp};
use crate::decode::{Decoder, OutcomeCounters};
use crate::matching::{Event, Ledger, SignatureSet, ToldAddresses};
use crate::pipeline::{Findings, LANES, Lane, OFFLINE_SEED, Plan, RoundEvents};
use std::sync::{Barrier, Mutex, PoisonError, RwLock};

/// Blocks in a round: enough to spread, few enough to stay in the last-level cache.
const BLOCKS: usize = 8;

/// A block and where its packets go.
#[derive(Debug, Default)]
struct Planned {
    block: Block,
    plan: Plan,
}

/// The sequential part of the work.
struct Reading {
    file: CaptureFile,
    tally: Tally,
    /// Blocks taken in this round.
    taken: usize,
    ended: bool,
    last: (u64, Timestamp),
}

struct Concluding<'s> {
    ledger: Ledger<'s>,
    decoder: Decoder,
    outcomes: OutcomeCounters,
}

/// Scans one capture with `threads` threads.
pub fn run(
    file: CaptureFile,
    input: u32,
    signatures: &SignatureSet,
    threads: usize,
    filter: Option<&str>,
    keeps_alerts: bool,
    progress: &Progress,
) -> InputScan {
    let ledger = Ledger::new(signatures, input);
    let ledger = if keeps_alerts { ledger } else { ledger.without_alerts() };
    let tally = Tally::new(&file);
    let reading = Mutex::new(Reading { file, tally, taken: 0, ended: false, last: (0, Timestamp::default()) });
    let round: Vec<RwLock<Planned>> = (0..BLOCKS).map(|_| RwLock::default()).collect();
    let events: Vec<Mutex<RoundEvents>> = (0..threads).map(|_| Mutex::default()).collect();
    let told = RwLock::new(ToldAddresses::default());
    let concluding =
        Mutex::new(Concluding { ledger, decoder: Decoder::default(), outcomes: OutcomeCounters::default() });
    let barrier = Barrier::new(threads);
    let finished: Mutex<Vec<(usize, Lane<'_>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (reading, round, events, told, concluding, barrier, finished) =
                (&reading, &round, &events, &told, &concluding, &barrier, &finished);
            scope.spawn(move || {
                let mut filter = filter.map(compiled);
                let mut lanes: Vec<Option<Lane<'_>>> = (0..LANES)
                    .map(|lane| (lane % threads == thread).then(|| Lane::new(signatures, OFFLINE_SEED)))
                    .collect();
                loop {
                    read_and_plan(reading, round, filter.as_mut(), progress);
                    if barrier.wait().is_leader() {
                        let mut reading = lock(reading);
                        reassemble(&mut reading, round, &mut lock(concluding));
                        reading.taken = 0;
                    }
                    barrier.wait();
                    let ended = lock(reading).ended;
                    if let Some(events) = events.get(thread) {
                        let mut events = lock(events);
                        for (number, planned) in round.iter().enumerate() {
                            let planned = planned.read().unwrap_or_else(PoisonError::into_inner);
                            if number == 0 {
                                events.begin(planned.block.first_number);
                            }
                            planned.plan.run(&planned.block, &mut lanes, &mut *events);
                        }
                        if events.was_told() {
                            events.take_told(&mut told.write().unwrap_or_else(PoisonError::into_inner));
                        }
                        barrier.wait();
                        events.sift(&told.read().unwrap_or_else(PoisonError::into_inner), &mut lanes);
                    }
                    if barrier.wait().is_leader() {
                        // The others read on meanwhile. They cannot add events before this one has read its share, too.
                        conclude(events, &mut lock(concluding).ledger);
                    }
                    if ended {
                        let mine = lanes.into_iter().enumerate().filter_map(|(number, lane)| Some((number, lane?)));
                        lock(finished).extend(mine);
                        return;
                    }
                }
            });
        }
    });
    let Concluding { mut ledger, decoder, outcomes } = concluding.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut finished = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    finished.sort_by_key(|&(number, _)| number);
    let Reading { file, tally, last, .. } = reading.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut lanes: Vec<Lane<'_>> = finished.into_iter().map(|(_, lane)| lane).collect();
    Lane::finish(&mut lanes, last.0, last.1, &mut ledger);
    InputScan { report: tally.close(&file), findings: Findings::close(ledger, outcomes, &lanes, &decoder) }
}

/// Takes blocks while the round has room, and plans them. Only the reading itself is one at a time.
fn read_and_plan(
    reading: &Mutex<Reading>,
    round: &[RwLock<Planned>],
    mut filter: Option<&mut Filter>,
    progress: &Progress,
) {
    loop {
        let mut reader = lock(reading);
        let Some(place) = round.get(reader.taken) else { return };
        let mut planned = place.write().unwrap_or_else(PoisonError::into_inner);
        planned.block.records.clear();
        planned.plan.clear();
        reader.taken += 1;
        if !reader.ended {
            match reader.file.next_block(&mut planned.block) {
                Ok(true) if progress.is_stopped() => {
                    planned.block.records.clear();
                    reader.tally.interrupt();
                    reader.ended = true;
                }
                Ok(true) => {
                    reader.tally.count(&planned.block, progress);
                    let end = planned.block.records.len().checked_sub(1).and_then(|last| planned.block.frame(last));
                    if let Some(frame) = end {
                        reader.last = (frame.number, frame.at);
                    }
                }
                Ok(false) => {
                    planned.block.records.clear();
                    reader.ended = true;
                }
                Err(error) => {
                    planned.block.records.clear();
                    reader.tally.fail(&error);
                    reader.ended = true;
                }
            }
        }
        drop(reader);
        let Planned { block, plan } = &mut *planned;
        plan.draw(block, |frame: &Frame<'_>| filter.as_deref_mut().is_none_or(|filter| filter.accepts(frame)));
    }
}

fn reassemble(reading: &mut Reading, round: &[RwLock<Planned>], concluding: &mut Concluding<'_>) {
    for planned in round.iter().take(reading.taken) {
        let mut planned = planned.write().unwrap_or_else(PoisonError::into_inner);
        let Planned { block, plan } = &mut *planned;
        plan.reassemble(block, &mut concluding.decoder);
        concluding.outcomes.add(plan.outcomes());
    }
}

/// Each thread's events are in packet order, and a packet has events of one thread only.
fn conclude(events: &[Mutex<RoundEvents>], ledger: &mut Ledger<'_>) {
    let mut all: Vec<Event> = Vec::new();
    for events in events {
        all.extend(lock(events).drain());
    }
    all.sort_by_key(|event| event.packet);
    for event in all {
        ledger.record(event);
    }
}

/// A thread that panicked ends the process, so a poisoned lock is never met by another.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
