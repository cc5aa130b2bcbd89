//! Findings in words, for people. What comes from the wire is text of bounded length: no line breaks, nothing that changes how a line is read.

use super::event::{Event, Kind};
use crate::Message;
use crate::time::rfc3339;
use std::sync::Arc;

/// One finding in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Who, and what is new.
    pub title: String,
    /// The same in two words.
    pub brief: String,
    /// What is known besides: names of things, and these.
    pub facts: Vec<(&'static str, String)>,
}

/// The longest value that is told.
const VALUE_CHARS: usize = 160;

impl Told {
    /// What a message says. One that is no alert is told as it is.
    pub fn of(message: &Message) -> Self {
        let Some(event) = Event::from_line(&message.line) else {
            return Self { title: plain(&message.line), brief: plain(&message.host), facts: Vec::new() };
        };
        let kind = event.kind();
        let host = event.host().map_or_else(|| "unknown host".to_owned(), |host| host.to_string());
        let verdict = event.metadata("kaspector_verdict");
        let signature = event.first_of(&["/alert/signature", "/event_type"]).unwrap_or_default();
        let signature = signature.strip_prefix("KASPECTOR ").unwrap_or(&signature);
        let what = match (kind, &verdict, event.metadata("kaspector_verdict_before")) {
            (Kind::Silence, _, _) => "shows nothing any more".to_owned(),
            (Kind::Return, _, _) => format!("shows itself again: {signature}"),
            (_, Some(now), Some(before)) => format!("{now}, {before} before: {signature}"),
            _ => signature.to_owned(),
        };
        let brief = match (kind, &verdict) {
            (Kind::Silence, _) => format!("{host} silent"),
            (Kind::Return, _) => format!("{host} back"),
            (_, Some(now)) => format!("{host} {now}"),
            _ => host.clone(),
        };
        let moment = |key: &str| event.metadata_time(key).map(rfc3339);
        let all = |name: &str| {
            let (_, values) = event.all_metadata().find(|(key, _)| *key == name)?;
            let values: Vec<&str> = values.iter().filter_map(serde_json::Value::as_str).take(8).collect();
            Some(values.join(", ").replace('_', " "))
        };
        let server = event.address("/dest_ip").map(|server| match event.port("/dest_port") {
            Some(port) => std::net::SocketAddr::new(server, u16::try_from(port).unwrap_or_default()).to_string(),
            None => server.to_string(),
        });
        let facts = [
            ("verdict", verdict.filter(|_| kind == Kind::Silence)),
            ("seen", event.metadata("kaspector_observed")),
            ("server", server),
            ("service", all("kaspector_service")),
            ("product", all("affected_product")),
            ("confidence", event.metadata("confidence").map(|confidence| confidence.to_lowercase())),
            ("at", event.time("/timestamp").map(rfc3339)),
            ("name", event.metadata("kaspector_host_name")),
            ("known since", moment("kaspector_known_since")),
            ("silent since", moment("kaspector_silent_since")),
            ("finding", event.metadata("kaspector_finding")),
            ("uid", Some(message.uid.to_string())),
        ];
        let facts = facts.into_iter().filter_map(|(name, value)| Some((name, plain(&value?))));
        Self { title: plain(&format!("{host}: {what}")), brief, facts: facts.collect() }
    }

    /// The facts in one line.
    pub fn line(&self) -> String {
        let facts: Vec<String> = self.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        facts.join(" \u{b7} ")
    }
}

/// So many findings, as a heading.
pub(crate) fn heading(batch: &[Arc<Message>], sensor: &str) -> String {
    let (count, sensor) = (batch.len(), plain(sensor));
    let word = if count == 1 { "finding" } else { "findings" };
    format!("[kaspector {sensor}] {count} {word}")
}

/// On one line, without what changes how the rest of it is shown, and not too long.
pub(crate) fn plain(text: &str) -> String {
    let harmless = |character: char| match character {
        // Marks and overrides of direction, separators of lines, and what has no width.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' => {
            '\u{fffd}'
        }
        _ if character.is_control() => ' ',
        _ => character,
    };
    let mut characters = text.chars();
    let mut out: String = characters.by_ref().take(VALUE_CHARS).map(harmless).collect();
    if characters.next().is_some() {
        out.push('\u{2026}');
    }
    out
}
