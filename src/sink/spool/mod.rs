//! Messages on their way, kept on disk until every output has taken them.
//!
//! Each weight has its own row of append-only segment files, and each message a sequence number over all rows. A reader merges the
//! rows by that number, so every output sees the order in which messages came; and when room runs out, whole segments of the least
//! weight go, the oldest first, without anything being written anew. Where an output stands is one number in a checkpoint file.
//!
//! Without a folder, and as long as the disk refuses, messages stay in memory, bounded and given up in the same order.

mod checkpoint;
mod reader;
pub mod record;
mod takers;
mod upkeep;

pub use reader::{Batch, Reader};
pub use takers::Takers;
pub use upkeep::{Kept, Upkeep};

use super::{Message, Weight};
use record::{RecordStream, encode, encoded_len};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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
    /// Whether it wants [`Weight::Stats`].
    pub takes_stats: bool,
}

/// The writing end. One thread owns it.
#[derive(Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    disk: Option<Disk>,
    limits: SpoolLimits,
}

#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    /// Holds the folder against a second process.
    _lock: File,
    writers: [Option<Writer>; 3],
    trouble: Option<String>,
}

#[derive(Debug)]
struct Writer {
    file: File,
    path: PathBuf,
    written: u64,
    next_ordinal: u32,
    unsynced: bool,
}

/// What writer and readers both see.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The last sequence number that was given, for readers to wait on.
    last: tokio::sync::watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// By weight.
    lanes: [Lane; 3],
    takers: Vec<TakerState>,
    last: u64,
    disk_bytes: u64,
    held_bytes: usize,
    is_final: bool,
}

#[derive(Debug, Default)]
struct Lane {
    segments: VecDeque<Segment>,
    /// Not on disk, and later than everything of the lane that is.
    held: VecDeque<(u64, Arc<Message>)>,
}

#[derive(Debug)]
struct Segment {
    /// Sequence number of its first record; names it.
    first: u64,
    /// Of its last one, or a later one.
    last: u64,
    path: PathBuf,
    written: u64,
    is_closed: bool,
}

#[derive(Debug)]
struct TakerState {
    name: String,
    takes_stats: bool,
    /// Nothing is kept for it any more.
    is_gone: bool,
    /// Up to here its reader has handed out, and up to here the other side has acknowledged.
    handed: u64,
    taken: u64,
    saved: u64,
    lost: u64,
}

impl TakerState {
    const fn wants(&self, weight: Weight) -> bool {
        !self.is_gone && (self.takes_stats || !matches!(weight, Weight::Stats))
    }
}

const WEIGHTS: [Weight; 3] = [Weight::Stats, Weight::Summary, Weight::Finding];
const SEGMENT_MAX: u64 = 8 << 20;
const SEGMENT_MIN: u64 = 16 << 10;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in a state is ever half done when a panic could happen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool {
    /// Opens or makes `folder` and finds out where each of the `takers` stands; without a folder everything stays in memory.
    ///
    /// A taker that has no checkpoint begins behind what is already there.
    ///
    /// # Errors
    /// [`SpoolError`] when the folder cannot be used. Damaged segments are no error: what can be read of them is delivered.
    pub fn open(folder: Option<&Path>, limits: SpoolLimits, takers: &[Taker]) -> Result<Self, SpoolError> {
        let mut state = State::default();
        let disk = folder
            .map(|folder| {
                let failed = |cause| SpoolError::Folder { folder: folder.to_owned(), cause };
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
                let lock =
                    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"));
                let lock = lock.map_err(failed)?;
                match lock.try_lock() {
                    Ok(()) => {}
                    Err(fs::TryLockError::WouldBlock) => return Err(SpoolError::InUse { folder: folder.to_owned() }),
                    Err(fs::TryLockError::Error(cause)) => return Err(failed(cause)),
                }
                state.recover(folder).map_err(failed)?;
                Ok(Disk { folder: folder.to_owned(), _lock: lock, writers: [None, None, None], trouble: None })
            })
            .transpose()?;
        for taker in takers {
            state.add(taker.clone(), folder);
        }
        let last = tokio::sync::watch::Sender::new(state.last);
        let mut spool = Self { shared: Arc::new(Shared { state: Mutex::new(state), last }), disk, limits };
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
        let lane = message.weight as usize;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        if !state.takers.iter().any(|taker| taker.wants(message.weight)) {
            return;
        }
        let sequence = state.last + 1;
        match encoded_len(&message) {
            None => state.count_lost(sequence, message.weight),
            Some(_) => {
                let nothing_waits = state.lanes.get(lane).is_some_and(|lane| lane.held.is_empty());
                let is_on_disk = nothing_waits && self.write(&mut state, sequence, &message);
                if is_on_disk {
                    // Readers find it there.
                } else if self.disk.is_some() && self.is_given_up(&state, &message) {
                    state.count_lost(sequence, message.weight);
                } else {
                    state.hold(sequence, Arc::new(message), self.limits.memory_bytes);
                }
            }
        }
        state.last = sequence;
        drop(state);
        self.shared.last.send_replace(sequence);
    }

    /// Whether a message finds the disk full of heavier ones.
    fn is_given_up(&self, state: &State, message: &Message) -> bool {
        let length = encoded_len(message).unwrap_or_default() as u64;
        let is_lightest = state.lanes.iter().take(message.weight as usize + 1).all(|lane| lane.segments.is_empty());
        is_lightest && state.disk_bytes + length > self.limits.disk_bytes
    }

    /// Writes a message to the end of its lane; `false` when there is no disk, it refuses, or it is full of heavier messages.
    fn write(&mut self, state: &mut State, sequence: u64, message: &Message) -> bool {
        let Some(disk) = &mut self.disk else { return false };
        let Some(length) = encoded_len(message) else { return false };
        while state.disk_bytes + length as u64 > self.limits.disk_bytes {
            state.collect(false, &mut disk.writers);
            if state.disk_bytes + length as u64 > self.limits.disk_bytes
                && !state.give_up_segment(message.weight, &mut disk.writers)
            {
                return false;
            }
        }
        let segment_max = (self.limits.disk_bytes / 16).clamp(SEGMENT_MIN, SEGMENT_MAX);
        match disk.write(state, sequence, message, segment_max) {
            Ok(()) => true,
            Err(error) => {
                disk.note(&error);
                false
            }
        }
    }

    /// Makes what was appended last on disk, and tries again to write what the disk refused. `false` when some of it is not there.
    pub fn sync(&mut self) -> bool {
        let kept = self.upkeep(false).run();
        self.kept(kept)
    }

    /// Writes down how far each output has come, and removes segments that all have passed.
    pub fn save_checkpoints(&mut self) {
        let kept = self.upkeep(true).run();
        self.kept(kept);
    }

    /// What is to be done for [`sync`](Self::sync), and with `is_saving` for [`save_checkpoints`](Self::save_checkpoints). While it
    /// [runs](Upkeep::run), on whatever thread, more may be appended; the outcome comes back by [`kept`](Self::kept) before the next.
    pub fn upkeep(&mut self, is_saving: bool) -> Upkeep {
        if self.disk.is_none() {
            return Upkeep { is_whole: true, is_saving, ..Upkeep::default() };
        }
        self.write_held();
        let state = self.shared.state();
        let Some(disk) = &mut self.disk else { return Upkeep::default() };
        let unsynced = disk.writers.iter_mut().flatten().filter(|writer| writer.unsynced);
        let segments = unsynced
            .map(|writer| {
                // What is appended from now on asks for another sync.
                writer.unsynced = false;
                writer.file.try_clone()
            })
            .collect();
        let mut checkpoints = Vec::new();
        for (taker, entry) in state.takers.iter().enumerate().filter(|_| is_saving) {
            let path = checkpoint::path_of(&disk.folder, &entry.name);
            if entry.taken != entry.saved || !path.exists() {
                checkpoints.push(Checkpoint { taker, name: entry.name.clone(), taken: entry.taken, path });
            }
        }
        Upkeep { segments, checkpoints, is_whole: state.held_bytes == 0, is_saving }
    }

    /// Takes note of what came of an upkeep. `false` when some of what had been appended by then is not on disk.
    pub fn kept(&mut self, kept: Kept) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        for (taker, taken) in kept.saved {
            if let Some(taker) = state.takers.get_mut(taker) {
                taker.saved = taken;
            }
        }
        let Some(disk) = &mut self.disk else {
            if kept.is_saving {
                state.forget_taken();
            }
            return true;
        };
        if kept.is_saving {
            state.forget_taken();
            // A disk without room for a checkpoint may be full of what was taken long ago.
            state.collect(disk.trouble.is_some(), &mut disk.writers);
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
        if kept.is_whole && kept.save_error.is_none() && disk.trouble.take().is_some() {
            tracing::info!(folder = %disk.folder.display(), "spool: writing again");
        }
        kept.is_whole
    }

    /// Writes what the disk refused, as far as it takes it now.
    fn write_held(&mut self) {
        let shared = Arc::clone(&self.shared);
        for weight in WEIGHTS {
            let mut state = shared.state();
            while let Some((sequence, message)) =
                state.lanes.get(weight as usize).and_then(|lane| lane.held.front().cloned())
            {
                if !self.write(&mut state, sequence, &message) {
                    if !self.is_given_up(&state, &message) {
                        break;
                    }
                    state.count_lost(sequence, weight);
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

    /// Syncs, saves checkpoints, and removes what all outputs have taken.
    pub fn close(mut self) {
        self.sync();
        self.save_checkpoints();
        if let Some(disk) = &mut self.disk {
            self.shared.state().collect(true, &mut disk.writers);
        }
    }

    /// What the disk said when it last refused, as long as it does.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.disk.as_ref()?.trouble.as_deref()
    }
}

impl Disk {
    fn write(&mut self, state: &mut State, sequence: u64, message: &Message, segment_max: u64) -> io::Result<()> {
        let lane = state.lanes.get_mut(message.weight as usize).expect("a lane for each weight");
        let slot = self.writers.get_mut(message.weight as usize).expect("a writer for each weight");
        if slot.as_ref().is_some_and(|writer| writer.written >= segment_max) {
            close_segment(slot, lane)?;
        }
        if slot.is_none() {
            let path = self.folder.join(format!("{}-{sequence:020}.segment", name_of(message.weight)));
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            checkpoint::sync_folder_of(&path)?;
            *slot = Some(Writer { file, path: path.clone(), written: 0, next_ordinal: 0, unsynced: false });
            lane.segments.push_back(Segment { first: sequence, last: sequence, path, written: 0, is_closed: false });
        }
        let writer = slot.as_mut().expect("made above");
        let mut bytes = Vec::new();
        encode(sequence, writer.next_ordinal, message, &mut bytes);
        if let Err(error) = writer.file.write_all(&bytes) {
            // Half a record must not stand before the next one; if it cannot be taken back, the next one goes elsewhere.
            if writer.file.set_len(writer.written).is_err() {
                close_segment(slot, lane)?;
            }
            return Err(error);
        }
        writer.written += bytes.len() as u64;
        writer.next_ordinal += 1;
        writer.unsynced = true;
        let segment = lane.segments.back_mut().expect("the writer's own");
        segment.written = writer.written;
        segment.last = sequence;
        state.disk_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Says what is wrong once, not at every message.
    fn note(&mut self, error: &io::Error) {
        let text = format!("spool {}: {error}", self.folder.display());
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!("{text}; messages stay in memory until there is room");
            self.trouble = Some(text);
        }
    }
}

fn close_segment(slot: &mut Option<Writer>, lane: &mut Lane) -> io::Result<()> {
    if let Some(writer) = slot {
        writer.file.sync_data()?;
        if let Some(segment) = lane.segments.iter_mut().find(|segment| segment.path == writer.path) {
            segment.is_closed = true;
        }
    }
    *slot = None;
    Ok(())
}

const fn name_of(weight: Weight) -> &'static str {
    match weight {
        Weight::Stats => "stats",
        Weight::Summary => "summary",
        Weight::Finding => "finding",
    }
}

impl State {
    /// Finds the segments of an earlier run. Nothing is written to them any more.
    fn recover(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.ends_with(".checkpoint") {
                // Also those of outputs that are no longer configured: numbers must never come twice.
                self.last = self.last.max(checkpoint::read(&path).unwrap_or(0));
            }
            let Some((weight, first)) = name.strip_suffix(".segment").and_then(|stem| stem.split_once('-')) else {
                continue;
            };
            let lane = WEIGHTS.iter().position(|&known| name_of(known) == weight);
            let (Some(lane), Ok(first)) = (lane, first.parse()) else { continue };
            let written = fs::metadata(&path)?.len();
            self.disk_bytes += written;
            let lane = self.lanes.get_mut(lane).expect("a lane for each weight");
            lane.segments.push_back(Segment { first, last: first, path: path.clone(), written, is_closed: true });
        }
        for lane in &mut self.lanes {
            lane.segments.make_contiguous().sort_by_key(|segment| segment.first);
            let firsts: Vec<u64> = lane.segments.iter().map(|segment| segment.first).collect();
            for (segment, next) in lane.segments.iter_mut().zip(firsts.iter().skip(1)) {
                segment.last = next.saturating_sub(1);
            }
            if let Some(segment) = lane.segments.back_mut() {
                let last = sequences_in(&segment.path)?.into_iter().max();
                segment.last = segment.first.max(last.unwrap_or(0));
                self.last = self.last.max(segment.last);
            }
        }
        Ok(())
    }

    fn count_lost(&mut self, sequence: u64, weight: Weight) {
        for taker in &mut self.takers {
            taker.lost += u64::from(taker.wants(weight) && taker.handed < sequence);
        }
    }

    /// Keeps a message in memory, and gives up what is too much then.
    fn hold(&mut self, sequence: u64, message: Arc<Message>, memory_bytes: usize) {
        self.held_bytes += cost(&message);
        self.lanes
            .get_mut(message.weight as usize)
            .expect("a lane for each weight")
            .held
            .push_back((sequence, message));
        if self.held_bytes > memory_bytes {
            self.forget_taken();
        }
        while self.held_bytes > memory_bytes {
            let Some(weight) = WEIGHTS.into_iter().find(|&weight| !self.lane(weight).held.is_empty()) else { return };
            if let Some(sequence) = self.release_front(weight) {
                self.count_lost(sequence, weight);
            }
        }
    }

    fn lane(&self, weight: Weight) -> &Lane {
        self.lanes.get(weight as usize).expect("a lane for each weight")
    }

    fn release_front(&mut self, weight: Weight) -> Option<u64> {
        let lane = self.lanes.get_mut(weight as usize).expect("a lane for each weight");
        let (sequence, message) = lane.held.pop_front()?;
        self.held_bytes -= cost(&message);
        Some(sequence)
    }

    fn taken_by_all(&self, weight: Weight) -> u64 {
        self.takers.iter().filter(|taker| taker.wants(weight)).map(|taker| taker.taken).min().unwrap_or(u64::MAX)
    }

    /// Lets messages in memory go that every output has taken.
    fn forget_taken(&mut self) {
        for weight in WEIGHTS {
            let taken = self.taken_by_all(weight);
            while self.lane(weight).held.front().is_some_and(|&(sequence, _)| sequence <= taken) {
                self.release_front(weight);
            }
        }
    }

    /// Removes segments that every output has passed; the one being written only if `also_open`.
    fn collect(&mut self, also_open: bool, writers: &mut [Option<Writer>; 3]) {
        for weight in WEIGHTS {
            let taken = self.taken_by_all(weight);
            while self
                .lane(weight)
                .segments
                .front()
                .is_some_and(|segment| segment.last <= taken && (segment.is_closed || also_open))
            {
                self.remove_front(weight, writers);
            }
        }
    }

    fn remove_front(&mut self, weight: Weight, writers: &mut [Option<Writer>; 3]) {
        let lane = self.lanes.get_mut(weight as usize).expect("a lane for each weight");
        let Some(segment) = lane.segments.pop_front() else { return };
        self.disk_bytes -= segment.written;
        if let Some(slot) = writers.get_mut(weight as usize)
            && slot.as_ref().is_some_and(|writer| writer.path == segment.path)
        {
            *slot = None;
        }
        if let Err(error) = fs::remove_file(&segment.path) {
            tracing::warn!("spool: {}: {error}; remove it by hand", segment.path.display());
        }
    }

    /// Gives up the oldest segment of the least weight, up to `heaviest`. `false` when there is none.
    fn give_up_segment(&mut self, heaviest: Weight, writers: &mut [Option<Writer>; 3]) -> bool {
        let lightest = WEIGHTS.into_iter().find(|&weight| !self.lane(weight).segments.is_empty());
        let Some(weight) = lightest.filter(|&weight| weight <= heaviest) else { return false };
        let path = self.lane(weight).segments.front().map(|segment| segment.path.clone()).unwrap_or_default();
        for sequence in sequences_in(&path).unwrap_or_default() {
            self.count_lost(sequence, weight);
        }
        tracing::warn!("spool: full; gave up the oldest messages of the kind {}", name_of(weight));
        self.remove_front(weight, writers);
        true
    }
}

/// What a message takes in memory.
fn cost(message: &Message) -> usize {
    message.uid.len() + message.host.len() + message.line.len() + 128
}

fn sequences_in(path: &Path) -> io::Result<Vec<u64>> {
    let mut stream = RecordStream::default();
    stream.feed(&fs::read(path)?);
    Ok(std::iter::from_fn(|| stream.next(true)).map(|record| record.sequence).collect())
}

#[cfg(test)]
mod tests;
