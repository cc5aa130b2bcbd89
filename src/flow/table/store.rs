//! The entries of one tier, and which of them has to make room for another.

use super::{FlowState, Slot, Tier};
use crate::flow::FlowKey;
use crate::flow::pages::{PageSize, Pages};

/// Kept flows looked at for the least valuable one when one has to go.
const CANDIDATES: usize = 8;

/// One flow; with a state of 80 bytes, two cache lines, of which most packets need the first.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Entry<S> {
    pub key: FlowKey,
    /// `None` while the entry is free.
    pub state: Option<S>,
}

/// The entries of one tier. They are made as they are needed and never given back.
#[derive(Debug)]
pub struct Store<S> {
    pub entries: Pages<Entry<S>>,
    capacity: usize,
    pub free: Vec<u32>,
    /// The next entry to make room.
    pub hand: usize,
    /// The next entry to be looked at for silence.
    pub sweep_at: usize,
    pub evicted: u64,
}

impl<S: FlowState> Store<S> {
    pub fn with_capacity(capacity: usize, pages: PageSize) -> Self {
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
    pub fn victim(&mut self, tier: Tier) -> Option<usize> {
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
    pub fn ahead(&self, steps: usize) -> usize {
        let at = self.hand + steps;
        if at < self.capacity { at } else { (at - self.capacity) % self.capacity }
    }

    /// Puts a flow into a free entry.
    pub fn take(&mut self, key: FlowKey, state: S) -> usize {
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
    pub fn release(&mut self, index: usize) {
        self.free.push(index as u32);
    }
}
