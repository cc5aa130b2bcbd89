//! Where the bytes come from: a file or a stream, decompressed on the way.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

impl Source {
    /// Recognises what `reader` delivers, and decompresses it if need be.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Result<Self, Refused> {
        let position = Arc::new(AtomicU64::new(0));
        let mut rest: Box<dyn Read + Send> = Box::new(Counted { reader, position: Arc::clone(&position) });
        let (mut head, mut failed) = take_head(&mut rest).map_err(Refused::Io)?;
        let mut format = format::recognise(&head);
        let decompressed = is_packed(format);
        if decompressed {
            let packed = BufReader::with_capacity(PACKED_BYTES, Cursor::new(head).chain(rest));
            rest = match format {
                Format::Gzip => Box::new(InSteps(flate2::bufread::MultiGzDecoder::new(packed))),
                Format::Xz => Box::new(InSteps(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB))),
                Format::Bzip2 => Box::new(InSteps(bzip2::bufread::MultiBzDecoder::new(packed))),
                Format::Lz4 => Box::new(Lz4(lz4_flex::frame::FrameDecoder::new(packed))),
                _ => Box::new(unzstd(packed).map_err(Refused::Packed)?),
            };
            (head, failed) = take_head(&mut rest).map_err(Refused::Packed)?;
            format = format::recognise(&head);
        }
        match format {
            Format::Foreign(foreign) => Err(Refused::Foreign(foreign)),
            packed if is_packed(packed) => Err(Refused::Foreign(format::NESTED)),
            _ => Ok(Self { rest, failed, head, format, decompressed, position }),
        }
    }
}

const fn is_packed(format: Format) -> bool {
    matches!(format, Format::Gzip | Format::Zstd | Format::Xz | Format::Bzip2 | Format::Lz4)
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

fn unzstd<R: BufRead>(packed: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
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

/// Decompresses in small steps: when a stream turns out corrupt, a decoder forgets what it wrote in that call, so the step is how much good
/// data before the damage can be lost.
struct InSteps<D>(D);

impl<D: Read> Read for InSteps<D> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let step = into.len().min(STEP);
        self.0.read(into.get_mut(..step).unwrap_or_default())
    }
}

/// Frames of lz4, one behind the other; those to be skipped are.
struct Lz4<R: BufRead>(lz4_flex::frame::FrameDecoder<R>);

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match self.0.read(into) {
                // The end of a frame, if more follows.
                Ok(0) if !self.0.get_mut().fill_buf()?.is_empty() => {}
                Err(error) => {
                    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
                    let Some(&lz4_flex::frame::Error::SkippableFrame(len)) = cause else { return Err(error) };
                    io::copy(&mut self.0.get_mut().take(u64::from(len)), &mut io::sink())?;
                }
                read => return read,
            }
        }
    }
}

const PACKED_BYTES: usize = 128 * 1024;
const STEP: usize = 4 * 1024;
/// 128 MiB and the decoder's own tables: `xz -9` wants 64 MiB.
const XZ_MEMORY_KIB: u32 = 130 * 1024;
/// 128 MiB, the most that RFC 8878 section 3.1.1.1.2 lets `zstd` use without being asked (`--long=27`).
const ZSTD_WINDOW_LOG: u32 = 27;
