//! Holds alerts to what a human wants: the first sight of a host and an indicator at once, then one summary per interval.

use crate::capture::Timestamp;
use crate::matching::{Alert, HostKey, IndicatorIndex, SeenAs};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Pairs of host and indicator that are remembered. Beyond, the half that was seen longest ago is forgotten, and told anew when it is seen
/// again.
const PAIRS_MAX: usize = 1 << 16;

/// What one interval holds back of a host and an indicator, seen as closely. A contact after a mere lookup is news.
type Pair = (HostKey, IndicatorIndex, SeenAs);

/// An alert and the index of the interface that it was seen on.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The alert.
    pub alert: Alert,
    /// Index of the interface, in the order given.
    pub interface: u32,
}

impl Sighting {
    /// The machine that the alert is about.
    #[must_use]
    pub fn host(&self) -> HostKey {
        self.alert.host()
    }
}

#[derive(Debug)]
struct Held {
    seen: Timestamp,
    count: u64,
    last: Option<Sighting>,
}

/// What was told of which host.
#[derive(Debug)]
pub struct Repeats {
    pairs: HashMap<Pair, Held, FixedState>,
    /// Length of an interval, in nanoseconds.
    interval: u64,
    due: Option<Timestamp>,
    /// Whether nothing could be forgotten when room was needed: not before the next summary.
    is_crowded: bool,
}

impl Repeats {
    /// Summaries every `interval_s` seconds.
    #[must_use]
    pub fn every(interval_s: u64) -> Self {
        Self {
            pairs: HashMap::default(),
            interval: interval_s.saturating_mul(1_000_000_000),
            due: None,
            is_crowded: false,
        }
    }

    /// Takes the next sighting; gives it back if it is to be told now.
    pub fn take(&mut self, sighting: Sighting) -> Option<Sighting> {
        self.next(sighting, false)
    }

    /// Takes a sighting of what was told before this run: it waits for the next summary. Gives it back where there is no room to wait.
    pub fn take_known(&mut self, sighting: Sighting) -> Option<Sighting> {
        self.next(sighting, true)
    }

    fn next(&mut self, sighting: Sighting, is_known: bool) -> Option<Sighting> {
        let pair = (sighting.host(), sighting.alert.indicator, sighting.alert.seen_as);
        let seen = sighting.alert.at;
        if let Some(held) = self.pairs.get_mut(&pair) {
            held.seen = held.seen.max(seen);
            held.count += 1;
            held.last = Some(sighting);
            return None;
        }
        if self.pairs.len() >= PAIRS_MAX && !self.is_crowded {
            self.forget_half();
        }
        let has_room = self.pairs.len() < PAIRS_MAX;
        if has_room && is_known {
            self.pairs.insert(pair, Held { seen, count: 1, last: Some(sighting) });
            return None;
        }
        if has_room {
            self.pairs.insert(pair, Held { seen, count: 0, last: None });
        }
        Some(sighting)
    }

    /// Forgets the half that was seen longest ago, but nothing of which a summary is due.
    fn forget_half(&mut self) {
        let mut times: Vec<Timestamp> = self.pairs.values().map(|held| held.seen).collect();
        let middle = times.len() / 2;
        let (_, &mut limit, _) = times.select_nth_unstable(middle);
        self.pairs.retain(|_, held| held.seen > limit || held.last.is_some());
        self.is_crowded = self.pairs.len() > PAIRS_MAX / 8 * 7;
    }

    /// Changes the time between summaries, from the next one on.
    pub fn set_interval(&mut self, interval_s: u64) {
        self.interval = interval_s.saturating_mul(1_000_000_000);
    }

    /// Summaries, if an interval has ended at `now`: the latest sighting of each pair, and how many there were since it was told last.
    pub fn summaries(&mut self, now: Timestamp) -> Vec<(Sighting, u64)> {
        let latest = Timestamp(now.0.saturating_add(self.interval));
        // A clock that was set back makes nobody wait for longer than an interval.
        let due = self.due.map_or(latest, |due| due.min(latest));
        self.due = Some(due);
        if now < due {
            return Vec::new();
        }
        self.due = None;
        self.held()
    }

    /// Everything that is held back, in the order of its packets.
    pub fn held(&mut self) -> Vec<(Sighting, u64)> {
        self.is_crowded = false;
        let held = self.pairs.values_mut();
        let mut all: Vec<_> =
            held.filter_map(|held| Some((held.last.take()?, std::mem::take(&mut held.count)))).collect();
        all.sort_by_key(|(sighting, _)| (sighting.alert.at, sighting.interface, sighting.alert.packet));
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sink::samples;

    const SECOND: u64 = 1_000_000_000;

    /// A sighting of host number `host` in packet number `packet`.
    fn sighting(host: u8, packet: u64, seen_as: SeenAs) -> Sighting {
        let mut alert = Alert { at: Timestamp(packet), packet, seen_as, ..samples::tls() };
        alert.flow.client = [10, 0, 0, host].into();
        Sighting { alert, interface: 0 }
    }

    #[test]
    fn only_what_is_new_is_told_at_once() {
        let mut repeats = Repeats::every(60);
        assert!(repeats.take(sighting(1, 1, SeenAs::Lookup)).is_some());
        assert!(repeats.take(sighting(1, 2, SeenAs::Lookup)).is_none());
        assert!(repeats.take(sighting(2, 3, SeenAs::Lookup)).is_some(), "another host");
        assert!(repeats.take(sighting(1, 4, SeenAs::Contact)).is_some(), "a contact after a lookup");
    }

    #[test]
    fn what_was_told_before_this_run_waits_for_the_summary() {
        let mut repeats = Repeats::every(60);
        assert!(repeats.take_known(sighting(1, 1, SeenAs::Contact)).is_none());
        assert!(repeats.take(sighting(1, 2, SeenAs::Contact)).is_none());
        let counts: Vec<(u64, u64)> =
            repeats.held().iter().map(|(sighting, count)| (sighting.alert.packet, *count)).collect();
        assert_eq!(counts, [(2, 2)]);
    }

    #[test]
    fn what_was_seen_long_ago_is_forgotten_once_too_much_is_remembered() {
        let mut repeats = Repeats::every(60);
        let sample = sighting(0, 0, SeenAs::Contact);
        let numbered = |number: u32, at: u64| {
            let mut sighting = sample.clone();
            sighting.alert.at = Timestamp(at);
            sighting.alert.flow.client = std::net::Ipv4Addr::from(0x0a00_0000 + number).into();
            sighting
        };
        let most = u32::try_from(PAIRS_MAX).unwrap();
        for number in 0..most {
            assert!(repeats.take(numbered(number, u64::from(number))).is_some());
        }
        assert!(repeats.take(numbered(0, 9)).is_none(), "a summary of it is due now");
        assert!(repeats.take(numbered(most, u64::from(most))).is_some());
        assert!(repeats.pairs.len() <= PAIRS_MAX / 2 + 1);
        assert!(repeats.take(numbered(0, 10)).is_none());
        assert!(repeats.take(numbered(1, 11)).is_some(), "told anew");
        assert!(repeats.take(numbered(most - 1, 12)).is_none());
    }

    #[test]
    fn a_summary_per_interval_has_the_count_and_the_latest() {
        let mut repeats = Repeats::every(60);
        assert!(repeats.summaries(Timestamp(0)).is_empty());
        (1..=4).for_each(|packet| drop(repeats.take(sighting(1, packet, SeenAs::Contact))));
        assert!(repeats.summaries(Timestamp(59 * SECOND)).is_empty());
        let summaries = repeats.summaries(Timestamp(60 * SECOND));
        let told: Vec<_> = summaries.iter().map(|(sighting, count)| (sighting.alert.packet, *count)).collect();
        assert_eq!(told, [(4, 3)]);
        assert!(repeats.summaries(Timestamp(61 * SECOND)).is_empty());
        assert!(repeats.summaries(Timestamp(180 * SECOND)).is_empty(), "nothing happened since");
    }

    #[test]
    fn the_end_tells_what_is_held_in_the_order_of_its_packets() {
        let mut repeats = Repeats::every(3600);
        for (packet, host) in [(1, 3), (2, 1), (3, 2), (4, 2), (5, 3), (6, 1)] {
            repeats.take(sighting(host, packet, SeenAs::Contact));
        }
        let order: Vec<u64> = repeats.held().iter().map(|(sighting, _)| sighting.alert.packet).collect();
        assert_eq!(order, [4, 5, 6]);
        assert!(repeats.held().is_empty());
    }
}
