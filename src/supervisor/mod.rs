//! The control plane: configuration, inputs, threads, inventory, progress; what the sensor says of itself.
//!
//! In:    what the user asked for.
//! Out:   a [`ScanReport`](crate::sink::ScanReport), alerts; metrics, health and a page over HTTP, a log.
//! Never: touches a frame.

pub mod attend;
pub mod config;
mod history;
mod inventory;
mod log;
mod notify;
mod progress;
mod rounds;
mod scan;
mod status;
#[cfg(target_os = "linux")]
mod watch;
pub mod web;

pub use history::{History, SAMPLE_INTERVAL, SAMPLES_MAX, Sample};
pub use inventory::Inventory;
pub use log::Log;
pub use notify::Notify;
pub use progress::{Progress, Snapshot};
pub use scan::{InputScan, Scan, ScanOptions, TakeAlerts, scan};
pub use status::{InterfaceStatus, OutputStatus, Status};
#[cfg(target_os = "linux")]
pub use watch::{Notice, Tell, WatchError, WatchOptions, Watched, watch};
