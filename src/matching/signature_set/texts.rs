//! Paths and user agents: literals first, and a regular expression only where its literal stands.
//!
//! Every pattern has a literal. Four of its bytes, the least ordinary ones, are its gram. A text is read once, four bytes at a time;
//! only where a gram stands is the literal compared, and only where the literal stands does the rest of the rule run. So the price of
//! an ordinary text does not grow with the number of patterns.

use crate::matching::{Indicator, IndicatorIndex, MatchKind, Strength};
use foldhash::fast::FixedState;
use regex::bytes::{RegexSet, RegexSetBuilder};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Most regular expressions of one sort in a set.
pub const REGEXES_MAX: usize = 1_024;

/// Bytes that one compiled regular expression may take, and again its cache.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// The matcher for one sort of text.
#[derive(Debug)]
pub struct Texts {
    /// Which grams occur at all, by the top twelve bits of a multiplicative hash.
    bits: Box<[u64; 64]>,
    /// Where a gram stands in which pattern's literal.
    grams: HashMap<u32, Vec<Place>, FixedState>,
    /// Patterns whose literal is shorter than a gram.
    short: Vec<usize>,
    /// Best first: the strongest, then the longest literal, then the order of the set.
    patterns: Vec<Pattern>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    pattern: usize,
    offset: usize,
}

#[derive(Debug)]
struct Pattern {
    index: IndicatorIndex,
    strength: Strength,
    /// In lower case.
    literal: Box<[u8]>,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Prefix,
    Suffix,
    Contains,
    /// All of the set must match. The number tells regular expressions apart, below [`REGEXES_MAX`].
    Regex(Late, usize),
}

/// Regular expressions that are compiled when their literal stands in a text for the first time. Few ever are, and to compile one takes
/// about half a millisecond. `None`: they are none, which is found when files are read.
type Late = LazyLock<Option<RegexSet>, Box<dyn FnOnce() -> Option<RegexSet> + Send>>;

impl Texts {
    /// Compiles the indicators of `kinds` among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)], kinds: &[MatchKind]) -> Self {
        let mut patterns: Vec<Pattern> = Vec::new();
        let mut regexes = 0;
        for &(index, one) in indicators.iter().filter(|(_, one)| kinds.contains(&one.kind)) {
            let rule = match one.kind {
                MatchKind::PathPrefix | MatchKind::UserAgentPrefix => Rule::Prefix,
                MatchKind::PathSuffix => Rule::Suffix,
                MatchKind::PathContains | MatchKind::UploadContains => Rule::Contains,
                _ => {
                    let one = one.clone();
                    regexes += 1;
                    Rule::Regex(LazyLock::new(Box::new(move || compile(&one).ok())), regexes - 1)
                }
            };
            let literal = one.literal.as_ref().unwrap_or(&one.value).to_ascii_lowercase().into_bytes().into();
            patterns.push(Pattern { index, strength: one.strength, literal, rule });
        }
        patterns.sort_by_key(|one| (one.strength, Reverse(one.literal.len()), one.index));
        let mut texts = Self { bits: Box::new([0; 64]), grams: HashMap::default(), short: Vec::new(), patterns };
        for (pattern, one) in texts.patterns.iter().enumerate() {
            let Some((offset, gram)) = rarest_gram(&one.literal) else {
                texts.short.push(pattern);
                continue;
            };
            let (word, bit) = bit_of(gram);
            if let Some(word) = texts.bits.get_mut(word) {
                *word |= bit;
            }
            texts.grams.entry(gram).or_default().push(Place { pattern, offset });
        }
        texts
    }

    /// The indicator that wins for `text`.
    pub fn find(&self, text: &[u8]) -> Option<IndicatorIndex> {
        let mut search = Search { texts: self, text, best: self.patterns.len(), tried: [0; REGEXES_MAX / 64] };
        for &pattern in &self.short {
            search.short(pattern);
        }
        if !self.grams.is_empty() {
            let mut gram = 0_u32;
            for (at, byte) in text.iter().enumerate() {
                gram = gram << 8 | u32::from(byte.to_ascii_lowercase());
                let (word, bit) = bit_of(gram);
                if self.bits.get(word).is_some_and(|word| word & bit != 0) && at >= 3 {
                    search.gram(gram, at - 3);
                }
            }
        }
        self.patterns.get(search.best).map(|one| one.index)
    }
}

/// One reading of one text.
struct Search<'a> {
    texts: &'a Texts,
    text: &'a [u8],
    /// Position of the best pattern so far; the number of patterns while there is none.
    best: usize,
    /// Regular expressions that ran: once per text, however often their literal stands in it.
    tried: [u64; REGEXES_MAX / 64],
}

impl Search<'_> {
    #[cold]
    fn gram(&mut self, gram: u32, at: usize) {
        for place in self.texts.grams.get(&gram).into_iter().flatten() {
            if let Some(start) = at.checked_sub(place.offset) {
                self.literal(place.pattern, start);
            }
        }
    }

    fn short(&mut self, pattern: usize) {
        let Some(literal) = self.texts.patterns.get(pattern).map(|one| &*one.literal) else { return };
        let found = match literal {
            // One byte that is no letter is the common case: the mark that machine-made user agents begin with.
            [byte] if !byte.is_ascii_alphabetic() => memchr::memchr(*byte, self.text),
            _ => self.text.windows(literal.len().max(1)).position(|window| window.eq_ignore_ascii_case(literal)),
        };
        if let Some(start) = found {
            self.literal(pattern, start);
        }
    }

    /// Whether the pattern's literal stands at `start`, and the rest of its rule holds.
    fn literal(&mut self, pattern: usize, start: usize) {
        if pattern >= self.best {
            return;
        }
        let Some(one) = self.texts.patterns.get(pattern) else { return };
        let end = start + one.literal.len();
        if !self.text.get(start..end).is_some_and(|here| here.eq_ignore_ascii_case(&one.literal)) {
            return;
        }
        let holds = match &one.rule {
            Rule::Prefix => start == 0,
            Rule::Suffix => end == self.text.len(),
            Rule::Contains => true,
            Rule::Regex(set, number) => {
                let Some(word) = self.tried.get_mut(number / 64) else { return };
                let bit = 1 << (number % 64);
                if *word & bit != 0 {
                    return;
                }
                *word |= bit;
                set.as_ref().is_some_and(|set| set.matches(self.text).iter().count() == set.len())
            }
        };
        if holds {
            self.best = pattern;
        }
    }
}

/// A request's path without its query: a page may carry any text there.
pub fn without_query(path: &[u8]) -> &[u8] {
    memchr::memchr2(b'?', b'#', path).and_then(|end| path.get(..end)).unwrap_or(path)
}

/// Longest path whose encoded characters are decoded.
pub const ENCODED_MAX: usize = 1 << 10;

/// A path with its encoded letters, digits and `-._~` as they are meant (RFC 3986 section 6.2.2.2), written to `room`; `None` if it is
/// longer. What else is encoded keeps its code: a slash would make other folders.
pub fn decoded<'a>(path: &[u8], room: &'a mut [u8; ENCODED_MAX]) -> Option<&'a [u8]> {
    let mut rest = path;
    let mut length = 0;
    while let Some((&first, behind)) = rest.split_first() {
        let meant = if first == b'%' { unreserved(behind) } else { None };
        *room.get_mut(length)? = meant.unwrap_or(first);
        length += 1;
        rest = if meant.is_some() { behind.get(2..).unwrap_or(&[]) } else { behind };
    }
    room.get(..length)
}

/// The character that two hexadecimal digits stand for, if it never needs them.
fn unreserved(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = *digits else { return None };
    let value = char::from(high).to_digit(16)? << 4 | char::from(low).to_digit(16)?;
    let byte = u8::try_from(value).ok()?;
    (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')).then_some(byte)
}

/// Compiles the regular expressions of an indicator, which must all match. Those of paths ignore case.
///
/// # Errors
/// What is wrong with one, in words.
pub fn compile(indicator: &Indicator) -> Result<RegexSet, String> {
    let expressions = std::iter::once(&indicator.value).chain(&indicator.also);
    RegexSetBuilder::new(expressions)
        .case_insensitive(indicator.kind == MatchKind::PathRegex)
        .unicode(false)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "the regular expression is too big; make its repetitions shorter".to_owned()
            }
            other => {
                let text = other.to_string();
                let reason = text.lines().last().unwrap_or_default();
                format!(
                    "bad regular expression: {}; see docs/signatures.md for what may stand in one",
                    reason.trim_start_matches("error: ")
                )
            }
        })
}

/// The four bytes of a literal that ordinary texts hold least, and where they stand. `None` below four bytes.
fn rarest_gram(literal: &[u8]) -> Option<(usize, u32)> {
    let ordinary = |byte: &u8| b"/etaoinsrcdlpmugh.".contains(byte);
    literal
        .windows(4)
        .enumerate()
        .min_by_key(|(_, gram)| gram.iter().filter(|byte| ordinary(byte)).count())
        .map(|(offset, gram)| (offset, gram.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))))
}

#[inline]
const fn bit_of(gram: u32) -> (usize, u64) {
    let hash = gram.wrapping_mul(0x9e37_79b1) >> 20;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::matching::signature_set::tests::indicator;
    use proptest::prelude::*;

    const PATHS: [MatchKind; 4] =
        [MatchKind::PathPrefix, MatchKind::PathSuffix, MatchKind::PathContains, MatchKind::PathRegex];

    fn regex(kind: MatchKind, value: &str, literal: &str, also: &[&str]) -> Indicator {
        let also = also.iter().map(|one| (*one).to_owned()).collect();
        Indicator { literal: Some(literal.to_owned()), also, ..indicator(kind, value) }
    }

    fn build(indicators: &[Indicator], kinds: &[MatchKind]) -> Texts {
        let numbered: Vec<_> =
            indicators.iter().enumerate().map(|(at, one)| (IndicatorIndex(at as u32), one)).collect();
        Texts::build(&numbered, kinds)
    }

    #[test]
    fn encoded_letters_are_letters_and_slashes_stay_encoded() {
        let of = |path: &str| {
            let mut room = [0; ENCODED_MAX];
            decoded(path.as_bytes(), &mut room).map(|path| String::from_utf8_lossy(path).into_owned())
        };
        assert_eq!(of("/%69ndex/%75%31313g%2exml%2E").as_deref(), Some("/index/u1313g.xml."));
        for same in ["", "/a", "/go/http%3A%2F%2Fa", "/%", "/%6", "/%zz", "/%%", "/%2561", "/%e4"] {
            assert_eq!(of(same).as_deref(), Some(same));
        }
        assert_eq!(of(&"a".repeat(ENCODED_MAX)).map(|path| path.len()), Some(ENCODED_MAX));
        assert_eq!(of(&"%61".repeat(ENCODED_MAX + 1)), None);
    }

    #[test]
    fn each_kind_holds_where_it_says() {
        let set = [
            indicator(MatchKind::PathPrefix, "/diffs/bases/"),
            indicator(MatchKind::PathSuffix, "/dailyc.kdc"),
            indicator(MatchKind::PathContains, "/bases/av/kdb/"),
            regex(MatchKind::PathRegex, r"/index/u1313g\.xml(?:\.(?:klz|dif))?$", "/index/u1313g.xml", &[]),
        ];
        let texts = build(&set, &PATHS);
        let find = |path: &str| texts.find(path.as_bytes()).map(|index| index.0);
        assert_eq!(find("/diffs/bases/x"), Some(0));
        assert_eq!(find("/x/diffs/bases/x"), None);
        assert_eq!(find("/bases/dailyc.kdc"), Some(1));
        assert_eq!(find("/bases/xdailyc.kdc"), None);
        assert_eq!(find("/dailyc.kdc.old"), None);
        assert_eq!(find("/x/BASES/av/Kdb/i386/a"), Some(2));
        assert_eq!(find("/v6/index/U1313g.XML.klz"), Some(3));
        assert_eq!(find("/v6/index/u1313g.xml.old"), None);
        assert_eq!(find("/v6/index/u1313gxxml"), None);
        assert_eq!(find(""), None);
        assert_eq!(find("/"), None);
    }

    #[test]
    fn the_stronger_wins_then_the_longer() {
        let weak =
            Indicator { strength: Strength::Ambiguous, ..indicator(MatchKind::PathContains, "/updates/kdb/i386/long") };
        let set =
            [weak, indicator(MatchKind::PathContains, "/updates/"), indicator(MatchKind::PathContains, "/updates/kdb")];
        let texts = build(&set, &PATHS);
        assert_eq!(texts.find(b"/updates/kdb/i386/long"), Some(IndicatorIndex(2)));
    }

    #[test]
    fn all_expressions_of_an_indicator_must_match() {
        let set = [regex(MatchKind::UserAgentRegex, "^@[A-Za-z0-9+/]{15,}={0,2}$", "@", &["[A-Z]", "[a-z]", "[0-9]"])];
        let texts = build(&set, &[MatchKind::UserAgentRegex]);
        assert!(texts.find(b"@hEKzPRNa0lItsGIjysY").is_some());
        assert!(texts.find(b"@scope/name-of-a-tool-1X").is_none());
        assert!(texts.find(b"@abcdefghijklmnopqrstuvw").is_none());
        assert!(texts.find(b"x@hEKzPRNa0lItsGIjysY").is_none());
        assert!(texts.find(b"\xff@").is_none());
    }

    #[test]
    fn the_query_is_no_path() {
        assert_eq!(without_query(b"/a/b?c=/bases/av/kdb/"), b"/a/b");
        assert_eq!(without_query(b"/a#b?c"), b"/a");
        assert_eq!(without_query(b"/a"), b"/a");
    }

    proptest! {
        #[test]
        fn literals_are_found_wherever_they_stand(
            literals in prop::collection::vec("/[ab/.-]{1,6}", 1..6),
            text in "[ab/.-]{0,24}",
        ) {
            let set: Vec<_> = literals.iter().map(|literal| indicator(MatchKind::PathContains, literal)).collect();
            let texts = build(&set, &PATHS);
            let expected = literals.iter().enumerate().filter(|(_, one)| text.contains(one.as_str()))
                .min_by_key(|(at, one)| (Reverse(one.len()), *at)).map(|(at, _)| IndicatorIndex(at as u32));
            prop_assert_eq!(texts.find(text.as_bytes()), expected);
        }
    }
}
