//! DNS messages (RFC 1035, SVCB and HTTPS records of RFC 9460), over UDP or, length-prefixed, over TCP.

use super::DomainName;
use std::net::IpAddr;

/// What a DNS message says; reused from message to message, so that parsing allocates nothing once warm.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Transaction identifier.
    pub id: u16,
    /// Whether it is a response.
    pub is_response: bool,
    /// RD: the asker wants the whole work done. Resolvers' own queries upstream have it clear.
    pub recursion_desired: bool,
    /// RCODE, 4 bits.
    pub response_code: u8,
    /// TC: the answer did not fit.
    pub truncated: bool,
    /// First question: name and type. `None` for the root or when there is no question.
    pub question: Option<(DomainName, u16)>,
    /// Names of the answer section: owners, CNAME and SVCB targets, in order, each once, other than the question's.
    pub names: Vec<DomainName>,
    /// Addresses of the answer section that the question leads to: A, AAAA, and the hints of HTTPS and SVCB records.
    pub addresses: Vec<ResolvedAddress>,
}

/// One address out of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedAddress {
    /// The address.
    pub address: IpAddr,
    /// Seconds that the answer lives: the smallest time to live on the way from the question.
    pub ttl_s: u32,
}
