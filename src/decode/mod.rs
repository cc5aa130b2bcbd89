//! Turns captured frames into transport segments.
//!
//! In:    [`Frame`](crate::capture::Frame), possibly cut by the snap length.
//! Out:   [`Segment`], borrowing the frame's bytes, or an [`Outcome`] that says why there is none.
//! Never: reads past the transport header. Only [`FragmentPool`](fragment::FragmentPool) keeps state.

mod outcome;
mod segment;

pub use outcome::{Outcome, OutcomeCounters};
pub use segment::{FiveTuple, MacAddress, Segment, Transport, Tunnel, TunnelKind, Zone, tcp_flags};
