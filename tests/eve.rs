//! Alerts are valid EVE: checked against Suricata's own schemas, whose licence keeps them out of this repository.
//!
//! `KASPECTOR_EVE_SCHEMAS=DIR cargo test --test eve`, where `DIR` holds `etc/schema.json` of Suricata 7 and 8, named
//! `suricata-7….schema.json` and `suricata-8….schema.json`. Without the variable the test says so and does nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::capture::Timestamp;
use kaspector::decode::{Tunnel, TunnelKind, Zone};
use kaspector::matching::{
    Alert, Application, Category, Confidence, ConnectionOutcome, Field, FlowCounts, FlowSummary, HostFinding, HostKey,
    IndicatorIndex, SeenAs, SignatureSet, Verdict,
};
use kaspector_report::{EveCompat, EveKnown, EveLog, EveOrigin, EveSilence, EveStats, EveWriter, Occasion};
use std::path::PathBuf;

fn schemas() -> Option<Vec<(char, jsonschema::Validator)>> {
    let folder = PathBuf::from(std::env::var_os("KASPECTOR_EVE_SCHEMAS")?);
    let load = |version: char| {
        let prefix = format!("suricata-{version}");
        let mut names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let path = names.find(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".json"))
        });
        let text = std::fs::read(path.expect("a schema of each version")).unwrap();
        jsonschema::validator_for(&serde_json::from_slice(&text).unwrap()).unwrap()
    };
    Some(['7', '8'].map(|version| (version, load(version))).into())
}

fn applications() -> Vec<Application> {
    let name = || Box::<str>::from("s07.upd.kaspersky.com");
    let tls = |with: bool| Application::Tls {
        sni: with.then(name),
        version: if with { 0x0304 } else { 0x7f1c },
        ja3: if with { "771,4865,0,29,0" } else { "" }.into(),
        ja3_hash: if with { "b9103d9d134e0c59cafbe4ae0a8299a8" } else { "" }.into(),
        ja4: if with { "t13d1516h2_8daaf6152771_e5627efa2ab1" } else { "" }.into(),
        subject: with.then(|| "CN=*.kaspersky.com".into()),
        issuer: with.then(|| "CN=An issuer".into()),
    };
    let http = |with: bool| Application::Http {
        method: "GET".into(),
        host: with.then(name),
        port: with.then_some(8080),
        url: "/\u{1}\u{fffd}\"".into(),
        user_agent: with.then(|| "agent".into()),
        minor_version: u8::from(with),
    };
    let dns = |record_type, response_code| Application::Dns { id: 4660, name: name(), record_type, response_code };
    vec![
        Application::Unknown,
        Application::Socks,
        tls(true),
        tls(false),
        http(true),
        http(false),
        Application::Quic { version: "1", sni: Some(name()), ja4: "q13d0310h3_x_y".into() },
        Application::Quic { version: "2", sni: None, ja4: "".into() },
        dns(1, None),
        dns(65280, Some(3)),
    ]
}

/// All fields and closenesses are told apart by text alone, so it is enough that each one occurs.
const FIELDS: [(Field, SeenAs); 19] = [
    (Field::TlsSni, SeenAs::Contact),
    (Field::QuicSni, SeenAs::Contact),
    (Field::HttpHost, SeenAs::Contact),
    (Field::HttpConnect, SeenAs::Contact),
    (Field::HttpTarget, SeenAs::Contact),
    (Field::HttpPath, SeenAs::Contact),
    (Field::HttpUserAgent, SeenAs::Contact),
    (Field::SocksDomain, SeenAs::Contact),
    (Field::TlsCertificate, SeenAs::Contact),
    (Field::ResolvedAddress, SeenAs::Contact),
    (Field::DnsQuery, SeenAs::Lookup),
    (Field::DnsAnswer, SeenAs::Lookup),
    (Field::Address, SeenAs::Hint),
    (Field::Ja3, SeenAs::Hint),
    (Field::Ja4, SeenAs::Hint),
    (Field::ServerPort, SeenAs::Hint),
    (Field::Beacon, SeenAs::Contact),
    (Field::WakeUp, SeenAs::Contact),
    (Field::ResolverOrder, SeenAs::Hint),
];

fn flows() -> Vec<FlowSummary> {
    let flow = |client: &str, server: &str, protocol, zone, tunnel| {
        let mut flow = FlowSummary::new((client.parse().unwrap(), 49152), (server.parse().unwrap(), 443), protocol);
        flow.started = Timestamp(1_795_448_634_000_000_000);
        (flow.zone, flow.tunnel) = (zone, tunnel);
        flow.client_hop_limit = Some(64);
        flow.counts =
            FlowCounts { packets_to_server: 4, packets_to_client: 3, bytes_to_server: 749, bytes_to_client: 181 };
        flow.connection_outcome = ConnectionOutcome::Established;
        flow
    };
    let tunnel = |kind, ports, depth| {
        Some(Tunnel { kind, src: "192.0.2.1".parse().unwrap(), dst: "2001:db8::2".parse().unwrap(), ports, depth })
    };
    let zone = |vlan, inner_vlan, vni| Zone { vlan, inner_vlan, vni };
    vec![
        flow("10.20.1.15", "203.0.113.10", 6, Zone::default(), None),
        flow("2001:db8:20::15", "2001:db8:ffff::5", 17, zone(Some(120), None, None), None),
        flow(
            "10.20.1.15",
            "10.20.1.16",
            6,
            zone(Some(1), Some(2), Some(3)),
            tunnel(TunnelKind::Vxlan, Some((5, 4789)), 1),
        ),
        flow("10.20.1.15", "10.20.1.16", 6, Zone::default(), tunnel(TunnelKind::Erspan, None, 2)),
        flow("10.20.1.15", "10.20.1.16", 6, Zone::default(), tunnel(TunnelKind::IpInIp, None, 1)),
        flow("10.20.1.15", "10.20.1.16", 6, Zone::default(), tunnel(TunnelKind::IpInIp, None, 3)),
    ]
}

/// Every application record, field, indicator and kind of flow, with both roles.
fn alerts(signatures: &SignatureSet) -> Vec<Alert> {
    let (applications, flows) = (applications(), flows());
    let indicators = 0..u32::try_from(signatures.len()).unwrap();
    let count = applications.len().max(flows.len()).max(FIELDS.len()).max(signatures.len());
    let alert = |number: usize, application: &Application, flow: &FlowSummary| {
        let (field, seen_as) = FIELDS.iter().copied().cycle().nth(number).unwrap();
        let indicator = IndicatorIndex(indicators.clone().cycle().nth(number).unwrap());
        let mut alert = Alert::new(indicator, seen_as, field, "s07.upd.kaspersky.com", *flow);
        (alert.at, alert.packet) = (Timestamp(1_795_448_634_449_556_123), number as u64 + 1);
        alert.connection_outcome = ConnectionOutcome::ALL[number % 4];
        alert.host_is_server = number % 2 == 1;
        alert.on_behalf = number % 3 == 1;
        alert.asks_server = number % 5 == 1;
        alert.application = application.clone();
        alert
    };
    let pairs = applications.iter().flat_map(|application| flows.iter().map(move |flow| (application, flow)));
    pairs
        .cycle()
        .take(count.max(applications.len() * flows.len()))
        .enumerate()
        .map(|(n, (a, f))| alert(n, a, f))
        .collect()
}

#[test]
fn every_kind_of_alert_satisfies_the_schema() {
    let Some(schemas) = schemas() else {
        println!("skipped: KASPECTOR_EVE_SCHEMAS names no folder with Suricata's EVE schemas");
        return;
    };
    let signatures = SignatureSet::builtin();
    let mut checked = 0;
    // Records for 7 satisfy both schemas.
    for (compat, versions) in [(EveCompat::V7, "78"), (EveCompat::V8, "8")] {
        let mut writer = EveWriter::new(Vec::new(), &signatures, compat);
        for alert in alerts(&signatures) {
            writer.write(&alert, EveOrigin::File { path: "captures/a.pcap", digest: &[7; 32] }).unwrap();
            let log = EveLog { path: Some("eve.json"), digest: &[7; 32], flow_id: Some(42), community_id: None };
            writer.write(&alert, EveOrigin::Log(log)).unwrap();
            for occasion in [
                Occasion::FirstSight,
                Occasion::Summary { count: 17, bytes: 4711 },
                Occasion::VerdictRise { from: Verdict::Browsing, to: Verdict::Suspected },
                Occasion::Return { silent_since: Timestamp(1_794_000_000_000_000_000) },
            ] {
                let origin = EveOrigin::Interface { name: "span0", run: &[7; 32], occasion };
                writer.write(&alert, origin).unwrap();
                let since = Some(Timestamp(1_790_000_000_000_000_000));
                let known = EveKnown { since, host_name: Some("desk-7") };
                writer.write_known(&alert, origin, known).unwrap();
            }
        }
        let mut lines = writer.into_inner();
        lines.extend(EveStats { uptime_s: 8, kernel_drops: 1, ..EveStats::default() }.line(Timestamp(1)).bytes());
        lines.push(b'\n');
        let host = HostKey { address: "2001:db8::7".parse().unwrap(), zone: Zone { vlan: Some(7), ..Zone::default() } };
        let mut finding = HostFinding::new(host, Verdict::Confirmed, Confidence(95));
        finding.categories.insert(Category::Update);
        let (known_since, listening_since) = (Some(Timestamp(1)), Timestamp(2));
        let silence = EveSilence { finding: &finding, known_since, listening_since };
        lines.extend(silence.line(Timestamp(3), &[7; 32], &signatures, compat).bytes());
        lines.push(b'\n');
        for line in lines.strip_suffix(b"\n").unwrap().split(|&byte| byte == b'\n') {
            let record = serde_json::from_slice(line).unwrap();
            for (version, schema) in &schemas {
                if !versions.contains(*version) {
                    continue;
                }
                let errors: Vec<String> = schema
                    .iter_errors(&record)
                    .map(|error| format!("{} at {}", error, error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "Suricata {version}: {errors:?}\n{record:#}");
                checked += 1;
            }
        }
    }
    println!("{checked} records checked");
}
