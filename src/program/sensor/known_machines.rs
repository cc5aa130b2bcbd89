//! The machines that were seen: how many there are, and who they are.

use super::event_merger::EventMerger;
use crate::web::Asked;
use kaspector::matching::{HostKey, JoinedMachines, Label, MachineTally, NextHops};
use kaspector_report::{MachineCounts, SeenMachines};
use std::time::{Duration, Instant};

/// How often they are counted, which goes over all of them: while there are few, and when there are many.
const COUNT_FEW: Duration = Duration::from_secs(1);
const COUNT_MANY: Duration = Duration::from_secs(10);
/// So many are few.
const FEW: usize = 1 << 12;

/// What is known of them all, as of the last count. Of each, the ledgers know.
#[derive(Debug, Default)]
pub struct KnownMachines {
    counts: MachineCounts,
    /// Link-layer addresses that say nothing of a single machine.
    next_hops: NextHops,
    counted: Option<Instant>,
}

impl KnownMachines {
    /// Counts those that were seen by now, unless they were counted a moment ago.
    pub fn count(&mut self, mergers: &[EventMerger]) -> MachineCounts {
        let interval = if self.counts.seen <= FEW { COUNT_FEW } else { COUNT_MANY };
        if self.counted.is_none_or(|at| at.elapsed() >= interval) {
            let MachineTally { flows, next_hops } = joined(mergers).tally();
            self.counts = MachineCounts::of(flows);
            self.next_hops = next_hops;
            self.counted = Some(Instant::now());
        }
        self.counts
    }

    /// Those that are asked for.
    pub fn of(&self, mergers: &[EventMerger], asked: &Asked) -> SeenMachines {
        let all = joined(mergers);
        SeenMachines::new(match asked {
            Asked::Having(hosts) => all.rows_of(hosts, &self.next_hops),
            Asked::Called(words) => all.rows_called(words, &self.next_hops),
        })
    }

    /// What a host is called.
    pub fn name_of<'m>(&self, mergers: &'m [EventMerger], host: HostKey) -> Option<&'m str> {
        joined(mergers).name_of(host, &self.next_hops).map(|label| &*label.text)
    }

    /// All that is said of who a host is.
    pub fn labels_of(&self, mergers: &[EventMerger], host: HostKey) -> Vec<Label> {
        joined(mergers).labels_of(host, &self.next_hops).into_iter().cloned().collect()
    }
}

fn joined(mergers: &[EventMerger]) -> JoinedMachines<'_> {
    JoinedMachines::new(mergers.iter().map(EventMerger::machines))
}
