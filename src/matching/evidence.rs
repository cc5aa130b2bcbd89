//! Evidence: an observation that matched an indicator, with the field, the observed value, the time and the place.

use super::{ConnectionOutcome, IndicatorIndex, Role, SignatureSet};
use crate::capture::Timestamp;
use crate::decode::Zone;
use serde::Serialize;
use std::hash::{Hash, Hasher};
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
#[non_exhaustive]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HostKey {
    /// The address.
    pub address: IpAddr,
    /// The tenant.
    pub zone: Zone,
}

/// In few words, since hosts are looked up by it all the time.
impl Hash for HostKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.address {
            IpAddr::V4(address) => state.write_u32(address.to_bits()),
            IpAddr::V6(address) => state.write_u128(address.to_bits()),
        }
        self.zone.hash(state);
    }
}

/// Where an analyst finds an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Index of the input, in the order given on the command line.
    pub input: u32,
    /// Packet number within it.
    pub packet: u64,
}

/// All evidence of one host with the same indicator, field, value and server.
///
/// `I` names the indicator: by its index in the set in use, or ([`HostFinding::with_ids`](super::HostFinding::with_ids)) by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EvidenceLine<I = IndicatorIndex> {
    /// What matched.
    pub indicator: I,
    /// How close it is to the endpoint: contact, lookup or hint.
    pub seen_as: SeenAs,
    /// How far the connections came; of several, what says most.
    pub connection_outcome: ConnectionOutcome,
    /// Where in the traffic the value was.
    pub field: Field,
    /// The value as it was seen, in text.
    pub observed: Box<str>,
    /// How often it was seen.
    pub count: u64,
    /// When it was seen first, by the capture clock.
    pub first_seen: Timestamp,
    /// When it was seen last.
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
    /// What was seen once, at `at`, in a flow to `server` with its port; nothing more is known of it.
    pub fn new(
        indicator: I,
        seen_as: SeenAs,
        field: Field,
        observed: impl Into<Box<str>>,
        server: (IpAddr, u16),
        at: Timestamp,
    ) -> Self {
        Self {
            indicator,
            seen_as,
            connection_outcome: ConnectionOutcome::Attempted,
            field,
            observed: observed.into(),
            count: 1,
            first_seen: at,
            last_seen: at,
            server: server.0,
            server_port: server.1,
            relayed: false,
            role: Role::Endpoint,
            example: Position { input: 0, packet: 1 },
        }
    }
}

impl EvidenceLine {
    /// The same, with its indicator by id.
    pub(super) fn with_ids<'s>(&self, signatures: &'s SignatureSet) -> EvidenceLine<&'s str> {
        let &Self { seen_as, connection_outcome, field, count, first_seen, last_seen, server, server_port, .. } = self;
        let &Self { relayed, role, example, .. } = self;
        EvidenceLine {
            indicator: &signatures.get(self.indicator).id,
            seen_as,
            connection_outcome,
            field,
            observed: self.observed.clone(),
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
