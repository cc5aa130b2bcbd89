//! Pieces of lines, read as far as a first look needs them.

use super::{Key, Looking};
use foldhash::fast::FixedState;
use kaspector::capture::Timestamp;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Bits of a key that tell what it stands for.
const CONNECTION: u32 = 1;

impl Key {
    /// Of an engine's number for a connection.
    pub fn connection(number: u64) -> Self {
        Self(mixed(number) | CONNECTION)
    }

    /// Of an address that somebody got from DNS.
    pub fn address(address: IpAddr) -> Self {
        let number = match address {
            IpAddr::V4(v4) => u64::from(u32::from(v4)),
            IpAddr::V6(v6) => FixedState::default().hash_one(v6.octets()),
        };
        Self(mixed(number) & !CONNECTION)
    }

    /// Of what another log calls a certificate.
    pub fn certificate(id: &str) -> Self {
        Self(mixed(FixedState::default().hash_one(id)) & !CONNECTION)
    }

    pub const fn is_connection(self) -> bool {
        self.0 & CONNECTION != 0
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the upper half is what is mixed best")]
const fn mixed(number: u64) -> u32 {
    let mixed = (number ^ number >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

impl Looking<'_> {
    /// Notes both ends of a connection. Says whether one of them is of interest by itself.
    pub fn ends(&mut self, src: (IpAddr, u16), dst: (IpAddr, u16), protocol: u8) -> bool {
        let signatures = &self.sieve.signatures;
        let of_interest = [src, dst].iter().any(|&(address, port)| {
            signatures.is_port_of_interest(port, protocol) || signatures.match_address(address).is_some()
        });
        self.keys.extend([Key::address(src.0), Key::address(dst.0)]);
        of_interest
    }
}

/// A whole number, and what follows it.
pub fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut sum = 0_u64;
    let mut count = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (1..=19).contains(&count).then_some(())?;
    Some((sum, bytes.get(count..)?))
}

/// A port, and what follows it.
pub fn port(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = number(bytes)?;
    Some((u16::try_from(number).ok()?, rest))
}

/// A whole text that is an address.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some(v4) = ipv4(text) {
        return Some(v4.into());
    }
    IpAddr::from_str(std::str::from_utf8(text).ok()?).ok()
}

/// A whole text that is an address of version 4, in decimal without leading zeros.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut number = 0_u32;
    let (mut part, mut digits, mut dots) = (0_u32, 0_u8, 0_u8);
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if digits > 0 && part == 0 {
                return None;
            }
            part = part.wrapping_mul(10).wrapping_add(u32::from(digit));
            digits = 1;
            if part > 255 {
                return None;
            }
        } else if byte == b'.' && digits > 0 && dots < 3 {
            number = number << 8 | part;
            (part, digits, dots) = (0, 0, dots + 1);
        } else {
            return None;
        }
    }
    (dots == 3 && digits > 0).then(|| Ipv4Addr::from(number << 8 | part))
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Seconds with a fraction of up to nine digits: since the epoch, or of an interval.
pub fn seconds(text: &[u8]) -> Option<Timestamp> {
    let (whole, rest) = number(text)?;
    let mut nanoseconds = 0_u64;
    if let Some(fraction) = rest.strip_prefix(b".") {
        if fraction.len() > 9 || fraction.is_empty() {
            return None;
        }
        for byte in fraction {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            nanoseconds = u64::wrapping_mul(nanoseconds, 10).wrapping_add(u64::from(digit));
        }
        nanoseconds = nanoseconds.wrapping_mul(POWERS.get(9 - fraction.len()).copied().unwrap_or(1));
    } else if !rest.is_empty() {
        return None;
    }
    (whole < 100_000_000_000).then(|| whole.checked_mul(1_000_000_000)?.checked_add(nanoseconds).map(Timestamp))?
}

/// The text up to the next quotation mark, and what follows that. `None` when a backslash stands in it.
pub fn quoted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr2(b'"', b'\\', bytes)?;
    (bytes.get(end) == Some(&b'"')).then_some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// Whether the target of a request may be more than it seems: it asks a proxy, or letters of its path are encoded.
pub fn is_target_of_interest(target: &[u8]) -> bool {
    if target.first() != Some(&b'/') || memchr::memchr(b' ', target).is_some() {
        return true;
    }
    memchr::memchr_iter(b'%', target).any(|at| {
        let digits = target.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_are_those_of_the_library(text in "[0-9a-f:.]{1,18}|[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}") {
            prop_assert_eq!(address(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn seconds_are_exact(whole in 0_u64..10_000_000_000, fraction in "[0-9]{1,9}") {
            let at = seconds(format!("{whole}.{fraction}").as_bytes()).unwrap();
            prop_assert_eq!(at.0 / 1_000_000_000, whole);
            prop_assert_eq!(format!("{:09}", at.0 % 1_000_000_000), format!("{fraction:0<9}"));
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", ".", "1.", "x", "1.x", "1.1234567890", "99999999999999999999", "-1"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text}");
        }
        assert_eq!(quoted(b"a\"b"), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(quoted(b"a\\\"b"), None);
        assert!(
            is_target_of_interest(b"http://x/")
                && is_target_of_interest(b"/%75pdates")
                && !is_target_of_interest(b"/a?b=%20")
        );
    }
}
