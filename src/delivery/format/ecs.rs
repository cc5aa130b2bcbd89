//! An EVE alert in the Elastic Common Schema. What it has no field for stands in `labels`.

use super::event::{Event, Kind, Object};
use crate::time::rfc3339;
use serde_json::{Value, json};
use std::net::IpAddr;

/// The schema's version that the names are from.
const VERSION: &str = "9.4.0";

/// One line; `None` when `line` is no JSON object.
pub(crate) fn ecs(line: &str, uid: &str, sensor: &str) -> Option<String> {
    let event = Event::from_line(line)?;
    let kind = event.kind();
    let mut out = Object::default();
    let at = event.time("/timestamp");
    out.put("@timestamp", at.map(rfc3339));
    out.set("ecs.version", VERSION);
    out.set("message", event.sentence());
    out.set("event.kind", "alert");
    out.set("event.category", json!(["network", "intrusion_detection"]));
    out.set("event.type", json!(["info"]));
    out.set("event.id", uid);
    out.set("event.module", "kaspector");
    out.set("event.dataset", "kaspector.alert");
    out.set("event.action", kind.name());
    out.put("event.severity", event.number("/alert/severity"));
    let silent_since = event.metadata_time("kaspector_silent_since").filter(|_| kind == Kind::Silence);
    out.put("event.start", event.time("/flow/start").or(silent_since).map(rfc3339));
    out.put("event.end", at.map(rfc3339));
    out.put("rule.id", event.text("/alert/signature_id"));
    out.put("rule.name", event.text("/alert/signature"));
    out.put("rule.version", event.text("/alert/rev"));
    out.put("rule.category", event.text("/alert/category"));
    let (source, destination) = (event.address("/src_ip"), event.address("/dest_ip"));
    let address = |address: Option<IpAddr>| address.map(|address| address.to_string());
    out.put("source.ip", address(source));
    out.put("source.address", address(source));
    out.put("source.port", event.port("/src_port"));
    out.put("source.bytes", event.number("/flow/bytes_toserver"));
    out.put("source.packets", event.number("/flow/pkts_toserver"));
    out.put("destination.ip", address(destination));
    let server = event.server_name();
    out.put("destination.address", server.clone().or_else(|| address(destination)));
    out.put("destination.domain", server.clone());
    out.put("destination.port", event.port("/dest_port"));
    out.put("destination.bytes", event.number("/flow/bytes_toclient"));
    out.put("destination.packets", event.number("/flow/pkts_toclient"));
    out.put("network.type", source.map(|address| if address.is_ipv4() { "ipv4" } else { "ipv6" }));
    out.put("network.transport", event.text("/proto").map(|name| name.to_lowercase()));
    out.put("network.protocol", event.text("/app_proto"));
    out.put("network.community_id", event.text("/community_id"));
    let mut vlans = event.vlans().into_iter();
    out.put("network.vlan.id", vlans.next());
    out.put("network.inner.vlan.id", vlans.next());
    out.put("tls.client.server_name", event.first_of(&["/tls/sni", "/quic/sni"]));
    out.put("tls.client.ja3", event.text("/tls/ja3/hash"));
    if let Some(version) = event.text("/tls/version") {
        // "TLS 1.3", "TLSv1", "SSLv3".
        let (protocol, number) = version.split_at_checked(3).unwrap_or_default();
        let is_named = matches!(protocol, "TLS" | "SSL");
        out.set("tls.version", if is_named { number.trim_start_matches([' ', 'v']) } else { &version });
        out.put("tls.version_protocol", is_named.then(|| protocol.to_lowercase()));
    }
    let question = event.question();
    if question.is_some() {
        out.set("dns.type", "query");
        out.put("dns.id", event.first_of(&["/dns/id", "/dns/query/0/id"]));
        out.put("dns.question.type", event.first_of(&["/dns/query/0/rrtype", "/dns/queries/0/rrtype"]));
    }
    out.put("dns.question.name", question.clone());
    out.put("http.request.method", event.text("/http/http_method"));
    out.put("url.domain", event.text("/http/hostname"));
    out.put("url.original", event.text("/http/url"));
    out.put("user_agent.original", event.text("/http/http_user_agent"));
    out.set("observer.name", sensor);
    out.set("observer.type", "ids");
    out.set("observer.vendor", "Kaspector");
    out.set("observer.product", "Kaspector");
    out.set("observer.version", env!("CARGO_PKG_VERSION"));
    out.put("observer.ingress.interface.name", event.text("/in_iface"));
    let host = event.host();
    out.put("host.ip", host.map(|host| vec![host.to_string()]));
    let mut addresses: Vec<String> = [host, source, destination].into_iter().filter_map(address).collect();
    addresses.sort();
    addresses.dedup();
    out.put("related.ip", (!addresses.is_empty()).then_some(addresses));
    let names: Vec<String> = server.into_iter().chain(question).collect();
    out.put("related.hosts", (!names.is_empty()).then_some(names));
    for (key, values) in event.all_metadata() {
        let name = match key {
            "affected_product" => "kaspector_product",
            "confidence" => "kaspector_confidence",
            // The same stands in event.id.
            "kaspector_uid" => continue,
            "tag" => {
                out.set("tags", values);
                continue;
            }
            other => other,
        };
        // A label is one keyword, or several of them.
        let label = if let [one] = values { one.clone() } else { Value::from(values) };
        out.put_in("labels", name, label);
    }
    out.finish().map(|out| out.to_string())
}
