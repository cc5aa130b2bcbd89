//! What the flows of a lane show of machines inside, gathered until it is worth telling: nearly every flow is of a machine that was seen a
//! moment ago.

use super::observer::Current;
use crate::capture::{Timestamp, prefetch};
use crate::decode::{FiveTuple, MacAddress, Zone};
use crate::flow::Side;
use crate::matching::{Event, EventKind, HostKey, MachineFlows, Sent, Sighting};
use crate::pipeline::EventSink;
use crate::pipeline::flow_record::{DNS_PORT, FlowRecord, Marks, Phase, pick};
use std::net::IpAddr;

/// Machines of which something is held back, at most; a power of two. Those beyond are told of more often.
const HELD: usize = 4096;
/// Sightings that wait for the memory of their places.
const AHEAD: usize = 8;
/// How long a machine that is seen again and again is held back where somebody waits.
const HELD_NS: u64 = 60_000_000_000;

/// Machines that were seen and not told of yet.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// Those that are held back, in no order: as much memory is touched as there are machines.
    held: Vec<Sighting>,
    /// Where in `held` lies who has a place, counted from 1, by the hash of the machine: one that comes to a place that is taken turns the
    /// other out. Empty before the first.
    places: Vec<u16>,
    /// The last few that came, whose places are asked for meanwhile: a ring, the oldest of which is at `oldest` once it is full.
    coming: Vec<Sighting>,
    oldest: usize,
}

const _: () = assert!(HELD < u16::MAX as usize);

impl Sightings {
    /// This machine sent the first payload of a flow.
    pub(super) fn first_payload(
        &mut self,
        packet: u64,
        at: Timestamp,
        (address, zone): (IpAddr, Zone),
        mac: Option<MacAddress>,
        sink: &mut impl EventSink,
    ) {
        if let Some(sighting) = Sighting::of(address, zone, mac, at) {
            self.add(packet, sighting, sink);
        }
    }

    /// A flow is over. A single packet that nobody answered may be from anybody, and a flood of these costs nothing here; who really asks
    /// for a connection in vain asks again.
    pub(super) fn ended(&mut self, current: Current<'_>, record: &FlowRecord, sink: &mut impl EventSink) {
        let is_tcp = record.marks.has(Marks::TCP);
        let client = record.client();
        let asked_again = pick(record.packets, client) > 1;
        if is_tcp && !record.marks.has(Marks::PAYLOAD_SEEN) && !record.has_answer() && !asked_again {
            return;
        }
        let (FiveTuple { src, dst, src_port, dst_port, .. }, zone) = current.key.endpoints();
        let ends = [(src, src_port, Side::Low), (dst, dst_port, Side::High)];
        let has_sent = |side: Side| {
            if is_tcp { pick(record.sent, side) != Sent::default() } else { pick(record.packets, side) > 0 }
        };
        let both = has_sent(Side::Low) && has_sent(Side::High);
        let server_is_one = ends.iter().any(|(address, _, side)| *side != client && !address.is_multicast());
        let carried = !is_tcp || record.marks.has(Marks::PAYLOAD_SEEN);
        for (address, port, side) in ends {
            // Whose packets take another way shows by what it is sent.
            if !has_sent(side) && (!is_tcp || side != client) {
                continue;
            }
            let Some(mut sighting) = Sighting::of(address, zone, None, current.at) else { continue };
            sighting.last_seen = Timestamp(u64::from(record.last_seen_s) * 1_000_000_000).max(record.started);
            sighting.first_seen = record.started;
            if side == client {
                if carried && server_is_one {
                    sighting.flows = judged(record, is_tcp, both);
                }
            } else {
                sighting.is_proxy = record.marks.has(Marks::PROXIED);
                sighting.is_resolver = port == DNS_PORT
                    && record.marks.has(Marks::NAMED)
                    && (is_tcp || matches!(record.phase, Phase::Datagrams(_)));
            }
            self.add(current.packet, sighting, sink);
        }
    }

    /// Tells of those that have been held back for long.
    pub(super) fn tell_until(&mut self, packet: u64, now: Timestamp, sink: &mut impl EventSink) {
        self.settle(packet, sink);
        let is_due = |held: &mut Sighting| now.since(held.first_seen) > HELD_NS;
        if self.held.iter_mut().any(is_due) {
            let mut due: Vec<_> = self.held.extract_if(.., is_due).collect();
            self.places.fill(0);
            for (held, number) in self.held.iter().zip(1..) {
                if let Some(place) = self.places.get_mut(place_of(&held.host)) {
                    *place = number;
                }
            }
            tell_in_order(packet, &mut due, sink);
        }
    }

    /// Tells of all.
    pub(super) fn tell_all(&mut self, packet: u64, sink: &mut impl EventSink) {
        self.settle(packet, sink);
        tell_in_order(packet, &mut self.held, sink);
        for held in self.held.drain(..) {
            if let Some(place) = self.places.get_mut(place_of(&held.host)) {
                *place = 0;
            }
        }
    }

    /// Takes a sighting, and one that came a while ago to its place.
    fn add(&mut self, packet: u64, sighting: Sighting, sink: &mut impl EventSink) {
        if self.places.is_empty() {
            self.places.resize(HELD, 0);
        }
        if let Some(&place) = self.places.get(place_of(&sighting.host))
            && let Some(held) = self.held.get(usize::from(place).wrapping_sub(1))
        {
            prefetch(held);
        }
        if self.coming.len() < AHEAD {
            self.coming.push(sighting);
        } else if let Some(oldest) = self.coming.get_mut(self.oldest) {
            let ready = std::mem::replace(oldest, sighting);
            self.oldest = (self.oldest + 1) % AHEAD;
            self.place(packet, ready, sink);
        }
    }

    /// Takes all that came to their places.
    fn settle(&mut self, packet: u64, sink: &mut impl EventSink) {
        let mut coming = std::mem::take(&mut self.coming);
        coming.rotate_left(std::mem::take(&mut self.oldest));
        coming.drain(..).for_each(|sighting| self.place(packet, sighting, sink));
        self.coming = coming;
    }

    fn place(&mut self, packet: u64, sighting: Sighting, sink: &mut impl EventSink) {
        let Some(place) = self.places.get_mut(place_of(&sighting.host)) else { return };
        match self.held.get_mut(usize::from(*place).wrapping_sub(1)) {
            Some(held) if held.takes(&sighting) => held.add(&sighting),
            Some(held) => tell(packet, std::mem::replace(held, sighting), sink),
            None => {
                self.held.push(sighting);
                *place = u16::try_from(self.held.len()).unwrap_or(0);
            }
        }
    }
}

/// Tells of several, by their places.
fn tell_in_order(packet: u64, held: &mut [Sighting], sink: &mut impl EventSink) {
    held.sort_unstable_by_key(|held| place_of(&held.host));
    held.iter().for_each(|&held| tell(packet, held, sink));
}

/// Which place is a machine's. Where two have the same, they are told of more often; nothing is lost.
const fn place_of(host: &HostKey) -> usize {
    let address = match host.address {
        IpAddr::V4(address) => address.to_bits() as u64,
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 64) as u64 ^ bits as u64
        }
    };
    // That of Fibonacci hashing: neighbours go to places far from each other.
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - HELD.ilog2())) as usize
}

fn tell(packet: u64, sighting: Sighting, sink: &mut impl EventSink) {
    sink.event(Event { packet, at: sighting.last_seen, kind: EventKind::Sighted(sighting) });
}

/// How much of a flow with payload could be judged.
fn judged(record: &FlowRecord, is_tcp: bool, both: bool) -> MachineFlows {
    let mut flows = MachineFlows::default();
    if record.marks.has(Marks::NAMED) {
        flows.named = 1;
    } else if !both {
        flows.one_sided = 1;
    } else if is_tcp && !record.sent.iter().any(|sent| sent.shook_hands()) {
        flows.midstream = 1;
    } else {
        flows.unnamed = 1;
    }
    flows
}
