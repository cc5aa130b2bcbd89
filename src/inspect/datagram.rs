//! Which protocol a UDP datagram belongs to.

use super::identity::{IdentityProtocol, recognise_identity};
use super::{dns, quic, syslog};

/// Protocols over UDP that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramProtocol {
    /// DNS.
    Dns,
    /// An Initial packet of QUIC.
    QuicInitial,
    /// A client's hello of Google's QUIC before it had keys.
    GoogleQuic,
    /// A syslog message.
    Syslog,
    /// A protocol in which machines say who they are.
    Identity(IdentityProtocol),
    /// None of them.
    Unknown,
}

/// Says which protocol a datagram belongs to, by its bytes.
#[must_use]
pub fn recognise_datagram(datagram: &[u8]) -> DatagramProtocol {
    if quic::recognise(datagram) {
        DatagramProtocol::QuicInitial
    } else if dns::recognise(datagram) {
        DatagramProtocol::Dns
    } else if quic::google_client_hello(datagram).is_some() {
        DatagramProtocol::GoogleQuic
    } else if syslog::recognise_datagram(datagram) {
        DatagramProtocol::Syslog
    } else {
        recognise_identity(datagram).map_or(DatagramProtocol::Unknown, DatagramProtocol::Identity)
    }
}
