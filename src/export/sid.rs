//! Numbers of rules: one for a service, a strength and the place where something is seen, never for a name.
//!
//! 1,990,000 to 1,990,999 are Kaspector's: consoles derive links to other vendors' pages from numbers outside 1,000,000 to 1,999,999. The
//! first 680 are those of its alerts, 40 for each service; rules that say the same as an alert have its number and text.

use crate::selection::Group;
use kaspector::matching::Strength;

const FIRST: u32 = 1_990_000;
const PER_CATEGORY: u32 = 40;
/// Where rules of strength `ambiguous` begin, and how many each service has.
const AMBIGUOUS: u32 = FIRST + 680;
const AMBIGUOUS_PER_CATEGORY: u32 = 18;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// Question of a DNS query.
    Dns,
    /// Server name of TLS.
    Tls,
    /// Server name of QUIC.
    Quic,
    /// Host of a request.
    Http,
    /// As the four before, for forms that stand for many names.
    DnsBelow,
    /// See [`Self::DnsBelow`].
    TlsBelow,
    /// See [`Self::DnsBelow`].
    QuicBelow,
    /// See [`Self::DnsBelow`].
    HttpBelow,
    /// User agent.
    UserAgent,
    /// Subject or issuer of the server's certificate.
    Certificate,
    /// Address of the server.
    Address,
    /// JA3.
    Ja3,
    /// JA4.
    Ja4,
    /// Path of a request. Of strength `installed` alone, as all that follow.
    Path,
    /// Name of a header field.
    Header,
    /// Beginning of a body.
    Body,
}

impl Seen {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 16] = [
        Self::Dns,
        Self::Tls,
        Self::Quic,
        Self::Http,
        Self::DnsBelow,
        Self::TlsBelow,
        Self::QuicBelow,
        Self::HttpBelow,
        Self::UserAgent,
        Self::Certificate,
        Self::Address,
        Self::Ja3,
        Self::Ja4,
        Self::Path,
        Self::Header,
        Self::Body,
    ];

    /// What is seen, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Dns => "DNS query",
            Self::Tls => "TLS server name",
            Self::Quic => "QUIC server name",
            Self::Http => "HTTP host",
            Self::DnsBelow => "DNS query below a zone",
            Self::TlsBelow => "TLS server name below a zone",
            Self::QuicBelow => "QUIC server name below a zone",
            Self::HttpBelow => "HTTP host below a zone",
            Self::UserAgent => "HTTP user agent",
            Self::Certificate => "TLS server certificate",
            Self::Address => "flow to a published address range",
            Self::Ja3 => "JA3 fingerprint",
            Self::Ja4 => "JA4 fingerprint",
            Self::Path => "HTTP path",
            Self::Header => "HTTP header",
            Self::Body => "HTTP response body",
        }
    }

    /// Place among the numbers of a service, of its alerts and in the gaps between them.
    const fn installed(self) -> u32 {
        match self {
            Self::Dns => 1,
            Self::Tls => 2,
            Self::Quic => 3,
            Self::Http => 4,
            Self::Path => 7,
            Self::UserAgent => 8,
            Self::Certificate => 10,
            Self::Address => 13,
            Self::Ja3 => 14,
            Self::Ja4 => 15,
            Self::DnsBelow => 16,
            Self::TlsBelow => 17,
            Self::QuicBelow => 18,
            Self::HttpBelow => 19,
            Self::Header => 24,
            Self::Body => 25,
        }
    }

    /// Place among the numbers for strength `ambiguous`.
    const fn ambiguous(self) -> Option<u32> {
        let place = self as u32;
        if place <= Self::Ja4 as u32 { Some(place) } else { None }
    }

    /// Place for strength `browse`.
    const fn browse(self) -> Option<u32> {
        match self {
            Self::Dns => Some(20),
            Self::Tls => Some(21),
            Self::Quic => Some(22),
            Self::Http => Some(23),
            Self::DnsBelow => Some(36),
            Self::TlsBelow => Some(37),
            Self::QuicBelow => Some(38),
            Self::HttpBelow => Some(39),
            _ => None,
        }
    }
}

/// The number of a rule; `None` where there is none, because there is nothing that it would be good for.
pub const fn sid((category, strength): Group, seen: Seen) -> Option<u32> {
    let service = category.number();
    match strength {
        Strength::Installed => Some(FIRST + service * PER_CATEGORY + seen.installed()),
        Strength::Ambiguous => match seen.ambiguous() {
            Some(place) => Some(AMBIGUOUS + service * AMBIGUOUS_PER_CATEGORY + place),
            None => None,
        },
        Strength::Browse => match seen.browse() {
            Some(place) => Some(FIRST + service * PER_CATEGORY + place),
            None => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kaspector::matching::Category;
    use std::collections::BTreeSet;

    #[test]
    fn each_rule_has_its_own_number_in_the_block() {
        let mut numbers = BTreeSet::new();
        for category in Category::ALL {
            for strength in Strength::ALL {
                for number in Seen::ALL.into_iter().filter_map(|seen| sid((category, strength), seen)) {
                    assert!((1_990_001..=1_990_999).contains(&number), "{number}");
                    assert!(numbers.insert(number), "{number}");
                }
            }
        }
        assert_eq!(numbers.len(), 17 * (16 + 13 + 8));
    }
}
