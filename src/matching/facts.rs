//! The facts that matching asks of a hello and of a certificate, whether their bytes were read or the log of another program names them.
//!
//! Both readers meet the same rules; a caller's kind is known when this is compiled, so bytes pay nothing for logs.

use super::SignatureSet;
use crate::inspect::tls::Ja4Transport;
use crate::inspect::{Certificate, DomainName, TlsClientHello};
use std::borrow::Cow;

/// A ClientHello.
pub trait HelloFacts {
    /// The server name, if there is one.
    fn sni(&self) -> Option<&DomainName>;
    /// Highest version that the client offered, 0x0304 for TLS 1.3; of a log what the server chose, if it says; 0 when neither is known.
    fn version(&self) -> u16;
    /// Whether a fingerprint of it may match; tells so for less than the fingerprints cost.
    fn may_match(&self, signatures: &SignatureSet) -> bool;
    /// JA4, if it can be known.
    fn ja4(&self, transport: Ja4Transport) -> Option<Cow<'_, str>>;
    /// JA3, if it can be known.
    fn ja3_hash(&self) -> Option<[u8; 16]>;
    /// What JA3 is the hash of; empty when that is not known.
    fn ja3_string(&self) -> Cow<'_, str>;
}

/// A server's certificate.
pub trait CertificateFacts {
    /// Whom it is for: `O=Example Ltd, CN=www.example`.
    fn subject(&self) -> Cow<'_, str>;
    /// Who issued it.
    fn issuer(&self) -> Cow<'_, str>;
    /// Whether its subject or its issuer may match; tells so for less than spelling them costs.
    fn may_match(&self, signatures: &SignatureSet) -> bool;
    /// Names of hosts in it, lower case; wildcards as `*.example`. The same name may come more than once.
    fn names(&self) -> impl Iterator<Item = Cow<'_, str>>;
    /// Whether these are all names in it: one of a content network names many customers, and one of them alone proves little.
    fn names_all(&self) -> bool;
}

impl HelloFacts for TlsClientHello<'_> {
    fn sni(&self) -> Option<&DomainName> {
        self.sni.as_ref()
    }

    fn version(&self) -> u16 {
        self.version()
    }

    fn may_match(&self, signatures: &SignatureSet) -> bool {
        signatures.may_match_fingerprint(self.version())
    }

    fn ja4(&self, transport: Ja4Transport) -> Option<Cow<'_, str>> {
        Some(self.ja4(transport).to_string().into())
    }

    fn ja3_hash(&self) -> Option<[u8; 16]> {
        Some(self.ja3_hash())
    }

    fn ja3_string(&self) -> Cow<'_, str> {
        let mut text = String::new();
        self.ja3_string(&mut text);
        text.into()
    }
}

impl CertificateFacts for Certificate<'_> {
    fn subject(&self) -> Cow<'_, str> {
        self.subject.to_string().into()
    }

    fn issuer(&self) -> Cow<'_, str> {
        self.issuer.to_string().into()
    }

    fn may_match(&self, signatures: &SignatureSet) -> bool {
        signatures.may_match_certificate(self)
    }

    fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.names()
    }

    fn names_all(&self) -> bool {
        true
    }
}
