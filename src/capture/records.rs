//! What formats have in common that are a header and then one record after the other.

use super::pcap::{MAX_FRAME_BYTES, Step, Stop};
use super::{LinkType, Record, Timestamp};

/// What lies at the start of some bytes.
pub(super) enum Found {
    /// A record of so many bytes, and the frame in it, if it has one.
    Record(usize, Option<Framed>),
    /// Part of a record that has at least so many bytes.
    Partial(usize),
    /// Something that makes no sense.
    Damage(String),
    /// The end of what the file says that it holds, whatever comes behind.
    End,
}

/// A frame in a record.
pub(super) struct Framed {
    pub at: Timestamp,
    /// First byte, from the start of the record.
    pub start: usize,
    /// Captured bytes; what of them is beyond the record is not counted.
    pub len: usize,
    pub wire_len: u32,
    pub link_type: LinkType,
}

/// Notes where each frame in `bytes` lies, the first record at `start`. `read` is told what is left from each record on.
pub(super) fn walk(
    bytes: &[u8],
    start: usize,
    records: &mut Vec<Record>,
    mut read: impl FnMut(&[u8]) -> Found,
) -> Step {
    let mut at = start;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match read(rest) {
            Found::Partial(needed) => return Step { end: at, stop: Stop::Partial(needed.max(1)) },
            Found::Damage(what) => return Step { end: at, stop: Stop::Damage(what) },
            Found::End => return Step { end: at, stop: Stop::End },
            // A record without a byte would be read for ever.
            Found::Record(0, _) => {
                return Step { end: at, stop: Stop::Damage("a record claims to have no bytes".to_owned()) };
            }
            Found::Record(whole, _) if whole > rest.len() => {
                return Step { end: at, stop: Stop::Partial(whole) };
            }
            Found::Record(whole, framed) => {
                if let Some(Framed { at: time, start, len, wire_len, link_type }) = framed {
                    let start = start.min(whole);
                    let len = len.min(whole - start) as u32;
                    let start = (at + start) as u32;
                    records.push(Record { at: time, start, len, wire_len: wire_len.max(len), link_type });
                }
                at += whole;
            }
        }
    }
}

/// What a length that no frame has comes to.
pub(super) fn too_long(len: usize) -> Option<Found> {
    (len > MAX_FRAME_BYTES).then(|| {
        Found::Damage(format!(
            "the record claims {len} captured bytes, more than the {MAX_FRAME_BYTES} that a frame may have; its header is \
             overwritten or the file lost bytes before it"
        ))
    })
}

/// Four bytes at `at`, little endian.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word))
}

/// Two bytes at `at`, little endian.
pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|half| u16::from_le_bytes(*half))
}

/// Eight bytes at `at`, little endian.
pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|word| u64::from_le_bytes(*word))
}

/// A time so many nanoseconds from the epoch: what lies before 1970 becomes 1970, what lies after 2554 becomes that.
pub(super) fn nearest(ns: i128) -> Timestamp {
    Timestamp(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
}

/// Nanoseconds from the epoch to the beginning of a day; `None` when there is no such day.
pub(super) fn day(year: u16, month: u16, day: u16) -> Option<i128> {
    Some(i128::from(super::calendar::days(year, month, day)?) * 86_400_000_000_000)
}
