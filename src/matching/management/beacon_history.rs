//! Connections of one client to one server, and whether they come at the interval of a beacon.

use crate::capture::Timestamp;
use crate::matching::FlowSummary;
use crate::matching::lru_map::RetentionPriority;
use crate::matching::signature_set::{Beacon, STEPS_MAX};
use std::collections::VecDeque;

/// Connections of one client to one server that are remembered: those of the longest beacon, each with another in between.
pub const STARTS_MAX: usize = 2 * STEPS_MAX;

/// The beginning of a connection whose beacon interval is followed.
#[derive(Debug)]
struct Start {
    at: Timestamp,
    flow: u64,
    state: State,
}

/// What is known of a connection.
#[derive(Debug)]
enum State {
    /// It goes on.
    Open,
    /// It is over, but one that began before it is not; the flow, if it counts.
    Over(Option<Box<FlowSummary>>),
    /// It is over, and so are all that began before it; whether it counts: it came about, and was not somebody else's.
    Settled(bool),
}

/// Connections of a pair, in the order of their beginnings.
#[derive(Debug, Default)]
pub struct BeaconHistory {
    starts: VecDeque<Start>,
}

impl RetentionPriority for BeaconHistory {
    /// Connections that may belong to a beacon: those of a flood never come about.
    fn retention_priority(&self) -> u64 {
        let counts = |start: &&Start| matches!(start.state, State::Over(Some(_)) | State::Settled(true));
        self.starts.iter().filter(counts).count() as u64
    }
}

impl BeaconHistory {
    /// Notes that a connection began.
    pub fn begin(&mut self, flow: u64, at: Timestamp) {
        if self.starts.len() >= STARTS_MAX {
            self.starts.pop_front();
        }
        self.starts.push_back(Start { at, flow, state: State::Open });
    }

    /// Notes that a connection ended: its flow, if it counts. Says whether that was all there is, and counts for nothing.
    pub fn end(&mut self, flow: &FlowSummary, counts: bool) -> bool {
        let Some(start) = self.starts.iter_mut().find(|start| start.flow == flow.first_packet) else { return false };
        start.state = State::Over(counts.then(|| Box::new(*flow)));
        !counts && self.starts.len() == 1
    }

    /// Settles what can be, in the order of the beginnings, whatever the order of the ends; the last flows of the beats that are complete
    /// by it.
    pub fn settle(&mut self, beacon: &Beacon) -> Vec<FlowSummary> {
        let mut found = Vec::new();
        for at in 0..self.starts.len() {
            let Some(start) = self.starts.get_mut(at) else { break };
            let flow = match &mut start.state {
                State::Open => break,
                State::Settled(_) => continue,
                State::Over(flow) => flow.take(),
            };
            start.state = State::Settled(flow.is_some());
            if let Some(flow) = flow
                && self.completes_beacon(at, beacon)
            {
                found.push(*flow);
            }
        }
        found
    }

    /// Whether a beat ends with the connection at this place. There may be no more other connections in between than the beat has
    /// gaps: among many, some are always as far apart as one likes.
    fn completes_beacon(&self, place: usize, beacon: &Beacon) -> bool {
        // For each start, how many of a beat lead to it, and where the first of them stands.
        let mut chains: Vec<(usize, usize)> = Vec::with_capacity(place + 1);
        for (at, start) in self.starts.iter().enumerate().take(place + 1) {
            let counts = matches!(start.state, State::Settled(true));
            let mut chain = (usize::from(counts), at);
            for (earlier, &(length, first)) in self.starts.iter().zip(&chains) {
                let gap = start.at.0.saturating_sub(earlier.at.0);
                if counts
                    && length > 0
                    && gap.abs_diff(beacon.period_ns) <= beacon.tolerance_ns
                    && at - first <= 2 * length
                    && length + 1 > chain.0
                {
                    chain = (length + 1, first);
                }
            }
            chains.push(chain);
        }
        chains.last().is_some_and(|&(length, _)| length >= beacon.connections)
    }
}

/// Whether the beacon is one of that port's.
pub fn is_at(beacon: &Beacon, port: u16, protocol: u8) -> bool {
    beacon.ports.iter().any(|range| range.contains(port, protocol))
}
