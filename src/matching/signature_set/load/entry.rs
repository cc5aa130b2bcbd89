//! One table of a signature file, key by key.

use super::place::{File, Place};
use crate::matching::signature_set::SignatureError;
use crate::matching::{Category, Indicator, MatchKind, Strength};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How the ids of the built-in set begin, and of sets that replace it.
const OUR_IDS: &str = "KL-";

/// Highest number of an indicator within its category, among ids that begin so.
const NUMBER_MAX: u16 = 499;

/// Longest id.
const ID_BYTES_MAX: usize = 64;

/// One `[[indicator]]` of a file.
pub struct Entry<'a> {
    pub file: &'a File,
    pub span: Range<usize>,
    pub table: &'a DeTable<'a>,
}

/// Keys of an indicator, in the order of the documentation.
const KEYS: [&str; 15] = [
    "id",
    "match",
    "value",
    "literal",
    "also",
    "tls_version",
    "ports",
    "category",
    "strength",
    "products",
    "engine_in",
    "era",
    "sources",
    "date",
    "note",
];
const REV: &str = "rev";

impl Entry<'_> {
    /// The indicator, or nothing and all that is wrong with it in `faults`.
    pub fn read(&self, faults: &mut Vec<SignatureError>) -> Option<Indicator> {
        let mut found = Vec::new();
        for (key, _) in in_order(self.table) {
            let name = key.get_ref().as_ref();
            if name != REV && !KEYS.contains(&name) {
                let what = format!("unknown key {name:?}; expected one of {}, {REV}", KEYS.join(", "));
                found.push(self.file.bad(&key.span(), what));
            }
        }
        let category =
            noted(self.one_of("category", Category::from_name, &Category::ALL.map(Category::name)), &mut found);
        let strength =
            noted(self.one_of("strength", Strength::from_name, &Strength::ALL.map(Strength::name)), &mut found);
        let kind = noted(self.one_of("match", MatchKind::from_name, &MatchKind::ALL.map(MatchKind::name)), &mut found);
        let id = category.and_then(|category| noted(self.id(category), &mut found));
        let sources = noted(self.texts("sources"), &mut found);
        if sources.as_ref().is_some_and(Vec::is_empty) {
            let what = "no source; name at least one page or document that says so, as sources = [\"https://...\"]";
            found.push(self.file.bad(&self.span_of("sources"), what));
        }
        let value = noted(self.text("value"), &mut found);
        let literal = noted(self.optional_text("literal"), &mut found);
        let also = noted(self.texts("also"), &mut found);
        let tls_version = noted(self.tls_version(), &mut found);
        let ports = noted(self.texts("ports"), &mut found);
        let products = noted(self.texts("products"), &mut found);
        let engine_in = noted(self.texts("engine_in"), &mut found);
        let era = noted(self.optional_text("era"), &mut found);
        let date = noted(self.date(), &mut found);
        let note = noted(self.optional_text("note"), &mut found);
        let rev = noted(self.rev(), &mut found);
        if let Some(kind) = kind {
            let is_regex = matches!(kind, MatchKind::PathRegex | MatchKind::UserAgentRegex);
            for (key, allowed) in [
                ("literal", is_regex),
                ("also", is_regex),
                ("tls_version", kind == MatchKind::Ja3),
                ("ports", kind == MatchKind::StreamPrefix),
            ] {
                if !allowed && let Some((span, _)) = self.find(key) {
                    let what = format!("{key:?} means nothing for match = {:?}; remove it", kind.name());
                    found.push(self.file.bad(&span, what));
                }
            }
        }
        if !found.is_empty() {
            faults.append(&mut found);
            return None;
        }
        Some(Indicator {
            id: id?,
            kind: kind?,
            value: value?.to_owned(),
            literal: literal?.map(str::to_owned),
            also: also?,
            tls_version: tls_version?,
            ports: ports?,
            category: category?,
            strength: strength?,
            products: products?,
            engine_in: engine_in?,
            era: era?.unwrap_or_default().to_owned(),
            sources: sources?,
            date: date?,
            note: note?.unwrap_or_default().to_owned(),
            rev: rev?,
        })
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &Spanned<DeValue<'_>>)> {
        let (key, value) = self.table.get_key_value(key)?;
        Some((key.span(), value))
    }

    /// Where a key stands; where the indicator begins if it has none.
    fn span_of(&self, key: &str) -> Range<usize> {
        self.find(key).map_or(self.span.clone(), |(span, _)| span)
    }

    /// The place of [`Self::span_of`].
    pub fn place_of(&self, key: &str) -> Place {
        self.file.place(&self.span_of(key))
    }

    fn optional_text(&self, key: &str) -> Result<Option<&str>, SignatureError> {
        let Some((_, value)) = self.find(key) else { return Ok(None) };
        let wrong =
            || self.file.bad(&value.span(), format!("{key:?} is no text; write it in quotes, as {key} = \"...\""));
        value.get_ref().as_str().map(Some).ok_or_else(wrong)
    }

    /// A text that a product needs.
    pub fn required(&self, key: &str) -> Result<&str, SignatureError> {
        let text = self.optional_text(key)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| {
            self.file.bad(&self.span_of(key), format!("this product has no {key:?}; every one needs id, name and kind"))
        })
    }

    fn text(&self, key: &str) -> Result<&str, SignatureError> {
        let text = self.optional_text(key)?.ok_or_else(|| {
            self.file.bad(&self.span, format!("this indicator has no {key:?}; every one needs id, match, value, category, strength, sources and date"))
        })?;
        if text.trim().is_empty() {
            return Err(self.file.bad(&self.span_of(key), format!("{key:?} is empty; write what it is")));
        }
        Ok(text)
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, SignatureError> {
        let Some((_, list)) = self.find(key) else { return Ok(Vec::new()) };
        let what = || format!("{key:?} is no list of texts; write it as {key} = [\"...\", \"...\"]");
        let array = list.get_ref().as_array().ok_or_else(|| self.file.bad(&list.span(), what()))?;
        array
            .iter()
            .map(|one| {
                let text = one.get_ref().as_str().filter(|text| !text.trim().is_empty());
                text.map(str::to_owned).ok_or_else(|| self.file.bad(&one.span(), what()))
            })
            .collect()
    }

    pub fn one_of<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>, names: &[&str]) -> Result<T, SignatureError> {
        let text = self.text(key)?;
        read(text).ok_or_else(|| {
            let what = if key == "match" { "kind of match" } else { key };
            self.file.bad(&self.span_of(key), format!("unknown {what} {text:?}; expected one of {}", names.join(", ")))
        })
    }

    fn id(&self, category: Category) -> Result<String, SignatureError> {
        let id = self.text("id")?;
        let is_ours = id.get(..OUR_IDS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OUR_IDS));
        if !is_ours {
            return if is_own_id(id) {
                Ok(id.to_owned())
            } else {
                let what = format!(
                    "bad id {id:?}; an id of your own, such as ORG-000001, has at most {ID_BYTES_MAX} letters, digits, '-', '_', '.' and ':', \
                     begins with a letter or digit, and does not begin with {OUR_IDS}"
                );
                Err(self.file.bad(&self.span_of("id"), what))
            };
        }
        let expected = format!("KL-{}-", category.code());
        let digits =
            id.strip_prefix(&expected).filter(|rest| rest.len() == 4 && rest.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| (1..=NUMBER_MAX).contains(number));
        number.ok_or_else(|| {
            let what = format!(
                "bad id {id:?}; an indicator of category {:?} is named {expected}0001 to {expected}{NUMBER_MAX:04}, \
                 or in a form of your own that does not begin with {OUR_IDS}",
                category.name()
            );
            self.file.bad(&self.span_of("id"), what)
        })?;
        Ok(id.to_owned())
    }

    fn tls_version(&self) -> Result<Option<u16>, SignatureError> {
        match self.optional_text("tls_version")? {
            None => Ok(None),
            Some("1.0") => Ok(Some(0x0301)),
            Some("1.1") => Ok(Some(0x0302)),
            Some("1.2") => Ok(Some(0x0303)),
            Some("1.3") => Ok(Some(0x0304)),
            Some(other) => {
                let what = format!("unknown TLS version {other:?}; expected one of 1.0, 1.1, 1.2, 1.3");
                Err(self.file.bad(&self.span_of("tls_version"), what))
            }
        }
    }

    fn date(&self) -> Result<String, SignatureError> {
        let Some((span, value)) = self.find("date") else {
            return Err(self.file.bad(
                &self.span,
                "this indicator has no \"date\"; write the day of the last check, as date = 2026-11-23",
            ));
        };
        let day = value.get_ref().as_datetime().filter(|moment| moment.time.is_none()).and_then(|moment| moment.date);
        let day = day
            .ok_or_else(|| self.file.bad(&span, "\"date\" is no day; write it without quotes, as date = 2026-11-23"))?;
        Ok(day.to_string())
    }

    fn rev(&self) -> Result<u32, SignatureError> {
        let Some((span, value)) = self.find(REV) else { return Ok(1) };
        let number =
            value.get_ref().as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        number
            .filter(|&number| number > 0)
            .ok_or_else(|| self.file.bad(&span, "\"rev\" is no count from 1; write it as rev = 2"))
    }
}

/// The value, or nothing and what is wrong in `faults`.
fn noted<T>(result: Result<T, SignatureError>, faults: &mut Vec<SignatureError>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

/// The keys of a table in the order of the file, so that the first thing that is wrong is the one that is named.
pub fn in_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    let mut by_place: Vec<_> = table.iter().collect();
    by_place.sort_unstable_by_key(|(key, _)| key.span().start);
    by_place
}

/// Whether an id is one that a set may give itself: it stands in lines of text, in URLs and in metadata of alerts without being quoted.
fn is_own_id(id: &str) -> bool {
    id.len() <= ID_BYTES_MAX
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

/// Whether a text is short and printable.
pub fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
