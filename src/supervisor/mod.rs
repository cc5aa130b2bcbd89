//! The control plane: configuration, inputs, threads, inventory, progress, the live sensor and what it says of itself.
//!
//! In:    what the user asked for.
//! Out:   a [`ScanReport`](crate::sink::ScanReport), what a watch came to, alerts; metrics, health and a page over HTTP, a log.
//! Never: touches a frame.

pub mod attend;
mod clock;
pub mod config;
mod defect;
mod history;
mod input_scan;
mod inventory;
mod log;
mod meeting;
mod notify;
pub mod output_file;
#[cfg(target_os = "linux")]
mod privileges;
mod progress;
mod rounds;
mod sandbox;
mod scan;
pub mod state;
mod status;
#[cfg(target_os = "linux")]
mod watch;
pub mod web;

pub use defect::report_panics;
pub use history::{History, SAMPLE_INTERVAL, SAMPLES_MAX, Sample};
pub use input_scan::InputScan;
pub use inventory::Inventory;
pub use log::Log;
pub use notify::Notify;
#[cfg(target_os = "linux")]
pub use privileges::{Dropped, PrivilegeError, Privileges};
pub use progress::{Progress, Snapshot};
pub use sandbox::{Entered, Sandbox, SandboxError, SandboxMode, folder_of};
pub use scan::{Scan, ScanOptions, TakeAlerts, scan};
pub use status::{InterfaceStatus, MessageCounts, Status};
#[cfg(target_os = "linux")]
pub use watch::{
    Attention, HOSTS_TOLD, Notice, Reload, Renewed, Settings, Tell, WatchError, WatchOptions, Watched, watch,
};
