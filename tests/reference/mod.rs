//! The simple order of work, to hold the fast one against: one packet at a time, the general decoder, one plain map of flows.
//!
//! No lanes, no batches, no short cuts, and no bounds on flows, conversations or held bytes: what it is fed must stay below those of the
//! real pipeline. It tells the ledger of every flow's beginning and end, whether or not the flow can matter.

#![allow(clippy::unwrap_used)]

use kaspector::capture::{Frame, Timestamp};
use kaspector::decode::{
    Decoder, Dissected, FiveTuple, Outcome, OutcomeCounters, Segment, Transport, TunnelKind, TunnelPorts,
    dissect_general, looks_like_tunnel, tcp_flags,
};
use kaspector::flow::{
    Checksum, Doubt, FlowKey, Origin, Side, Stream, StreamCounters, carries_data, checksum, is_dropped, sum,
    timestamps, urgent,
};
use kaspector::inspect::quic::{self, ConnectionId};
use kaspector::inspect::syslog;
use kaspector::inspect::{
    Bound, BoundCounters, Conversation, DatagramProtocol, DnsMessage, IdentityProtocol, InitialConversation,
    Observation, recognise_datagram,
};
use kaspector::matching::{
    ConnectionOutcome, Ended, Event, EventKind, FlowCounts, FlowSummary, Learned, Ledger, Opened, Place, Sent,
    Sighting, SignatureSet, observe,
};
use kaspector::pipeline::{Findings, VersionCounters};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How long a flow may be silent before its next packet begins another, in nanoseconds (docs/limits.md).
const TCP_IDLE_NS: u64 = 600_000_000_000;
const TCP_CLOSED_IDLE_NS: u64 = 10_000_000_000;
const UDP_IDLE_NS: u64 = 120_000_000_000;
/// Datagrams in no known protocol after which a flow is left alone.
const UNKNOWN_DATAGRAMS_MAX: u8 = 8;

/// One value for each side of a flow.
#[derive(Clone, Copy, Debug, Default)]
struct Both<T> {
    low: T,
    high: T,
}

impl<T> Both<T> {
    const fn of(&mut self, side: Side) -> &mut T {
        match side {
            Side::Low => &mut self.low,
            Side::High => &mut self.high,
        }
    }
}

/// What is being read from a flow.
enum Reading {
    /// TCP without payload so far.
    Silent,
    Connection(Box<Connection>),
    /// UDP, and how many datagrams said nothing.
    Datagrams(u8),
    Initials(Box<InitialConversation>, Origin),
    Settled,
}

#[derive(Default)]
struct Connection {
    streams: Both<Stream>,
    conversation: Conversation,
    last: Both<Origin>,
    /// Sequence numbers of the FINs.
    ends: Both<Option<u32>>,
    /// Timestamps of the last segments that were read.
    timestamps: Both<Option<u32>>,
}

struct Flow {
    key: FlowKey,
    first_packet: u64,
    started: Timestamp,
    last_seen: Timestamp,
    tcp: bool,
    opener: Side,
    client: Side,
    packets: Both<u64>,
    bytes: Both<u64>,
    syn: Both<Option<u32>>,
    /// A SYN that nobody has answered, and who sent it.
    pending: Option<(Side, u32)>,
    /// Timestamps of the handshake.
    timestamps: Option<Both<u32>>,
    passed_on: bool,
    sent: Both<Sent>,
    payload_seen: bool,
    closed: bool,
    named: bool,
    proxied: bool,
    quic: Option<ConnectionId>,
}

impl Flow {
    fn open(packet: u64, segment: &Segment<'_>, key: FlowKey, side: Side) -> Self {
        let FiveTuple { src_port, dst_port, .. } = segment.five_tuple;
        let (tcp, sender_is_client) = match segment.transport {
            Transport::Tcp { flags, .. } if flags & tcp_flags::SYN != 0 => (true, flags & tcp_flags::ACK == 0),
            Transport::Tcp { .. } => (true, src_port >= dst_port),
            Transport::Udp => (false, src_port >= 1024 || dst_port < 1024),
        };
        Self {
            key,
            first_packet: packet,
            started: segment.at,
            last_seen: segment.at,
            tcp,
            opener: side,
            client: if sender_is_client { side } else { side.other() },
            packets: Both::default(),
            bytes: Both::default(),
            syn: Both::default(),
            pending: None,
            timestamps: None,
            passed_on: false,
            sent: Both::default(),
            payload_seen: false,
            closed: false,
            named: false,
            proxied: false,
            quic: None,
        }
    }

    fn is_over(&self, at: Timestamp) -> bool {
        let idle = match (self.tcp, self.closed) {
            (true, false) => TCP_IDLE_NS,
            (true, true) => TCP_CLOSED_IDLE_NS,
            (false, _) => UDP_IDLE_NS,
        };
        at.since(self.last_seen) > idle
    }

    /// What a SYN means for the connection between these ports.
    fn meaning(&mut self, segment: &Segment<'_>, side: Side) -> Syn {
        let Transport::Tcp { seq, ack, flags } = segment.transport else { return Syn::Known };
        if flags & tcp_flags::SYN == 0 || *self.syn.of(side) == Some(seq) && is_syn(flags) {
            return Syn::Known;
        }
        if !is_syn(flags) {
            return Syn::Stale;
        }
        let (mine, other) = (*self.syn.of(side), *self.syn.of(side.other()));
        let alone = *self.sent.of(side.other()) == Sent::default();
        if flags & tcp_flags::ACK == 0 {
            if mine.is_none() && !self.payload_seen && !self.closed {
                return Syn::Known;
            }
            return if self.closed || alone { Syn::New } else { Syn::Stale };
        }
        let answered = ack.wrapping_sub(1);
        if self.pending == Some((side.other(), answered)) && (self.payload_seen || mine.is_some()) {
            return Syn::New;
        }
        if mine.is_none() {
            return Syn::Known;
        }
        if self.client == side && !self.closed {
            return Syn::Stale;
        }
        if self.closed || other.is_none() || alone {
            return Syn::New;
        }
        if !self.payload_seen && other == Some(answered) { Syn::Known } else { Syn::Stale }
    }

    /// Notes a SYN.
    fn note_syn(&mut self, segment: &Segment<'_>, side: Side, (seq, ack, flags): (u32, u32, u8)) {
        *self.syn.of(side) = Some(seq);
        if flags & tcp_flags::ACK == 0 {
            self.client = side;
            return;
        }
        let client = side.other();
        self.client = client;
        if !self.payload_seen || self.syn.of(client).is_none() {
            *self.syn.of(client) = Some(ack.wrapping_sub(1));
        }
        if self.pending.is_some_and(|(from, _)| from == client) {
            self.pending = None;
        }
        if let Some((value, echo)) = timestamps(segment.header) {
            let mut both = Both::default();
            *both.of(side) = value;
            *both.of(client) = echo;
            self.timestamps = Some(both);
        }
    }

    fn counts(&mut self) -> FlowCounts {
        let (client, server) = (self.client, self.client.other());
        FlowCounts {
            packets_to_server: *self.packets.of(client),
            packets_to_client: *self.packets.of(server),
            bytes_to_server: *self.bytes.of(client),
            bytes_to_client: *self.bytes.of(server),
        }
    }

    fn connection_outcome(&mut self) -> ConnectionOutcome {
        let (client, server) = (self.client, self.client.other());
        if self.tcp {
            ConnectionOutcome::of_tcp(*self.sent.of(client), *self.sent.of(server))
        } else {
            ConnectionOutcome::of_udp(*self.packets.of(client) > 0, *self.packets.of(server) > 0)
        }
    }

    /// The flow so far; link-layer addresses and tunnel are those of `link`, if it is there.
    fn summary(&mut self, link: Option<(&Segment<'_>, Side)>) -> FlowSummary {
        let (FiveTuple { src, dst, src_port, dst_port, protocol }, zone) = self.key.endpoints();
        let mut ends = Both { low: (src, src_port, None), high: (dst, dst_port, None) };
        if let Some((segment, side)) = link
            && let Some((sender, receiver)) = segment.macs
        {
            ends.of(side).2 = Some(sender);
            ends.of(side.other()).2 = Some(receiver);
        }
        let (client, server) = (*ends.of(self.client), *ends.of(self.client.other()));
        let mut summary = FlowSummary::new((client.0, client.1), (server.0, server.1), protocol);
        summary.first_packet = self.first_packet;
        summary.started = self.started;
        summary.zone = zone;
        (summary.client_mac, summary.server_mac) = (client.2, server.2);
        summary.client_hop_limit = link.and_then(|(segment, side)| (side == self.client).then_some(segment.hop_limit));
        summary.tunnel = link.and_then(|(segment, _)| segment.tunnel);
        summary.counts = self.counts();
        summary.connection_outcome = self.connection_outcome();
        summary
    }
}

/// What a segment with a SYN means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syn {
    Known,
    New,
    Stale,
}

fn is_syn(flags: u8) -> bool {
    flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) == tcp_flags::SYN
}

/// The packet at hand; without its segment once it only ends a flow.
#[derive(Clone, Copy)]
struct Now<'a> {
    packet: u64,
    at: Timestamp,
    link: Option<(&'a Segment<'a>, Side)>,
}

/// Where observations go.
struct EventMerger {
    signatures: Arc<SignatureSet>,
    ledger: Ledger,
    observations: Vec<String>,
    dropped: BoundCounters,
}

impl EventMerger {
    fn record(&mut self, now: Now<'_>, kind: EventKind) {
        self.ledger.record(Event { packet: now.packet, at: now.at, kind });
    }

    fn tell(&mut self, flow: &mut Flow, now: Now<'_>, origin: Origin, client: Side, observation: &Observation<'_>) {
        match observation {
            Observation::BoundReached(bound) => return self.dropped.bump(*bound),
            Observation::PassedOnFor(source) => {
                let FiveTuple { src, dst, .. } = flow.key.endpoints().0;
                flow.passed_on = *source != if client == Side::Low { src } else { dst };
                return;
            }
            Observation::SshGreeting(_) if client == flow.client => return,
            _ => {}
        }
        // Bytes of no known protocol do not tell who sent them, and both sides of SSH say the same.
        if !matches!(observation, Observation::UnknownStart(_) | Observation::SshGreeting(_)) {
            flow.client = client;
        }
        let summary = flow.summary(now.link);
        let Flow { named, proxied, passed_on, .. } = *flow;
        let mut place = Place::new(origin.packet, origin.at, &summary);
        (place.named, place.proxied, place.passed_on) = (named, proxied, passed_on);
        self.observations.push(spell(&place, observation));
        let told = observe(&self.signatures, observation, &place, |kind| {
            self.ledger.record(Event { packet: now.packet, at: now.at, kind });
        });
        flow.named |= told == Learned::Name;
        flow.proxied |= matches!(observation, Observation::ProxyRequest(_));
    }
}

/// An observation and its place, in words.
pub fn spell(place: &Place<'_>, observation: &Observation<'_>) -> String {
    // A message is used again for the next, so it holds memory of the one before besides its own fields.
    let Observation::Dns(message) = observation else { return format!("{place:?} {observation:?}") };
    let DnsMessage {
        id,
        is_response,
        recursion_desired,
        response_code,
        truncated,
        question,
        further_questions,
        names,
        addresses,
        ..
    } = message;
    format!(
        "{place:?} {id} {is_response} {recursion_desired} {response_code} {truncated} {question:?} {further_questions:?} {names:?} {addresses:?}"
    )
}

/// The pipeline of this file.
pub struct Reference {
    merger: EventMerger,
    decoder: Decoder,
    flows: HashMap<FlowKey, (Flow, Reading)>,
    outcomes: OutcomeCounters,
    opened: u64,
    streams: StreamCounters,
    tunnels_elsewhere: BTreeMap<&'static str, u64>,
    versions: VersionCounters,
    last: (u64, Timestamp),
}

impl Reference {
    /// Nothing seen yet.
    pub fn new(signatures: &Arc<SignatureSet>) -> Self {
        Self {
            merger: EventMerger {
                signatures: Arc::clone(signatures),
                ledger: Ledger::new(signatures, 0),
                observations: Vec::new(),
                dropped: BoundCounters::default(),
            },
            decoder: Decoder::default(),
            flows: HashMap::new(),
            outcomes: OutcomeCounters::default(),
            opened: 0,
            streams: StreamCounters::default(),
            tunnels_elsewhere: BTreeMap::new(),
            versions: VersionCounters::default(),
            last: (0, Timestamp(0)),
        }
    }

    /// Takes the next frame.
    pub fn feed(&mut self, frame: &Frame<'_>) -> Outcome {
        self.last = (frame.number, frame.at);
        // Out of the way, because a segment of fragments borrows it.
        let mut decoder = std::mem::take(&mut self.decoder);
        let segment = match dissect_general(frame, &TunnelPorts::ASSIGNED) {
            Dissected::Segment(segment) => Ok(segment),
            Dissected::Fragment(fragment) => decoder.resume(&fragment),
            Dissected::Other(outcome) => Err(outcome),
        };
        let outcome = match segment {
            Ok(segment) => {
                self.accept(frame.number, frame.wire_len, &segment);
                Outcome::Inspected
            }
            Err(outcome) => outcome,
        };
        self.decoder = decoder;
        self.outcomes.bump(outcome);
        outcome
    }

    /// What was observed since the last call, in words.
    pub fn take_observations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.merger.observations)
    }

    /// Ends every flow.
    pub fn finish(mut self) -> Findings {
        let (packet, at) = self.last;
        let mut rest: Vec<_> = std::mem::take(&mut self.flows).into_values().collect();
        rest.sort_by_key(|(flow, _)| flow.first_packet);
        for (flow, reading) in rest {
            self.end(flow, reading, Now { packet, at, link: None });
        }
        let alerts = self.merger.ledger.take_alerts();
        self.merger.ledger.close();
        let mut dropped = self.merger.ledger.dropped();
        dropped.append(&mut self.tunnels_elsewhere);
        self.decoder.add_dropped(&mut dropped);
        let of_streams = [
            ("stream_gaps", self.streams.gaps),
            ("segments_out_of_window", self.streams.out_of_window),
            ("overlapping_segments", self.streams.differing),
        ];
        for (name, count) in
            of_streams.into_iter().chain(self.merger.dropped.non_zero()).chain(self.versions.non_zero())
        {
            if count > 0 {
                *dropped.entry(name).or_default() += count;
            }
        }
        let mut findings = Findings::default();
        findings.alerts = alerts;
        let (hosts, machines) = self.merger.ledger.into_hosts();
        (findings.hosts, findings.machines) = (hosts.collect(), machines);
        findings.outcomes = self.outcomes;
        findings.flows = self.opened;
        findings.dropped = dropped;
        findings
    }

    fn accept(&mut self, packet: u64, wire_len: u32, segment: &Segment<'_>) {
        let at = segment.at;
        let without_data;
        let segment = match segment.transport {
            Transport::Tcp { flags, .. } if segment.payload_len > 0 && !carries_data(flags) => {
                without_data = Segment { payload_len: 0, payload: &[], ..*segment };
                &without_data
            }
            _ => segment,
        };
        let (key, side) = FlowKey::of(&segment.five_tuple, &segment.zone);
        let (mut flow, mut reading) = match self.flows.remove(&key) {
            Some((mut flow, reading)) => {
                let over = flow.is_over(at);
                let meaning = if over { Syn::New } else { flow.meaning(segment, side) };
                if meaning == Syn::Stale {
                    flow.last_seen = flow.last_seen.max(at);
                    *flow.packets.of(side) += 1;
                    *flow.bytes.of(side) += u64::from(wire_len);
                    if let Transport::Tcp { seq, flags, .. } = segment.transport
                        && is_syn(flags)
                        && flags & tcp_flags::ACK == 0
                    {
                        flow.pending = Some((side, seq));
                    }
                    self.flows.insert(key, (flow, reading));
                    return;
                }
                if meaning == Syn::New {
                    self.end(flow, reading, Now { packet, at, link: None });
                    self.open(packet, segment, key, side)
                } else {
                    (flow, reading)
                }
            }
            None => self.open(packet, segment, key, side),
        };
        flow.last_seen = flow.last_seen.max(at);
        *flow.packets.of(side) += 1;
        *flow.bytes.of(side) += u64::from(wire_len);
        let now = Now { packet, at, link: Some((segment, side)) };
        let is_first = match segment.transport {
            Transport::Tcp { flags, .. } => segment.payload_len > 0 && !flow.payload_seen && !is_dropped(flags),
            Transport::Udp => flow.packets.low + flow.packets.high == 1,
        };
        // Of machines only what tells a router's link-layer address from a host's own.
        if is_first
            && let Some(sighting) =
                Sighting::of(segment.five_tuple.src, segment.zone, segment.macs.map(|(sender, _)| sender), at)
        {
            self.merger.record(now, EventKind::Sighted(sighting));
        }
        reading = match segment.transport {
            Transport::Tcp { seq, ack, flags } => self.tcp(&mut flow, reading, now, side, (seq, ack, flags), segment),
            Transport::Udp => self.udp(&mut flow, reading, now, side, segment.payload),
        };
        self.flows.insert(key, (flow, reading));
    }

    fn open(&mut self, packet: u64, segment: &Segment<'_>, key: FlowKey, side: Side) -> (Flow, Reading) {
        self.opened += 1;
        let FiveTuple { src, dst, .. } = segment.five_tuple;
        let opened = Opened {
            five_tuple: segment.five_tuple,
            zone: segment.zone,
            macs: segment.macs,
            tunnel: segment.tunnel.map(Box::new),
            src_range: self.merger.signatures.match_address(src),
            dst_range: self.merger.signatures.match_address(dst),
            of_interest: true,
        };
        self.merger.record(Now { packet, at: segment.at, link: None }, EventKind::Opened(opened));
        let flow = Flow::open(packet, segment, key, side);
        let reading = if flow.tcp { Reading::Silent } else { Reading::Datagrams(0) };
        (flow, reading)
    }

    fn end(&mut self, mut flow: Flow, reading: Reading, now: Now<'_>) {
        match reading {
            Reading::Connection(connection) => self.finish_connection(&mut flow, *connection, now),
            Reading::Initials(mut initials, last) => {
                initials.finish(|client, observation| self.merger.tell(&mut flow, now, last, client, observation));
            }
            Reading::Silent | Reading::Datagrams(_) | Reading::Settled => {}
        }
        let ended = Ended {
            flow: flow.first_packet,
            opener_is_client: flow.client == flow.opener,
            named: flow.named,
            matters: true,
            opening_seen: flow.sent.low.shook_hands() || flow.sent.high.shook_hands(),
            connection_outcome: flow.connection_outcome(),
            counts: flow.counts(),
        };
        self.merger.record(now, EventKind::Ended(ended));
    }

    fn tcp(
        &mut self,
        flow: &mut Flow,
        reading: Reading,
        now: Now<'_>,
        side: Side,
        (seq, ack, flags): (u32, u32, u8),
        segment: &Segment<'_>,
    ) -> Reading {
        if is_dropped(flags) {
            return reading;
        }
        let has = |flag: u8| flags & flag != 0;
        let first_byte = if has(tcp_flags::SYN) { seq.wrapping_add(1) } else { seq };
        if is_syn(flags) {
            flow.note_syn(segment, side, (seq, ack, flags));
        }
        flow.closed |= has(tcp_flags::FIN | tcp_flags::RST);
        flow.sent.of(side).note(flags, segment.payload_len, segment.payload);
        flow.payload_seen |= segment.payload_len > 0;
        let mut connection = match reading {
            Reading::Connection(connection) => connection,
            Reading::Silent if !segment.payload.is_empty() => {
                let mut connection = Box::<Connection>::default();
                for side in [Side::Low, Side::High] {
                    if let Some(seq) = *flow.syn.of(side) {
                        connection.streams.of(side).synchronise(seq);
                    }
                }
                connection
            }
            other => return other,
        };
        let alone = *flow.sent.of(side.other()) == Sent::default();
        let first_timestamp = flow.timestamps.map(|mut both| *both.of(side));
        let mut is_sound = true;
        let Connection { streams, conversation, last, ends, timestamps: seen } = &mut *connection;
        let origin = Origin { packet: now.packet, at: now.at };
        if is_syn(flags) {
            streams.of(side).synchronise(seq);
        }
        let merger = &mut self.merger;
        let mut hear = |conversation: &mut Conversation, from: Side, origin: Origin, offset: u64, bytes: &[u8]| {
            *last.of(from) = origin;
            conversation.accept(from, offset, bytes, |client, observation| {
                merger.tell(flow, now, origin, client, observation);
            });
        };
        if has(tcp_flags::ACK) {
            let other = side.other();
            streams.of(other).acknowledge(now.at, ack, &mut self.streams, |origin, offset, bytes| {
                hear(conversation, other, origin, offset, bytes);
            });
        }
        if segment.payload_len > 0 {
            let could_acknowledge = !has(tcp_flags::ACK) || streams.of(side.other()).could_be_acknowledged(ack);
            let stream = streams.of(side);
            let wanted = conversation.wants(side);
            let payload = if wanted { segment.payload } else { &[] };
            let newest = seen.of(side).or(first_timestamp);
            let value = timestamps(segment.header).map(|(value, _)| value);
            let is_old = newest.zip(value).is_some_and(|(newest, value)| value.wrapping_sub(newest) > i32::MAX as u32);
            let doubt = match checksum(segment, sum(payload)) {
                _ if !wanted => None,
                Checksum::Wrong if !stream.checksums_mean_nothing() => Some(Doubt::Checksum),
                Checksum::Unfinished if !alone && !stream.checksums_mean_nothing() => Some(Doubt::Checksum),
                _ if has(tcp_flags::SYN) => Some(Doubt::WithSyn),
                _ if is_old => Some(Doubt::Old),
                _ => None,
            };
            if wanted && doubt.is_none() && newest.is_some() && value.is_some() {
                *seen.of(side) = value;
            }
            let doubt = doubt.or((wanted && !could_acknowledge).then_some(Doubt::Acknowledgement));
            is_sound = doubt.is_none();
            if wanted
                && is_sound
                && let Some(byte) = urgent(segment)
            {
                stream.set_urgent(first_byte.wrapping_add(u32::try_from(byte).unwrap()));
            }
            let (promised, counters) = (segment.payload_len, &mut self.streams);
            let hear = |origin: Origin, offset: u64, bytes: &[u8]| hear(conversation, side, origin, offset, bytes);
            match doubt {
                None => stream.accept(origin, first_byte, payload, promised, counters, hear),
                Some(doubt) => stream.doubt(origin, first_byte, payload, promised, doubt, counters, hear),
            }
            if stream.is_midstream() && !conversation.may_begin_earlier(side) {
                stream.forget_kept();
            }
        }
        if has(tcp_flags::FIN) && !has(tcp_flags::RST) && is_sound {
            let end = first_byte.wrapping_add(segment.payload_len);
            *ends.of(side) = Some(end);
            streams.of(side).close(end);
        }
        if conversation.is_settled() {
            return Reading::Settled;
        }
        let is_through = [Side::Low, Side::High]
            .iter()
            .all(|&side| ends.of(side).is_some_and(|end| streams.of(side).is_through(end)));
        if is_through {
            self.finish_connection(flow, *connection, now);
            return Reading::Settled;
        }
        Reading::Connection(connection)
    }

    fn finish_connection(&mut self, flow: &mut Flow, mut connection: Connection, now: Now<'_>) {
        let Connection { streams, conversation, last, .. } = &mut connection;
        for side in [Side::Low, Side::High] {
            streams.of(side).finish(&mut self.streams, |origin, offset, bytes| {
                *last.of(side) = origin;
                conversation.accept(side, offset, bytes, |client, observation| {
                    self.merger.tell(flow, now, origin, client, observation);
                });
            });
            let origin = *last.of(side);
            conversation.finish(side, |client, observation| self.merger.tell(flow, now, origin, client, observation));
        }
    }

    fn udp(&mut self, flow: &mut Flow, reading: Reading, now: Now<'_>, side: Side, datagram: &[u8]) -> Reading {
        let origin = Origin { packet: now.packet, at: now.at };
        let mut initials = match reading {
            Reading::Initials(initials, _) => initials,
            Reading::Datagrams(unknown) => match recognise_datagram(datagram) {
                DatagramProtocol::Dns => {
                    let mut message = DnsMessage::default();
                    if message.parse(datagram).is_err() {
                        return Reading::Datagrams(unknown);
                    }
                    let client = if message.is_response { side.other() } else { side };
                    self.merger.tell(flow, now, origin, client, &Observation::Dns(&message));
                    if message.over_bound {
                        self.merger.tell(flow, now, origin, client, &Observation::BoundReached(Bound::DnsMessage));
                    }
                    return Reading::Datagrams(0);
                }
                DatagramProtocol::QuicInitial => Box::default(),
                DatagramProtocol::GoogleQuic => {
                    let (version, hello) = quic::google_client_hello(datagram).unwrap();
                    self.merger.tell(flow, now, origin, side, &Observation::QuicClientHello { version, hello: &hello });
                    return Reading::Settled;
                }
                DatagramProtocol::Syslog => {
                    if let Some(originator) = syslog::originator(datagram) {
                        self.merger.tell(flow, now, origin, side, &Observation::SyslogOriginator(&originator));
                    }
                    let more = unknown + 1 < UNKNOWN_DATAGRAMS_MAX;
                    return if more { Reading::Datagrams(unknown + 1) } else { Reading::Settled };
                }
                // Who a machine is moves no verdict; only that such a datagram is of a known protocol matters here.
                DatagramProtocol::Identity(IdentityProtocol::Dhcp | IdentityProtocol::DhcpV6) => {
                    return Reading::Datagrams(unknown);
                }
                DatagramProtocol::Identity(_) => {
                    let more = unknown + 1 < UNKNOWN_DATAGRAMS_MAX;
                    return if more { Reading::Datagrams(unknown + 1) } else { Reading::Settled };
                }
                DatagramProtocol::Unknown => {
                    let looks_like =
                        now.link.and_then(|(segment, _)| looks_like_tunnel(segment.payload, segment.payload_len));
                    if let Some(kind) = looks_like {
                        let name = match kind {
                            TunnelKind::Vxlan => "unknown_port_vxlan",
                            TunnelKind::Geneve => "unknown_port_geneve",
                            TunnelKind::GtpU => "unknown_port_gtp_u",
                            _ => "unknown_port_gre",
                        };
                        *self.tunnels_elsewhere.entry(name).or_default() += 1;
                    }
                    if unknown == 0
                        && let Some(version) = quic::unknown_version(datagram)
                    {
                        self.versions.bump(version);
                    }
                    if unknown == 0 && self.merger.signatures.may_match_stream(datagram) {
                        let start = datagram.get(..16).unwrap_or(datagram);
                        self.merger.tell(flow, now, origin, side, &Observation::UnknownStart(start));
                    }
                    let more = unknown + 1 < UNKNOWN_DATAGRAMS_MAX;
                    return if more { Reading::Datagrams(unknown + 1) } else { Reading::Settled };
                }
            },
            // Another connection between the same ports, of the same client.
            Reading::Settled
                if quic::recognise(datagram)
                    && (flow.quic.is_none() || flow.client == side)
                    && quic::connection_begun(datagram).is_some_and(|begun| flow.quic != Some(begun)) =>
            {
                Box::default()
            }
            other => return other,
        };
        initials.accept(side, datagram, |client, observation| self.merger.tell(flow, now, origin, client, observation));
        if initials.is_settled() {
            flow.quic = initials.connection().map(|connection| connection.begun);
            return Reading::Settled;
        }
        Reading::Initials(initials, origin)
    }
}
