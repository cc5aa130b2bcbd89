//! Ports: which are worth a look, and which indicator one has.

use crate::decode::FiveTuple;
use crate::matching::{Category, Indicator, IndicatorIndex, MatchKind};

/// One bit for each port of a protocol.
type Bits = Box<[u64; 1024]>;

/// The port matcher.
#[derive(Debug)]
pub struct Ports {
    tcp: Bits,
    udp: Bits,
    /// Narrowest first.
    ranges: Vec<(PortRange, IndicatorIndex)>,
}

/// Some neighbouring ports of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// IP protocol number.
    pub protocol: u8,
    /// The first.
    pub low: u16,
    /// The last.
    pub high: u16,
}

impl PortRange {
    /// Whether it holds this port.
    pub const fn contains(&self, port: u16, protocol: u8) -> bool {
        self.protocol == protocol && self.low <= port && port <= self.high
    }
}

impl Ports {
    /// Compiles the management ports among `indicators`, and `more` that are of interest without an indicator of their own.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)], more: impl Iterator<Item = PortRange>) -> Self {
        let mut ranges: Vec<_> = indicators
            .iter()
            .filter(|(_, one)| one.kind == MatchKind::Port)
            .filter(|(_, one)| matches!(one.category, Category::Management | Category::CloudConsole))
            .filter_map(|&(index, one)| Some((parse(&one.value).ok()?, index)))
            .collect();
        ranges.sort_by_key(|&(range, index)| (range.high - range.low, index));
        let mut ports = Self { tcp: Box::new([0; 1024]), udp: Box::new([0; 1024]), ranges: Vec::new() };
        for range in ranges.iter().map(|&(range, _)| range).chain(more) {
            let bits = if range.protocol == FiveTuple::TCP { &mut ports.tcp } else { &mut ports.udp };
            for port in range.low..=range.high {
                if let Some(word) = bits.get_mut(usize::from(port >> 6)) {
                    *word |= 1 << (port & 63);
                }
            }
        }
        ports.ranges = ranges;
        ports
    }

    /// Whether a flow with this port may be management traffic.
    #[inline]
    pub fn is_of_interest(&self, port: u16, protocol: u8) -> bool {
        let bits = match protocol {
            FiveTuple::TCP => &self.tcp,
            FiveTuple::UDP => &self.udp,
            _ => return false,
        };
        bits.get(usize::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 == 1)
    }

    /// The indicator of the narrowest range that holds the port.
    pub fn find(&self, port: u16, protocol: u8) -> Option<IndicatorIndex> {
        if !self.is_of_interest(port, protocol) {
            return None;
        }
        self.ranges.iter().find(|(range, _)| range.contains(port, protocol)).map(|&(_, index)| index)
    }
}

/// Reads `tcp/13000` or `udp/23100-23199`.
///
/// # Errors
/// What is wrong with it, and what would be right, in words.
pub fn parse(value: &str) -> Result<PortRange, String> {
    let wrong = || format!("bad port {value:?}; expected the form tcp/13000 or udp/23100-23199");
    let (transport, ports) = value.split_once('/').ok_or_else(wrong)?;
    let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
    let (low, high): (u16, u16) = low.parse().ok().zip(high.parse().ok()).ok_or_else(wrong)?;
    let protocol = match transport {
        "tcp" => FiveTuple::TCP,
        "udp" => FiveTuple::UDP,
        _ => return Err(wrong()),
    };
    if 0 < low && low <= high { Ok(PortRange { protocol, low, high }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::matching::SignatureSet;

    #[test]
    fn management_ports_are_of_interest_and_have_indicators() {
        let set = SignatureSet::builtin();
        let value = |port, protocol| set.match_port(port, protocol).map(|index| set.get(index).value.as_str());
        assert_eq!(value(13000, 6), Some("tcp/13000"));
        assert_eq!(value(15000, 17), Some("udp/15000"));
        assert_eq!(value(23150, 6), Some("tcp/23100-23199"));
        for (port, protocol) in [(13000, 6), (14000, 6), (15000, 17), (13111, 6), (15111, 17), (27299, 6)] {
            assert!(set.is_port_of_interest(port, protocol), "{port}/{protocol}");
        }
        for (port, protocol) in [(13000, 1), (443, 6), (15000, 6), (0, 6), (u16::MAX, 17), (2001, 17), (23200, 6)] {
            assert!(!set.is_port_of_interest(port, protocol), "{port}/{protocol}");
            assert_eq!(value(port, protocol), None);
        }
    }

    #[test]
    fn the_bitmap_and_the_ranges_agree_on_every_port() {
        let set = SignatureSet::builtin();
        for port in 0..=u16::MAX {
            for protocol in [6, 17] {
                assert!(set.match_port(port, protocol).is_none() || set.is_port_of_interest(port, protocol));
            }
        }
    }

    #[test]
    fn values_are_read_or_refused_in_words() {
        assert_eq!(parse("tcp/1-65535").unwrap(), PortRange { protocol: 6, low: 1, high: 65535 });
        for wrong in ["", "13000", "tcp/0", "tcp/9-8", "sctp/1", "tcp/65536", "tcp/", "tcp/1-"] {
            assert!(parse(wrong).unwrap_err().contains("expected the form"), "{wrong}");
        }
    }
}
