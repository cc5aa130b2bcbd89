//! Regular expressions that say what a signature says, in the syntax that PCRE, Python and Rust share.

use crate::names::{Names, Wider, group_of};
use crate::selection::Group;
use kaspector::matching::{Indicator, MatchKind};
use std::collections::BTreeMap;

/// Text that stands for itself.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'=' | b',' | b' ' | b'@' => {
                out.push(char::from(byte))
            }
            b'.' => out.push_str("\\."),
            b'/' => out.push_str("\\/"),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out
}

/// A template with a `*`.
pub fn star(template: &str) -> String {
    template.split('*').map(quoted).collect::<Vec<_>>().join("[a-z0-9-]+")
}

fn wider(form: Wider<'_>) -> String {
    match form {
        Wider::Whole(name) => quoted(name),
        Wider::Star(template) => star(template),
        Wider::Suffix(name) => format!("(?:[^.]+\\.)*{}", quoted(name)),
    }
}

/// The wider forms of each group, each an alternative for a whole name in lower case, that leaves alone what another group says closer.
pub fn wider_names<'a>(names: &Names<'a>) -> BTreeMap<Group, Vec<(String, &'a Indicator)>> {
    let mut groups = BTreeMap::<Group, Vec<(String, &Indicator)>>::new();
    for (template, one) in names.stars() {
        groups.entry(group_of(one)).or_default().push((star(template), one));
    }
    let below = names.wider_below();
    for (suffix, one) in names.suffixes() {
        let closer: Vec<String> = below.get(suffix).into_iter().flatten().map(|form| wider(*form)).collect();
        let guard = if closer.is_empty() { String::new() } else { format!("(?!(?:{})$)", closer.join("|")) };
        groups.entry(group_of(one)).or_default().push((format!("{guard}{}", wider(Wider::Suffix(suffix))), one));
    }
    groups
}

/// The path of a request, as an alternative over a path with its query, without regard to case; `None` for other kinds.
pub fn path(indicator: &Indicator) -> Option<String> {
    let text = quoted(&indicator.value);
    Some(match indicator.kind {
        MatchKind::PathPrefix => format!("^{text}"),
        MatchKind::PathSuffix => format!("^[^?#]*{text}(?:[?#]|$)"),
        MatchKind::PathContains => format!("^[^?#]*{text}"),
        // Its end is the end of the path.
        MatchKind::PathRegex => {
            let ends = indicator.value.ends_with('$') && !indicator.value.ends_with("\\$");
            let body = indicator.value.strip_suffix('$').filter(|_| ends).unwrap_or(&indicator.value);
            let start = if body.starts_with('^') { "" } else { "^[^?#]*" };
            let end = if ends { "(?:[?#]|$)" } else { "" };
            format!("{}{start}(?:{}){end}", also(indicator, true), slashes(body))
        }
        _ => return None,
    })
}

/// A User-Agent, as an alternative; `None` for other kinds. Prefixes are compared without regard to case, expressions with it.
pub fn user_agent(indicator: &Indicator) -> Option<String> {
    Some(match indicator.kind {
        MatchKind::UserAgentPrefix => format!("^(?i:{})", quoted(&indicator.value)),
        MatchKind::UserAgentRegex => format!("{}(?:{})", also(indicator, false), slashes(&indicator.value)),
        _ => return None,
    })
}

/// What else must match, looked ahead for from the beginning.
fn also(indicator: &Indicator, ends_with_path: bool) -> String {
    let part = if ends_with_path { "[^?#]*" } else { ".*" };
    let ahead: Vec<String> = indicator.also.iter().map(|one| format!("(?={part}(?:{}))", slashes(one))).collect();
    if ahead.is_empty() { String::new() } else { format!("^{}", ahead.concat()) }
}

/// A certificate's name with all of an indicator's attributes, in any order, spelt `C=XX, O=Example, CN=Name`.
pub fn certificate(indicator: &Indicator) -> Option<String> {
    let attributes: Vec<String> =
        indicator.attributes().map(|one| format!("(?=(?:.*, )?{}(?:, |$))", quoted(one))).collect();
    (!attributes.is_empty()).then(|| format!("^{}", attributes.concat()))
}

/// The beginning of a body, in hexadecimal escapes.
pub fn beginning(value: &str) -> String {
    value.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// An expression whose slashes do not end it.
fn slashes(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut escaped = false;
    for character in expression.chars() {
        if character == '/' && !escaped {
            out.push('\\');
        }
        escaped = character == '\\' && !escaped;
        out.push(character);
    }
    out
}

/// An expression without what ends a string or an option of a rule.
pub fn in_a_rule(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => out.push_str("\\x22"),
            ';' => out.push_str("\\x3b"),
            '\\' => match characters.next() {
                Some('"') => out.push_str("\\x22"),
                Some(';') => out.push_str("\\x3b"),
                Some(other) => out.extend(['\\', other]),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

/// Whether a text has nothing that ends a column or a line.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
