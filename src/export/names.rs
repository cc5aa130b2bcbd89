//! Domain names: which of them a format looks for, and which win over which.

use crate::selection::Group;
use kaspector::matching::{Indicator, MatchKind, SignatureSet, Strength};
use std::collections::BTreeMap;

/// The names of a set.
pub struct Names<'a> {
    browse: bool,
    /// Whole names, of exact matches and of templates, and whose they are.
    whole: BTreeMap<String, &'a Indicator>,
    /// Templates with a `*`, the longest first.
    stars: Vec<(String, &'a Indicator)>,
    /// Names that stand for all below them, too.
    suffixes: BTreeMap<String, &'a Indicator>,
}

impl<'a> Names<'a> {
    /// The names of all indicators, wanted or not: what is not wanted may lie below what is.
    pub fn new(set: &'a SignatureSet, browse: bool) -> Self {
        let mut names = Self { browse, whole: BTreeMap::new(), stars: Vec::new(), suffixes: BTreeMap::new() };
        // Exact names win over templates.
        for kind in [MatchKind::Exact, MatchKind::Template, MatchKind::Suffix] {
            for indicator in set.iter().filter(|one| one.kind == kind) {
                for name in indicator.names() {
                    if kind == MatchKind::Suffix {
                        names.suffixes.entry(name).or_insert(indicator);
                    } else if name.contains('*') {
                        names.stars.push((name, indicator));
                    } else {
                        names.whole.entry(name).or_insert(indicator);
                    }
                }
            }
        }
        names.stars.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        names
    }

    fn is_wanted(&self, indicator: &Indicator) -> bool {
        self.browse || indicator.strength != Strength::Browse
    }

    /// Whole names that are looked for.
    pub fn whole(&self) -> impl Iterator<Item = (&str, &'a Indicator)> {
        self.whole.iter().map(|(name, one)| (name.as_str(), *one)).filter(|(_, one)| self.is_wanted(one))
    }

    /// Templates with a `*` that are looked for.
    pub fn stars(&self) -> impl Iterator<Item = (&str, &'a Indicator)> {
        self.stars.iter().map(|(name, one)| (name.as_str(), *one)).filter(|(_, one)| self.is_wanted(one))
    }

    /// Names below which all is looked for.
    pub fn suffixes(&self) -> impl Iterator<Item = (&str, &'a Indicator)> {
        self.suffixes.iter().map(|(name, one)| (name.as_str(), *one)).filter(|(_, one)| self.is_wanted(one))
    }

    /// Whole names of anybody that a wider form would match as well: rules for wider forms must leave them alone.
    pub fn whole_below_wider(&self) -> impl Iterator<Item = (&str, &'a Indicator)> {
        let below = |name: &str| self.is_below_wanted(name) || self.stars().any(|(star, _)| fits(star, name));
        self.whole.iter().map(|(name, one)| (name.as_str(), *one)).filter(move |(name, _)| below(name))
    }

    fn is_below_wanted(&self, name: &str) -> bool {
        endings(name).any(|ending| self.suffixes.get(ending).is_some_and(|one| self.is_wanted(one)))
    }

    /// Of each suffix, the wider forms of other groups that lie below it, and win there.
    pub fn wider_below(&self) -> BTreeMap<&str, Vec<Wider<'_>>> {
        let mut below = BTreeMap::<&str, Vec<Wider<'_>>>::new();
        let stars = self.stars.iter().map(|(star, one)| (star, *one, Wider::Star(star)));
        let suffixes = self.suffixes.iter().map(|(name, one)| (name, *one, Wider::Suffix(name)));
        for (name, indicator, wider) in stars.chain(suffixes) {
            for (suffix, one) in endings(name).filter_map(|ending| self.suffixes.get_key_value(ending)) {
                if group_of(one) != group_of(indicator) {
                    below.entry(suffix).or_default().push(wider);
                }
            }
        }
        below
    }

    /// What is not wanted, and lies below what is: for formats in which the closest entry wins.
    pub fn exceptions(&self) -> Vec<(Wider<'_>, &'a Indicator)> {
        let whole = self.whole.iter().map(|(name, one)| (name, Wider::Whole(name), *one));
        let stars = self.stars.iter().map(|(name, one)| (name, Wider::Star(name), *one));
        let suffixes = self.suffixes.iter().map(|(name, one)| (name, Wider::Suffix(name), *one));
        whole
            .chain(stars)
            .chain(suffixes)
            .filter(|(name, _, one)| !self.is_wanted(one) && self.is_below_wanted(name))
            .map(|(_, wider, one)| (wider, one))
            .collect()
    }
}

/// A name, and each name that it lies below.
fn endings(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, rest)| rest))
}

/// The service and the strength of an indicator.
pub const fn group_of(indicator: &Indicator) -> Group {
    (indicator.category, indicator.strength)
}

/// A form of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wider<'a> {
    /// This name alone.
    Whole(&'a str),
    /// A template with a `*`.
    Star(&'a str),
    /// The name and all below it.
    Suffix(&'a str),
}

/// Whether a name has the form of a template with a `*`: one or more of `a-z`, `0-9` and `-`.
fn fits(star: &str, name: &str) -> bool {
    let labels = (name.split('.'), star.split('.'));
    let same = labels.0.clone().count() == labels.1.clone().count();
    same && labels.0.zip(labels.1).all(|(label, wanted)| match wanted.split_once('*') {
        None => label == wanted,
        Some((before, after)) => {
            label.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(|rest| !rest.is_empty())
        }
    })
}

/// A text that stands in all of these, as a filter before a dearer look: the longest, if it has at least four bytes.
pub fn common_part<'t>(texts: &[&'t str]) -> Option<&'t str> {
    let (first, others) = texts.split_first()?;
    // What a signature file names has at most 253 bytes, so all parts of one are few.
    let ends = || first.char_indices().map(|(at, _)| at).chain([first.len()]);
    let parts =
        ends().flat_map(|from| ends().filter(move |to| *to >= from + 4).filter_map(move |to| first.get(from..to)));
    parts.filter(|part| others.iter().all(|other| other.contains(part))).max_by_key(|part| part.len())
}
