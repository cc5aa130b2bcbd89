//! TLS handshake messages in the clear: the ClientHello, and up to TLS 1.2 the server's certificate.

use super::DomainName;

/// A ClientHello (RFC 8446 section 4.1.2), borrowed from the handshake bytes.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// `legacy_version` of the hello.
    pub legacy_version: u16,
    /// Server name (RFC 6066 section 3), if there is one and it is a name.
    pub sni: Option<DomainName>,
    /// Whether an encrypted_client_hello extension is there (0xfe0d), so that `sni` is only the outer name.
    pub ech: bool,
    /// The handshake body, for the parts that only few callers want.
    pub body: &'a [u8],
}

/// The server's own certificate: the first of its Certificate message.
#[derive(Clone, Debug, Default)]
pub struct Certificate {
    /// Subject in RFC 4514 style: `CN=..., O=...`.
    pub subject: String,
    /// Issuer, the same.
    pub issuer: String,
    /// Common name of the subject and DNS names of the subjectAltName extension, lower case; wildcards as `*.example`.
    pub names: Vec<String>,
}
