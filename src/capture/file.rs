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
use super::stretch::{BLOCK_BYTES, Fetched, Stretch, Then};
use super::{Block, CaptureError, LinkType, spelled};

/// A capture that is being read: a file, or standard input.
///
/// Damage ends it: every frame before is delivered, then there is one error, then nothing.
pub struct CaptureFile {
    input: String,
    size: Option<u64>,
    position: Arc<AtomicU64>,
    decompressed: bool,
    rest: Box<dyn Read + Send>,
    /// The file itself, where it is one and not compressed. Then nothing is read from `rest` any more.
    file: Option<Arc<File>>,
    /// A read that failed while the format was being recognised.
    failed: Option<io::Error>,
    reader: Reader,
    /// The beginning of a record whose end is still to be read.
    carry: Vec<u8>,
    /// Offset of the first byte in `carry`, after decompression.
    offset: u64,
    /// Offset of the first byte that was not taken from the source.
    taken: u64,
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

impl CaptureFile {
    /// Opens a capture and reads its header.
    ///
    /// # Errors
    /// [`CaptureError::Open`], [`CaptureError::NotACapture`], [`CaptureError::Read`] when nothing could be decompressed, or
    /// damage in the header.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let input = spelled(path);
        let file = match File::open(path) {
            Ok(file) => Arc::new(file),
            Err(cause) => return Err(CaptureError::Open { input, cause }),
        };
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        let opened = Self { size, ..Self::from_reader(input, Arc::clone(&file))? };
        let file = (size.is_some() && !opened.decompressed).then_some(file);
        Ok(Self { file, ..opened })
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
        Ok(Self {
            taken: offset.saturating_add(carry.len() as u64),
            input,
            size: None,
            position,
            decompressed,
            rest,
            file: None,
            failed,
            reader,
            carry,
            offset,
            frames: 0,
            state: State::Reading,
        })
    }

    /// Fills `block` with the next frames; false when there are none left. What the block held before is gone.
    ///
    /// Where blocks begin and end depends on the bytes alone, not on how the source hands them out. Around the frames, `block.bytes`
    /// holds leftovers.
    ///
    /// # Errors
    /// [`CaptureError::Damaged`] or [`CaptureError::Read`], once, when every frame before was delivered.
    pub fn next_block(&mut self, block: &mut Block) -> Result<bool, CaptureError> {
        while self.has_more() {
            let fetched = self.next_stretch(block).fetch(block);
            self.walk(fetched, block)?;
            if !block.records.is_empty() {
                return Ok(true);
            }
        }
        block.records.clear();
        Ok(false)
    }

    /// Takes the next bytes, for `block`, to be fetched without the others who read this capture. They are to be given to [`Self::walk`]
    /// in the order in which they were taken.
    pub fn next_stretch(&mut self, block: &mut Block) -> Stretch {
        if let Some(error) = self.failed.take() {
            return Stretch::nothing(Then::Failed(error));
        }
        if !self.has_more() {
            return Stretch::nothing(Then::End);
        }
        let offset = self.taken;
        self.taken = Stretch::end(offset);
        match &self.file {
            Some(file) => Stretch::of_file(file, offset, &self.position),
            None => Stretch::of_stream(&mut self.rest, offset, block),
        }
    }

    /// Whether there may be more frames, or an error that was not told yet.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !matches!(self.state, State::Done)
    }

    /// Leaves alone what was not walked yet.
    pub fn stop(&mut self) {
        self.state = State::Done;
    }

    /// Finds the frames of the next stretch, which lies in `block`. There may be none: within a long record, and behind the end.
    ///
    /// # Errors
    /// [`CaptureError::Damaged`] or [`CaptureError::Read`], once, when every frame before was delivered.
    pub fn walk(&mut self, mut fetched: Fetched, block: &mut Block) -> Result<(), CaptureError> {
        block.records.clear();
        block.first_number = self.frames.saturating_add(1);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Reading => self.state = State::Reading,
            State::Failed(error) => return Err(error),
            State::Done => return Ok(()),
        }
        fetched.prepend(&mut self.carry, block);
        let bytes = block.bytes.get(..fetched.end).unwrap_or_default();
        let Step { end, stop } = match &mut self.reader {
            Reader::Pcap(pcap) => pcap.walk(bytes, fetched.start, &mut block.records),
            Reader::Pcapng(pcapng) => pcapng.walk(bytes, fetched.start, &mut block.records),
        };
        self.frames = self.frames.saturating_add(block.records.len() as u64);
        self.offset = self.offset.saturating_add(end.saturating_sub(fetched.start) as u64);
        let left = fetched.end.saturating_sub(end);
        match (stop, std::mem::replace(&mut fetched.then, Then::More)) {
            (Stop::Damage(what), _) => self.fail_after(block, self.damaged(what)),
            (Stop::Partial(_), Then::More) => {
                fetched.carry_on(end, &mut self.carry, block);
                Ok(())
            }
            (Stop::Partial(_), Then::End) if left == 0 => {
                self.state = State::Done;
                Ok(())
            }
            (Stop::Partial(needed), Then::End) => self.fail_after(block, self.damaged(cut_off(left, needed))),
            (Stop::Partial(_), Then::Failed(cause)) => {
                self.offset = self.offset.saturating_add(left as u64);
                self.fail_after(block, self.unreadable(cause))
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

    /// Ends the capture with an error: now if `block` is empty, else at the next call.
    fn fail_after(&mut self, block: &Block, error: CaptureError) -> Result<(), CaptureError> {
        if block.records.is_empty() {
            self.state = State::Done;
            return Err(error);
        }
        self.state = State::Failed(error);
        Ok(())
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

#[cfg(test)]
mod tests;
