//! Certificates: attributes of the subject and the issuer.

use crate::matching::{Indicator, IndicatorIndex, MatchKind};
use std::cmp::Reverse;

/// The certificate matcher.
#[derive(Debug, Default)]
pub struct Certificates {
    subjects: Vec<Wanted>,
    issuers: Vec<Wanted>,
}

/// Attributes that must all be there, in any order.
#[derive(Debug)]
struct Wanted {
    attributes: Vec<Box<str>>,
    index: IndicatorIndex,
}

impl Certificates {
    /// Compiles the certificates among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)]) -> Self {
        let of = |kind| {
            let mut wanted: Vec<Wanted> = indicators
                .iter()
                .filter(|(_, one)| one.kind == kind)
                .map(|&(index, one)| Wanted { attributes: attributes(&one.value).map(Into::into).collect(), index })
                .filter(|one| !one.attributes.is_empty())
                .collect();
            wanted.sort_by_key(|one| (Reverse(one.attributes.len()), one.index));
            wanted
        };
        Self { subjects: of(MatchKind::CertificateSubject), issuers: of(MatchKind::CertificateIssuer) }
    }

    /// The indicator that asks for most of what is there; the issuer's before the subject's.
    pub fn find(&self, subject: &str, issuer: &str) -> Option<IndicatorIndex> {
        let first = |wanted: &[Wanted], name: &str| {
            wanted
                .iter()
                .find(|one| {
                    one.attributes.iter().all(|wanted| attributes(name).any(|attribute| attribute == &**wanted))
                })
                .map(|one| one.index)
        };
        first(&self.issuers, issuer).or_else(|| first(&self.subjects, subject))
    }
}

/// The attributes of a name such as `CN=Example, O=Example Ltd`, in their order. A comma or plus sign behind a backslash belongs to a
/// value (RFC 4514 section 2.4).
pub fn attributes(name: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    name.split(move |character| {
        let separates = matches!(character, ',' | '+') && !escaped;
        escaped = character == '\\' && !escaped;
        separates
    })
    .map(str::trim)
    .filter(|attribute| !attribute.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::matching::signature_set::tests::indicator;

    #[test]
    fn attributes_match_whole_and_in_any_order() {
        let set = [
            indicator(MatchKind::CertificateIssuer, "O=AO Kaspersky Lab"),
            indicator(MatchKind::CertificateIssuer, "O=AO Kaspersky Lab, CN=Personal Root"),
            indicator(MatchKind::CertificateSubject, "CN=KSC"),
        ];
        let numbered: Vec<_> = set.iter().enumerate().map(|(at, one)| (IndicatorIndex(at as u32), one)).collect();
        let certificates = Certificates::build(&numbered);
        let find = |subject, issuer| certificates.find(subject, issuer).map(|index| index.0);
        assert_eq!(find("CN=www.example.com", "CN=Personal Root, O=AO Kaspersky Lab"), Some(1));
        assert_eq!(find("CN=KSC", "C=RU+O=AO Kaspersky Lab,CN=Other"), Some(0));
        assert_eq!(find("CN=KSC", "CN=KSC"), Some(2));
        assert_eq!(find("O=AO Kaspersky Lab", "O=DigiCert Inc"), None);
        assert_eq!(find("", "O=AO Kaspersky Lab\\, Inc"), None);
        assert_eq!(find("", "O=Not AO Kaspersky Lab"), None);
        assert_eq!(find("", ""), None);
    }
}
