//! What workers count, and what it comes to for an interface.

use crate::status::InterfaceStatus;
use kaspector::capture::Timestamp;
use kaspector::decode::OutcomeCounters;
use kaspector::pipeline::Coverage;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What one worker counts. One writer; readers want a recent value, not an order between counters.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkerCounters {
    /// Packets taken.
    pub packets: AtomicU64,
    /// Their bytes on the wire.
    pub bytes: AtomicU64,
    /// When the last of them came, in nanoseconds since 1970; zero: none did.
    pub last_packet: AtomicU64,
    /// Packets with a malformed header.
    pub invalid: AtomicU64,
    /// Packets that the kernel counted: those taken and those dropped.
    pub kernel_packets: AtomicU64,
    /// Packets that the kernel dropped.
    pub kernel_drops: AtomicU64,
    /// Times that the ring was full.
    pub ring_freezes: AtomicU64,
    /// Packets whose time is that of the interface's own clock.
    pub hardware_stamped: AtomicU64,
    /// Times that the queue of reports was full.
    pub queue_full: AtomicU64,
    /// Events that were lost because it stayed so.
    pub queue_lost: AtomicU64,
    /// Sightings of machines, and what was said of them, that found no room beside the events.
    pub machines_lost: AtomicU64,
    /// Rounds of the worker's loop: one that is alive makes several a second, packets or not.
    pub rounds: AtomicU64,
    /// Times that the interface went down.
    pub went_down: AtomicU64,
    /// Times that it had been removed, and was opened anew.
    pub reopened: AtomicU64,
    /// Whether the interface was last seen down or gone.
    pub is_down: AtomicBool,
    /// What is counted too finely for one word each, as of the last second.
    detail: Mutex<Detail>,
}

/// Counters of a worker, some of them under names.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Where the packets ended.
    pub outcomes: OutcomeCounters,
    /// Flows seen.
    pub flows: u64,
    /// Flows that are followed now.
    pub flows_active: u64,
    /// Bytes of memory that flow tables and what is held back take.
    pub memory_bytes: u64,
    /// How much was seen of TCP connections.
    pub coverage: Coverage,
    /// What was dropped at a bound, under the bound's name.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Detail {
    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        self.outcomes.add(&other.outcomes);
        self.flows += other.flows;
        self.flows_active += other.flows_active;
        self.memory_bytes += other.memory_bytes;
        self.coverage.add(other.coverage);
        for (&bound, count) in &other.dropped {
            *self.dropped.entry(bound).or_default() += count;
        }
    }
}

impl InterfaceStatus {
    /// The interface `name`, as its workers count, and with what it dropped itself.
    #[must_use]
    pub fn of(name: &str, workers: &[WorkerCounters], nic_drops: u64) -> Self {
        let sum = |counter: fn(&WorkerCounters) -> &AtomicU64| {
            workers.iter().map(|worker| counter(worker).load(Ordering::Relaxed)).sum()
        };
        let last = workers.iter().map(|worker| worker.last_packet.load(Ordering::Relaxed)).max();
        Self {
            name: name.to_owned(),
            is_up: !workers.iter().any(|worker| worker.is_down.load(Ordering::Relaxed)),
            packets: sum(|counters| &counters.packets),
            bytes: sum(|counters| &counters.bytes),
            kernel_packets: sum(|counters| &counters.kernel_packets),
            kernel_drops: sum(|counters| &counters.kernel_drops),
            ring_freezes: sum(|counters| &counters.ring_freezes),
            nic_drops,
            queue_drops: sum(|counters| &counters.queue_lost),
            machine_reports_lost: sum(|counters| &counters.machines_lost),
            last_packet: last.filter(|&at| at > 0).map(Timestamp),
        }
    }
}

impl WorkerCounters {
    /// Puts what is counted too finely for one word each in place of what it was.
    pub fn set_detail(&self, detail: Detail) {
        *self.detail.lock().unwrap_or_else(PoisonError::into_inner) = detail;
    }

    /// What is counted too finely for one word each.
    #[must_use]
    pub fn detail(&self) -> Detail {
        self.detail.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
