//! The times that captures cover: where there are packets, with no longer gap between two of them than [`GAP_MAX`].

use kaspector::capture::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far apart two packets may be for the time between them to count as captured. A management agent connects every 15 minutes
/// (<https://support.kaspersky.com/KSC/11/en-US/155179.htm>, KL-MGT of `signatures/behaviours.toml`): where nothing at all passes for longer,
/// nobody would have been seen.
pub const GAP_MAX: Duration = Duration::from_secs(15 * 60);
const GAP_MAX_NS: u64 = 15 * 60 * 1_000_000_000;
/// Spans that are kept. Packets beyond them cover nothing, so that what is covered is never overrated.
const SPANS_MAX: usize = 1024;

/// Times that are covered. The order in which packets come does not show, as long as there are no more spans than are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoveredTime {
    /// End of each span by its beginning, in nanoseconds; more than [`GAP_MAX`] apart.
    spans: BTreeMap<u64, u64>,
}

impl CoveredTime {
    /// Adds packets, of which the first and the last were then.
    pub fn add_packets(&mut self, (first, last): (Timestamp, Timestamp), all: impl Iterator<Item = Timestamp>) {
        if last.0 - first.0.min(last.0) <= GAP_MAX_NS {
            self.add(first.0, last.0);
        } else {
            all.for_each(|at| self.add(at.0, at.0));
        }
    }

    /// Adds what others cover.
    pub fn merge(&mut self, other: &Self) {
        other.spans.iter().for_each(|(&first, &last)| self.add(first, last));
    }

    /// Adds a time in which packets come without a gap that counts.
    pub fn add_span(&mut self, first: Timestamp, last: Timestamp) {
        self.add(first.0, last.0);
    }

    /// The times, by their beginnings: first and last packet of each.
    pub fn spans(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        self.spans.iter().map(|(&first, &last)| (Timestamp(first), Timestamp(last)))
    }

    /// How much is covered.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.spans.iter().fold(0, |sum, (first, last)| sum + (last - first)))
    }

    /// Gaps between the spans.
    #[must_use]
    pub fn gaps(&self) -> usize {
        self.spans.len().saturating_sub(1)
    }

    fn add(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last);
        // Most packets lie in the last span, or just behind it.
        while let Some((&from, &until)) = self.spans.range(..=last.saturating_add(GAP_MAX_NS)).next_back() {
            if until.saturating_add(GAP_MAX_NS) < first {
                break;
            }
            if from <= first && last <= until {
                return;
            }
            (first, last) = (first.min(from), last.max(until));
            self.spans.remove(&from);
        }
        if self.spans.len() < SPANS_MAX {
            self.spans.insert(first, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(minutes: &[u64]) -> CoveredTime {
        let mut covered = CoveredTime::default();
        minutes.iter().for_each(|minute| covered.add(minute * 60_000_000_000, minute * 60_000_000_000));
        covered
    }

    fn minutes(covered: &CoveredTime) -> (u64, usize) {
        (covered.total().as_secs() / 60, covered.gaps())
    }

    #[test]
    fn what_lies_close_together_is_covered() {
        assert_eq!(minutes(&of(&[])), (0, 0));
        assert_eq!(minutes(&of(&[7])), (0, 0));
        assert_eq!(minutes(&of(&[0, 15, 30])), (30, 0));
        assert_eq!(minutes(&of(&[0, 16])), (0, 1));
        assert_eq!(minutes(&of(&[0, 10, 1000, 1010])), (20, 1), "two short captures a day apart");
        assert_eq!(minutes(&of(&[0, 30, 15])), (30, 0), "what comes late joins its neighbours");
    }

    #[test]
    fn the_order_does_not_show() {
        let forwards: Vec<u64> = (0..200).map(|number| number * number % 3001).collect();
        let mut sorted = forwards.clone();
        sorted.sort_unstable();
        let backwards: Vec<u64> = forwards.iter().rev().copied().collect();
        assert_eq!(of(&forwards), of(&sorted));
        assert_eq!(of(&backwards), of(&sorted));
        let mut merged = of(&sorted[..70]);
        merged.merge(&of(&sorted[70..]));
        assert_eq!(merged, of(&sorted));
        let (first, last) = (Timestamp(0), Timestamp(sorted[199] * 60_000_000_000));
        let mut at_once = CoveredTime::default();
        at_once.add_packets((first, last), forwards.iter().map(|minute| Timestamp(minute * 60_000_000_000)));
        assert_eq!(at_once, of(&sorted));
    }

    #[test]
    fn there_is_a_bound_and_it_overrates_nothing() {
        let far: Vec<u64> = (0..5000).map(|number| number * 100).collect();
        let covered = of(&far);
        assert_eq!(covered.spans.len(), SPANS_MAX);
        assert_eq!(covered.total(), Duration::ZERO);
        let mut covered = CoveredTime::default();
        covered.add(u64::MAX, u64::MAX);
        covered.add(0, u64::MAX - 1);
        assert_eq!(covered.gaps(), 0);
    }
}
