//! One observable with an id, and what it stands for.

use super::signature_set::{certificate_attributes, expand_template};
use serde::Serialize;

/// Which service of the vendor an indicator belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Category {
    /// Database and module updates.
    Update,
    /// Statistics, dumps, detection telemetry.
    Telemetry,
    /// Lookups in the reputation cloud (KSN).
    Reputation,
    /// Licence activation and renewal.
    Activation,
    /// The user's account and what is connected to it.
    Account,
    /// Consoles that the vendor hosts, and the agents that they manage.
    CloudConsole,
    /// Installers and rescue media.
    Download,
    /// Revocation lists and status of the vendor's own certificates.
    Pki,
    /// Notifications, trusted time, reachability.
    Messaging,
    /// The product inside the host's web traffic: injected scripts and interception of TLS.
    InPageScript,
    /// Password manager.
    PasswordManager,
    /// Mobile apps.
    Mobile,
    /// The engine inside another vendor's product.
    Oem,
    /// Web sites, shops, blogs.
    WebBrowse,
    /// Mail gateways, and the vendor's own corporate hosts.
    Mail,
    /// Threat intelligence portals.
    ThreatIntel,
    /// Traffic with a server of the vendor's make inside the network: KSC, Network Agent, KSN proxy, scan engine.
    Management,
}

impl Category {
    /// All of them, in their order.
    pub const ALL: [Self; 17] = [
        Self::Update,
        Self::Telemetry,
        Self::Reputation,
        Self::Activation,
        Self::Account,
        Self::CloudConsole,
        Self::Download,
        Self::Pki,
        Self::Messaging,
        Self::InPageScript,
        Self::PasswordManager,
        Self::Mobile,
        Self::Oem,
        Self::WebBrowse,
        Self::Mail,
        Self::ThreatIntel,
        Self::Management,
    ];

    /// The name used in JSON and in signature files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Telemetry => "telemetry",
            Self::Reputation => "reputation",
            Self::Activation => "activation",
            Self::Account => "account",
            Self::CloudConsole => "cloud-console",
            Self::Download => "download",
            Self::Pki => "pki",
            Self::Messaging => "messaging",
            Self::InPageScript => "in-page-script",
            Self::PasswordManager => "password-manager",
            Self::Mobile => "mobile",
            Self::Oem => "oem",
            Self::WebBrowse => "web-browse",
            Self::Mail => "mail",
            Self::ThreatIntel => "threat-intel",
            Self::Management => "management",
        }
    }

    /// The category of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }

    /// A number below 17 that it never loses, for the numbers of rules and alerts. Written out rather than counted, so that none in use
    /// changes when a category is added or moved.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Update => 0,
            Self::Telemetry => 1,
            Self::Reputation => 2,
            Self::Activation => 3,
            Self::Account => 4,
            Self::CloudConsole => 5,
            Self::Download => 6,
            Self::Pki => 7,
            Self::Messaging => 8,
            Self::InPageScript => 9,
            Self::PasswordManager => 10,
            Self::Mobile => 11,
            Self::Oem => 12,
            Self::WebBrowse => 13,
            Self::Mail => 14,
            Self::ThreatIntel => 15,
            Self::Management => 16,
        }
    }

    /// The three letters that stand for it in an indicator's id.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Update => "UPD",
            Self::Telemetry => "TEL",
            Self::Reputation => "REP",
            Self::Activation => "ACT",
            Self::Account => "ACC",
            Self::CloudConsole => "CON",
            Self::Download => "DLD",
            Self::Pki => "PKI",
            Self::Messaging => "MSG",
            Self::InPageScript => "SCR",
            Self::PasswordManager => "PWM",
            Self::Mobile => "MOB",
            Self::Oem => "OEM",
            Self::WebBrowse => "WEB",
            Self::Mail => "MAI",
            Self::ThreatIntel => "TIP",
            Self::Management => "MGT",
        }
    }
}

/// What an indicator proves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strength {
    /// Only the product or an embedded engine does this.
    Installed,
    /// Product, browser, administrator or a third-party page may all do this.
    Ambiguous,
    /// A person or an unrelated web page; not evidence of a product.
    Browse,
}

impl Strength {
    /// All of them, strongest first.
    pub const ALL: [Self; 3] = [Self::Installed, Self::Ambiguous, Self::Browse];

    /// The name used in JSON and in signature files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Ambiguous => "ambiguous",
            Self::Browse => "browse",
        }
    }

    /// The strength of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strength| strength.name() == name)
    }
}

/// What an indicator's value is compared with, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MatchKind {
    /// A domain name.
    Exact,
    /// Domain names of one form: `s{00-19}.upd.kaspersky.com`, `ksn*.kaspersky-labs.com`.
    Template,
    /// A domain name and everything below it.
    Suffix,
    /// An address, or a range of addresses.
    Address,
    /// The path of a request is this, or begins with it.
    PathPrefix,
    /// The path of a request ends with this.
    PathSuffix,
    /// This stands somewhere in the path of a request.
    PathContains,
    /// A regular expression over the path of a request, beside a literal that stands in it.
    PathRegex,
    /// The User-Agent begins with this.
    UserAgentPrefix,
    /// A regular expression over the User-Agent, beside a literal that stands in it.
    UserAgentRegex,
    /// JA3 of a ClientHello.
    Ja3,
    /// JA4 of a ClientHello.
    Ja4,
    /// Attributes of a server certificate's subject.
    CertificateSubject,
    /// Attributes of a server certificate's issuer.
    CertificateIssuer,
    /// A port of a server.
    Port,
    /// Connections to a port at a steady interval.
    Beacon,
    /// A datagram to a port, then a connection back.
    WakeUp,
    /// Ports whose server signs its certificate itself.
    SelfSigned,
    /// Resolvers that are asked one after the other.
    ResolverOrder,
    /// The name of a header field of an HTTP request.
    HttpHeader,
    /// The body of an HTTP response begins with this.
    BodyPrefix,
    /// This stands near the beginning of the body of an HTTP request.
    UploadContains,
    /// What a client or a server sends first begins with these bytes, at the ports given beside them.
    StreamPrefix,
    /// A header field of a mail message begins with this.
    MailHeader,
    /// Vendor and product, or the structured data, of a syslog message.
    Syslog,
    /// A flow speaks a protocol of the vendor's own.
    Protocol,
    /// Bytes of a payload; listed only.
    Payload,
    /// A mark of the ICAP protocol; listed only.
    Icap,
    /// The form of a ClientHello, in words; listed only.
    TlsFeatures,
    /// A habit of asking for names; listed only.
    DnsBehaviour,
    /// A habit in time or order; listed only.
    Behaviour,
}

impl MatchKind {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Exact,
        Self::Template,
        Self::Suffix,
        Self::Address,
        Self::PathPrefix,
        Self::PathSuffix,
        Self::PathContains,
        Self::PathRegex,
        Self::UserAgentPrefix,
        Self::UserAgentRegex,
        Self::Ja3,
        Self::Ja4,
        Self::CertificateSubject,
        Self::CertificateIssuer,
        Self::Port,
        Self::Beacon,
        Self::WakeUp,
        Self::SelfSigned,
        Self::ResolverOrder,
        Self::HttpHeader,
        Self::BodyPrefix,
        Self::UploadContains,
        Self::StreamPrefix,
        Self::MailHeader,
        Self::Syslog,
        Self::Protocol,
        Self::Payload,
        Self::Icap,
        Self::TlsFeatures,
        Self::DnsBehaviour,
        Self::Behaviour,
    ];

    /// The name used in signature files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Template => "template",
            Self::Suffix => "suffix",
            Self::Address => "address",
            Self::PathPrefix => "path-prefix",
            Self::PathSuffix => "path-suffix",
            Self::PathContains => "path-contains",
            Self::PathRegex => "path-regex",
            Self::UserAgentPrefix => "user-agent-prefix",
            Self::UserAgentRegex => "user-agent-regex",
            Self::Ja3 => "ja3",
            Self::Ja4 => "ja4",
            Self::CertificateSubject => "certificate-subject",
            Self::CertificateIssuer => "certificate-issuer",
            Self::Port => "port",
            Self::Beacon => "beat",
            Self::WakeUp => "wake-up",
            Self::SelfSigned => "self-signed",
            Self::ResolverOrder => "resolver-order",
            Self::HttpHeader => "http-header",
            Self::BodyPrefix => "body-prefix",
            Self::UploadContains => "upload-contains",
            Self::StreamPrefix => "stream-prefix",
            Self::MailHeader => "mail-header",
            Self::Syslog => "syslog",
            Self::Protocol => "protocol",
            Self::Payload => "payload",
            Self::Icap => "icap",
            Self::TlsFeatures => "tls-features",
            Self::DnsBehaviour => "dns-behaviour",
            Self::Behaviour => "behaviour",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether traffic is held against indicators of this kind; the others are knowledge to read.
    #[must_use]
    pub const fn is_matched(self) -> bool {
        !matches!(self, Self::Payload | Self::Icap | Self::TlsFeatures | Self::DnsBehaviour | Self::Behaviour)
    }
}

/// Position of an indicator in its [`SignatureSet`](super::SignatureSet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct IndicatorIndex(pub u32);

/// One observable with an id, a value, a category, a strength, products, a source and a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Indicator {
    /// Stable identifier: `KL-UPD-0001`.
    pub id: String,
    /// What the value is compared with.
    pub kind: MatchKind,
    /// What is looked for, as the file has it.
    pub value: String,
    /// For the regular expressions: text that stands in everything they match, looked for first.
    pub literal: Option<String>,
    /// For the regular expressions: further ones that must match, too.
    pub also: Vec<String>,
    /// For JA3: the highest TLS version of the hello that was hashed, 0x0303 for TLS 1.2. The hash does not show it.
    pub tls_version: Option<u16>,
    /// For what a stream begins with: the ports at which it means something, as `tcp/443`.
    pub ports: Vec<String>,
    /// Service.
    pub category: Category,
    /// What it proves.
    pub strength: Strength,
    /// Who contacts it: one of these.
    pub products: Vec<String>,
    /// Products of other vendors, with the engine inside, that contact it: one of these.
    pub engine_in: Vec<String>,
    /// Years that the sources speak of.
    pub era: String,
    /// Where the fact comes from; never empty.
    pub sources: Vec<String>,
    /// The day on which the sources were checked, or the value observed: `2026-11-23`.
    pub date: String,
    /// Detail; may be empty.
    pub note: String,
    /// Revision of the indicator.
    pub rev: u32,
}

impl Indicator {
    /// The domain names that an exact name, a suffix or a template stands for, written out; a `*` may be left in those of a template. None
    /// for other kinds.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self.kind {
            MatchKind::Exact | MatchKind::Suffix => vec![self.value.clone()],
            MatchKind::Template => expand_template(&self.value).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The attributes that the name of a certificate must have, such as `O=AO Kaspersky Lab`. None for other kinds.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        let is_name = matches!(self.kind, MatchKind::CertificateSubject | MatchKind::CertificateIssuer);
        certificate_attributes(if is_name { &self.value } else { "" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_lead_back() {
        for category in Category::ALL {
            assert_eq!(Category::from_name(category.name()), Some(category));
        }
        for strength in Strength::ALL {
            assert_eq!(Strength::from_name(strength.name()), Some(strength));
        }
        for kind in MatchKind::ALL {
            assert_eq!(MatchKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Category::ALL.map(Category::code).into_iter().collect::<BTreeSet<_>>().len(), Category::ALL.len());
    }
}
