//! The server's certificate (RFC 5280), which travels in the clear up to TLS 1.2 (RFC 5246 section 7.4.2).

use super::DistinguishedName;
use crate::inspect::Reader;
use crate::inspect::der::{BOOLEAN, CONTEXT_SPECIFIC, Elements, INTEGER, OCTET_STRING, SEQUENCE};
use std::borrow::Cow;
use std::fmt::Write;
use std::str;

/// Tags of optional fields (RFC 5280 section 4.1).
const VERSION: u32 = 0;
const ISSUER_UNIQUE_ID: u32 = 1;
const SUBJECT_UNIQUE_ID: u32 = 2;
const EXTENSIONS: u32 = 3;
/// The subjectAltName extension (RFC 5280 section 4.2.1.6), as its object identifier is encoded, and of its names the host's.
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const DNS_NAME: u32 = 2;

/// The server's own certificate: the first of its Certificate message. It borrows the message; text is made of it when asked for.
///
/// What tells whose it is must be readable: the serial number, both names, and that dates and a key are at their places. What is in
/// these, and the signature, is not looked at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Certificate<'a> {
    /// Whom it is for.
    pub subject: DistinguishedName<'a>,
    /// Who says so.
    pub issuer: DistinguishedName<'a>,
    serial: &'a [u8],
    /// Names of the subjectAltName extension.
    alternatives: Elements<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads the body of a Certificate message; `None` when its first certificate is incomplete or no X.509.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        reader.u24()?;
        let length = usize::try_from(reader.u24()?).ok()?;
        let mut certificate = Elements::new(Elements::new(reader.take(length)?).of(SEQUENCE)?);
        let mut fields = Elements::new(certificate.of(SEQUENCE)?);
        fields.of(VERSION);
        let serial = fields.of(INTEGER)?;
        let _signature_algorithm = fields.of(SEQUENCE)?;
        let issuer = DistinguishedName::new(fields.of(SEQUENCE)?);
        let _validity = fields.of(SEQUENCE)?;
        let subject = DistinguishedName::new(fields.of(SEQUENCE)?);
        let _key = fields.of(SEQUENCE)?;
        fields.of(ISSUER_UNIQUE_ID);
        fields.of(SUBJECT_UNIQUE_ID);
        let alternatives = alternatives(fields).unwrap_or(Elements::new(&[]));
        Some(Self { subject, issuer, serial, alternatives })
    }

    /// Serial number in hexadecimal: `0A:1B`.
    #[must_use]
    pub fn serial(&self) -> String {
        self.serial.iter().enumerate().fold(String::with_capacity(3 * self.serial.len()), |mut text, (at, byte)| {
            let _ = write!(text, "{}{byte:02X}", if at == 0 { "" } else { ":" });
            text
        })
    }

    /// Common names of the subject and DNS names of the subjectAltName extension, lower case; wildcards as `*.example`. The same name
    /// may come more than once.
    pub fn names(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let alternatives = self.alternatives.filter(|name| name.number == DNS_NAME);
        self.subject.common_names().chain(alternatives.filter_map(|name| str::from_utf8(name.content).ok())).map(
            |name| {
                if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    name.to_ascii_lowercase().into()
                } else {
                    name.into()
                }
            },
        )
    }
}

/// The names of the subjectAltName extension, from where the extensions begin. None if there are two such extensions, or a name that
/// cannot be read.
fn alternatives(mut fields: Elements<'_>) -> Option<Elements<'_>> {
    // The list has a length of its own, so that of the field around it tells nothing.
    fields.enter(EXTENSIONS)?;
    let mut extensions = Elements::new(fields.of(SEQUENCE)?);
    let mut found = None;
    while let Some((kind, value)) = extensions.of(SEQUENCE).and_then(extension) {
        if kind == SUBJECT_ALTERNATIVE_NAME && found.replace(value).is_some() {
            return None;
        }
    }
    let names = Elements::new(Elements::new(found?).of(SEQUENCE)?);
    let mut ahead = names;
    (ahead.all(|name| name.class == CONTEXT_SPECIFIC) && ahead.is_empty()).then_some(names)
}

/// The type and the value of an extension (RFC 5280 section 4.1).
fn extension(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Elements::new(content);
    let kind = fields.next()?.content;
    let _is_critical = fields.of(BOOLEAN);
    Some((kind, fields.of(OCTET_STRING)?))
}
