//! The control plane: inputs, threads, inventory, progress.
//!
//! In:    what the user asked for.
//! Out:   a [`ScanReport`](crate::sink::ScanReport), alerts.
//! Never: touches a frame.

pub mod attend;
mod inventory;
#[cfg(target_os = "linux")]
mod privileges;
mod progress;
mod rounds;
mod sandbox;
mod scan;
mod status;

pub use inventory::Inventory;
#[cfg(target_os = "linux")]
pub use privileges::{Dropped, PrivilegeError, Privileges};
pub use progress::{Progress, Snapshot};
pub use sandbox::{Entered, Sandbox, SandboxError, SandboxMode};
pub use scan::{InputScan, Scan, ScanOptions, TakeAlerts, scan};
pub use status::{InterfaceStatus, OutputStatus, Status};
