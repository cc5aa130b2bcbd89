//! Reads one capture, whatever its format, into blocks of frames.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::format::Format;
use super::pcap::{MAX_FRAME_BYTES, Pcap, Step, Stop};
use super::pcapng::Pcapng;
use super::source::{Refused, Source};
use super::{Block, CaptureError, LinkType};

/// File bytes that one block holds. Only a frame that does not fit makes a block longer, for as long as it holds that frame.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Frames that one block can hold at most: no format spends fewer than 16 bytes on a frame.
pub const BLOCK_RECORDS: usize = BLOCK_BYTES / 16;

/// A capture that is being read: a file, or standard input.
///
/// Damage ends it: every frame before is delivered, then there is one error, then nothing.
pub struct CaptureFile {
    input: String,
    size: Option<u64>,
    position: Arc<AtomicU64>,
    decompressed: bool,
    rest: Box<dyn Read + Send>,
    /// A read that failed while the format was being recognised.
    failed: Option<io::Error>,
    reader: Reader,
    /// The beginning of a record whose end is still to be read.
    carry: Vec<u8>,
    /// Offset of the first byte in `carry`, after decompression.
    offset: u64,
    frames: u64,
    state: State,
}

/// Reads a capture that lies in memory to its end; returns the frames that were delivered and the error that ended it.
///
/// This is what the fuzzer calls: whatever `bytes` are, it returns.
#[must_use]
pub fn read_all(bytes: &[u8]) -> (u64, Option<CaptureError>) {
    let mut file = match CaptureFile::from_reader("memory", io::Cursor::new(bytes.to_vec())) {
        Ok(file) => file,
        Err(error) => return (0, Some(error)),
    };
    let mut block = Block::default();
    loop {
        match file.next_block(&mut block) {
            Ok(true) => {}
            Ok(false) => return (file.frames(), None),
            Err(error) => return (file.frames(), Some(error)),
        }
    }
}

enum Reader {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

enum State {
    Reading,
    /// To be told after the frames before it.
    Failed(CaptureError),
    Done,
}

/// Whether the source has more.
enum Filled {
    More,
    End,
    Failed(io::Error),
}

impl CaptureFile {
    /// Opens a capture and reads its header.
    ///
    /// # Errors
    /// [`CaptureError::Open`], [`CaptureError::NotACapture`], [`CaptureError::Read`] when nothing could be decompressed, or
    /// damage in the header.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let input = path.display().to_string();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(cause) => return Err(CaptureError::Open { input, cause }),
        };
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        Ok(Self { size, ..Self::from_reader(input, file)? })
    }

    /// Reads standard input.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn stdin() -> Result<Self, CaptureError> {
        Self::from_reader("standard input", io::stdin())
    }

    /// Reads a capture from `reader`, which needs no buffering; `input` is its name in errors.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_reader(input: impl Into<String>, reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let input = input.into();
        let source = match Source::new(Box::new(reader)) {
            Ok(source) => source,
            Err(Refused::Io(cause)) => return Err(CaptureError::Open { input, cause }),
            Err(Refused::Packed(cause)) => {
                return Err(CaptureError::Read { input, offset: 0, decompressed: true, packet: 1, cause });
            }
            Err(Refused::Foreign(foreign)) => {
                return Err(CaptureError::NotACapture {
                    input,
                    looks_like: foreign.looks_like,
                    advice: foreign.advice,
                    kind: foreign.kind,
                });
            }
        };
        let Source { rest, failed, head: mut carry, format, decompressed, position } = source;
        let (reader, offset) = if format == Format::Pcapng {
            (Reader::Pcapng(Pcapng::default()), 0)
        } else {
            let parsed = match carry.first_chunk() {
                Some(header) => Pcap::parse(header),
                None => Err(format!(
                    "the file ends within its {}-byte header; copy it again, or capture again",
                    Pcap::HEADER_BYTES
                )),
            };
            match parsed {
                Ok(pcap) => {
                    carry.drain(..Pcap::HEADER_BYTES);
                    (Reader::Pcap(pcap), Pcap::HEADER_BYTES as u64)
                }
                Err(what) => return Err(CaptureError::Damaged { input, offset: 0, decompressed, packet: 1, what }),
            }
        };
        let state = State::Reading;
        Ok(Self { input, size: None, position, decompressed, rest, failed, reader, carry, offset, frames: 0, state })
    }

    /// Fills `block` with the next frames; false when there are none left. What the block held before is gone.
    ///
    /// A block spans at most [`BLOCK_BYTES`] of the file and [`BLOCK_RECORDS`] frames. Where blocks begin and end depends on
    /// the bytes alone, not on how the source hands them out. Beyond the last frame, `block.bytes` holds leftovers.
    ///
    /// # Errors
    /// [`CaptureError::Damaged`] or [`CaptureError::Read`], once, when every frame before was delivered.
    pub fn next_block(&mut self, block: &mut Block) -> Result<bool, CaptureError> {
        block.records.clear();
        block.first_number = self.frames.saturating_add(1);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Reading => self.state = State::Reading,
            State::Failed(error) => return Err(error),
            State::Done => return Ok(false),
        }
        let mut window = BLOCK_BYTES.max(self.carry.len());
        block.bytes.truncate(window);
        block.bytes.shrink_to(window);
        let mut filled = self.carry.len();
        block.bytes.resize(window, 0);
        if let Some(start) = block.bytes.get_mut(..filled) {
            start.copy_from_slice(&self.carry);
        }
        self.carry.clear();
        loop {
            let source = self.fill(&mut block.bytes, &mut filled);
            let valid = block.bytes.get(..filled).unwrap_or_default();
            let Step { consumed, stop } = match &mut self.reader {
                Reader::Pcap(pcap) => pcap.walk(valid, &mut block.records),
                Reader::Pcapng(pcapng) => pcapng.walk(valid, &mut block.records),
            };
            self.frames = block.first_number.saturating_sub(1).saturating_add(block.records.len() as u64);
            self.offset = self.offset.saturating_add(consumed as u64);
            let left = filled.saturating_sub(consumed);
            let needed = match (stop, source) {
                (Stop::Damage(what), _) => return self.fail_after(block, |file| file.damaged(what)),
                (Stop::Partial(_), Filled::Failed(cause)) => {
                    self.offset = self.offset.saturating_add(left as u64);
                    return self.fail_after(block, |file| file.unreadable(cause));
                }
                (Stop::Partial(_), Filled::End) if left == 0 => {
                    self.state = State::Done;
                    return Ok(!block.records.is_empty());
                }
                (Stop::Partial(needed), Filled::End) => {
                    return self.fail_after(block, |file| file.damaged(cut_off(left, needed)));
                }
                (Stop::Partial(needed), Filled::More) => needed,
            };
            if !block.records.is_empty() {
                self.carry.extend_from_slice(block.bytes.get(consumed..filled).unwrap_or_default());
                return Ok(true);
            }
            // No frame so far: go on behind what was skipped, with room for what comes. The room grows with the bytes that
            // have really arrived, so a claimed length alone takes no memory.
            block.bytes.copy_within(consumed..filled, 0);
            filled = left;
            if needed > window && left == window {
                window = needed.min(window.saturating_mul(2));
                block.bytes.resize(window, 0);
            }
        }
    }

    /// The name that errors have.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Frames delivered so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Link types that the headers read so far announce, each once, in numeric order.
    #[must_use]
    pub fn link_types(&self) -> Vec<LinkType> {
        match &self.reader {
            Reader::Pcap(pcap) => vec![pcap.link_type()],
            Reader::Pcapng(pcapng) => pcapng.link_types().iter().copied().collect(),
        }
    }

    /// Size of the file in bytes, compressed if it is; `None` for a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many bytes of [`Self::size`] were read, kept up to date for whoever draws the progress.
    #[must_use]
    pub fn position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }

    /// Reads until `into` is full or the source ends or fails.
    fn fill(&mut self, into: &mut [u8], filled: &mut usize) -> Filled {
        if let Some(error) = self.failed.take() {
            return Filled::Failed(error);
        }
        loop {
            let Some(room) = into.get_mut(*filled..).filter(|room| !room.is_empty()) else { return Filled::More };
            match self.rest.read(room) {
                Ok(0) => return Filled::End,
                Ok(count) => *filled = filled.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Filled::Failed(error),
            }
        }
    }

    /// Ends the capture with an error: now if `block` is empty, else at the next call.
    fn fail_after(&mut self, block: &Block, error: impl FnOnce(&Self) -> CaptureError) -> Result<bool, CaptureError> {
        let error = error(self);
        if block.records.is_empty() {
            self.state = State::Done;
            return Err(error);
        }
        self.state = State::Failed(error);
        Ok(true)
    }

    fn damaged(&self, what: String) -> CaptureError {
        CaptureError::Damaged {
            input: self.input.clone(),
            offset: self.offset,
            decompressed: self.decompressed,
            packet: self.frames.saturating_add(1),
            what,
        }
    }

    fn unreadable(&self, cause: io::Error) -> CaptureError {
        CaptureError::Read {
            input: self.input.clone(),
            offset: self.offset,
            decompressed: self.decompressed,
            packet: self.frames.saturating_add(1),
            cause,
        }
    }
}

fn cut_off(left: usize, needed: usize) -> String {
    format!(
        "the file ends here, with {left} bytes of a record that has at least {needed}; it was cut while being written or \
         copied: nothing is to be done unless a longer copy exists"
    )
}

// A record's place must fit its 32-bit fields.
const _: () = assert!(BLOCK_BYTES + MAX_FRAME_BYTES + super::MAX_BLOCK_BYTES < u32::MAX as usize);
