//! Evidence: an observation that matched an indicator, with the field, the observed value, the time and the place.

use super::{Alternatives, Category, Confidence, ConnectionOutcome, IndicatorIndex, LinkAddress, Role, Verdict};
use crate::capture::Timestamp;
use crate::decode::{MacAddress, Tunnel, Zone};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How close an observation is to the endpoint itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SeenAs {
    /// The host talked to the endpoint, or asked a proxy to.
    Contact,
    /// The name was only asked for, or answered, in DNS.
    Lookup,
    /// An address range, a port, a fingerprint: never more than `suspected` by itself.
    Hint,
}

impl SeenAs {
    /// All of them, closest first.
    pub const ALL: [Self; Self::Hint as usize + 1] = [Self::Contact, Self::Lookup, Self::Hint];

    /// The closeness of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|seen_as| seen_as.name() == name)
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Lookup => "lookup",
            Self::Hint => "hint",
        }
    }
}

/// Where in the traffic the observed value stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Server name of a ClientHello.
    TlsSni,
    /// Server name of a ClientHello inside QUIC.
    QuicSni,
    /// Host header of an origin-form request.
    HttpHost,
    /// Authority of a CONNECT request.
    HttpConnect,
    /// Host of an absolute-form target.
    HttpTarget,
    /// Path of a request.
    HttpPath,
    /// User-Agent header.
    HttpUserAgent,
    /// Domain of a SOCKS request.
    SocksDomain,
    /// A name in the server's certificate.
    TlsCertificate,
    /// Address that this client's own DNS answer bound to a name.
    ResolvedAddress,
    /// Question of a DNS query.
    DnsQuery,
    /// A name in a DNS answer.
    DnsAnswer,
    /// Server address inside a published range.
    Address,
    /// JA3 fingerprint of a ClientHello.
    Ja3,
    /// JA4 fingerprint of a ClientHello.
    Ja4,
    /// Port of the server.
    ServerPort,
    /// Connections at a steady interval.
    Beacon,
    /// A call to connect back, and the connection.
    WakeUp,
    /// Resolvers asked one after the other.
    ResolverOrder,
    /// Name of a header field of a request.
    HttpHeader,
    /// First bytes of the body of a response.
    HttpBody,
    /// Near the beginning of the body of a request.
    HttpUpload,
    /// Path that an FTP client asked for.
    FtpPath,
    /// Header field of a mail message.
    MailHeader,
    /// Vendor and product, or structured data, of a syslog message that the host sends.
    SyslogOriginator,
    /// What a client or a server sent first, in no protocol that is known.
    FirstBytes,
    /// Frames of a protocol of the vendor's own.
    Protocol,
}

impl Field {
    /// All of them, in their order.
    pub const ALL: [Self; Self::Protocol as usize + 1] = [
        Self::TlsSni,
        Self::QuicSni,
        Self::HttpHost,
        Self::HttpConnect,
        Self::HttpTarget,
        Self::HttpPath,
        Self::HttpUserAgent,
        Self::SocksDomain,
        Self::TlsCertificate,
        Self::ResolvedAddress,
        Self::DnsQuery,
        Self::DnsAnswer,
        Self::Address,
        Self::Ja3,
        Self::Ja4,
        Self::ServerPort,
        Self::Beacon,
        Self::WakeUp,
        Self::ResolverOrder,
        Self::HttpHeader,
        Self::HttpBody,
        Self::HttpUpload,
        Self::FtpPath,
        Self::MailHeader,
        Self::SyslogOriginator,
        Self::FirstBytes,
        Self::Protocol,
    ];

    /// The field of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsSni => "tls.sni",
            Self::QuicSni => "quic.sni",
            Self::HttpHost => "http.host",
            Self::HttpConnect => "http.connect",
            Self::HttpTarget => "http.target",
            Self::HttpPath => "http.path",
            Self::HttpUserAgent => "http.user_agent",
            Self::SocksDomain => "socks.domain",
            Self::TlsCertificate => "tls.certificate",
            Self::ResolvedAddress => "dns.resolved_address",
            Self::DnsQuery => "dns.query",
            Self::DnsAnswer => "dns.answer",
            Self::Address => "ip.address",
            Self::Ja3 => "tls.ja3",
            Self::Ja4 => "tls.ja4",
            Self::ServerPort => "flow.server_port",
            Self::Beacon => "flow.beat",
            Self::WakeUp => "flow.wake_up",
            Self::ResolverOrder => "dns.resolver_order",
            Self::HttpHeader => "http.header",
            Self::HttpBody => "http.body",
            Self::HttpUpload => "http.upload",
            Self::FtpPath => "ftp.path",
            Self::MailHeader => "mail.header",
            Self::SyslogOriginator => "syslog.originator",
            Self::FirstBytes => "payload.first_bytes",
            Self::Protocol => "payload.protocol",
        }
    }
}

/// A machine: its address within its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKey {
    /// The address.
    pub address: IpAddr,
    /// The tenant.
    pub zone: Zone,
}

/// A flow as far as it was seen when the summary was taken.
#[derive(Clone, Copy, Debug)]
pub struct FlowSummary {
    /// Number of the flow's first packet: identifies the flow within its input.
    pub first_packet: u64,
    /// Time of the flow's first packet.
    pub started: Timestamp,
    /// The side that opened the flow.
    pub client: IpAddr,
    /// Its port.
    pub client_port: u16,
    /// The other side.
    pub server: IpAddr,
    /// Its port.
    pub server_port: u16,
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
    /// Tenant.
    pub zone: Zone,
    /// The client's link-layer address, as the capture point saw it.
    pub client_mac: Option<MacAddress>,
    /// Hop limit that was left in the packet at hand, if the client sent it.
    pub client_hop_limit: Option<u8>,
    /// The server's link-layer address, as the capture point saw it.
    pub server_mac: Option<MacAddress>,
    /// The tunnel its packets came in.
    pub tunnel: Option<Tunnel>,
    /// What was counted.
    pub counts: FlowCounts,
    /// How far it came.
    pub connection_outcome: ConnectionOutcome,
}

/// Packets and bytes of a flow, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounts {
    /// Packets from the client.
    pub packets_to_server: u64,
    /// Packets from the server.
    pub packets_to_client: u64,
    /// Wire bytes of frames from the client.
    pub bytes_to_server: u64,
    /// Wire bytes of frames from the server.
    pub bytes_to_client: u64,
}

/// The application record that stands beside an alert.
#[derive(Clone, Debug)]
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
        /// RCODE; `None` for a query.
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
        /// JA4.
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
        /// JA4.
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
#[derive(Clone, Debug)]
pub struct Alert {
    /// Time of the packet that showed it.
    pub at: Timestamp,
    /// Number of that packet.
    pub packet: u64,
    /// What matched.
    pub indicator: IndicatorIndex,
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
    /// The machine that it is about.
    #[must_use]
    pub const fn host(&self) -> HostKey {
        let Self { flow, host_is_server, .. } = self;
        HostKey { address: if *host_is_server { flow.server } else { flow.client }, zone: flow.zone }
    }
}

/// Where an analyst finds an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Index of the input, in the order given on the command line.
    pub input: u32,
    /// Packet number within it.
    pub packet: u64,
}

/// All evidence of one host with the same indicator, field, value and server. `I` names the indicator: by its index in the set in use, or
/// ([`StoredLine`](super::StoredLine)) by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceLine<I = IndicatorIndex> {
    /// What matched.
    pub indicator: I,
    /// How close.
    pub seen_as: SeenAs,
    /// How far it came; of several, what says most.
    pub connection_outcome: ConnectionOutcome,
    /// Where in the traffic.
    pub field: Field,
    /// The value.
    pub observed: Box<str>,
    /// How often.
    pub count: u64,
    /// First time.
    pub first_seen: Timestamp,
    /// Last time.
    pub last_seen: Timestamp,
    /// The flow's server.
    pub server: IpAddr,
    /// Its port.
    pub server_port: u16,
    /// Whether the host did this for somebody else (a resolver, a proxy).
    pub relayed: bool,
    /// What the host is to the traffic that showed it: never a relay, which only the whole of the evidence can tell.
    pub role: Role,
    /// The first packet that showed it.
    pub example: Position,
}

impl<I> EvidenceLine<I> {
    /// The same, with its indicator named otherwise.
    #[must_use]
    pub fn with_indicator<J>(self, indicator: J) -> EvidenceLine<J> {
        let Self {
            seen_as,
            connection_outcome,
            field,
            observed,
            count,
            first_seen,
            last_seen,
            server,
            server_port,
            ..
        } = self;
        let (relayed, role, example) = (self.relayed, self.role, self.example);
        EvidenceLine {
            indicator,
            seen_as,
            connection_outcome,
            field,
            observed,
            count,
            first_seen,
            last_seen,
            server,
            server_port,
            relayed,
            role,
            example,
        }
    }
}

/// What a host's evidence adds up to.
#[derive(Clone, Debug)]
pub struct HostFinding {
    /// The host.
    pub host: HostKey,
    /// Its own link-layer address, as the capture point saw it; the one seen last, if it had several.
    pub mac: Option<MacAddress>,
    /// The link-layer address of the router on the way to it; the one seen last, if there were several.
    pub next_hop_mac: Option<MacAddress>,
    /// All link-layer addresses that it was seen with, by the time at which they were seen first.
    pub macs: Vec<LinkAddress>,
    /// The strongest verdict that its evidence supports.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Confidence,
    /// What the host is to this traffic.
    pub role: Role,
    /// What a reader should know besides; it moves neither verdict nor confidence.
    pub notes: Vec<String>,
    /// Categories of its evidence.
    pub categories: BTreeSet<Category>,
    /// Products that its evidence names.
    pub products: Alternatives,
    /// Products of other vendors with the engine inside, that its evidence names.
    pub engine_in: Alternatives,
    /// First evidence.
    pub first_seen: Timestamp,
    /// Last evidence.
    pub last_seen: Timestamp,
    /// Flows with evidence.
    pub flows: u64,
    /// Wire bytes that the host sent in them.
    pub bytes_sent: u64,
    /// Wire bytes that it received in them.
    pub bytes_received: u64,
    /// Strongest first.
    pub evidence: Vec<EvidenceLine>,
}
