//! The parts of a lane that a flow's payload meets, and how a flow begins and ends there.

use super::LaneCounters;
use super::observer::{Current, FlowObserver};
use super::sightings::Sightings;
use super::tcp::TcpConversation;
use super::udp::QuicOpening;
use crate::capture::Timestamp;
use crate::decode::{FiveTuple, Segment};
use crate::flow::{FlowKey, Slot};
use crate::inspect::DnsMessage;
use crate::matching::{Ended, Event, EventKind, SignatureSet};
use crate::pipeline::flow_record::{FlowRecord, Marks, Phase};
use crate::pipeline::pool::{Handle, Pool};
use crate::pipeline::{Bounds, EventSink, Opening};
use std::sync::Arc;

/// The parts of a lane that a flow's payload meets; apart from the table, so that both can be borrowed.
#[derive(Debug)]
pub(super) struct Inspection {
    pub(super) signatures: Arc<SignatureSet>,
    pub(super) conversations: Pool<TcpConversation>,
    pub(super) openings: Pool<QuicOpening>,
    pub(super) message: DnsMessage,
    pub(super) counters: LaneCounters,
    pub(super) sightings: Sightings,
    pub(super) held_bytes: usize,
    pub(super) held_bytes_max: usize,
}

impl Inspection {
    pub(super) fn new(signatures: &Arc<SignatureSet>, bounds: &Bounds) -> Self {
        Self {
            signatures: Arc::clone(signatures),
            conversations: Pool::with_limit(bounds.conversations),
            openings: Pool::with_limit(bounds.initials),
            message: DnsMessage::default(),
            counters: LaneCounters::default(),
            sightings: Sightings::default(),
            held_bytes: 0,
            held_bytes_max: bounds.held_bytes,
        }
    }

    pub(super) fn open(
        &mut self,
        packet: u64,
        segment: &Segment<'_>,
        record: &mut FlowRecord,
        sink: &mut impl EventSink,
    ) {
        self.counters.flows += 1;
        let FiveTuple { src, dst, src_port, dst_port, protocol } = segment.five_tuple;
        let signatures = &*self.signatures;
        let (src_range, dst_range) = (signatures.match_address(src), signatures.match_address(dst));
        let of_interest = src_range.is_some()
            || dst_range.is_some()
            || signatures.is_port_of_interest(src_port, protocol)
            || signatures.is_port_of_interest(dst_port, protocol);
        record.marks.put(Marks::OF_INTEREST, of_interest);
        let opening = Opening { packet, segment, src_range, dst_range, of_interest };
        record.marks.put(Marks::REMEMBERED, sink.opened(&opening));
    }

    pub(super) fn end(
        &mut self,
        packet: u64,
        at: Timestamp,
        key: &FlowKey,
        mut record: FlowRecord,
        sink: &mut impl EventSink,
    ) {
        match record.phase {
            Phase::Conversing(handle) => {
                let current = Current { packet, at, key, link: None };
                self.finish_conversation(&mut record, handle, current, sink);
            }
            Phase::Initials(handle) => {
                let QuicOpening { initials, last, .. } = self.openings.get(handle);
                let current = Current { packet, at, key, link: None };
                let mut observer =
                    FlowObserver::new(&self.signatures, &mut self.counters.read_counters, &mut record, current, sink);
                initials.finish(|client, observation| observer.observe(*last, client, observation));
                self.release_opening(handle);
            }
            _ => {}
        }
        self.counters.ended(&record);
        self.sightings.ended(Current { packet, at, key, link: None }, &record, sink);
        let matters = record.marks.has(Marks::REMEMBERED) || record.marks.has(Marks::MATCHED);
        if !matters && !sink.is_undecided(record.first_packet) {
            return;
        }
        sink.event(Event {
            packet,
            at,
            kind: EventKind::Ended(Ended {
                flow: record.first_packet,
                opener_is_client: record.marks.has(Marks::HIGH_IS_CLIENT) == record.marks.has(Marks::HIGH_OPENED),
                named: record.marks.has(Marks::NAMED),
                matters,
                opening_seen: record.sent.iter().any(|sent| sent.shook_hands()),
                connection_outcome: record.connection_outcome(),
                counts: record.counts(),
            }),
        });
    }

    /// Evicts whoever holds most, if all together hold too much: a hello takes little. Gives the slot of its flow.
    pub(super) fn relieve(&mut self) -> Option<Slot> {
        if self.held_bytes <= self.held_bytes_max {
            return None;
        }
        self.counters.held_bytes_dropped += 1;
        let (connection, opening) = (self.conversations.heaviest(), self.openings.heaviest());
        let weight = |heaviest: Option<(Handle, Slot, u32)>| heaviest.map_or(0, |(.., weight)| weight);
        if weight(connection) >= weight(opening) {
            let (handle, owner, _) = connection?;
            self.release(handle);
            Some(owner)
        } else {
            let (handle, owner, _) = opening?;
            self.release_opening(handle);
            Some(owner)
        }
    }
}
