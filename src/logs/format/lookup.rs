//! A lookup in the log of a resolver: who asked for which name. The resolver's own address is not logged.

use crate::record::{Dns, Record, Text};
use kaspector::capture::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A query that a resolver logged.
pub struct Lookup<'a> {
    pub at: Timestamp,
    pub client: IpAddr,
    /// 0 where it is not logged.
    pub client_port: u16,
    /// The address that the query came to; the unspecified one where it is not logged.
    pub resolver: Option<IpAddr>,
    pub name: &'a str,
    /// Such as `AAAA`.
    pub record_type: &'a str,
    /// Whether the asker wanted the whole work done; a client does.
    pub recursion_desired: bool,
    pub over_tcp: bool,
    /// Such as `NOERROR`, of an answer.
    pub response_code: Option<&'a str>,
}

impl<'a> Lookup<'a> {
    pub fn record(&self) -> Record<'a> {
        let dns = |kind: &'static str| Dns {
            kind: Some(Text::from(kind)),
            rd: Some(self.recursion_desired),
            rrname: Some(Text::from(self.name)),
            rrtype: Some(Text::from(self.record_type)),
            ..Dns::default()
        };
        Record {
            at: Some(self.at),
            event_type: Text::from("dns"),
            src_ip: Some(self.client),
            src_port: Some(self.client_port),
            dest_ip: Some(self.resolver.unwrap_or_else(|| unspecified(self.client))),
            dest_port: Some(53),
            proto: Some(Text::from(if self.over_tcp { "TCP" } else { "UDP" })),
            dns: Some(match self.response_code {
                None => dns("query"),
                Some(code) => Dns { rcode: Some(Text::from(code)), ..dns("answer") },
            }),
            ..Record::default()
        }
    }
}

/// Stands for an address that is not logged, of the same family as its peer's.
pub fn unspecified(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
