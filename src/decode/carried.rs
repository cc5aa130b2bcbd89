//! What lies behind an IP header, and what that header says of it.

use std::net::IpAddr;

/// What an IP header carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried<'a> {
    /// Number of the IP protocol registry.
    pub protocol: u8,
    pub src: IpAddr,
    pub dst: IpAddr,
    /// As far as captured, without link-layer padding.
    pub bytes: &'a [u8],
    /// Bytes that the header promises.
    pub promised: u32,
}
