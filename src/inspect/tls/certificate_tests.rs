//! Certificates, held against a parser of others.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Certificate, made};
use proptest::prelude::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};
use std::collections::HashSet;
use std::sync::LazyLock;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Subject, issuer, serial number, and each name once.
type Read = (String, String, String, Vec<String>);

fn ours(der: &[u8]) -> Option<Read> {
    let body = made::message(der);
    let certificate = Certificate::parse(&body)?;
    let mut seen = HashSet::new();
    let names = certificate.names().map(Into::into).filter(|name: &String| seen.insert(name.clone())).collect();
    Some((certificate.subject.to_string(), certificate.issuer.to_string(), certificate.serial(), names))
}

fn theirs(der: &[u8]) -> Option<Read> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let extension = certificate.subject_alternative_name().ok().flatten();
    let alternatives = extension.iter().flat_map(|extension| &extension.value.general_names);
    let alternatives = alternatives.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    let mut seen = HashSet::new();
    let names = common.chain(alternatives).map(str::to_ascii_lowercase).filter(|name| seen.insert(name.clone()));
    Some((
        certificate.subject().to_string(),
        certificate.issuer().to_string(),
        certificate.raw_serial_as_string().to_ascii_uppercase(),
        names.collect(),
    ))
}

/// What both read; whatever theirs reads, ours does.
fn agreed(der: &[u8]) -> Option<Read> {
    let theirs = theirs(der)?;
    assert_eq!(ours(der), Some(theirs.clone()));
    Some(theirs)
}

fn signed(names: DistinguishedName, alternatives: Vec<SanType>) -> Vec<u8> {
    static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name = names;
    params.subject_alt_names = alternatives;
    params.serial_number = Some(vec![0x0a, 0x1b, 0xff].into());
    params.self_signed(&*KEY).unwrap().der().to_vec()
}

/// One with everything that a server's usually has.
fn usual() -> Vec<u8> {
    let mut names = DistinguishedName::new();
    names.push(DnType::CountryName, "RU");
    names.push(DnType::OrganizationName, "AO Kaspersky Lab");
    names.push(DnType::CommonName, "Update.Example");
    let address = SanType::IpAddress([192, 0, 2, 1].into());
    let hosts = ["update.example", "*.Example"].map(|name| SanType::DnsName(name.try_into().unwrap()));
    signed(names, [vec![address], hosts.into()].concat())
}

#[test]
fn names_are_read() {
    let name = "C=RU, O=AO Kaspersky Lab, CN=Update.Example".to_owned();
    let expected =
        (name.clone(), name, "0A:1B:FF".to_owned(), vec!["update.example".to_owned(), "*.example".to_owned()]);
    assert_eq!(agreed(&usual()), Some(expected));
}

#[test]
fn no_part_of_a_certificate_is_one() {
    let der = usual();
    let body = made::message(&der);
    for end in 0..body.len() {
        assert!(Certificate::parse(&body[..end]).is_none(), "{end}");
    }
    // Nor with the length of the message put right.
    for end in 0..der.len() {
        assert!(ours(&der[..end]).is_none(), "{end}");
    }
}

#[test]
fn dates_keys_and_signatures_may_be_of_any_kind() {
    let der = made::certificate(&made::named("CN=a"), &made::named("CN=b"), &[]);
    let read = agreed(&der).unwrap();
    let at = der.windows(4).position(|bytes| bytes == b"2001").unwrap();
    let other_date = [&der[..at], b"soon", &der[at + 4..]].concat();
    assert_eq!(theirs(&other_date), None);
    assert_eq!(ours(&other_date), Some(read));
}

#[test]
fn values_are_spelled_by_their_type() {
    let spelled = |sets: &[Vec<u8>]| {
        let der = made::certificate(&made::element(0x30, &sets.concat()), &made::named("CN=b"), &[]);
        agreed(&der).unwrap().0
    };
    let bmp: &[u8] = b"\x04\x1f\xd8\x3d\xde\x00";
    for (tag, value, expected) in [
        (12, "\u{41f}, \"+\"".as_bytes(), "CN=\u{41f}, \"+\""),
        (18, b"12", "CN=12"),
        (19, b"a*", "CN=a*"),
        (20, b"t61", "CN=t61"),
        (22, b"", "CN="),
        (30, bmp, "CN=\u{41f}\u{1f600}"),
        (30, b"\0a\0", "CN=a\0"),
        (28, b"\0\0\0a", "CN=00000061"),
        (2, b"\x0a\xff", "CN=0AFF"),
        // No UTF-8, and half a character of UTF-16.
        (20, b"M\xfcller", "<X509Error: Invalid X.509 name>"),
        (30, b"\xd8\x3d", "<X509Error: Invalid X.509 name>"),
    ] {
        assert_eq!(spelled(&[made::set(&[(made::COMMON_NAME, tag, value)])]), expected, "{tag}");
    }
    let (a, b) = ((made::COMMON_NAME, 12, &b"a"[..]), (&[0x55, 4, 97][..], 12, &b"b"[..]));
    assert_eq!(spelled(&[]), "");
    assert_eq!(spelled(&[made::set(&[a, b]), made::set(&[b])]), "CN=a + OID(2.5.4.97)=b, OID(2.5.4.97)=b");
    // A name ends where it cannot be read, and a set, too.
    assert_eq!(spelled(&[made::set(&[a]), made::set(&[]), made::set(&[b])]), "CN=a");
    let cut = made::element(0x31, &[&made::set(&[a])[10..], &[0x30, 9][..]].concat());
    assert_eq!(spelled(&[cut, made::set(&[b])]), "CN=a, OID(2.5.4.97)=b");
}

#[test]
fn names_of_hosts_are_taken_from_one_extension_that_can_be_read() {
    let names = |subject: &[u8], extensions: &[Vec<u8>]| {
        agreed(&made::certificate(subject, &made::named("CN=b"), extensions)).unwrap().3
    };
    let host = made::alternatives(&[(0x82, b"A.example"), (0x87, &[192, 0, 2, 1]), (0x82, b"\xff"), (0x82, b"b")]);
    assert_eq!(names(&made::named("CN=B, O=o, CN=c"), std::slice::from_ref(&host)), ["b", "c", "a.example"]);
    assert_eq!(names(&made::named("CN=b"), &[host.clone(), host]), ["b"], "two of them");
    let other_class = made::alternatives(&[(0x82, b"a.example"), (0x42, b"c.example")]);
    assert_eq!(names(&made::named("CN=b"), &[other_class]), ["b"]);
    let teletex = made::element(0x30, &made::set(&[(made::COMMON_NAME, 20, b"t.example")]));
    assert!(names(&teletex, &[]).is_empty());
}

#[test]
fn thousands_of_names_and_deep_nesting_take_no_more_than_their_bytes() {
    let names: Vec<String> = (0..5_000).map(|number| format!("h{number}.example")).collect();
    let tagged: Vec<(u8, &[u8])> = names.iter().map(|name| (0x82, name.as_bytes())).collect();
    let der = made::certificate(&made::named("CN=b"), &made::named("CN=b"), &[made::alternatives(&tagged)]);
    assert_eq!(agreed(&der).unwrap().3.len(), 5_001);
    // Sequences within sequences: as a value, in the place of a name, in the place of everything.
    let deep = (0..2_000).fold(Vec::new(), |deep, _| made::element(0x30, &deep));
    let value = made::element(0x30, &made::set(&[(made::COMMON_NAME, 0x30, &deep)]));
    let der = made::certificate(&value, &deep, &[]);
    let (subject, issuer, ..) = agreed(&der).unwrap();
    assert_eq!((subject.len(), issuer.len()), ("CN=".len() + 2 * deep.len(), 0));
    assert_eq!(ours(&deep), None);
}

/// Types of attributes, also such as no certificate has.
fn kind() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (0_u8..60).prop_map(|last| vec![0x55, 4, last]),
        1 => (0_u8..60).prop_map(|last| vec![0x55, 29, last]),
        1 => Just(vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]),
        1 => prop::collection::vec(any::<u8>(), 0..10),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => ".{0,12}".prop_map(String::into_bytes),
        1 => ".{0,8}".prop_map(|text| text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

/// A name with one to three sets of one to three attributes.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![4 => prop::sample::select(vec![12_u8, 18, 19, 20, 21, 22, 26, 27, 28, 30]), 1 => any::<u8>()];
    let set = prop::collection::vec((kind(), tag, value()), 1..4);
    prop::collection::vec(set, 0..4).prop_map(|sets| {
        let set = |attributes: &Vec<(Vec<u8>, u8, Vec<u8>)>| {
            made::set(&attributes.iter().map(|(kind, tag, value)| (&kind[..], *tag, &value[..])).collect::<Vec<_>>())
        };
        made::element(0x30, &sets.iter().flat_map(set).collect::<Vec<u8>>())
    })
}

fn host_names() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let tag = prop_oneof![5 => Just(0x82_u8), 2 => 0x80_u8..0x89, 1 => any::<u8>()];
    prop::collection::vec((tag, value()), 0..5)
}

proptest! {
    #[test]
    fn odd_names_agree_with_another_parser(subject in name(), issuer in name(), hosts in host_names()) {
        let hosts: Vec<(u8, &[u8])> = hosts.iter().map(|(tag, name)| (*tag, &name[..])).collect();
        let der = made::certificate(&subject, &issuer, &[made::alternatives(&hosts)]);
        prop_assert_eq!(ours(&der).is_some(), true);
        agreed(&der);
    }

    #[test]
    fn made_names_agree_with_another_parser(
        names in prop::collection::vec((0_u8..8, "[ -~]{0,12}", 0_u8..5), 0..6),
        hosts in prop::collection::vec("[ -~]{0,20}", 0..6),
    ) {
        let mut all = DistinguishedName::new();
        for (kind, text, form) in names {
            let kind = match kind {
                0 => DnType::CommonName,
                1 => DnType::CountryName,
                2 => DnType::OrganizationName,
                3 => DnType::OrganizationalUnitName,
                4 => DnType::LocalityName,
                5 => DnType::StateOrProvinceName,
                other => DnType::CustomDnType(vec![2, 5, 4, u64::from(other) * 7]),
            };
            let value = match form {
                0 => text.as_str().try_into().map(DnValue::TeletexString).ok(),
                1 => text.as_str().try_into().map(DnValue::BmpString).ok(),
                2 => text.as_str().try_into().map(DnValue::UniversalString).ok(),
                3 => text.as_str().try_into().map(DnValue::Ia5String).ok(),
                _ => None,
            };
            all.push(kind, value.unwrap_or(DnValue::Utf8String(text)));
        }
        let hosts = hosts.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap())).collect();
        prop_assert!(agreed(&signed(all, hosts)).is_some());
    }

    /// Bytes changed, put in and taken out.
    #[test]
    fn changed_certificates_agree_with_another_parser(changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..3, any::<u8>()), 1..4)) {
        static USUAL: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
            let (a, b) = ((made::COMMON_NAME, 12, &b"a"[..]), (made::ORGANISATION, 30, &b"\0b"[..]));
            let name = made::element(0x30, &[made::set(&[a, b]), made::set(&[b])].concat());
            let hosts = made::alternatives(&[(0x82, b"a.example"), (0x81, b"b@example")]);
            [usual(), made::certificate(&name, &name, &[hosts])]
        });
        for usual in &*USUAL {
            let mut der = usual.clone();
            for (at, how, byte) in &changes {
                let at = at.index(der.len());
                match how {
                    0 => der[at] = *byte,
                    1 => der.insert(at, *byte),
                    _ => drop(der.remove(at)),
                }
            }
            agreed(&der);
        }
    }
}
