//! Where the bytes come from: a file or a stream, decompressed on the way.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::CaptureError;
use super::decompress::{self, is_packed};
use super::format::{self, Foreign, Format};

/// Bytes of a capture, after decompression, and the first of them.
pub(super) struct Source {
    /// What follows `head`.
    pub rest: Box<dyn Read + Send>,
    /// A failure that came right behind `head`; decompressors need not repeat theirs.
    pub failed: Option<io::Error>,
    /// Up to [`format::HEAD_BYTES`] first bytes, already taken from `rest`.
    pub head: Vec<u8>,
    /// That of a capture.
    pub format: Format,
    /// Whether a decompressor stands between.
    pub decompressed: bool,
    /// Bytes taken from the reader so far: compressed ones where that differs.
    pub position: Arc<AtomicU64>,
}

/// Why there is no [`Source`].
pub(super) enum Refused {
    Io(io::Error),
    /// Not one byte of it could be decompressed.
    Packed(io::Error),
    Foreign(Foreign),
}

impl Refused {
    /// The same of this input.
    pub(super) fn into_error(self, input: String) -> CaptureError {
        match self {
            Self::Io(cause) => CaptureError::Open { input, cause },
            Self::Packed(cause) => CaptureError::Read { input, offset: 0, decompressed: true, packet: 1, cause },
            Self::Foreign(foreign) => CaptureError::NotACapture {
                input,
                looks_like: foreign.looks_like,
                advice: foreign.advice,
                kind: foreign.kind,
            },
        }
    }
}

impl Source {
    /// Recognises what `reader` delivers, and decompresses it if need be.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Result<Self, Refused> {
        let source = Self::unpacked(reader)?;
        match source.format {
            Format::Foreign(foreign) => Err(Refused::Foreign(foreign)),
            _ => Ok(source),
        }
    }

    /// The same of what is no capture.
    pub(super) fn unpacked(reader: Box<dyn Read + Send>) -> Result<Self, Refused> {
        let position = Arc::new(AtomicU64::new(0));
        let mut rest: Box<dyn Read + Send> = Box::new(Counted { reader, position: Arc::clone(&position) });
        let (mut head, mut failed) = take_head(&mut rest).map_err(Refused::Io)?;
        let mut format = format::recognise(&head);
        let decompressed = is_packed(format);
        if decompressed {
            let packed = BufReader::with_capacity(PACKED_BYTES, Cursor::new(head).chain(rest));
            rest = decompress::reader(format, packed)?;
            (head, failed) = take_head(&mut rest).map_err(Refused::Packed)?;
            format = format::recognise(&head);
        }
        if is_packed(format) {
            return Err(Refused::Foreign(format::NESTED));
        }
        Ok(Self { rest, failed, head, format, decompressed, position })
    }
}

/// Reads until [`format::HEAD_BYTES`] or the end: a pipe may deliver one byte at a time. A failure takes nothing from the
/// bytes before it.
fn take_head(reader: &mut dyn Read) -> io::Result<(Vec<u8>, Option<io::Error>)> {
    let mut head = Vec::with_capacity(format::HEAD_BYTES);
    match reader.take(format::HEAD_BYTES as u64).read_to_end(&mut head) {
        Ok(_) => Ok((head, None)),
        Err(error) if head.is_empty() => Err(error),
        Err(error) => Ok((head, Some(error))),
    }
}

/// Counts what is taken, so that a progress bar can stand on the compressed size.
struct Counted {
    reader: Box<dyn Read + Send>,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(into)?;
        // Relaxed: one writer, and the progress bar wants a recent value, not an order.
        self.position.store(self.position.load(Ordering::Relaxed).saturating_add(count as u64), Ordering::Relaxed);
        Ok(count)
    }
}

const PACKED_BYTES: usize = 128 * 1024;
