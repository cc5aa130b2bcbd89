//! Looks whether segments are still as they were written. Whoever removes, cuts or overwrites one is found out within moments, also while
//! nobody reads it.

use super::super::Weight;
use super::Ranges;
use super::record::numbers_in;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a file is like: as long as it stays the same, so does what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub id: Id,
    bytes: u64,
    changed: (i64, i64),
}

/// Which file or folder it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u64, u64);

/// Segments that are to be looked at.
#[derive(Debug)]
pub(super) struct Looks {
    pub segments: Vec<Look>,
    /// The folder that they are in, and which one it is; `None` when it was given up.
    pub folder: Option<(PathBuf, Id)>,
}

/// A segment that is to be looked at.
#[derive(Debug)]
pub(super) struct Look {
    pub weight: Weight,
    pub first: u64,
    pub path: PathBuf,
    pub written: u64,
    pub stamp: Option<Stamp>,
    /// Which file it is, when it is being written.
    pub open: Option<Id>,
}

/// What was seen of one.
#[derive(Debug)]
pub(super) enum Seen {
    /// It is as it was.
    Same,
    /// These records can be read; whether there is nothing else in it.
    Records { stamp: Stamp, numbers: Ranges, is_clean: bool },
    /// It is not there.
    Gone,
    /// It cannot be read.
    Unreadable(String),
    /// It is being written, and shorter than what was written, or another file.
    Cut,
}

/// What was seen of all.
#[derive(Debug, Default)]
pub(super) struct Sights {
    /// Whether the folder is not where it was, so that nothing can be said of what is in it.
    pub is_away: bool,
    pub seen: Vec<(Weight, u64, Seen)>,
}

/// Bytes that are read at one look, so that a large spool is not read at once at the start.
const READ_MAX: u64 = 32 << 20;
/// More than any segment has.
pub(super) const SEGMENT_BYTES_MAX: u64 = 16 << 20;

impl Stamp {
    pub fn of(metadata: &Metadata) -> Self {
        // Any change of content, rights or names changes this time, and nobody can set it.
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { id: Id::of(metadata), bytes: metadata.len(), changed }
    }
}

impl Id {
    pub fn of(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }

    /// Whether this is what stands at `path`.
    pub fn is_at(self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| Self::of(&metadata) == self)
    }
}

/// Opens a segment to read it. Never waits, as a pipe of that name would have it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}

/// Whether an error says nothing of the segment, but that this process has too many files open or so.
pub(super) fn is_passing(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
        || matches!(kind, io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

impl Looks {
    pub fn run(self) -> Sights {
        let mut read = 0;
        let look = |look: Look| (look.weight, look.first, look.see(&mut read));
        let seen: Vec<_> = self.segments.into_iter().map(look).collect();
        // Asked afterwards: where the folder was moved away meanwhile, nothing in it was found.
        let is_away = self.folder.is_some_and(|(path, id)| !id.is_at(&path));
        Sights { is_away, seen: if is_away { Vec::new() } else { seen } }
    }
}

impl Look {
    fn see(&self, read: &mut u64) -> Seen {
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Seen::Gone,
            Err(error) if is_passing(&error) => return Seen::Same,
            Err(error) => return Seen::Unreadable(error.to_string()),
        };
        let stamp = Stamp::of(&metadata);
        if let Some(id) = self.open {
            return if stamp.id == id && metadata.len() >= self.written { Seen::Same } else { Seen::Cut };
        }
        if self.stamp == Some(stamp) || *read >= READ_MAX {
            return Seen::Same;
        }
        *read += metadata.len().min(SEGMENT_BYTES_MAX);
        let mut bytes = Vec::new();
        match open(&self.path).and_then(|file| file.take(SEGMENT_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => {
                let (numbers, is_clean) = numbers_in(&bytes);
                Seen::Records { stamp, numbers, is_clean }
            }
            Err(error) if is_passing(&error) => Seen::Same,
            Err(error) => Seen::Unreadable(error.to_string()),
        }
    }
}
