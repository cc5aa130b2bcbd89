//! A share of the flows, with everything that following them needs: table, streams, conversations. Owned by one thread at a time, so
//! nothing in it is locked or shared.

mod counters;
mod inspection;
mod observer;
mod sightings;
mod tcp;
mod udp;

pub use counters::{LaneCounters, ReadCounters};

use super::flow_record::{FlowRecord, Marks, Phase, Syn, count, pick, pick_mut, syn_meaning, tier_of};
use super::packet_summary::{PacketKind, PacketSummary};
use super::{Bounds, EventSink, Route};
use crate::capture::Timestamp;
use crate::decode::{Segment, Transport, tcp_flags};
use crate::flow::{FlowTable, Found, Side, Slot, Tier, carries_data, is_dropped};
use crate::matching::{Sent, SignatureSet};
use counters::add;
use inspection::Inspection;
use observer::Current;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whenever so many flows have opened, as many entries of each tier are looked at for idle flows: all at once, since neighbours in
/// memory cost little.
const SWEPT_TOGETHER: u64 = 32;

/// So many packets of a flow are its first.
const FIRST_PACKETS: u32 = 16;

/// A share of the flows.
#[derive(Debug)]
pub struct Lane {
    table: FlowTable<FlowRecord>,
    inspection: Inspection,
}

/// What the fast path did with a packet.
#[derive(Clone, Copy, Debug)]
pub enum FastPath {
    /// It is taken.
    Done,
    /// It has to be looked into. Its flow, if that was met.
    SlowPath(Option<Slot>),
}

impl Lane {
    /// An empty lane for flows whose hash is keyed by `seed`.
    #[must_use]
    pub fn new(signatures: &Arc<SignatureSet>, seed: u64, bounds: &Bounds) -> Self {
        Self { table: FlowTable::new(bounds.flows, seed), inspection: Inspection::new(signatures, bounds) }
    }

    /// Prefetches the memory that a packet with this route needs first.
    pub fn prefetch(&self, route: &Route) {
        self.table.prefetch(route.hash);
    }

    /// Prefetches the memory that it needs next; call some packets after [`Self::prefetch`].
    pub fn prefetch_flow(&self, route: &Route) {
        self.table.prefetch_entry(route.hash);
    }

    /// Takes the next packet of one of this lane's flows. What it brings about goes to `sink`.
    #[inline(always)]
    pub fn accept(
        &mut self,
        packet: u64,
        packet_summary: &PacketSummary,
        segment: &Segment<'_>,
        route: &Route,
        sink: &mut impl EventSink,
    ) {
        if let FastPath::SlowPath(known) = self.fast_path(packet_summary, route, sink) {
            self.slow_path(known, packet, packet_summary.wire_len, segment, route, sink);
        }
    }

    /// Takes a packet that says nothing new of its flow, as nearly all do. Any other is left to [`Self::slow_path`], which must come next.
    #[inline(always)]
    pub fn fast_path(&mut self, packet_summary: &PacketSummary, route: &Route, sink: &impl EventSink) -> FastPath {
        // A turn says something new whatever is known.
        if packet_summary.kind == PacketKind::Control {
            return FastPath::SlowPath(None);
        }
        let Some((slot, record)) = self.table.fast_path(&route.key, route.hash, packet_summary.at) else {
            return FastPath::SlowPath(None);
        };
        if passes(record, packet_summary, route.side, sink) { FastPath::Done } else { FastPath::SlowPath(Some(slot)) }
    }

    /// Takes a packet that may say something new; `known` is what the fast path gave.
    #[inline(never)]
    pub fn slow_path(
        &mut self,
        known: Option<Slot>,
        packet: u64,
        wire_len: u32,
        segment: &Segment<'_>,
        route: &Route,
        sink: &mut impl EventSink,
    ) {
        let Self { table, inspection } = self;
        let &Route { ref key, side, hash } = route;
        let without_data;
        let segment = match segment.transport {
            Transport::Tcp { flags, .. } if segment.payload_len > 0 && !carries_data(flags) => {
                without_data = Segment { payload_len: 0, payload: &[], ..*segment };
                &without_data
            }
            _ => segment,
        };
        let found = match known {
            Some(slot) => Found::Known(slot),
            None => table.find_or_open(
                key,
                hash,
                segment.at,
                tier_of(segment),
                || FlowRecord::open(packet, segment, side),
                |key, record| inspection.end(packet, segment.at, key, record, sink),
            ),
        };
        let mut slot = match found {
            Found::Known(slot) => {
                let record = table.state(slot);
                if let Transport::Tcp { flags, .. } = segment.transport
                    && flags & tcp_flags::SYN == 0
                {
                    if record.is_of_no_interest() && !sink.is_undecided(record.first_packet) {
                        if !is_dropped(flags) {
                            pick_mut(&mut record.sent, side).note(flags, segment.payload_len, segment.payload);
                        }
                        record.note_end(flags);
                        return;
                    }
                } else if let Transport::Tcp { seq, flags, .. } = segment.transport {
                    match syn_meaning(record, segment, side) {
                        Syn::Known => {}
                        Syn::Stale => {
                            count(record, side, wire_len);
                            record.note_pending(side, seq, flags);
                            return;
                        }
                        Syn::New => {
                            let old = table.replace(slot, FlowRecord::open(packet, segment, side));
                            inspection.end(packet, segment.at, key, old, sink);
                            inspection.open(packet, segment, table.state(slot), sink);
                        }
                    }
                }
                slot
            }
            Found::Opened(slot) => {
                inspection.open(packet, segment, table.state(slot), sink);
                if inspection.counters.flows.is_multiple_of(SWEPT_TOGETHER) {
                    table.sweep(segment.at, SWEPT_TOGETHER as usize, |key, record| {
                        inspection.end(packet, segment.at, key, record, sink);
                    });
                }
                slot
            }
        };
        if slot.tier() == Tier::HalfOpen && (segment.payload_len > 0 || table.state(slot).is_worth_keeping()) {
            slot = table.keep(slot, hash, |key, record| inspection.end(packet, segment.at, key, record, sink));
        }
        let record = table.state(slot);
        count(record, side, wire_len);
        if record.packets.iter().fold(0, |sum: u32, &packets| sum.saturating_add(packets)) <= FIRST_PACKETS {
            sink.looked_into(packet, key);
        }
        if let Transport::Tcp { seq, flags, .. } = segment.transport
            && (record.phase == Phase::Waiting && segment.payload_len == 0 || is_dropped(flags))
        {
            if is_dropped(flags) {
                return;
            }
            // A handshake, or a flood of them: nothing to read yet.
            record.note_segment(side, seq, flags, segment);
            return;
        }
        let is_first = match segment.transport {
            Transport::Tcp { .. } => !record.marks.has(Marks::PAYLOAD_SEEN),
            Transport::Udp => record.packets == [1, 0] || record.packets == [0, 1],
        };
        if is_first {
            let mac = segment.macs.map(|(sender, _)| sender);
            inspection.sightings.first_payload(packet, segment.at, (segment.five_tuple.src, segment.zone), mac, sink);
        }
        let current = Current { packet, at: segment.at, key, link: Some((segment, side)) };
        let displaced = match segment.transport {
            Transport::Tcp { seq, ack, flags } => {
                inspection.tcp(record, slot, current, side, (seq, ack, flags), segment, sink)
            }
            Transport::Udp => inspection.udp(record, slot, current, side, segment.payload, sink),
        };
        let is_worth_keeping = record.is_worth_keeping();
        for displaced in displaced.into_iter().flatten() {
            table.state(displaced).phase = Phase::Settled;
        }
        if matches!(slot.tier(), Tier::Datagrams | Tier::Lookups) && is_worth_keeping {
            slot = table.keep(slot, hash, |key, record| inspection.end(packet, segment.at, key, record, sink));
            if let Phase::Initials(handle) = table.state(slot).phase {
                inspection.openings.give_to(handle, slot);
            }
        }
    }

    /// Matches what is seen from now on against another set.
    pub fn set_signatures(&mut self, signatures: &Arc<SignatureSet>) {
        self.inspection.signatures = Arc::clone(signatures);
    }

    /// Looks at the next `count` entries of each tier and ends the flows that have been idle for too long at `now`, after packet number
    /// `packet`.
    pub fn sweep(&mut self, packet: u64, now: Timestamp, count: usize, sink: &mut impl EventSink) {
        let Self { table, inspection } = self;
        table.sweep(now, count, |key, record| inspection.end(packet, now, key, record, sink));
        inspection.sightings.tell_until(packet, now, sink);
    }

    /// Flows that are followed now.
    #[must_use]
    pub fn flows_active(&self) -> usize {
        self.table.len()
    }

    /// Bytes of memory that the flow table and what is held back take.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.table.memory_bytes() + self.inspection.held_bytes
    }

    /// Notes that the ledger remembers the flow that began with `first_packet`, if it still lives.
    pub fn remember(&mut self, route: &Route, first_packet: u64) {
        if let Some(slot) = self.table.find(&route.key, route.hash) {
            let record = self.table.state(slot);
            if record.first_packet == first_packet {
                record.marks.set(Marks::REMEMBERED);
            }
        }
    }

    /// Ends all flows of `lanes` after packet number `packet`, in the order in which they began, and leaves the lanes empty, as new.
    pub fn finish(lanes: &mut [Self], packet: u64, at: Timestamp, sink: &mut impl EventSink) {
        // There may be very many, so each stays where it is until its turn.
        let mut open = Vec::new();
        for (number, Self { table, inspection }) in lanes.iter_mut().enumerate() {
            table.show(|slot, key, state| {
                if let Some(record) = state.take_if(|record| !record.has_more_to_say()) {
                    inspection.counters.ended(&record);
                    inspection.sightings.ended(Current { packet, at, key, link: None }, &record, sink);
                } else if let Some(record) = state {
                    open.push((record.first_packet, number, slot));
                }
            });
        }
        open.sort_unstable_by_key(|&(first_packet, ..)| first_packet);
        for (_, number, slot) in open {
            if let Some(Self { table, inspection }) = lanes.get_mut(number)
                && let Some((key, record)) = table.take(slot)
            {
                inspection.end(packet, at, &key, record, sink);
            }
        }
        for Self { table, inspection } in lanes {
            table.clear();
            inspection.sightings.tell_all(packet, sink);
        }
    }

    /// Counts from zero again.
    pub fn reset_counters(&mut self) {
        self.inspection.counters = LaneCounters::default();
        self.table.reset_evicted();
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &LaneCounters {
        &self.inspection.counters
    }

    /// What was dropped at a bound, under the bound's name.
    pub fn add_dropped(&self, total: &mut BTreeMap<&'static str, u64>) {
        let evicted = [
            ("flows", Tier::Kept),
            ("half_open_flows", Tier::HalfOpen),
            ("datagram_flows", Tier::Datagrams),
            ("datagram_flows", Tier::Lookups),
        ];
        for (name, tier) in evicted {
            add(total, name, self.table.evicted(tier));
        }
        self.inspection.counters.add_dropped(total);
    }
}

/// Takes a packet that says nothing new of its flow. Says no to any other, having done nothing.
#[inline(always)]
fn passes(record: &mut FlowRecord, packet_summary: &PacketSummary, side: Side, sink: &impl EventSink) -> bool {
    match (packet_summary.kind, record.phase) {
        // That a side sent anything is still to be noted, even if its conversation had to make room for another.
        (PacketKind::Stream | PacketKind::NoPayload(_), Phase::Settled) => {
            record.is_of_no_interest()
                && pick(record.sent, side) != Sent::default()
                && !sink.is_undecided(record.first_packet)
        }
        // Of a handshake, or a flood of them, there is nothing to read yet.
        (PacketKind::NoPayload(flags), Phase::Waiting) if !record.is_worth_keeping() => {
            count(record, side, packet_summary.wire_len);
            pick_mut(&mut record.sent, side).note(flags, 0, &[]);
            true
        }
        (PacketKind::Datagram, Phase::Settled) => {
            count(record, side, packet_summary.wire_len);
            true
        }
        // Another connection may begin between the same ports.
        _ => false,
    }
}
