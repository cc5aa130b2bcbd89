//! The control plane: inputs, threads, inventory, progress, reports.
//!
//! In:    what the user asked for.
//! Out:   a [`report::ScanReport`], alerts.
//! Never: touches a frame.

pub mod report;
