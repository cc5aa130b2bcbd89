//! Who made a network card, by the prefix of its link-layer address in the registry of the IEEE (MA-L, MA-M, MA-S and IAB).
//!
//! The list is `makers.gz`, which `scripts/card-makers` writes: a line per maker, with its name, a tab, and its prefixes.

use flate2::read::GzDecoder;
use kaspector::decode::MacAddress;
use std::io::Read;
use std::sync::LazyLock;

/// What a link-layer address says of who made the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardMaker {
    /// This maker was given the address.
    Known(&'static str),
    /// Somebody made the address up for a while or for a machine that has no card: a telephone that does not want to be known again, a
    /// virtual machine (IEEE 802-2014 section 8.4, "locally administered").
    Local,
    /// Nobody, nobody who wants to be named, or nobody when the list was made.
    Unknown,
}

impl CardMaker {
    /// Who made the card with this address.
    #[must_use]
    pub fn of(mac: MacAddress) -> Self {
        let [first, ..] = mac.0;
        if first & 0b01 != 0 {
            return Self::Unknown;
        }
        if first & 0b10 != 0 {
            return Self::Local;
        }
        MAKERS.of(mac).map_or(Self::Unknown, Self::Known)
    }

    /// Its name, if there is one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Known(name) => Some(name),
            Self::Local | Self::Unknown => None,
        }
    }
}

/// Digits of prefixes, the longest first: it says more than the block that it is of.
const DIGITS: [u32; 3] = [9, 7, 6];
/// Digits of an address.
const ADDRESS_DIGITS: u32 = 12;
/// Bytes of the list at most, so that a list that was spoilt costs no more.
const LIST_MAX: u64 = 8 << 20;

/// Made when it is first asked for: most answers name no card.
static MAKERS: LazyLock<Makers> = LazyLock::new(Makers::read);

/// Prefixes by their digits and their number, with the names of their makers.
struct Makers(Vec<((u32, u64), &'static str)>);

impl Makers {
    fn read() -> Self {
        let mut text = String::new();
        let list = GzDecoder::new(&include_bytes!("makers.gz")[..]).take(LIST_MAX).read_to_string(&mut text);
        list.expect("the list is part of the program and was read by a test");
        // For as long as the program runs.
        let text: &'static str = text.leak();
        let mut makers: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .flat_map(|(name, prefixes)| prefixes.split(' ').filter_map(key).map(move |key| (key, name)))
            .collect();
        makers.sort_unstable();
        Self(makers)
    }

    fn of(&self, mac: MacAddress) -> Option<&'static str> {
        let address = mac.0.iter().fold(0, |address, &byte| address << 8 | u64::from(byte));
        DIGITS.into_iter().find_map(|digits| {
            let key = (digits, address >> (4 * (ADDRESS_DIGITS - digits)));
            let place = self.0.binary_search_by_key(&key, |&(key, _)| key).ok()?;
            self.0.get(place).map(|&(_, name)| name)
        })
    }
}

/// A prefix, by which it is looked up.
fn key(prefix: &str) -> Option<(u32, u64)> {
    Some((u32::try_from(prefix.len()).ok()?, u64::from_str_radix(prefix, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mac: [u8; 6]) -> CardMaker {
        CardMaker::of(MacAddress(mac))
    }

    #[test]
    fn the_longest_prefix_names_the_maker() {
        assert_eq!(of([0x00, 0x00, 0x0c, 1, 2, 3]), CardMaker::Known("Cisco Systems, Inc"));
        assert_eq!(of([0xfc, 0xd2, 0xb6, 0x1f, 0, 1]).name(), Some("LINK (FAR-EAST) CORPORATION"));
        assert_eq!(of([0x70, 0xb3, 0xd5, 0x00, 0x1f, 0xff]).name(), Some("SOREDI touch systems GmbH"));
        // The registry's own block, of which this piece is nobody's.
        assert_eq!(of([0x00, 0x55, 0xda, 0xff, 0xff, 0xff]), CardMaker::Unknown);
    }

    #[test]
    fn what_somebody_made_up_has_no_maker() {
        assert_eq!(of([0x02, 0x42, 0xac, 0x11, 0, 2]), CardMaker::Local);
        assert_eq!(of([0xda, 0xa1, 0x19, 0, 0, 1]), CardMaker::Local);
        assert_eq!(of([0x01, 0x00, 0x5e, 0, 0, 1]), CardMaker::Unknown, "a group is no card");
    }

    #[test]
    fn the_list_is_whole_and_holds_each_prefix_once() {
        assert!(MAKERS.0.len() > 50_000);
        assert!(MAKERS.0.is_sorted_by(|(one, _), (next, _)| one < next));
        for &((digits, _), name) in &MAKERS.0 {
            assert!(DIGITS.contains(&digits), "{name}");
            assert!(!name.is_empty() && name.len() <= 255 && !name.contains(char::is_control), "{name}");
        }
    }
}
