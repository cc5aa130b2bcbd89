//! What leaves this room: application bytes in order.

use crate::capture::Timestamp;

/// Which way bytes travel in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// A run of application bytes; within a direction in order and without overlap.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// When the packet that completed this run was captured.
    pub at: Timestamp,
    /// Which way.
    pub direction: Direction,
    /// Bytes since the start of this direction's stream, so that a jump shows a gap; 0 for a datagram.
    pub offset: u64,
    /// The bytes, never empty.
    pub bytes: &'a [u8],
}
