//! Of a packet, what must be known to see that it says nothing new of its flow: nearly all do not.

use crate::capture::Timestamp;
use crate::decode::{Segment, Transport, tcp_flags};
use crate::inspect::quic;

/// What is known of a packet without its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Gist {
    /// When it was captured.
    pub at: Timestamp,
    /// Length of its frame on the wire, in bytes.
    pub wire_len: u32,
    /// What it is for its flow.
    pub part: Part,
}

/// What a packet is for its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A SYN, a FIN or a RST.
    Turn,
    /// A TCP segment without payload, and its flags.
    Empty(u8),
    /// A TCP segment with payload.
    Stream,
    /// A UDP datagram that may begin a QUIC connection.
    Initial,
    /// Any other UDP datagram.
    Datagram,
}

impl Gist {
    /// The gist of a segment that came in a frame of so many bytes.
    #[inline(always)]
    #[must_use]
    pub fn of(segment: &Segment<'_>, wire_len: u32) -> Self {
        const TURNS: u8 = tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST;
        let part = match segment.transport {
            Transport::Tcp { flags, .. } if flags & TURNS != 0 => Part::Turn,
            Transport::Tcp { flags, .. } if segment.payload_len == 0 => Part::Empty(flags),
            Transport::Tcp { .. } => Part::Stream,
            Transport::Udp if quic::recognise(segment.payload) => Part::Initial,
            Transport::Udp => Part::Datagram,
        };
        Self { at: segment.at, wire_len, part }
    }
}
