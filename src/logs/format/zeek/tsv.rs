//! Logs separated by tabs. Lines that begin with `#` say which columns follow; after a rotation, or when Zeek is configured anew, others may.

use super::cell::Cell;
use super::kind::{self, Kind};
use super::look::{self, RawColumns};
use super::{Column, Columns, Context};
use crate::format::Emit;
use crate::reader::Malformed;
use crate::skim::{Look, Looking};
use std::borrow::Cow;

/// Columns of a log that are told apart.
const COLUMNS_MAX: usize = 255;
/// Marks a column that the log does not have.
const ABSENT: u8 = u8::MAX;

/// Reads lines of one log.
#[derive(Clone, Debug, Default)]
pub struct TsvParser {
    header: Header,
    /// Where each column of the line at hand begins and ends; reused.
    ends: Vec<(usize, usize)>,
}

/// What the lines that begin with `#` say.
#[derive(Clone, Debug)]
struct Header {
    separator: u8,
    set_separator: char,
    unset: String,
    empty: String,
    kind: Option<Kind>,
    /// Where each column stands.
    places: [u8; Column::COUNT],
    has_fields: bool,
    /// The last column that a look asks for.
    asked: usize,
    /// Columns at the beginning that hold no text which may match.
    plain: usize,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            separator: b'\t',
            set_separator: ',',
            unset: "-".to_owned(),
            empty: "(empty)".to_owned(),
            kind: None,
            places: [ABSENT; Column::COUNT],
            has_fields: false,
            asked: 0,
            plain: 0,
        }
    }
}

impl Header {
    fn read(&mut self, line: &str) {
        let separator = char::from(self.separator);
        if let Some(value) = line.strip_prefix("#separator ") {
            // As `\x09`.
            let code = value.strip_prefix("\\x").and_then(|code| u8::from_str_radix(code, 16).ok());
            *self = Self { separator: code.or_else(|| value.bytes().next()).unwrap_or(b'\t'), ..Self::default() };
            return;
        }
        let Some((key, value)) = line.split_once(separator) else { return };
        match key {
            "#set_separator" => self.set_separator = value.chars().next().unwrap_or(','),
            "#empty_field" => self.empty = value.to_owned(),
            "#unset_field" => self.unset = value.to_owned(),
            "#path" => self.kind = Kind::named(value),
            "#fields" => {
                self.places = [ABSENT; Column::COUNT];
                self.has_fields = true;
                for (at, name) in (0..ABSENT).zip(value.split(separator)) {
                    if let Some(place) = Column::named(name).and_then(|column| self.places.get_mut(column as usize)) {
                        *place = at;
                    }
                }
            }
            _ => {}
        }
        let asked = self.kind.map(look::asked).unwrap_or_default();
        let places = asked.iter().filter_map(|&column| self.places.get(column as usize));
        let plain = [Column::Ts, Column::Uid, Column::OrigH, Column::OrigP, Column::RespH, Column::RespP];
        let is_plain = |at: &u8| plain.iter().any(|&column| self.places.get(column as usize) == Some(at));
        self.plain = (0..ABSENT).take_while(is_plain).count();
        self.asked = places.filter(|&&place| place != ABSENT).max().map_or(0, |&place| usize::from(place));
    }
}

/// A line by the columns of its header.
struct Line<'a, 'h> {
    line: &'a str,
    ends: &'h [(usize, usize)],
    header: &'h Header,
}

impl<'a> Columns<'a> for Line<'a, '_> {
    fn cell(&self, column: Column) -> Option<Cell<'a>> {
        let &place = self.header.places.get(column as usize)?;
        let &(from, to) = self.ends.get(usize::from(place))?;
        let text = self.line.get(from..to)?;
        (text != self.header.unset && text != self.header.empty).then(|| Cell::Text(unescaped(text)))
    }
}

/// The first columns of a line as they are written.
struct RawLine<'a, 'h> {
    line: &'a [u8],
    ends: &'h [(usize, usize)],
    header: &'h Header,
}

impl RawColumns for RawLine<'_, '_> {
    fn raw(&self, column: Column) -> Option<&[u8]> {
        let &place = self.header.places.get(column as usize)?;
        let &(from, to) = self.ends.get(usize::from(place))?;
        let text = self.line.get(from..to)?;
        (text != self.header.unset.as_bytes() && text != self.header.empty.as_bytes()).then_some(text)
    }

    fn text_from(&self) -> usize {
        self.ends.get(self.header.plain).map_or(0, |&(from, _)| from)
    }

    fn each(&self, column: Column, take: &mut dyn FnMut(&[u8])) {
        let mut buffer = [0; 4];
        let separator = self.header.set_separator.encode_utf8(&mut buffer).as_bytes();
        let find = |text: &[u8], separator: &[u8]| match separator {
            &[one] => memchr::memchr(one, text),
            all => memchr::memmem::find(text, all),
        };
        let Some(mut rest) = self.raw(column) else { return };
        while let Some(at) = find(rest, separator) {
            take(rest.get(..at).unwrap_or_default());
            rest = rest.get(at + separator.len()..).unwrap_or_default();
        }
        take(rest);
    }
}

/// Where the columns of a line begin and end, up to this one at least.
fn split(line: &[u8], separator: u8, last: usize, ends: &mut Vec<(usize, usize)>) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    ends.clear();
    let mut from = 0;
    let (words, rest) = line.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        // The top bit of each byte that is the separator, and perhaps of such a byte's neighbour, which is no separator.
        let other = u64::from_le_bytes(*word) ^ ONES.wrapping_mul(u64::from(separator));
        let mut found = other.wrapping_sub(ONES) & !other & TOPS;
        while found != 0 {
            let at = number * 8 + (found.trailing_zeros() / 8) as usize;
            if line.get(at) == Some(&separator) {
                ends.push((from, at));
                from = at + 1;
            }
            found &= found - 1;
        }
        if ends.len() > last {
            return;
        }
    }
    for (at, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == separator) {
        let at = words.len() * 8 + at;
        ends.push((from, at));
        from = at + 1;
    }
    ends.push((from, line.len()));
}

/// A text in which `\x2c` stands for a byte that separates columns or elements, or is none of a text.
fn unescaped(text: &str) -> Cow<'_, str> {
    if memchr::memmem::find(text.as_bytes(), b"\\x").is_none() {
        return text.into();
    }
    let mut parts = text.split("\\x");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match (code, part.get(2..)) {
            (Some(code), Some(rest)) => {
                whole.push(if code.is_ascii() { char::from(code) } else { '?' });
                whole.push_str(rest);
            }
            _ => {
                whole.push_str("\\x");
                whole.push_str(part);
            }
        }
    }
    whole.into()
}

impl TsvParser {
    /// With what other logs of the same Zeek told.
    pub fn parse(&mut self, line: &[u8], context: &mut Context, emit: &mut Emit<'_>) -> Result<(), Malformed> {
        let line = std::str::from_utf8(line).map_err(|_| Malformed::Utf8)?;
        if line.starts_with('#') {
            self.header.read(line);
            return Ok(());
        }
        if !self.header.has_fields {
            return Err(Malformed::Line("no line '#fields' before it says which columns these are"));
        }
        let Some(kind) = self.header.kind else { return Ok(()) };
        self.split(line);
        let line = Line { line, ends: &self.ends, header: &self.header };
        kind::read(kind, &line, self.header.set_separator, context, emit)
    }

    /// Looks at a line.
    pub fn look(&mut self, line: &[u8], looking: &mut Looking<'_>) -> Look {
        if line.starts_with(b"#") {
            self.take_headers(line);
            return Look::READ;
        }
        let Self { header, ends } = self;
        if !header.has_fields {
            return Look::READ;
        }
        let Some(kind) = header.kind else { return Look::OTHER };
        split(line, header.separator, header.asked, ends);
        look::look(kind, &RawLine { line, ends, header }, looking).unwrap_or(Look::READ)
    }

    /// Takes the headers of a block of lines.
    pub fn take_headers(&mut self, block: &[u8]) {
        let mut from = 0;
        while let Some(rest) = block.get(from..) {
            if rest.starts_with(b"#") {
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                if let Some(Ok(line)) = rest.get(..end).map(std::str::from_utf8) {
                    self.header.read(line.trim_ascii_end());
                }
            }
            let Some(at) = memchr::memmem::find(rest, b"\n#") else { break };
            from += at + 1;
        }
    }

    fn split(&mut self, line: &str) {
        self.ends.clear();
        let mut from = 0;
        for to in memchr::memchr_iter(self.header.separator, line.as_bytes()).take(COLUMNS_MAX) {
            self.ends.push((from, to));
            from = to + 1;
        }
        self.ends.push((from, line.len()));
    }
}
