//! All lanes of one thread, and the decoder before them: frames in, events out.

use super::announcements::announce;
use super::{BATCH, Bounds, EventSink, FRAMES_AHEAD, Lane, LaneCounters, PacketSummary, RoundEvents, Route};
use crate::capture::{Frame, FrameSequence, Timestamp};
use crate::decode::{Decoder, Dissected, Fragment, Outcome, OutcomeCounters, Segment, TunnelPorts, dissect_into};
use crate::matching::{ResolvedAddresses, SignatureSet};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whose packets a thread numbers, so that no two threads of an interface give the same number to two packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// The thread, from 0.
    pub thread: u64,
    /// Threads that share the interface, at least one.
    pub threads: u64,
}

impl Numbering {
    /// For a thread that has its input to itself.
    pub const ALONE: Self = Self { thread: 0, threads: 1 };

    /// The number of the thread's packet number `own`, which counts from 1: from 1, too.
    const fn number(self, own: u64) -> u64 {
        own.wrapping_sub(1).wrapping_mul(self.threads).wrapping_add(self.thread).wrapping_add(1)
    }

    /// Which of the thread's packets, counted from 1, has this number.
    #[must_use]
    pub const fn own(self, number: u64) -> u64 {
        (number.wrapping_sub(1).wrapping_sub(self.thread) / if self.threads > 0 { self.threads } else { 1 })
            .wrapping_add(1)
    }
}

/// How much was seen of TCP connections that carried payload, and what of it could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Coverage {
    /// Connections that have ended.
    pub ended: u64,
    /// Those of which only one side was seen.
    pub one_sided: u64,
    /// Those whose beginning was not seen.
    pub midstream: u64,
    /// Client hellos with an encrypted_client_hello extension (RFC 9849): the name that they show may be an outer one. Browsers that have
    /// nothing to hide send it, too.
    pub encrypted_hellos: u64,
    /// Flows that began with a QUIC packet of a version that cannot be opened.
    pub unknown_quic_versions: u64,
}

impl Coverage {
    /// What these lanes saw so far.
    pub(super) fn of(lanes: &[Lane]) -> Self {
        let mut sum = Self::default();
        for &LaneCounters { carried, one_sided, midstream, ref read_counters, unknown_quic_versions, .. } in
            lanes.iter().map(Lane::counters)
        {
            let encrypted_hellos = read_counters.encrypted_hellos;
            sum.add(Self { ended: carried, one_sided, midstream, encrypted_hellos, unknown_quic_versions });
        }
        sum
    }

    /// Adds what another saw.
    pub fn add(&mut self, other: Self) {
        self.ended += other.ended;
        self.one_sided += other.one_sided;
        self.midstream += other.midstream;
        self.encrypted_hellos += other.encrypted_hellos;
        self.unknown_quic_versions += other.unknown_quic_versions;
    }
}

/// The lanes of one thread. What frames bring about goes to an [`EventSink`].
#[derive(Debug)]
pub struct Lanes {
    seed: u64,
    numbering: Numbering,
    ports: Arc<TunnelPorts>,
    decoder: Decoder,
    lanes: Vec<Lane>,
    outcomes: OutcomeCounters,
    last: (u64, Timestamp),
}

impl Lanes {
    /// So many empty lanes, rounded up to a power of two, for flows whose hash is keyed by `seed`.
    #[must_use]
    pub fn new(signatures: &Arc<SignatureSet>, seed: u64, lanes: usize, numbering: Numbering) -> Self {
        Self::with_bounds(signatures, seed, lanes, numbering, &Bounds::default())
    }

    /// The same, each lane with these bounds.
    #[must_use]
    pub fn with_bounds(
        signatures: &Arc<SignatureSet>,
        seed: u64,
        lanes: usize,
        numbering: Numbering,
        bounds: &Bounds,
    ) -> Self {
        Self {
            seed,
            numbering,
            ports: Arc::new(TunnelPorts::ASSIGNED),
            decoder: Decoder::default(),
            lanes: (0..lanes.next_power_of_two()).map(|_| Lane::new(signatures, seed, bounds)).collect(),
            outcomes: OutcomeCounters::default(),
            last: (0, Timestamp(0)),
        }
    }

    /// Opens tunnels at `ports` from now on.
    #[must_use]
    pub fn with_tunnels(self, ports: &Arc<TunnelPorts>) -> Self {
        Self { ports: Arc::clone(ports), decoder: Decoder::with_tunnels(ports), ..self }
    }

    /// Matches what is seen from now on against another set, in which indicators of the set before keep their indices
    /// ([`SignatureSet::succeed`]).
    pub fn set_signatures(&mut self, signatures: &Arc<SignatureSet>) {
        for lane in &mut self.lanes {
            lane.set_signatures(signatures);
        }
    }

    /// Takes the next frame.
    pub fn feed(&mut self, frame: &Frame<'_>, sink: &mut impl EventSink) -> Outcome {
        let number = self.numbering.number(frame.number);
        self.last = (number, frame.at);
        let Self { seed, decoder, lanes, .. } = self;
        let outcome = match decoder.decode(frame) {
            Ok(segment) => {
                let route = Route::of(&segment, *seed);
                accept(lanes, number, frame.wire_len, &segment, &route, sink);
                Outcome::Inspected
            }
            Err(outcome) => {
                if outcome == Outcome::NotIp {
                    announce(number, frame, sink);
                }
                outcome
            }
        };
        self.outcomes.bump(outcome);
        outcome
    }

    /// Takes the next block of frames, those that `accepts` chooses. The same as [`Self::feed`] for each, and faster.
    pub fn feed_block<'a>(
        &mut self,
        frames: impl FrameSequence<'a>,
        mut accepts: impl FnMut(&Frame<'_>) -> bool,
        sink: &mut impl EventSink,
    ) {
        // On the stack, so that a block costs no allocation.
        let mut batch = [Dissected::Other(Outcome::Filtered); BATCH];
        let mut routes = [Route::default(); BATCH];
        for start in (0..frames.len()).step_by(BATCH) {
            let places = batch.iter_mut().zip(&mut routes);
            for ((dissected, route), index) in places.zip(start..frames.len()) {
                frames.prefetch(index + FRAMES_AHEAD);
                let Some(frame) = frames.frame(index) else { break };
                if accepts(&frame) {
                    dissect_into(&frame, self.decoder.ports(), dissected);
                } else {
                    *dissected = Dissected::Other(Outcome::Filtered);
                }
                if let Dissected::Segment(segment) = dissected {
                    *route = Route::of(segment, self.seed);
                    if let Some(lane) = self.lanes.get(route.lane(self.lanes.len())) {
                        lane.prefetch(route);
                    }
                }
            }
            let taken = BATCH.min(frames.len() - start);
            let ahead = || batch.iter().zip(&routes).take(taken);
            for (dissected, route) in ahead() {
                if let Dissected::Segment(_) = dissected
                    && let Some(lane) = self.lanes.get(route.lane(self.lanes.len()))
                {
                    lane.prefetch_flow(route);
                }
            }
            for ((dissected, route), index) in ahead().zip(start..) {
                let Some(frame) = frames.frame(index) else { break };
                let number = self.numbering.number(frame.number);
                let outcome = match dissected {
                    Dissected::Segment(segment) => {
                        accept(&mut self.lanes, number, frame.wire_len, segment, route, sink);
                        Outcome::Inspected
                    }
                    Dissected::Fragment(fragment) => self.resume(number, frame.wire_len, fragment, sink),
                    Dissected::Other(outcome) => {
                        // Asked for once more: a frame that is looked at here would have to go through memory for every packet.
                        if *outcome == Outcome::NotIp
                            && let Some(frame) = frames.frame(index)
                        {
                            announce(number, &frame, sink);
                        }
                        *outcome
                    }
                };
                self.outcomes.bump(outcome);
                self.last = (number, frame.at);
            }
        }
    }

    fn resume(&mut self, number: u64, wire_len: u32, fragment: &Fragment<'_>, sink: &mut impl EventSink) -> Outcome {
        let Self { seed, decoder, lanes, .. } = self;
        match decoder.resume(fragment) {
            Ok(segment) => {
                let route = Route::of(&segment, *seed);
                accept(lanes, number, wire_len, &segment, &route, sink);
                Outcome::Inspected
            }
            Err(outcome) => outcome,
        }
    }

    /// Looks at the next `count` entries of each lane and tier, and ends the flows that have been idle for too long at `now`: for traffic
    /// that opens no flows, whose own packets would do it.
    pub fn sweep(&mut self, now: Timestamp, count: usize, sink: &mut impl EventSink) {
        let (packet, _) = self.last;
        for lane in &mut self.lanes {
            lane.sweep(packet, now, count, sink);
        }
    }

    /// Drops of a round's events what matters to nobody: see [`RoundEvents::sift`].
    pub fn sift(&mut self, events: &mut RoundEvents, resolved: &ResolvedAddresses) {
        events.sift(resolved, &mut self.lanes, self.seed);
    }

    /// The last packet taken, and its time.
    #[must_use]
    pub const fn last(&self) -> (u64, Timestamp) {
        self.last
    }

    /// Where the packets ended so far.
    #[must_use]
    pub const fn outcomes(&self) -> &OutcomeCounters {
        &self.outcomes
    }

    /// Flows seen.
    #[must_use]
    pub fn flows(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.counters().flows).sum()
    }

    /// How much was seen so far of the connections that have ended, and what could not be read.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        Coverage::of(&self.lanes)
    }

    /// Flows that are followed now.
    #[must_use]
    pub fn flows_active(&self) -> usize {
        self.lanes.iter().map(Lane::flows_active).sum()
    }

    /// Bytes of memory that flow tables and what is held back take.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.lanes.iter().map(Lane::memory_bytes).sum()
    }

    /// What was dropped at a bound, under the bound's name.
    pub fn add_dropped(&self, total: &mut BTreeMap<&'static str, u64>) {
        for lane in &self.lanes {
            lane.add_dropped(total);
        }
        self.decoder.add_dropped(total);
    }

    /// Ends every flow.
    pub fn finish(&mut self, sink: &mut impl EventSink) {
        let (packet, at) = self.last;
        Lane::finish(&mut self.lanes, packet, at, sink);
    }

    /// Forgets what was counted, once [`Self::finish`] has ended every flow: the lanes are then as new.
    pub fn reset(&mut self) {
        for lane in &mut self.lanes {
            lane.reset_counters();
        }
        self.decoder = Decoder::with_tunnels(&self.ports);
        self.outcomes = OutcomeCounters::default();
        self.last = (0, Timestamp(0));
    }
}

/// Hands a packet to the lane of its flow.
#[inline(always)]
fn accept(
    lanes: &mut [Lane],
    number: u64,
    wire_len: u32,
    segment: &Segment<'_>,
    route: &Route,
    sink: &mut impl EventSink,
) {
    let lane = route.lane(lanes.len());
    if let Some(lane) = lanes.get_mut(lane) {
        lane.accept(number, &PacketSummary::of(segment, wire_len), segment, route, sink);
    }
}
