//! How a message lies in a segment file.
//!
//! All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | mark: `FF 4B 53 01` |
//! | 4 | length of the body |
//! | 4 | CRC-32C (RFC 3720 appendix B.4) of the length and the body |
//! | 8 | body: sequence number of the message, over all segments |
//! | 4 | number of the record in its segment, from 0: a gap tells how many are missing |
//! | 1 | weight |
//! | 1, 1 | lengths of uid and host |
//! | .. | uid, host, line |

use super::super::{Message, Weight};
use std::sync::Arc;

/// Longest body that is written or believed. A line has at most 64 KiB.
pub(super) const BODY_MAX: usize = 256 << 10;

// FF stands in no UTF-8 text, so nothing that a stranger said can pass for the begin of a record.
const MARK: [u8; 4] = [0xff, b'K', b'S', 1];
const HEAD: usize = 12;
const BODY_HEAD: usize = 15;

/// One record, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place of the message among all messages of the spool.
    pub sequence: u64,
    /// Place of the record in its segment, from 0.
    pub ordinal: u32,
    /// What it carries.
    pub message: Message,
}

/// What stands at the begin of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A whole record of so many bytes.
    Record(Record, usize),
    /// The begin of a record that may go on behind the last byte.
    Partial,
    /// So many bytes that belong to no readable record.
    Damaged(usize),
}

/// Bytes that a message takes in a segment; `None` when it is too large for any.
pub(super) fn encoded_len(message: &Message) -> Option<usize> {
    let body = BODY_HEAD + message.uid.len() + message.host.len() + message.line.len();
    let fits = body <= BODY_MAX && message.uid.len() <= 255 && message.host.len() <= 255;
    fits.then_some(HEAD + body)
}

/// Appends a message that has an [`encoded_len`] to `out`.
pub(super) fn encode(sequence: u64, ordinal: u32, message: &Message, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(BODY_HEAD + message.line.len() + 64);
    body.extend_from_slice(&sequence.to_le_bytes());
    body.extend_from_slice(&ordinal.to_le_bytes());
    body.push(message.weight as u8);
    for text in [&message.uid, &message.host] {
        body.push(u8::try_from(text.len()).expect("encoded_len holds names to 255 bytes"));
    }
    for text in [&message.uid, &message.host, &message.line] {
        body.extend_from_slice(text.as_bytes());
    }
    let length = u32::try_from(body.len()).expect("encoded_len holds bodies to BODY_MAX").to_le_bytes();
    let sum = crc32c::crc32c_append(crc32c::crc32c(&length), &body);
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&length);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&body);
}

/// Reads what stands at the begin of `bytes`, which must not be empty. Takes any bytes.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    let known = bytes.len().min(MARK.len());
    if bytes.get(..known) != MARK.get(..known) {
        // To the next byte that could begin a mark.
        let next = bytes.get(1..).and_then(|rest| memchr::memchr(0xff, rest));
        return Parsed::Damaged(next.map_or(bytes.len(), |at| at + 1));
    }
    let Some(length) = word(bytes, 4) else { return Parsed::Partial };
    let length = length as usize;
    if !(BODY_HEAD..=BODY_MAX).contains(&length) {
        return Parsed::Damaged(1);
    }
    let Some(sum) = word(bytes, 8) else { return Parsed::Partial };
    let Some(body) = bytes.get(HEAD..HEAD + length) else { return Parsed::Partial };
    if crc32c::crc32c_append(crc32c::crc32c(bytes.get(4..8).unwrap_or_default()), body) != sum {
        return Parsed::Damaged(1);
    }
    body_of(body).map_or(Parsed::Damaged(1), |record| Parsed::Record(record, HEAD + length))
}

fn body_of(body: &[u8]) -> Option<Record> {
    let (sequence, rest) = body.split_first_chunk::<8>()?;
    let (ordinal, rest) = rest.split_first_chunk::<4>()?;
    let (&[weight, uid_len, host_len], rest) = rest.split_first_chunk::<3>()?;
    let (uid, rest) = rest.split_at_checked(usize::from(uid_len))?;
    let (host, line) = rest.split_at_checked(usize::from(host_len))?;
    let weight = *[Weight::Stats, Weight::Summary, Weight::Finding].get(usize::from(weight))?;
    let text = |bytes| std::str::from_utf8(bytes).ok().map(Arc::from);
    Some(Record {
        sequence: u64::from_le_bytes(*sequence),
        ordinal: u32::from_le_bytes(*ordinal),
        message: Message { uid: text(uid)?, host: text(host)?, weight, line: text(line)? },
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Takes records out of the bytes of a segment, and counts what it has to pass over.
///
/// Damage is passed over to the next readable record.
#[derive(Debug, Default)]
pub struct RecordStream {
    bytes: Vec<u8>,
    /// Where the next record begins in `bytes`.
    at: usize,
    next_ordinal: u32,
    in_damage: bool,
    lost: u64,
}

impl RecordStream {
    /// Adds what follows.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at.min(self.bytes.len()));
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next record, if it is whole. `ended` says that nothing will follow: then the begin of a record is damage, too.
    pub fn next(&mut self, ended: bool) -> Option<Record> {
        loop {
            let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty());
            let Some(rest) = rest else {
                // Records behind the last readable one are at least one.
                self.lost += u64::from(ended && std::mem::take(&mut self.in_damage));
                return None;
            };
            match parse(rest) {
                Parsed::Record(record, length) => {
                    self.at += length;
                    let gap = record.ordinal.saturating_sub(self.next_ordinal);
                    self.lost += u64::from(gap);
                    self.in_damage = false;
                    self.next_ordinal = record.ordinal.saturating_add(1);
                    return Some(record);
                }
                Parsed::Partial if !ended => return None,
                Parsed::Partial => {
                    self.at += 1;
                    self.in_damage = true;
                }
                Parsed::Damaged(length) => {
                    self.at += length;
                    self.in_damage = true;
                }
            }
        }
    }

    /// Records that could not be read, since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> Message {
        Message {
            uid: "01JGFJ3R0A7Q6T2V9K8M4N5P6Q".into(),
            host: "10.0.0.1".into(),
            weight: Weight::Finding,
            line: text.into(),
        }
    }

    fn segment(count: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 0..count {
            encode(u64::from(number) * 3, number, &message(&format!("{{\"n\":{number}}}")), &mut bytes);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<u32>, u64) {
        let mut stream = RecordStream::default();
        stream.feed(bytes);
        let found = std::iter::from_fn(|| stream.next(true)).map(|record| record.ordinal).collect();
        (found, stream.take_lost())
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        encode(7, 3, &message("{}"), &mut bytes);
        assert_eq!(Some(bytes.len()), encoded_len(&message("{}")));
        let Parsed::Record(record, length) = parse(&bytes) else { panic!("no record") };
        assert_eq!((record.sequence, record.ordinal, length), (7, 3, bytes.len()));
        assert_eq!(record.message, message("{}"));
    }

    #[test]
    fn every_prefix_is_a_beginning() {
        let bytes = segment(1);
        for end in 1..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Parsed::Partial, "{end}");
        }
    }

    #[test]
    fn what_no_segment_can_hold_has_no_length() {
        assert_eq!(encoded_len(&message(&"x".repeat(BODY_MAX))), None);
        assert_eq!(encoded_len(&Message { host: "h".repeat(256).into(), ..message("") }), None);
    }

    proptest! {
        #[test]
        fn a_flipped_byte_costs_its_own_record_alone(at in 0_usize..1000, change in 1_u8..) {
            let mut bytes = segment(12);
            let size = bytes.len() / 12;
            let at = at % bytes.len();
            bytes[at] ^= change;
            let (found, lost) = read(&bytes);
            // Records of equal length up to the tenth; so the hit one is known only roughly at the end.
            prop_assert_eq!(found.len(), 11, "byte {} of {}, records of {}", at, bytes.len(), size);
            prop_assert_eq!(lost, 1);
        }

        #[test]
        fn a_cut_costs_what_lies_behind_it(end in 0_usize..1000) {
            let bytes = segment(8);
            let end = end % bytes.len();
            let (found, lost) = read(&bytes[..end]);
            prop_assert!(found.iter().copied().eq(0..u32::try_from(found.len()).unwrap()));
            let whole: usize = segment(u32::try_from(found.len()).unwrap()).len();
            prop_assert!(whole <= end);
            prop_assert_eq!(lost, u64::from(whole != end));
        }

        #[test]
        fn any_bytes_in_any_pieces_give_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut in 0_usize..600) {
            let mut all = segment(2);
            all.extend(&bytes);
            all.extend(segment(4));
            let cut = cut % all.len();
            let mut stream = RecordStream::default();
            let mut found = Vec::new();
            stream.feed(&all[..cut]);
            while let Some(record) = stream.next(false) { found.push(record.ordinal); }
            stream.feed(&all[cut..]);
            while let Some(record) = stream.next(true) { found.push(record.ordinal); }
            prop_assert_eq!((found, stream.take_lost()), read(&all));
        }
    }
}
