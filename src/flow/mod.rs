//! Puts segments back into conversations.
//!
//! In:    [`Segment`](crate::decode::Segment).
//! Out:   one flow for both directions, and [`Payload`]: its application bytes in order, each once.
//! Never: reads an application byte, or knows what the per-flow state of its caller is.

mod payload;

pub use payload::{Direction, Payload};
