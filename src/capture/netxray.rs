//! Captures of NetXRay and of the Sniffer for Windows, little endian: a header that says where the first record begins and the last ends,
//! since the records may have been written round and round.

use super::pcap::Step;
use super::records::{self, Found, Framed, le16, le32, nearest, too_long};
use super::{LinkType, Record};

/// How the records of one file are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Netxray {
    link_type: LinkType,
    /// Second in which the capture began, from the epoch.
    began_s: u32,
    began_ticks: u64,
    ticks_per_second: u64,
    layout: Layout,
    /// Where the first record begins and where the last ends.
    first: u32,
    end: u32,
    /// Bytes of the file that are behind us.
    passed: u64,
    /// Where the second part of what was written round and round begins; a record that goes across was cut.
    seam: u64,
    /// Frames that the header promises and that were not read yet.
    promised: u32,
    has_check_sequence: bool,
}

/// How long the header of a record is, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// NetXRay 1: one length.
    Old,
    V1,
    V2,
}

impl Netxray {
    /// Bytes of the file header.
    pub(super) const HEADER_BYTES: usize = 128;

    pub(super) fn parse(header: &[u8]) -> Result<Self, String> {
        let cut = || "the file ends within its 128-byte header; copy it again".to_owned();
        let header = header.first_chunk::<{ Self::HEADER_BYTES }>().ok_or_else(cut)?;
        let word = |at: usize| le32(header, at).unwrap_or_default();
        let byte = |at: usize| header.get(at).copied().unwrap_or_default();
        let is_old = header.starts_with(b"VL");
        let (layout, minor) = match header.get(4..12) {
            _ if is_old => (Layout::Old, 0),
            Some(b"001.000\0") => (Layout::V1, 0),
            Some(b"001.100\0") => (Layout::V1, 1),
            Some([b'0', b'0', b'2', b'.', b'0', b'0', minor @ b'0'..=b'3', 0]) => (Layout::V2, minor - b'0'),
            version => {
                let version = String::from_utf8_lossy(version.unwrap_or_default()).into_owned();
                return Err(format!(
                    "version {version:?} is unknown; if Wireshark opens it, convert it with `editcap -F pcap IN OUT`"
                ));
            }
        };
        // Either an NDIS medium, or one less than that.
        let medium = match byte(45) {
            2 => byte(44),
            _ => byte(44).saturating_add(1),
        };
        let kind = byte(84);
        let link_type = match (medium, layout, kind) {
            (1, ..) | (4, Layout::Old | Layout::V1, _) => LinkType::ETHERNET,
            (2, ..) => LinkType::TOKEN_RING,
            (3, ..) => LinkType::FDDI,
            (4, Layout::V2, 3) => LinkType::PPP_HDLC,
            (4, Layout::V2, 4) => LinkType::FRAME_RELAY,
            (4, Layout::V2, 19) => LinkType::C_HDLC,
            (10, ..) => LinkType::IEEE802_11,
            _ => LinkType::UNKNOWN,
        };
        let unit = byte(48);
        // What hardware counted (Wireshark's collection of captures): by the kind of probe for Ethernet.
        let ticks_per_second = match (layout, minor, medium, kind, unit) {
            (Layout::Old, ..) | (Layout::V1, 0, ..) => 1000,
            (Layout::V2, _, 1, 0, 2) => u64::from(word(76)),
            (Layout::V2, _, 1, 2 | 6, 0) => 1_000_000_000,
            (Layout::V2, _, 1, 2, 2) => 31_250_000,
            (Layout::V2, _, 1, 6, 2) => 20_000_000,
            (Layout::V2, _, 1, 3, 2) => 1_250_000,
            (Layout::V2, _, _, _, 1) => 1_193_000,
            (Layout::V2, _, _, _, 2) => 1_193_182,
            _ => 1_000_000,
        };
        let from_zero = layout == Layout::V2 && medium == 1 && kind != 0 && minor >= 2;
        let began_ticks = if from_zero { 0 } else { u64::from(word(52)) | u64::from(word(56)) << 32 };
        let (first, end) = (word(24), word(28));
        if (first as usize) < Self::HEADER_BYTES || (end as usize) < Self::HEADER_BYTES {
            return Err("the header names records before its own end; it may be overwritten".to_owned());
        }
        Ok(Self {
            link_type,
            began_s: word(12),
            began_ticks,
            ticks_per_second: ticks_per_second.max(1),
            layout,
            first,
            end,
            passed: Self::HEADER_BYTES as u64,
            seam: 0,
            promised: word(16),
            has_check_sequence: byte(77) == 0x34 && byte(78) == 0x12,
        })
    }

    pub(super) fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// The parts of the file in which records lie, in their order, if they were written round and round.
    pub(super) fn parts(&self) -> Option<[(u64, u64); 2]> {
        let (first, end) = (u64::from(self.first), u64::from(self.end));
        (first > end).then_some([(first, u64::MAX), (Self::HEADER_BYTES as u64, end)])
    }

    /// Whether the end of the last record was not reached, or where that cannot be told, frames are missing.
    pub(super) fn expects_more(&self) -> bool {
        if self.end == u32::MAX { self.promised > 0 } else { self.passed < u64::from(self.end) }
    }

    /// The same for bytes that are already in the order of [`Self::parts`], of a file of so many.
    pub(super) fn unrolled(self, file_len: u64) -> Self {
        let first_part = file_len.saturating_sub(u64::from(self.first));
        Self { first: 0, end: u32::MAX, seam: Self::HEADER_BYTES as u64 + first_part, ..self }
    }

    pub(super) fn walk(&mut self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        let (mut passed, mut promised) = (self.passed, self.promised);
        let step = records::walk(bytes, start, records, |rest| {
            let found = self.record(rest, passed);
            if let Found::Record(whole, framed) = &found
                && *whole <= rest.len()
            {
                passed += *whole as u64;
                promised = promised.saturating_sub(u32::from(framed.is_some()));
            }
            found
        });
        (self.passed, self.promised) = (passed, promised);
        step
    }

    /// What lies at the start of `rest`, which begins behind so many bytes of the file.
    fn record(&self, rest: &[u8], passed: u64) -> Found {
        let before_seam = usize::try_from(self.seam.saturating_sub(passed)).unwrap_or(usize::MAX);
        let found = self.record_at(rest, passed);
        match found {
            Found::Record(whole, _) | Found::Partial(whole) if (1..whole).contains(&before_seam) => {
                // The rest of the first part, as far as it is there.
                let piece = before_seam.min(rest.len());
                if piece == 0 { Found::Partial(1) } else { Found::Record(piece, None) }
            }
            found => found,
        }
    }

    fn record_at(&self, rest: &[u8], passed: u64) -> Found {
        if self.end != u32::MAX && passed >= u64::from(self.end) {
            return Found::End;
        }
        // What lies before the first record, piece by piece.
        let before = u64::from(self.first).saturating_sub(passed);
        if before > 0 {
            let piece = usize::try_from(before).unwrap_or(usize::MAX).min(rest.len());
            return if piece == 0 { Found::Partial(1) } else { Found::Record(piece, None) };
        }
        let (header, len_at) = match self.layout {
            Layout::Old => (16, 8),
            Layout::V1 => (28, 10),
            Layout::V2 => (40, 10),
        };
        let (Some(low), Some(high), Some(wire_len), Some(len)) =
            (le32(rest, 0), le32(rest, 4), le16(rest, 8), le16(rest, len_at))
        else {
            return Found::Partial(header);
        };
        let Some(fixed) = rest.get(..header) else { return Found::Partial(header) };
        let (len, mut wire_len) = (usize::from(len), u32::from(wire_len));
        if let Some(damage) = too_long(len) {
            return damage;
        }
        // Four bytes at the end, a check sequence or what the hardware left there.
        let mut captured = len;
        if self.layout == Layout::V2
            && self.link_type == LinkType::ETHERNET
            && fixed.get(14..16) == Some(&[0xff, 0xff])
            && !self.has_check_sequence
        {
            captured = captured.saturating_sub(4);
            wire_len = wire_len.saturating_sub(4);
        }
        let ticks = u64::from(low) | u64::from(high) << 32;
        let since =
            (i128::from(ticks) - i128::from(self.began_ticks)) * 1_000_000_000 / i128::from(self.ticks_per_second);
        let at = nearest(i128::from(self.began_s) * 1_000_000_000 + since);
        let link_type = self.link_type;
        Found::Record(header + len, Some(Framed { at, start: header, len: captured, wire_len, link_type }))
    }
}
