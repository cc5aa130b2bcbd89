//! STIX 2.1: a bundle with one indicator object for each indicator.

use crate::addresses::Range;
use crate::left_out::{LeftOut, Reason};
use crate::patterns;
use crate::selection::Selection;
use crate::uuid::uuid;
use crate::{Options, Pack, PackFile};
use kaspector::matching::{Indicator, MatchKind, SignatureSet, Strength};
use serde_json::{Value, json};

/// `kaspector.stix.json`: the vendor of the data as an identity, a note with what is left out, and the indicators. They say that a product
/// is there, not that anything is malicious (`indicator_types` is `unknown`).
#[must_use]
pub fn stix(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    let author = format!("identity--{}", uuid("identity"));
    let day = moment(selection.date());
    let mut indicators = Vec::new();
    for one in selection.iter() {
        match pattern(one) {
            Some(pattern) => indicators.push(object(one, &pattern, &author)),
            None => left_out.add(Reason::NoWord, one),
        }
    }
    let about: Vec<&Value> = indicators.iter().filter_map(|one| one.get("id")).collect();
    let note = json!({
        "type": "note", "spec_version": "2.1", "id": format!("note--{}", uuid(&format!("note {}", set.sha256()))),
        "created": day, "modified": day, "created_by_ref": author,
        "abstract": format!("Kaspector signature set {}", set.version()),
        "content": selection.head("indicators as STIX 2.1", &left_out).join("\n"),
        "object_refs": if about.is_empty() { vec![json!(author)] } else { about.into_iter().cloned().collect() },
    });
    let mut objects = vec![
        json!({
            "type": "identity", "spec_version": "2.1", "id": author, "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z", "name": "Kaspector", "identity_class": "system",
        }),
        note,
    ];
    objects.extend(indicators);
    let bundle = json!({
        "type": "bundle", "id": format!("bundle--{}", uuid(&format!("bundle {} {}", set.sha256(), options.browse))), "objects": objects,
    });
    let text = serde_json::to_string_pretty(&bundle).unwrap_or_default() + "\n";
    Pack::new(vec![PackFile::new("kaspector.stix.json", text)], left_out)
}

fn object(one: &Indicator, pattern: &str, author: &str) -> Value {
    let day = moment(&one.date);
    let confidence = match one.strength {
        Strength::Installed => 85,
        Strength::Ambiguous => 40,
        Strength::Browse => 10,
    };
    let sources: Vec<Value> = one
        .sources
        .iter()
        .map(|source| match source.split_once(' ') {
            None if source.contains("://") => json!({"source_name": "source", "url": source}),
            // An address with words behind it.
            Some((url, words)) if url.contains("://") => {
                json!({"source_name": "source", "url": url, "description": words})
            }
            _ => json!({"source_name": "source", "description": source}),
        })
        .chain([json!({"source_name": "kaspector", "external_id": one.id})])
        .collect();
    let mut object = json!({
        "type": "indicator", "spec_version": "2.1", "id": format!("indicator--{}", uuid(&format!("indicator {}", one.id))),
        "created": day, "modified": day, "created_by_ref": author, "name": format!("{} {}", one.id, one.value),
        "indicator_types": ["unknown"], "pattern": pattern, "pattern_type": "stix", "valid_from": day, "confidence": confidence,
        "labels": [format!("kaspector-{}", one.category.name()), format!("kaspector-{}", one.strength.name())],
        "external_references": sources,
    });
    if let (Some(object), false) = (object.as_object_mut(), one.note.is_empty()) {
        object.insert("description".to_owned(), json!(one.note));
    }
    object
}

/// A day as a time of STIX.
fn moment(day: &str) -> String {
    format!("{day}T00:00:00.000Z")
}

/// What the indicator looks for, as a pattern; `None` where STIX has no word for it.
fn pattern(one: &Indicator) -> Option<String> {
    let said = |tests: Vec<String>| (!tests.is_empty()).then(|| format!("[{}]", tests.join(" OR ")));
    let request = "network-traffic:extensions.'http-request-ext'";
    match one.kind {
        MatchKind::Exact => said(vec![format!("domain-name:value = {}", text(&one.value))]),
        MatchKind::Suffix => said(vec![
            format!("domain-name:value = {}", text(&one.value)),
            format!("domain-name:value LIKE {}", text(&format!("%.{}", one.value))),
        ]),
        MatchKind::Template => said(one.names().iter().map(|name| domain(name)).collect()),
        MatchKind::Address => {
            let range = Range::new(&one.value)?;
            let kind = if range.first.is_ipv4() { "ipv4-addr" } else { "ipv6-addr" };
            let is = if range.is_single() { "=" } else { "ISSUBSET" };
            said(vec![format!("{kind}:value {is} {}", text(&range.to_string()))])
        }
        MatchKind::PathPrefix | MatchKind::PathSuffix | MatchKind::PathContains | MatchKind::PathRegex => {
            let expression = format!("(?i){}", patterns::path(one)?);
            said(vec![format!("{request}.request_value MATCHES {}", text(&expression))])
        }
        MatchKind::UserAgentPrefix | MatchKind::UserAgentRegex => {
            let expression = patterns::user_agent(one)?;
            said(vec![format!("{request}.request_header.'User-Agent' MATCHES {}", text(&expression))])
        }
        MatchKind::CertificateIssuer => {
            said(vec![format!("x509-certificate:issuer MATCHES {}", text(&patterns::certificate(one)?))])
        }
        MatchKind::CertificateSubject => {
            said(vec![format!("x509-certificate:subject MATCHES {}", text(&patterns::certificate(one)?))])
        }
        _ => None,
    }
}

fn domain(name: &str) -> String {
    if name.contains('*') {
        format!("domain-name:value MATCHES {}", text(&format!("^{}$", patterns::star(name))))
    } else {
        format!("domain-name:value = {}", text(name))
    }
}

/// A string literal of a pattern.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
