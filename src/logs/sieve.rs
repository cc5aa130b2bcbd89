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
        let search = match Searcher::new(&texts) {
            _ if texts.is_empty() => Search::Nothing,
            Some(searcher) => Search::Packed(Box::new(searcher)),
            None => AhoCorasick::new(&texts).map_or(Search::Nothing, |all| Search::Automaton(Box::new(all))),
        };
        // Without a search every line has to be read.
        let takes_all = takes_all || !texts.is_empty() && matches!(search, Search::Nothing);
        let reads_http = BODIES.iter().any(|body| signatures.match_body(body).is_some());
        Self { search, agent_marks, takes_all, reads_http, signatures: Arc::clone(signatures) }
    }

    /// Says where in `texts` something stands that may match. They are in lower case, each of one line and with a newline behind it; `original` gives
    /// what stands at a place as it was written.
    pub fn find<'t>(
        &self,
        texts: &[u8],
        escapes: Escapes,
        original: impl Fn(usize) -> &'t [u8],
        mut found: impl FnMut(usize),
    ) {
        let mut at = 0;
        while let Some(place) = self.next(texts, at) {
            found(place);
            // One place in a line is enough.
            at = memchr::memchr(b'\n', texts.get(place..).unwrap_or_default()).map_or(texts.len(), |to| place + to);
        }
        match escapes {
            Escapes::None => {}
            Escapes::Json => escaped(texts, b"u/", &mut found),
            Escapes::Hexadecimal => escaped(texts, b"x", &mut found),
        }
        self.agents(texts, original, found);
    }

    fn next(&self, text: &[u8], at: usize) -> Option<usize> {
        match &self.search {
            Search::Packed(searcher) => searcher.find_in(text, (at..text.len()).into()).map(|found| found.start()),
            Search::Automaton(all) => all.find(Input::new(text).range(at..)).map(|found| found.start()),
            Search::Nothing => None,
        }
    }

    /// User agents that begin with a mark, wherever a text may begin.
    fn agents<'t>(&self, texts: &[u8], original: impl Fn(usize) -> &'t [u8], mut found: impl FnMut(usize)) {
        let mut mark = |at: usize| {
            let before = at.checked_sub(1).and_then(|before| texts.get(before));
            if before.is_some_and(u8::is_ascii_alphanumeric) {
                return;
            }
            let rest = original(at);
            let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\t' | b'\n' | b' ' | b'|' | b','));
            let agent = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().trim_ascii_end();
            if self.signatures.match_user_agent(agent).is_some() {
                found(at);
            }
        };
        match *self.agent_marks {
            [] => {}
            [one] => memchr::memchr_iter(one, texts).for_each(&mut mark),
            [one, two] => memchr::memchr2_iter(one, two, texts).for_each(&mut mark),
            ref all => texts.iter().enumerate().filter(|(_, byte)| all.contains(byte)).for_each(|(at, _)| mark(at)),
        }
    }
}

/// Where a backslash stands in front of one of these.
fn escaped(texts: &[u8], kinds: &[u8], found: &mut impl FnMut(usize)) {
    let mut at = 0;
    while let Some(place) = memchr::memchr(b'\\', texts.get(at..).unwrap_or_default()) {
        let next = texts.get(at + place + 1);
        if next.is_some_and(|byte| kinds.contains(byte)) {
            found(at + place);
        }
        // A backslash that is escaped itself escapes nothing.
        at += place + 2;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(sieve: &Sieve, block: &str, escapes: Escapes) -> Vec<usize> {
        let mut lines = Vec::new();
        let texts = block.to_ascii_lowercase();
        let original = |at: usize| &block.as_bytes()[at..];
        sieve.find(texts.as_bytes(), escapes, original, |at| lines.push(block[..at].matches('\n').count()));
        lines.sort_unstable();
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
}
