//! Addresses: the longest prefix.

use crate::matching::{Indicator, IndicatorIndex, MatchKind};
use std::net::IpAddr;

/// The address matcher.
#[derive(Debug, Default)]
pub struct Addresses {
    v4: Ranges,
    v6: Ranges,
}

/// A range of addresses of one family; IPv4 addresses are numbers below 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    is_v4: bool,
    first: u128,
    last: u128,
}

impl Range {
    /// Whether `address` lies in it; an IPv4 address mapped into IPv6 counts as the IPv4 address that it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (is_v4, number) = number(address);
        is_v4 == self.is_v4 && (self.first..=self.last).contains(&number)
    }
}

impl Addresses {
    /// Compiles the addresses among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)]) -> Self {
        let of = |v4: bool| {
            let ranges = indicators
                .iter()
                .filter(|(_, one)| one.kind == MatchKind::Address)
                .filter_map(|&(index, one)| Some((parse(&one.value).ok()?, index)))
                .filter(|(range, _)| range.is_v4 == v4);
            Ranges::build(
                ranges.map(|(range, index)| Part { first: range.first, last: range.last, index }).collect(),
                v4,
            )
        };
        Self { v4: of(true), v6: of(false) }
    }

    /// The indicator with the longest prefix that holds `address`.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Option<IndicatorIndex> {
        match number(address) {
            (true, number) => self.v4.find(number, 16),
            (false, number) => self.v6.find(number, 112),
        }
    }
}

/// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
///
/// # Errors
/// What is wrong with it, and what would be right, in words.
pub fn parse(value: &str) -> Result<Range, String> {
    let (text, length) = value.split_once('/').map_or((value, None), |(text, length)| (text, Some(length)));
    let address: IpAddr = text
        .parse()
        .map_err(|_| format!("bad address {value:?}; expected the form 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"))?;
    let (is_v4, first) = match address {
        IpAddr::V4(v4) => (true, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (false, u128::from(v6)),
    };
    let (bits, shortest): (u32, u32) = if is_v4 { (32, 8) } else { (128, 16) };
    let length = match length {
        None => bits,
        Some(length) => length
            .parse()
            .ok()
            .filter(|length| *length <= bits && !value.contains("/+"))
            .ok_or_else(|| format!("bad prefix length in {value:?}; expected a number from {shortest} to {bits}"))?,
    };
    if length < shortest {
        return Err(format!("the range {value:?} is too wide to say anything; the shortest prefix is /{shortest}"));
    }
    let host = if length == bits { 0 } else { (1_u128 << (bits - length)) - 1 };
    if first & host != 0 {
        let network = match u32::try_from(first & !host) {
            Ok(number) if is_v4 => IpAddr::from(number.to_be_bytes()),
            _ => IpAddr::from((first & !host).to_be_bytes()),
        };
        return Err(format!("the address in {value:?} is not the first of its range; write {network}/{length}"));
    }
    Ok(Range { is_v4, first, last: first | host })
}

/// The family and the number of an address.
fn number(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (true, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (false, u128::from(v6)),
    }
}

/// Ranges of one family, cut up so that none overlaps another, in order.
#[derive(Debug, Default)]
struct Ranges {
    /// Which upper halves (of IPv6: first 16 bits) occur at all: most addresses fail here.
    upper: Vec<u64>,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    first: u128,
    last: u128,
    index: IndicatorIndex,
}

impl Ranges {
    fn build(mut nested: Vec<Part>, is_v4: bool) -> Self {
        if nested.is_empty() {
            return Self::default();
        }
        let shift = if is_v4 { 16 } else { 112 };
        let mut upper = vec![0_u64; 1 << 10];
        for range in &nested {
            for half in range.first >> shift..=range.last >> shift {
                if let Some(word) = upper.get_mut((half >> 6) as usize) {
                    *word |= 1 << (half & 63);
                }
            }
        }
        // Prefixes are either nested or apart, so a stack of the open ones is enough: the innermost owns what comes next.
        nested.sort_by_key(|range| (range.first, std::cmp::Reverse(range.last)));
        let mut parts = Vec::new();
        let mut open: Vec<Part> = Vec::new();
        let mut next = 0;
        for range in nested {
            close(&mut open, &mut parts, &mut next, Some(range.first));
            if let Some(outer) = open.last()
                && next < range.first
            {
                parts.push(Part { first: next, last: range.first - 1, index: outer.index });
            }
            next = range.first;
            open.push(range);
        }
        close(&mut open, &mut parts, &mut next, None);
        Self { upper, parts }
    }

    #[inline]
    fn find(&self, number: u128, shift: u32) -> Option<IndicatorIndex> {
        let half = number >> shift;
        if self.upper.get((half >> 6) as usize)? & (1 << (half & 63)) == 0 {
            return None;
        }
        let at = self.parts.partition_point(|part| part.last < number);
        self.parts.get(at).filter(|part| part.first <= number).map(|part| part.index)
    }
}

/// Ends the open ranges that end before `until`, innermost first.
fn close(open: &mut Vec<Part>, parts: &mut Vec<Part>, next: &mut u128, until: Option<u128>) {
    while let Some(innermost) = open.pop_if(|range| until.is_none_or(|until| range.last < until)) {
        if *next <= innermost.last {
            parts.push(Part { first: *next, ..innermost });
        }
        // The last address of all has no successor; nothing can follow it.
        *next = (*next).max(innermost.last.saturating_add(1));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::matching::signature_set::tests::indicator;
    use proptest::prelude::*;

    fn build(values: &[&str]) -> Addresses {
        let indicators: Vec<_> = values.iter().map(|value| indicator(MatchKind::Address, value)).collect();
        let numbered: Vec<_> =
            indicators.iter().enumerate().map(|(at, one)| (IndicatorIndex(at as u32), one)).collect();
        Addresses::build(&numbered)
    }

    fn find(addresses: &Addresses, address: &str) -> Option<u32> {
        addresses.find(address.parse().unwrap()).map(|index| index.0)
    }

    #[test]
    fn the_longest_prefix_wins() {
        let addresses =
            build(&["77.74.176.0/21", "77.74.180.0/22", "77.74.181.7", "2a03:2480::/33", "2a03:2480:68::/47"]);
        for (address, expected) in [
            ("77.74.175.255", None),
            ("77.74.176.0", Some(0)),
            ("77.74.179.255", Some(0)),
            ("77.74.180.0", Some(1)),
            ("77.74.181.6", Some(1)),
            ("77.74.181.7", Some(2)),
            ("77.74.181.8", Some(1)),
            ("77.74.183.255", Some(1)),
            ("77.74.184.0", None),
            ("::ffff:77.74.181.7", Some(2)),
            ("2a03:2480::1", Some(3)),
            ("2a03:2480:69::1", Some(4)),
            ("2a03:2480:6a::", Some(3)),
            ("2a03:2480:8000::", None),
            ("2a03:2481::", None),
        ] {
            assert_eq!(find(&addresses, address), expected, "{address}");
        }
    }

    #[test]
    fn an_empty_set_holds_no_address() {
        let addresses = build(&[]);
        assert_eq!(find(&addresses, "0.0.0.0"), None);
        assert_eq!(find(&addresses, "::"), None);
    }

    #[test]
    fn the_last_addresses_of_all_are_reached() {
        let addresses = build(&[
            "ff00::/16",
            "ffff::/16",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "255.255.255.255",
            "255.0.0.0/8",
        ]);
        assert_eq!(find(&addresses, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(2));
        assert_eq!(find(&addresses, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), Some(1));
        assert_eq!(find(&addresses, "255.255.255.255"), Some(3));
        assert_eq!(find(&addresses, "255.255.255.254"), Some(4));
    }

    #[test]
    fn what_cannot_be_a_range_is_said() {
        for (value, word) in [
            ("192.0.2.256", "bad address"),
            ("192.0.2.0/33", "bad prefix length"),
            ("192.0.2.0/", "bad prefix length"),
            ("192.0.2.0/+24", "bad prefix length"),
            ("10.0.0.0/7", "too wide"),
            ("2001::/15", "too wide"),
            ("192.0.2.1/24", "write 192.0.2.0/24"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
            ("example.com", "bad address"),
        ] {
            let said = parse(value).unwrap_err();
            assert!(said.contains(word), "{value}: {said}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_matcher_finds_the_longest_prefix(
            networks in prop::collection::btree_set((0_u32..1024, 22_u32..=32), 0..24),
            hosts in prop::collection::vec(0_u32..1100, 1..40),
        ) {
            let base = 0x0a00_0000_u32;
            let cut = |host: u32, length: u32| (base + host) & (u32::MAX << (32 - length));
            let values: std::collections::BTreeSet<(u32, u32)> = networks.iter().map(|&(host, length)| (cut(host, length), length)).collect();
            let values: Vec<_> = values.into_iter().collect();
            let texts: Vec<_> = values.iter().map(|(net, length)| format!("{}/{length}", std::net::Ipv4Addr::from(*net))).collect();
            let addresses = build(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            for host in hosts {
                let address = base + host;
                let expected = values.iter().enumerate()
                    .filter(|(_, (net, length))| address & (u32::MAX << (32 - length)) == *net)
                    .max_by_key(|(_, (_, length))| *length)
                    .map(|(at, _)| IndicatorIndex(at as u32));
                prop_assert_eq!(addresses.find(std::net::Ipv4Addr::from(address).into()), expected);
            }
        }
    }
}
