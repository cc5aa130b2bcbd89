//! What a direction may speak, and what tells one protocol from another.

use crate::inspect::identity::{kerberos, smb, ssh};
use crate::inspect::recognition::Match;
use crate::inspect::{dns, ftp, http, lines, preamble, proxy_protocol, reputation, smtp, socks, syslog, tds, tls};

/// What a direction speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speech {
    /// Not known yet.
    #[default]
    Start,
    /// TLS, up to the hello or the certificate.
    Tls,
    /// HTTP/1 requests.
    Requests,
    /// DNS messages.
    Dns,
    /// A SOCKS client's negotiation.
    Socks,
    /// A mail client's commands and messages.
    Smtp,
    /// A file transfer client's commands.
    Ftp,
    /// Syslog messages.
    Syslog,
    /// The greeting of SSH.
    Ssh,
    /// SMB, as far as both sides prove who they are.
    Smb,
    /// A message of Kerberos.
    Kerberos,
    /// Lines of text.
    Lines,
    /// Frames of the reputation service's own protocol.
    Frames,
    /// What a proxy says before it passes a connection on.
    ProxyHeader,
    /// A message that may ask for TLS, or grant it.
    Preamble,
    /// TLS in packets of TDS.
    Tds,
    /// HTTP/1 responses: the beginning of one.
    Responses,
    /// The rest of a response, which we do not read: until there is another, or a tunnel changes what it is.
    Parked,
    /// Nothing more to learn.
    Done,
}

/// Says whether bytes begin a protocol.
pub type Recogniser = fn(&[u8]) -> Match;

/// In the order in which they are asked; the first that is sure decides, unless an earlier one needs more.
pub const RECOGNISERS: &[(Recogniser, Speech)] = &[
    (tls::recognise_client, Speech::Tls),
    (tls::recognise_server, Speech::Tls),
    (tls::recognise_protected, Speech::Done),
    (proxy_protocol::recognise, Speech::ProxyHeader),
    (http::recognise_request, Speech::Requests),
    (http::recognise_response, Speech::Responses),
    (dns::recognise_stream, Speech::Dns),
    (tds::recognise, Speech::Tds),
    (preamble::recognise, Speech::Preamble),
    (socks::recognise, Speech::Socks),
    (smtp::recognise, Speech::Smtp),
    (ftp::recognise, Speech::Ftp),
    (syslog::recognise, Speech::Syslog),
    (reputation::recognise, Speech::Frames),
    (smb::recognise, Speech::Smb),
    (kerberos::recognise_stream, Speech::Kerberos),
    (ssh::recognise, Speech::Ssh),
    (lines::recognise, Speech::Lines),
];
