//! Reads one capture, whatever its format, into blocks of frames.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::erf::Erf;
use super::format::Format;
use super::gathered::{Gathered, MAX_HELD_BYTES, Place};
use super::netmon::Netmon;
use super::netxray::Netxray;
use super::pcap::{MAX_FRAME_BYTES, Pcap, Step, Stop};
use super::pcapng::Pcapng;
use super::read_chunk::{BLOCK_BYTES, Fetched, ReadChunk, Then};
use super::sniffer::Sniffer;
use super::snoop::Snoop;
use super::source::Source;
use super::{Block, CaptureError, LinkType, display_path};

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
    Snoop(Snoop),
    Netmon(Netmon),
    Netxray(Netxray),
    Sniffer(Sniffer),
    Erf(Erf),
}

impl Reader {
    /// Reads the header of a file that begins with `head`; also gives its bytes.
    fn parse(format: Format, head: &[u8]) -> Result<(Self, usize), String> {
        Ok(match format {
            Format::Pcap => {
                let cut = || {
                    let bytes = Pcap::HEADER_BYTES;
                    format!("the file ends within its {bytes}-byte header; copy it again, or capture again")
                };
                (Self::Pcap(Pcap::parse(head.first_chunk().ok_or_else(cut)?)?), Pcap::HEADER_BYTES)
            }
            Format::Snoop => (Self::Snoop(Snoop::parse(head)?), Snoop::HEADER_BYTES),
            Format::Netmon => (Self::Netmon(Netmon::parse(head)?), Netmon::HEADER_BYTES),
            Format::Netxray => (Self::Netxray(Netxray::parse(head)?), Netxray::HEADER_BYTES),
            Format::Sniffer => (Self::Sniffer(Sniffer::parse(head)?), Sniffer::HEADER_BYTES),
            Format::Erf => (Self::Erf(Erf::default()), 0),
            _ => (Self::Pcapng(Pcapng::default()), 0),
        })
    }
}

impl Reader {
    /// Whether the file says that something should follow what was read.
    fn expects_more(&self) -> bool {
        match self {
            Self::Netxray(netxray) => netxray.expects_more(),
            // Its end is a record of its own.
            Self::Sniffer(_) => true,
            _ => false,
        }
    }
}

/// A whole stream, held because its order is known only at its end. A failure takes nothing from the bytes before it.
fn held(head: &[u8], rest: &mut dyn Read, failed: &mut Option<io::Error>) -> io::Result<Vec<u8>> {
    let mut bytes = head.to_vec();
    if failed.is_none() {
        *failed = rest.take(MAX_HELD_BYTES).read_to_end(&mut bytes).err();
    }
    if bytes.len() as u64 >= MAX_HELD_BYTES {
        let what = format!(
            "records of this format are in no order until the end is known, and no more than {MAX_HELD_BYTES} bytes of a stream are \
             held; unpack it, or write it to a file"
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// Blocks of a capture, as [`CaptureFile::next_block`] gives them. An error is the last item.
#[derive(Debug)]
pub struct Blocks<'a> {
    file: &'a mut CaptureFile,
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut block = Block::default();
        match self.file.next_block(&mut block) {
            Ok(true) => Some(Ok(block)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl std::iter::FusedIterator for Blocks<'_> {}

impl fmt::Debug for CaptureFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, size, frames, .. } = self;
        out.debug_struct("CaptureFile")
            .field("input", input)
            .field("size", size)
            .field("frames", frames)
            .finish_non_exhaustive()
    }
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
        let input = display_path(path);
        let file = match File::open(path) {
            Ok(file) => Arc::new(file),
            Err(cause) => return Err(CaptureError::Open { input, cause }),
        };
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        let whole = size.is_some().then(|| Arc::clone(&file));
        Ok(Self { size, ..Self::begin(input, file, whole)? })
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
        Self::begin(input.into(), reader, None)
    }

    /// `whole` is the file itself, where `reader` reads one.
    fn begin(
        input: String,
        reader: impl Read + Send + 'static,
        whole: Option<Arc<File>>,
    ) -> Result<Self, CaptureError> {
        let source = match Source::new(Box::new(reader)) {
            Ok(source) => source,
            Err(refused) => return Err(refused.into_error(input)),
        };
        let Source { mut rest, mut failed, head: mut carry, format, decompressed, position } = source;
        let mut file = whole.filter(|_| !decompressed);
        let damaged = |what| CaptureError::Damaged { input: input.clone(), offset: 0, decompressed, packet: 1, what };
        let (mut reader, header) = Reader::parse(format, &carry).map_err(damaged)?;
        let gathers = match &reader {
            Reader::Netmon(_) => true,
            Reader::Netxray(netxray) => netxray.parts().is_some(),
            _ => false,
        };
        if gathers {
            let unreadable =
                |cause| CaptureError::Read { input: input.clone(), offset: 0, decompressed, packet: 1, cause };
            let place = match file.take() {
                Some(file) => Place::File(file),
                None => Place::Memory(held(&carry, &mut rest, &mut failed).map_err(unreadable)?),
            };
            let gathered = match &mut reader {
                Reader::Netmon(netmon) => {
                    Gathered::of_netmon(place, netmon, failed.take(), &position).map_err(unreadable)?
                }
                Reader::Netxray(netxray) => {
                    let parts = netxray.parts().unwrap_or_default();
                    *netxray = netxray.unrolled(place.len().map_err(unreadable)?);
                    Gathered::of_parts(place, parts, &position)
                }
                _ => Gathered::of_parts(place, Default::default(), &position),
            };
            rest = Box::new(gathered);
            carry.clear();
        } else {
            carry.drain(..header.min(carry.len()));
        }
        let offset = header as u64;
        Ok(Self {
            taken: offset.saturating_add(carry.len() as u64),
            input,
            size: None,
            position,
            decompressed,
            rest,
            file,
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
            let fetched = self.next_chunk(block).fetch(block);
            self.walk(fetched, block)?;
            if !block.records.is_empty() {
                return Ok(true);
            }
        }
        block.records.clear();
        Ok(false)
    }

    /// The blocks that are left, each with memory of its own. [`Self::next_block`] reuses one, which is faster.
    ///
    /// ```
    /// # use kaspector::capture::CaptureFile;
    /// let mut file = CaptureFile::open("pcaps/dns-then-tls.pcap")?;
    /// let mut bytes = 0;
    /// for block in file.blocks() {
    ///     bytes += block?.frames().map(|frame| frame.bytes.len()).sum::<usize>();
    /// }
    /// assert!(bytes > 0);
    /// # Ok::<(), kaspector::capture::CaptureError>(())
    /// ```
    pub const fn blocks(&mut self) -> Blocks<'_> {
        Blocks { file: self }
    }

    /// Takes the next bytes, for `block`, to be fetched without the others who read this capture. They are to be given to [`Self::walk`]
    /// in the order in which they were taken.
    pub fn next_chunk(&mut self, block: &mut Block) -> ReadChunk {
        if let Some(error) = self.failed.take() {
            return ReadChunk::nothing(Then::Failed(error));
        }
        if !self.has_more() {
            return ReadChunk::nothing(Then::End);
        }
        let offset = self.taken;
        self.taken = ReadChunk::end(offset);
        match &self.file {
            Some(file) => ReadChunk::of_file(file, offset, &self.position),
            None => ReadChunk::of_stream(&mut self.rest, offset, block),
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

    /// Finds the frames of the next chunk, which lies in `block`. There may be none: within a long record, and behind the end.
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
            Reader::Snoop(snoop) => snoop.walk(bytes, fetched.start, &mut block.records),
            Reader::Netmon(netmon) => netmon.walk(bytes, fetched.start, &mut block.records),
            Reader::Netxray(netxray) => netxray.walk(bytes, fetched.start, &mut block.records),
            Reader::Sniffer(sniffer) => sniffer.walk(bytes, fetched.start, &mut block.records),
            Reader::Erf(erf) => erf.walk(bytes, fetched.start, &mut block.records),
        };
        self.frames = self.frames.saturating_add(block.records.len() as u64);
        self.offset = self.offset.saturating_add(end.saturating_sub(fetched.start) as u64);
        let left = fetched.end.saturating_sub(end);
        match (stop, std::mem::replace(&mut fetched.then, Then::More)) {
            (Stop::End, _) => {
                self.state = State::Done;
                Ok(())
            }
            (Stop::Damage(what), _) => self.fail_after(block, self.damaged(what)),
            (Stop::Partial(_), Then::More) => {
                fetched.carry_on(end, &mut self.carry, block);
                Ok(())
            }
            (Stop::Partial(_), Then::End) if left == 0 && self.reader.expects_more() => {
                let what = "the file ends here, before the end that it names; it was cut while being written or copied";
                self.fail_after(block, self.damaged(what.to_owned()))
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
            Reader::Snoop(snoop) => vec![snoop.link_type()],
            Reader::Netmon(netmon) => netmon.link_types().iter().copied().collect(),
            Reader::Netxray(netxray) => vec![netxray.link_type()],
            Reader::Sniffer(sniffer) => vec![sniffer.link_type()],
            Reader::Erf(erf) => erf.link_types().iter().copied().collect(),
        }
    }

    /// Packets that were lost before they could be written, as far as the blocks read so far say so: statistics and packets of pcapng, records
    /// of snoop and ERF.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match &self.reader {
            Reader::Pcapng(pcapng) => pcapng.lost(),
            Reader::Snoop(snoop) => snoop.lost(),
            Reader::Erf(erf) => erf.lost(),
            _ => 0,
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
