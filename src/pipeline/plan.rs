//! Which lane each packet of a block belongs to, drawn up before the lanes run.

use super::{BATCH, FRAMES_AHEAD, LANES, Lane, OFFLINE_SEED, Outlet, Route};
use crate::capture::{Frame, Frames, Timestamp};
use crate::decode::{
    Decoder, Dissected, FiveTuple, MacAddress, Outcome, OutcomeCounters, Segment, Transport, Tunnel, Zone, dissect,
    dissect_into,
};

/// Entries of the plan beyond lane numbers.
const FRAGMENT: u8 = 0xfe;
const NOWHERE: u8 = 0xff;

/// The plan of one block; reused from block to block.
#[derive(Debug, Default)]
pub struct Plan {
    /// By packet: the lane's number, or why there is none.
    lanes: Vec<u8>,
    /// Segments that were put together from fragments, by the index of the packet that completed them.
    whole: Vec<(usize, OwnedSegment)>,
    outcomes: OutcomeCounters,
    fragments: bool,
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
        self.lanes.clear();
        self.whole.clear();
        self.outcomes = OutcomeCounters::default();
        self.fragments = false;
    }

    /// Says for each packet of `block` that `accepts` chooses where it goes.
    pub fn draw(&mut self, block: Frames<'_>, mut accepts: impl FnMut(&Frame<'_>) -> bool) {
        for (index, frame) in block.iter().enumerate() {
            block.prefetch(index + FRAMES_AHEAD);
            let dissected = if accepts(&frame) { dissect(&frame) } else { Dissected::Other(Outcome::Filtered) };
            let lane = match dissected {
                Dissected::Segment(segment) => {
                    self.outcomes.bump(Outcome::Inspected);
                    lane_of(&segment)
                }
                Dissected::Fragment(_) => {
                    self.fragments = true;
                    FRAGMENT
                }
                Dissected::Other(outcome) => {
                    self.outcomes.bump(outcome);
                    NOWHERE
                }
            };
            self.lanes.push(lane);
        }
    }

    /// Puts fragments together. Blocks must come in order.
    pub fn reassemble(&mut self, block: Frames<'_>, decoder: &mut Decoder) {
        if !self.fragments {
            return;
        }
        for (index, (frame, lane)) in block.iter().zip(&mut self.lanes).enumerate() {
            if *lane != FRAGMENT {
                continue;
            }
            let outcome = match decoder.decode(&frame) {
                Ok(segment) => {
                    *lane = lane_of(&segment);
                    self.whole.push((index, OwnedSegment::of(&segment)));
                    Outcome::Inspected
                }
                Err(outcome) => {
                    *lane = NOWHERE;
                    outcome
                }
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
        let mut mine = self
            .lanes
            .iter()
            .enumerate()
            .filter(|&(_, &lane)| usize::from(lane) == number)
            .map(|(index, _)| index)
            .fuse();
        // On the stack, so that a block costs no allocation.
        let mut indices = [0; BATCH];
        let mut batch = [Dissected::Other(Outcome::Filtered); BATCH];
        let mut routes = [Route::default(); BATCH];
        loop {
            let mut taken = 0;
            for (place, index) in indices.iter_mut().zip(mine.by_ref()) {
                block.prefetch(index);
                *place = index;
                taken += 1;
            }
            if taken == 0 {
                return;
            }
            let places = batch.iter_mut().zip(&mut routes);
            for (&index, (dissected, route)) in indices.iter().zip(places).take(taken) {
                match self.whole.binary_search_by_key(&index, |&(at, _)| at) {
                    Ok(at) => {
                        let whole = self.whole.get(at).map(|(_, whole)| Dissected::Segment(whole.borrow()));
                        *dissected = whole.unwrap_or(Dissected::Other(Outcome::Filtered));
                    }
                    Err(_) => {
                        let Some(frame) = block.frame(index) else { continue };
                        dissect_into(&frame, dissected);
                    }
                }
                if let Dissected::Segment(segment) = dissected {
                    *route = Route::of(segment, OFFLINE_SEED);
                    lane.prefetch(route);
                }
            }
            let ahead = || indices.iter().zip(batch.iter().zip(&routes)).take(taken);
            for (_, (_, route)) in ahead() {
                lane.prefetch_flow(route);
            }
            for (&index, (dissected, route)) in ahead() {
                if let (Dissected::Segment(segment), Some(frame)) = (dissected, block.frame(index)) {
                    lane.accept(frame.number, frame.wire_len, segment, route, outlet);
                }
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn lane_of(segment: &Segment<'_>) -> u8 {
    // There are fewer lanes than marks begin at.
    Route::of(segment, OFFLINE_SEED).lane(LANES) as u8
}
