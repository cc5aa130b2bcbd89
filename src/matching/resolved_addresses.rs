//! Addresses that clients got from DNS for names that we know: a Bloom filter with one hash, so that one look shows of nearly all others
//! that they are unrelated.

use crate::capture::Timestamp;
use std::net::IpAddr;

/// Four for each binding that a ledger keeps: a flood of answers makes an unrelated address a suspect in one of five cases, not always.
const BITS: usize = 1 << 20;
/// How long an address is kept at least: as long as any answer is believed
/// ([`LIFETIME_MAX_S`](super::passive_dns::LIFETIME_MAX_S)), and a day. It is gone after twice that, or a sensor would take all of the
/// network for known after some months.
const KEPT_S: u64 = super::passive_dns::LIFETIME_MAX_S as u64 + 24 * 3600;

/// A set of addresses that may say yes to an unrelated address, and no to a member only when that was added long ago.
#[derive(Clone, Debug, Default)]
pub struct ResolvedAddresses {
    /// Empty as long as the set is.
    words: Vec<u64>,
    /// Those of `words` that were added since `since`.
    fresh: Vec<u64>,
    since: Timestamp,
}

impl ResolvedAddresses {
    /// Adds an address that a client got from DNS at `at`.
    pub fn insert(&mut self, address: IpAddr, at: Timestamp) {
        let clock_was_set_back = self.since.seconds().saturating_sub(at.seconds()) > KEPT_S;
        if self.words.is_empty() || clock_was_set_back {
            // Else nothing would be forgotten before the clock has come so far again.
            self.since = at;
        } else if at.seconds().saturating_sub(self.since.seconds()) > KEPT_S {
            self.words = std::mem::take(&mut self.fresh);
            self.since = at;
        }
        let (word, bit) = place(address);
        for words in [&mut self.words, &mut self.fresh] {
            words.resize(BITS / 64, 0);
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether the address may have been added; false for sure when it says no.
    #[inline]
    #[must_use]
    pub fn may_contain(&self, address: IpAddr) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let (word, bit) = place(address);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[allow(clippy::cast_possible_truncation)]
fn place(address: IpAddr) -> (usize, u64) {
    let number = match address {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(32)
        }
    };
    let hash = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % BITS;
    (hash / 64, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn members_are_found_and_strangers_seldom() {
        let mut resolved = ResolvedAddresses::default();
        let address = |number: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number * 7));
        assert!(!resolved.may_contain(address(1)));
        (0..1_000).for_each(|number| resolved.insert(address(number), Timestamp(0)));
        resolved.insert("2001:db8::7".parse().expect("an address"), Timestamp(0));
        assert!((0..1_000).all(|number| resolved.may_contain(address(number))));
        assert!(resolved.may_contain("2001:db8::7".parse().expect("an address")));
        let mistaken = (1_000..11_000).filter(|&number| resolved.may_contain(address(number))).count();
        assert!(mistaken < 400, "{mistaken} of 10000");
        (0..1 << 18).for_each(|number| resolved.insert(address(1 << 20 | number), Timestamp(0)));
        let mistaken = (1_000..11_000).filter(|&number| resolved.may_contain(address(number))).count();
        assert!(mistaken < 3_000, "{mistaken} of 10000 after a flood");
    }

    #[test]
    fn an_address_is_kept_for_as_long_as_its_answer_may_hold_and_then_forgotten() {
        let day = |number: u64| Timestamp(number * 86_400_000_000_000);
        let [early, late, last]: [IpAddr; 3] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into(), [192, 0, 2, 3].into()];
        let mut resolved = ResolvedAddresses::default();
        resolved.insert(early, day(100));
        resolved.insert(late, day(107));
        resolved.insert(last, day(109));
        assert!(
            [early, late, last].iter().all(|&address| resolved.may_contain(address)),
            "an answer of day 102 may hold"
        );
        resolved.insert(last, day(118));
        assert!(!resolved.may_contain(early) && !resolved.may_contain(late));
        assert!(resolved.may_contain(last));
    }

    #[test]
    fn a_packet_out_of_the_future_does_not_keep_addresses_for_ever() {
        let day = |number: u64| Timestamp(number * 86_400_000_000_000);
        let [early, odd, last]: [IpAddr; 3] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into(), [192, 0, 2, 3].into()];
        let mut resolved = ResolvedAddresses::default();
        resolved.insert(early, day(100));
        resolved.insert(odd, day(9000));
        resolved.insert(last, day(101));
        assert!(
            [early, odd, last].iter().all(|&address| resolved.may_contain(address)),
            "one odd time forgets nothing"
        );
        resolved.insert(last, day(110));
        resolved.insert(last, day(119));
        assert!(!resolved.may_contain(early) && !resolved.may_contain(odd));
    }
}
