//! Elements of ASN.1 in the Distinguished Encoding Rules (X.690): tag, length, content.
//!
//! Nothing is copied, and nothing nests by itself: who wants what is inside an element reads its content. Lengths are definite, as these
//! rules have it; longer forms of a length or of a tag than needed are read all the same.

use super::Reader;

/// Universal tag numbers (X.680 section 8.4).
pub const BOOLEAN: u32 = 1;
pub const INTEGER: u32 = 2;
pub const OCTET_STRING: u32 = 4;
pub const SEQUENCE: u32 = 16;
pub const SET: u32 = 17;
/// The class of tags whose meaning the place gives (X.690 section 8.1.2.2).
pub const CONTEXT_SPECIFIC: u8 = 2;

/// Bits of the first byte of a tag.
const NUMBER: u8 = 0x1f;
const CONSTRUCTED: u8 = 0x20;
/// More bytes of a number follow; a length has a length of its own.
const MORE: u8 = 0x80;
/// Bytes of a number that does not fit into the first byte.
const NUMBER_BYTES_MAX: usize = 5;

/// One element.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// 0 to 3.
    pub class: u8,
    /// Whether it is made of elements.
    pub is_constructed: bool,
    /// Tag number.
    pub number: u32,
    /// Its content.
    pub content: &'a [u8],
}

/// Tag and length.
#[derive(Clone, Copy, Debug)]
struct Header {
    class: u8,
    is_constructed: bool,
    number: u32,
    length: usize,
}

/// Elements one after the other. What cannot be read is not passed over.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: Reader<'a>,
}

impl<'a> Elements<'a> {
    /// Starts at the first of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: Reader::new(bytes) }
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Class and tag number of the next element, of which more need not be there.
    pub fn peek(&self) -> Option<(u8, u32)> {
        let mut ahead = self.rest;
        header(&mut ahead).map(|header| (header.class, header.number))
    }

    /// The content of the next element, which must have this tag number.
    ///
    /// Where one type alone may stand its number says it; the class is not looked at.
    pub fn of(&mut self, number: u32) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let element = ahead.next().filter(|element| element.number == number)?;
        *self = ahead;
        Some(element.content)
    }

    /// Reads the header of the next element alone, if it has this tag number: what follows are the elements inside, and those behind it.
    pub fn enter(&mut self, number: u32) -> Option<()> {
        let mut ahead = self.rest;
        header(&mut ahead).filter(|header| header.number == number)?;
        self.rest = ahead;
        Some(())
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let mut ahead = self.rest;
        let Header { class, is_constructed, number, length } = header(&mut ahead)?;
        let content = ahead.take(length)?;
        self.rest = ahead;
        Some(Element { class, is_constructed, number, content })
    }
}

fn header(reader: &mut Reader<'_>) -> Option<Header> {
    let tag = reader.u8()?;
    let number = if tag & NUMBER == NUMBER { long_number(reader)? } else { u32::from(tag & NUMBER) };
    let length = match reader.u8()? {
        short if short & MORE == 0 => usize::from(short),
        // Not known before its end, and a form that is set aside (X.690 sections 8.1.3.6 and 8.1.3.5).
        MORE | u8::MAX => return None,
        long => reader
            .take(usize::from(long & !MORE))?
            .iter()
            .try_fold(0_usize, |length, &byte| Some(length.checked_mul(256)? | usize::from(byte)))?,
    };
    Some(Header { class: tag >> 6, is_constructed: tag & CONSTRUCTED != 0, number, length })
}

/// A number in as many bytes as it needs, seven bits in each (X.690 section 8.1.2.4).
fn long_number(reader: &mut Reader<'_>) -> Option<u32> {
    let mut number = 0_u32;
    for _ in 0..NUMBER_BYTES_MAX {
        let byte = reader.u8()?;
        number = number << 7 | u32::from(byte & !MORE);
        if byte & MORE == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Option<(u8, bool, u32, usize)> {
        Elements::new(bytes).next().map(|one| (one.class, one.is_constructed, one.number, one.content.len()))
    }

    #[test]
    fn tags_and_lengths_are_read_in_their_short_and_long_forms() {
        assert_eq!(read(&[0x30, 0]), Some((0, true, SEQUENCE, 0)));
        assert_eq!(read(&[0x02, 2, 1, 2, 3]), Some((0, false, INTEGER, 2)));
        assert_eq!(read(&[0xa3, 0x81, 1, 7]), Some((2, true, 3, 1)));
        assert_eq!(read(&[0xdf, 0x81, 0x02, 0x82, 0, 1, 7]), Some((3, false, 130, 1)));
        // A length with zeros in front of it.
        assert_eq!(read(&[&[4, 0x80 + 20][..], &[0; 19], &[1, 7]].concat()), Some((0, false, OCTET_STRING, 1)));
        // Indefinite, set aside, longer than what is there, beyond any memory; a number without end.
        assert_eq!(read(&[0x30, 0x80, 0, 0]), None);
        assert_eq!(read(&[&[0x30, 0xff][..], &[0; 127]].concat()), None);
        assert_eq!(read(&[0x30, 3, 1, 2]), None);
        assert_eq!(read(&[&[0x30, 0x89][..], &[1; 9], &[0; 90]].concat()), None);
        assert_eq!(read(&[0x1f, 0x81, 0x81, 0x81, 0x81, 0x81, 1, 0]), None);
    }

    #[test]
    fn what_is_not_read_is_not_passed_over() {
        let mut elements = Elements::new(&[2, 1, 7, 0x30, 9, 1]);
        assert_eq!(elements.of(SEQUENCE), None);
        assert_eq!(elements.enter(SEQUENCE), None);
        assert_eq!(elements.of(INTEGER), Some(&[7][..]));
        assert_eq!(elements.peek(), Some((0, SEQUENCE)));
        assert!((0..3).all(|_| elements.next().is_none() && !elements.is_empty()));
        assert_eq!(elements.enter(SEQUENCE), Some(()));
        assert!(!elements.is_empty() && elements.next().is_none());
    }

    proptest! {
        #[test]
        fn contents_lie_within_the_bytes_and_do_not_overlap(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let inside: usize = Elements::new(&bytes).map(|one| one.content.len() + 2).sum();
            prop_assert!(inside <= bytes.len());
        }
    }
}
