//! What is kept of every flow, in two cache lines of which most packets need the first.

use super::pool::Handle;
use crate::capture::Timestamp;
use crate::decode::{FiveTuple, Segment, Transport, tcp_flags};
use crate::flow::{FlowState, Side, Tier, is_dropped, timestamps};
use crate::inspect::quic::Connection;
use crate::matching::{ConnectionOutcome, FlowCounts, Sent};

/// How long a TCP connection may be silent before its next packet is taken for another's.
const TCP_IDLE_S: u32 = 600;
/// The same, once either side has closed it: late duplicates still belong to it.
const TCP_CLOSED_IDLE_S: u32 = 10;
/// The same for UDP.
const UDP_IDLE_S: u32 = 120;
/// Where clients ask for names.
pub(super) const DNS_PORT: u16 = 53;

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// TCP without payload so far.
    Waiting,
    /// TCP: payload goes to this conversation.
    Conversing(Handle),
    /// UDP: each datagram is looked at; how many in a row said nothing.
    Datagrams(u8),
    /// UDP: QUIC Initials go to this conversation.
    Initials(Handle),
    /// Nothing more to learn.
    Settled,
}

/// Yes or no, of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    pub(super) const TCP: Self = Self(1);
    /// The sender of the first packet is the higher side.
    pub(super) const HIGH_OPENED: Self = Self(1 << 1);
    /// The client is the higher side.
    pub(super) const HIGH_IS_CLIENT: Self = Self(1 << 2);
    pub(super) const LOW_SYN_SEEN: Self = Self(1 << 3);
    pub(super) const HIGH_SYN_SEEN: Self = Self(1 << 4);
    pub(super) const PAYLOAD_SEEN: Self = Self(1 << 5);
    pub(super) const CLOSED: Self = Self(1 << 6);
    /// Its bytes said whom it is for.
    pub(super) const NAMED: Self = Self(1 << 7);
    /// Its server was asked to carry it to another.
    pub(super) const PROXIED: Self = Self(1 << 8);
    pub(super) const MATCHED: Self = Self(1 << 9);
    /// Somebody remembers that it opened, and wants to know how it ends.
    pub(super) const REMEMBERED: Self = Self(1 << 10);
    /// One of its addresses lies in a published range, or one of its ports is the vendor's.
    pub(super) const OF_INTEREST: Self = Self(1 << 11);
    /// Its client passes on what another sends.
    pub(super) const PASSED_ON: Self = Self(1 << 12);
    /// A SYN with another number came from this side, and nobody has answered it yet.
    pub(super) const LOW_SYN_PENDING: Self = Self(1 << 13);
    pub(super) const HIGH_SYN_PENDING: Self = Self(1 << 14);
    /// Both sides said in the handshake that their segments bear timestamps.
    pub(super) const TIMESTAMPS: Self = Self(1 << 15);

    pub(super) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(super) const fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    pub(super) const fn put(&mut self, mark: Self, value: bool) {
        self.0 = if value { self.0 | mark.0 } else { self.0 & !mark.0 };
    }

    pub(super) const fn syn_seen(side: Side) -> Self {
        match side {
            Side::Low => Self::LOW_SYN_SEEN,
            Side::High => Self::HIGH_SYN_SEEN,
        }
    }

    pub(super) const fn syn_pending(side: Side) -> Self {
        match side {
            Side::Low => Self::LOW_SYN_PENDING,
            Side::High => Self::HIGH_SYN_PENDING,
        }
    }
}

/// What is kept of every flow. Pairs are indexed by side. The fields before `first_packet` share the key's cache line: a packet of a
/// settled flow needs no more.
#[derive(Debug)]
#[repr(C)]
pub(super) struct FlowRecord {
    pub(super) phase: Phase,
    pub(super) last_seen_s: u32,
    pub(super) marks: Marks,
    pub(super) sent: [Sent; 2],
    pub(super) first_packet: u64,
    pub(super) started: Timestamp,
    pub(super) bytes: [u64; 2],
    pub(super) packets: [u32; 2],
    /// Sequence number of each side's SYN.
    pub(super) syn: [u32; 2],
    pub(super) begun: Begun,
}

/// What more is known of how a flow began, by its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Nothing,
    /// The QUIC connection whose hello was read last.
    Quic(Connection),
    /// The number of a pending SYN, and the timestamps of the handshake by side; as far as the marks say that they are there.
    Tcp {
        pending: u32,
        timestamps: [u32; 2],
    },
}

const _: () = assert!(size_of::<Option<FlowRecord>>() == 80);

impl FlowState for FlowRecord {
    fn idle_timeout_s(&self) -> u32 {
        match (self.marks.has(Marks::TCP), self.marks.has(Marks::CLOSED)) {
            (true, false) => TCP_IDLE_S,
            (true, true) => TCP_CLOSED_IDLE_S,
            (false, _) => UDP_IDLE_S,
        }
    }

    fn value(&self) -> u8 {
        match self.phase {
            _ if self.marks.has(Marks::MATCHED) => 3,
            Phase::Conversing(_) | Phase::Initials(_) => 2,
            // By what its client was told, not by a range or a port that anybody can send to.
            _ if self.marks.has(Marks::REMEMBERED) && !self.marks.has(Marks::OF_INTEREST) => 2,
            Phase::Waiting | Phase::Datagrams(_) => 1,
            Phase::Settled => 0,
        }
    }

    fn last_seen_s(&self) -> u32 {
        self.last_seen_s
    }

    fn touch(&mut self, seconds: u32) {
        self.last_seen_s = seconds;
    }
}

impl FlowRecord {
    pub(super) fn open(packet: u64, segment: &Segment<'_>, side: Side) -> Self {
        let is_tcp = matches!(segment.transport, Transport::Tcp { .. });
        let client = if sender_is_probably_client(segment) { side } else { side.other() };
        let mut marks = Marks::default();
        marks.put(Marks::TCP, is_tcp);
        marks.put(Marks::HIGH_OPENED, side == Side::High);
        marks.put(Marks::HIGH_IS_CLIENT, client == Side::High);
        Self {
            phase: if is_tcp { Phase::Waiting } else { Phase::Datagrams(0) },
            last_seen_s: u32::try_from(segment.at.seconds()).unwrap_or(u32::MAX),
            marks,
            sent: [Sent::default(); 2],
            first_packet: packet,
            started: segment.at,
            bytes: [0; 2],
            packets: [0; 2],
            syn: [0; 2],
            begun: if is_tcp { Begun::Tcp { pending: 0, timestamps: [0; 2] } } else { Begun::Nothing },
        }
    }

    pub(super) fn connection_outcome(&self) -> ConnectionOutcome {
        let (client, server) = (self.client(), self.client().other());
        if self.marks.has(Marks::TCP) {
            ConnectionOutcome::of_tcp(pick(self.sent, client), pick(self.sent, server))
        } else {
            ConnectionOutcome::of_udp(pick(self.packets, client) > 0, pick(self.packets, server) > 0)
        }
    }

    pub(super) fn client(&self) -> Side {
        if self.marks.has(Marks::HIGH_IS_CLIENT) { Side::High } else { Side::Low }
    }

    pub(super) fn set_client(&mut self, side: Side) {
        self.marks.put(Marks::HIGH_IS_CLIENT, side == Side::High);
    }

    /// Whether both sides of a TCP connection sent something.
    pub(super) fn has_answer(&self) -> bool {
        !self.sent.contains(&Sent::default())
    }

    /// Whether nothing more can come of the flow, and nobody wants its counts: its packets need not be looked at any more.
    pub(super) fn is_of_no_interest(&self) -> bool {
        self.phase == Phase::Settled && !self.marks.has(Marks::MATCHED) && !self.marks.has(Marks::REMEMBERED)
    }

    /// Whether something is still to be read or told when the flow ends.
    pub(super) fn has_more_to_say(&self) -> bool {
        matches!(self.phase, Phase::Conversing(_) | Phase::Initials(_))
            || self.marks.has(Marks::MATCHED)
            || self.marks.has(Marks::REMEMBERED)
    }

    /// Whether the flow has turned out to be more than one of many that pass.
    pub(super) fn is_worth_keeping(&self) -> bool {
        matches!(self.phase, Phase::Conversing(_) | Phase::Initials(_) | Phase::Settled)
            || self.marks.has(Marks::MATCHED)
            || self.marks.has(Marks::OF_INTEREST)
    }

    /// Notes what a TCP segment from `side` says without its bytes being read.
    #[inline]
    pub(super) fn note_segment(&mut self, side: Side, seq: u32, flags: u8, segment: &Segment<'_>) {
        if is_syn(flags) {
            *pick_mut(&mut self.syn, side) = seq;
            self.marks.set(Marks::syn_seen(side));
            self.set_client(if flags & tcp_flags::ACK == 0 { side } else { side.other() });
            if flags & tcp_flags::ACK != 0 {
                self.note_answer(side, segment);
            }
        }
        self.note_end(flags);
        pick_mut(&mut self.sent, side).note(flags, segment.payload_len, segment.payload);
        if segment.payload_len > 0 {
            self.marks.set(Marks::PAYLOAD_SEEN);
        }
    }

    /// Notes which SYN of the other side this SYN of `side` answers, and what it says of timestamps.
    fn note_answer(&mut self, side: Side, segment: &Segment<'_>) {
        let Transport::Tcp { ack, .. } = segment.transport else { return };
        let client = side.other();
        if !self.marks.has(Marks::PAYLOAD_SEEN) || self.syn_of(client).is_none() {
            *pick_mut(&mut self.syn, client) = ack.wrapping_sub(1);
            self.marks.set(Marks::syn_seen(client));
        }
        self.marks.put(Marks::syn_pending(client), false);
        if let Begun::Tcp { timestamps: known, .. } = &mut self.begun
            && let Some((value, echo)) = timestamps(segment.header)
        {
            *pick_mut(known, side) = value;
            *pick_mut(known, client) = echo;
            self.marks.set(Marks::TIMESTAMPS);
        }
    }

    /// Notes a SYN that begins nothing unless it is answered.
    pub(super) fn note_pending(&mut self, side: Side, seq: u32, flags: u8) {
        if is_syn(flags)
            && flags & tcp_flags::ACK == 0
            && let Begun::Tcp { pending, .. } = &mut self.begun
        {
            *pending = seq;
            self.marks.put(Marks::syn_pending(side.other()), false);
            self.marks.set(Marks::syn_pending(side));
        }
    }

    /// Number of the SYN of `side` that is pending.
    fn pending_of(&self, side: Side) -> Option<u32> {
        match self.begun {
            Begun::Tcp { pending, .. } if self.marks.has(Marks::syn_pending(side)) => Some(pending),
            _ => None,
        }
    }

    /// The timestamp of the handshake by `side`, if both sides use timestamps.
    pub(super) fn timestamp_of(&self, side: Side) -> Option<u32> {
        match self.begun {
            Begun::Tcp { timestamps, .. } if self.marks.has(Marks::TIMESTAMPS) => Some(pick(timestamps, side)),
            _ => None,
        }
    }

    /// Notes the end of a connection.
    pub(super) fn note_end(&mut self, flags: u8) {
        if flags & (tcp_flags::FIN | tcp_flags::RST) != 0 && !is_dropped(flags) {
            self.marks.set(Marks::CLOSED);
        }
    }

    /// Sequence number of the SYN of `side`, if it was seen.
    pub(super) fn syn_of(&self, side: Side) -> Option<u32> {
        self.marks.has(Marks::syn_seen(side)).then(|| pick(self.syn, side))
    }

    pub(super) fn counts(&self) -> FlowCounts {
        let [low, high] = [(self.packets[0], self.bytes[0]), (self.packets[1], self.bytes[1])];
        let (client, server) = if self.client() == Side::Low { (low, high) } else { (high, low) };
        FlowCounts {
            packets_to_server: client.0.into(),
            packets_to_client: server.0.into(),
            bytes_to_server: client.1,
            bytes_to_client: server.1,
        }
    }
}

/// Nobody said who opened the flow: a port of the system range is the server's; with TCP, so is the lower one.
const fn sender_is_probably_client(segment: &Segment<'_>) -> bool {
    let FiveTuple { src_port, dst_port, .. } = segment.five_tuple;
    match segment.transport {
        Transport::Tcp { flags, .. } if flags & tcp_flags::SYN != 0 => flags & tcp_flags::ACK == 0,
        Transport::Tcp { .. } => src_port >= dst_port,
        Transport::Udp => src_port >= 1024 || dst_port < 1024,
    }
}

/// Where a flow that begins with `segment` is kept. Anybody can send a segment that says nothing; payload is worth more.
pub(super) fn tier_of(segment: &Segment<'_>) -> Tier {
    let FiveTuple { src_port, dst_port, .. } = segment.five_tuple;
    match segment.transport {
        // Lookups are many, and nothing comes after the answer: however many they are, they need few places.
        Transport::Udp if src_port == DNS_PORT || dst_port == DNS_PORT => Tier::Lookups,
        Transport::Udp => Tier::Datagrams,
        Transport::Tcp { flags, .. } => {
            let passing = flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) != 0 && segment.payload_len == 0
                || is_dropped(flags);
            if passing { Tier::HalfOpen } else { Tier::Kept }
        }
    }
}

/// Whether control bits are those of a SYN that receivers take for one.
pub(super) const fn is_syn(flags: u8) -> bool {
    flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) == tcp_flags::SYN
}

/// What a segment with a SYN means for the flow that is known under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syn {
    /// It belongs to the connection that is known.
    Known,
    /// It begins another connection.
    New,
    /// An open connection answers it and goes on (RFC 5961 section 4), or it never was a SYN to anybody.
    Stale,
}

/// Says what a segment with a SYN means. An open connection is over only when the other side answers a new SYN, which it does not before it
/// has forgotten the connection.
pub(super) fn syn_meaning(record: &FlowRecord, segment: &Segment<'_>, side: Side) -> Syn {
    let Transport::Tcp { seq, ack, flags } = segment.transport else { return Syn::Known };
    if !is_syn(flags) {
        return Syn::Stale;
    }
    let (known, other) = (record.syn_of(side), record.syn_of(side.other()));
    let payload_seen = record.marks.has(Marks::PAYLOAD_SEEN);
    if known == Some(seq) {
        return Syn::Known;
    }
    let is_answer = flags & tcp_flags::ACK != 0;
    if is_answer && record.pending_of(side.other()) == Some(ack.wrapping_sub(1)) && (payload_seen || known.is_some()) {
        return Syn::New;
    }
    let closed = record.marks.has(Marks::CLOSED);
    // Where only this side was captured, nobody will tell which SYN was answered.
    let alone = pick(record.sent, side.other()) == Sent::default();
    match (is_answer, known) {
        (false, None) if !payload_seen && !closed => Syn::Known,
        (false, _) if closed || alone => Syn::New,
        (false, _) => Syn::Stale,
        (true, None) => Syn::Known,
        // Who began the connection answers nobody: its peer takes this for a stale SYN.
        (true, Some(_)) if record.client() == side && !closed => Syn::Stale,
        (true, Some(_)) if closed || other.is_none() || alone => Syn::New,
        // A server that keeps no state until the handshake is over answers again with another number.
        (true, Some(_)) if !payload_seen && other == Some(ack.wrapping_sub(1)) => Syn::Known,
        (true, Some(_)) => Syn::Stale,
    }
}

pub(super) fn count(record: &mut FlowRecord, side: Side, wire_len: u32) {
    let index = usize::from(side == Side::High);
    if let (Some(packets), Some(bytes)) = (record.packets.get_mut(index), record.bytes.get_mut(index)) {
        *packets = packets.saturating_add(1);
        *bytes = bytes.saturating_add(wire_len.into());
    }
}

pub(super) const fn pick<T: Copy>(pair: [T; 2], side: Side) -> T {
    let [low, high] = pair;
    match side {
        Side::Low => low,
        Side::High => high,
    }
}

pub(super) const fn pick_mut<T>(pair: &mut [T; 2], side: Side) -> &mut T {
    let [low, high] = pair;
    match side {
        Side::Low => low,
        Side::High => high,
    }
}
