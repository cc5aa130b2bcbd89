//! Frames from a network interface: through a ring of memory that the kernel fills (packet(7), `TPACKET_V3`), or through libpcap.
//!
//! In:    the name of an interface.
//! Out:   blocks of [`Frame`](kaspector::capture::Frame)s, in the order of arrival; counters of the kernel and the device.
//! Never: parses a packet header, or sends a packet.
//!
//! ```no_run
//! use kaspector_live::{CaptureKind, Listener, RingOptions};
//! use std::time::Duration;
//!
//! let mut listener = Listener::open(CaptureKind::default(), "eth0", &RingOptions::default())?;
//! while let Some(count) = listener.with_block(Duration::from_millis(100), |frames| frames.len())? {
//!     println!("{count} frames");
//! }
//! # Ok::<(), kaspector_live::LiveError>(())
//! ```

mod error;
#[cfg(target_os = "linux")]
mod facts;
mod filter;
mod listener;
#[cfg(target_os = "linux")]
mod mapping;
mod options;
#[cfg(feature = "libpcap")]
mod pcap;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod ring_block;
#[cfg(target_os = "linux")]
mod socket;

pub use error::LiveError;
#[cfg(target_os = "linux")]
pub use facts::{DeviceRing, Facts, advice};
pub use filter::{Filter, FilterError};
pub use listener::Listener;
pub use options::{CaptureKind, Choice, RingOptions, RingStatistics, UnknownCaptureKind};
#[cfg(feature = "libpcap")]
pub use pcap::PcapInterface;
#[cfg(target_os = "linux")]
pub use ring::Ring;
