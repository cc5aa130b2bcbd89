//! Flows to ports of interest, between their record and the ledger. What several of them prove together depends on the order in which they
//! began; Suricata logs them in the order in which they were over, up to minutes later.

use super::reader::FlowName;
use kaspector::capture::Timestamp;
use kaspector::matching::{Ended, Opened, ProtocolEvidence};
use std::collections::BTreeMap;

/// How long they are held, by the log's own time: as long as Suricata keeps an established UDP flow that fell silent, and half a minute.
const HOLD_NS: u64 = 330_000_000_000;
/// Flows that are held; then the one that began first is let go early.
pub const HELD_MAX: usize = 1 << 14;

/// A flow that is over.
#[derive(Debug)]
pub(crate) struct HeldFlow {
    pub name: FlowName,
    pub opened: Opened,
    pub protocol: Vec<ProtocolEvidence>,
    pub ended: Ended,
    /// When it ended.
    pub over: Timestamp,
    /// When its record came.
    pub told: Timestamp,
}

/// Flows by their beginning.
#[derive(Debug, Default)]
pub(crate) struct HeldFlows {
    flows: BTreeMap<(Timestamp, u64), HeldFlow>,
    hurried: u64,
}

impl HeldFlows {
    pub fn hold(&mut self, started: Timestamp, flow: HeldFlow) {
        self.flows.insert((started, flow.ended.flow), flow);
    }

    /// The next flow that was held for long enough, with the time that it began.
    pub fn next_due(&mut self, now: Timestamp) -> Option<(Timestamp, HeldFlow)> {
        let (_, first) = self.flows.first_key_value()?;
        let is_due = now.since(first.told) > HOLD_NS;
        let is_crowded = self.flows.len() > HELD_MAX;
        if !is_due && !is_crowded {
            return None;
        }
        self.hurried += u64::from(!is_due);
        self.next()
    }

    /// The next flow, however short it was held.
    pub fn next(&mut self) -> Option<(Timestamp, HeldFlow)> {
        let ((started, _), flow) = self.flows.pop_first()?;
        Some((started, flow))
    }

    /// Flows that were let go early.
    pub const fn hurried(&self) -> u64 {
        self.hurried
    }
}
