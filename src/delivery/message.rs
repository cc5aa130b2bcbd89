//! What outputs carry: one event, already written down.

use std::sync::Arc;

/// How much is lost when a message is. When room runs out, the least goes first, and of equals the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Weight {
    /// Counters of the sensor: the next record says them again.
    Stats = 0,
    /// Counts and bytes of a finding that was told before.
    Summary = 1,
    /// First sight of a host and indicator, or a verdict that rose.
    Finding = 2,
}

/// One event on its way to every output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// ULID, the same in every output and every repeated delivery.
    pub uid: Arc<str>,
    /// The host that it is about, in canonical text form; empty for [`Weight::Stats`]. Outputs that keep order by key use it.
    pub host: Arc<str>,
    /// What is lost with it.
    pub weight: Weight,
    /// A Suricata EVE JSON object, without a line break.
    pub line: Arc<str>,
}
