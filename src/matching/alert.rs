//! An alert: evidence at the moment it was first seen, with the flow and the application record beside it.

use super::{ConnectionOutcome, Field, HostKey, IndicatorIndex, SeenAs, SignatureSet};
use crate::capture::Timestamp;
use crate::decode::{FiveTuple, MacAddress, Tunnel, Zone};
use crate::flow::FlowKey;
use serde::Serialize;
use std::net::IpAddr;

/// A flow as far as it was seen when the summary was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FlowSummary {
    /// Number of the flow's first packet: identifies the flow within its input.
    pub first_packet: u64,
    /// Time of the flow's first packet.
    pub started: Timestamp,
    /// The side that opened the flow.
    pub client: IpAddr,
    /// Its UDP or TCP port.
    pub client_port: u16,
    /// The other side.
    pub server: IpAddr,
    /// Its UDP or TCP port.
    pub server_port: u16,
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
    /// Tenant: VLAN tags and virtual network.
    pub zone: Zone,
    /// The client's link-layer address, as the capture point saw it.
    pub client_mac: Option<MacAddress>,
    /// Hop limit (IPv6) or time to live (IPv4) that was left in the packet at hand, if the client sent it.
    pub client_hop_limit: Option<u8>,
    /// The server's link-layer address, as the capture point saw it.
    pub server_mac: Option<MacAddress>,
    /// The tunnel its packets came in.
    pub tunnel: Option<Tunnel>,
    /// Packets and bytes up to then, by direction.
    pub counts: FlowCounts,
    /// How far it came.
    pub connection_outcome: ConnectionOutcome,
}

impl FlowSummary {
    /// What the flow is known by.
    #[must_use]
    pub fn key(&self) -> FlowKey {
        let tuple = FiveTuple {
            src: self.client,
            dst: self.server,
            src_port: self.client_port,
            dst_port: self.server_port,
            protocol: self.protocol,
        };
        FlowKey::of(&tuple, &self.zone).0
    }

    /// A flow between two addresses with their ports, of which nothing else is known: it began with packet 1 at the epoch, and nothing
    /// was counted. `protocol`: 6 or 17.
    #[must_use]
    pub const fn new(client: (IpAddr, u16), server: (IpAddr, u16), protocol: u8) -> Self {
        Self {
            first_packet: 1,
            started: Timestamp(0),
            client: client.0,
            client_port: client.1,
            server: server.0,
            server_port: server.1,
            protocol,
            zone: Zone { vlan: None, inner_vlan: None, vni: None },
            client_mac: None,
            client_hop_limit: None,
            server_mac: None,
            tunnel: None,
            counts: FlowCounts { packets_to_server: 0, packets_to_client: 0, bytes_to_server: 0, bytes_to_client: 0 },
            connection_outcome: ConnectionOutcome::Attempted,
        }
    }
}

/// Packets and bytes of a flow, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlowCounts {
    /// Packets from the client.
    pub packets_to_server: u64,
    /// Packets from the server.
    pub packets_to_client: u64,
    /// Bytes of the frames from the client as they were on the wire, headers and what the snap length cut off included.
    pub bytes_to_server: u64,
    /// The same of the frames from the server.
    pub bytes_to_client: u64,
}

/// The application record that stands beside an alert. Serialized, the key `protocol` says which it is: `"tls"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "protocol", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Application {
    /// Nothing was read from the payload: an address alone matched.
    Unknown,
    /// DNS.
    Dns {
        /// Transaction identifier.
        id: u16,
        /// Name asked for.
        name: Box<str>,
        /// Type asked for, a number of the DNS parameters registry.
        record_type: u16,
        /// RCODE (RFC 1035 section 4.1.1), 0 to 15; `None` for a query.
        response_code: Option<u8>,
    },
    /// TLS.
    Tls {
        /// Server name.
        sni: Option<Box<str>>,
        /// Highest version that the client offered: 0x0304 for TLS 1.3.
        version: u16,
        /// JA3 string, before hashing.
        ja3: Box<str>,
        /// JA3 hash in hexadecimal.
        ja3_hash: Box<str>,
        /// JA4, as its authors write it: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
        ja4: Box<str>,
        /// Subject of the server's certificate, where visible.
        subject: Option<Box<str>>,
        /// Its issuer.
        issuer: Option<Box<str>>,
    },
    /// QUIC.
    Quic {
        /// `1`, `2`, or the name of a draft.
        version: &'static str,
        /// Server name.
        sni: Option<Box<str>>,
        /// JA4, as its authors write it: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
        ja4: Box<str>,
    },
    /// HTTP.
    Http {
        /// Method.
        method: Box<str>,
        /// Host, without port.
        host: Option<Box<str>>,
        /// Port that stood behind the host.
        port: Option<u16>,
        /// Path and query, or the authority of CONNECT.
        url: Box<str>,
        /// User-Agent.
        user_agent: Option<Box<str>>,
        /// Minor version of HTTP/1.
        minor_version: u8,
    },
    /// SOCKS; EVE has no record for it.
    Socks,
}

/// Evidence at the moment it was first seen: one per host, indicator, field and flow.
///
/// `I` names the indicator: by its index in the set in use, or ([`Self::with_ids`]) by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Alert<I = IndicatorIndex> {
    /// Time of the packet that showed it.
    pub at: Timestamp,
    /// Number of that packet.
    pub packet: u64,
    /// What matched.
    pub indicator: I,
    /// How close.
    pub seen_as: SeenAs,
    /// How far it came until then.
    pub connection_outcome: ConnectionOutcome,
    /// Where in the traffic.
    pub field: Field,
    /// The value; at most 255 bytes of text.
    pub observed: Box<str>,
    /// Whether the host is the flow's server (a KSC, a mirror) rather than its client.
    pub host_is_server: bool,
    /// Whether the host shows by itself that it asks for others: a query without recursion desired.
    pub on_behalf: bool,
    /// Whether the host asked the flow's server to act for it: a resolver to resolve, a proxy to connect.
    pub asks_server: bool,
    /// The flow up to and including that packet.
    pub flow: FlowSummary,
    /// Its application record.
    pub application: Application,
}

impl Alert {
    /// Evidence of the client of `flow`, shown by the flow's first packet; nothing more is known of it.
    pub fn new(
        indicator: IndicatorIndex,
        seen_as: SeenAs,
        field: Field,
        observed: impl Into<Box<str>>,
        flow: FlowSummary,
    ) -> Self {
        Self {
            at: flow.started,
            packet: flow.first_packet,
            indicator,
            seen_as,
            connection_outcome: flow.connection_outcome,
            field,
            observed: observed.into(),
            host_is_server: false,
            on_behalf: false,
            asks_server: false,
            flow,
            application: Application::Unknown,
        }
    }

    /// The same, with its indicator by id (`KL-UPD-0001`), which means something outside of this process, too.
    ///
    /// # Panics
    /// When it was found with another set than `signatures` or one that it succeeds.
    #[must_use]
    pub fn with_ids<'s>(&self, signatures: &'s SignatureSet) -> Alert<&'s str> {
        let &Self { at, packet, indicator, seen_as, connection_outcome, field, flow, .. } = self;
        let &Self { host_is_server, on_behalf, asks_server, .. } = self;
        Alert {
            at,
            packet,
            indicator: &signatures.get(indicator).id,
            seen_as,
            connection_outcome,
            field,
            observed: self.observed.clone(),
            host_is_server,
            on_behalf,
            asks_server,
            flow,
            application: self.application.clone(),
        }
    }
}

impl<I> Alert<I> {
    /// The machine that it is about.
    #[must_use]
    pub const fn host(&self) -> HostKey {
        let Self { flow, host_is_server, .. } = self;
        HostKey { address: if *host_is_server { flow.server } else { flow.client }, zone: flow.zone }
    }
}
