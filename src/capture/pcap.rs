//! The pcap format (draft-ietf-opsawg-pcap): a file header, then records one after the other.

use super::{LinkType, Record, Timestamp};

/// Most captured bytes that a frame may claim, and so the most memory that one claim can take: 16 MiB.
/// Wireshark stops at 256 KiB for networks and 128 MiB for buses; the largest network frame is 64 KiB and a few headers.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// How the records of one pcap file are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    ns_per_tick: u64,
    record_header: usize,
    old_lengths: bool,
    link_type: LinkType,
}

/// How far a walk over bytes came.
#[derive(Debug)]
pub(super) struct Step {
    /// Where the last whole record ends, and what is left begins.
    pub end: usize,
    pub stop: Stop,
}

/// Why a walk stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The rest is part of a record or block that is at least so long, in bytes; never zero.
    Partial(usize),
    /// The rest makes no sense.
    Damage(String),
    /// The file says that nothing more belongs to it.
    End,
}

impl Pcap {
    /// Bytes of the file header.
    pub(super) const HEADER_BYTES: usize = 24;

    /// Reads the file header; `None` when its version is not 2.x, with both parts of the version as the error.
    ///
    /// The upper bits of the link type (length of a frame check sequence) are dropped: the trailer stays in the frame,
    /// and whoever reads the frame follows the lengths in its headers.
    pub(super) fn parse(header: &[u8; Self::HEADER_BYTES]) -> Result<Self, String> {
        let big_endian = header.first() == Some(&0xa1);
        let word = |at: usize| u32_at(header, at, big_endian);
        let (major, minor) =
            if big_endian { (word(4) >> 16, word(4) & 0xffff) } else { (word(4) & 0xffff, word(4) >> 16) };
        if major != 2 {
            return Err(format!("pcap version {major}.{minor} is unknown; only 2.x is; the header may be overwritten"));
        }
        Ok(Self {
            big_endian,
            ns_per_tick: if word(0) == 0xa1b2_3c4d { 1 } else { 1000 },
            record_header: if word(0) == 0xa1b2_cd34 { 24 } else { 16 },
            old_lengths: minor < 4,
            link_type: LinkType(word(20) as u16),
        })
    }

    pub(super) fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// Notes where each whole record in `bytes` lies, the first of them at `start`.
    ///
    /// - Seconds are unsigned, so a file reaches from 1970 to 2106; a time before 1970 cannot be told from one after 2038.
    /// - Microseconds past 999,999 carry into the seconds.
    /// - A frame shorter on the wire than captured is taken to be as long as captured.
    pub(super) fn walk(&self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        if self.big_endian {
            self.walk_in::<true>(bytes, start, records)
        } else {
            self.walk_in::<false>(bytes, start, records)
        }
    }

    fn walk_in<const BIG_ENDIAN: bool>(&self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        let mut at = start;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            // Kuznetzov's records go on for 8 bytes (interface, protocol, direction) that nobody needs.
            let Some(header) = rest.first_chunk::<16>() else {
                return Step { end: at, stop: Stop::Partial(self.record_header) };
            };
            let word = |index: u32| {
                let word = (u128::from_le_bytes(*header) >> (32 * index)) as u32;
                if BIG_ENDIAN { word.swap_bytes() } else { word }
            };
            let (mut len, mut wire_len) = (word(2), word(3));
            // Writers before version 2.4 disagreed on the order of the two lengths (libpcap's sf-pcap).
            if self.old_lengths && len > wire_len {
                (len, wire_len) = (wire_len, len);
            }
            if len as usize > MAX_FRAME_BYTES {
                let what = format!(
                    "the record claims {len} captured bytes, more than the {MAX_FRAME_BYTES} that a frame may have; its \
                     header is overwritten or the file lost bytes before it"
                );
                return Step { end: at, stop: Stop::Damage(what) };
            }
            let whole = self.record_header + len as usize;
            if rest.len() < whole {
                return Step { end: at, stop: Stop::Partial(whole) };
            }
            records.push(Record {
                // Cannot wrap: both parts together stay below 2^62.1.
                at: Timestamp(u64::from(word(0)) * 1_000_000_000 + u64::from(word(1)) * self.ns_per_tick),
                start: (at + self.record_header) as u32,
                len,
                wire_len: wire_len.max(len),
                link_type: self.link_type,
            });
            at += whole;
        }
    }
}

/// The 32-bit number at `at`; zero beyond the end, which callers rule out by the array's length.
fn u32_at(bytes: &[u8; 24], at: usize, big_endian: bool) -> u32 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).copied().unwrap_or_default();
    if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
}
