//! Solaris snoop (RFC 1761): a file header, then records, all big endian.

use super::pcap::Step;
use super::records::{self, Found, Framed, too_long};
use super::{LinkType, Record, Timestamp};

/// How the records of one file are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snoop {
    link_type: LinkType,
    /// Packets that the system had lost by the latest record.
    lost: u32,
}

impl Snoop {
    /// Bytes of the file header.
    pub(super) const HEADER_BYTES: usize = 16;

    pub(super) fn parse(header: &[u8]) -> Result<Self, String> {
        let word = |at: usize| be32(header, at).ok_or("the file ends within its 16-byte header; copy it again");
        let (version, kind) = (word(8)?, word(12)?);
        if version != 2 {
            return Err(format!(
                "snoop version {version} is unknown; only 2 is; convert it with `editcap -F pcap IN OUT`"
            ));
        }
        let link_type = match kind {
            0 | 4 => LinkType::ETHERNET,
            2 => LinkType::TOKEN_RING,
            8 => LinkType::FDDI,
            26 => LinkType::IPNET,
            _ => LinkType::UNKNOWN,
        };
        Ok(Self { link_type, lost: 0 })
    }

    pub(super) fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// Packets that were lost before they could be written, as the records count them.
    pub(super) fn lost(&self) -> u64 {
        self.lost.into()
    }

    pub(super) fn walk(&mut self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        records::walk(bytes, start, records, |rest| {
            let word = |at: usize| be32(rest, at);
            let (Some(wire_len), Some(len), Some(whole), Some(lost), Some(seconds), Some(micros)) =
                (word(0), word(4), word(8), word(12), word(16), word(20))
            else {
                return Found::Partial(RECORD_HEADER);
            };
            if let Some(damage) = too_long(len as usize) {
                return damage;
            }
            // Padding fills up to a few bytes; some writers leave more.
            let padding = (whole as usize).checked_sub(RECORD_HEADER + len as usize);
            if padding.is_none_or(|padding| padding > PADDING_MAX) {
                return Found::Damage(format!(
                    "a record of {whole} bytes claims {len} captured ones; the file lost or gained bytes here"
                ));
            }
            let at = Timestamp(u64::from(seconds) * 1_000_000_000 + u64::from(micros) * 1000);
            let framed = Framed { at, start: RECORD_HEADER, len: len as usize, wire_len, link_type: self.link_type };
            if rest.len() >= whole as usize {
                self.lost = self.lost.max(lost);
            }
            Found::Record(whole as usize, Some(framed))
        })
    }
}

const RECORD_HEADER: usize = 24;
const PADDING_MAX: usize = 4096;

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_be_bytes(*word))
}
