//! How much a lane keeps at most.

use crate::flow::Capacities;

/// How much one lane keeps at most; a [`Detector`](super::Detector) has [`LANES`](super::LANES) lanes. What is beyond is dropped and counted.
///
/// The same input gives the same answer only with the same bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Flows followed at once: those that carry payload, TCP without payload, UDP in no protocol that we know, and UDP of the port of DNS. By
    /// default 131,072, 16,384, 65,536 and 8,192; 128 bytes each, taken as they are used.
    pub flows: Capacities,
    /// TCP connections whose payload is inspected at once; 4,096 by default.
    pub conversations: usize,
    /// QUIC connections whose hello is incomplete; 2,048 by default.
    pub initials: usize,
    /// Bytes held back, waiting for missing segments or for the rest of a message; 8 MiB by default.
    pub held_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            flows: Capacities { kept: 1 << 17, half_open: 1 << 14, datagrams: 1 << 16, lookups: 1 << 13 },
            conversations: 1 << 12,
            initials: 1 << 11,
            held_bytes: 8 << 20,
        }
    }
}
