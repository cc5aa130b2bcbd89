//! Messages on their way, kept on disk until every output has taken them.
//!
//! Each weight has its own row of append-only segment files. A message has a sequence number over all rows, and a number in its row.
//! A reader merges the rows by sequence, so every output sees the order in which messages came; and when room runs out, whole segments of
//! the least weight go, the oldest first, without anything being written anew. Where an output stands is a number for each row, in a
//! checkpoint file. A segment is named by the number of its first message: whatever is missing or cannot be read, the numbers around it
//! tell how many messages that were, and each output that had not taken them counts so many as lost and goes on behind them.
//!
//! Without a folder, and as long as the disk refuses, messages stay in memory, bounded and dropped in the same order.

mod account;
mod by_weight;
mod checkpoint;
mod disk;
mod look;
mod numbers;
mod ranges;
mod reader;
pub mod record;
mod recovery;
mod state;
mod takers;
mod upkeep;

pub(super) use account::Account;
pub use account::{Loss, Lost};
pub use reader::{Batch, Reader};
pub use takers::Takers;
pub use upkeep::{Chores, Kept, Upkeep};

use super::{Message, Weight};
use by_weight::ByWeight;
use disk::{Disk, Writer};
use look::{Id, Look, Looks, Seen, Sights};
use ranges::Ranges;
use record::{Place, encoded_len};
use state::State;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use upkeep::Checkpoint;

/// How much is kept for outputs that do not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes of segment files.
    pub disk_bytes: u64,
    /// Bytes of messages in memory: all of them without a folder, else those that the disk refuses.
    pub memory_bytes: usize,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self { disk_bytes: 256 << 20, memory_bytes: 16 << 20 }
    }
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made or read.
    #[error("spool {}: {cause}; it must be a folder that this user may write to", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Another process uses it.
    #[error("spool {}: in use by another process; give each sensor its own folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
}

/// One output as the spool knows it.
#[derive(Clone, Debug)]
pub struct Taker {
    /// Names its checkpoint: stays the same from run to run.
    pub name: String,
    /// It is given this and what weighs more.
    pub lightest: Weight,
}

/// The writing end. One thread owns it.
#[derive(Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    disk: Option<Disk>,
    limits: SpoolLimits,
    /// Of the segments that are looked at in turn, the next.
    next_look: usize,
    looks_again: bool,
}

/// What writer and readers both see.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The last sequence number that was given, for readers to wait on.
    last: tokio::sync::watch::Sender<u64>,
    /// The folder, and what it was when it was opened.
    folder: Mutex<Option<(PathBuf, Id)>>,
}

const WEIGHTS: [Weight; 3] = [Weight::Stats, Weight::Summary, Weight::Finding];
const SEGMENT_MAX: u64 = 8 << 20;
const SEGMENT_MIN: u64 = 16 << 10;
/// Segments that are looked at in one turn: as many as a spool of the default size has, and some.
const LOOKS_MAX: usize = 512;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in a state is ever half done when a panic could happen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the folder is where it was: if not, nothing can be said of what is in it.
    fn is_in_place(&self) -> bool {
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        folder.as_ref().is_none_or(|(path, id)| id.is_at(path))
    }
}

impl Spool {
    /// Opens or makes `folder` and finds out where each of the `takers` stands; without a folder everything stays in memory.
    ///
    /// A taker that has no checkpoint begins behind what is already there.
    ///
    /// # Errors
    /// [`SpoolError`] when the folder cannot be used. Segments that are missing, damaged or unreadable are no error: what can be read of them
    /// is delivered, and the rest is counted as lost.
    pub fn open(folder: Option<&Path>, limits: SpoolLimits, takers: &[Taker]) -> Result<Self, SpoolError> {
        let mut state = State::default();
        let disk = folder.map(Disk::open).transpose()?;
        if let Some(disk) = &disk {
            state.recover(&disk.folder).map_err(|cause| SpoolError::Folder { folder: disk.folder.clone(), cause })?;
        }
        let floor = state.rows.map(|row| row.numbers.kept_from);
        for taker in takers {
            state.add(taker.clone(), folder, &floor);
        }
        state.lose_unkept();
        let last = tokio::sync::watch::Sender::new(state.last);
        let place = disk.as_ref().and_then(Disk::place);
        let shared = Arc::new(Shared { state: Mutex::new(state), last, folder: Mutex::new(place) });
        let mut spool = Self { shared, disk, limits, next_look: 0, looks_again: false };
        spool.save_checkpoints();
        Ok(spool)
    }

    /// The reading end for the taker with this number, in the order in which they were given.
    #[must_use]
    pub fn reader(&self, taker: usize) -> Reader {
        Reader::new(Arc::clone(&self.shared), taker)
    }

    /// Where takers come and go while the spool is in use.
    #[must_use]
    pub fn takers(&self) -> Takers {
        Takers::new(&self.shared, self.disk.as_ref().map(|disk| disk.folder.clone()))
    }

    /// Takes a message in. It is safe against a kill of the process when this returns, unless the disk refuses; against a loss of
    /// power after the next [`sync`](Self::sync).
    pub fn append(&mut self, message: Message) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let weight = message.weight;
        if !state.takers.iter().any(|taker| taker.wants(weight)) {
            return;
        }
        let place = state.place(weight);
        let nothing_waits = state.rows.of(weight).held.is_empty();
        let (here, is_too_large) = (place.number..place.number + 1, encoded_len(&message).is_none());
        if is_too_large {
            state.lose(weight, &here, Loss::TooLarge);
        } else if nothing_waits && self.write(&mut state, place, &message) {
            // Readers find it there.
        } else if self.disk.is_some() && self.is_given_up(&state, &message) {
            state.lose(weight, &here, Loss::SpoolFull);
        } else {
            state.hold(place, Arc::new(message), self.limits.memory_bytes);
        }
        if let Some(disk) = &mut self.disk {
            disk.write_numbers(&state);
        }
        drop(state);
        self.shared.last.send_replace(place.sequence);
    }

    /// Whether a message finds the disk full of heavier ones.
    fn is_given_up(&self, state: &State, message: &Message) -> bool {
        let length = encoded_len(message).unwrap_or_default() as u64;
        let mut lighter = WEIGHTS.into_iter().filter(|&weight| weight <= message.weight);
        lighter.all(|weight| state.rows.of(weight).segments.is_empty())
            && state.disk_bytes + length > self.limits.disk_bytes
    }

    /// Writes a message to the end of its row; `false` when there is no disk, it refuses, or it is full of heavier messages.
    fn write(&mut self, state: &mut State, place: Place, message: &Message) -> bool {
        let Some(disk) = &mut self.disk else { return false };
        let Some(length) = encoded_len(message) else { return false };
        while state.disk_bytes + length as u64 > self.limits.disk_bytes {
            disk.collect(state, false);
            if state.disk_bytes + length as u64 > self.limits.disk_bytes
                && !state.give_up_segment(message.weight, &mut disk.writers)
            {
                return false;
            }
        }
        let segment_max = (self.limits.disk_bytes / 16).clamp(SEGMENT_MIN, SEGMENT_MAX);
        match disk.write(state, place, message, segment_max) {
            Ok(()) => true,
            Err(error) => {
                disk.note(&error);
                false
            }
        }
    }

    /// Makes what was appended last on disk, and tries again to write what the disk refused. `false` when some of it is not there.
    pub fn sync(&mut self) -> bool {
        self.run(Chores { is_syncing: true, ..Chores::default() })
    }

    /// Writes down how far each output has come, and removes segments that all have passed.
    pub fn save_checkpoints(&mut self) {
        self.run(Chores { is_syncing: true, is_saving: true, ..Chores::default() });
    }

    /// Looks whether segments are as they were written, and counts as lost what cannot be read any more.
    pub fn look(&mut self) {
        self.run(Chores { is_looking: true, ..Chores::default() });
    }

    fn run(&mut self, chores: Chores) -> bool {
        let kept = self.upkeep(chores).run();
        self.kept(kept)
    }

    /// Whether an output lost something that its checkpoint does not say yet: it should be saved soon, so that after a kill nothing is
    /// counted twice.
    #[must_use]
    pub fn has_losses(&self) -> bool {
        self.shared.state().has_losses
    }

    /// Whether something was found of which the next look tells more: it should be soon.
    #[must_use]
    pub const fn looks_again(&self) -> bool {
        self.looks_again
    }

    /// What is to be done for [`sync`](Self::sync), [`save_checkpoints`](Self::save_checkpoints) and [`look`](Self::look). While it
    /// [runs](Upkeep::run), on whatever thread, more may be appended; the outcome comes back by [`kept`](Self::kept) before the next.
    pub fn upkeep(&mut self, Chores { is_syncing, is_saving, is_looking }: Chores) -> Upkeep {
        if self.disk.is_none() {
            return Upkeep { is_whole: true, is_saving, ..Upkeep::default() };
        }
        self.write_held();
        self.looks_again &= !is_looking;
        let mut state = self.shared.state();
        let Some(disk) = &mut self.disk else { return Upkeep::default() };
        let looks = is_looking.then(|| Looks { segments: looks(&state, &mut self.next_look), folder: disk.place() });
        let files = if is_syncing { disk.unsynced(is_saving) } else { Vec::new() };
        let mut checkpoints = Vec::new();
        if is_saving {
            state.has_losses = false;
            for (taker, entry) in state.takers.iter().enumerate() {
                let path = checkpoint::path_of(&disk.folder, &entry.name);
                if entry.saved != Some(entry.changes) || !path.exists() {
                    let (name, progress, changes) = (entry.name.clone(), entry.progress(), entry.changes);
                    checkpoints.push(Checkpoint { taker, name, progress, changes, path });
                }
            }
        }
        Upkeep { looks, files, checkpoints, is_whole: is_syncing && state.held_bytes == 0, is_saving }
    }

    /// Takes note of what came of an upkeep. `false` when some of what had been appended by then is not on disk.
    pub fn kept(&mut self, kept: Kept) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        for (taker, changes) in kept.saved {
            if let Some(taker) = state.takers.get_mut(taker) {
                taker.saved = Some(changes);
            }
        }
        let Some(disk) = &mut self.disk else {
            if kept.is_saving {
                state.forget_taken();
            }
            return true;
        };
        if let Some(sights) = kept.sights {
            if disk.is_away(sights.is_away) {
                *shared.folder.lock().unwrap_or_else(PoisonError::into_inner) = disk.remake();
            } else if !sights.is_away {
                self.looks_again = note_sights(&mut state, sights);
            }
        }
        if kept.is_saving {
            state.forget_taken();
            // A disk without room for a checkpoint may be full of what was taken long ago.
            let also_open = disk.trouble.is_some();
            disk.collect(&mut state, also_open);
        }
        if kept.is_saving {
            disk.save_failed = kept.save_error.is_some();
        }
        if let Some(error) = &kept.save_error {
            disk.note(error);
        }
        if let Some(error) = &kept.sync_error {
            disk.note(error);
            // Which one it was is not worth knowing.
            disk.writers.iter_mut().flatten().for_each(|writer| writer.unsynced = true);
            return false;
        }
        if kept.is_whole && !disk.save_failed && disk.away_since.is_none() && disk.trouble.take().is_some() {
            tracing::info!(folder = %disk.folder.display(), "spool: writing again");
        }
        kept.is_whole
    }

    /// Writes what the disk refused, as far as it takes it now.
    fn write_held(&mut self) {
        let shared = Arc::clone(&self.shared);
        for weight in WEIGHTS {
            let mut state = shared.state();
            while let Some((place, message)) = state.rows.of(weight).held.front().cloned() {
                if !self.write(&mut state, place, &message) {
                    if !self.is_given_up(&state, &message) {
                        break;
                    }
                    state.lose(weight, &(place.number..place.number + 1), Loss::SpoolFull);
                }
                state.release_front(weight);
            }
        }
    }

    /// Nothing will be appended any more.
    pub fn finish(&mut self) {
        self.shared.state().is_final = true;
    }

    /// Whether any reader is still there.
    #[must_use]
    pub fn has_readers(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Syncs, saves checkpoints, and removes what all outputs have taken. What no disk has is lost.
    pub fn close(mut self) {
        self.sync();
        self.shared.state().lose_held(self.disk.is_some());
        self.save_checkpoints();
        let mut state = self.shared.state();
        if let Some(disk) = &mut self.disk {
            disk.collect(&mut state, true);
        }
        state.note_waiting();
    }

    /// What the disk said when it last refused, as long as it does.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.disk.as_ref()?.trouble.as_deref()
    }
}

/// What is to be looked at now: all segments, or in a large spool so many in turn.
fn looks(state: &State, next: &mut usize) -> Vec<Look> {
    let segments = |weight| state.rows.of(weight).segments.iter().map(move |segment| (weight, segment));
    let all: Vec<_> = WEIGHTS.into_iter().flat_map(segments).filter(|(_, segment)| !segment.is_lost).collect();
    if *next >= all.len() {
        *next = 0;
    }
    let chosen = all.iter().cycle().skip(*next).take(all.len().min(LOOKS_MAX));
    *next += LOOKS_MAX;
    let look = |&(weight, segment): &(Weight, &state::Segment)| Look {
        weight,
        first: segment.first,
        path: segment.path.clone(),
        written: segment.written,
        stamp: segment.stamp,
        open: segment.stamp.filter(|_| !segment.is_closed).map(|stamp| stamp.id),
    };
    chosen.map(look).collect()
}

/// Takes note of what segments were found to be. True when one of them can be judged at the next look only.
fn note_sights(state: &mut State, sights: Sights) -> bool {
    let mut looks_again = false;
    for (weight, first, seen) in sights.seen {
        let row = state.rows.of_mut(weight);
        let Some(segment) = row.segments.iter_mut().find(|segment| segment.first == first) else { continue };
        let whole = segment.first..segment.end;
        match seen {
            Seen::Same => {}
            Seen::Cut => {
                // What is written from now on goes elsewhere; what is left of this one is read at the next look.
                (segment.is_closed, segment.stamp, looks_again) = (true, None, true);
            }
            Seen::Gone => state.lose_of_segment(weight, first, &[whole], Loss::SegmentGone, "it was removed"),
            Seen::Unreadable(why) => {
                state.lose_of_segment(weight, first, &[whole], Loss::SegmentUnreadable, &why);
            }
            Seen::Records { stamp, numbers, is_clean } => {
                segment.stamp = Some(stamp);
                let missing = numbers.missing_in(whole);
                // Of a segment of an earlier run it is known where the next began, not where it ended itself.
                let (loss, why) = if is_clean && segment.is_from_before && missing.len() == 1 {
                    (Loss::SegmentGone, "its end, or the segment behind it, is gone")
                } else {
                    (Loss::SegmentDamaged, "it is damaged")
                };
                state.lose_of_segment(weight, first, &missing, loss, why);
            }
        }
    }
    looks_again
}

const fn name_of(weight: Weight) -> &'static str {
    match weight {
        Weight::Stats => "stats",
        Weight::Summary => "summary",
        Weight::Finding => "finding",
    }
}

#[cfg(test)]
mod tests;
