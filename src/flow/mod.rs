//! Puts segments back into conversations.
//!
//! In:    [`Segment`](crate::decode::Segment).
//! Out:   one flow for both directions ([`FlowTable`]), and its application bytes in order, each once ([`Stream`]).
//! Never: reads an application byte, or knows what the per-flow state of its caller is.

mod belief;
mod key;
mod pages;
mod reassembly;
mod table;

pub use belief::{Checksum, Doubt, carries_data, checksum, is_dropped, sum, timestamps, urgent};
pub use key::{FlowKey, Side};
pub use pages::NoMemory;
pub use reassembly::{Origin, Stream, StreamCounters};
pub use table::{Capacities, FlowState, FlowTable, Found, Slot, Tier};
