//! Certificates: attributes of the subject and the issuer.

use crate::inspect::DistinguishedName;
use crate::matching::{Indicator, IndicatorIndex, MatchKind};
use memchr::memmem::Finder;
use std::cmp::Reverse;

/// The certificate matcher.
#[derive(Debug, Default)]
pub struct Certificates {
    subjects: Vec<Wanted>,
    issuers: Vec<Wanted>,
    /// Of each of these a part that must be in the name: few signatures share fewer.
    in_subjects: Vec<Finder<'static>>,
    in_issuers: Vec<Finder<'static>>,
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
        let (subjects, issuers) = (of(MatchKind::CertificateSubject), of(MatchKind::CertificateIssuer));
        Self { in_subjects: parts(&subjects), in_issuers: parts(&issuers), subjects, issuers }
    }

    /// Whether [`Self::find`] may find anything once these names are spelled.
    pub fn may_match(&self, subject: &DistinguishedName<'_>, issuer: &DistinguishedName<'_>) -> bool {
        let any = |parts: &[Finder<'_>], name: &DistinguishedName<'_>| parts.iter().any(|part| name.may_contain(part));
        any(&self.in_issuers, issuer) || any(&self.in_subjects, subject)
    }

    /// Whether [`Self::find`] may find anything in a name that is spelled already.
    pub fn may_match_text(&self, name: &str) -> bool {
        self.in_issuers.iter().chain(&self.in_subjects).any(|part| part.find(name.as_bytes()).is_some())
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

/// What lies behind the last equals sign of an attribute that is wanted; the spelling of a name puts one before each value, so none of
/// this can reach from one value into the next.
fn parts(wanted: &[Wanted]) -> Vec<Finder<'static>> {
    let values = wanted.iter().filter_map(|one| one.attributes.first()?.rsplit('=').next());
    let mut values: Vec<&str> = values.collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter().map(|value| Finder::new(value).into_owned()).collect()
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
    use crate::inspect::Certificate;
    use crate::inspect::tls::made;
    use crate::matching::signature_set::tests::indicator;
    use proptest::prelude::*;

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

    proptest! {
        /// What is wanted, in a name that is made of pieces of it, is never passed over; and unrelated names are.
        #[test]
        fn names_are_spelled_if_they_may_match(
            wanted in prop::sample::select(vec!["O=AO Kaspersky Lab", "O=AO Kaspersky Lab, CN=Root", "CN=a\\, b", "CN=", "CN=x=y", "CN=O=x"]),
            values in prop::collection::vec((
                prop::sample::select(vec![made::COMMON_NAME, made::ORGANISATION]),
                prop::sample::select(vec![12_u8, 19, 20, 30, 4]),
                prop::sample::select(vec!["AO Kaspersky Lab", "Root", "a\\, b", "a\\", "b", "", "x=y", "x", "x,O=AO Kaspersky Lab", "other"]),
            ), 0..4),
        ) {
            let sets: Vec<Vec<u8>> = values.iter().map(|(kind, tag, value)| {
                let value = if *tag == 30 { value.encode_utf16().flat_map(u16::to_be_bytes).collect() } else { value.as_bytes().to_vec() };
                made::set(&[(kind, *tag, &value)])
            }).collect();
            let (name, other) = (made::element(0x30, &sets.concat()), made::named("CN=other.example"));
            for kind in [MatchKind::CertificateSubject, MatchKind::CertificateIssuer] {
                let indicator = indicator(kind, wanted);
                let certificates = Certificates::build(&[(IndicatorIndex(0), &indicator)]);
                let (subject, issuer) =
                    if kind == MatchKind::CertificateSubject { (&name, &other) } else { (&other, &name) };
                let body = made::message(&made::certificate(subject, issuer, &[]));
                let read = Certificate::parse(&body).unwrap();
                let found = certificates.find(&read.subject.to_string(), &read.issuer.to_string());
                let may_match = certificates.may_match(&read.subject, &read.issuer);
                prop_assert!(found.is_none() || may_match);
                let is_strange = values.iter().all(|(_, tag, value)| *tag < 30 && *tag > 4 && *value == "other");
                prop_assert!(!(is_strange && may_match && wanted != "CN="));
            }
        }
    }
}
