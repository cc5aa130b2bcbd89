//! Domain names: exact before template before the longest suffix.

use super::template;
use crate::matching::{Indicator, IndicatorIndex, MatchKind};
use foldhash::fast::FixedState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Keyed by text. Nothing that traffic says is ever inserted, so a fixed seed gives an attacker no hold, and every run is the same.
type Table = HashMap<Box<str>, IndicatorIndex, FixedState>;

/// Templates with a `*` left in them.
type Stars = Vec<(Box<str>, IndicatorIndex)>;

/// The name matcher.
#[derive(Debug, Default)]
pub struct Names {
    endings: Endings,
    tails: Tails,
    exact: Table,
    /// Templates, written out.
    families: Table,
    /// Templates with a `*` left in them, by their last two labels; the longest text first. Without a name: those whose last labels are not
    /// plain text.
    stars: HashMap<Box<str>, Stars, FixedState>,
    suffixes: Table,
    /// Bytes of the longest suffix: nothing longer is worth a look-up, however many labels a hostile name has.
    longest_suffix: usize,
}

impl Names {
    /// Compiles the names among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)]) -> Self {
        let mut names = Self::default();
        let mut tails = Vec::new();
        for &(index, indicator) in indicators {
            let value = indicator.value.as_str();
            match indicator.kind {
                MatchKind::Exact => {
                    names.endings.add(value);
                    tails.push(Cow::Borrowed(value));
                    names.exact.entry(value.into()).or_insert(index);
                }
                MatchKind::Suffix => {
                    names.endings.add(value);
                    tails.push(Cow::Borrowed(value));
                    names.longest_suffix = names.longest_suffix.max(value.len());
                    names.suffixes.entry(value.into()).or_insert(index);
                }
                MatchKind::Template => {
                    for name in template::expand(value).unwrap_or_default() {
                        names.endings.add(name.rsplit('*').next().unwrap_or_default());
                        if name.contains('*') {
                            let tail = Tails::plain(&name).unwrap_or_default().into();
                            names.stars.entry(tail).or_default().push((name.as_str().into(), index));
                        } else {
                            names.families.entry(name.as_str().into()).or_insert(index);
                        }
                        tails.push(Cow::Owned(name));
                    }
                }
                _ => {}
            }
        }
        for stars in names.stars.values_mut() {
            stars.sort_by_key(|(pattern, index)| (std::cmp::Reverse(pattern.len()), *index));
        }
        names.tails = Tails::build(&tails);
        names
    }

    /// Whether [`Self::find`] may find anything, as far as the last bytes of a name tell.
    #[inline]
    pub fn may_match(&self, name: &[u8]) -> bool {
        self.endings.may_end(name)
    }

    /// The indicator that wins for `name`: lower case, without the final dot.
    #[inline]
    pub fn find(&self, name: &str) -> Option<IndicatorIndex> {
        if !self.may_match(name.as_bytes()) || !self.tails.may_hold(name) {
            return None;
        }
        self.look_up(name)
    }

    fn look_up(&self, name: &str) -> Option<IndicatorIndex> {
        let whole = self.exact.get(name).or_else(|| self.families.get(name)).copied();
        whole.or_else(|| self.star(name)).or_else(|| self.longest_suffix_of(name))
    }

    fn star(&self, name: &str) -> Option<IndicatorIndex> {
        let of = |tail| self.stars.get(tail)?.iter().find(|(pattern, _)| template::fits(pattern, name));
        let found = [of(Tails::of(name)), of("")].into_iter().flatten();
        found.min_by_key(|(pattern, index)| (std::cmp::Reverse(pattern.len()), *index)).map(|&(_, index)| index)
    }

    fn longest_suffix_of(&self, name: &str) -> Option<IndicatorIndex> {
        let mut rest = name;
        loop {
            if rest.len() <= self.longest_suffix
                && let Some(&index) = self.suffixes.get(rest)
            {
                return Some(index);
            }
            (_, rest) = rest.split_once('.')?;
        }
    }
}

/// The last bytes of every name that could match, as bitmaps. Ordinary names fail here, at the price of a load and a multiply for each.
#[derive(Debug)]
struct Endings {
    /// Of patterns too short for the other, such as `kas.pr`.
    short: Box<[u64; 64]>,
    /// Names of one country often end in the same six bytes; in eleven they hardly do.
    long: Box<[u64; 64]>,
    /// A pattern is too short for either: every name may match.
    all: bool,
}

impl Default for Endings {
    fn default() -> Self {
        Self { short: Box::new([0; 64]), long: Box::new([0; 64]), all: false }
    }
}

impl Endings {
    fn add(&mut self, ending: &str) {
        let (bits, place) = match (Self::long(ending.as_bytes()), Self::short(ending.as_bytes())) {
            (Some(place), _) => (&mut self.long, place),
            (None, Some(place)) => (&mut self.short, place),
            (None, None) => {
                self.all = true;
                return;
            }
        };
        let (word, bit) = place;
        if let Some(word) = bits.get_mut(word) {
            *word |= bit;
        }
    }

    #[inline]
    fn may_end(&self, name: &[u8]) -> bool {
        let has = |bits: &[u64; 64], place: Option<(usize, u64)>| {
            place.is_some_and(|(word, bit)| bits.get(word).is_some_and(|word| word & bit != 0))
        };
        self.all || has(&self.long, Self::long(name)) || has(&self.short, Self::short(name))
    }

    /// Which bit stands for the last six bytes.
    #[inline]
    fn short(name: &[u8]) -> Option<(usize, u64)> {
        let &[a, b, c, d, e, f] = name.last_chunk()?;
        Some(Self::place(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])))
    }

    /// Which bit stands for the last eleven.
    #[inline]
    fn long(name: &[u8]) -> Option<(usize, u64)> {
        let last: &[u8; 11] = name.last_chunk()?;
        let (first, last) = (last.first_chunk()?, last.last_chunk()?);
        Some(Self::place(u64::from_le_bytes(*first).rotate_left(29) ^ u64::from_le_bytes(*last)))
    }

    /// Which of the 4,096 bits stands for an ending: the top twelve of a multiplicative hash.
    #[inline]
    const fn place(ending: u64) -> (usize, u64) {
        let hash = ending.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

/// The last two labels of every name that could match, as a bitmap that grows with their number. Few names get past [`Endings`] to here as
/// long as a set knows the vendor's names alone; with a hundred thousand of all kinds most do, and fail here at the price of one load.
#[derive(Debug, Default)]
struct Tails {
    bits: Vec<u64>,
    /// A pattern has no two plain labels at its end: every name may match.
    all: bool,
}

impl Tails {
    /// Bits for each tail: one name in so many passes by chance.
    const BITS_EACH: usize = 32;

    fn build(patterns: &[Cow<'_, str>]) -> Self {
        let bits = patterns.len().saturating_mul(Self::BITS_EACH).next_power_of_two().max(64);
        let mut tails = Self { bits: vec![0; bits / 64], all: false };
        for pattern in patterns {
            let Some(tail) = Self::plain(pattern) else {
                tails.all = true;
                continue;
            };
            let (word, bit) = tails.place(Self::hash(tail));
            if let Some(word) = tails.bits.get_mut(word) {
                *word |= bit;
            }
        }
        tails
    }

    /// The last two labels of a name; all of a shorter one.
    fn of(name: &str) -> &str {
        let mut dots = memchr::memrchr_iter(b'.', name.as_bytes());
        dots.nth(1).and_then(|dot| name.get(dot + 1..)).unwrap_or(name)
    }

    /// The last two labels of a pattern, if it has them, and both are plain text.
    fn plain(pattern: &str) -> Option<&str> {
        Some(Self::of(pattern)).filter(|tail| tail.contains('.') && !tail.contains('*'))
    }

    fn hash(tail: &str) -> u64 {
        FixedState::default().hash_one(tail)
    }

    fn may_hold(&self, name: &str) -> bool {
        if self.all {
            return true;
        }
        let (word, bit) = self.place(Self::hash(Self::of(name)));
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The number of bits is a power of two.
    fn place(&self, hash: u64) -> (usize, u64) {
        let mask = (self.bits.len() as u64).wrapping_sub(1);
        ((hash >> 6 & mask) as usize, 1 << (hash & 63))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::matching::signature_set::tests::indicator;
    use proptest::prelude::*;

    fn build(indicators: &[Indicator]) -> Names {
        let numbered: Vec<_> =
            indicators.iter().enumerate().map(|(at, one)| (IndicatorIndex(at as u32), one)).collect();
        Names::build(&numbered)
    }

    /// The rule, word for word, without any table.
    fn naively(indicators: &[Indicator], name: &str) -> Option<IndicatorIndex> {
        let mut best: Option<((u8, usize, usize), usize)> = None;
        for (at, one) in indicators.iter().enumerate() {
            let rank = match one.kind {
                MatchKind::Exact if one.value == name => Some((0, 0, 0)),
                MatchKind::Template => template::expand(&one.value)
                    .unwrap()
                    .iter()
                    .filter(|pattern| template::fits(pattern, name))
                    .map(|pattern| if pattern.contains('*') { (2, usize::MAX - pattern.len(), at) } else { (1, 0, at) })
                    .min(),
                MatchKind::Suffix if name == one.value || name.ends_with(&format!(".{}", one.value)) => {
                    Some((3, usize::MAX - one.value.len(), 0))
                }
                _ => None,
            };
            if let Some(rank) = rank
                && best.is_none_or(|(earlier, _)| rank < earlier)
            {
                best = Some((rank, at));
            }
        }
        best.map(|(_, at)| IndicatorIndex(at as u32))
    }

    fn label() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("a".to_owned()),
            Just("b1".to_owned()),
            Just("a-b".to_owned()),
            Just("upd".to_owned()),
            Just("kaspersky".to_owned()),
            Just("com".to_owned()),
            "[ab1-]{1,3}",
        ]
    }

    fn name() -> impl Strategy<Value = String> {
        prop::collection::vec(label(), 1..5).prop_map(|labels| labels.join("."))
    }

    fn pattern() -> impl Strategy<Value = Indicator> {
        let head =
            prop_oneof![Just("a{0-3}"), Just("*"), Just("b*"), Just("{a|b1}"), Just("a*.b{1-1}"), Just("{08-11}-*b")];
        prop_oneof![
            name().prop_map(|value| indicator(MatchKind::Exact, &value)),
            name().prop_map(|value| indicator(MatchKind::Suffix, &value)),
            (head, name()).prop_map(|(head, rest)| indicator(MatchKind::Template, &format!("{head}.{rest}"))),
        ]
    }

    proptest! {
        #[test]
        fn the_fast_matcher_follows_the_rule(mut patterns in prop::collection::vec(pattern(), 0..12), names in prop::collection::vec(name(), 1..20)) {
            let mut seen = std::collections::BTreeSet::new();
            patterns.retain(|one| seen.insert((one.kind, one.value.clone())));
            let fast = build(&patterns);
            for name in &names {
                prop_assert_eq!(fast.find(name), naively(&patterns, name), "{} among {:?}", name, patterns);
            }
        }

        #[test]
        fn names_near_to_patterns_follow_the_rule(patterns in prop::collection::vec(pattern(), 1..8), head in "[a-b0-9.-]{0,3}") {
            let mut seen = std::collections::BTreeSet::new();
            let patterns: Vec<_> = patterns.into_iter().filter(|one| seen.insert((one.kind, one.value.clone()))).collect();
            let fast = build(&patterns);
            for one in &patterns {
                let name = format!("{head}{}", one.value);
                prop_assert_eq!(fast.find(&name), naively(&patterns, &name), "{} among {:?}", name, patterns);
            }
        }
    }

    #[test]
    fn the_label_boundary_counts() {
        let set = [indicator(MatchKind::Suffix, "kas.pr"), indicator(MatchKind::Suffix, "upd.kaspersky.com")];
        let names = build(&set);
        assert_eq!(names.find("kas.pr"), Some(IndicatorIndex(0)));
        assert_eq!(names.find("www.kas.pr"), Some(IndicatorIndex(0)));
        assert_eq!(names.find("xkas.pr"), None);
        assert_eq!(names.find("notupd.kaspersky.com"), None);
        assert_eq!(names.find("upd.kaspersky.com.evil.example"), None);
        assert_eq!(names.find(""), None);
        assert_eq!(names.find("."), None);
    }

    #[test]
    fn a_hundred_thousand_names_let_few_others_past_their_last_labels() {
        let set: Vec<Indicator> =
            (0..100_000).map(|number| indicator(MatchKind::Suffix, &format!("n{number}.example"))).collect();
        let names = build(&set);
        assert_eq!(names.find("a.b.n99999.example"), Some(IndicatorIndex(99_999)));
        assert_eq!(names.find("n100000.example"), None);
        let past = (100_000..200_000).filter(|number| names.tails.may_hold(&format!("www.n{number}.example"))).count();
        assert!(past < 100_000 / 16, "{past}");
        for (name, tail) in [("a.b.c.d", "c.d"), ("c.d", "c.d"), ("d", "d"), ("", ""), (".", "."), ("..", ".")] {
            assert_eq!(Tails::of(name), tail);
        }
    }

    #[test]
    fn a_name_of_many_labels_costs_few_look_ups() {
        let names = build(&[indicator(MatchKind::Suffix, "kaspersky.com")]);
        let long = format!("{}kaspersky.com", "a.".repeat(120));
        assert_eq!(names.find(&long), Some(IndicatorIndex(0)));
    }
}
