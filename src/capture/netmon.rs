//! Captures of Microsoft Network Monitor 1 and 2 (and 3, which writes the format of 2), little endian: a header, frames, and a table
//! that says where each frame begins, in the order in which they count.

use super::pcap::Step;
use super::records::{self, Found, Framed, day, le16, le32, le64, nearest, too_long};
use super::{LinkType, Record};
use std::collections::BTreeSet;

/// How the frames of one file are to be read, once they lie behind each other ([`super::gathered`]).
#[derive(Clone, Debug)]
pub(super) struct Netmon {
    is_v1: bool,
    minor: u8,
    medium: u16,
    /// When the capture began, in nanoseconds from the epoch. The file has local time and not its zone; it is taken for UTC.
    began_ns: i128,
    table: (u32, u32),
    link_types: BTreeSet<LinkType>,
}

impl Netmon {
    /// Bytes of the file header.
    pub(super) const HEADER_BYTES: usize = 128;

    pub(super) fn parse(header: &[u8]) -> Result<Self, String> {
        let cut = || "the file ends within its 128-byte header; copy it again".to_owned();
        let header = header.first_chunk::<{ Self::HEADER_BYTES }>().ok_or_else(cut)?;
        let half = |at: usize| le16(header, at).unwrap_or_default();
        let word = |at: usize| le32(header, at).unwrap_or_default();
        let [minor, major] = half(4).to_le_bytes();
        if !matches!(major, 1 | 2) {
            return Err(format!(
                "Network Monitor version {major}.{minor} is unknown; if Wireshark opens it, convert it with `editcap -F pcap IN OUT`"
            ));
        }
        let time = i128::from(half(16)) * 3_600_000 + i128::from(half(18)) * 60_000 + i128::from(half(20)) * 1000;
        let began_ns = day(half(8), half(10), half(14)).unwrap_or(0) + (time + i128::from(half(22))) * 1_000_000;
        Ok(Self {
            is_v1: major == 1,
            minor,
            medium: half(6),
            began_ns,
            table: (word(24), word(28)),
            link_types: BTreeSet::new(),
        })
    }

    pub(super) fn link_types(&self) -> &BTreeSet<LinkType> {
        &self.link_types
    }

    /// First byte and length of the table of frames.
    pub(super) const fn table(&self) -> (u32, u32) {
        self.table
    }

    /// Bytes of the header that each frame has.
    pub(super) const fn record_header(&self) -> usize {
        if self.is_v1 { 8 } else { 16 }
    }

    /// Bytes of a whole record, by its header.
    pub(super) fn record_bytes(&self, header: &[u8]) -> Option<usize> {
        let len = if self.is_v1 { usize::from(le16(header, 6)?) } else { le32(header, 12)? as usize };
        Some(self.record_header() + len + self.trailer())
    }

    /// What follows each frame: its medium, then a process, then the time in UTC and its zone.
    const fn trailer(&self) -> usize {
        match (self.is_v1, self.minor) {
            (true, _) | (_, 0) => 0,
            (_, 1) => 2,
            (_, 2) => 6,
            _ => 15,
        }
    }

    pub(super) fn walk(&mut self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        let mut link_types = std::mem::take(&mut self.link_types);
        let step = records::walk(bytes, start, records, |rest| {
            let found = self.record(rest);
            if let Found::Record(_, Some(framed)) = &found {
                link_types.insert(framed.link_type);
            }
            found
        });
        self.link_types = link_types;
        step
    }

    fn record(&self, rest: &[u8]) -> Found {
        let header = self.record_header();
        let Some(whole) = self.record_bytes(rest) else { return Found::Partial(header) };
        let len = whole - header - self.trailer();
        if let Some(damage) = too_long(len) {
            return damage;
        }
        if rest.len() < whole {
            return Found::Partial(whole);
        }
        let trailer = rest.get(header + len..whole).unwrap_or_default();
        let (since_ns, wire_len) = if self.is_v1 {
            (i128::from(le32(rest, 0).unwrap_or_default()) * 1_000_000, le16(rest, 4).unwrap_or_default().into())
        } else {
            // Microseconds; times before the beginning are negative once they are counted in tenths.
            let tenths = le64(rest, 0).unwrap_or_default().wrapping_mul(10).cast_signed();
            (i128::from(tenths) * 100, le32(rest, 8).unwrap_or_default())
        };
        let at = match le64(trailer, 6) {
            // Tenths of microseconds from 1601 on.
            Some(tenths) => nearest((i128::from(tenths) - 116_444_736_000_000_000) * 100),
            None => nearest(self.began_ns + since_ns),
        };
        let medium = le16(trailer, 0).unwrap_or(self.medium);
        let (link_type, skipped) = match medium {
            0 | 1 => (LinkType::ETHERNET, 0),
            2 => (LinkType::TOKEN_RING, 0),
            3 => (LinkType::FDDI, 0),
            // Two addresses, and the circuit.
            4 => (LinkType::ATM_RFC1483, 16),
            // 802.11 behind a header that says its length.
            6 => (LinkType::IEEE802_11, rest.get(header + 1..).and_then(|rest| le16(rest, 0)).map_or(0, usize::from)),
            7..=9 => (LinkType::RAW, 0),
            // From a pcap.
            0xe000..=0xe07f | 0xe08b..=0xefff => (LinkType(medium & 0x0fff), 0),
            0xe080 => (LinkType::IEEE802_11, 0),
            // About the capture itself; nobody counts these as packets.
            0xfffc..=0xfffe => return Found::Record(whole, None),
            _ => (LinkType::UNKNOWN, 0),
        };
        let skipped = skipped.min(len);
        let framed = Framed {
            at,
            start: header + skipped,
            len: len - skipped,
            wire_len: wire_len.saturating_sub(skipped as u32),
            link_type,
        };
        Found::Record(whole, Some(framed))
    }
}
