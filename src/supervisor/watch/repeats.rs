//! Holds alerts to what a human wants: the first sight of a host and an indicator at once, then one summary per interval.

use crate::capture::Timestamp;
use crate::matching::{Alert, HostKey, IndicatorIndex, SeenAs};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Pairs of host and indicator that are remembered. Alerts of further pairs are told each time, which is noisy and loses nothing.
const PAIRS_MAX: usize = 1 << 16;

/// What one interval holds back of a host and an indicator, seen as closely. A contact after a mere lookup is news.
type Pair = (HostKey, IndicatorIndex, SeenAs);

/// An alert and the index of the interface that it was seen on.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The alert.
    pub alert: Alert,
    /// Index of the interface, in the order given.
    pub interface: usize,
}

impl Sighting {
    /// The machine that the alert is about.
    #[must_use]
    pub fn host(&self) -> HostKey {
        let Alert { flow, host_is_server, .. } = &self.alert;
        HostKey { address: if *host_is_server { flow.server } else { flow.client }, zone: flow.zone }
    }
}

#[derive(Debug)]
struct Held {
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
}

impl Repeats {
    /// Summaries every `interval_s` seconds.
    #[must_use]
    pub fn every(interval_s: u64) -> Self {
        Self { pairs: HashMap::default(), interval: interval_s.saturating_mul(1_000_000_000), due: None }
    }

    /// Takes the next sighting; gives it back if it is to be told now.
    pub fn take(&mut self, sighting: Sighting) -> Option<Sighting> {
        let pair = (sighting.host(), sighting.alert.indicator, sighting.alert.seen_as);
        if let Some(held) = self.pairs.get_mut(&pair) {
            held.count += 1;
            held.last = Some(sighting);
            return None;
        }
        if self.pairs.len() < PAIRS_MAX {
            self.pairs.insert(pair, Held { count: 0, last: None });
        }
        Some(sighting)
    }

    /// Summaries, if an interval has ended at `now`: the latest sighting of each pair, and how many there were since it was told last.
    pub fn summaries(&mut self, now: Timestamp) -> Vec<(Sighting, u64)> {
        let due = *self.due.get_or_insert(Timestamp(now.0.saturating_add(self.interval)));
        if now < due {
            return Vec::new();
        }
        self.due = None;
        self.held()
    }

    /// Everything that is held back, in the order of its packets.
    pub fn held(&mut self) -> Vec<(Sighting, u64)> {
        let held = self.pairs.values_mut();
        let mut all: Vec<_> =
            held.filter_map(|held| Some((held.last.take()?, std::mem::take(&mut held.count)))).collect();
        all.sort_by_key(|(sighting, _)| (sighting.alert.at, sighting.interface, sighting.alert.packet));
        all
    }
}
