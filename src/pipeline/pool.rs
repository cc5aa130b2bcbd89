//! A bounded store of reusable items, each lent to one flow; when all are lent, the one that was unused for longest changes hands.

use crate::flow::Slot;

/// Names an item of a [`Pool`] while it is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u32);

#[derive(Debug)]
struct Item<T> {
    value: T,
    owner: Slot,
    lent: bool,
}

/// Items looked at for one that was unused for long.
const CANDIDATES: usize = 16;

/// At most a fixed number of items of `T`.
#[derive(Debug)]
pub struct Pool<T> {
    items: Vec<Item<T>>,
    /// When each item was used last; apart from the items, so that looking for an old one touches little memory.
    used: Vec<u64>,
    /// How much each item holds, as its borrower said last.
    weights: Vec<u32>,
    free: Vec<u32>,
    limit: usize,
    clock: u64,
    hand: usize,
}

impl<T: Default> Pool<T> {
    /// A pool of at most `limit` items, at least one; they are made as they are needed.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            used: Vec::new(),
            weights: Vec::new(),
            free: Vec::new(),
            limit: limit.max(1),
            clock: 0,
            hand: 0,
        }
    }

    /// Lends an item, as its last borrower left it. When none is free, also gives the slot of the flow that lost its own.
    pub fn claim(&mut self, owner: Slot) -> (Handle, Option<Slot>) {
        self.clock += 1;
        if let Some(free) = self.free.pop() {
            self.lend(free, owner);
            return (Handle(free), None);
        }
        if self.items.len() < self.limit {
            let number = u32::try_from(self.items.len()).expect("limits fit 32 bits");
            self.items.push(Item { value: T::default(), owner, lent: true });
            self.used.push(self.clock);
            self.weights.push(0);
            return (Handle(number), None);
        }
        let victim = (0..CANDIDATES.min(self.items.len()))
            .map(|step| (self.hand + step) % self.items.len())
            .min_by_key(|&at| self.used.get(at).copied())
            .unwrap_or(0);
        self.hand = (self.hand + CANDIDATES) % self.items.len();
        let number = u32::try_from(victim).expect("limits fit 32 bits");
        let loser = self.lend(number, owner);
        (Handle(number), Some(loser))
    }

    /// The item behind a handle that is lent.
    pub fn get(&mut self, handle: Handle) -> &mut T {
        self.clock += 1;
        if let Some(used) = self.used.get_mut(handle.0 as usize) {
            *used = self.clock;
        }
        &mut self.items.get_mut(handle.0 as usize).expect("handles come from this pool").value
    }

    /// Notes how much an item holds.
    pub fn weigh(&mut self, handle: Handle, weight: usize) {
        if let Some(place) = self.weights.get_mut(handle.0 as usize) {
            *place = u32::try_from(weight).unwrap_or(u32::MAX);
        }
    }

    /// The item that holds most, whose it is, and how much; the first of equals.
    #[must_use]
    pub fn heaviest(&self) -> Option<(Handle, Slot, u32)> {
        let most = *self.weights.iter().max()?;
        let at = self.weights.iter().position(|&weight| weight == most)?;
        let owner = self.items.get(at)?.owner;
        Some((Handle(u32::try_from(at).ok()?), owner, most))
    }

    /// Notes that the borrower of an item has moved.
    pub fn give_to(&mut self, handle: Handle, owner: Slot) {
        if let Some(item) = self.items.get_mut(handle.0 as usize) {
            item.owner = owner;
        }
    }

    /// Takes an item back.
    pub fn release(&mut self, handle: Handle) {
        if let Some(item) = self.items.get_mut(handle.0 as usize)
            && item.lent
        {
            item.lent = false;
            self.free.push(handle.0);
        }
    }

    fn lend(&mut self, number: u32, owner: Slot) -> Slot {
        if let Some(used) = self.used.get_mut(number as usize) {
            *used = self.clock;
        }
        let item = self.items.get_mut(number as usize).expect("numbers come from this pool");
        item.lent = true;
        std::mem::replace(&mut item.owner, owner)
    }
}
