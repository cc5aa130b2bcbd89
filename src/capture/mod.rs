//! Brings frames in, from capture files for now.
//!
//! In:    a capture file, plain or compressed, or standard input.
//! Out:   [`Block`]s of [`Frame`]s, in file order, each frame numbered from 1.
//! Never: parses a packet header.

mod frame;

pub use frame::{Block, Frame, LinkType, Record, Timestamp};
