//! Long headers (RFC 9000 section 17.2), and the packets that share one datagram.

use super::QuicVersion;
use crate::inspect::Reader;

/// Longest connection identifier (RFC 9000 section 17.2).
const CONNECTION_ID_MAX: u8 = 20;
/// Shortest one that a client chooses for its server (RFC 9000 section 7.2).
const CLIENT_DCID_MIN: u8 = 8;
/// Packets of one datagram that are looked at.
const PACKETS_MAX: u8 = 8;
/// Long header form and the fixed bit.
pub(super) const LONG_HEADER: u8 = 0xc0;

/// A packet with a long header.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet<'a> {
    /// Initial, still protected.
    Initial(Initial<'a>),
    /// Any other type.
    Other,
}

/// An Initial packet, still protected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initial<'a> {
    pub version: QuicVersion,
    /// Destination connection identifier.
    pub dcid: &'a [u8],
    /// Source connection identifier.
    pub scid: &'a [u8],
    /// The whole packet, from its first byte.
    pub bytes: &'a [u8],
    /// Where the protected packet number begins.
    pub number_at: usize,
}

/// Walks over the packets of a datagram.
#[derive(Clone, Debug)]
pub(super) struct Packets<'a> {
    rest: &'a [u8],
    seen: u8,
}

impl<'a> Packets<'a> {
    pub(super) const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram, seen: 0 }
    }

    fn read(&mut self) -> Option<Packet<'a>> {
        let bytes = self.rest;
        let mut reader = Reader::new(bytes);
        let first = reader.u8()?;
        if first & LONG_HEADER != LONG_HEADER {
            return None;
        }
        let version = QuicVersion::from_wire(reader.u32()?)?;
        let dcid_len = reader.u8().filter(|&length| length <= CONNECTION_ID_MAX)?;
        let dcid = reader.take(dcid_len.into())?;
        let scid_len = reader.u8().filter(|&length| length <= CONNECTION_ID_MAX)?;
        let scid = reader.take(scid_len.into())?;
        let kind = Kind::of(version, first);
        match kind {
            // Neither has a length: it is the last packet of its datagram.
            Kind::Retry => return None,
            Kind::Initial => {
                let token = variable_length(&mut reader)?;
                reader.skip(usize::try_from(token).ok()?)?;
            }
            Kind::Other => {}
        }
        let length = usize::try_from(variable_length(&mut reader)?).ok()?;
        let number_at = bytes.len() - reader.rest().len();
        reader.skip(length)?;
        let (packet, rest) = bytes.split_at_checked(bytes.len() - reader.rest().len())?;
        self.rest = rest;
        Some(match kind {
            Kind::Initial => Packet::Initial(Initial { version, dcid, scid, bytes: packet, number_at }),
            _ => Packet::Other,
        })
    }
}

/// The version of a datagram that looks like a client's first under one that we do not know: a long header whose fields fit, in a datagram as
/// long as such a one has to be (RFC 9000 section 14.1). Versions of the form `0x?a?a?a?a` mean to be unknown, and zero is a server's.
pub(super) fn unknown_version(datagram: &[u8]) -> Option<u32> {
    const INITIAL_MIN: usize = 1200;
    const RESERVED: u32 = 0x0f0f_0f0f;
    let is_unknown = |version: &u32| {
        *version != 0 && *version & RESERVED != 0x0a0a_0a0a && QuicVersion::from_wire(*version).is_none()
    };
    if datagram.len() < INITIAL_MIN {
        return None;
    }
    version_of_client(datagram).filter(is_unknown)
}

/// The version in a long header, whose form holds for all versions (RFC 8999 section 5.1), if its identifiers are as long as a client
/// makes those of its first packet.
fn version_of_client(datagram: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(datagram);
    reader.u8().filter(|first| first & LONG_HEADER == LONG_HEADER)?;
    let version = reader.u32()?;
    let dcid_len = reader.u8().filter(|length| (CLIENT_DCID_MIN..=CONNECTION_ID_MAX).contains(length))?;
    reader.skip(dcid_len.into())?;
    let scid_len = reader.u8().filter(|&length| length <= CONNECTION_ID_MAX)?;
    reader.skip(scid_len.into())?;
    Some(version)
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        if self.seen >= PACKETS_MAX {
            return None;
        }
        self.seen += 1;
        self.read()
    }
}

enum Kind {
    Initial,
    Retry,
    Other,
}

impl Kind {
    /// The type bits mean different things in version 2 (RFC 9369 section 3.2).
    const fn of(version: QuicVersion, first: u8) -> Self {
        match (version, (first >> 4) & 0x03) {
            (QuicVersion::V2, 0b01) => Self::Initial,
            (QuicVersion::V2, 0b00) => Self::Retry,
            (QuicVersion::V2, _) => Self::Other,
            (_, 0b00) => Self::Initial,
            (_, 0b11) => Self::Retry,
            _ => Self::Other,
        }
    }
}

/// An integer whose first two bits say its length (RFC 9000 section 16).
pub(super) fn variable_length(reader: &mut Reader<'_>) -> Option<u64> {
    let first = reader.u8()?;
    let mut value = u64::from(first & 0x3f);
    for _ in 1..1u8 << (first >> 6) {
        value = value << 8 | u64::from(reader.u8()?);
    }
    Some(value)
}
