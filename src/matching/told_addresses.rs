//! Addresses that clients were told for names that we know: one bit for each hash, so that nearly all others are known to be strangers by
//! one look.

use std::net::IpAddr;

const BITS: usize = 1 << 16;

/// A set of addresses that may say yes to a stranger, and never no to a member. It only grows.
#[derive(Clone, Debug, Default)]
pub struct ToldAddresses {
    /// Empty as long as the set is.
    words: Vec<u64>,
}

impl ToldAddresses {
    /// Adds an address.
    pub fn insert(&mut self, address: IpAddr) {
        self.words.resize(BITS / 64, 0);
        let (word, bit) = place(address);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
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
    let hash = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % BITS;
    (hash / 64, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn members_are_found_and_strangers_seldom() {
        let mut told = ToldAddresses::default();
        let address = |number: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number * 7));
        assert!(!told.may_contain(address(1)));
        (0..1_000).for_each(|number| told.insert(address(number)));
        told.insert("2001:db8::7".parse().expect("an address"));
        assert!((0..1_000).all(|number| told.may_contain(address(number))));
        assert!(told.may_contain("2001:db8::7".parse().expect("an address")));
        let mistaken = (1_000..11_000).filter(|&number| told.may_contain(address(number))).count();
        assert!(mistaken < 400, "{mistaken} of 10000");
    }
}
