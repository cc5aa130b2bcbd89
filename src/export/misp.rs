//! MISP: one event with an attribute for each indicator.

use crate::addresses::Range;
use crate::left_out::{LeftOut, Reason};
use crate::patterns;
use crate::selection::Selection;
use crate::uuid::uuid;
use crate::{Options, Pack, PackFile};
use kaspector::matching::{Indicator, MatchKind, SignatureSet};
use serde_json::{Value, json};

/// `kaspector.misp.json`: an event as MISP exports and imports it. No attribute is for an IDS (`to_ids`): they say that a product is there.
#[must_use]
pub fn misp(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    let mut attributes = Vec::new();
    for one in selection.iter() {
        let values = values(one);
        if values.is_empty() {
            left_out.add(Reason::NoWord, one);
        }
        attributes.extend(values.into_iter().map(|(kind, value)| attribute(one, kind, &value)));
    }
    let mut about = selection.head("indicators for MISP", &left_out);
    about.push(
        "The domains are on MISP's warning lists of popular sites: who filters by warning list drops them.".to_owned(),
    );
    attributes.insert(
        0,
        json!({
            "uuid": uuid("about"), "type": "comment", "category": "Other", "to_ids": false, "distribution": "5",
            "value": about.join("\n"), "comment": "", "timestamp": seconds(selection.date()),
        }),
    );
    let event = json!({"Event": {
        "uuid": uuid("event"), "info": format!("Kaspector signature set {}: traffic of Kaspersky products", set.version()),
        "date": selection.date(), "timestamp": seconds(selection.date()), "published": false, "analysis": "2", "threat_level_id": "4",
        "distribution": "0", "Tag": [{"name": "tlp:clear"}, {"name": format!("kaspector:set=\"{}\"", set.sha256())}],
        "Attribute": attributes,
    }});
    let text = serde_json::to_string_pretty(&event).unwrap_or_default() + "\n";
    Pack::new(vec![PackFile::new("kaspector.misp.json", text)], left_out)
}

fn attribute(one: &Indicator, kind: &str, value: &str) -> Value {
    json!({
        "uuid": uuid(&format!("attribute {} {kind} {value}", one.id)), "type": kind,
        "category": "Network activity", "to_ids": false,
        "distribution": "5", "value": value, "timestamp": seconds(&one.date),
        "comment": format!("{} {} {}{}{}", one.id, one.category.name(), one.strength.name(),
            if one.kind == MatchKind::Suffix { " and all below" } else { "" },
            if one.note.is_empty() { String::new() } else { format!(": {}", one.note) }),
    })
}

/// Types and values of MISP; empty where it has none.
fn values(one: &Indicator) -> Vec<(&'static str, String)> {
    match one.kind {
        MatchKind::Exact => vec![("hostname", one.value.clone())],
        MatchKind::Suffix => vec![("domain", one.value.clone())],
        MatchKind::Template => one
            .names()
            .into_iter()
            .map(|name| match name.contains('*') {
                true => ("pattern-in-traffic", format!("^{}$", patterns::star(&name))),
                false => ("hostname", name),
            })
            .collect(),
        MatchKind::Address => Range::new(&one.value).map(|range| ("ip-dst", range.to_string())).into_iter().collect(),
        MatchKind::Ja3 => vec![("ja3-fingerprint-md5", one.value.clone())],
        MatchKind::UserAgentPrefix => vec![("user-agent", one.value.clone())],
        MatchKind::PathPrefix | MatchKind::PathSuffix | MatchKind::PathContains | MatchKind::PathRegex => {
            patterns::path(one).map(|path| ("pattern-in-traffic", path)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// A day as seconds since 1970, in text as MISP has it.
fn seconds(day: &str) -> String {
    let mut parts = day.split('-').map(|part| part.parse::<i64>().unwrap_or(1));
    let (Some(year), Some(month), Some(date)) = (parts.next(), parts.next(), parts.next()) else { return "0".into() };
    // Days of the civil calendar, counted from March so that the leap day comes last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date - 1 - 719_468;
    (days * 86_400).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_are_counted_from_1970() {
        for (day, seconds) in [("1970-01-01", "0"), ("2024-02-29", "1709164800"), ("2026-11-23", "1795392000")] {
            assert_eq!(super::seconds(day), seconds);
        }
    }
}
