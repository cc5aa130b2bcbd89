//! The interfaces as their workers, the kernel and the devices count.

use super::counters::{Detail, WorkerCounters};
use super::health::Health;
use super::{Notice, Tell, WatchOptions};
use crate::status::InterfaceStatus;
use kaspector_report::EveStats;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Share of packets dropped in an interval above which a warning is due: one in so many.
const WARN_ABOVE_ONE_IN: u64 = 1000;
/// How long a worker may be seen not to move. One that waits for packets moves many times a second.
const STILL_MAX: Duration = Duration::from_secs(10);

/// All interfaces.
pub struct Interfaces<'w> {
    options: &'w WatchOptions,
    /// By interface, then by worker.
    counters: &'w [Vec<WorkerCounters>],
    health: Vec<Health>,
    /// What was known of each when it was last remarked on.
    before: Vec<InterfaceStatus>,
    /// How often each had gone down, and been opened anew, by then.
    comings: Vec<(u64, u64)>,
    /// What each worker had counted of its own rounds, and when that changed last.
    rounds: Vec<(u64, Instant)>,
}

impl<'w> Interfaces<'w> {
    /// Interfaces whose packets begin to be taken.
    pub fn new(options: &'w WatchOptions, counters: &'w [Vec<WorkerCounters>]) -> Self {
        let up = || InterfaceStatus { is_up: true, ..InterfaceStatus::default() };
        Self {
            options,
            counters,
            health: options.interfaces.iter().map(|name| Health::of(name, options)).collect(),
            before: options.interfaces.iter().map(|_| up()).collect(),
            comings: options.interfaces.iter().map(|_| (0, 0)).collect(),
            rounds: counters.iter().flatten().map(|_| (0, Instant::now())).collect(),
        }
    }

    /// What can be said before the first packet.
    pub fn advise(&self, tell: Tell<'_>) {
        for advice in self.health.iter().flat_map(|health| health.advice(self.options)) {
            tell(Notice::Warning(&advice));
        }
    }

    /// Each interface, as it stands.
    pub fn status(&mut self) -> Vec<InterfaceStatus> {
        let named = self.options.interfaces.iter().zip(self.counters).zip(&mut self.health);
        named.map(|((name, workers), health)| InterfaceStatus::of(name, workers, health.dropped())).collect()
    }

    /// What is counted under names, of all workers together.
    #[must_use]
    pub fn detail(&self) -> Detail {
        let mut total = Detail::default();
        self.counters.iter().flatten().for_each(|worker| total.add(&worker.detail()));
        total
    }

    /// The counters of a record, but for time and alerts.
    pub fn stats(&mut self) -> EveStats {
        let interfaces = self.status();
        let sum = |of: fn(&InterfaceStatus) -> u64| interfaces.iter().map(of).sum();
        EveStats {
            kernel_packets: sum(|interface| interface.kernel_packets),
            kernel_drops: sum(|interface| interface.kernel_drops),
            interface_drops: sum(|interface| interface.nic_drops),
            packets: sum(|interface| interface.packets),
            bytes: sum(|interface| interface.bytes),
            invalid: self.counters.iter().flatten().map(|worker| worker.invalid.load(Ordering::Relaxed)).sum(),
            ..EveStats::default()
        }
    }

    /// Whether every worker has moved lately, so that the sensor can be said to be alive.
    pub fn all_move(&mut self, now: Instant) -> bool {
        for (worker, (rounds, at)) in self.counters.iter().flatten().zip(&mut self.rounds) {
            let current = worker.rounds.load(Ordering::Relaxed);
            if current != *rounds {
                (*rounds, *at) = (current, now);
            }
        }
        self.rounds.iter().all(|(_, at)| now.saturating_duration_since(*at) < STILL_MAX)
    }

    /// Says what is to be said since the last call: counters, drops, links, and what a while of watching has shown.
    pub fn remark(&mut self, tell: Tell<'_>) {
        let interfaces = self.status();
        for ((interface, before), workers) in interfaces.iter().zip(&self.before).zip(self.counters) {
            self.remark_on(interface, before, workers, tell);
        }
        self.remark_on_comings(&interfaces, tell);
        self.before = interfaces;
        for (health, workers) in self.health.iter_mut().zip(self.counters) {
            for judgement in health.judge(workers) {
                tell(Notice::Warning(&judgement));
            }
        }
    }

    /// Says which interfaces went down, came up, or were made anew.
    fn remark_on_comings(&mut self, interfaces: &[InterfaceStatus], tell: Tell<'_>) {
        let known = self.before.iter().zip(&mut self.comings).zip(self.counters);
        for (interface, ((before, comings), workers)) in interfaces.iter().zip(known) {
            // The workers of an interface see the same.
            let most = |of: fn(&WorkerCounters) -> u64| workers.iter().map(of).max().unwrap_or_default();
            let now = (
                most(|worker| worker.went_down.load(Ordering::Relaxed)),
                most(|worker| worker.reopened.load(Ordering::Relaxed)),
            );
            let (went_down, reopened) = std::mem::replace(comings, now);
            let name = &interface.name;
            if now.1 > reopened {
                tell(Notice::Warning(&format!("{name} was removed and made anew, and is watched again")));
            }
            match (before.is_up, interface.is_up) {
                (true, false) => {
                    tell(Notice::Warning(&format!("{name} is down or gone: nothing can be seen there")));
                }
                (false, true) => tell(Notice::Warning(&format!("{name} is up again"))),
                (true, true) if now.0 > went_down => {
                    tell(Notice::Warning(&format!("{name} was down for a moment, and is up again")));
                }
                _ => {}
            }
        }
    }

    fn remark_on(
        &self,
        interface: &InterfaceStatus,
        before: &InterfaceStatus,
        workers: &[WorkerCounters],
        tell: Tell<'_>,
    ) {
        let name = &interface.name;
        let more = |of: fn(&InterfaceStatus) -> u64| of(interface).saturating_sub(of(before));
        let seen = more(|interface| interface.kernel_packets);
        let ring = more(|interface| interface.kernel_drops);
        let nic = more(|interface| interface.nic_drops);
        let queue = more(|interface| interface.queue_drops);
        let freezes = more(|interface| interface.ring_freezes);
        let counters = format!(
            "{name}: {seen} packets since the last look; dropped: {ring} by the kernel{}, {nic} by the interface, {queue} events by a \
             queue of ours; ring full {freezes} times",
            by_worker(workers)
        );
        // What was lost is in the log, however little it is.
        tell(if ring + nic + queue > 0 { Notice::Event(&counters) } else { Notice::Detail(&counters) });
        let mut warn = |dropped: u64, text: String| {
            if dropped.saturating_mul(WARN_ABOVE_ONE_IN) > seen {
                tell(Notice::Warning(&format!("{name}: {text}")));
            }
        };
        warn(
            ring,
            format!(
                "the kernel dropped {ring} of {seen} packets since the last look, because the ring was full; a larger one may help: \
                 --ring-blocks {}",
                super::blocks(self.options, name, self.options.workers).saturating_mul(2)
            ),
        );
        warn(
            nic,
            format!(
                "the interface dropped {nic} packets since the last look, before the kernel saw them; its own ring may be too small: \
                 ethtool -g {name}"
            ),
        );
        warn(queue, format!("{queue} events were lost, because a queue of ours was full"));
    }
}

/// Since the start, what the kernel dropped of each of several workers: ` (worker 0: 3, worker 1: 0 since the start)`.
fn by_worker(workers: &[WorkerCounters]) -> String {
    if workers.len() < 2 {
        return String::new();
    }
    let each = workers
        .iter()
        .enumerate()
        .map(|(number, worker)| format!("worker {number}: {}", worker.kernel_drops.load(Ordering::Relaxed)));
    format!(" ({} since the start)", each.collect::<Vec<_>>().join(", "))
}
