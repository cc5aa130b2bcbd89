//! How a message lies in a segment file.
//!
//! All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | mark: `FF 4B 53 02` |
//! | 4 | length of the body |
//! | 4 | CRC-32C (RFC 3720 appendix B.4) of the length and the body |
//! | 8 | body: sequence number of the message, over all weights |
//! | 8 | its number among those of its weight, from 1: a gap tells how many are missing |
//! | 8 | when it came, in milliseconds since 1970 |
//! | 1 | weight |
//! | 1, 1 | lengths of uid and host |
//! | .. | uid, host, line |

use super::super::{Message, Weight};
use super::Ranges;
use std::sync::Arc;

/// Longest body that is written or believed. A line has at most 64 KiB.
pub(super) const BODY_MAX: usize = 256 << 10;

// FF stands in no UTF-8 text, so nothing that comes off the wire can pass for the begin of a record.
const MARK: [u8; 4] = [0xff, b'K', b'S', 2];
const HEAD: usize = 12;
const BODY_HEAD: usize = 27;

/// Where and when a message came among the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Among all messages of the spool.
    pub sequence: u64,
    /// Among those of its weight, from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// One record, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place of the message among the others.
    pub place: Place,
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
pub(super) fn encode(place: Place, message: &Message, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(BODY_HEAD + message.line.len() + 64);
    for word in [place.sequence, place.number, place.at_ms] {
        body.extend_from_slice(&word.to_le_bytes());
    }
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
    match framed(bytes) {
        Framed::Body(body, length) => body_of(body).map_or(Parsed::Damaged(1), |record| Parsed::Record(record, length)),
        Framed::Partial => Parsed::Partial,
        Framed::Damaged(length) => Parsed::Damaged(length),
    }
}

/// The numbers of the records that can be read in the bytes of a segment, and whether those bytes hold nothing else.
pub(super) fn numbers_in(mut bytes: &[u8]) -> (Ranges, bool) {
    let (mut numbers, mut is_clean) = (Ranges::default(), true);
    while !bytes.is_empty() {
        let (place, length) = match framed(bytes) {
            Framed::Body(body, length) => (place_of(body), length),
            Framed::Partial => (None, 1),
            Framed::Damaged(length) => (None, length),
        };
        is_clean &= place.is_some();
        if let Some(Place { number, .. }) = place {
            numbers.add(number..number.saturating_add(1));
        }
        bytes = bytes.get(length..).unwrap_or_default();
    }
    (numbers, is_clean)
}

/// The same without looking into the body.
enum Framed<'a> {
    Body(&'a [u8], usize),
    Partial,
    Damaged(usize),
}

fn framed(bytes: &[u8]) -> Framed<'_> {
    let known = bytes.len().min(MARK.len());
    if bytes.get(..known) != MARK.get(..known) {
        // To the next byte that could begin a mark.
        let next = bytes.get(1..).and_then(|rest| memchr::memchr(0xff, rest));
        return Framed::Damaged(next.map_or(bytes.len(), |at| at + 1));
    }
    let Some(length) = word(bytes, 4) else { return Framed::Partial };
    let length = length as usize;
    if !(BODY_HEAD..=BODY_MAX).contains(&length) {
        return Framed::Damaged(1);
    }
    let Some(sum) = word(bytes, 8) else { return Framed::Partial };
    let Some(body) = bytes.get(HEAD..HEAD + length) else { return Framed::Partial };
    if crc32c::crc32c_append(crc32c::crc32c(bytes.get(4..8).unwrap_or_default()), body) != sum {
        return Framed::Damaged(1);
    }
    Framed::Body(body, HEAD + length)
}

fn place_of(body: &[u8]) -> Option<Place> {
    let mut words = body.chunks_exact(8).map_while(|word| Some(u64::from_le_bytes(word.try_into().ok()?)));
    Some(Place { sequence: words.next()?, number: words.next()?, at_ms: words.next()? })
}

fn body_of(body: &[u8]) -> Option<Record> {
    let place = place_of(body)?;
    let (&[weight, uid_len, host_len], rest) = body.get(24..)?.split_first_chunk::<3>()?;
    let (uid, rest) = rest.split_at_checked(usize::from(uid_len))?;
    let (host, line) = rest.split_at_checked(usize::from(host_len))?;
    let weight = *[Weight::Stats, Weight::Summary, Weight::Finding].get(usize::from(weight))?;
    let text = |bytes| std::str::from_utf8(bytes).ok().map(Arc::from);
    Some(Record { place, message: Message { uid: text(uid)?, host: text(host)?, weight, line: text(line)? } })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Takes records out of the bytes of a segment. Damage is passed over to the next readable record: the numbers tell what is missing.
#[derive(Debug, Default)]
pub struct RecordStream {
    bytes: Vec<u8>,
    /// Where the next record begins in `bytes`.
    at: usize,
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
            let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
            match parse(rest) {
                Parsed::Record(record, length) => {
                    self.at += length;
                    return Some(record);
                }
                Parsed::Partial if !ended => return None,
                Parsed::Partial => self.at += 1,
                Parsed::Damaged(length) => self.at += length,
            }
        }
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
            let number = u64::from(number);
            let place = Place { sequence: number * 3, number, at_ms: 1_700_000_000_000 };
            encode(place, &message(&format!("{{\"n\":{number}}}")), &mut bytes);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<u64> {
        let mut stream = RecordStream::default();
        stream.feed(bytes);
        let found: Vec<u64> = std::iter::from_fn(|| stream.next(true)).map(|record| record.place.number).collect();
        let numbers: Vec<u64> = numbers_in(bytes).0.iter().cloned().flatten().collect();
        let mut sorted = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(numbers, sorted);
        found
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        let place = Place { sequence: 7, number: 3, at_ms: 9 };
        encode(place, &message("{}"), &mut bytes);
        assert_eq!(Some(bytes.len()), encoded_len(&message("{}")));
        let Parsed::Record(record, length) = parse(&bytes) else { panic!("no record") };
        assert_eq!((record.place, length), (place, bytes.len()));
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
            let at = at % bytes.len();
            bytes[at] ^= change;
            prop_assert_eq!(read(&bytes).len(), 11);
            prop_assert!(!numbers_in(&bytes).1);
        }

        #[test]
        fn a_cut_costs_what_lies_behind_it(end in 0_usize..1000) {
            let bytes = segment(8);
            let end = end % bytes.len();
            let found = read(&bytes[..end]);
            prop_assert!(found.iter().copied().eq(0..found.len() as u64));
            let whole: usize = segment(u32::try_from(found.len()).unwrap()).len();
            prop_assert!(whole <= end);
            prop_assert_eq!(numbers_in(&bytes[..end]).1, whole == end);
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
            while let Some(record) = stream.next(false) { found.push(record.place.number); }
            stream.feed(&all[cut..]);
            while let Some(record) = stream.next(true) { found.push(record.place.number); }
            prop_assert_eq!(found, read(&all));
        }
    }
}
