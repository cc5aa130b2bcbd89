//! What packed captures hold.

#[cfg(not(feature = "compression"))]
use super::format;
use super::format::Format;
use super::source::Refused;
use std::io::{self, BufRead, Read};

pub(super) const fn is_packed(format: Format) -> bool {
    matches!(format, Format::Gzip | Format::Zstd | Format::Xz | Format::Bzip2 | Format::Lz4)
}

/// Reads what a stream of this format packs.
pub(super) fn reader(format: Format, packed: impl BufRead + Send + 'static) -> Result<Box<dyn Read + Send>, Refused> {
    match format {
        Format::Gzip => Ok(Box::new(InSteps(flate2::bufread::MultiGzDecoder::new(packed)))),
        #[cfg(feature = "compression")]
        packed_otherwise => others::reader(packed_otherwise, packed).map_err(Refused::Packed),
        #[cfg(not(feature = "compression"))]
        _ => Err(Refused::Foreign(format::NOT_UNPACKED)),
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

const STEP: usize = 4 * 1024;

/// All but gzip, which the detector unpacks for HTTP anyway.
#[cfg(feature = "compression")]
mod others {
    use super::{Format, InSteps};
    use std::io::{self, BufRead, Read};

    pub fn reader(format: Format, packed: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match format {
            Format::Xz => Box::new(InSteps(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB))),
            Format::Bzip2 => Box::new(InSteps(bzip2::bufread::MultiBzDecoder::new(packed))),
            Format::Lz4 => Box::new(Lz4(lz4_flex::frame::FrameDecoder::new(packed))),
            _ => Box::new(unzstd(packed)?),
        })
    }

    fn unzstd<R: BufRead>(packed: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(decoder)
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

    /// 128 MiB and the decoder's own tables: `xz -9` wants 64 MiB.
    const XZ_MEMORY_KIB: u32 = 130 * 1024;
    /// 128 MiB, the most that RFC 8878 section 3.1.1.1.2 lets `zstd` use without being asked (`--long=27`).
    const ZSTD_WINDOW_LOG: u32 = 27;
}
