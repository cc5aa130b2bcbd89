//! Says where in a block of lines something stands that may match, so that most lines need not be read at all.
//!
//! Whatever matches an indicator by a name, a path, a certificate, a fingerprint or a user agent holds one of a few texts
//! ([`Needles`]). All of them are looked for at once, many bytes at a time, and without regard to case. Addresses, ports and what was learned
//! on the way are asked for line by line ([`skim`](crate::skim)).

mod needles;

use crate::http::BODIES;
use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, Input};
use kaspector::matching::SignatureSet;
use needles::Needles;
use std::sync::Arc;

/// Bytes that are folded to lower case at once; they stay in the nearest cache.
const STEP: usize = 16 << 10;

/// How a format writes what a text cannot hold as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// None that could hide a letter.
    None,
    /// `\u006b`, and `\/` for a slash.
    Json,
    /// `\x6b`.
    Hexadecimal,
}

/// What is looked for in lines, compiled once for a signature set.
#[derive(Debug)]
pub(crate) struct Sieve {
    search: Search,
    longest: usize,
    /// Bytes that user agents of interest may begin with.
    agent_marks: Vec<u8>,
    /// Any line may match.
    pub takes_all: bool,
    /// Any request may match by its response alone.
    pub reads_http: bool,
    pub signatures: Arc<SignatureSet>,
}

#[derive(Debug)]
enum Search {
    /// A few texts, several bytes of each at a time.
    Packed(Box<Searcher>),
    /// Many texts.
    Automaton(Box<AhoCorasick>),
    Nothing,
}

impl Sieve {
    pub fn new(signatures: &Arc<SignatureSet>) -> Self {
        let Needles { texts, agent_marks, takes_all } = Needles::of(signatures);
        let longest = texts.iter().map(String::len).max().unwrap_or_default();
        let search = match Searcher::new(&texts) {
            _ if texts.is_empty() => Search::Nothing,
            Some(searcher) => Search::Packed(Box::new(searcher)),
            None => AhoCorasick::new(&texts).map_or(Search::Nothing, |all| Search::Automaton(Box::new(all))),
        };
        // Without a search every line has to be read.
        let takes_all = takes_all || !texts.is_empty() && matches!(search, Search::Nothing);
        let reads_http = BODIES.iter().any(|body| signatures.match_body(body).is_some());
        Self { search, longest, agent_marks, takes_all, reads_http, signatures: Arc::clone(signatures) }
    }

    /// Adds to `places` where something stands that may match, in ascending order. Bytes of a match may lie in front of its place, in the same
    /// line.
    pub fn find(&self, block: &[u8], escapes: Escapes, room: &mut Vec<u8>, places: &mut Vec<usize>) {
        places.clear();
        let mut from = 0;
        while from < block.len() {
            // What begins at the end of a step is found with the next.
            let end = (from + STEP).min(block.len());
            let reach = (end + self.longest.saturating_sub(1)).min(block.len());
            let Some(step) = block.get(from..reach) else { break };
            room.clear();
            room.extend_from_slice(step);
            room.make_ascii_lowercase();
            let mut at = 0;
            while let Some(found) = self.next(room, at)
                && from + found < end
            {
                places.push(from + found);
                // One place in a line is enough.
                at = memchr::memchr(b'\n', room.get(found..).unwrap_or_default()).map_or(room.len(), |to| found + to);
            }
            from = end;
        }
        let before = places.len();
        match escapes {
            Escapes::None => {}
            Escapes::Json => escaped(block, b"u/", places),
            Escapes::Hexadecimal => escaped(block, b"x", places),
        }
        self.agents(block, places);
        if places.len() > before {
            places.sort_unstable();
        }
    }

    fn next(&self, text: &[u8], at: usize) -> Option<usize> {
        match &self.search {
            Search::Packed(searcher) => searcher.find_in(text, (at..text.len()).into()).map(|found| found.start()),
            Search::Automaton(all) => all.find(Input::new(text).range(at..)).map(|found| found.start()),
            Search::Nothing => None,
        }
    }

    /// User agents that begin with a mark, wherever a text may begin.
    fn agents(&self, block: &[u8], places: &mut Vec<usize>) {
        let mut mark = |at: usize| {
            let begins = at.checked_sub(1).and_then(|before| block.get(before));
            if begins.is_none_or(|byte| !byte.is_ascii_alphanumeric()) {
                let rest = block.get(at..).unwrap_or_default();
                let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\t' | b'\n' | b' ' | b'|' | b','));
                let agent = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().trim_ascii_end();
                if self.signatures.match_user_agent(agent).is_some() {
                    places.push(at);
                }
            }
        };
        match *self.agent_marks {
            [] => {}
            [one] => memchr::memchr_iter(one, block).for_each(&mut mark),
            [one, two] => memchr::memchr2_iter(one, two, block).for_each(&mut mark),
            ref all => block.iter().enumerate().filter(|(_, byte)| all.contains(byte)).for_each(|(at, _)| mark(at)),
        }
    }
}

/// Where a backslash stands in front of one of these.
fn escaped(block: &[u8], kinds: &[u8], places: &mut Vec<usize>) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', block.get(at..).unwrap_or_default()) {
        let next = block.get(at + found + 1);
        if next.is_some_and(|byte| kinds.contains(byte)) {
            places.push(at + found);
        }
        // A backslash that is escaped itself escapes nothing.
        at += found + 2;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn lines(sieve: &Sieve, block: &str, escapes: Escapes) -> Vec<usize> {
        let mut places = Vec::new();
        sieve.find(block.as_bytes(), escapes, &mut Vec::new(), &mut places);
        let mut lines: Vec<usize> = places.iter().map(|&at| block[..at].matches('\n').count()).collect();
        lines.dedup();
        lines
    }

    #[test]
    fn lines_that_may_match_are_found() {
        let sieve = Sieve::new(&Arc::new(SignatureSet::builtin()));
        assert!(!sieve.takes_all);
        let block = "www.example\ns07.UPD.Kaspersky.com\n\"CN=*.example\"\nx\t@Zm9vYmFyMTIzNDU2Nzg5MA==\tx\n\\u006baspersky\n/INDEX/u1313g.xml\na@b\n";
        assert_eq!(lines(&sieve, block, Escapes::Json), [1, 3, 4, 5]);
        assert_eq!(lines(&sieve, "a\\\\u0000\n\\/updates\n\\x41\n", Escapes::Json), [1]);
        assert_eq!(lines(&sieve, "a\n\\x41\n", Escapes::Hexadecimal), [1]);
        assert_eq!(lines(&sieve, "\\x41\\u0000\n", Escapes::None), [0_usize; 0]);
    }

    proptest! {
        /// Wherever a name stands, its line is found.
        #[test]
        fn no_place_is_missed(before in 0..2 * STEP, after in 0..40_usize) {
            let sieve = Sieve::new(&Arc::new(SignatureSet::builtin()));
            let block = format!("{}\n{}ksn.Kaspersky-labs.com\n{}", "x".repeat(before), "y".repeat(after), "z\n".repeat(after));
            prop_assert_eq!(lines(&sieve, &block, Escapes::Json), [1]);
        }
    }
}
