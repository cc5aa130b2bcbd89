//! The program `kaspector`: what reads captures and interfaces, keeps the inventory, and serves what it knows.
//!
//! The rooms, lowest first. A room names only rooms above it in this list:
//!
//! - [`inputs`]: what the user named in, captures to read out.
//! - [`process`]: clock, panics, files that are written.
//! - [`sandbox`]: privileges and system calls that are dropped.
//! - [`scan`]: captures in, the hosts that they show out.
//! - [`evidence`]: what a scan found in, the packets that prove it out.
//! - [`state`]: the inventory in a file.
//! - [`status`]: what the sensor says of itself.
//! - [`web`]: metrics, health, hosts and a page over HTTP.
//! - [`config`]: flags and a TOML file in, checked settings out.
//! - [`sensor`]: interfaces in, alerts out, until somebody ends it.
//! - [`top`]: what a sensor shows over HTTP in, a screen of a terminal out.
//! - [`commands`]: the command line in, an exit code out.

#![allow(clippy::missing_errors_doc, reason = "nobody embeds it: its errors are sentences for whoever runs it")]

#[allow(missing_docs, reason = "its comments are the help texts, and a part of the command line has none of its own")]
pub mod cli;
pub mod commands;
pub mod config;
pub mod evidence;
pub mod inputs;
pub mod process;
pub mod sandbox;
pub mod scan;
#[cfg(target_os = "linux")]
pub mod sensor;
pub mod state;
pub mod status;
pub mod top;
pub mod web;
