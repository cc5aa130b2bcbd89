//! Brings frames in, from capture files and network interfaces.
//!
//! In:    a capture file, plain or compressed, standard input, or an interface.
//! Out:   [`Block`]s of [`Frame`]s, in the order of arrival, each frame numbered from 1.
//! Never: parses a packet header.
//!
//! ```no_run
//! use kaspector::capture::{self, Block};
//!
//! let mut block = Block::default(); // reused: steady reading allocates nothing
//! for input in capture::expand(["captures/", "more/*.pcap.gz"]) {
//!     let Some(mut file) = input?.open()? else { continue }; // a file in a folder that is no capture
//!     while file.next_block(&mut block)? {
//!         for frame in block.frames() {
//!             println!("{} {} bytes", frame.number, frame.bytes.len());
//!         }
//!     }
//! }
//! # Ok::<(), capture::CaptureError>(())
//! ```

mod erf;
mod error;
mod file;
mod filter;
mod format;
mod frame;
mod gathered;
mod inputs;
mod live;
mod netmon;
mod netxray;
mod pattern;
mod pcap;
mod pcapng;
mod prefetch;
mod records;
mod sniffer;
mod snoop;
mod source;
mod spelling;
mod stretch;

pub use error::CaptureError;
pub use file::{CaptureFile, read_all};
pub use filter::{Filter, FilterError};
pub use format::ForeignKind;
pub use frame::{Block, Frame, Frames, LinkType, Record, Timestamp};
pub use gathered::MAX_HELD_BYTES;
pub use inputs::{Input, Inputs, expand};
#[cfg(feature = "libpcap")]
pub use live::PcapInterface;
pub use live::{CaptureKind, Choice, Listener, LiveError, RingOptions, RingStatistics, UnknownCaptureKind};
#[cfg(target_os = "linux")]
pub use live::{DeviceRing, Facts, Ring, advice};
pub use pcap::MAX_FRAME_BYTES;
pub use pcapng::{MAX_BLOCK_BYTES, MAX_INTERFACES};
pub use prefetch::prefetch;
pub use spelling::spelled;
pub use stretch::{BLOCK_BYTES, Fetched, Stretch};
