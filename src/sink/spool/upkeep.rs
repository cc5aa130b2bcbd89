//! What a spool asks of its disk now and then, and what may take long: syncs and checkpoints. It may run beside the thread that appends,
//! so that no message waits for a disk.

use super::checkpoint;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Work for the disk, taken out of a spool at one moment.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// Segments that were written to, by handles of their own.
    pub(super) segments: Vec<io::Result<File>>,
    /// How far outputs have come that were further behind when it was last written down.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// Whether everything that was appended by then lies in segments.
    pub(super) is_whole: bool,
    /// Whether checkpoints were asked for.
    pub(super) is_saving: bool,
}

#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) taker: usize,
    pub(super) name: String,
    pub(super) taken: u64,
    pub(super) path: PathBuf,
}

/// What came of it; goes back to the spool.
#[derive(Debug)]
pub struct Kept {
    pub(super) sync_error: Option<io::Error>,
    pub(super) save_error: Option<io::Error>,
    /// Number of the taker, and how far it has come on disk.
    pub(super) saved: Vec<(usize, u64)>,
    pub(super) is_whole: bool,
    pub(super) is_saving: bool,
}

impl Upkeep {
    /// Does the work; returns when it lies on disk, or the disk refused.
    #[must_use]
    pub fn run(self) -> Kept {
        let (mut sync_error, mut save_error, mut saved) = (None, None, Vec::new());
        for segment in self.segments {
            if let Err(error) = segment.and_then(|file| file.sync_data()) {
                sync_error = Some(error);
            }
        }
        for Checkpoint { taker, name, taken, path } in self.checkpoints {
            match checkpoint::write(&path, &name, taken) {
                Ok(()) => saved.push((taker, taken)),
                Err(error) => save_error = Some(error),
            }
        }
        Kept { sync_error, save_error, saved, is_whole: self.is_whole, is_saving: self.is_saving }
    }
}
