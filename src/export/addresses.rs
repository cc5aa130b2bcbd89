//! Ranges of addresses, and which of them lie in which.

use kaspector::matching::{Indicator, MatchKind, SignatureSet};
use std::net::IpAddr;

/// A range of addresses: its first one, and how many bits are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first address.
    pub first: IpAddr,
    /// Fixed bits.
    pub bits: u8,
}

impl Range {
    /// The range of a value such as `37.203.128.0/23` or `37.203.129.5`, which was checked when it was read. Bits that are not fixed are
    /// cleared, as other programs want them to be.
    pub fn new(value: &str) -> Option<Self> {
        let (address, bits) = match value.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, bits.parse().ok()?),
            None => {
                let address: IpAddr = value.parse().ok()?;
                (address, if address.is_ipv4() { 32 } else { 128 })
            }
        };
        let first = match address {
            IpAddr::V4(address) => IpAddr::V4(
                (u32::from(address) & u32::MAX.checked_shl(32_u32.checked_sub(u32::from(bits))?).unwrap_or(0)).into(),
            ),
            IpAddr::V6(address) => {
                let fixed = 128_u32.checked_sub(u32::from(bits))?;
                IpAddr::V6((u128::from(address) & u128::MAX.checked_shl(fixed).unwrap_or(0)).into())
            }
        };
        Some(Self { first, bits })
    }

    /// Whether it is one address.
    pub const fn is_single(&self) -> bool {
        self.bits == if self.first.is_ipv4() { 32 } else { 128 }
    }

    /// Whether `other` lies in it.
    pub fn holds(&self, other: &Self) -> bool {
        let reaches = self.first.is_ipv4() == other.first.is_ipv4() && self.bits <= other.bits;
        reaches && Self::new(&format!("{}/{}", other.first, self.bits)).is_some_and(|range| range.first == self.first)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_single() { write!(out, "{}", self.first) } else { write!(out, "{}/{}", self.first, self.bits) }
    }
}

/// The ranges of a set, and whose they are.
pub fn ranges(set: &SignatureSet) -> Vec<(Range, &Indicator)> {
    let addresses = set.iter().filter(|one| one.kind == MatchKind::Address);
    let mut ranges: Vec<_> = addresses.filter_map(|one| Some((Range::new(&one.value)?, one))).collect();
    ranges.sort_by_key(|(range, _)| *range);
    ranges
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_begin_at_their_first_address() {
        let range = Range::new("77.74.180.0/22").unwrap();
        assert_eq!(range.to_string(), "77.74.180.0/22");
        assert_eq!(Range::new("77.74.181.9/22"), Some(range));
        assert_eq!(Range::new("2a03:2480::1/33").unwrap().to_string(), "2a03:2480::/33");
        assert_eq!(Range::new("10.0.0.0/33"), None);
        assert!(range.holds(&Range::new("77.74.181.10").unwrap()));
        assert!(!range.holds(&Range::new("77.74.184.0").unwrap()));
        assert!(!Range::new("77.74.181.10").unwrap().holds(&range));
        assert!(Range::new("0.0.0.0/0").unwrap().holds(&range));
        assert!(!Range::new("::/0").unwrap().holds(&range));
    }
}
