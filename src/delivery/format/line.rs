//! An EVE alert in one line for a terminal.

use super::event::Event;
use std::net::SocketAddr;

/// `2026-11-24 03:39:09 10.20.0.5 update: DNS query s07.upd.kaspersky.com at 10.20.0.53:53, attempted (KL-UPD-0001)`, in UTC. Nothing in it
/// moves a terminal's cursor. `None` for what is no alert, such as counters.
#[must_use]
pub fn alert_line(line: &str) -> Option<String> {
    let event = Event::from_line(line)?;
    let metadata = |key: &str| event.metadata(&format!("kaspector_{key}"));
    let signature = event.text("/alert/signature")?;
    let civil = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let mut said = event.time("/timestamp").map(civil).unwrap_or_default();
    if let Some(host) = event.host() {
        said += &format!(" {host}");
    }
    said += &format!(" {}", signature.strip_prefix("KASPECTOR ").unwrap_or(&signature));
    if let Some(observed) = metadata("observed") {
        said += &format!(" {observed}");
    }
    let port = event.port("/alert/source/port").and_then(|port| u16::try_from(port).ok());
    if let Some((address, port)) = event.address("/alert/source/ip").zip(port) {
        said += &format!(" at {}", SocketAddr::new(address, port));
    }
    if let Some(reached) = metadata("reached") {
        said += &format!(", {reached}");
    }
    match (metadata("verdict_before"), metadata("verdict")) {
        (Some(before), Some(verdict)) if before != verdict => said += &format!(", {before} before, now {verdict}"),
        (_, Some(verdict)) => said += &format!(", {verdict}"),
        _ => {}
    }
    if let Some(count) = metadata("count") {
        said += &format!(", {count} more");
    }
    if let Some(since) = event.metadata_time("kaspector_silent_since") {
        said += &format!(", silent since {}", civil(since));
    }
    if let Some(indicator) = metadata("indicator") {
        said += &format!(" ({indicator})");
    }
    Some(said.chars().flat_map(escaped).collect())
}

/// A character as it may be shown: letters, digits and what is printed in ASCII. All else could move or hide something.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let is_plain = character.is_alphanumeric() || character == ' ' || character.is_ascii_graphic();
    let (one, many) = if is_plain { (Some(character), None) } else { (None, Some(character.escape_unicode())) };
    one.into_iter().chain(many.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn alert(observed: &str) -> Value {
        json!({"timestamp": "2026-11-24T03:39:09.279629+0000", "event_type": "alert", "src_ip": "10.20.0.5",
            "alert": {"signature": "KASPECTOR update: DNS query", "source": {"ip": "2001:0db8:0000:0000:0000:0000:0000:0053", "port": 53},
                "target": {"ip": "10.20.0.5", "port": 52616},
                "metadata": {"kaspector_indicator": ["KL-UPD-0001"], "kaspector_reached": ["attempted"],
                    "kaspector_observed": [observed]}}})
    }

    #[test]
    fn an_alert_is_one_line() {
        assert_eq!(
            alert_line(&alert("s07.upd.kaspersky.com").to_string()).as_deref(),
            Some(
                "2026-11-24 03:39:09 10.20.0.5 update: DNS query s07.upd.kaspersky.com at [2001:db8::53]:53, attempted \
                 (KL-UPD-0001)"
            )
        );
        let mut summary = alert("x");
        summary["alert"]["metadata"]["kaspector_count"] = json!(["12"]);
        summary["alert"]["metadata"]["kaspector_verdict"] = json!(["confirmed"]);
        summary["alert"]["metadata"]["kaspector_verdict_before"] = json!(["suspected"]);
        let said = alert_line(&summary.to_string()).unwrap_or_default();
        assert!(said.ends_with("suspected before, now confirmed, 12 more (KL-UPD-0001)"), "{said}");
    }

    #[test]
    fn counters_are_none_and_a_hostile_value_controls_nothing() {
        assert_eq!(alert_line(r#"{"event_type":"stats","stats":{}}"#), None);
        assert_eq!(alert_line("no json"), None);
        let said = alert_line(&alert("a\u{1b}[2J\r\n\u{202e}\u{9b}x").to_string()).unwrap_or_default();
        assert!(said.contains("a\\u{1b}[2J\\u{d}\\u{a}\\u{202e}\\u{9b}x"), "{said}");
        assert!(said.chars().all(|character| !character.is_control()));
    }
}
