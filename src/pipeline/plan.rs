//! What is to be known of each packet of a block before the lanes run, and which lane it belongs to.
//!
//! Headers are read once, by whoever draws the plan. A lane meets a packet itself only if that may say something new of its flow.

use super::announcements::announce;
use super::{EventSink, FRAMES_AHEAD, FastPath, LANES, Lane, OFFLINE_SEED, PacketSummary, Route};
use crate::capture::{Frame, Frames, Timestamp};
use crate::decode::{
    Decoder, Dissected, FiveTuple, MacAddress, Outcome, OutcomeCounters, Segment, Transport, Tunnel, TunnelPorts, Zone,
    announcement, dissect_into,
};

/// How many packets ahead of its turn a packet's flow is asked for; the bucket that leads there, twice as far.
const PACKETS_AHEAD: usize = 16;

/// The plan of one block; reused from block to block.
#[derive(Debug, Default)]
pub struct Plan {
    /// By lane: its packets, in order.
    lanes: [Vec<Planned>; LANES],
    /// Indices of the packets that are fragments, until they are put together.
    fragments: Vec<u32>,
    /// Indices of the packets without IP that may say who somebody is.
    announcements: Vec<u32>,
    /// Segments that were put together from fragments, by the index of the packet that completed them.
    whole: Vec<(u32, OwnedSegment)>,
    outcomes: OutcomeCounters,
}

/// A packet that waits for its lane.
#[derive(Clone, Copy, Debug)]
struct Planned {
    route: Route,
    packet_summary: PacketSummary,
    /// In its block.
    index: u32,
}

/// A segment that no longer borrows its packet.
#[derive(Debug)]
struct OwnedSegment {
    at: Timestamp,
    five_tuple: FiveTuple,
    zone: Zone,
    transport: Transport,
    payload_len: u32,
    header: Vec<u8>,
    payload: Vec<u8>,
    macs: Option<(MacAddress, MacAddress)>,
    tunnel: Option<Tunnel>,
    hop_limit: u8,
}

impl OwnedSegment {
    fn of(segment: &Segment<'_>) -> Self {
        let &Segment { at, five_tuple, zone, transport, payload_len, header, payload, macs, tunnel, hop_limit } =
            segment;
        let (header, payload) = (header.to_vec(), payload.to_vec());
        Self { at, five_tuple, zone, transport, payload_len, header, payload, macs, tunnel, hop_limit }
    }

    fn borrow(&self) -> Segment<'_> {
        let &Self { at, five_tuple, zone, transport, payload_len, ref header, ref payload, macs, tunnel, hop_limit } =
            self;
        Segment { at, five_tuple, zone, transport, payload_len, header, payload, macs, tunnel, hop_limit }
    }
}

impl Plan {
    /// Forgets the last block.
    pub fn clear(&mut self) {
        self.lanes.iter_mut().for_each(Vec::clear);
        self.fragments.clear();
        self.announcements.clear();
        self.whole.clear();
        self.outcomes = OutcomeCounters::default();
    }

    /// Says for each packet of `block` that `accepts` chooses where it goes; tunnels are opened at `ports`.
    pub fn draw(&mut self, block: Frames<'_>, ports: &TunnelPorts, mut accepts: impl FnMut(&Frame<'_>) -> bool) {
        let mut dissected = Dissected::Other(Outcome::Filtered);
        for (index, frame) in (0..).zip(block.iter()) {
            block.prefetch(index as usize + FRAMES_AHEAD);
            if !accepts(&frame) {
                self.outcomes.bump(Outcome::Filtered);
                continue;
            }
            dissect_into(&frame, ports, &mut dissected);
            match &dissected {
                Dissected::Segment(segment) => {
                    self.outcomes.bump(Outcome::Inspected);
                    let planned = Planned::of(segment, frame.wire_len, index);
                    if let Some(lane) = self.lanes.get_mut(planned.route.lane(LANES)) {
                        lane.push(planned);
                    }
                }
                Dissected::Fragment(_) => self.fragments.push(index),
                Dissected::Other(outcome) => {
                    // Asked for once more, so that the frame of every packet need not go through memory.
                    if *outcome == Outcome::NotIp
                        && block.frame(index as usize).is_some_and(|frame| announcement(&frame).is_some())
                    {
                        self.announcements.push(index);
                    }
                    self.outcomes.bump(*outcome);
                }
            }
        }
    }

    /// Puts fragments together. Blocks must come in order.
    pub fn reassemble(&mut self, block: Frames<'_>, decoder: &mut Decoder) {
        for index in self.fragments.drain(..) {
            let Some(frame) = block.frame(index as usize) else { continue };
            let outcome = match decoder.decode(&frame) {
                Ok(segment) => {
                    let planned = Planned::of(&segment, frame.wire_len, index);
                    if let Some(lane) = self.lanes.get_mut(planned.route.lane(LANES)) {
                        let place = lane.partition_point(|other| other.index < index);
                        lane.insert(place, planned);
                    }
                    self.whole.push((index, OwnedSegment::of(&segment)));
                    Outcome::Inspected
                }
                Err(outcome) => outcome,
            };
            self.outcomes.bump(outcome);
        }
    }

    /// Where the packets ended.
    #[must_use]
    pub fn outcomes(&self) -> &OutcomeCounters {
        &self.outcomes
    }

    /// Runs lane number `number` over its packets; `ports` are those that the plan was drawn with.
    pub fn run(
        &self,
        block: Frames<'_>,
        ports: &TunnelPorts,
        number: usize,
        lane: &mut Lane,
        sink: &mut impl EventSink,
    ) {
        // They are of no flow, so the first lane has them.
        let announced = if number == 0 { self.announcements.as_slice() } else { &[] };
        for frame in announced.iter().filter_map(|&index| block.frame(index as usize)) {
            announce(frame.number, &frame, sink);
        }
        let all = self.lanes.get(number).map_or(&[][..], Vec::as_slice);
        let mut dissected = Dissected::Other(Outcome::Filtered);
        // The first of them are asked for all at once.
        for planned in all.iter().take(2 * PACKETS_AHEAD) {
            lane.prefetch(&planned.route);
        }
        for planned in all.iter().take(PACKETS_AHEAD) {
            block.prefetch(planned.index as usize);
            lane.prefetch_flow(&planned.route);
        }
        for (place, &Planned { ref route, ref packet_summary, index }) in all.iter().enumerate() {
            if let Some(planned) = all.get(place + 2 * PACKETS_AHEAD) {
                lane.prefetch(&planned.route);
            }
            if let Some(planned) = all.get(place + PACKETS_AHEAD) {
                block.prefetch(planned.index as usize);
                lane.prefetch_flow(&planned.route);
            }
            let FastPath::SlowPath(known) = lane.fast_path(packet_summary, route, sink) else { continue };
            let Some(frame) = block.frame(index as usize) else { continue };
            if let Some(whole) = self.whole_at(index) {
                dissected = Dissected::Segment(whole.borrow());
            } else {
                dissect_into(&frame, ports, &mut dissected);
            }
            if let Dissected::Segment(segment) = &dissected {
                lane.slow_path(known, frame.number, packet_summary.wire_len, segment, route, sink);
            }
        }
    }

    /// The segment that the packet with this index completed, if it is a fragment.
    fn whole_at(&self, index: u32) -> Option<&OwnedSegment> {
        let at = self.whole.binary_search_by_key(&index, |&(at, _)| at).ok()?;
        self.whole.get(at).map(|(_, whole)| whole)
    }
}

impl Planned {
    #[inline(always)]
    fn of(segment: &Segment<'_>, wire_len: u32, index: u32) -> Self {
        Self { route: Route::of(segment, OFFLINE_SEED), packet_summary: PacketSummary::of(segment, wire_len), index }
    }
}
