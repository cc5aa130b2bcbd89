//! JA3 (<https://github.com/salesforce/ja3>) and JA4 (<https://github.com/FoxIO-LLC/ja4>) fingerprints of a ClientHello.

use super::client_hello::{ClientHello, extension, is_grease, pairs};
use crate::inspect::Reader;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::fmt::{self, Write};

/// What carries the hello: the first letter of a JA4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ja4Transport {
    /// TCP: `t`.
    Tcp,
    /// QUIC: `q`.
    Quic,
}

/// A JA4 fingerprint, 36 characters: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; 36]);

impl fmt::Display for Ja4 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Built from ASCII alone, so this never falls back.
        formatter.write_str(std::str::from_utf8(&self.0).unwrap_or("?"))
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl ClientHello<'_> {
    /// Writes the JA3 string: version, cipher suites, extensions, groups and point formats in decimal, without GREASE.
    pub fn ja3_string(&self, text: &mut String) {
        text.clear();
        // Writing to a String cannot fail.
        let _ = write!(text, "{},", self.legacy_version);
        join(text, pairs(self.cipher_suites));
        text.push(',');
        join(text, self.extensions().map(|(kind, _)| kind));
        text.push(',');
        let data = |wanted| self.extensions().find(|&(kind, _)| kind == wanted).map_or(&[][..], |(_, data)| data);
        join(text, pairs(data(extension::SUPPORTED_GROUPS).get(2..).unwrap_or(&[])));
        text.push(',');
        let formats = data(extension::EC_POINT_FORMATS).get(1..).unwrap_or(&[]);
        join(text, formats.iter().map(|&format| format.into()));
    }

    /// MD5 of the JA3 string.
    #[must_use]
    pub fn ja3_hash(&self) -> [u8; 16] {
        let mut text = String::new();
        self.ja3_string(&mut text);
        Md5::digest(text.as_bytes()).into()
    }

    /// The JA4 fingerprint.
    #[must_use]
    pub fn ja4(&self, transport: Ja4Transport) -> Ja4 {
        let mut suites: Vec<u16> = pairs(self.cipher_suites).filter(|&suite| !is_grease(suite)).collect();
        let mut extensions: Vec<u16> =
            self.extensions().map(|(kind, _)| kind).filter(|&kind| !is_grease(kind)).collect();
        let named = extensions.contains(&extension::SERVER_NAME);
        let (suite_count, extension_count) = (suites.len().min(99), extensions.len().min(99));
        suites.sort_unstable();
        extensions.retain(|&kind| !matches!(kind, extension::SERVER_NAME | extension::ALPN));
        extensions.sort_unstable();
        let mut listed = hexadecimal(&suites);
        let suites_hash = short_hash(&listed, suites.is_empty());
        listed = hexadecimal(&extensions);
        let algorithms: Vec<u16> = self
            .extensions()
            .find(|&(kind, _)| kind == extension::SIGNATURE_ALGORITHMS)
            .map(|(_, data)| {
                let mut list = Reader::new(data);
                let length = usize::from(list.u16().unwrap_or(0));
                pairs(list.sub_lax(length).rest()).filter(|&algorithm| !is_grease(algorithm)).collect()
            })
            .unwrap_or_default();
        if !algorithms.is_empty() {
            listed.push('_');
            listed.push_str(&hexadecimal(&algorithms));
        }
        let extensions_hash = short_hash(&listed, extensions.is_empty());
        let [first, last] = self.alpn_ends();
        let text = format!(
            "{}{}{}{suite_count:02}{extension_count:02}{first}{last}_{suites_hash}_{extensions_hash}",
            if transport == Ja4Transport::Quic { 'q' } else { 't' },
            version_text(self.version()),
            if named { 'd' } else { 'i' },
        );
        let mut fingerprint = [b'?'; 36];
        for (into, byte) in fingerprint.iter_mut().zip(text.bytes()) {
            *into = byte;
        }
        Ja4(fingerprint)
    }

    /// First and last character of the first ALPN value; of its hexadecimal form when either is no letter or digit.
    fn alpn_ends(&self) -> [char; 2] {
        let Some((&first, &last)) = self.alpn.and_then(|alpn| alpn.first().zip(alpn.last())) else { return ['0', '0'] };
        if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
            return [first.into(), last.into()];
        }
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
        [digit(first >> 4), digit(last & 0x0f)]
    }
}

const fn version_text(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        _ => "00",
    }
}

fn join(text: &mut String, values: impl Iterator<Item = u16>) {
    let mut separator = "";
    for value in values.filter(|&value| !is_grease(value)) {
        let _ = write!(text, "{separator}{value}");
        separator = "-";
    }
}

fn hexadecimal(values: &[u16]) -> String {
    values.iter().map(|value| format!("{value:04x}")).collect::<Vec<_>>().join(",")
}

/// The first 12 hexadecimal digits of the SHA-256; zeros for an empty list.
fn short_hash(text: &str, empty: bool) -> String {
    if empty {
        return "0".repeat(12);
    }
    Sha256::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
