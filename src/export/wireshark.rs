//! The table that the Lua plugin for Wireshark and tshark loads.

use crate::addresses::Range;
use crate::left_out::{LeftOut, Reason};
use crate::names::Wider;
use crate::patterns;
use crate::selection::Selection;
use crate::{Options, Pack, PackFile};
use kaspector::matching::{Indicator, MatchKind, SignatureSet};

/// `kaspector.tsv`: the line `kaspector-wireshark/1`, comments, and one row for each value: kind, value, indicator, category, strength. Rows
/// of kind `not-...` are names below a suffix that are not meant.
#[must_use]
pub fn wireshark(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    let mut rows = Vec::new();
    let mut row = |kind: &str, value: &str, one: &Indicator| {
        rows.push(format!("{kind}\t{value}\t{}\t{}\t{}\n", one.id, one.category.name(), one.strength.name()));
    };
    for (name, one) in selection.names.whole() {
        row("name", name, one);
    }
    for (template, one) in selection.names.stars() {
        row("template", template, one);
    }
    for (suffix, one) in selection.names.suffixes() {
        row("suffix", suffix, one);
    }
    for (form, one) in selection.names.exceptions() {
        match form {
            Wider::Whole(name) => row("not-name", name, one),
            Wider::Star(template) => row("not-template", template, one),
            Wider::Suffix(suffix) => row("not-suffix", suffix, one),
        }
    }
    for one in selection.iter() {
        match one.kind {
            MatchKind::Exact | MatchKind::Template | MatchKind::Suffix => {}
            MatchKind::Address => {
                if let Some(range) = Range::new(&one.value) {
                    row("address", &format!("{}/{}", range.first, range.bits), one);
                }
            }
            MatchKind::UserAgentPrefix if patterns::is_plain(&one.value) => {
                row("user-agent", &one.value.to_ascii_lowercase(), one)
            }
            MatchKind::PathPrefix => row("path-prefix", &one.value, one),
            MatchKind::PathSuffix => row("path-suffix", &one.value, one),
            MatchKind::PathContains => row("path", &one.value, one),
            MatchKind::Ja3 => row("ja3", &one.value, one),
            _ => left_out.add(Reason::NoWord, one),
        }
    }
    let head: String =
        selection.head("table for Wireshark", &left_out).iter().map(|line| format!("# {line}\n")).collect();
    let text = format!("kaspector-wireshark/1\n{head}{}", rows.concat());
    Pack::new(vec![PackFile::new("kaspector.tsv", text)], left_out)
}
