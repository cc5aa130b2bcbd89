//! An address, or a range of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address, or all that begin alike: `10.20.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    first: IpAddr,
    /// Leading bits that must be equal.
    bits: u8,
}

impl AddressRange {
    /// The range around an address in which the first `bits` bits are equal; more than an address has count as all.
    #[must_use]
    pub fn around(address: IpAddr, bits: u8) -> Self {
        let bits = bits.min(width_of(address));
        Self { first: Self { first: address, bits }.ends().0, bits }
    }

    /// Leading bits that are equal.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether it is one address alone.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        self.bits == width_of(self.first)
    }

    /// The same, as it is written best: nothing is set behind the bits that are equal.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self::around(self.first, self.bits)
    }

    /// Its first and its last address.
    #[must_use]
    pub fn ends(&self) -> (IpAddr, IpAddr) {
        match self.first {
            IpAddr::V4(first) => {
                let rest = u32::MAX.checked_shr(self.bits.into()).unwrap_or(0);
                let first = first.to_bits() & !rest;
                (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | rest).into())
            }
            IpAddr::V6(first) => {
                let rest = u128::MAX.checked_shr(self.bits.into()).unwrap_or(0);
                let first = first.to_bits() & !rest;
                (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | rest).into())
            }
        }
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (a, b, width) = match (self.first, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        (a ^ b).checked_shr(width - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

/// An address by itself.
impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        Self::around(address, u8::MAX)
    }
}

const fn width_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `10.20.0.0/16`, or the address alone.
impl fmt::Display for AddressRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.first.fmt(out) } else { write!(out, "{}/{}", self.first, self.bits) }
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address and no range such as 10.20.0.0/16 or 2001:db8::/32");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = width_of(first);
        let bits = bits.map_or(Ok(width), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits <= width { Ok(Self { first, bits }) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lies_in(address: &str, range: &str) -> bool {
        range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn ranges_hold_what_begins_alike() {
        assert!(lies_in("10.20.255.1", "10.20.0.0/16") && lies_in("10.20.255.1", "10.20.7.7/16"));
        assert!(!lies_in("10.21.0.1", "10.20.0.0/16"));
        assert!(lies_in("10.20.0.1", "10.20.0.1") && !lies_in("10.20.0.2", "10.20.0.1"));
        assert!(lies_in("1.2.3.4", "0.0.0.0/0") && !lies_in("::1", "0.0.0.0/0"));
        assert!(lies_in("2001:db8::9", "2001:db8::/32") && lies_in("ffff::", "::/0"));
        assert!(!lies_in("2001:db9::9", "2001:db8::/32"));
    }

    #[test]
    fn a_range_has_two_ends() {
        let ends = |range: &str| {
            let (first, last) = range.parse::<AddressRange>().unwrap().ends();
            format!("{first} {last}")
        };
        assert_eq!(ends("10.20.7.7/16"), "10.20.0.0 10.20.255.255");
        assert_eq!(ends("10.20.7.7"), "10.20.7.7 10.20.7.7");
        assert_eq!(ends("0.0.0.0/0"), "0.0.0.0 255.255.255.255");
        assert_eq!(ends("2001:db8::1/32"), "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(ends("::/0"), ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/-1", "host"] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }
}
