//! An EVE alert in ArcSight's Common Event Format.

use serde_json::Value;
use std::fmt::Write;
use std::net::IpAddr;

/// One CEF line; `None` when `line` is no JSON object. `sensor` is the name of the device that saw it.
pub(crate) fn cef(line: &str, uid: &str, sensor: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    event.as_object()?;
    let text = |path: &str| event.pointer(path).map(plain).filter(|text| !text.is_empty());
    let metadata = |key: &str| text(&format!("/alert/metadata/{key}/0"));
    let id = text("/alert/signature_id").or_else(|| text("/event_type")).unwrap_or_default();
    let name = text("/alert/signature").or_else(|| text("/event_type")).unwrap_or_default();
    // EVE counts down from 1, CEF up to 10; a 1 would be "high" in consoles.
    let severity = if text("/alert/severity").as_deref() == Some("2") { 5 } else { 3 };
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!("CEF:0|Kaspector|Kaspector|{version}|{}|{}|{severity}|", header(&id), header(&name));
    let mut space = "";
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(out, "{space}{key}={}", extension(&value));
            space = " ";
        }
    };
    put("rt", text("/timestamp").and_then(|at| milliseconds(&at)));
    put("start", text("/flow/start").and_then(|at| milliseconds(&at)));
    put("externalId", Some(uid.to_owned()));
    for (pointer, v4, v6, label) in [("/src_ip", "src", "c6a2", "Source"), ("/dest_ip", "dst", "c6a3", "Destination")] {
        match text(pointer).and_then(|address| address.parse::<IpAddr>().ok()) {
            Some(IpAddr::V4(address)) => put(v4, Some(address.to_string())),
            Some(IpAddr::V6(address)) => {
                put(&format!("{v6}Label"), Some(format!("{label} IPv6 Address")));
                put(v6, Some(address.to_string()));
            }
            None => {}
        }
    }
    put("spt", text("/src_port"));
    put("dpt", text("/dest_port"));
    put("proto", text("/proto"));
    put("app", text("/app_proto").map(|name| name.to_uppercase()));
    let names = ["/tls/sni", "/quic/sni", "/http/hostname", "/dns/query/0/rrname", "/dns/queries/0/rrname"];
    put("dhost", names.iter().find_map(|name| text(name)));
    put("act", text("/alert/action"));
    put("cat", text("/alert/category"));
    put("out", text("/flow/bytes_toserver"));
    put("in", text("/flow/bytes_toclient"));
    put("cnt", Some(metadata("kaspector_count").unwrap_or_else(|| "1".to_owned())));
    put("dvchost", Some(sensor.to_owned()));
    if let Some(since) = metadata("kaspector_known_since").and_then(|at| milliseconds(&at)) {
        put("deviceCustomDate1Label", Some("knownSince".to_owned()));
        put("deviceCustomDate1", Some(since));
    }
    for (key, label, value) in [
        ("cs1", "communityId", text("/community_id")),
        ("cs2", "service", metadata("kaspector_service")),
        ("cs3", "product", metadata("affected_product")),
        ("cs4", "finding", metadata("kaspector_finding")),
        ("cs5", "observed", metadata("kaspector_observed")),
        ("cs6", "confidence", metadata("confidence")),
    ] {
        if value.is_some() {
            put(&format!("{key}Label"), Some(label.to_owned()));
            put(key, value);
        }
    }
    Some(out)
}

/// The milliseconds since 1970 of an EVE time.
fn milliseconds(at: &str) -> Option<String> {
    crate::time::from_eve(at).map(|at| at.as_millisecond().to_string())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn header(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('|', "\\|");
    text.replace(|character: char| character.is_control(), " ")
}

fn extension(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r");
    text.replace(|character: char| character.is_control(), " ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alert_has_its_fields_and_a_hostile_value_makes_none() {
        let line = json!({"timestamp": "2026-01-01T00:00:00.090000+0000", "event_type": "alert", "src_ip": "10.20.1.15",
            "src_port": 49152, "dest_ip": "2001:0db8:0000:0000:0000:0000:0000:0005", "dest_port": 443, "proto": "TCP",
            "app_proto": "tls", "community_id": "1:g9Oc=", "tls": {"sni": "a=b\\c\nact=blocked|"},
            "alert": {"action": "allowed", "signature_id": 1990002, "signature": "a|b\\c", "severity": 2, "category": "x",
                "metadata": {"kaspector_service": ["reputation"],
                    "kaspector_known_since": ["2025-12-31T23:59:59.500000+0000"]}}});
        let text = cef(&line.to_string(), "01U", "sensor-01").unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                "CEF:0|Kaspector|Kaspector|{version}|1990002|a\\|b\\\\c|5|rt=1767225600090 externalId=01U src=10.20.1.15 \
                 c6a3Label=Destination IPv6 Address c6a3=2001:db8::5 spt=49152 dpt=443 proto=TCP app=TLS \
                 dhost=a\\=b\\\\c\\nact\\=blocked| act=allowed cat=x cnt=1 dvchost=sensor-01 \
                 deviceCustomDate1Label=knownSince deviceCustomDate1=1767225599500 cs1Label=communityId \
                 cs1=1:g9Oc\\= cs2Label=service cs2=reputation"
            )
        );
        assert_eq!(cef("no json", "", ""), None);
    }
}
