//! Alerts as Suricata's EVE JSON: one line each, which anything that reads Suricata reads too.
//!
//! The keys and their types are those of Suricata's own schema, which allows no others; what it has no key for stands in
//! `alert.metadata`, as arrays of strings.

mod application;
mod record;
mod signature;
mod silence;
mod stats;

use super::community_id::community_id;
use super::uid::{alert_uid, finding_id, flow_id};
use kaspector::capture::Timestamp;
use kaspector::decode::{FiveTuple, Tunnel, TunnelKind};
use kaspector::matching::{Alert, Category, FlowSummary, HostKey, Indicator, SeenAs, SignatureSet, Strength, Verdict};
use record::{AlertRecord, End, FlowRecord, Metadata, Record, TunnelRecord};
use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

pub use silence::EveSilence;
pub use stats::EveStats;

/// Longest line, in bytes with its newline.
pub const LINE_MAX: usize = 64 << 10;

/// Which Suricata's readers the records are for. Those for 7 satisfy the schema of 8, but not the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EveCompat {
    /// Suricata 7.
    #[default]
    V7,
    /// Suricata 8: adds `ip_v`, and has DNS in version 3.
    V8,
}

/// Where an alert comes from, as a reader is to find it again.
#[derive(Clone, Copy, Debug)]
pub enum EveOrigin<'a> {
    /// A capture file.
    File {
        /// As given on the command line.
        path: &'a str,
        /// What identifies its content; part of every identifier.
        digest: &'a [u8; 32],
    },
    /// Live traffic.
    Interface {
        /// Its name.
        name: &'a str,
        /// What identifies this run of the sensor; part of every identifier.
        run: &'a [u8; 32],
        /// Why it is told.
        occasion: Occasion,
    },
    /// What another engine logged. The alert's packet is the number of a line.
    Log(EveLog<'a>),
}

/// Where an alert of a log comes from.
#[derive(Clone, Copy, Debug)]
pub struct EveLog<'a> {
    /// The file, as given on the command line; `None` for an engine that is listened to.
    pub path: Option<&'a str>,
    /// What identifies the content of the file or this run; part of every identifier.
    pub digest: &'a [u8; 32],
    /// The engine's own number for the flow.
    pub flow_id: Option<u64>,
    /// The engine's own Community ID, which may have another seed.
    pub community_id: Option<&'a str>,
}

/// Why a live sensor tells of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The host shows this indicator for the first time.
    FirstSight,
    /// It was shown before: the latest sighting stands for all since the last telling.
    Summary {
        /// Sightings since then.
        count: u64,
        /// Bytes that the host's flows with evidence carried since then, both ways, as far as they have ended.
        bytes: u64,
    },
    /// The evidence on the host adds up to more than before; the alert is the latest of it.
    VerdictRise {
        /// What it added up to.
        from: Verdict,
        /// What it adds up to now.
        to: Verdict,
    },
    /// The host shows itself again, after its silence was told.
    Return {
        /// Its last evidence before.
        silent_since: Timestamp,
    },
}

/// What is known of an alert's host.
#[derive(Clone, Copy, Debug, Default)]
pub struct EveKnown<'a> {
    /// Since when.
    pub since: Option<Timestamp>,
    /// What it is called, as somebody said on the wire.
    pub host_name: Option<&'a str>,
}

/// Writes alerts as EVE lines.
///
/// The same alert out of the same input gives the same line, in whichever run and on whichever machine.
#[derive(Debug)]
pub struct EveWriter<'a, W> {
    out: W,
    signatures: &'a SignatureSet,
    compat: EveCompat,
    /// Reused from line to line.
    line: Vec<u8>,
}

impl<'a, W: io::Write> EveWriter<'a, W> {
    /// A writer into `out`. `signatures` is the set that the alerts came from.
    pub fn new(out: W, signatures: &'a SignatureSet, compat: EveCompat) -> Self {
        Self { out, signatures, compat, line: Vec::new() }
    }

    /// Writes one alert.
    ///
    /// # Errors
    /// When `out` fails; part of the line may have been written.
    pub fn write(&mut self, alert: &Alert, origin: EveOrigin<'_>) -> io::Result<()> {
        self.write_known(alert, origin, EveKnown::default())
    }

    /// Writes one alert of a host of which this is known.
    ///
    /// # Errors
    /// When `out` fails; part of the line may have been written.
    pub fn write_known(&mut self, alert: &Alert, origin: EveOrigin<'_>, known: EveKnown<'_>) -> io::Result<()> {
        let mut record = record(alert, self.signatures, self.compat, origin);
        record.alert.metadata.kaspector_known_since = known.since.map(|since| [time(since)]);
        record.alert.metadata.kaspector_host_name = known.host_name.map(|name| [Cow::Borrowed(name)]);
        self.serialise(&record)?;
        for limit in TEXT_LIMITS {
            if self.line.len() <= LINE_MAX {
                break;
            }
            record.shorten(limit);
            self.serialise(&record)?;
        }
        self.out.write_all(&self.line)
    }

    /// Hands everything written to the system.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// What the lines were written into.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn serialise(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.line.push(b'\n');
        Ok(())
    }
}

/// To how many bytes each value is cut while the line is too long. The last one is certain to be enough: a byte takes up at most
/// six in JSON, and a record has fewer than fifty values.
const TEXT_LIMITS: [usize; 4] = [8192, 2048, 512, 128];

fn record<'a>(alert: &'a Alert, signatures: &'a SignatureSet, compat: EveCompat, origin: EveOrigin<'a>) -> Record<'a> {
    let (digest, interface, path, occasion, log) = match origin {
        EveOrigin::File { path, digest } => (digest, None, Some(path), Occasion::FirstSight, None),
        EveOrigin::Interface { name, run, occasion } => (run, Some(name), None, occasion, None),
        EveOrigin::Log(log) => (log.digest, None, None, Occasion::FirstSight, Some(log)),
    };
    let indicator = signatures.get(alert.indicator);
    let flow = &alert.flow;
    let (client, server) = (address(flow.client), address(flow.server));
    let (app_proto, application) = application::record(&alert.application, compat).unzip();
    let mut told = alert_record(alert, indicator, signatures.version(), digest, occasion);
    if let Some(log) = log {
        told.metadata.kaspector_log = log.path.map(|path| [Cow::Borrowed(path)]);
        told.metadata.kaspector_line = Some([alert.packet.to_string()]);
    }
    // A log tells of packets only when the flow is over.
    let is_counted = log.is_none() || flow.counts.bytes_to_server + flow.counts.bytes_to_client > 0;
    Record {
        timestamp: time(alert.at),
        flow_id: log.and_then(|log| log.flow_id).unwrap_or_else(|| flow_id(flow)),
        event_type: "alert",
        vlan: flow.zone.vlan.into_iter().chain(flow.zone.inner_vlan).collect(),
        src_ip: client.clone(),
        src_port: flow.client_port,
        dest_ip: server.clone(),
        dest_port: flow.server_port,
        proto: transport(flow.protocol),
        ip_v: (compat == EveCompat::V8).then_some(if flow.client.is_ipv4() { 4 } else { 6 }),
        pkt_src: "wire/pcap",
        pcap_cnt: path.map(|_| alert.packet),
        in_iface: interface.map(Cow::Borrowed),
        pcap_filename: path.map(Cow::Borrowed),
        tunnel: flow.tunnel.as_ref().map(|tunnel| tunnel_record(tunnel, flow)),
        community_id: log.and_then(|log| log.community_id).map_or_else(
            || community_id(flow.client, flow.server, flow.client_port, flow.server_port, flow.protocol),
            str::to_owned,
        ),
        tx_id: 0,
        alert: told,
        application,
        app_proto,
        direction: "to_server",
        flow: is_counted.then(|| FlowRecord {
            pkts_toserver: flow.counts.packets_to_server,
            pkts_toclient: flow.counts.packets_to_client,
            bytes_toserver: flow.counts.bytes_to_server,
            bytes_toclient: flow.counts.bytes_to_client,
            start: time(flow.started),
            src_ip: client,
            dest_ip: server,
            src_port: flow.client_port,
            dest_port: flow.server_port,
        }),
    }
}

fn alert_record<'a>(
    alert: &'a Alert,
    indicator: &'a Indicator,
    version: &'a str,
    digest: &[u8; 32],
    occasion: Occasion,
) -> AlertRecord<'a> {
    let flow = &alert.flow;
    let client = End { ip: address(flow.client), port: flow.client_port };
    let server = End { ip: address(flow.server), port: flow.server_port };
    let (host, target, source) =
        if alert.host_is_server { (flow.server, server, client) } else { (flow.client, client, server) };
    let service = indicator.category.name();
    let date = indicator.date.replace('-', "_");
    let (count, bytes) = match occasion {
        Occasion::Summary { count, bytes } => (Some(count), Some(bytes)),
        _ => (None, None),
    };
    let (verdict, before) = match occasion {
        Occasion::VerdictRise { from, to } => (Some(to), Some(from)),
        _ => (None, None),
    };
    let silent_since = match occasion {
        Occasion::Return { silent_since } => Some([time(silent_since)]),
        _ => None,
    };
    let (own, of_others): (&[String], &[String]) = match indicator.category {
        Category::Oem if indicator.engine_in.is_empty() => (&[], &indicator.products),
        Category::Oem => (&[], &indicator.engine_in),
        _ => (&indicator.products, &indicator.engine_in),
    };
    AlertRecord {
        action: "allowed",
        gid: 1,
        signature_id: signature::id(indicator.category, alert.field),
        rev: indicator.rev,
        signature: signature::text(indicator.category, alert.field),
        category: "Potential Corporate Privacy Violation",
        severity: if indicator.strength == Strength::Installed { 2 } else { 3 },
        source,
        target,
        metadata: Metadata {
            affected_product: underscored(own),
            kaspector_product_basis: match own.len() {
                0 => None,
                1 => Some(["named"]),
                _ => Some(["one-of"]),
            },
            kaspector_engine_in: underscored(of_others),
            confidence: [confidence(alert, indicator.strength)],
            signature_severity: [match indicator.strength {
                Strength::Installed => "Major",
                Strength::Ambiguous => "Minor",
                Strength::Browse => "Informational",
            }],
            created_at: [Cow::Owned(date.clone())],
            updated_at: [Cow::Owned(date)],
            tag: (indicator.strength == Strength::Installed).then_some(["prohibited_software"]),
            kaspector_uid: [alert_uid(alert, &indicator.id, digest).to_string()],
            kaspector_finding: [finding_id(&HostKey { address: host, zone: flow.zone })],
            kaspector_service: [service],
            kaspector_strength: [indicator.strength.name()],
            kaspector_indicator: [Cow::Borrowed(&indicator.id)],
            kaspector_seen_as: [alert.seen_as.name()],
            kaspector_reached: [alert.connection_outcome.name()],
            kaspector_field: [alert.field.name()],
            kaspector_observed: [Cow::Borrowed(&alert.observed)],
            kaspector_signature_set: [Cow::Borrowed(version)],
            kaspector_count: count.map(|count| [count.to_string()]),
            kaspector_bytes: bytes.map(|bytes| [bytes.to_string()]),
            kaspector_verdict: verdict.map(|verdict| [verdict.name()]),
            kaspector_verdict_before: before.map(|verdict| [verdict.name()]),
            kaspector_known_since: None,
            kaspector_host_name: None,
            kaspector_silent_since: silent_since,
            kaspector_log: None,
            kaspector_line: None,
            kaspector_truncated: None,
        },
    }
}

/// With underscores, as in the metadata of rules, where a blank separates key and value.
fn underscored(products: &[String]) -> Vec<Cow<'_, str>> {
    products.iter().map(|product| Cow::Owned(product.replace(' ', "_"))).collect()
}

/// How sure this alert by itself makes us, in the words of rule metadata.
const fn confidence(alert: &Alert, strength: Strength) -> &'static str {
    match (strength, alert.seen_as) {
        _ if alert.on_behalf => "Low",
        (Strength::Installed, SeenAs::Contact) => "High",
        (Strength::Installed, SeenAs::Lookup) | (Strength::Ambiguous, SeenAs::Contact) => "Medium",
        _ => "Low",
    }
}

fn tunnel_record(tunnel: &Tunnel, flow: &FlowSummary) -> TunnelRecord {
    let (src_port, dest_port) = tunnel.ports.unzip();
    let proto = match tunnel.kind {
        _ if tunnel.ports.is_some() => Some("UDP"),
        TunnelKind::Gre | TunnelKind::Erspan => Some("GRE"),
        // What the outer header announces is what lies directly inside it, and that is the flow only at depth 1.
        TunnelKind::IpInIp if tunnel.depth > 1 => None,
        TunnelKind::IpInIp if flow.client.is_ipv4() => Some("IPv4"),
        TunnelKind::IpInIp => Some("IPv6"),
        TunnelKind::L2tp => Some("L2TP"),
        // What is not named above runs over UDP, which has ports unless the outer header was cut.
        _ => Some("UDP"),
    };
    TunnelRecord {
        src_ip: address(tunnel.src),
        dest_ip: address(tunnel.dst),
        src_port,
        dest_port,
        proto,
        depth: tunnel.depth,
    }
}

const fn transport(protocol: u8) -> &'static str {
    if protocol == FiveTuple::TCP { "TCP" } else { "UDP" }
}

/// Six digits and an offset without a colon: some readers look for the offset at a fixed position.
fn time(at: Timestamp) -> String {
    super::spelling::formatted(at, "%Y-%m-%dT%H:%M:%S.%6f+0000")
}

/// IPv6 in eight groups of four digits, as Suricata prints it.
fn address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            format!("{a:04x}:{b:04x}:{c:04x}:{d:04x}:{e:04x}:{f:04x}:{g:04x}:{h:04x}")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::samples;
    use kaspector::decode::Zone;
    use kaspector::matching::{Application, FlowCounts};
    use serde_json::{Value, json};

    fn line(alert: &Alert, compat: EveCompat) -> Vec<u8> {
        let signatures = SignatureSet::builtin();
        let mut writer = EveWriter::new(Vec::new(), &signatures, compat);
        writer.write(alert, EveOrigin::File { path: "captures/a.pcap", digest: &[7; 32] }).unwrap();
        writer.into_inner()
    }

    fn parsed(alert: &Alert, compat: EveCompat) -> Value {
        serde_json::from_slice(&line(alert, compat)).unwrap()
    }

    #[test]
    fn an_alert_of_a_log_keeps_the_names_that_the_engine_gave() {
        let signatures = SignatureSet::builtin();
        let told = |log: EveLog<'_>, alert: &Alert| -> Value {
            let mut writer = EveWriter::new(Vec::new(), &signatures, EveCompat::V7);
            writer.write(alert, EveOrigin::Log(log)).unwrap();
            serde_json::from_slice(&writer.into_inner()).unwrap()
        };
        let log = EveLog { path: None, digest: &[7; 32], flow_id: Some(42), community_id: Some("1:other seed") };
        let record = told(log, &samples::tls());
        assert_eq!((&record["flow_id"], &record["community_id"]), (&json!(42), &json!("1:other seed")));
        assert_eq!(record["alert"]["metadata"]["kaspector_line"], json!(["4"]));
        assert_eq!((&record["pcap_cnt"], &record["alert"]["metadata"]["kaspector_log"]), (&Value::Null, &Value::Null));
        assert_eq!(record["flow"]["bytes_toserver"], 749);
        let mut uncounted = samples::tls();
        uncounted.flow.counts = FlowCounts::default();
        let record = told(EveLog { path: Some("eve.json"), flow_id: None, community_id: None, ..log }, &uncounted);
        assert_eq!(record["community_id"], "1:g9OcTNtQsRS3teaTth4CPcVodUk=");
        assert_eq!(record["alert"]["metadata"]["kaspector_log"], json!(["eve.json"]));
        assert_eq!(record["flow"], Value::Null, "a log that does not count packets yet");
    }

    #[test]
    fn an_alert_says_what_suricata_would_say() {
        let alert = samples::tls();
        let record = parsed(&alert, EveCompat::V7);
        assert_eq!(record["timestamp"], "2026-11-23T15:43:54.449556+0000");
        assert_eq!(record["event_type"], "alert");
        assert_eq!(record["src_ip"], "10.20.1.15");
        assert_eq!(record["src_port"], 49152);
        assert_eq!(record["dest_ip"], "203.0.113.10");
        assert_eq!(record["proto"], "TCP");
        assert_eq!(record["community_id"], "1:g9OcTNtQsRS3teaTth4CPcVodUk=");
        assert_eq!(record["pcap_cnt"], 4);
        assert_eq!(record["pcap_filename"], "captures/a.pcap");
        assert_eq!(record["app_proto"], "tls");
        assert_eq!(record["direction"], "to_server");
        assert_eq!(record["alert"]["signature"], "KASPECTOR update: TLS server name");
        assert_eq!(record["alert"]["severity"], 2);
        assert_eq!(record["alert"]["source"], json!({"ip": "203.0.113.10", "port": 443}));
        assert_eq!(record["alert"]["target"], json!({"ip": "10.20.1.15", "port": 49152}));
        assert_eq!(record["alert"]["metadata"]["kaspector_observed"], json!(["s07.upd.kaspersky.com"]));
        assert_eq!(record["alert"]["metadata"]["confidence"], json!(["High"]));
        assert_eq!(record["alert"]["metadata"]["created_at"][0].as_str().unwrap().len(), "2026_01_01".len());
        assert_eq!(record["tls"]["version"], "TLS 1.3");
        assert_eq!(record["flow"]["start"], "2026-11-23T15:43:54.400000+0000");
        for absent in ["vlan", "tunnel", "ip_v", "ether", "in_iface"] {
            assert!(record.get(absent).is_none(), "{absent}");
        }
        assert_eq!(parsed(&alert, EveCompat::V8)["ip_v"], 4);
    }

    #[test]
    fn live_alerts_name_their_interface_and_how_often_they_were_seen() {
        let signatures = SignatureSet::builtin();
        let live = |occasion| {
            let mut writer = EveWriter::new(Vec::new(), &signatures, EveCompat::V7);
            writer.write(&samples::tls(), EveOrigin::Interface { name: "span0", run: &[7; 32], occasion }).unwrap();
            serde_json::from_slice::<Value>(&writer.into_inner()).unwrap()
        };
        let first = live(Occasion::FirstSight);
        assert_eq!(first["in_iface"], "span0");
        for absent in ["pcap_cnt", "pcap_filename"] {
            assert!(first.get(absent).is_none(), "{absent}");
        }
        for absent in ["kaspector_count", "kaspector_bytes", "kaspector_verdict", "kaspector_verdict_before"] {
            assert!(first["alert"]["metadata"].get(absent).is_none(), "{absent}");
        }
        let signatures = SignatureSet::builtin();
        let mut writer = EveWriter::new(Vec::new(), &signatures, EveCompat::V7);
        let origin = EveOrigin::Interface { name: "span0", run: &[7; 32], occasion: Occasion::FirstSight };
        writer
            .write_known(&samples::tls(), origin, EveKnown { since: Some(samples::AT), host_name: Some("desk-7") })
            .unwrap();
        let known: Value = serde_json::from_slice(&writer.into_inner()).unwrap();
        assert!(first["alert"]["metadata"].get("kaspector_known_since").is_none());
        assert_eq!(
            known["alert"]["metadata"]["kaspector_known_since"],
            json!(["2026-11-23T15:43:54.449556+0000"]),
            "an array of one string, as all that is ours"
        );
        assert!(first["alert"]["metadata"].get("kaspector_host_name").is_none());
        assert_eq!(known["alert"]["metadata"]["kaspector_host_name"], json!(["desk-7"]));
        let summary = live(Occasion::Summary { count: 17, bytes: 4711 });
        assert_eq!(summary["alert"]["metadata"]["kaspector_count"], json!(["17"]));
        assert_eq!(summary["alert"]["metadata"]["kaspector_bytes"], json!(["4711"]));
        let rise = live(Occasion::VerdictRise { from: Verdict::Suspected, to: Verdict::Confirmed });
        assert_eq!(rise["alert"]["metadata"]["kaspector_verdict"], json!(["confirmed"]));
        assert_eq!(rise["alert"]["metadata"]["kaspector_verdict_before"], json!(["suspected"]));
    }

    #[test]
    fn the_same_alert_gives_the_same_line() {
        assert_eq!(line(&samples::tls(), EveCompat::V7), line(&samples::tls(), EveCompat::V7));
    }

    #[test]
    fn a_server_is_the_target_and_the_client_stays_the_source_of_the_packets() {
        let mut alert = samples::tls();
        alert.host_is_server = true;
        let record = parsed(&alert, EveCompat::V7);
        assert_eq!(record["src_ip"], "10.20.1.15");
        assert_eq!(record["alert"]["target"]["ip"], "203.0.113.10");
        assert_eq!(record["alert"]["source"]["ip"], "10.20.1.15");
        assert_ne!(
            record["alert"]["metadata"]["kaspector_finding"],
            parsed(&samples::tls(), EveCompat::V7)["alert"]["metadata"]["kaspector_finding"]
        );
    }

    #[test]
    fn ipv6_stands_in_eight_groups_everywhere() {
        let record = parsed(&samples::quic(), EveCompat::V8);
        let client = "2001:0db8:0020:0000:0000:0000:0000:0015";
        for at in [&record["src_ip"], &record["flow"]["src_ip"], &record["alert"]["target"]["ip"]] {
            assert_eq!(at, client);
        }
        assert_eq!(record["ip_v"], 6);
        assert_eq!(record["quic"]["version"], "1");
    }

    #[test]
    fn tags_and_tunnels() {
        let mut alert = samples::tls();
        alert.flow.zone = Zone { vlan: Some(120), inner_vlan: Some(7), vni: Some(5001) };
        alert.flow.tunnel = Some(samples::vxlan());
        let record = parsed(&alert, EveCompat::V7);
        assert_eq!(record["vlan"], json!([120, 7]));
        assert_eq!(
            record["tunnel"],
            json!({"src_ip": "192.0.2.1", "dest_ip": "192.0.2.2", "src_port": 50000, "dest_port": 4789, "proto": "UDP", "depth": 1})
        );
        alert.flow.tunnel = Some(Tunnel { kind: TunnelKind::IpInIp, ports: None, ..samples::vxlan() });
        let record = parsed(&alert, EveCompat::V7);
        assert_eq!(
            record["tunnel"],
            json!({"src_ip": "192.0.2.1", "dest_ip": "192.0.2.2", "proto": "IPv4", "depth": 1})
        );
    }

    #[test]
    fn dns_is_told_in_the_version_that_is_asked_for() {
        let alert = samples::dns();
        assert_eq!(
            parsed(&alert, EveCompat::V7)["dns"],
            json!({"version": 2, "query": [{"type": "query", "id": 4660, "rrname": "s07.upd.kaspersky.com", "rrtype": "AAAA",
                "tx_id": 0, "opcode": 0}]})
        );
        assert_eq!(
            parsed(&alert, EveCompat::V8)["dns"],
            json!({"version": 3, "type": "request", "tx_id": 0, "id": 4660, "opcode": 0,
                "queries": [{"rrname": "s07.upd.kaspersky.com", "rrtype": "AAAA"}]})
        );
    }

    #[test]
    fn what_eve_has_no_record_for_has_none() {
        for application in [Application::Unknown, Application::Socks] {
            let mut alert = samples::tls();
            alert.application = application;
            let record = parsed(&alert, EveCompat::V7);
            for absent in ["app_proto", "tls", "dns", "http", "quic"] {
                assert!(record.get(absent).is_none(), "{absent}");
            }
        }
    }

    #[test]
    fn http_stands_with_its_parts() {
        assert_eq!(
            parsed(&samples::http(), EveCompat::V7)["http"],
            json!({"hostname": "dnl-01.geo.kaspersky.com", "url": "/updates/upd?x=1", "http_user_agent": "agent/1",
                "http_method": "GET", "protocol": "HTTP/1.1", "http_port": 8080})
        );
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let mut alert = samples::http();
        let Application::Http { url, user_agent, .. } = &mut alert.application else { unreachable!() };
        *url = "é".repeat(50_000).into();
        *user_agent = Some("\u{1}".repeat(40_000).into());
        let line = line(&alert, EveCompat::V7);
        assert!(line.len() <= LINE_MAX, "{}", line.len());
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let record: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(record["alert"]["metadata"]["kaspector_truncated"], json!(["true"]));
        assert_eq!(record["http"]["hostname"], "dnl-01.geo.kaspersky.com");
        assert!(record["http"]["url"].as_str().unwrap().starts_with("éé"));
        assert!(parsed(&samples::http(), EveCompat::V7)["alert"]["metadata"].get("kaspector_truncated").is_none());
    }

    #[test]
    fn no_value_however_long_makes_a_line_too_long() {
        let hostile: Box<str> = "\u{1}".repeat(100_000).into();
        let mut alert = samples::tls();
        alert.observed = hostile.clone();
        alert.application = Application::Tls {
            sni: Some(hostile.clone()),
            version: 0x0304,
            ja3: hostile.clone(),
            ja3_hash: hostile.clone(),
            ja4: hostile.clone(),
            subject: Some(hostile.clone()),
            issuer: Some(hostile),
        };
        assert!(line(&alert, EveCompat::V8).len() <= LINE_MAX);
    }
}
