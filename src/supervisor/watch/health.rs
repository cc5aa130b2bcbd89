//! What about an interface is not as a sensor needs it: said once, with the command that would mend it.

use super::WatchOptions;
use super::counters::WorkerCounters;
use crate::capture::{Facts, RingOptions, advice};
use crate::pipeline::SeenInPart;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// When it should be known whether packets come, and of both directions.
const JUDGED_AFTER: Duration = Duration::from_secs(60);
/// Fewest connections that tell whether both directions are mirrored.
const CONNECTIONS_MIN: u64 = 20;

/// One interface, as far as it was looked at.
#[derive(Debug)]
pub struct Health {
    interface: String,
    began: Instant,
    drops: Drops,
    is_judged: bool,
}

impl Health {
    /// An interface of which a sensor begins to capture.
    #[must_use]
    pub fn of(interface: &str) -> Self {
        let drops = Drops { counted: dropped(interface).unwrap_or_default(), since: 0 };
        Self { interface: interface.to_owned(), began: Instant::now(), drops, is_judged: false }
    }

    /// What can be said before the first packet.
    #[must_use]
    pub fn advice(&self, options: &WatchOptions) -> Vec<String> {
        let blocks = super::blocks(options, &self.interface, options.workers);
        // Which group it is does not matter: only that rings share the load.
        let fanout = (options.workers > 1).then_some(0);
        let ring = RingOptions { blocks, fanout, ..options.ring.clone() };
        Facts::of(&self.interface).map(|facts| advice(&facts, &ring)).unwrap_or_default()
    }

    /// Packets that the interface dropped before anybody could take them, since the beginning.
    pub fn dropped(&mut self) -> u64 {
        if let Some(counted) = dropped(&self.interface) {
            self.drops.note(counted);
        }
        self.drops.since
    }

    /// What can be said once it has been watched for a while; nothing before, and nothing twice.
    pub fn judge(&mut self, workers: &[WorkerCounters]) -> Option<String> {
        if self.is_judged || self.began.elapsed() < JUDGED_AFTER {
            return None;
        }
        self.is_judged = true;
        let interface = &self.interface;
        if workers.iter().all(|worker| worker.packets.load(Ordering::Relaxed) == 0) {
            return Some(format!(
                "no packet came from {interface} in the first minute; check that the mirror port is set up and the cable is in it: \
                 tcpdump -c 1 -i {interface}"
            ));
        }
        let mut seen = SeenInPart::default();
        workers.iter().for_each(|worker| seen.add(worker.detail().seen_in_part));
        (seen.ended >= CONNECTIONS_MIN && seen.one_sided.saturating_mul(10) > seen.ended.saturating_mul(9)).then(|| {
            format!(
                "of {} of {} connections on {interface} only one direction was seen; set the mirror port to copy both, received and \
                 sent, or watch the port of the other direction besides: -i",
                seen.one_sided, seen.ended
            )
        })
    }
}

/// What an interface dropped, by a counter that begins anew when the interface is made anew.
#[derive(Debug)]
struct Drops {
    /// What it had counted when it was last asked.
    counted: u64,
    /// Since we began.
    since: u64,
}

impl Drops {
    fn note(&mut self, counted: u64) {
        self.since += counted.checked_sub(self.counted).unwrap_or(counted);
        self.counted = counted;
    }
}

fn dropped(interface: &str) -> Option<u64> {
    Facts::of(interface).ok()?.rx_dropped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::supervisor::watch::counters::Detail;

    /// An interface that has been watched for two minutes.
    fn watched() -> Health {
        let began = Instant::now().checked_sub(2 * JUDGED_AFTER).unwrap();
        Health { interface: "span0".to_owned(), began, drops: Drops { counted: 0, since: 0 }, is_judged: false }
    }

    fn worker(packets: u64, ended: u64, one_sided: u64) -> WorkerCounters {
        let counters = WorkerCounters::default();
        counters.packets.store(packets, Ordering::Relaxed);
        let seen_in_part = SeenInPart { ended, one_sided, ..SeenInPart::default() };
        counters.set_detail(Detail { seen_in_part, ..Detail::default() });
        counters
    }

    #[test]
    fn drops_add_up_when_the_interface_is_made_anew() {
        let mut drops = Drops { counted: 1000, since: 0 };
        for (counted, since) in [(1000, 0), (1007, 7), (3, 10), (3, 10), (2000, 2007)] {
            drops.note(counted);
            assert_eq!(drops.since, since);
        }
    }

    #[test]
    fn silence_and_half_a_mirror_are_said_once() {
        let said = |workers: &[WorkerCounters]| watched().judge(workers);
        assert!(said(&[worker(0, 0, 0), worker(0, 0, 0)]).unwrap().contains("no packet"));
        assert!(said(&[worker(900, 60, 58), worker(900, 40, 40)]).unwrap().contains("98 of 100 connections on span0"));
        assert_eq!(said(&[worker(900, 100, 40)]), None);
        assert_eq!(said(&[worker(900, 10, 10)]), None, "too few to tell");
        let mut health = watched();
        assert!(health.judge(&[worker(0, 0, 0)]).is_some());
        assert!(health.judge(&[worker(0, 0, 0)]).is_none());
        let mut young = Health { began: Instant::now(), ..watched() };
        assert!(young.judge(&[worker(0, 0, 0)]).is_none());
    }
}
