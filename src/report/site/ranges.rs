//! Things by ranges of addresses, of which the most specific wins.

use crate::AddressRange;
use std::collections::HashMap;
use std::net::IpAddr;

/// Things by ranges, each range once.
#[derive(Clone, Debug)]
pub struct Ranges<T> {
    by_range: HashMap<AddressRange, usize>,
    /// In the order in which they came.
    things: Vec<T>,
    /// How many leading bits there are ranges of, most first: of IPv4, of IPv6.
    bits: [Vec<u8>; 2],
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self { by_range: HashMap::new(), things: Vec::new(), bits: Default::default() }
    }
}

impl<T> Ranges<T> {
    /// Adds what a range stands for, unless the range is there already.
    pub fn add(&mut self, range: AddressRange, thing: T) {
        let range = range.canonical();
        if self.by_range.contains_key(&range) {
            return;
        }
        self.by_range.insert(range, self.things.len());
        self.things.push(thing);
        let [v4, v6] = &mut self.bits;
        let bits = if range.ends().0.is_ipv4() { v4 } else { v6 };
        if let Err(place) = bits.binary_search_by(|known| range.bits().cmp(known)) {
            bits.insert(place, range.bits());
        }
    }

    /// What the most specific range says that an address lies in. At most one look-up for each length of ranges.
    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let [v4, v6] = &self.bits;
        let bits = if address.is_ipv4() { v4 } else { v6 };
        let number = bits.iter().find_map(|&bits| self.by_range.get(&AddressRange::around(address, bits)))?;
        self.things.get(*number)
    }

    /// What this very range stands for.
    pub fn get_mut(&mut self, range: AddressRange) -> Option<&mut T> {
        let number = self.by_range.get(&range.canonical())?;
        self.things.get_mut(*number)
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.things.iter()
    }

    pub const fn is_empty(&self) -> bool {
        self.things.is_empty()
    }
}
