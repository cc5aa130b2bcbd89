//! QUIC Initial packets (RFC 9000, 9001, 9369): opened with the keys that anyone on the path can derive.

mod conversation;
mod crypto_stream;
mod keys;
mod packet;

pub use conversation::InitialConversation;
pub use crypto_stream::CryptoStream;

/// A version whose Initial packets we can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuicVersion {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
    /// The last drafts before version 1 (29 to 32), still met in old captures and old devices.
    Draft29,
    /// Drafts 23 to 28, and the version that Facebook's clients built on them.
    Draft27,
    /// Google's own version with TLS.
    T051,
}

impl QuicVersion {
    /// The version with this number on the wire.
    #[must_use]
    pub const fn from_wire(number: u32) -> Option<Self> {
        match number {
            0x0000_0001 => Some(Self::V1),
            0x6b33_43cf => Some(Self::V2),
            0xff00_001d..=0xff00_0020 => Some(Self::Draft29),
            0xff00_0017..=0xff00_001c | 0xface_b002 => Some(Self::Draft27),
            0x5430_3531 => Some(Self::T051),
            _ => None,
        }
    }

    /// The name that EVE and Wireshark users know.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
            Self::Draft29 => "draft-29",
            Self::Draft27 => "draft-27",
            Self::T051 => "T051",
        }
    }
}

/// Whether a datagram begins with an Initial packet of a version that we can open.
#[inline]
#[must_use]
pub fn recognise(datagram: &[u8]) -> bool {
    // Nearly all say no by their first bit: only packets of a handshake have a long header (RFC 8999 section 5.1).
    datagram.first().is_some_and(|first| first & packet::LONG_HEADER == packet::LONG_HEADER)
        && begins_with_initial(datagram)
}

#[cold]
fn begins_with_initial(datagram: &[u8]) -> bool {
    matches!(packet::Packets::new(datagram).next(), Some(packet::Packet::Initial(_)))
}

/// Whether a datagram looks like a client's first of a version that we cannot open.
#[must_use]
pub fn is_of_unknown_version(datagram: &[u8]) -> bool {
    packet::is_of_unknown_version(datagram)
}

/// The identifier of the connection that a datagram begins: that of its first packet, if this is a client's Initial under keys of its
/// own. Later Initials of a client carry an identifier that the server chose, under the keys of the first one.
#[must_use]
pub fn connection_begun(datagram: &[u8]) -> Option<ConnectionId> {
    let packet::Packet::Initial(initial) = packet::Packets::new(datagram).next()? else { return None };
    keys::ClientKeys::derive(initial.version, initial.dcid).open(&initial, &mut Vec::new())?;
    Some(ConnectionId::of(initial.dcid))
}

/// Tells connections between the same ports apart: the first bytes of the identifier that a client chose at random (RFC 9000
/// section 7.2 asks for 8 at least).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionId(u64);

impl ConnectionId {
    fn of(dcid: &[u8]) -> Self {
        Self(dcid.iter().take(8).fold(0, |id, &byte| id << 8 | u64::from(byte)))
    }
}

#[cfg(test)]
mod tests;
