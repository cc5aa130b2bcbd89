//! What was seen of each address: a hash table whose memory can be asked for ahead of its turn. A flood of senders finds nothing of it in the
//! processor's caches, and a sensor cannot wait for each.

use super::Seen;
use crate::capture::prefetch;
use crate::matching::HostKey;
use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// Rows that are free already, counted from the next one to be taken, whose memory is asked for.
const FREE_AHEAD: usize = 8;
/// Bits of a cell that number a row from 1; the others hold a part of its hash. Zero is a free cell.
const ROW_BITS: u32 = 20;
const ROW: u32 = (1 << ROW_BITS) - 1;
/// Most rows that there can be; the bounds of [`Machines`](super::Machines) are far below.
pub(super) const ROWS_MAX: usize = ROW as usize;

/// Rows by address. They lie, and are gone through, in the order in which they came, but for rows that took the places of dropped ones;
/// where the index looks for them is told by a random hash, so that nobody can aim at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    rows: Vec<Option<(HostKey, Seen)>>,
    /// Of each row; zero of those that are free.
    hashes: Vec<u32>,
    free: Vec<u32>,
    /// A power of two of cells, at most half of which are taken. A row whose cell is taken goes to the next.
    index: Vec<u32>,
    random: RandomState,
}

impl Addresses {
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&HostKey, &Seen)> {
        self.rows.iter().flatten().map(|(host, seen)| (host, seen))
    }

    pub fn get(&self, host: &HostKey) -> Option<&Seen> {
        let row = self.find(host, self.hash(host))?;
        self.rows.get(row)?.as_ref().map(|(_, seen)| seen)
    }

    pub fn get_mut(&mut self, host: &HostKey) -> Option<&mut Seen> {
        let row = self.find(host, self.hash(host))?;
        self.row_mut(row)
    }

    /// What was seen of an address; nothing yet, if it is new.
    pub fn entry(&mut self, host: HostKey) -> &mut Seen {
        let hash = self.hash(&host);
        let row = self.find(&host, hash).unwrap_or_else(|| self.insert(host, hash));
        self.row_mut(row).expect("the row was found or made")
    }

    /// Asks for the cell that leads to an address.
    pub fn prefetch_cell(&self, host: &HostKey) {
        if let Some(cell) = self.index.get(self.first_cell(self.hash(host))) {
            prefetch(cell);
        }
    }

    /// Asks for the row of an address, some time after its cell.
    pub fn prefetch_row(&self, host: &HostKey) {
        let hash = self.hash(host);
        let first = self.first_cell(hash);
        // Nearly all lie in the first cell or the one behind it.
        let cells = self.index.get(first..).unwrap_or_default().iter().take(2);
        if let Some(row) = cells.filter_map(|&cell| row_of(cell, hash)).find_map(|row| self.rows.get(row)) {
            prefetch(row);
        }
    }

    /// Drops rows, numbered as in [`Self::numbered`], and gives what was in them.
    pub fn drop_rows(&mut self, numbers: &[u32], mut dropped: impl FnMut(Seen)) {
        for &number in numbers {
            let row = number as usize;
            if let Some((_, seen)) = self.rows.get_mut(row).and_then(Option::take) {
                dropped(seen);
                self.free.push(number);
                if let Some(hash) = self.hashes.get_mut(row) {
                    *hash = 0;
                }
            }
        }
        self.index_anew(self.index.len());
    }

    /// All rows by number.
    #[allow(clippy::cast_possible_truncation)]
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &HostKey, &Seen)> {
        let rows = self.rows.iter().enumerate();
        rows.filter_map(|(number, row)| row.as_ref().map(|(host, seen)| (number as u32, host, seen)))
    }

    /// The address in a row.
    pub fn host(&self, number: u32) -> Option<&HostKey> {
        self.rows.get(number as usize)?.as_ref().map(|(host, _)| host)
    }

    fn row_mut(&mut self, row: usize) -> Option<&mut Seen> {
        self.rows.get_mut(row)?.as_mut().map(|(_, seen)| seen)
    }

    /// Never zero.
    #[allow(clippy::cast_possible_truncation)]
    fn hash(&self, host: &HostKey) -> u32 {
        (self.random.hash_one(host) >> 32) as u32 | 1 << 31
    }

    fn first_cell(&self, hash: u32) -> usize {
        hash as usize & self.index.len().wrapping_sub(1)
    }

    fn find(&self, host: &HostKey, hash: u32) -> Option<usize> {
        let first = self.first_cell(hash);
        for step in 0..self.index.len() {
            let &cell = self.index.get((first + step) & (self.index.len() - 1))?;
            if cell == 0 {
                return None;
            }
            if let Some(row) = row_of(cell, hash)
                && self.rows.get(row).and_then(Option::as_ref).is_some_and(|(known, _)| known == host)
            {
                return Some(row);
            }
        }
        None
    }

    fn insert(&mut self, host: HostKey, hash: u32) -> usize {
        if (self.len() + 1) * 2 > self.index.len() {
            self.index_anew((self.index.len() * 2).max(16));
        }
        let new = Some((host, Seen::default()));
        let row = if let Some(free) = self.free.pop() {
            let ahead = self.free.len().checked_sub(FREE_AHEAD).and_then(|ahead| self.free.get(ahead));
            ahead.and_then(|&ahead| self.rows.get(ahead as usize)).inspect(|row| prefetch(*row));
            let row = free as usize;
            if let (Some(place), Some(known)) = (self.rows.get_mut(row), self.hashes.get_mut(row)) {
                (*place, *known) = (new, hash);
            }
            row
        } else {
            self.rows.push(new);
            self.hashes.push(hash);
            self.rows.len() - 1
        };
        take_cell(&mut self.index, row, hash);
        row
    }

    /// Writes the index anew, with so many cells.
    fn index_anew(&mut self, cells: usize) {
        self.index.clear();
        self.index.resize(cells, 0);
        for (row, &hash) in self.hashes.iter().enumerate().filter(|&(_, &hash)| hash != 0) {
            take_cell(&mut self.index, row, hash);
        }
    }
}

/// The row of a cell, if it may be one with this hash.
const fn row_of(cell: u32, hash: u32) -> Option<usize> {
    if cell != 0 && (cell ^ hash) >> ROW_BITS == 0 { Some((cell & ROW) as usize - 1) } else { None }
}

/// Puts a row into the first free cell from its own on; there is one.
#[allow(clippy::cast_possible_truncation)]
fn take_cell(index: &mut [u32], row: usize, hash: u32) {
    let mask = index.len().wrapping_sub(1);
    let first = hash as usize & mask;
    for step in 0..index.len() {
        if let Some(cell) = index.get_mut((first + step) & mask)
            && *cell == 0
        {
            *cell = hash & !ROW | (row as u32 + 1);
            return;
        }
    }
}

impl FromIterator<(HostKey, Seen)> for Addresses {
    fn from_iter<I: IntoIterator<Item = (HostKey, Seen)>>(rows: I) -> Self {
        let mut addresses = Self::default();
        rows.into_iter().for_each(|(host, seen)| *addresses.entry(host) = seen);
        addresses
    }
}

impl IntoIterator for Addresses {
    type Item = (HostKey, Seen);
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Option<(HostKey, Seen)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::Zone;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    fn host(number: u16) -> HostKey {
        HostKey { address: Ipv4Addr::from(0x0a00_0000 + u32::from(number)).into(), zone: Zone::default() }
    }

    proptest! {
        /// What a map of the standard library holds, whatever is put in and dropped.
        #[test]
        fn it_holds_what_a_map_holds(steps in prop::collection::vec((any::<bool>(), 0..600_u16, 0..40_usize), 1..600)) {
            let (mut addresses, mut map) = (Addresses::default(), BTreeMap::new());
            for (puts, number, several) in steps {
                if puts {
                    let seen = addresses.entry(host(number));
                    seen.flows.named += 1;
                    *map.entry(host(number)).or_insert(0) += 1;
                } else {
                    let numbers: Vec<u32> = addresses.numbered().map(|(number, ..)| number).take(several).collect();
                    for &number in &numbers {
                        map.remove(addresses.host(number).unwrap());
                    }
                    let mut dropped = 0;
                    addresses.drop_rows(&numbers, |_| dropped += 1);
                    prop_assert_eq!(dropped, numbers.len());
                }
                addresses.prefetch_cell(&host(number));
                addresses.prefetch_row(&host(number));
                prop_assert_eq!(addresses.len(), map.len());
                prop_assert_eq!(addresses.get(&host(number)).map(|seen| seen.flows.named), map.get(&host(number)).copied());
            }
            let all: BTreeMap<HostKey, u64> = addresses.iter().map(|(host, seen)| (*host, seen.flows.named)).collect();
            prop_assert_eq!(&all, &map);
            let anew: Addresses = addresses.into_iter().collect();
            prop_assert_eq!(anew.iter().map(|(host, seen)| (*host, seen.flows.named)).collect::<BTreeMap<_, _>>(), map);
        }
    }
}
