//! One of something for each weight.

use super::super::Weight;

/// One of something for each weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByWeight<T> {
    pub stats: T,
    pub summary: T,
    pub finding: T,
}

impl<T> ByWeight<T> {
    pub const fn of(&self, weight: Weight) -> &T {
        match weight {
            Weight::Stats => &self.stats,
            Weight::Summary => &self.summary,
            Weight::Finding => &self.finding,
        }
    }

    pub const fn of_mut(&mut self, weight: Weight) -> &mut T {
        match weight {
            Weight::Stats => &mut self.stats,
            Weight::Summary => &mut self.summary,
            Weight::Finding => &mut self.finding,
        }
    }

    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> ByWeight<U> {
        ByWeight { stats: change(&self.stats), summary: change(&self.summary), finding: change(&self.finding) }
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.stats, &mut self.summary, &mut self.finding].into_iter()
    }
}
