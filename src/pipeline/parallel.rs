//! What becomes of one capture on several threads, round by round: the same as [`Detector`](super::Detector) does on one.
//!
//! ```text
//! block -> Plan::draw -> RoundLedger::reassemble -> RoundLane::run -> RoundLedger::take -> RoundLedger::record -> Findings
//!          any thread    one, between two steps     a thread each     one, between two     one thread
//! ```
//!
//! Whoever has threads decides who does what when. What is done here does not depend on it: a lane meets its packets in order, and the
//! ledger takes the events of a round in order once every lane is through with the round after it.

use super::{Bounds, Coverage, Findings, Lane, OFFLINE_SEED, Plan, RoundEvents};
use crate::capture::{Frames, Timestamp};
use crate::decode::{Decoder, OutcomeCounters, TunnelPorts};
use crate::matching::{Event, Ledger, ResolvedAddresses, SignatureSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A lane, and what it brought about that the ledger does not have yet.
#[derive(Debug)]
pub struct RoundLane {
    number: usize,
    lane: Lane,
    /// Of the round that it was run over last.
    events: RoundEvents,
    /// Of the round before that, what may matter.
    sifted: Vec<Event>,
}

impl RoundLane {
    /// Lane number `number`, below [`LANES`](super::LANES), with no flows.
    #[must_use]
    pub fn new(number: usize, signatures: &Arc<SignatureSet>) -> Self {
        let lane = Lane::new(signatures, OFFLINE_SEED, &Bounds::default());
        Self { number, lane, events: RoundEvents::default(), sifted: Vec::new() }
    }

    /// Begins the round whose first packet has this number: what the last round brought about is sifted, now that `resolved` knows every
    /// address that clients got from DNS in it.
    pub fn begin(&mut self, first_packet: u64, resolved: &ResolvedAddresses) {
        self.sift(resolved);
        self.events.begin(first_packet);
    }

    /// Runs the lane over the next block of the round; `ports` are those that its plan was drawn with.
    pub fn run(&mut self, block: Frames<'_>, plan: &Plan, ports: &TunnelPorts) {
        plan.run(block, ports, self.number, &mut self.lane, &mut self.events);
    }

    fn sift(&mut self, resolved: &ResolvedAddresses) {
        self.events.sift(resolved, std::slice::from_mut(&mut self.lane), OFFLINE_SEED);
        self.sifted.extend(self.events.drain());
    }
}

/// The ledger behind the lanes, and what else comes in the order of the capture.
#[derive(Debug)]
pub struct RoundLedger {
    ledger: Ledger,
    /// Puts fragments together: they belong to no lane before they are whole.
    decoder: Decoder,
    outcomes: OutcomeCounters,
    /// The events of all lanes that the ledger is to take next, one lane behind the other.
    events: Vec<Event>,
}

impl RoundLedger {
    /// For the capture with this number; tunnels are opened at `ports`.
    #[must_use]
    pub fn new(signatures: &Arc<SignatureSet>, input: u32, ports: &Arc<TunnelPorts>, keeps_alerts: bool) -> Self {
        let ledger = Ledger::new(signatures, input);
        Self {
            ledger: if keeps_alerts { ledger } else { ledger.without_alerts() },
            decoder: Decoder::with_tunnels(ports),
            outcomes: OutcomeCounters::default(),
            events: Vec::new(),
        }
    }

    /// Completes the plan of the next block by what its fragments complete, and counts where its packets ended. Blocks must come in order.
    pub fn reassemble(&mut self, block: Frames<'_>, plan: &mut Plan) {
        plan.reassemble(block, &mut self.decoder);
        self.outcomes.add(plan.outcomes());
    }

    /// Takes what a lane has for the ledger: of the round before the last, what may matter; of the last one, which addresses clients got
    /// from DNS, into `resolved`.
    pub fn take(&mut self, lane: &mut RoundLane, resolved: &mut ResolvedAddresses) {
        lane.events.take_resolved(resolved);
        self.events.append(&mut lane.sifted);
    }

    /// Gives the ledger the events that were taken.
    pub fn record(&mut self) {
        // Each lane's events are in packet order, and a packet has events of one lane only.
        self.events.sort_by_key(|event| event.packet);
        for event in self.events.drain(..) {
            self.ledger.record(event);
        }
    }

    /// Ends every flow and gives the result. `last` is the number of the last packet, and its time.
    #[must_use]
    pub fn finish(
        mut self,
        mut lanes: Vec<RoundLane>,
        mut resolved: ResolvedAddresses,
        last: (u64, Timestamp),
    ) -> Findings {
        // What was brought about last still goes to the ledger.
        for lane in &mut lanes {
            lane.sift(&resolved);
        }
        for lane in &mut lanes {
            self.take(lane, &mut resolved);
        }
        self.record();
        let mut lanes: Vec<Lane> = lanes.into_iter().map(|lane| lane.lane).collect();
        Lane::finish(&mut lanes, last.0, last.1, &mut self.ledger);
        let mut dropped = BTreeMap::new();
        lanes.iter().for_each(|lane| lane.add_dropped(&mut dropped));
        self.decoder.add_dropped(&mut dropped);
        let flows = lanes.iter().map(|lane| lane.counters().flows).sum();
        Findings::close(self.ledger, self.outcomes, flows, Coverage::of(&lanes), dropped)
    }
}
