//! The folder of a spool and the segments that are being written.

use super::super::Message;
use super::look::{Id, Stamp};
use super::record::{Place, encode};
use super::state::{MessageRow, Segment, State};
use super::{ByWeight, SpoolError, checkpoint, name_of, numbers};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a folder that was moved away is waited for.
const AWAY_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Disk {
    pub folder: PathBuf,
    /// Which folder it is, whatever stands at its path.
    id: Option<Id>,
    opened: File,
    /// Holds the folder against a second process.
    _lock: File,
    pub writers: ByWeight<Option<Writer>>,
    numbers: Option<File>,
    numbers_unsynced: bool,
    pub trouble: Option<String>,
    /// Whether a checkpoint could not be written the last time.
    pub save_failed: bool,
    /// Since when the folder is not where it was.
    pub away_since: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Writer {
    /// Names the segment.
    pub first: u64,
    file: File,
    written: u64,
    pub unsynced: bool,
}

impl Disk {
    /// Opens or makes the folder.
    pub fn open(folder: &Path) -> Result<Self, SpoolError> {
        let failed = |cause| SpoolError::Folder { folder: folder.to_owned(), cause };
        make(folder).map_err(failed)?;
        let lock = lock(folder).map_err(|error| match error {
            fs::TryLockError::WouldBlock => SpoolError::InUse { folder: folder.to_owned() },
            fs::TryLockError::Error(cause) => failed(cause),
        })?;
        let opened = File::open(folder).map_err(failed)?;
        let id = Some(Id::of(&opened.metadata().map_err(failed)?));
        Ok(Self {
            folder: folder.to_owned(),
            id,
            opened,
            _lock: lock,
            writers: ByWeight::default(),
            numbers: None,
            numbers_unsynced: false,
            trouble: None,
            save_failed: false,
            away_since: None,
        })
    }

    pub fn write(&mut self, state: &mut State, place: Place, message: &Message, segment_max: u64) -> io::Result<()> {
        let row = state.rows.of_mut(message.weight);
        let slot = self.writers.of_mut(message.weight);
        if let Some(writer) = slot {
            // Whoever found something wrong with the segment has closed it or given it up.
            let goes_on = row.segments.back().is_some_and(|segment| {
                segment.first == writer.first && segment.end == place.number && !segment.is_closed && !segment.is_lost
            });
            if !goes_on || writer.written >= segment_max {
                close_segment(slot, row)?;
            }
        }
        if slot.is_none() {
            let path = self.folder.join(format!("{}-{:020}.segment", name_of(message.weight), place.number));
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            checkpoint::sync_folder_of(&path)?;
            let stamp = Some(Stamp::of(&file.metadata()?));
            *slot = Some(Writer { first: place.number, file, written: 0, unsynced: false });
            row.segments.push_back(Segment {
                first: place.number,
                end: place.number,
                path,
                written: 0,
                is_closed: false,
                stamp,
                is_lost: false,
                is_told: false,
                is_from_before: false,
            });
        }
        let (Some(writer), Some(segment)) = (slot.as_mut(), row.segments.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut bytes = Vec::new();
        encode(place, message, &mut bytes);
        if let Err(error) = writer.file.write_all(&bytes) {
            // Half a record must not stand before the next one; if it cannot be taken back, the next one goes elsewhere.
            if writer.file.set_len(writer.written).is_err() {
                close_segment(slot, row)?;
            }
            return Err(error);
        }
        writer.written += bytes.len() as u64;
        writer.unsynced = true;
        segment.written = writer.written;
        segment.end = place.number + 1;
        row.numbers.written = place.number;
        state.disk_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes down which numbers were given. Where that fails, messages are as safe as before: only what somebody removes while no sensor
    /// runs is not known then.
    pub fn write_numbers(&mut self, state: &State) {
        if self.numbers.is_none() {
            self.numbers = numbers::open(&self.folder).ok();
        }
        let written = self.numbers.as_ref().map(|file| state.numbers().write(file));
        self.numbers_unsynced |= written.is_some_and(|written| written.is_ok());
    }

    /// Handles to the segments that were written to since the last call, and with the checkpoints also to the numbers. What is appended from
    /// now on asks for another sync.
    pub fn unsynced(&mut self, is_saving: bool) -> Vec<io::Result<File>> {
        let mut files = Vec::new();
        for writer in self.writers.iter_mut().flatten() {
            if std::mem::take(&mut writer.unsynced) {
                files.push(writer.file.try_clone());
            }
        }
        if is_saving
            && std::mem::take(&mut self.numbers_unsynced)
            && let Some(numbers) = &self.numbers
        {
            files.push(numbers.try_clone());
        }
        // Somebody may have removed it.
        if self.numbers.as_ref().is_some_and(|file| file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)) {
            self.numbers = None;
        }
        files
    }

    /// Removes segments that every output has passed. First it writes down that they will be missed by nobody.
    pub fn collect(&mut self, state: &mut State, also_open: bool) {
        state.note_kept(also_open);
        self.write_numbers(state);
        state.collect(also_open, &mut self.writers);
    }

    /// The folder, and which one it is; `None` when it was given up.
    pub fn place(&self) -> Option<(PathBuf, Id)> {
        Some((self.folder.clone(), self.id?))
    }

    /// Notes whether the folder is where it was. True when it is to be given up, with what was in it: it was removed, another stands in its
    /// place, or it was away for so long that nobody will bring it back.
    pub fn is_away(&mut self, is_away: bool) -> bool {
        if !is_away {
            self.away_since = None;
            return false;
        }
        let since = *self.away_since.get_or_insert_with(Instant::now);
        self.note(&io::Error::other("the folder is not there any more"));
        let is_removed = self.opened.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        is_removed || self.folder.exists() || since.elapsed() > AWAY_MAX
    }

    /// Takes what stands at the folder's path now for the folder, and makes it if the system lets us.
    pub fn remake(&mut self) -> Option<(PathBuf, Id)> {
        (self.id, self.numbers, self.away_since) = (None, None, None);
        let made = make(&self.folder).and_then(|()| File::open(&self.folder));
        let opened = made.inspect_err(|error| self.note(error)).ok()?;
        if let Ok(lock) = lock(&self.folder) {
            self._lock = lock;
        }
        self.id = Some(Id::of(&opened.metadata().ok()?));
        self.opened = opened;
        self.place()
    }

    /// Says what is wrong once, not at every message.
    pub fn note(&mut self, error: &io::Error) {
        let text = format!("spool {}: {error}", self.folder.display());
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!("{text}; messages stay in memory until there is room");
            self.trouble = Some(text);
        }
    }
}

fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn lock(folder: &Path) -> Result<File, fs::TryLockError> {
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"));
    let lock = lock.map_err(fs::TryLockError::Error)?;
    lock.try_lock()?;
    Ok(lock)
}

/// Ends the segment that is being written, whatever the disk says of it.
fn close_segment(slot: &mut Option<Writer>, row: &mut MessageRow) -> io::Result<()> {
    let Some(writer) = slot.take() else { return Ok(()) };
    let synced = writer.file.sync_data();
    if let Some(segment) = row.segments.iter_mut().find(|segment| segment.first == writer.first) {
        let was_closed = std::mem::replace(&mut segment.is_closed, true);
        // Written by us, byte for byte: it need not be read to know what is in it.
        let metadata =
            writer.file.metadata().ok().filter(|metadata| metadata.len() == writer.written && metadata.nlink() > 0);
        segment.stamp = metadata.filter(|_| synced.is_ok() && !was_closed).map(|metadata| Stamp::of(&metadata));
    }
    synced
}
