//! Fingerprints of a ClientHello.

use crate::matching::{Indicator, IndicatorIndex, MatchKind};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// The fingerprint matcher.
#[derive(Debug, Default)]
pub struct Fingerprints {
    ja3: HashMap<[u8; 16], IndicatorIndex, FixedState>,
    ja4: HashMap<Box<str>, IndicatorIndex, FixedState>,
    /// TLS versions that the hellos behind the fingerprints offered.
    versions: Vec<u16>,
    /// A JA3 of unknown version is among them.
    any_version: bool,
}

impl Fingerprints {
    /// Compiles the fingerprints among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)]) -> Self {
        let mut fingerprints = Self::default();
        for &(index, one) in indicators {
            let version = match one.kind {
                MatchKind::Ja3 => {
                    let Some(hash) = ja3(&one.value) else { continue };
                    fingerprints.ja3.entry(hash).or_insert(index);
                    one.tls_version
                }
                MatchKind::Ja4 => {
                    fingerprints.ja4.entry(one.value.as_str().into()).or_insert(index);
                    ja4_version(&one.value)
                }
                _ => continue,
            };
            match version {
                Some(version) if !fingerprints.versions.contains(&version) => fingerprints.versions.push(version),
                Some(_) => {}
                None => fingerprints.any_version = true,
            }
        }
        fingerprints
    }

    /// Whether a hello that offers `version` at most could have any of the fingerprints: spares the hashes over all others.
    #[inline]
    pub fn may_match(&self, version: u16) -> bool {
        self.any_version || self.versions.contains(&version)
    }

    /// The indicator of that JA3.
    pub fn find_ja3(&self, hash: &[u8; 16]) -> Option<IndicatorIndex> {
        self.ja3.get(hash).copied()
    }

    /// The indicator of that JA4.
    pub fn find_ja4(&self, text: &str) -> Option<IndicatorIndex> {
        self.ja4.get(text).copied()
    }
}

/// Reads a JA3: 32 hexadecimal digits in lower case.
pub fn ja3(text: &str) -> Option<[u8; 16]> {
    let is_hash = text.len() == 32 && text.bytes().all(is_lower_hexadecimal);
    let number = if is_hash { u128::from_str_radix(text, 16).ok()? } else { return None };
    Some(number.to_be_bytes())
}

/// Whether `text` has the form of a JA4: `t12d1108h2_f1d7dd7f2cf0_06756d5f1b38`.
pub fn is_ja4(text: &str) -> bool {
    let mut parts = text.split('_');
    let head = parts.next().unwrap_or_default();
    let form = head.len() == 10 && head.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let hashes =
        |part: Option<&str>| part.is_some_and(|part| part.len() == 12 && part.bytes().all(is_lower_hexadecimal));
    form && head.starts_with(['t', 'q', 'd']) && hashes(parts.next()) && hashes(parts.next()) && parts.next().is_none()
}

/// The TLS version that a JA4 shows. `None` for one that we do not know.
fn ja4_version(text: &str) -> Option<u16> {
    match text.get(1..3)? {
        "13" => Some(0x0304),
        "12" => Some(0x0303),
        "11" => Some(0x0302),
        "10" => Some(0x0301),
        "s3" => Some(0x0300),
        _ => None,
    }
}

const fn is_lower_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::matching::signature_set::tests::indicator;

    fn build(set: &[Indicator]) -> Fingerprints {
        let numbered: Vec<_> = set.iter().enumerate().map(|(at, one)| (IndicatorIndex(at as u32), one)).collect();
        Fingerprints::build(&numbered)
    }

    #[test]
    fn hellos_of_other_versions_are_spared() {
        let ja3 =
            Indicator { tls_version: Some(0x0303), ..indicator(MatchKind::Ja3, "c63e8c55f2a9e27263d28c06b4360880") };
        let set = [ja3, indicator(MatchKind::Ja4, "t10d130700_25acaf55c982_06756d5f1b38")];
        let fingerprints = build(&set);
        assert_eq!(
            [0x0301, 0x0302, 0x0303, 0x0304].map(|version| fingerprints.may_match(version)),
            [true, false, true, false]
        );
        let hash = u128::from_str_radix("c63e8c55f2a9e27263d28c06b4360880", 16).unwrap().to_be_bytes();
        assert_eq!(fingerprints.find_ja3(&hash), Some(IndicatorIndex(0)));
        assert_eq!(fingerprints.find_ja3(&[0; 16]), None);
        assert_eq!(fingerprints.find_ja4("t10d130700_25acaf55c982_06756d5f1b38"), Some(IndicatorIndex(1)));
    }

    #[test]
    fn an_unknown_version_may_be_any() {
        assert!(build(&[indicator(MatchKind::Ja3, "c63e8c55f2a9e27263d28c06b4360880")]).may_match(0x0304));
        assert!(!build(&[]).may_match(0x0303));
    }

    #[test]
    fn forms_are_checked() {
        assert!(is_ja4("t12d1108h2_f1d7dd7f2cf0_06756d5f1b38"));
        for bad in [
            "",
            "t12d1108h2_f1d7dd7f2cf0",
            "x12d1108h2_f1d7dd7f2cf0_06756d5f1b38",
            "t12d1108h2_F1d7dd7f2cf0_06756d5f1b38",
        ] {
            assert!(!is_ja4(bad), "{bad}");
        }
        for bad in ["", "c63e", "C63E8C55F2A9E27263D28C06B4360880", "+63e8c55f2a9e27263d28c06b4360880"] {
            assert!(ja3(bad).is_none(), "{bad}");
        }
    }
}
