//! Captures of Network General's Sniffer for DOS, as far as they are not compressed: a magic line, then typed records, little endian.

use super::pcap::Step;
use super::records::{self, Found, Framed, day, le16, nearest};
use super::{LinkType, Record};

/// How the records of one file are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sniffer {
    link_type: LinkType,
    /// When the day began on which the capture began, in nanoseconds from the epoch.
    began_ns: i128,
    /// Picoseconds of one tick.
    tick_ps: i128,
}

impl Sniffer {
    /// Bytes of the magic line, and of the record of the version behind it.
    pub(super) const HEADER_BYTES: usize = 17 + 6 + 18;

    pub(super) fn parse(header: &[u8]) -> Result<Self, String> {
        let half = |at: usize| le16(header, at);
        let byte = |at: usize| header.get(at).copied();
        let read = || Some((half(17)?, half(19)?, half(29)?, byte(32)?, byte(33)?, byte(34)?));
        let Some((kind, 18, date, network, format, unit)) = read() else {
            return Err("the record of the version is not where it should be; the header may be overwritten".to_owned());
        };
        if kind != VERSION {
            return Err("the first record is not that of the version; the header may be overwritten".to_owned());
        }
        if format != 1 {
            return Err(
                "it is compressed in the Sniffer's own way; convert it with `editcap -F pcap IN OUT`".to_owned()
            );
        }
        let link_type = match network {
            0 => LinkType::TOKEN_RING,
            1 => LinkType::ETHERNET,
            9 => LinkType::FDDI,
            _ => LinkType::UNKNOWN,
        };
        let tick_ps = match unit {
            1 => 838_096,
            3 => 500_000,
            4 => 2_000_000,
            6 => 100_000,
            _ => 15_000_000,
        };
        // As DOS has dates: years from 1980.
        let began_ns = day(1980 + (date >> 9), date >> 5 & 0x0f, date & 0x1f).unwrap_or(0);
        Ok(Self { link_type, began_ns, tick_ps })
    }

    pub(super) fn link_type(&self) -> LinkType {
        self.link_type
    }

    pub(super) fn walk(&self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        records::walk(bytes, start, records, |rest| {
            let (Some(kind), Some(length)) = (le16(rest, 0), le16(rest, 2)) else {
                return Found::Partial(RECORD_HEADER);
            };
            let whole = RECORD_HEADER + usize::from(length);
            match kind {
                END => return Found::End,
                FRAME => {}
                0..=32 => return Found::Record(whole, None),
                _ => {
                    return Found::Damage(format!(
                        "there is no record of type {kind}; the file lost or gained bytes here"
                    ));
                }
            }
            if rest.len() < whole {
                return Found::Partial(whole);
            }
            let half = |at: usize| le16(rest, RECORD_HEADER + at);
            let (Some(low), Some(middle), Some(high), Some(size), Some(true_size)) =
                (half(0), half(2), half(4), half(6), half(10))
            else {
                return Found::Damage(format!("a frame's record has only {length} bytes"));
            };
            let [high, days] = high.to_le_bytes();
            let ticks = i128::from(low) + (i128::from(middle) << 16) + (i128::from(high) << 32);
            let at = nearest(self.began_ns + i128::from(days) * DAY_NS + ticks * self.tick_ps / 1000);
            let len = usize::from(length).saturating_sub(FRAME_HEADER);
            let wire_len = u32::from(if true_size == 0 { size } else { true_size });
            let link_type = self.link_type;
            Found::Record(whole, Some(Framed { at, start: RECORD_HEADER + FRAME_HEADER, len, wire_len, link_type }))
        })
    }
}

const RECORD_HEADER: usize = 6;
const FRAME_HEADER: usize = 14;
const VERSION: u16 = 1;
const END: u16 = 3;
const FRAME: u16 = 4;
const DAY_NS: i128 = 86_400_000_000_000;
