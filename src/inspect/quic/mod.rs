//! QUIC Initial packets (RFC 9000, 9001, 9369): opened with the keys that anyone on the path can derive.

mod aead;
mod conversation;
mod crypto_stream;
mod ghash;
mod google;
mod hkdf;
mod keys;
mod packet;

pub use conversation::InitialConversation;
pub use crypto_stream::CryptoStream;
pub use google::client_hello as google_client_hello;

/// A version whose Initial packets we can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuicVersion {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
    /// The last drafts before version 1 (33 and 34), which have its keys.
    Draft34,
    /// Drafts 29 to 32, still met in old captures and old devices.
    Draft29,
    /// Drafts 23 to 28, and the versions that Facebook's clients built on them.
    Draft27,
    /// Draft 22, the first with headers of today's form, and the version that Facebook's clients built on it.
    Draft22,
    /// Google's own versions with TLS.
    T050,
    /// The same.
    T051,
    /// Google's own versions before TLS, by the form of their headers: public ones, up to Q043.
    Q043,
    /// Long headers, in the clear: Q044 to Q046.
    Q046,
    /// Long headers, and keys that anyone can derive.
    Q050,
}

impl QuicVersion {
    /// The version with this number on the wire.
    #[must_use]
    pub const fn from_wire(number: u32) -> Option<Self> {
        match number {
            0x0000_0001 => Some(Self::V1),
            0x6b33_43cf => Some(Self::V2),
            0xff00_0021 | 0xff00_0022 => Some(Self::Draft34),
            0xff00_001d..=0xff00_0020 => Some(Self::Draft29),
            0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => Some(Self::Draft27),
            0xff00_0016 | 0xface_b001 => Some(Self::Draft22),
            0x5130_3530 => Some(Self::Q050),
            0x5430_3530 => Some(Self::T050),
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
            Self::Draft34 => "draft-34",
            Self::Draft29 => "draft-29",
            Self::Draft27 => "draft-27",
            Self::Draft22 => "draft-22",
            Self::T050 => "T050",
            Self::Q043 => "Q043",
            Self::Q046 => "Q046",
            Self::Q050 => "Q050",
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

/// The version of a datagram that looks like a client's first, if it is one that we cannot open.
#[must_use]
pub fn unknown_version(datagram: &[u8]) -> Option<u32> {
    packet::unknown_version(datagram)
}

/// The identifier of the connection that a datagram begins: that of its first packet, if this is a client's Initial under keys of its
/// own. Later Initials of a client carry an identifier that the server chose, under the keys of the first one.
#[must_use]
pub fn connection_begun(datagram: &[u8]) -> Option<ConnectionId> {
    let packet::Packet::Initial(initial) = packet::Packets::new(datagram).next()? else { return None };
    keys::ClientKeys::derive(initial.version, initial.dcid).open(&initial, &mut Vec::new())?;
    Some(ConnectionId::of(initial.dcid))
}

/// The connection identifiers at the beginning of a datagram that begins with an Initial: of whom it is for, and of its sender.
#[must_use]
pub fn ends(datagram: &[u8]) -> Option<(ConnectionId, ConnectionId)> {
    let packet::Packet::Initial(initial) = packet::Packets::new(datagram).next()? else { return None };
    Some((ConnectionId::of(initial.dcid), ConnectionId::of(initial.scid)))
}

/// A connection identifier in a word that tells two apart: of their first bytes, which are chosen at random (RFC 9000 section 7.2 asks
/// for 8 at least of the client's first). None is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionId(u32);

impl ConnectionId {
    fn of(identifier: &[u8]) -> Self {
        let first = identifier.iter().take(8).fold(1, |id: u64, &byte| id << 8 ^ u64::from(byte));
        // That of Fibonacci hashing. The default is that of no identifier, not even of an empty one.
        Self((first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 | 1)
    }
}

/// How the client of a connection calls its server. Anybody can read it, so who knows it need derive no keys to see that an Initial belongs
/// to a connection whose hello was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// At first; its keys come from this.
    pub begun: ConnectionId,
    /// As the server wants it, once an Initial of the server was seen.
    chosen: ConnectionId,
}

impl Connection {
    fn begun_by(initial: &packet::Initial<'_>) -> Self {
        Self { begun: ConnectionId::of(initial.dcid), chosen: ConnectionId::default() }
    }

    /// Whether an Initial from the client's or the server's side, between identifiers as [`ends`] gives them, belongs to this connection.
    /// A server answers; whoever begins another connection between the same ports is their client again.
    pub fn takes(&mut self, is_clients: bool, (dcid, scid): (ConnectionId, ConnectionId)) -> bool {
        if !is_clients {
            self.chosen = scid;
        }
        !is_clients || dcid == self.begun || dcid == self.chosen
    }
}

#[cfg(test)]
mod tests;
