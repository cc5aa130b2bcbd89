//! An EVE alert as OCSF Detection Finding. A host has one finding: first sights create it, what is seen later updates it, silence closes it.

use super::event::{Event, Kind, Object};
use serde_json::{Value, json};

/// The schema's version that names and numbers are from.
const VERSION: &str = "1.5.0";
const CLASS: u32 = 2004;

/// One line; `None` when `line` is no JSON object.
pub(crate) fn ocsf(line: &str, uid: &str, sensor: &str) -> Option<String> {
    let event = Event::from_line(line)?;
    let kind = event.kind();
    // A host that shows another indicator keeps its finding.
    let was_known = event
        .metadata_time("kaspector_known_since")
        .zip(event.time("/timestamp"))
        .is_some_and(|(since, at)| since < at);
    let (activity, activity_name) = match kind {
        Kind::FirstSight if !was_known => (1_u32, "Create"),
        Kind::FirstSight | Kind::Rise | Kind::Summary | Kind::Return => (2, "Update"),
        Kind::Silence => (3, "Close"),
    };
    let at = event.time("/timestamp").map(jiff::Timestamp::as_millisecond);
    let mut out = Object::default();
    out.set("activity_id", activity);
    out.set("activity_name", activity_name);
    out.set("category_uid", 2);
    out.set("category_name", "Findings");
    out.set("class_uid", CLASS);
    out.set("class_name", "Detection Finding");
    out.set("type_uid", CLASS * 100 + activity);
    out.set("type_name", format!("Detection Finding: {activity_name}"));
    // The schema wants a moment; a record without one is from its beginning.
    out.set("time", at.unwrap_or_default());
    out.set("is_alert", matches!(kind, Kind::FirstSight | Kind::Rise | Kind::Return));
    // Silence is no proof that a host was cleaned: that is for a person to say.
    let (status, status_name) = if kind == Kind::Silence { (99, "Silent") } else { (1, "New") };
    out.set("status_id", status);
    out.set("status", status_name);
    let (severity, severity_name) = match (kind, event.number("/alert/severity")) {
        (Kind::Silence, _) | (_, None) => (1, "Informational"),
        (_, Some(..=2)) => (3, "Medium"),
        _ => (2, "Low"),
    };
    out.set("severity_id", severity);
    out.set("severity", severity_name);
    let confidence = match event.metadata("confidence").as_deref() {
        Some("High") => Some((3, "High")),
        Some("Medium") => Some((2, "Medium")),
        Some("Low") => Some((1, "Low")),
        _ => None,
    };
    out.put("confidence_id", confidence.map(|(id, _)| id));
    out.put("confidence", confidence.map(|(_, name)| name));
    out.set("message", event.sentence());
    out.put("count", event.metadata("kaspector_count").and_then(|count| count.parse::<u32>().ok()));
    out.set("metadata.version", VERSION);
    out.set("metadata.uid", uid);
    out.put("metadata.event_code", event.text("/alert/signature_id"));
    out.put("metadata.original_time", event.text("/timestamp"));
    let product = json!({"name": "Kaspector", "vendor_name": "Kaspector", "version": env!("CARGO_PKG_VERSION"), "uid": "kaspector"});
    out.set("metadata.product", product);
    out.set("metadata.loggers", json!([{"name": sensor}]));
    put_finding(&mut out, &event, uid);
    let evidence = evidence(&event);
    out.put("observables", observables(evidence.as_ref()));
    out.put("evidences", evidence.map(|evidence| vec![evidence]));
    if let Some(host) = event.host() {
        out.set("resources", json!([{"type": "Host", "name": host.to_string(), "ip": host.to_string()}]));
    }
    for (key, values) in event.all_metadata().filter(|(key, _)| key.starts_with("kaspector_") || *key == "tag") {
        let value = if let [one] = values { one.clone() } else { Value::from(values) };
        out.put_in("unmapped", key, value);
    }
    let products = event.all_metadata().find(|(key, _)| *key == "affected_product");
    out.put("unmapped.kaspector_product", products.map(|(_, values)| values));
    out.put("unmapped.in_iface", event.text("/in_iface"));
    out.finish().map(|out| out.to_string())
}

fn put_finding(out: &mut Object, event: &Event, uid: &str) {
    let milliseconds = |at: jiff::Timestamp| at.as_millisecond();
    out.set("finding_info.uid", event.metadata("kaspector_finding").unwrap_or_else(|| uid.to_owned()));
    out.put("finding_info.title", event.text("/alert/signature"));
    out.put("finding_info.types", event.text("/alert/category").map(|category| vec![category]));
    out.set("finding_info.data_sources", json!(["network"]));
    let at = event.time("/timestamp");
    let known_since = event.metadata_time("kaspector_known_since");
    out.put("finding_info.first_seen_time", known_since.or(at).map(milliseconds));
    // A host that is silent was last seen when it was.
    let last = if event.kind() == Kind::Silence { event.metadata_time("kaspector_silent_since") } else { at };
    out.put("finding_info.last_seen_time", last.map(milliseconds));
    if let Some(id) = event.text("/alert/signature_id") {
        out.set("finding_info.analytic.type_id", 1);
        out.set("finding_info.analytic.type", "Rule");
        out.set("finding_info.analytic.uid", id);
        out.put("finding_info.analytic.name", event.text("/alert/signature"));
        out.put("finding_info.analytic.version", event.text("/alert/rev"));
    }
}

/// The flow that proves it; of a silent host, the host.
fn evidence(event: &Event) -> Option<Value> {
    let mut out = Object::default();
    let (client, server) = (event.address("/src_ip"), event.address("/dest_ip"));
    if let Some(client) = client {
        out.set("src_endpoint.ip", client.to_string());
        out.put("src_endpoint.port", event.port("/src_port"));
        let vlans = event.vlans();
        out.put("src_endpoint.vlan_uid", (!vlans.is_empty()).then(|| vlans.join(".")));
    }
    let name = event.server_name();
    if let Some(server) = server {
        out.set("dst_endpoint.ip", server.to_string());
        out.put("dst_endpoint.port", event.port("/dest_port"));
        out.put("dst_endpoint.hostname", name.clone());
    }
    if let Some(transport) = event.text("/proto") {
        out.set("connection_info.protocol_name", transport.to_lowercase());
        let number = match transport.as_str() {
            "TCP" => Some(6),
            "UDP" => Some(17),
            _ => None,
        };
        out.put("connection_info.protocol_num", number);
        out.put("connection_info.protocol_ver_id", client.map(|client| if client.is_ipv4() { 4 } else { 6 }));
        // As the host sees it: it called, or was called.
        let (direction, direction_name) = if event.host() == client { (2, "Outbound") } else { (1, "Inbound") };
        out.set("connection_info.direction_id", direction);
        out.set("connection_info.direction", direction_name);
        out.put("connection_info.community_uid", event.text("/community_id"));
    }
    if let Some(version) = event.text("/tls/version") {
        out.set("tls.version", version.trim_start_matches("TLS").trim_start_matches([' ', 'v']));
        out.put("tls.sni", event.text("/tls/sni"));
    } else if let Some(sni) = event.text("/quic/sni") {
        // QUIC knows no other (RFC 9001 section 4.2).
        out.set("tls.version", "1.3");
        out.set("tls.sni", sni);
    }
    if let Some(question) = event.question() {
        out.set("query.hostname", question);
        out.put("query.type", event.first_of(&["/dns/query/0/rrtype", "/dns/queries/0/rrtype"]));
        out.set("query.class", "IN");
        out.set("query.opcode_id", 0);
        out.put("query.packet_uid", event.number("/dns/id").or_else(|| event.number("/dns/query/0/id")));
    }
    if let Some(path) = event.text("/http/url") {
        out.set("http_request.url.path", path);
        out.put("http_request.url.hostname", event.text("/http/hostname"));
        let methods = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"];
        let method = event.text("/http/http_method").filter(|method| methods.contains(&method.as_str()));
        out.put("http_request.http_method", method);
        out.put("http_request.user_agent", event.text("/http/http_user_agent"));
    }
    out.finish()
}

/// What to look for elsewhere: addresses and names of the evidence.
fn observables(evidence: Option<&Value>) -> Option<Vec<Value>> {
    let mut out = Vec::new();
    for (path, pointer, type_id, kind) in [
        ("src_endpoint.ip", "/src_endpoint/ip", 2, "IP Address"),
        ("dst_endpoint.ip", "/dst_endpoint/ip", 2, "IP Address"),
        ("dst_endpoint.hostname", "/dst_endpoint/hostname", 1, "Hostname"),
        ("query.hostname", "/query/hostname", 1, "Hostname"),
    ] {
        if let Some(value) = evidence.and_then(|evidence| evidence.pointer(pointer)) {
            out.push(json!({"name": format!("evidences[0].{path}"), "type_id": type_id, "type": kind, "value": value}));
        }
    }
    (!out.is_empty()).then_some(out)
}
