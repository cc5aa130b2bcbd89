//! Brings frames in from capture files.
//!
//! In:    a capture file, plain or compressed, or standard input.
//! Out:   [`Block`]s of [`Frame`]s, in the order of arrival, each frame numbered from 1.
//! Never: parses a packet header.
//!
//! ```no_run
//! use kaspector::capture::{Block, CaptureFile};
//!
//! let mut file = CaptureFile::open("capture.pcapng")?;
//! let mut block = Block::default(); // reused: steady reading allocates nothing
//! while file.next_block(&mut block)? {
//!     for frame in block.frames() {
//!         println!("{} {} bytes", frame.number, frame.bytes.len());
//!     }
//! }
//! # Ok::<(), kaspector::capture::CaptureError>(())
//! ```

mod calendar;
mod decompress;
mod display_path;
mod erf;
mod error;
mod file;
mod format;
mod frame;
mod gathered;
mod netmon;
mod netxray;
mod pcap;
mod pcapng;
mod prefetch;
mod read_chunk;
mod records;
mod sniffer;
mod snoop;
mod source;
mod unpacked;

pub use display_path::display_path;
pub(crate) use erf::{RecordedFrame, frame_of_record};
pub use error::CaptureError;
pub use file::{Blocks, CaptureFile, read_all};
pub use format::ForeignKind;
pub use frame::{Block, Frame, FrameIter, FrameSequence, Frames, LinkType, Record, Timestamp};
pub use gathered::MAX_HELD_BYTES;
pub use pcap::MAX_FRAME_BYTES;
pub use pcapng::{MAX_BLOCK_BYTES, MAX_INTERFACES};
pub use prefetch::prefetch;
pub use read_chunk::{BLOCK_BYTES, Fetched, ReadChunk};
pub use unpacked::Unpacked;
