//! What lanes bring about in one round, while other threads run the other lanes.
//!
//! Which flows matter for their addresses depends on DNS answers that other lanes may be reading at this moment. So every opening is kept
//! until all lanes are through with the round and everybody knows every answer in it; then each thread drops what matters to nobody. Few
//! events are left for the ledger, which takes them in packet order.

use super::{EventSink, Lane, Opening, Route};
use crate::capture::Timestamp;
use crate::decode::FiveTuple;
use crate::matching::{Ended, Event, EventKind, ResolvedAddresses};
use std::collections::HashSet;
use std::net::IpAddr;

/// The events of one lane in one round, in packet order.
#[derive(Debug, Default)]
pub struct RoundEvents {
    events: Vec<Event>,
    /// Number of the round's first packet.
    first_packet: u64,
    /// Addresses that clients got from DNS in this round.
    resolved: Vec<(IpAddr, Timestamp)>,
    /// First packets of the flows of this round that matter for their addresses.
    remembered: HashSet<u64>,
}

impl RoundEvents {
    /// Begins the round whose first packet has this number.
    pub fn begin(&mut self, first_packet: u64) {
        self.first_packet = first_packet;
        self.remembered.clear();
    }

    /// Takes the addresses that clients got from DNS since the last call, for all threads to know.
    pub fn take_resolved(&mut self, into: &mut ResolvedAddresses) {
        self.resolved.drain(..).for_each(|(address, at)| into.insert(address, at));
    }

    /// Takes the same one by one, each with its time.
    pub fn drain_resolved(&mut self) -> impl Iterator<Item = (IpAddr, Timestamp)> {
        self.resolved.drain(..)
    }

    /// Takes flows that matter in an earlier round for flows of this one, which may have seen their ends.
    pub fn remember_too(&mut self, earlier: &Self) {
        self.remembered.extend(&earlier.remembered);
    }

    /// Drops what matters to nobody; `resolved` knows the addresses of this round and of all before. A flow that matters is noted in its
    /// lane, one of `lanes`, which pick flows by a hash keyed with `seed`; unless it has ended, which was noted here.
    pub fn sift(&mut self, resolved: &ResolvedAddresses, lanes: &mut [Lane], seed: u64) {
        let Self { events, remembered, .. } = self;
        events.retain(|event| match &event.kind {
            EventKind::Opened(opened) => {
                let FiveTuple { src, dst, .. } = opened.five_tuple;
                if opened.of_interest {
                    return true;
                }
                let matters = resolved.may_contain(src) || resolved.may_contain(dst);
                if matters {
                    remembered.insert(event.packet);
                    let route = Route::of_opened(opened, seed);
                    let lane = route.lane(lanes.len());
                    if let Some(lane) = lanes.get_mut(lane) {
                        lane.remember(&route, event.packet);
                    }
                }
                matters
            }
            EventKind::Ended(Ended { flow, matters, .. }) => *matters || remembered.contains(flow),
            EventKind::ResolvedOther(other) => resolved.may_contain(other.address),
            _ => true,
        });
    }

    /// Events so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes the events that are left.
    pub fn drain(&mut self) -> impl Iterator<Item = Event> {
        self.events.drain(..)
    }
}

impl EventSink for RoundEvents {
    fn event(&mut self, event: Event) {
        if let EventKind::Resolved(resolved) = &event.kind {
            self.resolved.extend(resolved.addresses.iter().map(|&(address, _)| (address, event.at)));
        }
        self.events.push(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        self.events.push(opening.event());
        opening.of_interest
    }

    fn is_undecided(&self, first_packet: u64) -> bool {
        first_packet >= self.first_packet
    }
}
