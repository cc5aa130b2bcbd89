//! Holds alerts to what a human wants: the first sight of a host and an indicator at once, then one summary per interval.

use foldhash::fast::FixedState;
use kaspector::capture::Timestamp;
use kaspector::matching::{Alert, HostKey, IndicatorIndex, SeenAs, SignatureSet, Verdict};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Pairs of host and indicator that are remembered. Beyond, the quarter that says least is forgotten, of equals what was seen longest ago,
/// and told anew when it is seen again. What is held back of it is told with the next summaries.
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
    /// What it supports by itself.
    says: Verdict,
    seen: Timestamp,
    count: u64,
    last: Option<Box<Sighting>>,
}

/// What was told of which host.
#[derive(Debug)]
pub struct Repeats {
    pairs: HashMap<Pair, Held, FixedState>,
    /// Length of an interval, in nanoseconds.
    interval: u64,
    due: Option<Timestamp>,
    /// What was held back of pairs that were forgotten.
    forgotten: Vec<(Box<Sighting>, u64)>,
}

impl Repeats {
    /// Summaries every `interval_s` seconds.
    #[must_use]
    pub fn every(interval_s: u64) -> Self {
        Self {
            pairs: HashMap::default(),
            interval: interval_s.saturating_mul(1_000_000_000),
            due: None,
            forgotten: Vec::new(),
        }
    }

    /// Takes the next sighting; gives it back if it is to be told now.
    pub fn take(&mut self, sighting: Sighting, signatures: &SignatureSet) -> Option<Sighting> {
        self.next(sighting, false, signatures)
    }

    /// Takes a sighting of what was told before this run: it waits for the next summary.
    pub fn take_known(&mut self, sighting: Sighting, signatures: &SignatureSet) {
        self.next(sighting, true, signatures);
    }

    fn next(&mut self, sighting: Sighting, is_known: bool, signatures: &SignatureSet) -> Option<Sighting> {
        let pair = (sighting.host(), sighting.alert.indicator, sighting.alert.seen_as);
        let seen = sighting.alert.at;
        if let Some(held) = self.pairs.get_mut(&pair) {
            held.seen = held.seen.max(seen);
            held.count += 1;
            held.last = Some(Box::new(sighting));
            return None;
        }
        if self.pairs.len() >= PAIRS_MAX {
            self.make_room();
        }
        let Alert { indicator, seen_as, on_behalf, .. } = sighting.alert;
        let says = Verdict::of(signatures.get(indicator).strength, seen_as, on_behalf);
        if is_known {
            self.pairs.insert(pair, Held { says, seen, count: 1, last: Some(Box::new(sighting)) });
            return None;
        }
        self.pairs.insert(pair, Held { says, seen, count: 0, last: None });
        Some(sighting)
    }

    fn make_room(&mut self) {
        let rank = |pair: &Pair, held: &Held| (Reverse(held.says), held.seen, *pair);
        let mut ranked: Vec<_> = self.pairs.iter().map(|(pair, held)| rank(pair, held)).collect();
        ranked.select_nth_unstable(PAIRS_MAX / 4);
        for (.., pair) in ranked.iter().take(PAIRS_MAX / 4) {
            let Some(Held { last: Some(last), count, .. }) = self.pairs.remove(pair) else { continue };
            // As many summaries as pairs may wait, and no more: in such a flood the latest of each pair says enough.
            if self.forgotten.len() < PAIRS_MAX {
                self.forgotten.push((last, count));
            }
        }
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
        let held = self.pairs.values_mut();
        let held = held.filter_map(|held| Some((held.last.take()?, std::mem::take(&mut held.count))));
        let forgotten = std::mem::take(&mut self.forgotten);
        let mut all: Vec<_> = held.chain(forgotten).map(|(sighting, count)| (*sighting, count)).collect();
        all.sort_by_key(|(sighting, _)| (sighting.alert.at, sighting.interface, sighting.alert.packet));
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kaspector_report::samples;

    const SECOND: u64 = 1_000_000_000;

    /// A sighting of host number `host` in packet number `packet`.
    fn sighting(host: u8, packet: u64, seen_as: SeenAs) -> Sighting {
        let mut alert = samples::tls();
        (alert.at, alert.packet, alert.seen_as) = (Timestamp(packet), packet, seen_as);
        alert.flow.client = [10, 0, 0, host].into();
        Sighting { alert, interface: 0 }
    }

    #[test]
    fn only_what_is_new_is_told_at_once() {
        let mut repeats = Repeats::every(60);
        assert!(repeats.take(sighting(1, 1, SeenAs::Lookup), &SignatureSet::builtin()).is_some());
        assert!(repeats.take(sighting(1, 2, SeenAs::Lookup), &SignatureSet::builtin()).is_none());
        assert!(repeats.take(sighting(2, 3, SeenAs::Lookup), &SignatureSet::builtin()).is_some(), "another host");
        assert!(
            repeats.take(sighting(1, 4, SeenAs::Contact), &SignatureSet::builtin()).is_some(),
            "a contact after a lookup"
        );
    }

    #[test]
    fn what_was_told_before_this_run_waits_for_the_summary() {
        let mut repeats = Repeats::every(60);
        repeats.take_known(sighting(1, 1, SeenAs::Contact), &SignatureSet::builtin());
        assert!(repeats.take(sighting(1, 2, SeenAs::Contact), &SignatureSet::builtin()).is_none());
        let counts: Vec<(u64, u64)> =
            repeats.held().iter().map(|(sighting, count)| (sighting.alert.packet, *count)).collect();
        assert_eq!(counts, [(2, 2)]);
    }

    #[test]
    fn at_the_bound_the_weakest_and_oldest_are_forgotten_and_what_was_held_back_is_told() {
        let signatures = SignatureSet::builtin();
        let mut repeats = Repeats::every(60);
        let sample = sighting(0, 0, SeenAs::Contact);
        let numbered = |number: u32, at: u64, seen_as| {
            let mut sighting = sample.clone();
            (sighting.alert.at, sighting.alert.packet, sighting.alert.seen_as) = (Timestamp(at), at, seen_as);
            sighting.alert.flow.client = std::net::Ipv4Addr::from(0x0a00_0000 + number).into();
            sighting
        };
        let most = u32::try_from(PAIRS_MAX).unwrap();
        let strong = most * 4;
        assert!(repeats.take(numbered(strong, 0, SeenAs::Contact), &signatures).is_some());
        assert!(repeats.take(numbered(0, 0, SeenAs::Lookup), &signatures).is_some());
        assert!(repeats.take(numbered(0, 0, SeenAs::Lookup), &signatures).is_none());
        for number in 1..most * 2 {
            assert!(repeats.take(numbered(number, u64::from(number), SeenAs::Lookup), &signatures).is_some());
            assert!(repeats.pairs.len() <= PAIRS_MAX);
        }
        assert!(repeats.take(numbered(strong, 1, SeenAs::Contact), &signatures).is_none(), "old, and strong");
        assert!(repeats.take(numbered(most * 2 - 1, 12, SeenAs::Lookup), &signatures).is_none());
        assert!(repeats.take(numbered(1, 11, SeenAs::Lookup), &signatures).is_some(), "told anew");
        let held = repeats.held();
        let hosts: Vec<_> = held.iter().map(|(sighting, count)| (sighting.host().address, *count)).collect();
        let address = |number| std::net::IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number));
        assert_eq!(hosts, [(address(0), 1), (address(strong), 1), (address(most * 2 - 1), 1)]);
    }

    #[test]
    fn a_summary_per_interval_has_the_count_and_the_latest() {
        let mut repeats = Repeats::every(60);
        assert!(repeats.summaries(Timestamp(0)).is_empty());
        (1..=4).for_each(|packet| drop(repeats.take(sighting(1, packet, SeenAs::Contact), &SignatureSet::builtin())));
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
            repeats.take(sighting(host, packet, SeenAs::Contact), &SignatureSet::builtin());
        }
        let order: Vec<u64> = repeats.held().iter().map(|(sighting, _)| sighting.alert.packet).collect();
        assert_eq!(order, [4, 5, 6]);
        assert!(repeats.held().is_empty());
    }
}
