//! Domain names: exact before template before the longest suffix.

use super::template;
use crate::matching::{Indicator, IndicatorIndex, MatchKind};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Keyed by text. Nothing that traffic says is ever inserted, so a fixed seed gives an attacker no hold, and every run is the same.
type Table = HashMap<Box<str>, IndicatorIndex, FixedState>;

/// The name matcher.
#[derive(Debug, Default)]
pub struct Names {
    endings: Endings,
    exact: Table,
    /// Templates, written out.
    families: Table,
    /// Templates with a `*` left in them; the longest text first.
    stars: Vec<(Box<str>, IndicatorIndex)>,
    suffixes: Table,
    /// Bytes of the longest suffix: nothing longer is worth a look-up, however many labels a hostile name has.
    longest_suffix: usize,
}

impl Names {
    /// Compiles the names among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)]) -> Self {
        let mut names = Self::default();
        for &(index, indicator) in indicators {
            let value = indicator.value.as_str();
            match indicator.kind {
                MatchKind::Exact => {
                    names.endings.add(value);
                    names.exact.entry(value.into()).or_insert(index);
                }
                MatchKind::Suffix => {
                    names.endings.add(value);
                    names.longest_suffix = names.longest_suffix.max(value.len());
                    names.suffixes.entry(value.into()).or_insert(index);
                }
                MatchKind::Template => {
                    for name in template::expand(value).unwrap_or_default() {
                        names.endings.add(name.rsplit('*').next().unwrap_or_default());
                        if name.contains('*') {
                            names.stars.push((name.into(), index));
                        } else {
                            names.families.entry(name.into()).or_insert(index);
                        }
                    }
                }
                _ => {}
            }
        }
        names.stars.sort_by_key(|(pattern, index)| (std::cmp::Reverse(pattern.len()), *index));
        names
    }

    /// The indicator that wins for `name`: lower case, without the final dot.
    #[inline]
    pub fn find(&self, name: &str) -> Option<IndicatorIndex> {
        if !self.endings.may_end(name.as_bytes()) {
            return None;
        }
        self.look_up(name)
    }

    fn look_up(&self, name: &str) -> Option<IndicatorIndex> {
        let whole = self.exact.get(name).or_else(|| self.families.get(name)).copied();
        whole
            .or_else(|| self.stars.iter().find(|(pattern, _)| template::fits(pattern, name)).map(|&(_, index)| index))
            .or_else(|| self.longest_suffix_of(name))
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

/// The last bytes of every name that could match, as a bitmap. Ordinary names fail here, at the price of one load and one multiply.
#[derive(Debug)]
struct Endings {
    bits: Box<[u64; 64]>,
    /// A pattern is too short to have such an ending: every name may match.
    all: bool,
}

impl Default for Endings {
    fn default() -> Self {
        Self { bits: Box::new([0; 64]), all: false }
    }
}

impl Endings {
    /// Bytes of an ending. `kas.pr` is the shortest pattern of the vendor's; longer endings would tell more names apart.
    const LEN: usize = 6;

    fn add(&mut self, ending: &str) {
        let Some(&last) = ending.as_bytes().last_chunk::<{ Self::LEN }>() else {
            self.all = true;
            return;
        };
        let (word, bit) = Self::place(last);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    #[inline]
    fn may_end(&self, name: &[u8]) -> bool {
        if self.all {
            return true;
        }
        let Some(&last) = name.last_chunk::<{ Self::LEN }>() else { return false };
        let (word, bit) = Self::place(last);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Which of the 4,096 bits stands for an ending: the top twelve of a multiplicative hash.
    #[inline]
    const fn place([a, b, c, d, e, f]: [u8; Self::LEN]) -> (usize, u64) {
        let hash = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        ((hash >> 6) as usize, 1 << (hash & 63))
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
            indicators.iter().enumerate().map(|(at, one)| (IndicatorIndex(at as u16), one)).collect();
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
        best.map(|(_, at)| IndicatorIndex(at as u16))
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
    fn a_name_of_many_labels_costs_few_look_ups() {
        let names = build(&[indicator(MatchKind::Suffix, "kaspersky.com")]);
        let long = format!("{}kaspersky.com", "a.".repeat(120));
        assert_eq!(names.find(&long), Some(IndicatorIndex(0)));
    }
}
