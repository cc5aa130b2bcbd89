//! A first look at a line of plain text, whose lines have nothing to do with each other.

use crate::skim::{Look, What};
use memchr::memmem::Finder;

/// Longest beginning of a time that tells its minute.
const MINUTE_MAX: usize = 24;

/// Looks at lines one after the other. The time of one in each minute is read, since to read a time takes longer than to look at a line.
#[derive(Clone, Debug)]
pub struct PlainLook {
    minute: [u8; MINUTE_MAX],
    /// Lines between two whose times are read, where their places in lines differ.
    every: Option<u32>,
    count: u32,
    /// What stands in each line that is looked at.
    mark: Option<Finder<'static>>,
    /// Whether such a line has to be read, whatever it holds.
    reads: bool,
}

impl PlainLook {
    /// For lines that are looked at where `mark` stands in them, or all.
    pub fn new(mark: Option<&'static str>) -> Self {
        let mark = mark.map(|mark| Finder::new(mark.as_bytes()));
        Self { minute: [0; MINUTE_MAX], every: None, count: 0, mark, reads: false }
    }

    /// For lines that have to be read where `mark` stands in them.
    pub fn reading(mark: &'static str) -> Self {
        Self { reads: true, ..Self::new(Some(mark)) }
    }

    /// For lines of which the time of one in so many is read.
    pub fn every(lines: u32) -> Self {
        Self { every: Some(lines), ..Self::new(None) }
    }

    pub fn look(&mut self, line: &[u8]) -> Look {
        if self.mark.as_ref().is_some_and(|mark| mark.find(line).is_none()) {
            return Look::OTHER;
        }
        if self.reads {
            return Look::READ;
        }
        if let Some(every) = self.every {
            let what = if self.count.is_multiple_of(every) { What::PassedTick } else { What::PassedEnd };
            self.count += 1;
            return Look { what, text: 0, ..Look::OTHER };
        }
        let mut minute = [0; MINUTE_MAX];
        let text = minute_of(line);
        if let Some(place) = minute.get_mut(..text.len()) {
            place.copy_from_slice(text);
        }
        let is_news = minute != self.minute;
        self.minute = minute;
        Look { what: if is_news { What::PassedTick } else { What::PassedEnd }, text: 0, ..Look::OTHER }
    }

    /// Forgets the line before.
    pub fn begin(&mut self) {
        self.minute = [0; MINUTE_MAX];
        self.count = 0;
    }
}

/// The beginning of a line's time, as far as it changes once a minute or so.
fn minute_of(line: &[u8]) -> &[u8] {
    let (before, text) = match line {
        [b'[', rest @ ..] => (1, rest),
        _ => (0, line),
    };
    let length = match text {
        // `Nov 24 03:39:09`
        [first, ..] if first.is_ascii_alphabetic() => "Nov 24 03:39".len(),
        // `2026-11-24T03:39:09`
        [_, _, _, _, b'-', ..] => "2026-11-24T03:39".len(),
        // `24-Nov-2026 03:39:09`
        [_, _, b'-', ..] => "24-Nov-2026 03:39".len(),
        // `1795491549.282`
        [_, _, _, _, _, _, _, _, _, _, b'.' | b']', ..] => "17954915".len(),
        // `10.0.0.5 - - [24/Nov/2026:03:39:09 +0000]`
        _ => {
            let at = memchr::memchr(b'[', line).unwrap_or_default();
            return line.get(at..at + "[24/Nov/2026:03:39".len()).unwrap_or_default();
        }
    };
    line.get(before..before + length).unwrap_or_default()
}
