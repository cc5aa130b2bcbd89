//! The answer of a protocol's recogniser.

/// Whether bytes begin a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// They do.
    Yes,
    /// They cannot.
    No,
    /// Too few to tell.
    NeedMore,
}
