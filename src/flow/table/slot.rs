//! Where a flow is kept, and how it is named there.

/// Where a flow is kept, and what it may push out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Flows that may matter for as long as they live.
    Kept,
    /// TCP without payload so far: first in, first out.
    HalfOpen,
    /// UDP in no protocol that we know so far: first in, first out.
    Datagrams,
    /// UDP from and to the port of DNS, over with the first answer: first in, first out.
    Lookups,
}

impl Tier {
    /// All of them, in the order in which the table ends its flows.
    pub const ALL: [Self; 4] = [Self::Kept, Self::HalfOpen, Self::Datagrams, Self::Lookups];
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
    /// Of [`Tier::Lookups`].
    pub lookups: usize,
}

/// Names a flow in its table; valid until the flow ends or moves to another tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(super) u32);

impl Slot {
    const TIER_SHIFT: u32 = 30;
    pub(super) const INDEX: u32 = (1 << Self::TIER_SHIFT) - 1;

    /// `index` is less than 2^30: capacities are checked when the table is made.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) const fn new(tier: Tier, index: usize) -> Self {
        Self((tier as u32) << Self::TIER_SHIFT | index as u32 & Self::INDEX)
    }

    /// Which tier the flow is in.
    #[inline]
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self.0 >> Self::TIER_SHIFT {
            0 => Tier::Kept,
            1 => Tier::HalfOpen,
            2 => Tier::Datagrams,
            _ => Tier::Lookups,
        }
    }

    /// The tier's number.
    #[inline]
    pub(super) const fn store(self) -> usize {
        (self.0 >> Self::TIER_SHIFT) as usize
    }

    #[inline]
    pub(super) const fn index(self) -> usize {
        (self.0 & Self::INDEX) as usize
    }
}
