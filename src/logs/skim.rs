//! A first look at a block of lines, which most lines do not survive: nothing in them can matter, and they need not be read.
//!
//! A line has to be read when it holds a text that may match ([`Sieve`]), when an address or a port of it is of interest, or when it is not
//! written just as its program writes lines. It has to be read, too, when one of its **keys** is watched: its connection gave evidence before, or
//! somebody got one of its addresses from DNS for a name of interest. What is watched is known only in the order of the lines, so a look gives the
//! keys, and [`LogReader`](crate::LogReader) asks for them.

pub(crate) mod line;

use crate::format::LineParser;
use crate::sieve::{Escapes, Sieve};
use kaspector::capture::Timestamp;
use kaspector::matching::SignatureSet;
use std::sync::Arc;

/// Bytes of texts that are searched at once; they stay in the nearest cache.
const TEXTS: usize = 16 << 10;
/// Times closer together than this make one span.
const SPAN_NS: u64 = 60_000_000_000;

/// What a look at one block of lines showed.
#[derive(Clone, Debug, Default)]
pub struct Skim {
    pub(crate) lines: Vec<Seen>,
    pub(crate) keys: Vec<Key>,
    /// First and last times of lines that tell of anything that is looked at.
    times: Vec<(Timestamp, Timestamp)>,
}

/// What a look at a line showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Where it ends in its block, behind its newline.
    pub end: u32,
    /// Where its keys end.
    pub keys_end: u32,
    /// About when it was written, where logs are read beside each other.
    pub written: Timestamp,
    pub what: What,
}

/// What there is to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It has to be read.
    Read,
    /// Nothing in it can matter unless one of its keys is watched.
    Passed,
    /// The same, and it tells that a connection is over, or a request that is all that is told of its connection.
    PassedEnd,
    /// The same as [`What::PassedEnd`], and its time is to be read.
    PassedTick,
    /// It is not looked at.
    Other,
    /// There is nothing in it.
    Empty,
}

/// Stands for a connection, an address or a certificate where only equality matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub u32);

impl Skim {
    fn clear(&mut self) {
        self.lines.clear();
        self.keys.clear();
        self.times.clear();
    }

    /// Number of lines.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// First and last times of lines close to each other that tell of anything that is looked at, as far as a look shows them.
    pub fn times(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.times.iter().copied()
    }

    /// About when a line was written.
    #[must_use]
    pub fn written(&self, line: usize) -> Option<Timestamp> {
        self.lines.get(line).map(|seen| seen.written)
    }

    fn add_time(&mut self, at: Timestamp) {
        if let Some((first, last)) = self.times.last_mut()
            && at.0.saturating_add(SPAN_NS) > last.0
            && at.0 < first.0.saturating_add(SPAN_NS)
        {
            (*first, *last) = ((*first).min(at), (*last).max(at));
        } else {
            self.times.push((at, at));
        }
    }
}

/// Looks at lines of one input.
#[derive(Clone, Debug)]
pub struct Skimmer {
    sieve: Arc<Sieve>,
    parser: LineParser,
    /// Reused from block to block.
    texts: Texts,
}

/// What of some lines may match, in lower case, one behind the other.
#[derive(Clone, Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    /// Where the text of which line begins, and where it stands in the block.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    from: usize,
    line: usize,
    in_block: usize,
}

/// What a format says of a line in which no text may match.
pub(crate) struct Look {
    pub what: What,
    /// The time that it tells.
    pub at: Option<Timestamp>,
    pub written: Timestamp,
    /// Where in the line what may match by a text begins.
    pub text: usize,
}

impl Look {
    pub const READ: Self = Self { what: What::Read, ..Self::OTHER };
    pub const OTHER: Self = Self { what: What::Other, at: None, written: Timestamp(0), text: usize::MAX };
}

/// What a look at a line needs, and where it puts the keys.
pub(crate) struct Looking<'a> {
    pub sieve: &'a Sieve,
    pub keys: &'a mut Vec<Key>,
}

impl Skimmer {
    /// For lines of this parser, against these signatures.
    #[must_use]
    pub fn new(parser: &LineParser, signatures: &Arc<SignatureSet>) -> Self {
        Self::with(parser, Arc::new(Sieve::new(signatures)))
    }

    pub(crate) fn with(parser: &LineParser, sieve: Arc<Sieve>) -> Self {
        Self { sieve, parser: parser.clone(), texts: Texts::default() }
    }

    /// The same for another input.
    #[must_use]
    pub fn of_input(&self, parser: &LineParser) -> Self {
        Self::with(parser, Arc::clone(&self.sieve))
    }

    /// Takes note of what a parser knows of the lines to come.
    pub(crate) fn follow(&mut self, parser: &LineParser) {
        // Of a line of EVE nothing is known before it.
        if !(parser.is_eve() && self.parser.is_eve()) {
            self.parser.clone_from(parser);
        }
    }

    /// Takes note of what the lines of a block say about those behind it, without looking at them.
    pub fn advance(&mut self, block: &[u8]) {
        self.parser.take_headers(block);
    }

    /// Looks at a block of whole lines; the last may lack its newline.
    pub fn skim(&mut self, block: &[u8], skim: &mut Skim) {
        skim.clear();
        let Self { sieve, parser, texts } = self;
        let escapes = parser.escapes();
        parser.begin_block();
        let mut from = 0;
        while from < block.len() {
            let rest = block.get(from..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map_or(block.len(), |at| from + at + 1);
            let line = block.get(from..end).unwrap_or_default().trim_ascii_end();
            let mut look = if line.is_empty() {
                Look { what: What::Empty, ..Look::OTHER }
            } else if line.len() > crate::LINE_MAX {
                Look::READ
            } else {
                parser.look(line, &mut Looking { sieve, keys: &mut skim.keys })
            };
            if !matches!(look.what, What::Read | What::Empty | What::Other) && sieve.takes_all {
                look.what = What::Read;
            }
            if let Some(at) = look.at {
                skim.add_time(at);
            }
            if look.what != What::Read
                && let Some(text) = line.get(look.text..).filter(|text| !text.is_empty())
            {
                texts.add(text, skim.lines.len(), from + look.text);
            }
            let [end_of_line, keys_end] = [end, skim.keys.len()].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
            skim.lines.push(Seen { end: end_of_line, keys_end, written: look.written, what: look.what });
            if texts.bytes.len() >= TEXTS {
                texts.search(sieve, escapes, block, &mut skim.lines);
            }
            from = end;
        }
        texts.search(sieve, escapes, block, &mut skim.lines);
        // Where times are read now and then, the last one is.
        let ticks = skim.lines.iter().any(|seen| seen.what == What::PassedTick);
        if let Some(last) = skim.lines.iter_mut().rev().find(|seen| seen.what == What::PassedEnd).filter(|_| ticks) {
            last.what = What::PassedTick;
        }
    }
}

impl Texts {
    fn add(&mut self, text: &[u8], line: usize, in_block: usize) {
        self.places.push(Place { from: self.bytes.len(), line, in_block });
        self.bytes.extend(text.iter().map(u8::to_ascii_lowercase));
        self.bytes.push(b'\n');
    }

    /// Has the lines read in which something may match, and begins anew.
    fn search(&mut self, sieve: &Sieve, escapes: Escapes, block: &[u8], lines: &mut [Seen]) {
        let Self { bytes, places } = self;
        let place_of = |at: usize| places.get(places.partition_point(|place| place.from <= at).checked_sub(1)?);
        let original = |at: usize| {
            let place = place_of(at).map(|place| place.in_block + at - place.from);
            place.and_then(|at| block.get(at..)).unwrap_or_default()
        };
        sieve.find(bytes, escapes, original, |at| {
            if let Some(seen) = place_of(at).and_then(|place| lines.get_mut(place.line)) {
                seen.what = What::Read;
            }
        });
        bytes.clear();
        places.clear();
    }
}
