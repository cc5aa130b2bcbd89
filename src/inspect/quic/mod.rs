//! QUIC Initial packets (RFC 9000, 9001, 9369): opened with the keys that anyone on the path can derive.

/// A version whose Initial packets we can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuicVersion {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
}
