//! The next bytes of a capture, and the memory that they come into.
//!
//! Where records lie can only be found out in the order of the file, but bytes of a file can be fetched by several threads at once: each
//! takes the next chunk, fetches it for itself, and hands it in to be walked.

use super::Block;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// File bytes that one chunk has, and so a block without what it continues.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Room in front of a chunk for the beginning of its first record, which the chunk before had. No network frame is longer.
const HEADROOM: usize = 128 << 10;

/// Copied from page to page, bytes come up to three times as fast as to places that begin a little behind those where they lie.
const PAGE: usize = 4096;

/// Bytes of memory for a chunk.
const MEMORY: usize = HEADROOM + PAGE + BLOCK_BYTES;

/// The next bytes of a capture. Those of a stream are there; those of a file are still to be fetched.
#[derive(Debug)]
pub struct ReadChunk(Bytes);

#[derive(Debug)]
enum Bytes {
    Fetched(Fetched),
    At { file: Arc<File>, offset: u64, len: usize, position: Arc<AtomicU64> },
}

/// Bytes that lie in a block, and what is known of those behind them.
#[derive(Debug)]
pub struct Fetched {
    /// Where they lie.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) then: Then,
}

/// What comes behind some bytes.
#[derive(Debug)]
pub(super) enum Then {
    More,
    End,
    Failed(io::Error),
}

impl ReadChunk {
    /// No bytes at all.
    pub(super) const fn nothing(then: Then) -> Self {
        Self(Bytes::Fetched(Fetched { start: 0, end: 0, then }))
    }

    /// Reads the chunk of a stream that begins at `offset`.
    pub(super) fn of_stream(stream: &mut dyn io::Read, offset: u64, block: &mut Block) -> Self {
        Self(Bytes::Fetched(Fetched::fill(block, len_at(offset), |into, _| stream.read(into))))
    }

    /// Takes the chunk of a file that begins at `offset`. `position` counts what is fetched.
    pub(super) fn of_file(file: &Arc<File>, offset: u64, position: &Arc<AtomicU64>) -> Self {
        let (file, position) = (Arc::clone(file), Arc::clone(position));
        Self(Bytes::At { file, offset, len: len_at(offset), position })
    }

    /// Where the next chunk begins if this one begins at `offset`.
    pub(super) fn end(offset: u64) -> u64 {
        offset.saturating_add(len_at(offset) as u64)
    }

    /// Sees to it that the bytes lie in `block`, the one that the chunk was taken for. What the block held before is gone.
    #[must_use]
    pub fn fetch(self, block: &mut Block) -> Fetched {
        match self.0 {
            Bytes::Fetched(fetched) => fetched,
            Bytes::At { file, offset, len, position } => Fetched::fill(block, len, |into, done| {
                let count = read_at(&file, into, offset.saturating_add(done))?;
                // Relaxed: a progress bar wants a recent value, not an order.
                position.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }),
        }
    }
}

impl Fetched {
    /// Reads until `len` bytes are there, or the source ends or fails. `read` is told how many there are already.
    fn fill(block: &mut Block, len: usize, mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>) -> Self {
        block.records.clear();
        let bytes = &mut block.bytes;
        // A long record may have made it longer.
        bytes.truncate(MEMORY);
        bytes.shrink_to(MEMORY);
        bytes.resize(MEMORY, 0);
        let start = HEADROOM + bytes.as_ptr().wrapping_add(HEADROOM).align_offset(PAGE).min(PAGE);
        let mut end = start;
        let then = loop {
            let Some(room) = bytes.get_mut(end..start + len).filter(|room| !room.is_empty()) else { break Then::More };
            match read(room, (end - start) as u64) {
                Ok(0) => break Then::End,
                Ok(count) => end = end.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Then::Failed(error),
            }
        };
        Self { start, end, then }
    }

    /// Puts `carry` in front of the bytes.
    pub(super) fn prepend(&mut self, carry: &mut Vec<u8>, block: &mut Block) {
        if let Some(start) = self.start.checked_sub(carry.len())
            && let Some(room) = block.bytes.get_mut(start..self.start)
        {
            room.copy_from_slice(carry);
            self.start = start;
            carry.clear();
            carry.shrink_to(MEMORY);
        } else {
            // A record longer than any network frame grows in `carry`, by what has really arrived, and without a copy of all for each
            // chunk.
            carry.extend_from_slice(block.bytes.get(self.start..self.end).unwrap_or_default());
            std::mem::swap(carry, &mut block.bytes);
            carry.clear();
            (self.start, self.end) = (0, block.bytes.len());
        }
    }

    /// Moves what lies from `at` on into `carry`.
    pub(super) fn carry_on(&self, at: usize, carry: &mut Vec<u8>, block: &mut Block) {
        if at == 0 {
            std::mem::swap(carry, &mut block.bytes);
            carry.truncate(self.end);
        } else {
            carry.extend_from_slice(block.bytes.get(at..self.end).unwrap_or_default());
        }
    }
}

/// Bytes from `offset` to where a chunk ends: they end at multiples of their length, which the system reads best.
fn len_at(offset: u64) -> usize {
    BLOCK_BYTES - (offset % BLOCK_BYTES as u64) as usize
}

#[cfg(unix)]
pub(super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset)
}
