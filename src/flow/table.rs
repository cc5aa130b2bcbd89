//! The flow table: fixed memory, bounded probes, no displacement, no timers.
//!
//! A key has two candidate buckets of one cache line each, twelve slots per bucket; the second is looked at only when the
//! first has overflowed. Entries live in a slab, so a lookup touches two lines, both of which [`FlowTable::prefetch`] can ask for
//! ahead. When both buckets are full the least valuable entry of the two makes room; that is the only way in which a live flow is
//! lost, and it is counted.

use super::FlowKey;
use super::prefetch::prefetch;
use crate::capture::Timestamp;

/// Index of a flow in its table; valid until the flow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// What the table needs to know of the state that its caller keeps per flow.
pub trait FlowState {
    /// How long the flow may be silent before its entry is taken for another, in nanoseconds.
    fn idle_timeout(&self) -> u64;
    /// How much is lost if the flow is evicted; the lowest goes first, the oldest of equals.
    fn value(&self) -> u8;
}

#[derive(Debug)]
struct Entry<S> {
    key: FlowKey,
    hash: u64,
    last_seen: Timestamp,
    /// `None` while the entry is free.
    state: Option<S>,
}

const SLOTS: usize = 12;

/// One cache line: twelve tags, twelve entry numbers (0 is free, else entry + 1), and whether a key went on to its second bucket.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Bucket {
    entries: [u32; SLOTS],
    tags: [u8; SLOTS],
    overflowed: bool,
}

const _: () = assert!(size_of::<Bucket>() == 64);

const EMPTY: Bucket = Bucket { entries: [0; SLOTS], tags: [0; SLOTS], overflowed: false };

/// Flows by key, each with a state `S`.
#[derive(Debug)]
pub struct FlowTable<S> {
    buckets: Vec<Bucket>,
    mask: u64,
    entries: Vec<Entry<S>>,
    capacity: usize,
    free: Vec<u32>,
    sweep_at: usize,
    evicted: u64,
}

/// What [`FlowTable::find_or_open`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The flow was there.
    Known(Slot),
    /// The flow is new, its state as given.
    Opened(Slot),
}

impl<S: FlowState> FlowTable<S> {
    /// A table for at most `capacity` flows; memory is reserved now and touched as flows come.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        // On average at most six of a bucket's twelve slots are taken, so eviction before the slab is full is rare.
        let buckets = (capacity / (SLOTS / 2)).next_power_of_two().max(2);
        Self {
            buckets: vec![EMPTY; buckets],
            mask: buckets as u64 - 1,
            entries: Vec::with_capacity(capacity),
            capacity,
            free: Vec::new(),
            sweep_at: 0,
            evicted: 0,
        }
    }

    /// Asks for the first bucket of `hash`.
    pub fn prefetch(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(self.first(hash)) {
            prefetch(bucket);
        }
    }

    /// Asks for the entry that `hash` probably leads to; call some packets after [`Self::prefetch`].
    pub fn prefetch_entry(&self, hash: u64) {
        let Some(bucket) = self.buckets.get(self.first(hash)) else { return };
        let tag = tag(hash);
        for (&entry, &candidate) in bucket.entries.iter().zip(&bucket.tags) {
            if candidate == tag && entry != 0 {
                if let Some(entry) = self.entries.get(entry as usize - 1) {
                    prefetch(entry);
                    prefetch(&entry.state);
                }
                return;
            }
        }
    }

    /// The flow of `key`, opened with `open()` if it is new or has been idle for too long.
    ///
    /// `ended` takes the key and state of every flow that had to go.
    pub fn find_or_open(
        &mut self,
        key: &FlowKey,
        hash: u64,
        at: Timestamp,
        open: impl FnOnce() -> S,
        mut ended: impl FnMut(&FlowKey, S),
    ) -> Found {
        if let Some(slot) = self.find(key, hash) {
            let entry = self.entries.get_mut(slot.0 as usize).expect("a found slot lies in the slab");
            let state = entry.state.as_ref().expect("a found entry is in use");
            if at.since(entry.last_seen) <= state.idle_timeout() {
                entry.last_seen = entry.last_seen.max(at);
                return Found::Known(slot);
            }
            entry.last_seen = at;
            if let Some(old) = entry.state.replace(open()) {
                ended(key, old);
            }
            return Found::Opened(slot);
        }
        Found::Opened(self.insert(key, hash, at, open(), ended))
    }

    /// The flow of `key`, if it is there.
    #[must_use]
    pub fn find(&self, key: &FlowKey, hash: u64) -> Option<Slot> {
        let first = self.buckets.get(self.first(hash))?;
        if let Some(slot) = self.find_in(first, key, hash) {
            return Some(slot);
        }
        if !first.overflowed {
            return None;
        }
        self.find_in(self.buckets.get(self.second(hash))?, key, hash)
    }

    /// The state of a flow.
    ///
    /// # Panics
    /// When `slot` was not given by this table for a flow that still lives: a bug of the caller.
    pub fn state(&mut self, slot: Slot) -> &mut S {
        self.entries.get_mut(slot.0 as usize).and_then(|entry| entry.state.as_mut()).expect("the slot's flow lives")
    }

    /// Replaces the state of a flow that begins anew under the same key, and returns the old one.
    pub fn replace(&mut self, slot: Slot, state: S) -> S {
        std::mem::replace(self.state(slot), state)
    }

    /// Looks at the next `count` entries of the slab and ends those that have been idle for too long at `now`.
    pub fn sweep(&mut self, now: Timestamp, count: usize, mut ended: impl FnMut(&FlowKey, S)) {
        for _ in 0..count.min(self.entries.len()) {
            let at = self.sweep_at;
            self.sweep_at = if at + 1 < self.entries.len() { at + 1 } else { 0 };
            let Some(entry) = self.entries.get(at) else { continue };
            let Some(state) = &entry.state else { continue };
            if now.since(entry.last_seen) > state.idle_timeout() {
                self.remove(at, &mut ended);
            }
        }
    }

    /// Ends every flow, in slab order, and leaves the table empty.
    pub fn drain(&mut self, mut ended: impl FnMut(&FlowKey, S)) {
        for at in 0..self.entries.len() {
            self.remove(at, &mut ended);
        }
        self.entries.clear();
        self.free.clear();
        self.sweep_at = 0;
        // Overflow marks only cost time; but a reused table must answer as a fresh one does.
        for bucket in &mut self.buckets {
            bucket.overflowed = false;
        }
    }

    /// Flows in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there is no flow in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flows that had to make room before their time, since the table was made.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Counts evictions from zero again.
    pub fn reset_evicted(&mut self) {
        self.evicted = 0;
    }

    fn insert(
        &mut self,
        key: &FlowKey,
        hash: u64,
        at: Timestamp,
        state: S,
        mut ended: impl FnMut(&FlowKey, S),
    ) -> Slot {
        let (first, second) = (self.first(hash), self.second(hash));
        let mut place = self.vacancy(first).map(|index| (first, index));
        if place.is_none() {
            self.bucket(first).overflowed = true;
            place = self.vacancy(second).map(|index| (second, index));
        }
        let full = self.free.is_empty() && self.entries.len() >= self.capacity;
        if place.is_none() || full {
            if let Some(victim) = self.least_valuable(first, second) {
                self.evicted += 1;
                let entry_at = victim.2;
                self.remove(entry_at, &mut ended);
                place.get_or_insert((victim.0, victim.1));
            } else if let Some(any) = (0..self.entries.len())
                .map(|step| (self.sweep_at + step) % self.entries.len())
                .find(|&at| self.entries.get(at).is_some_and(|entry| entry.state.is_some()))
            {
                // Slab full while both buckets are empty: the flow that the sweep would look at next makes room.
                self.evicted += 1;
                self.sweep_at = if any + 1 < self.entries.len() { any + 1 } else { 0 };
                self.remove(any, &mut ended);
            }
        }
        let (bucket, index) = place.expect("a vacancy was there or was made");
        let entry = Entry { key: *key, hash, last_seen: at, state: Some(state) };
        let entry_at = match self.free.pop() {
            Some(free) => {
                if let Some(place) = self.entries.get_mut(free as usize) {
                    *place = entry;
                }
                free
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("capacity fits 32 bits")
            }
        };
        let bucket = self.bucket(bucket);
        if let (Some(slot), Some(place)) = (bucket.entries.get_mut(index), bucket.tags.get_mut(index)) {
            *slot = entry_at + 1;
            *place = tag(hash);
        }
        Slot(entry_at)
    }

    fn find_in(&self, bucket: &Bucket, key: &FlowKey, hash: u64) -> Option<Slot> {
        let tag = tag(hash);
        for (&entry, &candidate) in bucket.entries.iter().zip(&bucket.tags) {
            if candidate == tag
                && entry != 0
                && self.entries.get(entry as usize - 1).is_some_and(|entry| entry.key == *key)
            {
                return Some(Slot(entry - 1));
            }
        }
        None
    }

    fn vacancy(&self, bucket: usize) -> Option<usize> {
        self.buckets.get(bucket)?.entries.iter().position(|&entry| entry == 0)
    }

    /// The least valuable flow of two buckets: its bucket, its place there, its entry. Of equal ones, the first.
    fn least_valuable(&self, first: usize, second: usize) -> Option<(usize, usize, usize)> {
        let places = [first, second].into_iter().flat_map(|bucket| {
            let entries = self.buckets.get(bucket).map_or(&[][..], |bucket| &bucket.entries);
            entries
                .iter()
                .enumerate()
                .filter_map(move |(index, &entry)| Some((bucket, index, (entry as usize).checked_sub(1)?)))
        });
        let rank = |&(_, _, at): &(usize, usize, usize)| {
            let entry = self.entries.get(at)?;
            Some((entry.state.as_ref()?.value(), entry.last_seen))
        };
        places.filter(|place| rank(place).is_some()).min_by_key(rank)
    }

    fn remove(&mut self, at: usize, ended: &mut impl FnMut(&FlowKey, S)) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        let Some(state) = entry.state.take() else { return };
        let (key, hash) = (entry.key, entry.hash);
        let number = u32::try_from(at).expect("capacity fits 32 bits") + 1;
        for bucket in [self.first(hash), self.second(hash)] {
            if let Some(slot) = self.bucket(bucket).entries.iter_mut().find(|slot| **slot == number) {
                *slot = 0;
                break;
            }
        }
        self.free.push(number - 1);
        ended(&key, state);
    }

    fn bucket(&mut self, index: usize) -> &mut Bucket {
        self.buckets.get_mut(index).expect("bucket numbers are masked")
    }

    #[allow(clippy::cast_possible_truncation)]
    fn first(&self, hash: u64) -> usize {
        (hash & self.mask) as usize
    }

    #[allow(clippy::cast_possible_truncation)]
    fn second(&self, hash: u64) -> usize {
        // Odd, so never zero: the two buckets differ.
        ((hash ^ (hash >> 24 | 1)) & self.mask) as usize
    }
}

/// Bits that neither the bucket nor the lane is chosen by.
#[allow(clippy::cast_possible_truncation)]
fn tag(hash: u64) -> u8 {
    (hash >> 48) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::{FiveTuple, Zone};
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct State(u32);

    impl FlowState for State {
        fn idle_timeout(&self) -> u64 {
            1_000
        }
        fn value(&self) -> u8 {
            u8::from(self.0.is_multiple_of(7))
        }
    }

    fn key(number: u32) -> FlowKey {
        let tuple = FiveTuple {
            src: std::net::Ipv4Addr::from(number).into(),
            dst: "192.0.2.1".parse().unwrap(),
            src_port: 1,
            dst_port: 2,
            protocol: 6,
        };
        FlowKey::of(&tuple, &Zone::default()).0
    }

    proptest! {
        /// Held against a plain map: as long as nothing is evicted, the table is one.
        #[test]
        fn agrees_with_a_hash_map(operations in prop::collection::vec((0u32..300, 0u64..200), 1..2000)) {
            let mut table = FlowTable::with_capacity(4096);
            let mut model: HashMap<u32, (u32, u64)> = HashMap::new();
            let mut now = 0;
            for (serial, (number, step)) in operations.into_iter().enumerate() {
                let serial = u32::try_from(serial).unwrap();
                now += step;
                let mut ended = Vec::new();
                let found = table.find_or_open(&key(number), key(number).hash(3), Timestamp(now), || State(serial), |_, s| ended.push(s));
                let known = model.get(&number).copied().filter(|&(_, seen)| now - seen <= 1_000);
                match (found, known) {
                    (Found::Known(slot), Some((state, _))) => prop_assert_eq!(table.state(slot).0, state),
                    (Found::Opened(slot), None) => {
                        prop_assert_eq!(table.state(slot).0, serial);
                        let old = model.get(&number).map(|&(state, _)| State(state));
                        prop_assert_eq!(ended, old.into_iter().collect::<Vec<_>>());
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
                let state = known.map_or(serial, |(state, _)| state);
                model.insert(number, (state, now));
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(table.evicted(), 0);
            let mut rest = Vec::new();
            table.drain(|_, s| rest.push(s.0));
            let mut expected: Vec<_> = model.values().map(|&(state, _)| state).collect();
            rest.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(rest, expected);
            prop_assert!(table.is_empty());
        }

        /// However many flows come, no more than the capacity stay, each that goes is reported once, and what is found is right.
        #[test]
        fn stays_within_its_capacity(count in 1u32..3000, capacity in 1usize..200, seed: u64) {
            let mut table = FlowTable::with_capacity(capacity);
            let mut ended = 0;
            for number in 0..count {
                let found = table.find_or_open(&key(number), key(number).hash(seed), Timestamp(0), || State(number), |_, _| ended += 1);
                let Found::Opened(slot) = found else { panic!("never seen before") };
                prop_assert_eq!(table.state(slot).0, number);
                prop_assert!(table.len() <= capacity);
            }
            prop_assert_eq!(table.len() + ended, count as usize);
            prop_assert_eq!(table.evicted(), ended as u64);
            for number in 0..count {
                if let Some(slot) = table.find(&key(number), key(number).hash(seed)) {
                    prop_assert_eq!(table.state(slot).0, number);
                }
            }
        }
    }

    #[test]
    fn the_sweep_ends_idle_flows_only() {
        let mut table = FlowTable::with_capacity(64);
        for number in 0..10 {
            table.find_or_open(
                &key(number),
                key(number).hash(0),
                Timestamp(u64::from(number) * 200),
                || State(number),
                |_, _| {},
            );
        }
        let mut ended = Vec::new();
        table.sweep(Timestamp(2_000), 100, |_, state| ended.push(state.0));
        assert_eq!(ended, [0, 1, 2, 3, 4]);
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn the_more_valuable_flow_survives_pressure() {
        let mut table = FlowTable::with_capacity(16);
        table.find_or_open(&key(7), key(7).hash(0), Timestamp(0), || State(7), |_, _| {});
        for number in (0..2_000).filter(|number| number % 7 != 0) {
            table.find_or_open(&key(number), key(number).hash(0), Timestamp(1), || State(number), |_, _| {});
        }
        assert!(table.find(&key(7), key(7).hash(0)).is_some());
    }
}
