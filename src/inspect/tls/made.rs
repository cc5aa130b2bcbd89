//! Certificates for tests, as good as unsigned.

/// The type of a common name (X.520 section 6.2.2), as it is encoded.
pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// The same for the organisation (X.520 section 6.4.1).
pub const ORGANISATION: &[u8] = &[0x55, 4, 10];

const UTF8_STRING: u8 = 12;
/// A key of 24 bits and its algorithm; the latter serves for the signature, too.
const ALGORITHM: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
const BITS: &[u8] = &[3, 4, 0, 1, 2, 3];
const VALIDITY: &[u8] = b"\x30\x1e\x17\x0d200101000000Z\x17\x0d400101000000Z";

/// Tag, length, content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    [&[tag, 0x80 + length.len() as u8][..], &length, content].concat()
}

/// A set of attributes: type, tag of the value, value.
pub fn set(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let attribute =
        |&(kind, tag, value): &(&[u8], u8, &[u8])| element(0x30, &[element(6, kind), element(tag, value)].concat());
    element(0x31, &attributes.iter().flat_map(attribute).collect::<Vec<u8>>())
}

/// A name out of its spelling, which knows no types but `CN` and `O`.
pub fn named(attributes: &str) -> Vec<u8> {
    let sets = attributes.split(", ").filter_map(|attribute| attribute.split_once('=')).flat_map(|(kind, value)| {
        let kind = if kind == "CN" { COMMON_NAME } else { ORGANISATION };
        set(&[(kind, UTF8_STRING, value.as_bytes())])
    });
    element(0x30, &sets.collect::<Vec<u8>>())
}

/// A certificate with these names and these extensions.
pub fn certificate(subject: &[u8], issuer: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let version = element(0xa0, &[2, 1, 2]);
    let serial = element(2, &[0x0a, 0x1b]);
    let key = element(0x30, &[ALGORITHM, BITS].concat());
    let extensions =
        if extensions.is_empty() { Vec::new() } else { element(0xa3, &element(0x30, &extensions.concat())) };
    let fields = [&version[..], &serial, ALGORITHM, issuer, VALIDITY, subject, &key, &extensions].concat();
    element(0x30, &[&element(0x30, &fields)[..], ALGORITHM, BITS].concat())
}

/// The subjectAltName extension: tags and contents of its names.
pub fn alternatives(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|(tag, name)| element(*tag, name)).collect();
    element(0x30, &[element(6, &[0x55, 0x1d, 0x11]), element(4, &element(0x30, &names))].concat())
}

/// The body of a Certificate message.
pub fn message(certificate: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| (bytes as u32).to_be_bytes().into_iter().skip(1);
    length(certificate.len() + 3).chain(length(certificate.len())).chain(certificate.iter().copied()).collect()
}
