//! Sets of numbers that mostly follow each other.

use std::ops::Range;

/// Numbers, as ranges in order that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range, and says how many of its numbers were not there.
    pub fn add(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        if let Some(last) = self.0.last_mut().filter(|last| last.end == range.start) {
            last.end = range.end;
            return range.end - range.start;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let behind = self.0.partition_point(|known| known.start <= range.end);
        let joined: Vec<Range<u64>> = self.0.splice(first..behind, [range.clone()]).collect();
        let known: u64 = joined.iter().map(|known| overlap(known, &range)).sum();
        if let (Some(whole), Some(low), Some(high)) = (self.0.get_mut(first), joined.first(), joined.last()) {
            *whole = low.start.min(range.start)..high.end.max(range.end);
        }
        range.end - range.start - known
    }

    /// Whether a number is among them.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|known| known.end <= number);
        self.0.get(at).is_some_and(|known| known.contains(&number))
    }

    /// Takes away the first range, if it begins at `number` or before.
    pub fn take_from(&mut self, number: u64) -> Option<Range<u64>> {
        self.0.first().filter(|first| first.start <= number)?;
        Some(self.0.remove(0))
    }

    /// Forgets all below `number`.
    pub fn forget_below(&mut self, number: u64) {
        self.0.retain_mut(|known| {
            known.start = known.start.max(number);
            !known.is_empty()
        });
    }

    /// How many of a range's numbers are among them.
    #[must_use]
    pub fn count_in(&self, range: &Range<u64>) -> u64 {
        self.0.iter().map(|known| overlap(known, range)).sum()
    }

    /// What of a range is not among them.
    #[must_use]
    pub fn missing_in(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let (mut from, mut missing) = (range.start, Vec::new());
        for known in self.0.iter().filter(|known| overlap(known, &range) > 0) {
            missing.push(from..known.start.max(from));
            from = known.end;
        }
        missing.push(from..range.end);
        missing.retain(|gap| !gap.is_empty());
        missing
    }

    /// The highest number.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|last| last.end - 1)
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> u64 {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn they_are_a_set(adds in proptest::collection::vec((0_u64..60, 0_u64..12), 0..20), from in 0_u64..60, length in 0_u64..30) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (start, length) in adds {
                let new = (start..start + length).filter(|&number| set.insert(number)).count();
                prop_assert_eq!(ranges.add(start..start + length), new as u64);
            }
            prop_assert!(ranges.0.windows(2).all(|pair| matches!(pair, [one, next] if one.end < next.start)));
            prop_assert!((0..80).all(|number| ranges.contains(number) == set.contains(&number)));
            prop_assert_eq!(ranges.last(), set.last().copied());
            let within = from..from + length;
            let missing: Vec<u64> = ranges.missing_in(within.clone()).into_iter().flatten().collect();
            prop_assert!(missing.iter().copied().eq(within.clone().filter(|number| !set.contains(number))));
            prop_assert_eq!(ranges.count_in(&within), length - missing.len() as u64);
            ranges.forget_below(from);
            prop_assert!((0..80).all(|number| ranges.contains(number) == (number >= from && set.contains(&number))));
            let first = ranges.iter().next().cloned();
            prop_assert_eq!(ranges.take_from(from), first.filter(|first| first.start <= from));
        }
    }
}
