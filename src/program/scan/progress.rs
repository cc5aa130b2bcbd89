//! How far a scan has come, for whoever wants to show it; and the wish that it end early.

use kaspector::capture::Block;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counters that workers raise once per block. Relaxed throughout: readers want a recent value, not an order between counters.
#[derive(Debug, Default)]
pub struct Progress {
    packets: AtomicU64,
    bytes: AtomicU64,
    /// Size of all inputs whose size is known.
    size: AtomicU64,
    sizes_unknown: AtomicBool,
    inputs: AtomicUsize,
    inputs_done: AtomicUsize,
    /// How far each input was read, in bytes of its file.
    positions: Mutex<Vec<Arc<AtomicU64>>>,
    stopped: AtomicBool,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Packets read.
    pub packets: u64,
    /// Captured bytes of those packets.
    pub bytes: u64,
    /// Bytes of the files that were read, compressed where they are.
    pub position: u64,
    /// Bytes of all files; `None` while standard input or a pipe is among them.
    pub size: Option<u64>,
    /// Inputs in all.
    pub inputs: usize,
    /// Inputs that are done.
    pub inputs_done: usize,
}

impl Progress {
    /// Says which inputs there are: the size of each, if it has one.
    pub fn expect_inputs(&self, sizes: impl IntoIterator<Item = Option<u64>>) {
        for size in sizes {
            self.inputs.fetch_add(1, Ordering::Relaxed);
            match size {
                Some(size) => {
                    self.size.fetch_add(size, Ordering::Relaxed);
                }
                None => self.sizes_unknown.store(true, Ordering::Relaxed),
            }
        }
    }

    /// Notes that an input is being read; `position` tells how far.
    pub fn begin(&self, position: Arc<AtomicU64>) {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).push(position);
    }

    /// Notes that an input is done.
    pub fn finish_input(&self) {
        self.inputs_done.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the packets of a block and their captured bytes.
    pub fn add_block(&self, block: &Block) {
        self.packets.fetch_add(block.records.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(block.captured_bytes(), Ordering::Relaxed);
    }

    /// Asks the workers to end after the block at hand.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked the workers to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            position: positions.iter().map(|position| position.load(Ordering::Relaxed)).sum(),
            size: (!self.sizes_unknown.load(Ordering::Relaxed)).then(|| self.size.load(Ordering::Relaxed)),
            inputs: self.inputs.load(Ordering::Relaxed),
            inputs_done: self.inputs_done.load(Ordering::Relaxed),
        }
    }
}
