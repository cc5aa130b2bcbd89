//! An EVE alert in one line for a person.

use serde_json::Value;
use std::net::IpAddr;

/// `2026-11-24 03:39:09 10.20.0.5 update: DNS query of s07.upd.kaspersky.com at 10.20.0.53:53, attempted (KL-UPD-0001)`. Nothing in it moves
/// a terminal's cursor. `None` for what is no alert, such as counters.
#[must_use]
pub fn readable(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |path: &str| event.pointer(path).map(plain).filter(|text| !text.is_empty());
    let metadata = |key: &str| text(&format!("/alert/metadata/kaspector_{key}/0"));
    // EVE may write IPv6 addresses in full.
    let address = |path: &str| text(path).map(|text| text.parse().map_or(text, |address: IpAddr| address.to_string()));
    let signature = text("/alert/signature")?;
    let time = text("/timestamp").unwrap_or_default();
    let at = super::time::from_eve(&time).map_or(time, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
    // The host that it is about may be either end: of a management server it is the server.
    let host = address("/alert/target/ip").or_else(|| address("/src_ip")).unwrap_or_default();
    let mut said = format!("{at} {host}");
    if let Some(name) = metadata("host_name") {
        said += &format!(" ({name})");
    }
    said += &format!(" {}", signature.strip_prefix("KASPECTOR ").unwrap_or(&signature));
    if let Some(observed) = metadata("observed") {
        said += &format!(" {observed}");
    }
    if let (Some(address), Some(port)) = (address("/alert/source/ip"), text("/alert/source/port")) {
        let address = if address.contains(':') { format!("[{address}]") } else { address };
        said += &format!(" at {address}:{port}");
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
    if let Some(since) = metadata("silent_since") {
        said += &format!(", silent since {since}");
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

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            readable(&alert("s07.upd.kaspersky.com").to_string()).as_deref(),
            Some(
                "2026-11-24 03:39:09 10.20.0.5 update: DNS query s07.upd.kaspersky.com at [2001:db8::53]:53, attempted \
                 (KL-UPD-0001)"
            )
        );
        let mut summary = alert("x");
        summary["alert"]["metadata"]["kaspector_count"] = json!(["12"]);
        summary["alert"]["metadata"]["kaspector_verdict"] = json!(["confirmed"]);
        summary["alert"]["metadata"]["kaspector_verdict_before"] = json!(["suspected"]);
        let said = readable(&summary.to_string()).unwrap_or_default();
        assert!(said.ends_with("suspected before, now confirmed, 12 more (KL-UPD-0001)"), "{said}");
    }

    #[test]
    fn counters_are_none_and_a_hostile_value_controls_nothing() {
        assert_eq!(readable(r#"{"event_type":"stats","stats":{}}"#), None);
        assert_eq!(readable("no json"), None);
        let said = readable(&alert("a\u{1b}[2J\r\n\u{202e}\u{9b}x").to_string()).unwrap_or_default();
        assert!(said.contains("a\\u{1b}[2J\\u{d}\\u{a}\\u{202e}\\u{9b}x"), "{said}");
        assert!(said.chars().all(|character| !character.is_control()));
    }
}
