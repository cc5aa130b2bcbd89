//! What was lately seen, by key: bounded, and the oldest goes first.

use foldhash::fast::FixedState;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map that holds at most so many entries.
#[derive(Debug)]
pub struct Recent<K, V> {
    entries: HashMap<K, (u64, V), FixedState>,
    /// Keys in the order in which they came, each with the number of the entry that it came for; of an entry that was taken away, the
    /// key stays until its turn.
    order: VecDeque<(u64, K)>,
    most: usize,
    next: u64,
    given_up: u64,
}

impl<K: Eq + Hash + Clone, V> Recent<K, V> {
    /// An empty map for at most `most` entries.
    pub fn with_limit(most: usize) -> Self {
        Self { entries: HashMap::default(), order: VecDeque::new(), most, next: 0, given_up: 0 }
    }

    /// The entry of `key`.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// The entry of `key`, made by `fresh` if there is none; the oldest entry may have to go for it.
    pub fn get_or_insert_with(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.make_room();
            self.order.push_back((self.next, key.clone()));
        }
        let next = &mut self.next;
        let (_, value) = self.entries.entry(key).or_insert_with(|| {
            let number = *next;
            *next += 1;
            (number, fresh())
        });
        value
    }

    /// Takes the entry of `key` away.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// Entries that had to go before their time.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    fn make_room(&mut self) {
        while self.entries.len() >= self.most {
            let Some((number, key)) = self.order.pop_front() else { break };
            if self.is_current(number, &key) {
                self.entries.remove(&key);
                self.given_up += 1;
            }
        }
        // Keys of entries that are gone must not pile up.
        if self.order.len() >= 2 * self.most {
            let order = std::mem::take(&mut self.order);
            self.order = order.into_iter().filter(|(number, key)| self.is_current(*number, key)).collect();
        }
    }

    fn is_current(&self, number: u64, key: &K) -> bool {
        self.entries.get(key).is_some_and(|&(current, _)| current == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut recent = Recent::with_limit(2);
        for key in [1, 2, 1, 3] {
            recent.get_or_insert_with(key, || key * 10);
        }
        assert_eq!((recent.get_mut(&1).copied(), recent.given_up()), (None, 1));
        assert_eq!((recent.get_mut(&2).copied(), recent.get_mut(&3).copied()), (Some(20), Some(30)));
        recent.remove(&2);
        recent.get_or_insert_with(4, || 40);
        assert_eq!(recent.given_up(), 1, "there was room");
        // The key that was taken away and came again is the youngest.
        recent.get_or_insert_with(2, || 21);
        assert_eq!((recent.get_mut(&3).copied(), recent.get_mut(&2).copied()), (None, Some(21)));
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_limit(steps in prop::collection::vec((0_u8..20, any::<bool>()), 0..400)) {
            let mut recent = Recent::with_limit(4);
            for (key, takes) in steps {
                if takes {
                    recent.remove(&key);
                    prop_assert!(recent.get_mut(&key).is_none());
                } else {
                    recent.get_or_insert_with(key, || key);
                    prop_assert_eq!(recent.get_mut(&key), Some(&mut key.clone()));
                }
                prop_assert!(recent.entries.len() <= 4 && recent.order.len() <= 8);
            }
        }
    }
}
