//! Which lane each packet of a block belongs to, drawn up before the lanes run.

use super::{BATCH, FRAMES_AHEAD, LANES, Lane, OFFLINE_SEED, Outlet, Route};
use crate::capture::{Frame, Frames, Timestamp};
use crate::decode::{
    Decoder, Dissected, FiveTuple, MacAddress, Outcome, OutcomeCounters, Segment, Transport, Tunnel, Zone, dissect,
    dissect_into,
};

/// The plan of one block; reused from block to block.
#[derive(Debug, Default)]
pub struct Plan {
    /// By lane: the indices of its packets in the block, in order.
    lanes: [Vec<u32>; LANES],
    /// Indices of the packets that are fragments, until they are put together.
    fragments: Vec<u32>,
    /// Segments that were put together from fragments, by the index of the packet that completed them.
    whole: Vec<(u32, OwnedSegment)>,
    outcomes: OutcomeCounters,
}

/// A segment that no longer borrows its packet.
#[derive(Debug)]
struct OwnedSegment {
    at: Timestamp,
    five_tuple: FiveTuple,
    zone: Zone,
    transport: Transport,
    payload_len: u32,
    payload: Vec<u8>,
    macs: Option<(MacAddress, MacAddress)>,
    tunnel: Option<Tunnel>,
    hop_limit: u8,
}

impl OwnedSegment {
    fn of(segment: &Segment<'_>) -> Self {
        let &Segment { at, five_tuple, zone, transport, payload_len, payload, macs, tunnel, hop_limit } = segment;
        Self { at, five_tuple, zone, transport, payload_len, payload: payload.to_vec(), macs, tunnel, hop_limit }
    }

    fn borrow(&self) -> Segment<'_> {
        let &Self { at, five_tuple, zone, transport, payload_len, ref payload, macs, tunnel, hop_limit } = self;
        Segment { at, five_tuple, zone, transport, payload_len, payload, macs, tunnel, hop_limit }
    }
}

impl Plan {
    /// Forgets the last block.
    pub fn clear(&mut self) {
        self.lanes.iter_mut().for_each(Vec::clear);
        self.fragments.clear();
        self.whole.clear();
        self.outcomes = OutcomeCounters::default();
    }

    /// Says for each packet of `block` that `accepts` chooses where it goes.
    pub fn draw(&mut self, block: Frames<'_>, mut accepts: impl FnMut(&Frame<'_>) -> bool) {
        for (index, frame) in (0..).zip(block.iter()) {
            block.prefetch(index as usize + FRAMES_AHEAD);
            let dissected = if accepts(&frame) { dissect(&frame) } else { Dissected::Other(Outcome::Filtered) };
            match dissected {
                Dissected::Segment(segment) => {
                    self.outcomes.bump(Outcome::Inspected);
                    if let Some(lane) = self.lanes.get_mut(lane_of(&segment)) {
                        lane.push(index);
                    }
                }
                Dissected::Fragment(_) => self.fragments.push(index),
                Dissected::Other(outcome) => self.outcomes.bump(outcome),
            }
        }
    }

    /// Puts fragments together. Blocks must come in order.
    pub fn reassemble(&mut self, block: Frames<'_>, decoder: &mut Decoder) {
        for index in self.fragments.drain(..) {
            let Some(frame) = block.frame(index as usize) else { continue };
            let outcome = match decoder.decode(&frame) {
                Ok(segment) => {
                    if let Some(lane) = self.lanes.get_mut(lane_of(&segment)) {
                        let place = lane.partition_point(|&other| other < index);
                        lane.insert(place, index);
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

    /// Runs lane number `number` over its packets.
    pub fn run(&self, block: Frames<'_>, number: usize, lane: &mut Lane, outlet: &mut impl Outlet) {
        // On the stack, so that a block costs no allocation.
        let mut batch = [Dissected::Other(Outcome::Filtered); BATCH];
        let mut routes = [Route::default(); BATCH];
        for indices in self.lanes.get(number).map_or(&[][..], Vec::as_slice).chunks(BATCH) {
            for &index in indices {
                block.prefetch(index as usize);
            }
            let places = batch.iter_mut().zip(&mut routes);
            for (&index, (dissected, route)) in indices.iter().zip(places) {
                if let Some(whole) = self.whole_at(index) {
                    *dissected = Dissected::Segment(whole.borrow());
                } else if let Some(frame) = block.frame(index as usize) {
                    dissect_into(&frame, dissected);
                }
                if let Dissected::Segment(segment) = dissected {
                    *route = Route::of(segment, OFFLINE_SEED);
                    lane.prefetch(route);
                }
            }
            let ahead = || indices.iter().zip(batch.iter().zip(&routes));
            for (_, (_, route)) in ahead() {
                lane.prefetch_flow(route);
            }
            for (&index, (dissected, route)) in ahead() {
                if let (Dissected::Segment(segment), Some(frame)) = (dissected, block.frame(index as usize)) {
                    lane.accept(frame.number, frame.wire_len, segment, route, outlet);
                }
            }
        }
    }

    /// The segment that the packet with this index completed, if it is a fragment.
    fn whole_at(&self, index: u32) -> Option<&OwnedSegment> {
        let at = self.whole.binary_search_by_key(&index, |&(at, _)| at).ok()?;
        self.whole.get(at).map(|(_, whole)| whole)
    }
}

fn lane_of(segment: &Segment<'_>) -> usize {
    Route::of(segment, OFFLINE_SEED).lane(LANES)
}
