//! Texts of which one stands in whatever matches.

use kaspector::matching::{Indicator, MatchKind, SignatureSet};
use std::collections::{BTreeMap, BTreeSet};

/// A part of a text that stands for it has at least so many letters and digits: shorter ones stand in many lines.
const PART_MIN: usize = 6;
/// Texts that a part stands for, at least.
const SHARED_MIN: usize = 3;
/// Shortest text that is looked for.
const NEEDLE_MIN: usize = 3;

/// Texts in lower case, as few as will do.
#[derive(Debug, Default)]
pub struct Needles {
    pub texts: Vec<String>,
    /// Bytes that user agents begin with where the rest has a form, and no text in common.
    pub agent_marks: Vec<u8>,
    /// There are indicators that have no such text, so any line may match.
    pub takes_all: bool,
}

impl Needles {
    pub fn of(signatures: &SignatureSet) -> Self {
        let mut needles = Self::default();
        let mut wanted = BTreeSet::new();
        for indicator in signatures.iter() {
            for text in needles.wanted(indicator) {
                let text = text.to_ascii_lowercase();
                needles.takes_all |= text.len() < NEEDLE_MIN;
                wanted.insert(text);
            }
        }
        needles.texts = cover(wanted);
        needles
    }

    /// Of an indicator: one of these stands in whatever it matches. None for those that match nothing that a log keeps as text.
    fn wanted(&mut self, indicator: &Indicator) -> Vec<String> {
        let Indicator { kind, value, literal, .. } = indicator;
        match kind {
            MatchKind::Exact | MatchKind::Suffix | MatchKind::Template => {
                let longest = |name: &String| {
                    name.split('*').max_by_key(|part| part.len()).unwrap_or_default().trim_matches('.').to_owned()
                };
                indicator.names().iter().map(longest).collect()
            }
            MatchKind::PathRegex => vec![literal.clone().unwrap_or_default()],
            MatchKind::UserAgentRegex => {
                let literal = literal.clone().unwrap_or_default();
                let &[mark] = literal.as_bytes() else { return vec![literal] };
                let is_first = value.strip_prefix('^').map(|rest| rest.trim_start_matches('\\'));
                if is_first.is_some_and(|rest| rest.as_bytes().first() == Some(&mark)) {
                    self.agent_marks.push(mark);
                    return Vec::new();
                }
                vec![literal]
            }
            // Names of machines may be spelled in more ways than one, their values are not.
            MatchKind::CertificateSubject | MatchKind::CertificateIssuer => {
                let values = indicator.attributes().filter_map(|attribute| attribute.rsplit('=').next());
                values.max_by_key(|value| value.len()).map(|value| value.trim().to_owned()).into_iter().collect()
            }
            MatchKind::PathPrefix
            | MatchKind::PathSuffix
            | MatchKind::PathContains
            | MatchKind::UserAgentPrefix
            | MatchKind::Ja3
            | MatchKind::Ja4
            | MatchKind::HttpHeader => vec![value.clone()],
            _ => Vec::new(),
        }
    }
}

/// Few texts, of which each of these holds one: again and again the part that most of those left hold, then what is left as a whole. A part of one
/// text alone may be an ordinary word.
fn cover(mut left: BTreeSet<String>) -> Vec<String> {
    let mut chosen = Vec::new();
    loop {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for text in &left {
            for part in parts(text).into_iter().collect::<BTreeSet<_>>() {
                *counts.entry(part).or_default() += 1;
            }
        }
        let best = counts.into_iter().max_by_key(|&(part, count)| (count, part.len(), std::cmp::Reverse(part)));
        let Some((best, _)) = best.filter(|&(_, count)| count >= SHARED_MIN) else { break };
        let best = best.to_owned();
        left.retain(|text| !text.contains(&best));
        chosen.push(best);
    }
    let mut whole: Vec<String> = left.into_iter().collect();
    whole.sort_by_key(String::len);
    for text in whole {
        if !chosen.iter().any(|one: &String| text.contains(one.as_str())) {
            chosen.push(text);
        }
    }
    chosen
}

/// Parts that may stand for a text: runs of letters and digits, with a slash at either end.
fn parts(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let is_slash = |at: Option<usize>| at.and_then(|at| bytes.get(at)) == Some(&b'/');
    let mut parts = Vec::new();
    let mut from = 0;
    for run in text.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let (mut start, mut end) = (from, from + run.len());
        from = end + text.get(end..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        if run.len() >= PART_MIN {
            start -= usize::from(is_slash(start.checked_sub(1)));
            end += usize::from(is_slash(Some(end)));
            parts.extend(text.get(start..end));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_texts_stand_for_all_indicators() {
        let signatures = SignatureSet::builtin();
        let needles = Needles::of(&signatures);
        assert!(!needles.takes_all && needles.texts.len() <= 64, "{needles:?}");
        let has = |text| needles.texts.iter().any(|needle| needle == text);
        assert!(has("kaspersky") && has("x-kav-timeout") && !has("timeout"), "{needles:?}");
        assert_eq!(needles.agent_marks, b"@*");
        for indicator in signatures.iter() {
            for text in Needles::default().wanted(indicator) {
                let text = text.to_ascii_lowercase();
                assert!(needles.texts.iter().any(|needle| text.contains(needle.as_str())), "{text}");
            }
        }
    }
}
