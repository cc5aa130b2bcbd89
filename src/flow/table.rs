//! The flow table: fixed bounds, bounded probes, no displacement, no timers.
//!
//! A key has two candidate buckets of one cache line each, twelve slots per bucket; the second is looked at only when the first has
//! overflowed. Entries lie elsewhere, in one of three [`Tier`]s, so a lookup touches the bucket's line and the entry's first, both of
//! which [`FlowTable::prefetch`] and [`FlowTable::prefetch_entry`] ask for ahead.
//!
//! Each tier has a bound of its own, so a flood of one kind pushes out its own kind alone. Making room costs the same however full the
//! table is: in a tier of passing flows the oldest goes, among kept ones the least valuable of the few that a hand points at.

use super::FlowKey;
use super::pages::{PageSize, Pages, Zeroable};
use crate::capture::{Timestamp, prefetch};

/// Where a flow is kept, and what it may push out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Flows that may matter for as long as they live.
    Kept,
    /// TCP without payload so far: first in, first out.
    HalfOpen,
    /// UDP in no protocol that we know so far: first in, first out.
    Datagrams,
}

impl Tier {
    /// All of them, in the order in which the table ends its flows.
    pub const ALL: [Self; 3] = [Self::Kept, Self::HalfOpen, Self::Datagrams];
}

/// How many flows each tier holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacities {
    /// Of [`Tier::Kept`].
    pub kept: usize,
    /// Of [`Tier::HalfOpen`].
    pub half_open: usize,
    /// Of [`Tier::Datagrams`].
    pub datagrams: usize,
}

/// Names a flow in its table; valid until the flow ends or moves to another tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    const TIER_SHIFT: u32 = 30;
    const INDEX: u32 = (1 << Self::TIER_SHIFT) - 1;

    /// `index` is less than 2^30: capacities are checked when the table is made.
    #[allow(clippy::cast_possible_truncation)]
    const fn new(tier: Tier, index: usize) -> Self {
        Self((tier as u32) << Self::TIER_SHIFT | index as u32 & Self::INDEX)
    }

    /// Which tier the flow is in.
    #[inline]
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self.0 >> Self::TIER_SHIFT {
            0 => Tier::Kept,
            1 => Tier::HalfOpen,
            _ => Tier::Datagrams,
        }
    }

    /// The tier's number.
    #[inline]
    const fn store(self) -> usize {
        (self.0 >> Self::TIER_SHIFT) as usize
    }

    #[inline]
    const fn index(self) -> usize {
        (self.0 & Self::INDEX) as usize
    }
}

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

/// One flow; with a state of 80 bytes, two cache lines, of which most packets need the first.
#[derive(Debug)]
#[repr(C, align(64))]
struct Entry<S> {
    key: FlowKey,
    /// `None` while the entry is free.
    state: Option<S>,
}

/// The entries of one tier. They are made as they are needed and never given back.
#[derive(Debug)]
struct Store<S> {
    entries: Pages<Entry<S>>,
    capacity: usize,
    free: Vec<u32>,
    /// The next entry to make room.
    hand: usize,
    /// The next entry to be looked at for silence.
    sweep_at: usize,
    evicted: u64,
}

const SLOTS: usize = 12;

/// One cache line: the slots of twelve flows, their tags (0 is free), and whether a key went on to its second bucket.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    slots: [u32; SLOTS],
    /// Twelve bytes of tags, the lowest of the first slot; behind them, not zero once the bucket has overflowed.
    tags: u128,
}

const _: () = assert!(size_of::<Bucket>() == 64);

#[allow(unsafe_code)]
// SAFETY: it is made of numbers alone, and of zero bytes it is an empty one.
unsafe impl Zeroable for Bucket {}

const EMPTY: Bucket = Bucket { slots: [0; SLOTS], tags: 0 };

/// Kept flows looked at for the least valuable one when one has to go.
const CANDIDATES: usize = 8;

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
    stores: [Store<S>; 3],
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
        let Capacities { kept, half_open, datagrams } = capacities;
        let total = kept.saturating_add(half_open).saturating_add(datagrams);
        // On average at most six of a bucket's twelve slots are taken, so both buckets of a key are hardly ever full.
        let buckets = (total / (SLOTS / 2)).next_power_of_two().max(2);
        Self {
            buckets: Pages::zeroed(buckets, PageSize::Huge),
            mask: buckets as u64 - 1,
            seed,
            overflowed: false,
            stores: [
                Store::with_capacity(kept, PageSize::Huge),
                Store::with_capacity(half_open, PageSize::Small),
                Store::with_capacity(datagrams, PageSize::Small),
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

    /// Ends every flow, tier by tier in the order of entries, and leaves the table empty.
    pub fn drain(&mut self, mut ended: impl FnMut(&FlowKey, S)) {
        let (seed, mask) = (self.seed, self.mask);
        // Most captures are small: then only the buckets that were used are emptied.
        let is_small = self.len() < self.buckets.len() / 16 && !self.overflowed;
        for store in &mut self.stores {
            for entry in &mut *store.entries {
                let Some(state) = entry.state.take() else { continue };
                if is_small && let Some(bucket) = self.buckets.get_mut(first_bucket(entry.key.hash(seed), mask)) {
                    *bucket = EMPTY;
                }
                ended(&entry.key, state);
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
        let [kept, half_open, datagrams] = &mut self.stores;
        match tier {
            Tier::Kept => kept,
            Tier::HalfOpen => half_open,
            Tier::Datagrams => datagrams,
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

impl<S: FlowState> Store<S> {
    fn with_capacity(capacity: usize, pages: PageSize) -> Self {
        let capacity = capacity.clamp(1, Slot::INDEX as usize);
        Self {
            entries: Pages::with_capacity(capacity, pages),
            capacity,
            free: Vec::with_capacity(capacity),
            hand: 0,
            sweep_at: 0,
            evicted: 0,
        }
    }

    /// Which entry has to make room before another can be taken, if any.
    fn victim(&mut self, tier: Tier) -> Option<usize> {
        if !self.free.is_empty() || self.entries.len() < self.capacity {
            return None;
        }
        if tier != Tier::Kept {
            let oldest = self.hand;
            self.hand = self.ahead(1);
            return Some(oldest);
        }
        let count = CANDIDATES.min(self.capacity);
        let candidates = (0..count).map(|steps| self.ahead(steps));
        let rank = |&at: &usize| {
            let state = self.entries.get(at)?.state.as_ref()?;
            Some((state.value(), state.last_seen_s()))
        };
        let victim = candidates.min_by_key(rank)?;
        self.hand = self.ahead(count);
        Some(victim)
    }

    /// The entry so many steps ahead of the hand. Steps are few, so this takes no division unless the store is tiny.
    #[inline]
    fn ahead(&self, steps: usize) -> usize {
        let at = self.hand + steps;
        if at < self.capacity { at } else { (at - self.capacity) % self.capacity }
    }

    /// Puts a flow into a free entry.
    fn take(&mut self, key: FlowKey, state: S) -> usize {
        let entry = Entry { key, state: Some(state) };
        if let Some(free) = self.free.pop()
            && let Some(place) = self.entries.get_mut(free as usize)
        {
            *place = entry;
            return free as usize;
        }
        self.entries.push(entry)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn release(&mut self, index: usize) {
        self.free.push(index as u32);
    }
}

impl Bucket {
    /// The places of all tags.
    const TAGS: u128 = (1 << (8 * SLOTS)) - 1;

    /// A bit for each slot whose tag is `tag`, the lowest for the first.
    #[inline]
    fn equal_to(&self, tag: u8) -> u32 {
        equal_bytes(self.tags, tag) & ((1 << SLOTS) - 1)
    }

    /// Places whose tag is `tag`, and their slots.
    #[inline]
    fn candidates(&self, tag: u8) -> impl Iterator<Item = (usize, Slot)> {
        let mut found = self.equal_to(tag);
        std::iter::from_fn(move || {
            if found == 0 {
                return None;
            }
            let at = found.trailing_zeros() as usize;
            found &= found - 1;
            Some((at, Slot(*self.slots.get(at)?)))
        })
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.equal_to(0) == 0
    }

    #[inline]
    fn has_overflowed(&self) -> bool {
        self.tags & !Self::TAGS != 0
    }

    fn overflow(&mut self) {
        self.tags |= 1 << (8 * SLOTS);
    }

    /// Puts a flow into a free place, which must be there.
    #[inline]
    fn fill(&mut self, tag: u8, slot: Slot) {
        let at = self.equal_to(0).trailing_zeros() as usize;
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot.0;
            self.tags |= u128::from(tag) << (8 * at);
        }
    }

    /// Where the slot of a flow with this tag stands.
    fn find_slot(&mut self, tag: u8, slot: Slot) -> Option<&mut u32> {
        let (at, _) = self.candidates(tag).find(|&(_, candidate)| candidate == slot)?;
        self.slots.get_mut(at)
    }

    /// Whether the flow was here.
    #[inline]
    fn clear(&mut self, tag: u8, slot: Slot) -> bool {
        let Some((at, _)) = self.candidates(tag).find(|&(_, candidate)| candidate == slot) else { return false };
        self.tags &= !(0xff << (8 * at));
        true
    }
}

/// A bit for each of the sixteen bytes that equals `byte`, the lowest for the lowest byte.
#[inline]
#[cfg(target_arch = "x86_64")]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]
fn equal_bytes(bytes: u128, byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    #[allow(unsafe_code)]
    // SAFETY: every processor of this architecture has these instructions, and they touch no memory.
    unsafe {
        let bytes = _mm_set_epi64x((bytes >> 64) as i64, bytes as i64);
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))) as u32
    }
}

#[inline]
#[cfg(not(target_arch = "x86_64"))]
fn equal_bytes(bytes: u128, byte: u8) -> u32 {
    bytes.to_le_bytes().iter().rev().fold(0, |found, &candidate| found << 1 | u32::from(candidate == byte))
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

/// Bits that neither the bucket nor the lane is chosen by; never zero.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn tag(hash: u64) -> u8 {
    let tag = (hash >> 48) as u8;
    if tag == 0 { 1 } else { tag }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::{FiveTuple, Zone};
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Its number, and when it was last heard of.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct State(u32, u32);

    impl FlowState for State {
        fn idle_timeout_s(&self) -> u32 {
            1_000
        }
        fn value(&self) -> u8 {
            u8::from(self.0.is_multiple_of(7))
        }
        fn last_seen_s(&self) -> u32 {
            self.1
        }
        fn touch(&mut self, seconds: u32) {
            self.1 = seconds;
        }
    }

    const SEED: u64 = 3;

    fn table(kept: usize) -> FlowTable<State> {
        FlowTable::new(Capacities { kept, half_open: 8, datagrams: 4 }, SEED)
    }

    fn at(seconds: u32) -> Timestamp {
        Timestamp(u64::from(seconds) * 1_000_000_000)
    }

    /// Finds or opens flow `number` among those that are kept.
    fn meet(table: &mut FlowTable<State>, number: u32, now: u32, ended: impl FnMut(&FlowKey, State)) -> Found {
        let hash = table.hash(&key(number));
        table.find_or_open(&key(number), hash, at(now), Tier::Kept, || State(number, now), ended)
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
        fn agrees_with_a_hash_map(operations in prop::collection::vec((0u32..300, 0u32..200, any::<bool>()), 1..2000)) {
            let mut table = FlowTable::<State>::new(Capacities { kept: 2048, half_open: 512, datagrams: 512 }, SEED);
            let mut model: HashMap<u32, (u32, u32)> = HashMap::new();
            let mut now = 0;
            for (serial, (number, step, is_passing)) in operations.into_iter().enumerate() {
                let serial = u32::try_from(serial).unwrap();
                now += step;
                let mut ended = Vec::new();
                let hash = table.hash(&key(number));
                let tier = if is_passing { Tier::HalfOpen } else { Tier::Datagrams };
                let known = model.get(&number).copied().filter(|&(_, seen)| now - seen <= 1_000);
                if let Some((slot, state)) = table.fast_path(&key(number), hash, at(now)) {
                    prop_assert_eq!((state.0, state.1), (known.unwrap().0, now));
                    prop_assert_eq!(table.find(&key(number), hash), Some(slot));
                }
                let found = table.find_or_open(&key(number), hash, at(now), tier, || State(serial, now), |_, s| ended.push(s.0));
                let slot = match (found, known) {
                    (Found::Known(slot), Some((state, _))) => {
                        prop_assert_eq!(table.state(slot).0, state);
                        slot
                    }
                    (Found::Opened(slot), None) => {
                        prop_assert_eq!(table.state(slot).0, serial);
                        let old = model.get(&number).map(|&(state, _)| state);
                        prop_assert_eq!(ended, old.into_iter().collect::<Vec<_>>());
                        slot
                    }
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                };
                if number.is_multiple_of(3) {
                    let kept = table.keep(slot, hash, |_, _| {});
                    prop_assert_eq!(kept.tier(), Tier::Kept);
                    prop_assert_eq!(table.find(&key(number), hash), Some(kept));
                }
                let state = known.map_or(serial, |(state, _)| state);
                model.insert(number, (state, now));
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(Tier::ALL.map(|tier| table.evicted(tier)), [0; 3]);
            let mut rest = Vec::new();
            table.drain(|_, s| rest.push(s.0));
            let mut expected: Vec<_> = model.values().map(|&(state, _)| state).collect();
            rest.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(rest, expected);
            prop_assert!(table.is_empty());
            for &number in model.keys() {
                prop_assert_eq!(table.find(&key(number), table.hash(&key(number))), None);
            }
        }

        /// However many flows come, no more than the capacity stay, each that goes is reported once, and what is found is right.
        #[test]
        fn stays_within_its_capacity(count in 1u32..3000, capacity in 1usize..200) {
            let mut table = table(capacity);
            let mut ended = 0;
            for number in 0..count {
                let Found::Opened(slot) = meet(&mut table, number, 0, |_, _| ended += 1) else { panic!("never seen before") };
                prop_assert_eq!(table.state(slot).0, number);
                prop_assert!(table.len() <= capacity);
            }
            prop_assert_eq!(table.len() + ended, count as usize);
            prop_assert_eq!(table.evicted(Tier::Kept), ended as u64);
            for number in 0..count {
                if let Some(slot) = table.find(&key(number), table.hash(&key(number))) {
                    prop_assert_eq!(table.state(slot).0, number);
                }
            }
        }
    }

    #[test]
    fn the_first_look_finds_nearly_all_that_are_not_idle() {
        let mut table = table(4_000);
        for number in 0..4_000 {
            meet(&mut table, number, 0, |_, _| {});
        }
        let found = |table: &mut FlowTable<State>, now| {
            let look = |&number: &u32| table.fast_path(&key(number), table.hash(&key(number)), at(now)).is_some();
            (0..4_000).filter(look).count()
        };
        assert!(found(&mut table, 1_000) > 3_800);
        assert_eq!(found(&mut table, 2_001), 0);
    }

    #[test]
    fn an_entry_of_eighty_bytes_of_state_takes_two_lines() {
        assert_eq!(size_of::<Entry<[u64; 9]>>(), 128);
        assert_eq!(align_of::<Entry<State>>(), 64);
    }

    #[test]
    fn the_sweep_ends_idle_flows_only() {
        let mut table = table(64);
        for number in 0..10 {
            meet(&mut table, number, number * 200, |_, _| {});
        }
        let mut ended = Vec::new();
        table.sweep(at(2_000), 100, |_, state| ended.push(state.0));
        assert_eq!(ended, [0, 1, 2, 3, 4]);
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn the_more_valuable_flow_survives_pressure() {
        let mut table = table(16);
        meet(&mut table, 7, 0, |_, _| {});
        for number in (0..2_000).filter(|number| number % 7 != 0) {
            meet(&mut table, number, 1, |_, _| {});
        }
        assert!(table.find(&key(7), table.hash(&key(7))).is_some());
    }

    #[test]
    fn a_flood_of_one_kind_pushes_out_its_own_kind() {
        let mut table = table(16);
        for number in 0..16 {
            meet(&mut table, number, 0, |_, _| panic!("there is room"));
        }
        let mut ended = Vec::new();
        for number in 100..1_100 {
            let hash = table.hash(&key(number));
            table.find_or_open(&key(number), hash, at(0), Tier::HalfOpen, || State(number, 0), |_, s| ended.push(s.0));
        }
        assert_eq!(ended, (100..1_092).collect::<Vec<_>>(), "first in, first out");
        assert_eq!((table.evicted(Tier::Kept), table.evicted(Tier::HalfOpen)), (0, 992));
        assert!((0..16).all(|number| table.find(&key(number), table.hash(&key(number))).is_some()));
    }

    #[test]
    fn a_full_pair_of_buckets_gives_up_a_passing_flow_first() {
        let mut table = FlowTable::new(Capacities { kept: 4, half_open: 20, datagrams: 4 }, SEED);
        // Of a mask so small, hashes are tried until all fall on one pair of buckets.
        let target = table.hash(&key(0)) & table.mask;
        let pair = [target, table.second(table.hash(&key(0))) as u64];
        let same: Vec<u32> = (0..100_000)
            .filter(|&number| {
                let hash = table.hash(&key(number));
                hash & table.mask == target && table.second(hash) as u64 == pair[1]
            })
            .take(25)
            .collect();
        let (&kept, passing) = same.split_first().unwrap();
        meet(&mut table, kept, 0, |_, _| {});
        let mut ended = Vec::new();
        for &number in passing {
            let hash = table.hash(&key(number));
            table.find_or_open(&key(number), hash, at(1), Tier::HalfOpen, || State(number, 1), |_, s| ended.push(s.0));
        }
        assert!(!ended.is_empty() && !ended.contains(&kept));
        assert!(table.find(&key(kept), table.hash(&key(kept))).is_some());
    }
}
