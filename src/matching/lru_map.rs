//! What was lately seen, by key: bounded, and what has the lowest priority goes first.

use crate::capture::Timestamp;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::Hash;

/// What is kept for a key, ranked by how much would be lost with it.
pub trait RetentionPriority {
    /// What has the lowest is evicted first; of equals, what came first.
    fn retention_priority(&self) -> u64;
}

/// Of times, the latest stays longest.
impl RetentionPriority for Timestamp {
    fn retention_priority(&self) -> u64 {
        self.0
    }
}

/// A map that holds at most so many entries.
#[derive(Debug)]
pub struct LruMap<K, V> {
    /// Each with its number, in the order in which they came.
    entries: HashMap<K, (u64, V), FixedState>,
    most: usize,
    next: u64,
    dropped: u64,
}

impl<K: Eq + Hash, V: RetentionPriority> LruMap<K, V> {
    /// An empty map for at most `most` entries.
    pub fn with_limit(most: usize) -> Self {
        Self { entries: HashMap::default(), most, next: 0, dropped: 0 }
    }

    /// The entry of `key`.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// The entry of `key`, made by `fresh` if there is none; others may have to go for it.
    pub fn get_or_insert_with(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.make_room();
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
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Once all places are taken, the eighth with the lowest priority goes at once: one by one, each would cost a look at all others.
    fn make_room(&mut self) {
        if self.entries.len() < self.most {
            return;
        }
        let going = (self.most / 8).max(1);
        let mut ranked: Vec<_> =
            self.entries.values().map(|(number, value)| (value.retention_priority(), *number)).collect();
        let (_, &mut limit, _) = ranked.select_nth_unstable(going - 1);
        self.entries.retain(|_, (number, value)| (value.retention_priority(), *number) > limit);
        self.dropped += going as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Its hundreds.
    impl RetentionPriority for u32 {
        fn retention_priority(&self) -> u64 {
            u64::from(self / 100)
        }
    }

    #[test]
    fn what_has_a_higher_priority_stays() {
        let mut recent = LruMap::with_limit(16);
        for key in 0..1_000 {
            recent.get_or_insert_with(key, || if key == 3 { 100 } else { 1 });
        }
        assert_eq!(recent.get_mut(&3), Some(&mut 100));
        assert_eq!((recent.get_mut(&999).copied(), recent.get_mut(&900).copied()), (Some(1), None));
        assert_eq!(recent.dropped() + recent.entries.len() as u64, 1_000);
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut recent = LruMap::with_limit(2);
        for key in [1_u32, 2, 1, 3] {
            recent.get_or_insert_with(key, || key * 10);
        }
        assert_eq!((recent.get_mut(&1).copied(), recent.dropped()), (None, 1));
        assert_eq!((recent.get_mut(&2).copied(), recent.get_mut(&3).copied()), (Some(20), Some(30)));
        recent.remove(&2);
        recent.get_or_insert_with(4, || 40);
        assert_eq!(recent.dropped(), 1, "there was room");
        // The key that was taken away and came again is the youngest.
        recent.get_or_insert_with(2, || 21);
        assert_eq!((recent.get_mut(&3).copied(), recent.get_mut(&2).copied()), (None, Some(21)));
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_limit(steps in prop::collection::vec((0_u32..20, any::<bool>()), 0..400)) {
            let mut recent = LruMap::with_limit(4);
            for (key, takes) in steps {
                if takes {
                    recent.remove(&key);
                    prop_assert!(recent.get_mut(&key).is_none());
                } else {
                    recent.get_or_insert_with(key, || key);
                    prop_assert_eq!(recent.get_mut(&key), Some(&mut key.clone()));
                }
                prop_assert!(recent.entries.len() <= 4);
            }
        }
    }
}
