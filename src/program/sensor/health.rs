//! What about an interface is not as a sensor needs it: said once, with the command that would mend it.

use super::WatchOptions;
use super::counters::WorkerCounters;
use kaspector::pipeline::Coverage;
use kaspector_live::{CaptureKind, Facts, RingOptions, advice};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Whether packets are to have the time of the interface's own clock, and it is known which have.
    wants_its_clock: bool,
    is_judged: bool,
}

impl Health {
    /// An interface of which a sensor begins to capture.
    #[must_use]
    pub fn of(interface: &str, options: &WatchOptions) -> Self {
        let drops = Drops { counted: dropped(interface).unwrap_or_default(), since: 0 };
        // libpcap does not say whose time it gives.
        let wants_its_clock = options.ring.hardware_time && options.capture == CaptureKind::Afpacket;
        Self { interface: interface.to_owned(), began: Instant::now(), drops, wants_its_clock, is_judged: false }
    }

    /// What can be said before the first packet.
    #[must_use]
    pub fn advice(&self, options: &WatchOptions) -> Vec<String> {
        let blocks = super::blocks(options, &self.interface, options.workers);
        let rings = u32::try_from(options.workers).unwrap_or(u32::MAX);
        let ring = RingOptions { blocks, ..options.ring.clone() };
        Facts::of(&self.interface).map(|facts| advice(&facts, &ring, rings)).unwrap_or_default()
    }

    /// Packets that the interface dropped before anybody could take them, since the beginning.
    pub fn dropped(&mut self) -> u64 {
        if let Some(counted) = dropped(&self.interface) {
            self.drops.note(counted);
        }
        self.drops.since
    }

    /// What can be said once it has been watched for a while; nothing before, and nothing twice.
    pub fn judge(&mut self, workers: &[WorkerCounters]) -> Vec<String> {
        let mut said = Vec::new();
        if self.is_judged || self.began.elapsed() < JUDGED_AFTER {
            return said;
        }
        self.is_judged = true;
        let interface = &self.interface;
        let sum = |counter: fn(&WorkerCounters) -> &AtomicU64| {
            workers.iter().map(|worker| counter(worker).load(Ordering::Relaxed)).sum::<u64>()
        };
        if sum(|worker| &worker.packets) == 0 {
            said.push(format!(
                "no packet came from {interface} in the first minute; check that the mirror port is set up and the cable is in it: \
                 tcpdump -c 1 -i {interface}"
            ));
            return said;
        }
        if self.wants_its_clock && sum(|worker| &worker.hardware_stamped) == 0 {
            said.push(format!(
                "{interface} stamped no packet with its own clock, so all have the kernel's time; have it stamp what it receives, if it \
                 can (ethtool -T {interface}): hwstamp_ctl -i {interface} -r 1"
            ));
        }
        let mut seen = Coverage::default();
        workers.iter().for_each(|worker| seen.add(worker.detail().coverage));
        if seen.ended >= CONNECTIONS_MIN && seen.one_sided.saturating_mul(10) > seen.ended.saturating_mul(9) {
            said.push(format!(
                "of {} of {} connections on {interface} only one direction was seen; set the mirror port to copy both, received and \
                 sent, or watch the port of the other direction besides: -i",
                seen.one_sided, seen.ended
            ));
        }
        said
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
    use crate::sensor::counters::Detail;

    /// An interface that has been watched for two minutes.
    fn watched() -> Health {
        let began = Instant::now().checked_sub(2 * JUDGED_AFTER).unwrap();
        let drops = Drops { counted: 0, since: 0 };
        Health { interface: "span0".to_owned(), began, drops, wants_its_clock: false, is_judged: false }
    }

    fn worker(packets: u64, ended: u64, one_sided: u64) -> WorkerCounters {
        let counters = WorkerCounters::default();
        counters.packets.store(packets, Ordering::Relaxed);
        let mut coverage = Coverage::default();
        (coverage.ended, coverage.one_sided) = (ended, one_sided);
        counters.set_detail(Detail { coverage, ..Detail::default() });
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
        let said = |workers: &[WorkerCounters]| watched().judge(workers).concat();
        assert!(said(&[worker(0, 0, 0), worker(0, 0, 0)]).contains("no packet"));
        assert!(said(&[worker(900, 60, 58), worker(900, 40, 40)]).contains("98 of 100 connections on span0"));
        assert_eq!(said(&[worker(900, 100, 40)]), "");
        assert_eq!(said(&[worker(900, 10, 10)]), "", "too few to tell");
        let mut health = watched();
        assert_eq!(health.judge(&[worker(0, 0, 0)]).len(), 1);
        assert!(health.judge(&[worker(0, 0, 0)]).is_empty());
        let mut young = Health { began: Instant::now(), ..watched() };
        assert!(young.judge(&[worker(0, 0, 0)]).is_empty());
    }

    #[test]
    fn a_clock_that_was_asked_for_and_stamps_nothing_is_said() {
        let asked = || Health { wants_its_clock: true, ..watched() };
        let workers = [worker(5, 100, 100), worker(0, 0, 0)];
        let said = asked().judge(&workers);
        assert!(said.first().unwrap().contains("hwstamp_ctl -i span0 -r 1"), "{said:?}");
        assert!(said.get(1).unwrap().contains("only one direction"), "{said:?}");
        workers.first().unwrap().hardware_stamped.store(1, Ordering::Relaxed);
        assert_eq!(asked().judge(&workers).len(), 1);
        assert_eq!(watched().judge(&workers).len(), 1);
    }
}
