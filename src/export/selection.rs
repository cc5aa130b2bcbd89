//! What is wanted of a set, in groups of one service and one strength.

use crate::left_out::never;
use crate::names::Names;
use crate::{LeftOut, Options};
use kaspector::matching::{Category, Indicator, SignatureSet, Strength};
use std::collections::BTreeMap;

/// A service and a strength: what one rule speaks of.
pub type Group = (Category, Strength);

/// What is wanted of a set.
pub struct Selection<'a> {
    /// The set.
    pub set: &'a SignatureSet,
    /// Names, and which of them win over which.
    pub names: Names<'a>,
    /// Those that a format may say, by group, in the order of their files.
    groups: BTreeMap<Group, Vec<&'a Indicator>>,
    date: String,
}

impl<'a> Selection<'a> {
    /// Chooses, and notes what is out of question in every format of rules.
    pub fn new(set: &'a SignatureSet, options: &Options, left_out: &mut LeftOut) -> Self {
        let mut groups = BTreeMap::<Group, Vec<&Indicator>>::new();
        for indicator in set.iter() {
            match never(indicator, options.browse) {
                Some(reason) => left_out.add(reason, indicator),
                None => groups.entry((indicator.category, indicator.strength)).or_default().push(indicator),
            }
        }
        let newest = || set.iter().map(|one| one.date.as_str()).max().unwrap_or("1970-01-01").to_owned();
        Self { set, names: Names::new(set, options.browse), groups, date: options.date.clone().unwrap_or_else(newest) }
    }

    /// Day of the pack: `2026-11-23`.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// The groups that there are, in a fixed order.
    pub fn groups(&self) -> impl Iterator<Item = (Group, &[&'a Indicator])> {
        self.groups.iter().map(|(group, list)| (*group, list.as_slice()))
    }

    /// All that a format may say.
    pub fn iter(&self) -> impl Iterator<Item = &'a Indicator> {
        self.groups.values().flatten().copied()
    }

    /// What stands at the head of each file: where it comes from, and what is not in it.
    pub fn head(&self, what: &str, left_out: &LeftOut) -> Vec<String> {
        let mut lines = vec![
            format!("Kaspector: {what}"),
            format!("Signature set {} of {}, {} indicators", plain(self.set.version()), self.date, self.set.len()),
            format!("SHA-256 of the set: {}", self.set.sha256()),
            "These look for single observations. Verdicts, confidence, roles and the lifetime of DNS answers are"
                .to_owned(),
            "Kaspector's own, and what matches here may be no product: strength ambiguous says so.".to_owned(),
        ];
        lines.extend(left_out.lines());
        lines
    }
}

/// A version that a set named, fit for a line of comments or metadata.
pub fn plain(version: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '+');
    version.chars().map(|character| if is_plain(character) { character } else { '_' }).collect()
}

/// The newest day among indicators as a number, `20261123`: a revision that grows with the data.
pub fn revision<'a>(indicators: impl IntoIterator<Item = &'a Indicator>) -> u32 {
    let newest = indicators.into_iter().map(|one| one.date.as_str()).max().unwrap_or_default();
    newest.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(1)
}
