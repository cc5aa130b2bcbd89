//! Whom a certificate is for and who issued it (RFC 5280 section 4.1.2.4).

use super::attribute_types::{self, COMMON_NAME};
use crate::inspect::der::{Element, Elements, SEQUENCE, SET};
use memchr::memmem::Finder;
use std::fmt::{self, Write};
use std::str;

/// Tag numbers of strings (X.680 section 8.4) whose bytes are taken as UTF-8: what RFC 5280 names, and what else is met.
const UTF8: [u32; 10] = [7, 12, 18, 19, 20, 21, 22, 25, 26, 27];
/// Of these the strings that a common name may be a host's name in: UTF8String, NumericString, PrintableString, IA5String.
const HOST_NAME: [u32; 4] = [12, 18, 19, 22];
/// BMPString: UTF-16, big endian.
const UTF16: u32 = 30;
/// Stands for a name with a string that cannot be read.
const UNREADABLE: &str = "<X509Error: Invalid X.509 name>";

/// A name as the certificate has it. It is spelled when it is shown:
/// `C=RU, O=AO Kaspersky Lab, CN=a + CN=b`, in the order of the certificate; what is no string as its bytes, `OU=0A1B`; a type without a
/// name of its own as its number, `OID(2.5.4.97)=...`. Nothing is escaped. A name ends where it can no longer be read.
#[derive(Clone, Copy, Debug)]
pub struct DistinguishedName<'a> {
    /// Sets of attributes.
    encoded: &'a [u8],
}

/// One attribute: its type and its value.
#[derive(Clone, Copy, Debug)]
struct Attribute<'a> {
    kind: &'a [u8],
    value: Element<'a>,
    /// Whether its set begins with it.
    is_first: bool,
}

/// All attributes, in their order.
#[derive(Clone, Copy, Debug)]
struct Attributes<'a> {
    sets: Elements<'a>,
    set: Elements<'a>,
}

impl<'a> DistinguishedName<'a> {
    /// Takes the content of a `Name`.
    pub(super) const fn new(encoded: &'a [u8]) -> Self {
        Self { encoded }
    }

    /// Common names that are text of a kind that hosts' names come in.
    pub(super) fn common_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.attributes()
            .filter(|one| one.kind == COMMON_NAME && HOST_NAME.contains(&one.value.number))
            .filter_map(|one| str::from_utf8(one.value.content).ok())
    }

    /// Whether `text`, which lies within one value, may be part of the spelling. Tells it without spelling the name; values in other
    /// alphabets may be anything.
    pub(crate) fn may_contain(&self, text: &Finder<'_>) -> bool {
        self.attributes().any(|one| !UTF8.contains(&one.value.number) || text.find(one.value.content).is_some())
    }

    const fn attributes(&self) -> Attributes<'a> {
        Attributes { sets: Elements::new(self.encoded), set: Elements::new(&[]) }
    }
}

impl fmt::Display for DistinguishedName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.attributes().all(|one| one.is_readable()) {
            return formatter.write_str(UNREADABLE);
        }
        for (at, attribute) in self.attributes().enumerate() {
            match (at, attribute.is_first) {
                (0, _) => {}
                (_, true) => formatter.write_str(", ")?,
                (_, false) => formatter.write_str(" + ")?,
            }
            attribute_types::write(attribute.kind, formatter)?;
            formatter.write_char('=')?;
            attribute.write_value(formatter)?;
        }
        Ok(())
    }
}

impl<'a> Attribute<'a> {
    fn read(set: &mut Elements<'a>, is_first: bool) -> Option<Self> {
        let mut ahead = *set;
        let mut pair = Elements::new(ahead.of(SEQUENCE)?);
        // Whatever tag it has: none but an object identifier may stand here.
        let kind = pair.next().filter(|kind| !kind.is_constructed)?.content;
        let value = pair.next()?;
        *set = ahead;
        Some(Self { kind, value, is_first })
    }

    fn is_readable(&self) -> bool {
        match self.value.number {
            number if UTF8.contains(&number) => str::from_utf8(self.value.content).is_ok(),
            UTF16 => utf16(self.value.content).all(|character| character.is_some()),
            _ => true,
        }
    }

    fn write_value(&self, into: &mut impl Write) -> fmt::Result {
        let content = self.value.content;
        match self.value.number {
            number if UTF8.contains(&number) => into.write_str(str::from_utf8(content).unwrap_or_default()),
            UTF16 => utf16(content).flatten().try_for_each(|character| into.write_char(character)),
            _ => content.iter().try_for_each(|byte| write!(into, "{byte:02X}")),
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        if let Some(attribute) = Attribute::read(&mut self.set, false) {
            return Some(attribute);
        }
        let mut sets = self.sets;
        let mut set = Elements::new(sets.of(SET)?);
        let attribute = Attribute::read(&mut set, true)?;
        (self.sets, self.set) = (sets, set);
        Some(attribute)
    }
}

/// Characters of UTF-16; `None` for half a one. A byte that is left over stands for itself.
fn utf16(bytes: &[u8]) -> impl Iterator<Item = Option<char>> {
    let units = bytes.chunks(2).map(|unit| unit.iter().fold(0, |unit, &byte| unit << 8 | u16::from(byte)));
    char::decode_utf16(units).map(Result::ok)
}
