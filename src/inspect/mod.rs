//! Reads facts from application bytes.
//!
//! In:    payload of one flow, in order.
//! Out:   [`Observation`]: what the bytes say, without opinion. [`Statement`]: who a machine is, in the words of whoever sent it.
//! Never: knows what we are looking for, or trusts a port number to name a protocol.

mod bound;
mod conversation;
mod datagram;
mod der;
pub mod dns;
mod domain_name;
pub mod ftp;
pub mod http;
pub mod identity;
pub mod lines;
mod observation;
pub mod preamble;
pub mod proxy_protocol;
pub mod quic;
mod reader;
mod recognition;
pub mod reputation;
pub mod smtp;
pub mod socks;
pub mod syslog;
pub mod tds;
pub mod tls;

pub use bound::{Bound, BoundCounters};
pub use conversation::Conversation;
pub use datagram::{DatagramProtocol, recognise_datagram};
pub use domain_name::DomainName;
pub use identity::{
    IdentityFact, IdentityProtocol, IdentitySource, Statement, Subject, cdp_addresses, lldp_addresses, read_cdp,
    read_identity, read_lldp, read_llmnr, read_mdns, read_ssh, read_user_agent, recognise_identity,
};
pub use observation::{
    AddedBy, Certificate, DistinguishedName, DnsMessage, Frames, FtpRequest, HttpRequest, HttpResponse, HttpTarget,
    MailHeader, Observation, ProxyKind, ProxyRequest, ResolvedAddress, SyslogOriginator, TlsClientHello,
};
pub use quic::InitialConversation;
pub use reader::Reader;
pub use recognition::Match;
