//! The journey of one frame through the rooms.
//!
//! ```text
//! frame -> decode -> lane: flow -> inspect -> matching::observe -> events -> ledger -> hosts, alerts
//! ```
//!
//! Flows are spread over a fixed number of [`Lane`]s by the hash of their key. A lane owns everything that its flows need, so lanes may
//! run on any number of threads: as long as each sees its packets in order, and the ledger sees all events in order, the answer is the
//! same to the byte. [`Detector`] runs the whole journey on one thread.

mod flow_record;
mod lane;
mod plan;
mod pool;
mod round;

use crate::capture::{Block, Frame, Timestamp};
use crate::decode::{Decoder, Dissected, Fragment, Outcome, OutcomeCounters, Segment, dissect_into};
use crate::flow::{FlowKey, Side};
use crate::inspect::Observation;
use crate::matching::{
    Alert, Event, EventKind, HostFinding, HostKey, HostRecord, IndicatorIndex, Ledger, Opened, Place, SignatureSet,
};
use std::collections::BTreeMap;

pub use lane::{Lane, LaneCounters};
pub use plan::Plan;
pub use round::RoundEvents;

/// Lanes that flows are spread over, whatever the number of threads: the answer must not depend on it.
pub const LANES: usize = 8;
/// Frames whose memory is asked for ahead of use (HOTPATH: 16 to 64 is fine).
const BATCH: usize = 32;
/// How many frames ahead of its turn a frame's headers are asked for.
const FRAMES_AHEAD: usize = 16;

/// A packet's flow: its key, the sender's side, and the hash that picks lane and bucket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    /// Key of the flow.
    pub key: FlowKey,
    /// Which end sent the packet.
    pub side: Side,
    /// Keyed hash of `key`.
    pub hash: u64,
}

impl Route {
    /// The route of a segment. `seed` keys the hash: constant offline, random on a sensor.
    #[inline]
    #[must_use]
    pub fn of(segment: &Segment<'_>, seed: u64) -> Self {
        let (key, side) = FlowKey::of(&segment.five_tuple, &segment.zone);
        Self { key, side, hash: key.hash(seed) }
    }

    /// The lane that the flow belongs to, chosen by bits that choose neither bucket nor tag.
    #[must_use]
    pub const fn lane(&self) -> usize {
        (self.hash >> 61) as usize % LANES
    }
}

/// Key of the flow hash where nobody can aim at a bucket: offline, where the answer must be the same every time. Not zero: the upper
/// words of IPv4 addresses are, and a product of zero and zero keyed would forget both addresses.
pub const OFFLINE_SEED: u64 = 0x6b61_7370_6563_746f;

/// Takes what lanes bring about.
pub trait Outlet {
    /// Something for the ledger.
    fn event(&mut self, event: Event);
    /// A flow began. Says whether the ledger remembers it, so that its end is to be told, too.
    fn opened(&mut self, opening: &Opening<'_>) -> bool;
    /// Whether it is still open if the ledger remembers the flow that began with this packet.
    fn is_undecided(&self, first_packet: u64) -> bool {
        let _ = first_packet;
        false
    }
    /// A fact read from payload, whether or not it matches anything.
    fn observation(&mut self, place: &Place<'_>, observation: &Observation<'_>) {
        let _ = (place, observation);
    }
}

/// The first packet of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Its number.
    pub packet: u64,
    /// What it carries.
    pub segment: &'a Segment<'a>,
    /// Published range that its source lies in.
    pub src_range: Option<IndicatorIndex>,
    /// Published range that its destination lies in.
    pub dst_range: Option<IndicatorIndex>,
    /// Whether the signatures alone make the flow matter, by a range or a port, whoever its ends are.
    pub of_interest: bool,
}

impl Opening<'_> {
    /// What the ledger is told.
    #[must_use]
    pub fn event(&self) -> Event {
        let Self { packet, segment, src_range, dst_range, of_interest } = *self;
        let &Segment { at, five_tuple, zone, macs, tunnel, .. } = segment;
        let opened = Opened { five_tuple, zone, macs, tunnel: tunnel.map(Box::new), src_range, dst_range, of_interest };
        Event { packet, at, kind: EventKind::Opened(opened) }
    }
}

/// The ledger itself, where packets are taken one after the other.
impl Outlet for Ledger<'_> {
    fn event(&mut self, event: Event) {
        self.record(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        let matters = opening.of_interest || self.may_matter(&opening.segment.five_tuple);
        if matters {
            self.record(opening.event());
        }
        matters
    }
}

/// The ledger, and a caller who wants to see observations.
struct Witnessed<'a, 's, F> {
    ledger: &'a mut Ledger<'s>,
    witness: F,
}

impl<F: FnMut(&Place<'_>, &Observation<'_>)> Outlet for Witnessed<'_, '_, F> {
    fn event(&mut self, event: Event) {
        self.ledger.event(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        self.ledger.opened(opening)
    }

    fn observation(&mut self, place: &Place<'_>, observation: &Observation<'_>) {
        (self.witness)(place, observation);
    }
}

/// What one capture, or one stretch of live traffic, came to.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is known of each host, by address.
    pub hosts: BTreeMap<HostKey, HostRecord>,
    /// Alerts in the order in which they were raised, as far as they were not taken before.
    pub alerts: Vec<Alert>,
    /// Where every packet ended.
    pub outcomes: OutcomeCounters,
    /// Flows seen.
    pub flows: u64,
    /// What was given up at a bound, under the bound's name.
    pub given_up: BTreeMap<&'static str, u64>,
}

impl Findings {
    /// Adds up what the parts of a pipeline hold once their last packet is through.
    #[must_use]
    pub fn close(mut ledger: Ledger<'_>, outcomes: OutcomeCounters, lanes: &[Lane<'_>], decoder: &Decoder) -> Self {
        let mut given_up = ledger.given_up();
        for lane in lanes {
            lane.add_given_up(&mut given_up);
        }
        decoder.add_given_up(&mut given_up);
        Self {
            alerts: ledger.take_alerts(),
            flows: lanes.iter().map(|lane| lane.counters().flows).sum(),
            hosts: ledger.into_hosts().collect(),
            outcomes,
            given_up,
        }
    }

    /// The hosts with evidence: strongest verdict first, then by address.
    #[must_use]
    pub fn host_findings(&self, signatures: &SignatureSet) -> Vec<HostFinding> {
        let mut found: Vec<_> =
            self.hosts.iter().filter_map(|(host, record)| record.finding(*host, signatures)).collect();
        found.sort_by_key(|finding| (finding.verdict, finding.host));
        found
    }
}

/// The whole detector on one thread: frames in, alerts and findings out.
///
/// ```
/// use kaspector::capture::{Frame, LinkType, Timestamp};
/// use kaspector::matching::SignatureSet;
/// use kaspector::pipeline::Detector;
///
/// let signatures = SignatureSet::builtin();
/// let mut detector = Detector::new(&signatures);
/// let bytes = [0; 60]; // from a ring, a file, a test
/// detector.feed(&Frame { number: 1, at: Timestamp(0), link_type: LinkType::ETHERNET, wire_len: 60, bytes: &bytes });
/// let findings = detector.finish();
/// assert_eq!(findings.outcomes.total(), 1);
/// assert!(findings.host_findings(&signatures).is_empty());
/// ```
#[derive(Debug)]
pub struct Detector<'s> {
    signatures: &'s SignatureSet,
    seed: u64,
    input: u32,
    discards_alerts: bool,
    decoder: Decoder,
    lanes: Vec<Lane<'s>>,
    ledger: Ledger<'s>,
    outcomes: OutcomeCounters,
    last: (u64, Timestamp),
}

impl<'s> Detector<'s> {
    /// A detector for captures. A live sensor wants [`Self::with_seed`].
    #[must_use]
    pub fn new(signatures: &'s SignatureSet) -> Self {
        Self::with_seed(signatures, OFFLINE_SEED)
    }

    /// A detector whose flow hash is keyed by `seed`: random, so that nobody on the wire can aim at one bucket. The answer for a
    /// given input depends on it only when a bound is met.
    #[must_use]
    pub fn with_seed(signatures: &'s SignatureSet, seed: u64) -> Self {
        Self {
            signatures,
            seed,
            input: 0,
            discards_alerts: false,
            decoder: Decoder::default(),
            lanes: (0..LANES).map(|_| Lane::new(signatures, seed)).collect(),
            ledger: Ledger::new(signatures, 0),
            outcomes: OutcomeCounters::default(),
            last: (0, Timestamp(0)),
        }
    }

    /// Says which input the frames to come belong to; evidence names it.
    pub fn begin_input(&mut self, input: u32) {
        self.input = input;
        self.ledger = self.empty_ledger();
    }

    /// Keeps no alerts from now on, for callers who want only what they add up to.
    pub fn discard_alerts(&mut self) {
        self.discards_alerts = true;
        self.ledger = self.empty_ledger();
    }

    /// Takes the next frame.
    pub fn feed(&mut self, frame: &Frame<'_>) -> Outcome {
        self.feed_observed(frame, |_, _| {})
    }

    /// Takes the next frame, and shows `witness` every fact that it completes.
    pub fn feed_observed(&mut self, frame: &Frame<'_>, witness: impl FnMut(&Place<'_>, &Observation<'_>)) -> Outcome {
        self.last = (frame.number, frame.at);
        let Self { decoder, lanes, ledger, .. } = self;
        let outcome = match decoder.decode(frame) {
            Ok(segment) => {
                let route = Route::of(&segment, self.seed);
                accept(lanes, frame, &segment, &route, &mut Witnessed { ledger, witness });
                Outcome::Inspected
            }
            Err(outcome) => outcome,
        };
        self.outcomes.bump(outcome);
        outcome
    }

    /// Takes the next block of frames, those that `accepts` chooses. The same as [`Self::feed`] for each, and faster.
    pub fn feed_block(&mut self, block: &Block, mut accepts: impl FnMut(&Frame<'_>) -> bool) {
        // On the stack, so that a block costs no allocation.
        let mut batch = [Dissected::Other(Outcome::Filtered); BATCH];
        let mut routes = [Route::default(); BATCH];
        for start in (0..block.records.len()).step_by(BATCH) {
            let places = batch.iter_mut().zip(&mut routes);
            for ((dissected, route), index) in places.zip(start..block.records.len()) {
                block.prefetch(index + FRAMES_AHEAD);
                let Some(frame) = block.frame(index) else { break };
                if accepts(&frame) {
                    dissect_into(&frame, dissected);
                } else {
                    *dissected = Dissected::Other(Outcome::Filtered);
                }
                if let Dissected::Segment(segment) = dissected {
                    *route = Route::of(segment, self.seed);
                    if let Some(lane) = self.lanes.get(route.lane()) {
                        lane.prefetch(route);
                    }
                }
            }
            let taken = BATCH.min(block.records.len() - start);
            let ahead = || batch.iter().zip(&routes).take(taken);
            for (dissected, route) in ahead() {
                if let Dissected::Segment(_) = dissected
                    && let Some(lane) = self.lanes.get(route.lane())
                {
                    lane.prefetch_flow(route);
                }
            }
            for ((dissected, route), index) in ahead().zip(start..) {
                let Some(frame) = block.frame(index) else { break };
                let outcome = match dissected {
                    Dissected::Segment(segment) => {
                        accept(&mut self.lanes, &frame, segment, route, &mut self.ledger);
                        Outcome::Inspected
                    }
                    Dissected::Fragment(fragment) => self.resume(&frame, fragment),
                    Dissected::Other(outcome) => *outcome,
                };
                self.outcomes.bump(outcome);
                self.last = (frame.number, frame.at);
            }
        }
    }

    fn resume(&mut self, frame: &Frame<'_>, fragment: &Fragment<'_>) -> Outcome {
        let Self { decoder, lanes, ledger, .. } = self;
        match decoder.resume(fragment) {
            Ok(segment) => {
                let route = Route::of(&segment, self.seed);
                accept(lanes, frame, &segment, &route, ledger);
                Outcome::Inspected
            }
            Err(outcome) => outcome,
        }
    }

    /// Takes the alerts raised so far.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        self.ledger.take_alerts()
    }

    /// Where the packets since the last [`Self::finish`] ended.
    #[must_use]
    pub const fn outcomes(&self) -> &OutcomeCounters {
        &self.outcomes
    }

    /// Ends every flow and gives what it all came to. The detector is then as new.
    pub fn finish(&mut self) -> Findings {
        let (packet, at) = self.last;
        Lane::finish(&mut self.lanes, packet, at, &mut self.ledger);
        let empty = self.empty_ledger();
        let ledger = std::mem::replace(&mut self.ledger, empty);
        let outcomes = std::mem::take(&mut self.outcomes);
        let findings = Findings::close(ledger, outcomes, &self.lanes, &self.decoder);
        for lane in &mut self.lanes {
            lane.reset_counters();
        }
        self.decoder = Decoder::default();
        self.last = (0, Timestamp(0));
        findings
    }

    fn empty_ledger(&self) -> Ledger<'s> {
        let ledger = Ledger::new(self.signatures, self.input);
        if self.discards_alerts { ledger.without_alerts() } else { ledger }
    }
}

/// Hands a packet to the lane of its flow.
fn accept(lanes: &mut [Lane<'_>], frame: &Frame<'_>, segment: &Segment<'_>, route: &Route, outlet: &mut impl Outlet) {
    if let Some(lane) = lanes.get_mut(route.lane()) {
        lane.accept(frame.number, frame.wire_len, segment, route, outlet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{FiveTuple, Zone};
    use std::collections::HashSet;

    /// Clients that use the same port with the same server: only the address tells their flows apart.
    #[test]
    fn the_address_alone_moves_a_flow_to_another_lane_and_bucket() {
        let hashes: Vec<u64> = (0..4096_u32)
            .map(|client| {
                let src = std::net::Ipv4Addr::from(0x0a00_0000 + client).into();
                let dst = std::net::Ipv4Addr::new(198, 51, 100, 7).into();
                let tuple = FiveTuple { src, dst, src_port: 40_000, dst_port: 443, protocol: FiveTuple::TCP };
                FlowKey::of(&tuple, &Zone::default()).0.hash(OFFLINE_SEED)
            })
            .collect();
        let count = |part: fn(u64) -> u64| hashes.iter().map(|&hash| part(hash)).collect::<HashSet<_>>().len();
        assert_eq!(count(|hash| hash), 4096);
        assert_eq!(count(|hash| hash >> 61), LANES);
        // Thrown at random, 4096 balls meet about 3600 of 16384 bins, and all of 256.
        assert!(count(|hash| hash & 0x3fff) > 3400);
        assert_eq!(count(|hash| hash >> 48 & 0xff), 256);
    }
}
