//! The control plane: inputs, threads, inventory, progress.
//!
//! In:    what the user asked for.
//! Out:   a [`ScanReport`](crate::sink::ScanReport), alerts.
//! Never: touches a frame.

pub mod attend;
mod inventory;
mod progress;
mod rounds;
mod scan;
mod status;
#[cfg(target_os = "linux")]
mod watch;

pub use inventory::Inventory;
pub use progress::{Progress, Snapshot};
pub use scan::{InputScan, Scan, ScanOptions, TakeAlerts, scan};
pub use status::{InterfaceStatus, OutputStatus, Status};
#[cfg(target_os = "linux")]
pub use watch::{Notice, Tell, WatchError, WatchOptions, Watched, watch};
