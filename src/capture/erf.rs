//! Endace's extensible record format: records one after the other, without a file header.

use super::pcap::Step;
use super::records::{self, Found, Framed, le64, nearest};
use super::{LinkType, Record};

/// What the records of one file have shown so far.
#[derive(Debug, Default)]
pub(super) struct Erf {
    link_types: std::collections::BTreeSet<LinkType>,
    lost: u64,
}

impl Erf {
    pub(super) fn link_types(&self) -> &std::collections::BTreeSet<LinkType> {
        &self.link_types
    }

    /// Packets that were lost before they could be written, as the records count them.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn walk(&mut self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        records::walk(bytes, start, records, |rest| {
            let Some(header) = Header::read(rest) else { return Found::Partial(HEADER) };
            if !header.is_plausible() {
                return Found::Damage("no record begins here; the file lost or gained bytes before".to_owned());
            }
            let whole = usize::from(header.record_len);
            if rest.len() < whole {
                return Found::Partial(whole);
            }
            let record = rest.get(..whole).unwrap_or_default();
            let framed = header.framed(record);
            self.lost = self.lost.saturating_add(header.lost().into());
            self.link_types.extend(framed.iter().map(|framed| framed.link_type));
            Found::Record(whole, framed)
        })
    }
}

/// Whether a file begins with records. There is no magic number, so all that lie in `head` have to be plausible, and follow each other in
/// time; where only one does, it has to be Ethernet with a protocol that we know.
pub(super) fn is_erf(head: &[u8]) -> bool {
    let mut rest = head;
    let mut before: Option<u64> = None;
    let mut whole_records = 0;
    while let Some(header) = Header::read(rest) {
        // Seconds in the upper half. Clocks may be set back, but not by an hour.
        let seconds = header.ticks >> 32;
        let follows = before.is_none_or(|before| seconds.abs_diff(before) < 3600);
        // Headers of eight bytes each and padding are all that a record has besides what was on the wire.
        let fits = u32::from(header.record_len) <= u32::from(header.wire_len) + AROUND_MAX;
        if !header.is_plausible() || !fits || !follows || !(631_152_000..4_102_444_800).contains(&seconds) {
            return false;
        }
        before = Some(seconds);
        match rest.get(usize::from(header.record_len)..) {
            Some(after) => {
                whole_records += 1;
                rest = after;
            }
            None => break,
        }
    }
    match whole_records {
        0 | 1 => Header::read(head).is_some_and(|header| header.is_ethernet_with_known_protocol(head)),
        _ => true,
    }
}

/// A frame out of one record, as captures of other formats hold such records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedFrame<'a> {
    pub link_type: LinkType,
    pub bytes: &'a [u8],
    pub wire_len: u32,
}

/// The frame in a record that may be cut; `Some(None)` for a record without one, `None` for what is no record.
pub(crate) fn frame_of_record(record: &[u8]) -> Option<Option<RecordedFrame<'_>>> {
    let header = Header::read(record).filter(Header::is_plausible)?;
    let of_record = |Framed { start, len, wire_len, link_type, .. }| {
        let bytes = record.get(start..).unwrap_or_default();
        RecordedFrame { link_type, bytes: bytes.get(..len).unwrap_or(bytes), wire_len }
    };
    Some(header.framed(record).map(of_record))
}

/// The fixed part of a record.
#[derive(Clone, Copy, Debug)]
struct Header {
    /// 32 bits of seconds, 32 bits of their fractions.
    ticks: u64,
    kind: u8,
    extended: bool,
    record_len: u16,
    /// Packets lost since the record before, or a colour.
    loss_or_colour: u16,
    wire_len: u16,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[_, _, _, _, _, _, _, _, kind, _, r0, r1, l0, l1, w0, w1] = bytes.first_chunk::<16>()?;
        Some(Self {
            ticks: le64(bytes, 0)?,
            kind: kind & 0x7f,
            extended: kind & 0x80 != 0,
            record_len: u16::from_be_bytes([r0, r1]),
            loss_or_colour: u16::from_be_bytes([l0, l1]),
            wire_len: u16::from_be_bytes([w0, w1]),
        })
    }

    /// Whether the type is one that Endace assigned, and the length covers the header.
    fn is_plausible(&self) -> bool {
        let room = match self.kind {
            ETHERNET | COLOR_ETHERNET | DSM_ETHERNET | HASH_ETHERNET => 18,
            _ => 16,
        };
        matches!(self.kind, 1..=29 | PADDING) && self.record_len >= room
    }

    fn is_ethernet_with_known_protocol(&self, record: &[u8]) -> bool {
        let Some(framed) = self.framed(record) else { return false };
        let protocol = record.get(framed.start + 12..).and_then(<[u8]>::first_chunk::<2>);
        // Padding rounds up to eight bytes; what is captured is no longer than what was on the wire.
        let fits = framed.len <= usize::from(self.wire_len) + 8;
        framed.link_type == LinkType::ETHERNET
            && fits
            && matches!(protocol, Some([0x08, 0x00 | 0x06] | [0x86, 0xdd] | [0x81, 0x00] | [0x88, _] | [0..=5, _]))
    }

    /// Packets lost between the record before and this one. Types that came later have another use for the field.
    const fn lost(&self) -> u16 {
        if matches!(self.kind, 1..=9) { self.loss_or_colour } else { 0 }
    }

    /// The frame of a record; `None` for what is none.
    fn framed(&self, record: &[u8]) -> Option<Framed> {
        if self.kind == PADDING {
            return None;
        }
        let mut start = HEADER;
        // Extension headers of eight bytes; the first bit of each says that another follows.
        let mut more = self.extended;
        while more {
            more = record.get(start).is_some_and(|first| first & 0x80 != 0);
            start += 8;
        }
        let (link_type, own) = match self.kind {
            // An offset and a pad byte.
            ETHERNET | COLOR_ETHERNET | DSM_ETHERNET | HASH_ETHERNET => (LinkType::ETHERNET, 2),
            1 | 10 | 15 | 19 => (LinkType::PPP_HDLC, 0),
            // A header of four bytes that names the channel.
            5 | 17 => (LinkType::PPP_HDLC, 4),
            22 => (LinkType::IPV4, 0),
            23 => (LinkType::IPV6, 0),
            _ => (LinkType::UNKNOWN, 0),
        };
        let start = start + own;
        let room = usize::from(self.record_len).saturating_sub(start);
        // Records are padded; what was on the wire says where the frame ends.
        let len = room.min(usize::from(self.wire_len));
        let fraction = (i128::from(self.ticks & 0xffff_ffff) * 1_000_000_000) >> 32;
        let at = nearest(i128::from(self.ticks >> 32) * 1_000_000_000 + fraction);
        Some(Framed { at, start, len, wire_len: u32::from(self.wire_len), link_type })
    }
}

const HEADER: usize = 16;
const AROUND_MAX: u32 = 16 + 8 * 8 + 16;
const ETHERNET: u8 = 2;
const COLOR_ETHERNET: u8 = 11;
const DSM_ETHERNET: u8 = 16;
const HASH_ETHERNET: u8 = 20;
const PADDING: u8 = 48;
