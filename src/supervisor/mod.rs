//! The control plane: inputs, threads, inventory, progress, the live sensor.
//!
//! In:    what the user asked for.
//! Out:   a [`ScanReport`](crate::sink::ScanReport), what a watch came to, alerts.
//! Never: touches a frame.

pub mod attend;
mod inventory;
#[cfg(target_os = "linux")]
mod privileges;
mod progress;
mod rounds;
mod sandbox;
mod scan;
pub mod state;
#[cfg(target_os = "linux")]
mod watch;

pub use inventory::Inventory;
#[cfg(target_os = "linux")]
pub use privileges::{Dropped, PrivilegeError, Privileges};
pub use progress::{Progress, Snapshot};
pub use sandbox::{Entered, Sandbox, SandboxError, SandboxMode};
pub use scan::{InputScan, Scan, ScanOptions, TakeAlerts, scan};
#[cfg(target_os = "linux")]
pub use watch::{InterfaceStatus, Notice, Reload, Renewed, Settings, Tell, WatchError, WatchOptions, Watched, watch};
