//! The bytes of a file or a stream that is no capture, decompressed as captures are: logs lie beside them, packed in the same ways.

use super::format::Format;
use super::source::Source;
use super::{CaptureError, display_path};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Bytes of a file or a stream; what compression it has shows from its content.
///
/// ```no_run
/// use kaspector::capture::Unpacked;
/// use std::io::{BufRead, BufReader};
///
/// for line in BufReader::new(Unpacked::open("conn.log.gz")?).lines() {
///     println!("{}", line?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Unpacked {
    input: String,
    /// What was read of it to see what it is, and how much of that was given.
    head: Vec<u8>,
    given: usize,
    failed: Option<io::Error>,
    rest: Box<dyn Read + Send>,
    is_capture: bool,
    position: Arc<AtomicU64>,
}

impl Unpacked {
    /// Opens a file.
    ///
    /// # Errors
    /// [`CaptureError::Open`]; [`CaptureError::Read`] when not one byte could be decompressed; [`CaptureError::NotACapture`] when it is compressed
    /// twice, or in a way that this build cannot undo.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let input = display_path(path);
        match File::open(path) {
            Ok(file) => Self::from_reader(input, file),
            Err(cause) => Err(CaptureError::Open { input, cause }),
        }
    }

    /// Reads standard input.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn stdin() -> Result<Self, CaptureError> {
        Self::from_reader("standard input", io::stdin())
    }

    /// Reads `reader`, which needs no buffering; `input` is its name in errors.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_reader(input: impl Into<String>, reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let input = input.into();
        match Source::unpacked(Box::new(reader)) {
            Ok(Source { rest, failed, head, format, position, .. }) => {
                let is_capture = !matches!(format, Format::Foreign(_));
                Ok(Self { input, head, given: 0, failed, rest, is_capture, position })
            }
            Err(refused) => Err(refused.into_error(input)),
        }
    }

    /// Its name, as errors say it.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Whether it is a capture, which [`CaptureFile`](super::CaptureFile) reads.
    #[must_use]
    pub const fn is_capture(&self) -> bool {
        self.is_capture
    }

    /// Bytes taken from the file so far, compressed ones where it is.
    #[must_use]
    pub fn position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let head = self.head.get(self.given..).unwrap_or_default();
        if !head.is_empty() {
            let count = head.len().min(into.len());
            if let (Some(into), Some(head)) = (into.get_mut(..count), head.get(..count)) {
                into.copy_from_slice(head);
            }
            self.given += count;
            return Ok(count);
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.rest.read(into),
        }
    }
}

impl fmt::Debug for Unpacked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unpacked").field("input", &self.input).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Cursor, Write};

    fn all(bytes: Vec<u8>) -> (Vec<u8>, bool) {
        let mut unpacked = Unpacked::from_reader("x", Cursor::new(bytes)).unwrap();
        let mut all = Vec::new();
        unpacked.read_to_end(&mut all).unwrap();
        (all, unpacked.is_capture())
    }

    #[test]
    fn text_comes_out_as_it_went_in_packed_or_not() {
        let text = b"a line\n".repeat(5000);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&text).unwrap();
        assert_eq!(all(text.clone()), (text.clone(), false));
        assert_eq!(all(packed.finish().unwrap()), (text, false));
        assert_eq!(all(Vec::new()), (Vec::new(), false));
    }

    #[test]
    fn what_cannot_be_opened_or_unpacked_says_why() {
        assert!(matches!(Unpacked::open("gone.log"), Err(CaptureError::Open { .. })));
        let twice = {
            let pack = |bytes: &[u8]| {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                packed.write_all(bytes).unwrap();
                packed.finish().unwrap()
            };
            pack(&pack(b"a line\n"))
        };
        let error = Unpacked::from_reader("x.gz", Cursor::new(twice)).unwrap_err();
        assert!(error.to_string().contains("compressed twice"), "{error}");
    }
}
