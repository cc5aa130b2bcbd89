//! What a spool asks of its disk now and then, and what may take long: looks at segments, syncs and checkpoints. It may run beside the
//! thread that appends, so that no message waits for a disk.

use super::ByWeight;
use super::checkpoint::{self, Progress};
use super::look::{Looks, Sights};
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chores {
    /// Making what was appended last.
    pub is_syncing: bool,
    /// Writing down how far each output has come.
    pub is_saving: bool,
    /// Looking whether segments are as they were written.
    pub is_looking: bool,
}

/// Work for the disk, taken out of a spool at one moment.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// Segments that are to be looked at.
    pub(super) looks: Option<Looks>,
    /// Files that were written to, by handles of their own.
    pub(super) files: Vec<io::Result<File>>,
    /// How far outputs have come that were further behind when it was last written down.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// Whether everything that was appended by then lies on disk afterwards.
    pub(super) is_whole: bool,
    pub(super) is_saving: bool,
}

#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) taker: usize,
    pub(super) name: String,
    pub(super) progress: ByWeight<Progress>,
    pub(super) changes: u64,
    pub(super) path: PathBuf,
}

/// What came of it; goes back to the spool.
#[derive(Debug)]
pub struct Kept {
    pub(super) sights: Option<Sights>,
    pub(super) sync_error: Option<io::Error>,
    pub(super) save_error: Option<io::Error>,
    /// Number of the taker, and which of its changes are on disk.
    pub(super) saved: Vec<(usize, u64)>,
    pub(super) is_whole: bool,
    pub(super) is_saving: bool,
}

impl Upkeep {
    /// Does the work; returns when it lies on disk, or the disk refused.
    #[must_use]
    pub fn run(self) -> Kept {
        let (mut sync_error, mut save_error, mut saved) = (None, None, Vec::new());
        let sights = self.looks.map(Looks::run);
        for file in self.files {
            if let Err(error) = file.and_then(|file| file.sync_data()) {
                sync_error = Some(error);
            }
        }
        for Checkpoint { taker, name, progress, changes, path } in self.checkpoints {
            match checkpoint::write(&path, &name, &progress) {
                Ok(()) => saved.push((taker, changes)),
                Err(error) => save_error = Some(error),
            }
        }
        Kept { sights, sync_error, save_error, saved, is_whole: self.is_whole, is_saving: self.is_saving }
    }
}
