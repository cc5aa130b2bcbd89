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

pub use inventory::Inventory;
pub use progress::{Progress, Snapshot};
pub use scan::{InputScan, Scan, ScanOptions, TakeAlerts, scan};
pub use status::{InterfaceStatus, OutputStatus, Status};
