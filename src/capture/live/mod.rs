//! Frames from a network interface, through a ring of memory that the kernel fills (packet(7), `TPACKET_V3`).
//!
//! ```no_run
//! use kaspector::capture::{Block, Ring, RingOptions};
//! use std::time::Duration;
//!
//! let mut ring = Ring::open("eth0", &RingOptions::default())?;
//! let mut block = Block::default();
//! while ring.next_block(&mut block, Duration::from_millis(100))? {
//!     println!("{} frames", block.records.len());
//! }
//! # Ok::<(), kaspector::capture::LiveError>(())
//! ```

mod error;
mod retired;
mod ring;

pub use error::LiveError;
pub use ring::{Ring, RingOptions, RingStatistics};
