//! What leaves this room: what bytes say, without opinion.

use super::{Bound, DomainName, Statement, dns, quic::QuicVersion, tls};
use std::net::IpAddr;

pub use super::ftp::Request as FtpRequest;
pub use super::reputation::Frames;
pub use super::smtp::{AddedBy, MailHeader};
pub use super::syslog::Originator as SyslogOriginator;
pub use dns::{Message as DnsMessage, ResolvedAddress};
pub use tls::{Certificate, ClientHello as TlsClientHello, DistinguishedName};

/// One fact read from the payload of a flow.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Observation<'a> {
    /// A DNS query or response.
    Dns(&'a DnsMessage),
    /// A ClientHello over TCP.
    TlsClientHello(&'a TlsClientHello<'a>),
    /// The server's own certificate, visible up to TLS 1.2.
    TlsCertificate(&'a Certificate<'a>),
    /// A ClientHello inside QUIC Initial packets.
    QuicClientHello {
        /// Version of the long header.
        version: QuicVersion,
        /// The hello.
        hello: &'a TlsClientHello<'a>,
    },
    /// One HTTP/1 request head.
    HttpRequest(&'a HttpRequest<'a>),
    /// A piece of the beginning of an HTTP/1 request's body, as it came.
    HttpUpload(&'a [u8]),
    /// How an HTTP/1 response begins.
    HttpResponse(&'a HttpResponse<'a>),
    /// A path that an FTP client asked for.
    FtpRequest(&'a FtpRequest<'a>),
    /// The header of a mail message that a client hands over by SMTP.
    MailHeader(&'a MailHeader<'a>),
    /// Who wrote a syslog message that a client sends to a collector.
    SyslogOriginator(&'a SyslogOriginator<'a>),
    /// What one end says of a machine, in a protocol that is there for it. Its sender is the client, its receiver the server.
    Statement(&'a Statement<'a>),
    /// How one end of an SSH connection presents itself. Nothing tells which side is the client.
    SshGreeting(&'a [u8]),
    /// A flow begins in no protocol that we know: its first bytes, at most sixteen. Nothing tells which side is the client.
    UnknownStart(&'a [u8]),
    /// Frames of the reputation service's own protocol, each as long as it says.
    ReputationFrames(Frames),
    /// A client asked a proxy to connect it elsewhere. For HTTP it comes beside the [`Self::HttpRequest`].
    ProxyRequest(&'a ProxyRequest<'a>),
    /// A proxy says for whom it passes the connection on, at its beginning (PROXY protocol).
    PassedOnFor(IpAddr),
    /// Nothing: a bound was met, and what lies beyond was not read.
    BoundReached(Bound),
}

/// The fields of an HTTP/1 request head that we keep. Byte strings are as on the wire, bounded by the head's own bound.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// `GET`, `CONNECT` and so on.
    pub method: &'a [u8],
    /// Which form the request target has.
    pub target_form: HttpTarget,
    /// The name that the request is for: of the absolute target or the CONNECT authority when there is one (RFC 9112
    /// section 3.2.2), else of the Host header. `None` when it is missing or an address.
    pub host: Option<DomainName>,
    /// The address that the request is for, when it is no name.
    pub host_address: Option<IpAddr>,
    /// The port that followed the name or address; `None` if none did, which means that of the scheme.
    pub port: Option<u16>,
    /// Path and query; empty for CONNECT.
    pub path: &'a [u8],
    /// Value of the User-Agent header.
    pub user_agent: Option<&'a [u8]>,
    /// `HTTP/1.1` or `HTTP/1.0`: the minor version.
    pub minor_version: u8,
    /// Whether the name of a header field begins with `X-`: somebody made one up (RFC 6648).
    pub has_own_fields: bool,
    /// The head as far as it was kept: the request line, and the header fields.
    pub head: &'a [u8],
}

/// How an HTTP/1 response begins.
#[derive(Clone, Copy, Debug)]
pub struct HttpResponse<'a> {
    /// Status code.
    pub status: u16,
    /// The first bytes of the body, after chunks and compression; empty when there is none, or when it was not read.
    pub body: &'a [u8],
    /// The first bytes of the head of the request that it answers; empty when that is not known.
    pub request_head: &'a [u8],
}

/// Forms of a request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpTarget {
    /// `/path`.
    Origin,
    /// `http://host/path`: the receiver is a proxy.
    Absolute,
    /// `host:port` of CONNECT: the receiver is a proxy.
    Authority,
    /// `*` of OPTIONS.
    Asterisk,
}

/// How a proxy was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyKind {
    /// CONNECT.
    HttpConnect,
    /// Absolute-form target.
    HttpAbsolute,
    /// SOCKS4 or 4a.
    Socks4,
    /// SOCKS5 (RFC 1928).
    Socks5,
}

/// A client asked a proxy for a destination.
#[derive(Clone, Copy, Debug)]
pub struct ProxyRequest<'a> {
    /// How.
    pub kind: ProxyKind,
    /// The name asked for; `None` when it was an address.
    pub name: Option<&'a DomainName>,
    /// The address asked for, when it was no name.
    pub address: Option<IpAddr>,
    /// The port asked for.
    pub port: u16,
}
