//! What a log keeps of hellos and certificates.

use super::record::{Ja3, Text, Tls};
use kaspector::inspect::DomainName;
use kaspector::inspect::tls::Ja4Transport;
use kaspector::matching::{CertificateFacts, HelloFacts, SignatureSet};
use std::borrow::Cow;

/// A client's hello in a record.
pub(crate) struct LoggedHello<'a> {
    sni: Option<DomainName>,
    ja3: Option<&'a Ja3<'a>>,
    ja4: Option<&'a str>,
    version: u16,
}

impl<'a> LoggedHello<'a> {
    /// `None` when the record holds nothing that a client said.
    pub fn new(
        sni: Option<&'a Text<'a>>,
        ja3: Option<&'a Ja3<'a>>,
        ja4: Option<&'a Text<'a>>,
        version: Option<&Text<'_>>,
    ) -> Option<Self> {
        if sni.is_none() && ja3.is_none() && ja4.is_none() {
            return None;
        }
        let sni = sni.and_then(|sni| DomainName::from_text(sni.as_str().as_bytes()));
        let version = version.map_or(0, |version| version_number(version.as_str()));
        Some(Self { sni, ja3, ja4: ja4.map(Text::as_str), version })
    }
}

impl HelloFacts for LoggedHello<'_> {
    fn sni(&self) -> Option<&DomainName> {
        self.sni.as_ref()
    }

    fn version(&self) -> u16 {
        self.version
    }

    fn may_match(&self, _: &SignatureSet) -> bool {
        // They are there already: looking them up costs no more than asking.
        true
    }

    fn ja4(&self, _: Ja4Transport) -> Option<Cow<'_, str>> {
        self.ja4.map(Cow::Borrowed)
    }

    fn ja3_hash(&self) -> Option<[u8; 16]> {
        let text = self.ja3?.hash.as_ref()?.as_str();
        let is_hash = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
    }

    fn ja3_string(&self) -> Cow<'_, str> {
        self.ja3.and_then(|ja3| ja3.string.as_ref()).map_or("", Text::as_str).into()
    }
}

/// The number of a version in Suricata's words; 0 when there was no hello of the server to choose one.
fn version_number(name: &str) -> u16 {
    match name {
        "SSLv2" => 0x0002,
        "SSLv3" => 0x0300,
        "TLSv1" => 0x0301,
        "TLS 1.1" => 0x0302,
        "TLS 1.2" => 0x0303,
        "TLS 1.3" => 0x0304,
        _ => 0,
    }
}

/// A server's certificate in a record.
pub(crate) struct LoggedCertificate<'a> {
    subject: &'a str,
    issuer: &'a str,
    alternatives: Option<&'a [Text<'a>]>,
}

impl<'a> LoggedCertificate<'a> {
    /// `None` when the record holds no certificate.
    pub fn new(tls: &'a Tls<'a>) -> Option<Self> {
        Some(Self {
            subject: tls.subject.as_ref()?.as_str(),
            issuer: tls.issuerdn.as_ref().map_or("", Text::as_str),
            alternatives: tls.subjectaltname.as_deref(),
        })
    }
}

impl CertificateFacts for LoggedCertificate<'_> {
    fn subject(&self) -> Cow<'_, str> {
        self.subject.into()
    }

    fn issuer(&self) -> Cow<'_, str> {
        self.issuer.into()
    }

    fn may_match(&self, signatures: &SignatureSet) -> bool {
        [self.subject, self.issuer].iter().any(|name| signatures.may_match_certificate_text(name))
    }

    fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let alternatives = self.alternatives.unwrap_or_default().iter().map(Text::as_str);
        common_names(self.subject).chain(alternatives).map(|name| name.to_ascii_lowercase().into())
    }

    fn names_all(&self) -> bool {
        self.alternatives.is_some()
    }
}

/// The common names of a name as Suricata spells it: `C=RU, O=AO Kaspersky Lab, CN=a + CN=b`.
pub(crate) fn common_names(name: &str) -> impl Iterator<Item = &str> {
    let attributes = name.split(", ").flat_map(|set| set.split(" + "));
    attributes.filter_map(|attribute| attribute.strip_prefix("CN="))
}
