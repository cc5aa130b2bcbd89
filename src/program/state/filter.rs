//! Which hosts of an inventory are asked for.

use kaspector::capture::Timestamp;
use kaspector::matching::{Category, HostFinding, Role, Verdict};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What a host must be to be listed. Of a list that has several entries one must hold; an empty list asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct HostFilter {
    /// This verdict, or a stronger one.
    pub verdict: Option<Verdict>,
    /// Evidence at this time or later.
    pub since: Option<Timestamp>,
    /// No evidence at this time or later.
    pub not_since: Option<Timestamp>,
    /// Evidence at this time or earlier.
    pub until: Option<Timestamp>,
    /// Evidence of one of these services.
    pub categories: Vec<Category>,
    /// A product, of the vendor's own or with the engine inside, whose name has this in it, whatever its case.
    pub products: Vec<String>,
    /// Its address is one of these.
    pub addresses: Vec<AddressRange>,
    /// What it is to the traffic.
    pub roles: Vec<Role>,
    /// Its outer VLAN tag.
    pub vlans: Vec<u16>,
}

impl HostFilter {
    /// Whether a host is asked for.
    #[must_use]
    pub fn accepts(&self, host: &HostFinding) -> bool {
        let names_product = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            host.products.all.iter().chain(&host.engine_in.all).any(|product| product.to_lowercase().contains(&wanted))
        };
        self.verdict.is_none_or(|verdict| host.verdict <= verdict)
            && self.since.is_none_or(|since| host.last_seen >= since)
            && self.not_since.is_none_or(|since| host.last_seen < since)
            && self.until.is_none_or(|until| host.first_seen <= until)
            && one_of(&self.categories, |category| host.categories.contains(category))
            && one_of(&self.products, names_product)
            && one_of(&self.addresses, |range| range.contains(host.host.address))
            && one_of(&self.roles, |&role| host.role == role)
            && one_of(&self.vlans, |&vlan| host.host.zone.vlan == Some(vlan))
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { verdict, since, not_since, until, categories, products, addresses, roles, vlans } = self;
        verdict.is_none()
            && since.is_none()
            && not_since.is_none()
            && until.is_none()
            && categories.is_empty()
            && products.is_empty()
            && addresses.is_empty()
            && roles.is_empty()
            && vlans.is_empty()
    }
}

fn one_of<T>(wanted: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(holds)
}

/// An address, or all that begin alike: `10.20.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    /// Leading bits that must be equal.
    bits: u8,
}

impl AddressRange {
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

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address and no range such as 10.20.0.0/16 or 2001:db8::/32");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if first.is_ipv4() { 32 } else { 128 };
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
