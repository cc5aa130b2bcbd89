//! Of a packet, what must be known to see that it says nothing new of its flow: nearly all do not.

use crate::capture::Timestamp;
use crate::decode::{Segment, Transport, tcp_flags};
use crate::inspect::quic;

/// What is known of a packet without its bytes.
#[derive(Clone, Copy, Debug)]
pub struct PacketSummary {
    /// When it was captured.
    pub at: Timestamp,
    /// Length of its frame on the wire, in bytes.
    pub wire_len: u32,
    /// What it is for its flow.
    pub kind: PacketKind,
}

/// What a packet is for its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A SYN, a FIN or a RST.
    Control,
    /// A TCP segment without payload, and its flags.
    NoPayload(u8),
    /// A TCP segment with payload.
    Stream,
    /// A UDP datagram that may begin a QUIC connection.
    Initial,
    /// Any other UDP datagram.
    Datagram,
}

impl PacketSummary {
    /// The packet_summary of a segment that came in a frame of so many bytes.
    #[inline(always)]
    #[must_use]
    pub fn of(segment: &Segment<'_>, wire_len: u32) -> Self {
        const TURNS: u8 = tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST;
        let kind = match segment.transport {
            Transport::Tcp { flags, .. } if flags & TURNS != 0 => PacketKind::Control,
            Transport::Tcp { flags, .. } if segment.payload_len == 0 => PacketKind::NoPayload(flags),
            Transport::Tcp { .. } => PacketKind::Stream,
            Transport::Udp if quic::recognise(segment.payload) => PacketKind::Initial,
            Transport::Udp => PacketKind::Datagram,
        };
        Self { at: segment.at, wire_len, kind }
    }
}
