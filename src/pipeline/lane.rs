//! A share of the flows, with everything that following them needs: table, streams, conversations. Owned by one thread at a time, so
//! nothing in it is locked or shared.

use super::flow_record::{Begun, FlowRecord, Marks, Phase, Syn, count, is_syn, pick, pick_mut, syn_meaning, tier_of};
use super::packet_summary::{PacketKind, PacketSummary};
use super::pool::{Handle, Pool};
use super::{Bounds, EventSink, Opening, Route, VersionCounters};
use crate::capture::Timestamp;
use crate::decode::{FiveTuple, Segment, Transport, TunnelKind, Zone, looks_like_tunnel, tcp_flags};
use crate::flow::{
    Checksum, Doubt, FlowKey, FlowTable, Found, Origin, Side, Slot, Stream, StreamCounters, Tier, carries_data,
    checksum, is_dropped, sum, timestamps, urgent,
};
use crate::inspect::{
    Bound, BoundCounters, Conversation, DatagramProtocol, DnsMessage, InitialConversation, Observation,
    recognise_datagram,
};
use crate::inspect::{quic, syslog};
use crate::matching::{Ended, Event, EventKind, FlowSummary, Learned, Place, Sent, SignatureSet, observe};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Datagrams of one flow that may be in no protocol that we know before the flow is left alone.
const UNKNOWN_DATAGRAMS_MAX: u8 = 8;
/// Whenever so many flows have opened, as many entries of each tier are looked at for idle flows: all at once, since neighbours in
/// memory cost little.
const SWEPT_TOGETHER: u64 = 32;

/// Kinds of tunnels that are looked for at ports without tunnels, and the names that their numbers have.
const ELSEWHERE: [(TunnelKind, &str); 4] = [
    (TunnelKind::Vxlan, "unknown_port_vxlan"),
    (TunnelKind::Geneve, "unknown_port_geneve"),
    (TunnelKind::GtpU, "unknown_port_gtp_u"),
    (TunnelKind::Gre, "unknown_port_gre"),
];

/// What one lane counted beyond packets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LaneCounters {
    /// Flows opened.
    pub flows: u64,
    /// What became of TCP segments.
    pub streams: StreamCounters,
    /// Conversations that made room for others.
    pub conversations_evicted: u64,
    /// Conversations that held too many bytes.
    pub held_bytes_dropped: u64,
    /// TCP connections with payload that have ended.
    pub carried: u64,
    /// Those of them of which only one side was seen.
    pub one_sided: u64,
    /// Those of them whose beginning was not seen.
    pub midstream: u64,
    /// What was met while payload was read.
    pub read_counters: ReadCounters,
    /// Flows that began with a QUIC packet of a version that we cannot open.
    pub unknown_quic_versions: u64,
    /// The same by version.
    pub quic_versions: VersionCounters,
    /// Datagrams that look like a tunnel at a port without one, by kind, in the order of `ELSEWHERE`.
    pub tunnels_elsewhere: [u64; ELSEWHERE.len()],
}

/// What was met while payload was read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadCounters {
    /// Client hellos that may hide the name that is meant.
    pub encrypted_hellos: u64,
    /// Bounds within one message or connection.
    pub dropped: BoundCounters,
}

/// The parts of a lane that a flow's payload meets; apart from the table, so that both can be borrowed.
#[derive(Debug)]
struct Inspection {
    signatures: Arc<SignatureSet>,
    conversations: Pool<TcpConversation>,
    openings: Pool<QuicOpening>,
    message: DnsMessage,
    counters: LaneCounters,
    held_bytes: usize,
    held_bytes_max: usize,
}

/// The beginning of a QUIC connection, and the last packet that was part of it.
#[derive(Debug, Default)]
struct QuicOpening {
    initials: InitialConversation,
    last: Origin,
    held_bytes: usize,
}

/// Both directions of a TCP connection, and what is being read from them.
#[derive(Debug, Default)]
struct TcpConversation {
    streams: [Stream; 2],
    conversation: Conversation,
    /// The last packet of each side whose bytes were read.
    last: [Origin; 2],
    /// Where each side said that its stream ends: the sequence number of its FIN.
    ends: [Option<u32>; 2],
    /// The timestamp of the last segment of each side that was read.
    timestamps: [Option<u32>; 2],
    held_bytes: usize,
}

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

/// The packet at hand.
#[derive(Clone, Copy)]
struct Current<'a> {
    packet: u64,
    at: Timestamp,
    key: &'a FlowKey,
    /// Source and destination addresses of the link layer, for the side that sent it.
    link: Option<(&'a Segment<'a>, Side)>,
}

impl Lane {
    /// An empty lane for flows whose hash is keyed by `seed`.
    #[must_use]
    pub fn new(signatures: &Arc<SignatureSet>, seed: u64, bounds: &Bounds) -> Self {
        Self {
            table: FlowTable::new(bounds.flows, seed),
            inspection: Inspection {
                signatures: Arc::clone(signatures),
                conversations: Pool::with_limit(bounds.conversations),
                openings: Pool::with_limit(bounds.initials),
                message: DnsMessage::default(),
                counters: LaneCounters::default(),
                held_bytes: 0,
                held_bytes_max: bounds.held_bytes,
            },
        }
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
        if slot.tier() == Tier::Datagrams && is_worth_keeping {
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
        let mut open = Vec::new();
        for (number, lane) in lanes.iter_mut().enumerate() {
            lane.table.drain(|key, record| {
                if record.has_more_to_say() {
                    open.push((record.first_packet, number, *key, record));
                }
            });
        }
        open.sort_unstable_by_key(|&(first_packet, ..)| first_packet);
        for (_, number, key, record) in open {
            if let Some(lane) = lanes.get_mut(number) {
                lane.inspection.end(packet, at, &key, record, sink);
            }
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
        let counters = &self.inspection.counters;
        for (name, count) in [
            ("flows", self.table.evicted(Tier::Kept)),
            ("half_open_flows", self.table.evicted(Tier::HalfOpen)),
            ("datagram_flows", self.table.evicted(Tier::Datagrams)),
            ("conversations", counters.conversations_evicted),
            ("held_bytes", counters.held_bytes_dropped),
            ("stream_gaps", counters.streams.gaps),
            ("segments_out_of_window", counters.streams.out_of_window),
            ("overlapping_segments", counters.streams.differing),
        ]
        .into_iter()
        .chain(counters.read_counters.dropped.non_zero())
        .chain(counters.quic_versions.non_zero())
        {
            if count > 0 {
                *total.entry(name).or_default() += count;
            }
        }
        for (count, (_, name)) in counters.tunnels_elsewhere.iter().zip(ELSEWHERE).filter(|(count, _)| **count > 0) {
            *total.entry(name).or_default() += count;
        }
    }
}

impl Inspection {
    fn open(&mut self, packet: u64, segment: &Segment<'_>, record: &mut FlowRecord, sink: &mut impl EventSink) {
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

    fn end(&mut self, packet: u64, at: Timestamp, key: &FlowKey, mut record: FlowRecord, sink: &mut impl EventSink) {
        match record.phase {
            Phase::Conversing(handle) => {
                let current = Current { packet, at, key, link: None };
                self.finish_conversation(&mut record, handle, current, sink);
            }
            Phase::Initials(handle) => {
                let QuicOpening { initials, last, .. } = self.openings.get(handle);
                let current = Current { packet, at, key, link: None };
                let mut talk =
                    Talk::new(&self.signatures, &mut self.counters.read_counters, &mut record, current, sink);
                initials.finish(|client, observation| talk.tell(*last, client, observation));
                self.release_opening(handle);
            }
            _ => {}
        }
        if record.marks.has(Marks::TCP) && record.marks.has(Marks::PAYLOAD_SEEN) {
            let counters = &mut self.counters;
            counters.carried += 1;
            counters.one_sided += u64::from(record.sent.contains(&Sent::default()));
            counters.midstream += u64::from(!record.sent.iter().any(|sent| sent.shook_hands()));
        }
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

    /// Gives the slots of flows whose conversations had to make room.
    #[allow(clippy::too_many_arguments)]
    fn tcp(
        &mut self,
        record: &mut FlowRecord,
        slot: Slot,
        current: Current<'_>,
        side: Side,
        (seq, ack, flags): (u32, u32, u8),
        segment: &Segment<'_>,
        sink: &mut impl EventSink,
    ) -> [Option<Slot>; 2] {
        record.note_segment(side, seq, flags, segment);
        let first_byte = if flags & tcp_flags::SYN != 0 { seq.wrapping_add(1) } else { seq };
        let mut displaced = None;
        let handle = match record.phase {
            Phase::Conversing(handle) => handle,
            Phase::Waiting if !segment.payload.is_empty() => {
                let (handle, victim) = self.conversations.claim(slot);
                if let Some(victim) = victim {
                    self.counters.conversations_evicted += 1;
                    displaced = Some(victim);
                }
                let claimed = self.conversations.get(handle);
                self.held_bytes -= claimed.held_bytes;
                claimed.clear();
                self.conversations.weigh(handle, 0);
                let claimed = self.conversations.get(handle);
                for side in [Side::Low, Side::High] {
                    if let Some(syn) = record.syn_of(side) {
                        pick_mut(&mut claimed.streams, side).synchronise(syn);
                    }
                }
                record.phase = Phase::Conversing(handle);
                handle
            }
            _ => return [None; 2],
        };
        let alone = pick(record.sent, side.other()) == Sent::default();
        let handshake_timestamp = record.timestamp_of(side);
        let tcp = self.conversations.get(handle);
        let TcpConversation { streams, conversation, last, timestamps: seen, .. } = tcp;
        let mut is_read = false;
        let mut is_sound = true;
        let mut talk = Talk::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
        let streams_counters = &mut self.counters.streams;
        let origin = Origin { packet: current.packet, at: current.at };
        if is_syn(flags) {
            pick_mut(streams, side).synchronise(seq);
        }
        if flags & tcp_flags::ACK != 0 {
            pick_mut(streams, side.other()).acknowledge(origin.at, ack, streams_counters, |origin, offset, bytes| {
                is_read = true;
                *pick_mut(last, side.other()) = origin;
                talk.hear(conversation, side.other(), origin, offset, bytes);
            });
        }
        if segment.payload_len > 0 {
            let could_acknowledge =
                flags & tcp_flags::ACK == 0 || pick_mut(streams, side.other()).could_be_acknowledged(ack);
            let stream = pick_mut(streams, side);
            // A direction that nobody listens to keeps its place in the stream, without its bytes.
            let wanted = conversation.wants(side);
            is_read |= wanted;
            let payload = if wanted { segment.payload } else { &[] };
            let sum = sum(payload);
            let doubt = if wanted {
                let known = pick_mut(seen, side);
                doubt_of(
                    segment,
                    flags,
                    sum,
                    stream.checksums_mean_nothing(),
                    alone,
                    known.or(handshake_timestamp),
                    known,
                )
            } else {
                None
            };
            let doubt = doubt.or((wanted && !could_acknowledge).then_some(Doubt::Acknowledgement));
            is_sound = doubt.is_none();
            if let Some(byte) = urgent(segment).filter(|_| wanted && is_sound) {
                #[allow(clippy::cast_possible_truncation)]
                stream.set_urgent(first_byte.wrapping_add(byte as u32));
            }
            let mut hear = |origin: Origin, offset: u64, bytes: &[u8]| {
                is_read = true;
                *pick_mut(last, side) = origin;
                talk.hear(conversation, side, origin, offset, bytes);
            };
            match doubt {
                None => stream.accept_summed(
                    origin,
                    first_byte,
                    (payload, sum),
                    segment.payload_len,
                    streams_counters,
                    &mut hear,
                ),
                Some(doubt) => {
                    stream.doubt(origin, first_byte, payload, segment.payload_len, doubt, streams_counters, &mut hear)
                }
            }
            if stream.is_midstream() && !conversation.may_begin_earlier(side) {
                stream.forget_kept();
            }
        }
        if flags & (tcp_flags::FIN | tcp_flags::RST) == tcp_flags::FIN && is_sound {
            let end = first_byte.wrapping_add(segment.payload_len);
            *pick_mut(&mut tcp.ends, side) = Some(end);
            pick_mut(&mut tcp.streams, side).close(end);
        }
        if is_read && tcp.conversation.is_settled() {
            record.phase = Phase::Settled;
            self.release(handle);
            return [displaced, None];
        }
        if tcp.has_ended() {
            // A reset may be forged; two ends without a gap before either cannot be followed by more.
            self.finish_conversation(record, handle, current, sink);
            record.phase = Phase::Settled;
            return [displaced, None];
        }
        if !is_read {
            return [displaced, None];
        }
        let (before, now) = tcp.measure();
        self.held_bytes = self.held_bytes + now - before;
        self.conversations.weigh(handle, now);
        [displaced, self.relieve()]
    }

    fn release(&mut self, handle: Handle) {
        let tcp = self.conversations.get(handle);
        self.held_bytes -= tcp.held_bytes;
        tcp.clear();
        self.conversations.weigh(handle, 0);
        self.conversations.release(handle);
    }

    fn finish_conversation(
        &mut self,
        record: &mut FlowRecord,
        handle: Handle,
        current: Current<'_>,
        sink: &mut impl EventSink,
    ) {
        let TcpConversation { streams, conversation, last, .. } = self.conversations.get(handle);
        let mut talk = Talk::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
        for side in [Side::Low, Side::High] {
            pick_mut(streams, side).finish(&mut self.counters.streams, |origin, offset, bytes| {
                *pick_mut(last, side) = origin;
                talk.hear(conversation, side, origin, offset, bytes);
            });
            let origin = pick(*last, side);
            conversation.finish(side, |client, observation| talk.tell(origin, client, observation));
        }
        self.release(handle);
    }

    /// Counts a datagram in no protocol that we know if it looks like a tunnel's: then whatever it carries was not seen.
    fn note_tunnel(&mut self, segment: &Segment<'_>) {
        let kind = looks_like_tunnel(segment.payload, segment.payload_len);
        let places = self.counters.tunnels_elsewhere.iter_mut().zip(ELSEWHERE);
        for (count, _) in places.filter(|(_, (known, _))| Some(*known) == kind) {
            *count += 1;
        }
    }

    /// Room for the beginning of a QUIC connection, and the slot of the flow that had to make it.
    fn claim_opening(&mut self, slot: Slot) -> (Handle, Option<Slot>) {
        let (handle, victim) = self.openings.claim(slot);
        self.counters.conversations_evicted += u64::from(victim.is_some());
        self.clear_opening(handle);
        (handle, victim)
    }

    fn clear_opening(&mut self, handle: Handle) {
        let opening = self.openings.get(handle);
        self.held_bytes -= std::mem::replace(&mut opening.held_bytes, 0);
        opening.initials.clear();
        self.openings.weigh(handle, 0);
    }

    fn release_opening(&mut self, handle: Handle) {
        self.clear_opening(handle);
        self.openings.release(handle);
    }

    /// Evicts whoever holds most, if all together hold too much: a hello takes little. Gives the slot of its flow.
    fn relieve(&mut self) -> Option<Slot> {
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

    fn udp(
        &mut self,
        record: &mut FlowRecord,
        slot: Slot,
        current: Current<'_>,
        side: Side,
        datagram: &[u8],
        sink: &mut impl EventSink,
    ) -> [Option<Slot>; 2] {
        let origin = Origin { packet: current.packet, at: current.at };
        let mut displaced = None;
        let handle = match record.phase {
            Phase::Initials(handle) => handle,
            Phase::Datagrams(unknown) => match recognise_datagram(datagram) {
                DatagramProtocol::Dns => {
                    if self.message.parse(datagram).is_ok() {
                        record.phase = Phase::Datagrams(0);
                        let client = if self.message.is_response { side.other() } else { side };
                        let mut talk =
                            Talk::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
                        talk.tell(origin, client, &Observation::Dns(&self.message));
                        if self.message.over_bound {
                            talk.tell(origin, client, &Observation::BoundReached(Bound::DnsMessage));
                        }
                    }
                    return [None; 2];
                }
                DatagramProtocol::GoogleQuic => {
                    record.phase = Phase::Settled;
                    if let Some((version, hello)) = quic::google_client_hello(datagram) {
                        let mut talk =
                            Talk::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
                        talk.tell(origin, side, &Observation::QuicClientHello { version, hello: &hello });
                    }
                    return [None; 2];
                }
                DatagramProtocol::Syslog => {
                    let unknown = unknown + 1;
                    record.phase =
                        if unknown < UNKNOWN_DATAGRAMS_MAX { Phase::Datagrams(unknown) } else { Phase::Settled };
                    if let Some(originator) = syslog::originator(datagram) {
                        let mut talk =
                            Talk::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
                        talk.tell(origin, side, &Observation::SyslogOriginator(&originator));
                    }
                    return [None; 2];
                }
                DatagramProtocol::QuicInitial => {
                    let handle;
                    (handle, displaced) = self.claim_opening(slot);
                    record.phase = Phase::Initials(handle);
                    handle
                }
                DatagramProtocol::Unknown => {
                    if unknown == 0
                        && let Some(version) = quic::unknown_version(datagram)
                    {
                        self.counters.unknown_quic_versions += 1;
                        self.counters.quic_versions.bump(version);
                    }
                    if let Some((segment, _)) = current.link {
                        self.note_tunnel(segment);
                    }
                    if unknown == 0 && self.signatures.may_match_stream(datagram) {
                        let start = datagram.get(..16).unwrap_or(datagram);
                        let mut talk =
                            Talk::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
                        talk.tell(origin, side, &Observation::UnknownStart(start));
                    }
                    let unknown = unknown + 1;
                    record.phase =
                        if unknown < UNKNOWN_DATAGRAMS_MAX { Phase::Datagrams(unknown) } else { Phase::Settled };
                    return [None; 2];
                }
            },
            // A connection may follow another between the same ports; its first packet says so.
            Phase::Settled if quic::recognise(datagram) => {
                if quic::connection_begun(datagram).is_none_or(|begun| record.begun == Begun::Quic(begun)) {
                    return [None; 2];
                }
                let handle;
                (handle, displaced) = self.claim_opening(slot);
                record.phase = Phase::Initials(handle);
                handle
            }
            _ => return [None; 2],
        };
        let opening = self.openings.get(handle);
        let mut talk = Talk::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
        opening.last = origin;
        opening.initials.accept(side, datagram, |client, observation| talk.tell(origin, client, observation));
        if opening.initials.is_settled() {
            record.phase = Phase::Settled;
            record.begun = opening.initials.connection().map_or(Begun::Nothing, Begun::Quic);
            self.release_opening(handle);
            return [displaced, None];
        }
        let now = opening.initials.held_bytes();
        self.held_bytes = self.held_bytes + now - std::mem::replace(&mut opening.held_bytes, now);
        self.openings.weigh(handle, now);
        [displaced, self.relieve()]
    }
}

/// Why the receiver of a segment may have dropped it; notes its timestamp if it did not. `alone`: whether nothing came from the receiver, so
/// that it will not say what it took.
fn doubt_of(
    segment: &Segment<'_>,
    flags: u8,
    payload_sum: u64,
    checksums_mean_nothing: bool,
    alone: bool,
    newest: Option<u32>,
    known: &mut Option<u32>,
) -> Option<Doubt> {
    if !checksums_mean_nothing {
        match checksum(segment, payload_sum) {
            Checksum::Wrong => return Some(Doubt::Checksum),
            Checksum::Unfinished if !alone => return Some(Doubt::Checksum),
            _ => {}
        }
    }
    if flags & tcp_flags::SYN != 0 {
        return Some(Doubt::WithSyn);
    }
    let newest = newest?;
    let (value, _) = timestamps(segment.header)?;
    if value.wrapping_sub(newest) > i32::MAX as u32 {
        return Some(Doubt::Old);
    }
    *known = Some(value);
    None
}

/// Takes a packet that says nothing new of its flow. Says no to any other, having done nothing.
#[inline(always)]
fn passes(record: &mut FlowRecord, packet_summary: &PacketSummary, side: Side, sink: &impl EventSink) -> bool {
    match (packet_summary.kind, record.phase) {
        (PacketKind::Stream | PacketKind::NoPayload(_), Phase::Settled) => {
            record.is_of_no_interest() && !sink.is_undecided(record.first_packet)
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

/// One flow's bytes on their way through inspection and matching.
struct Talk<'a, 's, O> {
    signatures: &'s SignatureSet,
    read_counters: &'a mut ReadCounters,
    record: &'a mut FlowRecord,
    current: Current<'a>,
    sink: &'a mut O,
}

impl<'a, 's, O: EventSink> Talk<'a, 's, O> {
    fn new(
        signatures: &'s SignatureSet,
        read_counters: &'a mut ReadCounters,
        record: &'a mut FlowRecord,
        current: Current<'a>,
        sink: &'a mut O,
    ) -> Self {
        Self { signatures, read_counters, record, current, sink }
    }

    fn hear(&mut self, conversation: &mut Conversation, from: Side, origin: Origin, offset: u64, bytes: &[u8]) {
        conversation.accept(from, offset, bytes, |client, observation| self.tell(origin, client, observation));
    }

    fn tell(&mut self, origin: Origin, client: Side, observation: &Observation<'_>) {
        match observation {
            Observation::BoundReached(bound) => return self.read_counters.dropped.bump(*bound),
            Observation::PassedOnFor(source) => {
                let sender = self.address_of(client);
                return self.record.marks.put(Marks::PASSED_ON, *source != sender);
            }
            _ => {}
        }
        // Bytes of no known protocol do not tell who sent them.
        if !matches!(observation, Observation::UnknownStart(_)) {
            self.record.set_client(client);
        }
        let flow = self.summary();
        let marks = &self.record.marks;
        let (named, proxied) = (marks.has(Marks::NAMED), marks.has(Marks::PROXIED));
        let passed_on = marks.has(Marks::PASSED_ON);
        let place = Place { packet: origin.packet, at: origin.at, flow: &flow, named, proxied, passed_on };
        let Self { record, sink, current, read_counters, .. } = self;
        sink.observation(&place, observation);
        let learned = observe(self.signatures, observation, &place, |kind| {
            if !matches!(kind, EventKind::ResolvedOther(_)) {
                record.marks.set(Marks::MATCHED);
            }
            sink.event(Event { packet: current.packet, at: current.at, kind });
        });
        if learned == Learned::Name {
            record.marks.set(Marks::NAMED);
        }
        match observation {
            Observation::ProxyRequest(_) => record.marks.set(Marks::PROXIED),
            Observation::TlsClientHello(hello) | Observation::QuicClientHello { hello, .. } if hello.ech => {
                read_counters.encrypted_hellos += 1;
            }
            _ => {}
        }
    }

    fn address_of(&self, side: Side) -> std::net::IpAddr {
        let (FiveTuple { src, dst, .. }, _) = self.current.key.endpoints();
        if side == Side::Low { src } else { dst }
    }

    fn summary(&self) -> FlowSummary {
        let record = &*self.record;
        let (FiveTuple { src, dst, src_port, dst_port, protocol }, zone): (FiveTuple, Zone) =
            self.current.key.endpoints();
        let (low_mac, high_mac) = match self.current.link {
            Some((segment, Side::Low)) => segment.macs.unzip(),
            Some((segment, Side::High)) => {
                let (high, low) = segment.macs.unzip();
                (low, high)
            }
            None => (None, None),
        };
        let low = (src, src_port, low_mac);
        let high = (dst, dst_port, high_mac);
        let (client, server) = if record.client() == Side::Low { (low, high) } else { (high, low) };
        FlowSummary {
            first_packet: record.first_packet,
            started: record.started,
            client: client.0,
            client_port: client.1,
            server: server.0,
            server_port: server.1,
            protocol,
            zone,
            client_mac: client.2,
            client_hop_limit: self
                .current
                .link
                .and_then(|(segment, side)| (side == record.client()).then_some(segment.hop_limit)),
            server_mac: server.2,
            tunnel: self.current.link.and_then(|(segment, _)| segment.tunnel),
            counts: record.counts(),
            connection_outcome: record.connection_outcome(),
        }
    }
}

impl TcpConversation {
    fn clear(&mut self) {
        for stream in &mut self.streams {
            stream.clear();
        }
        self.conversation.clear();
        self.ends = [None; 2];
        self.timestamps = [None; 2];
        self.held_bytes = 0;
    }

    /// Whether both sides are through to their ends.
    fn has_ended(&self) -> bool {
        self.streams.iter().zip(self.ends).all(|(stream, end)| end.is_some_and(|end| stream.is_through(end)))
    }

    /// Bytes held back at the last look and now.
    fn measure(&mut self) -> (usize, usize) {
        let now = self.streams.iter().map(Stream::held_bytes).sum::<usize>() + self.conversation.held_bytes();
        (std::mem::replace(&mut self.held_bytes, now), now)
    }
}
