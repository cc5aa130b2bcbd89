//! Which line of which input a record stands in, when several inputs are read as one log: the matcher and the ledger know one number for it, as
//! for a packet of a capture.

use super::LogCounters;
use foldhash::fast::FixedState;
use kaspector::matching::Position;
use std::collections::HashMap;

/// Bits of the number that count lines; those above tell the input, by the order in which inputs came.
const LINE_BITS: u32 = 40;

/// An input, how many of its lines were read, and what became of them.
#[derive(Clone, Debug)]
struct Origin {
    input: u32,
    lines: u64,
    counters: LogCounters,
}

impl Origin {
    fn new(input: u32) -> Self {
        Self { input, lines: 0, counters: LogCounters::default() }
    }
}

/// The inputs of one log. The first one's lines keep their own numbers.
#[derive(Debug)]
pub struct Origins {
    /// Never empty.
    all: Vec<Origin>,
    places: HashMap<u32, usize, FixedState>,
    /// The one that is read.
    at: usize,
}

impl Origins {
    pub fn new(input: u32) -> Self {
        Self { all: vec![Origin::new(input)], places: [(input, 0)].into_iter().collect(), at: 0 }
    }

    /// Goes on with this input.
    pub fn select(&mut self, input: u32) {
        if self.all.get(self.at).is_some_and(|origin| origin.input == input) {
            return;
        }
        self.at = *self.places.entry(input).or_insert_with(|| {
            self.all.push(Origin::new(input));
            self.all.len() - 1
        });
    }

    pub fn count_lines(&mut self, lines: u64) {
        if let Some(origin) = self.all.get_mut(self.at) {
            origin.lines += lines;
        }
    }

    /// What became of the lines of the input at hand.
    pub fn counters(&self) -> &LogCounters {
        static NONE: LogCounters = LogCounters::NONE;
        self.all.get(self.at).map_or(&NONE, |origin| &origin.counters)
    }

    /// Changes that.
    pub fn count(&mut self, change: impl FnOnce(&mut LogCounters, u64)) {
        if let Some(Origin { counters, lines, .. }) = self.all.get_mut(self.at) {
            change(counters, *lines);
        }
    }

    /// The line at hand within its input, from 1.
    pub fn line(&self) -> u64 {
        self.all.get(self.at).map_or(0, |origin| origin.lines)
    }

    /// The same among all inputs.
    pub fn number(&self) -> u64 {
        (self.at as u64) << LINE_BITS | self.line()
    }

    /// What such a number stands for.
    pub fn position(&self, number: u64) -> Position {
        let origin = usize::try_from(number >> LINE_BITS).ok().and_then(|at| self.all.get(at));
        Position { input: origin.map_or(0, |origin| origin.input), packet: number & ((1 << LINE_BITS) - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_each_input_are_told_apart() {
        let mut origins = Origins::new(7);
        let mut read = |input: u32| {
            origins.select(input);
            origins.count_lines(1);
            (origins.number(), origins.position(origins.number()))
        };
        let at = |input, packet| Position { input, packet };
        let read = [read(7), read(3), read(7), read(3), read(9)];
        assert_eq!(read.map(|(_, position)| position), [at(7, 1), at(3, 1), at(7, 2), at(3, 2), at(9, 1)]);
        assert_eq!((read[0].0, read[2].0), (1, 2), "the first input's lines have their own numbers");
    }
}
