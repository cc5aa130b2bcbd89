//! The flow table: fixed bounds, bounded probes, no displacement, no timers.
//!
//! A key has two candidate buckets of one cache line each, twelve slots per bucket; the second is looked at only when the first has
//! overflowed. Entries lie elsewhere, in one of four [`Tier`]s, so a lookup touches the bucket's line and the entry's first, both of
//! which [`FlowTable::prefetch`] and [`FlowTable::prefetch_entry`] ask for ahead.
//!
//! Each tier has a bound of its own, so a flood of one kind pushes out its own kind alone. Making room costs the same however full the
//! table is: in a tier of passing flows the oldest goes, among kept ones the least valuable of the few that a hand points at.

mod bucket;
mod slot;
mod store;
#[cfg(test)]
mod tests;

pub use slot::{Capacities, Slot, Tier};

use super::FlowKey;
use super::pages::{PageSize, Pages};
use crate::capture::{Timestamp, prefetch};
use bucket::{Bucket, EMPTY, SLOTS, tag};
use store::{Entry, Store};

/// What the table needs to know of the state that its caller keeps per flow.
///
/// A state that puts what every packet needs into its first 16 bytes shares the key's cache line.
pub trait FlowState {
    /// How long the flow may be silent before its entry is taken for another, in seconds.
    fn idle_timeout_s(&self) -> u32;
    /// How much is lost if the flow is evicted; the lowest goes first, the oldest of equals.
    fn value(&self) -> u8;
    /// When the flow was last heard of, in seconds since the epoch.
    fn last_seen_s(&self) -> u32;
    /// Notes that it was heard of at `seconds`.
    fn touch(&mut self, seconds: u32);
}

/// How far ahead of its turn the sweep asks for an entry.
const SWEPT_AHEAD: usize = 8;
/// How far ahead of its turn a flow that will have to make room has its bucket asked for.
const VICTIMS_AHEAD: usize = 8;

/// Flows by key, each with a state `S`.
#[derive(Debug)]
pub struct FlowTable<S> {
    buckets: Pages<Bucket>,
    mask: u64,
    seed: u64,
    /// Whether any bucket has overflowed.
    overflowed: bool,
    stores: [Store<S>; 4],
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
    /// A table for at most so many flows, whose keys are hashed with `seed`. Memory is touched as flows come.
    #[must_use]
    pub fn new(capacities: Capacities, seed: u64) -> Self {
        let Capacities { kept, half_open, datagrams, lookups } = capacities;
        let total = kept.saturating_add(half_open).saturating_add(datagrams).saturating_add(lookups);
        // On average at most eight of a bucket's twelve slots are taken, so both buckets of a key are hardly ever full.
        let buckets = (total / (SLOTS * 2 / 3)).next_power_of_two().max(2);
        Self {
            buckets: Pages::zeroed(buckets, PageSize::Huge),
            mask: buckets as u64 - 1,
            seed,
            overflowed: false,
            stores: [
                Store::with_capacity(kept, PageSize::Huge),
                Store::with_capacity(half_open, PageSize::Small),
                Store::with_capacity(datagrams, PageSize::HugeLater),
                Store::with_capacity(lookups, PageSize::Small),
            ],
        }
    }

    /// The keyed hash that places `key`.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        key.hash(self.seed)
    }

    /// Asks for the first bucket of `hash`.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(self.first(hash)) {
            prefetch(bucket);
        }
    }

    /// Asks for the entry that `hash` probably leads to; call some packets after [`Self::prefetch`].
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        let Some(bucket) = self.buckets.get(self.first(hash)) else { return };
        if let Some((_, slot)) = bucket.candidates(tag(hash)).next()
            && let Some(entry) = self.entry(slot)
        {
            prefetch(entry);
        }
    }

    /// The flow of `key`, opened in `tier` with `open()` if it is new or has been idle for too long.
    ///
    /// `ended` takes the key and state of every flow that had to go.
    #[inline]
    pub fn find_or_open(
        &mut self,
        key: &FlowKey,
        hash: u64,
        at: Timestamp,
        tier: Tier,
        open: impl FnOnce() -> S,
        mut ended: impl FnMut(&FlowKey, S),
    ) -> Found {
        let now = seconds(at);
        let Some(slot) = self.find(key, hash) else {
            return Found::Opened(self.insert(key, hash, tier, open(), &mut ended));
        };
        let state = self.state(slot);
        if is_heard_of(state, now) {
            return Found::Known(slot);
        }
        ended(key, std::mem::replace(state, open()));
        Found::Opened(slot)
    }

    /// The flow of `key` and its state, touched, if it lies where nearly every flow does: behind the first fitting tag of its first
    /// bucket. `None` says nothing of flows that lie elsewhere, or have been idle for too long.
    #[inline]
    pub fn fast_path(&mut self, key: &FlowKey, hash: u64, at: Timestamp) -> Option<(Slot, &mut S)> {
        let (_, slot) = self.buckets.get(self.first(hash))?.candidates(tag(hash)).next()?;
        let entry = self.entry_mut(slot)?;
        if entry.key != *key {
            return None;
        }
        let state = entry.state.as_mut()?;
        is_heard_of(state, seconds(at)).then_some((slot, state))
    }

    /// The flow of `key`, if it is there.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &FlowKey, hash: u64) -> Option<Slot> {
        let first = self.buckets.get(self.first(hash))?;
        if let Some(slot) = self.find_in(first, key, hash) {
            return Some(slot);
        }
        if !first.has_overflowed() {
            return None;
        }
        self.find_in(self.buckets.get(self.second(hash))?, key, hash)
    }

    /// The state of a flow.
    ///
    /// # Panics
    /// When `slot` was not given by this table for a flow that still lives: a bug of the caller.
    #[inline]
    pub fn state(&mut self, slot: Slot) -> &mut S {
        self.entry_mut(slot).and_then(|entry| entry.state.as_mut()).expect("the slot's flow lives")
    }

    /// Replaces the state of a flow that begins anew under the same key, and returns the old one.
    pub fn replace(&mut self, slot: Slot, state: S) -> S {
        std::mem::replace(self.state(slot), state)
    }

    /// Moves a flow among those that are kept, and returns its new slot. What it has to push out goes to `ended`.
    pub fn keep(&mut self, slot: Slot, hash: u64, mut ended: impl FnMut(&FlowKey, S)) -> Slot {
        if slot.tier() == Tier::Kept {
            return slot;
        }
        self.make_room(Tier::Kept, &mut ended);
        let Some(entry) = self.entry_mut(slot) else { return slot };
        let key = entry.key;
        let Some(state) = entry.state.take() else { return slot };
        self.store(slot.tier()).release(slot.index());
        let kept = Slot::new(Tier::Kept, self.store(Tier::Kept).take(key, state));
        for bucket in [self.first(hash), self.second(hash)] {
            if let Some(place) = self.bucket(bucket).find_slot(tag(hash), slot) {
                *place = kept.0;
                break;
            }
        }
        kept
    }

    /// Looks at the next `count` entries of each tier and ends those that have been idle for too long at `now`.
    pub fn sweep(&mut self, now: Timestamp, count: usize, mut ended: impl FnMut(&FlowKey, S)) {
        let now = seconds(now);
        for tier in Tier::ALL {
            let store = self.store(tier);
            for _ in 0..count.min(store.entries.len()) {
                let store = self.store(tier);
                let at = store.sweep_at;
                store.entries.get(at + SWEPT_AHEAD).inspect(|entry| prefetch(*entry));
                store.sweep_at = if at + 1 < store.entries.len() { at + 1 } else { 0 };
                let Some(state) = store.entries.get(at).and_then(|entry| entry.state.as_ref()) else { continue };
                if now.saturating_sub(state.last_seen_s()) > state.idle_timeout_s() {
                    self.remove(Slot::new(tier, at), &mut ended);
                }
            }
        }
    }

    /// Shows every flow, tier by tier in the order of entries. A flow whose state is taken has ended; the table is then good for no more
    /// than [`Self::take`], until it is [cleared](Self::clear).
    pub fn show(&mut self, mut look: impl FnMut(Slot, &FlowKey, &mut Option<S>)) {
        for (tier, store) in Tier::ALL.into_iter().zip(&mut self.stores) {
            for (at, Entry { key, state }) in
                store.entries.iter_mut().enumerate().filter(|(_, entry)| entry.state.is_some())
            {
                look(Slot::new(tier, at), key, state);
            }
        }
    }

    /// Ends a flow that [was shown](Self::show).
    pub fn take(&mut self, slot: Slot) -> Option<(FlowKey, S)> {
        let Entry { key, state } = self.entry_mut(slot)?;
        Some((*key, state.take()?))
    }

    /// Leaves the table empty, as new.
    pub fn clear(&mut self) {
        let (seed, mask) = (self.seed, self.mask);
        // Most captures are small: then only the buckets that were used are emptied.
        let is_small = self.len() < self.buckets.len() / 16 && !self.overflowed;
        for store in &mut self.stores {
            if is_small {
                for entry in &*store.entries {
                    if let Some(bucket) = self.buckets.get_mut(first_bucket(entry.key.hash(seed), mask)) {
                        *bucket = EMPTY;
                    }
                }
            }
            store.entries.clear();
            store.free.clear();
            store.hand = 0;
            store.sweep_at = 0;
        }
        if !is_small {
            self.buckets.fill(EMPTY);
            self.overflowed = false;
        }
    }

    /// Flows in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stores.iter().map(|store| store.entries.len() - store.free.len()).sum()
    }

    /// Bytes of memory that buckets and entries take, as far as they were ever used.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let entries = self.stores.iter().map(|store| store.entries.len() * size_of::<Entry<S>>()).sum::<usize>();
        self.buckets.len() * size_of::<Bucket>() + entries
    }

    /// Whether there is no flow in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flows of a tier that had to make room before their time, since the table was made.
    #[must_use]
    pub fn evicted(&self, tier: Tier) -> u64 {
        self.stores.get(tier as usize).map_or(0, |store| store.evicted)
    }

    /// Counts evictions from zero again.
    pub fn reset_evicted(&mut self) {
        for store in &mut self.stores {
            store.evicted = 0;
        }
    }

    fn insert(&mut self, key: &FlowKey, hash: u64, tier: Tier, state: S, ended: &mut impl FnMut(&FlowKey, S)) -> Slot {
        self.make_room(tier, ended);
        let (first, second) = (self.first(hash), self.second(hash));
        let mut home = first;
        if self.bucket(first).is_full() {
            self.bucket(first).overflow();
            self.overflowed = true;
            home = second;
            if self.bucket(second).is_full() {
                // With a keyed hash nobody can aim at it, so this is rare enough to take its time.
                home = self.evict_from(first, second, ended);
            }
        }
        let slot = Slot::new(tier, self.store(tier).take(*key, state));
        self.bucket(home).fill(tag(hash), slot);
        slot
    }

    /// Makes sure that the tier has an entry to give.
    fn make_room(&mut self, tier: Tier, ended: &mut impl FnMut(&FlowKey, S)) {
        let store = self.store(tier);
        let Some(victim) = store.victim(tier) else { return };
        store.evicted += 1;
        let ahead = |steps| store.entries.get(store.ahead(steps));
        ahead(2 * VICTIMS_AHEAD).inspect(|entry| prefetch(*entry));
        if let Some(key) = ahead(VICTIMS_AHEAD).map(|entry| entry.key) {
            self.prefetch(self.hash(&key));
        }
        self.remove(Slot::new(tier, victim), ended);
    }

    /// Ends the least valuable flow of two full buckets, passing ones first, and says which bucket it was in.
    fn evict_from(&mut self, first: usize, second: usize, ended: &mut impl FnMut(&FlowKey, S)) -> usize {
        let places = [first, second].into_iter().flat_map(|bucket| {
            let slots = self.buckets.get(bucket).map_or(&[][..], |bucket| &bucket.slots);
            slots.iter().map(move |&slot| (bucket, Slot(slot)))
        });
        let rank = |&(_, slot): &(usize, Slot)| {
            let state = self.entry(slot)?.state.as_ref()?;
            Some((slot.tier() == Tier::Kept, state.value(), state.last_seen_s()))
        };
        let victim = places.filter(|place| rank(place).is_some()).min_by_key(rank);
        let (bucket, slot) = victim.expect("a full bucket has flows");
        self.store(slot.tier()).evicted += 1;
        self.remove(slot, ended);
        bucket
    }

    #[inline]
    fn find_in(&self, bucket: &Bucket, key: &FlowKey, hash: u64) -> Option<Slot> {
        bucket
            .candidates(tag(hash))
            .map(|(_, slot)| slot)
            .find(|&slot| self.entry(slot).is_some_and(|entry| entry.key == *key))
    }

    fn remove(&mut self, slot: Slot, ended: &mut impl FnMut(&FlowKey, S)) {
        let Some(entry) = self.entry_mut(slot) else { return };
        let key = entry.key;
        let Some(state) = entry.state.take() else { return };
        self.store(slot.tier()).release(slot.index());
        let hash = self.hash(&key);
        for bucket in [self.first(hash), self.second(hash)] {
            if self.bucket(bucket).clear(tag(hash), slot) {
                break;
            }
        }
        ended(&key, state);
    }

    #[inline]
    fn entry(&self, slot: Slot) -> Option<&Entry<S>> {
        self.stores.get(slot.store())?.entries.get(slot.index())
    }

    #[inline]
    fn entry_mut(&mut self, slot: Slot) -> Option<&mut Entry<S>> {
        self.stores.get_mut(slot.store())?.entries.get_mut(slot.index())
    }

    #[inline]
    fn store(&mut self, tier: Tier) -> &mut Store<S> {
        let [kept, half_open, datagrams, lookups] = &mut self.stores;
        match tier {
            Tier::Kept => kept,
            Tier::HalfOpen => half_open,
            Tier::Datagrams => datagrams,
            Tier::Lookups => lookups,
        }
    }

    #[inline]
    fn bucket(&mut self, index: usize) -> &mut Bucket {
        self.buckets.get_mut(index).expect("bucket numbers are masked")
    }

    #[inline]
    fn first(&self, hash: u64) -> usize {
        first_bucket(hash, self.mask)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn second(&self, hash: u64) -> usize {
        // Odd, so never zero: the two buckets differ.
        ((hash ^ (hash >> 24 | 1)) & self.mask) as usize
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn first_bucket(hash: u64, mask: u64) -> usize {
    (hash & mask) as usize
}

/// Seconds since the epoch, of which 32 bits last until 2106.
#[inline]
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.seconds()).unwrap_or(u32::MAX)
}

/// Notes that a flow was heard of at `now`; unless it has been idle for too long, and is another.
#[inline]
fn is_heard_of(state: &mut impl FlowState, now: u32) -> bool {
    let last_seen = state.last_seen_s();
    if now > last_seen {
        if now - last_seen > state.idle_timeout_s() {
            return false;
        }
        state.touch(now);
    }
    true
}
