//! Reads facts from application bytes.
//!
//! In:    payload of one flow, in order.
//! Out:   [`Observation`]: what the bytes say, without opinion.
//! Never: knows what we are looking for, or trusts a port number to name a protocol.

pub mod dns;
mod domain_name;
pub mod http;
mod observation;
pub mod quic;
mod reader;
pub mod socks;
pub mod starttls;
pub mod tls;

pub use domain_name::DomainName;
pub use observation::{
    Certificate, DnsMessage, HttpRequest, HttpTarget, Observation, ProxyKind, ProxyRequest, ResolvedAddress,
    TlsClientHello,
};
pub use reader::Reader;
