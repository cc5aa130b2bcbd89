//! What the sensor shows over HTTP: each path, who may see it, its bounds; and the page in a real browser.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "web/browser.rs"]
mod browser;
#[path = "web/http.rs"]
mod http;

use browser::Browser;
use http::{Answer, connect, exchange, read};
use kaspector::capture::Timestamp;
use kaspector::matching::{Confidence, HostFinding, SignatureSet, Verdict};
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, ScanOptions, Takers, scan};
use kaspector_cli::status::{InterfaceStatus, MessageCounts, Status};
use kaspector_cli::web::{HostList, HostSnapshot, Limits, Token, Web, WebOptions, serve};
use kaspector_delivery::{Loss, Lost, Message, OutputStatus, SpoolStatus, Weight};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TOKEN: &str = "0123456789abcdef0123";
const HOSTILE: &str = "<img src=x onerror=document.title='owned'>\"'</script><script>window.owned=1</script>";

/// A server, and a thread in the place of the sensor that puts up ever higher numbers.
struct Sensor {
    web: Web,
    address: SocketAddr,
    packets: Arc<AtomicU64>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    _runtime: tokio::runtime::Runtime,
}

fn options() -> WebOptions {
    WebOptions {
        token: None,
        host_names: vec!["sensor.example".to_owned()],
        sensor: "span-01".to_owned(),
        stale_after: Duration::from_secs(60),
        limits: Limits::default(),
    }
}

fn now() -> Timestamp {
    Timestamp(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap())
}

fn status(packets: u64) -> Status {
    let interface = InterfaceStatus {
        name: "eth1".to_owned(),
        is_up: true,
        packets,
        bytes: packets * 800,
        kernel_drops: 7,
        last_packet: Some(now()),
        ..InterfaceStatus::default()
    };
    let quiet = InterfaceStatus { name: "et\"h\\2".to_owned(), packets: 3, ..interface.clone() };
    Status {
        started: Timestamp(1_767_225_600_000_000_000),
        signatures_version: "2026.01.01".to_owned(),
        indicators: 321,
        interfaces: vec![interface, quiet],
        outcomes: vec![("inspected", packets), ("not_ip", 3)],
        flows_active: 12,
        flow_evictions: vec![("idle", 5), ("memory", 0), ("flood", 0)],
        inspection_gaps: vec![("midstream", 2)],
        detections: vec![("update", "installed", 4)],
        endpoints_with_findings: 3,
        outputs: vec![
            OutputStatus { name: "file:/var/log/eve.json".to_owned(), delivered: 9, ..OutputStatus::default() },
            OutputStatus {
                name: "syslog+tls://siem:6514".to_owned(),
                lost: 12,
                losses: vec![
                    Lost { loss: Loss::SpoolFull, alerts: 0, counters: 0 },
                    Lost { loss: Loss::SegmentGone, alerts: 11, counters: 1 },
                ],
                waiting: 6,
                spool_bytes: 4096,
                oldest_unacked_s: 61.5,
                trouble: Some(format!("refused {HOSTILE}")),
                ..OutputStatus::default()
            },
        ],
        connections_ended: 40,
        spool: SpoolStatus {
            used_bytes: 5000,
            limit_bytes: 9000,
            trouble: Some("spool: one segment is gone".to_owned()),
        },
        messages: MessageCounts { alerts: 70, counters: 30 },
        no_room: MessageCounts { alerts: 45_572, counters: 2 },
        ..Status::default()
    }
}

/// Hosts out of real captures; the first shows a value that means harm.
fn findings(signatures: &Arc<SignatureSet>) -> Vec<HostFinding> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let options = ScanOptions { inputs: expand([format!("{root}/pcaps")]), threads: 1, ..ScanOptions::default() };
    let mut hosts = scan(&options, signatures, &Progress::default(), Takers::default()).unwrap().report.hosts;
    // All of it came over the one interface.
    hosts.iter_mut().flat_map(|host| &mut host.evidence).for_each(|line| line.example.input = 0);
    // A few that one can be sure of.
    let model = hosts.iter().find(|host| host.verdict == Verdict::Suspected).unwrap().clone();
    for number in 1..=30_u8 {
        let mut host = model.clone();
        host.confidence = Confidence(number);
        host.host.address = IpAddr::from([10, 20, 7, number]);
        host.verdict = if number % 3 == 0 { Verdict::Browsing } else { Verdict::Suspected };
        hosts.push(host);
    }
    // The one that stands at the top.
    let first = hosts.iter_mut().min_by_key(|host| (host.verdict, Reverse(host.confidence), host.host)).unwrap();
    first.evidence[0].observed = HOSTILE.into();
    hosts
}

impl Sensor {
    fn start(options: WebOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let web = Web::new(options);
        let packets = Arc::new(AtomicU64::new(1000));
        web.publish(status(1000));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        runtime.spawn(serve(listener, web.clone(), async { _ = stopped.await }));
        let (shown, counter) = (web.clone(), Arc::clone(&packets));
        runtime.spawn_blocking(move || {
            let signatures = Arc::new(SignatureSet::builtin());
            let findings: Arc<dyn HostList> = Arc::new(findings(&signatures));
            while counter.load(Ordering::Relaxed) > 0 {
                shown.publish(status(counter.fetch_add(5000, Ordering::Relaxed)));
                if shown.wants_hosts() {
                    shown.publish_hosts(HostSnapshot {
                        hosts: Arc::clone(&findings),
                        inputs: vec!["eth1".to_owned()],
                        signatures: Arc::clone(&signatures),
                        ..HostSnapshot::default()
                    });
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { web, address, packets, stop: Some(stop), _runtime: runtime }
    }

    fn ask(&self, head: &[&str]) -> Answer {
        let line = format!("{} HTTP/1.1", head[0]);
        let mut lines = vec![line.as_str()];
        lines.extend(&head[1..]);
        if !head.iter().any(|line| line.starts_with("Host:")) {
            lines.push("Host: localhost");
        }
        exchange(self.address, &lines, "")
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&[&format!("GET {path}")])
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        // A lower number cannot come after it: the thread only adds.
        self.packets.store(0, Ordering::Relaxed);
        _ = self.stop.take().map(|stop| stop.send(()));
    }
}

fn alert(number: u64, observed: &str, weight: Weight) -> Message {
    let line = json!({
        "timestamp": "2026-01-01T00:00:00.090000+0000", "event_type": "alert", "src_ip": "10.20.1.15", "dest_ip": "203.0.113.10",
        "dest_port": 443, "in_iface": "eth1",
        "alert": { "signature": "KASPECTOR update: TLS server name", "metadata": {
            "kaspector_observed": [observed], "kaspector_strength": ["installed"], "kaspector_field": ["tls.sni"] } } });
    Message { uid: format!("{number:026}").into(), host: "10.20.1.15".into(), weight, line: line.to_string().into() }
}

/// An alert whose host is the server of the flow, inside two VLANs.
fn of_server() -> Message {
    let server = "2001:0db8:ffff:0000:0000:0000:0000:0005";
    let line = json!({
        "timestamp": "2026-01-01T00:00:00.090000+0000", "event_type": "alert", "src_ip": "10.20.1.15", "dest_ip": server,
        "dest_port": 13000, "vlan": [120, 7], "alert": { "signature": "KASPECTOR management: management port",
            "target": { "ip": server, "port": 13000 }, "metadata": { "kaspector_observed": ["13000"] } } });
    let (uid, host) = (format!("{:026}", 99).into(), "2001:db8:ffff::5".into());
    Message { uid, host, weight: Weight::Finding, line: line.to_string().into() }
}

#[test]
fn health_says_whether_and_why_not() {
    let sensor = Sensor::start(options());
    assert_eq!((sensor.get("/healthz").status, sensor.get("/healthz").body.as_str()), (200, "ok\n"));
    // A link that never gave a packet would be a reason; both gave one just now.
    let ready = sensor.get("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    let other = Sensor::start(WebOptions { stale_after: Duration::ZERO, ..options() });
    other.web.set_stale_after(Duration::from_secs(5));
    assert_eq!(other.get("/readyz").status, 200);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let web = Web::new(options());
        let mut gone = status(5);
        gone.indicators = 0;
        gone.interfaces[0].is_up = false;
        gone.interfaces[1].last_packet = Some(Timestamp(1));
        web.publish(gone);
        let asked =
            tokio::task::spawn_blocking(move || exchange(address, &["GET /readyz HTTP/1.1", "Host: localhost"], ""));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, web, async { _ = stopped.await }));
        let answer = asked.await.unwrap();
        assert_eq!(answer.status, 503);
        for reason in ["no signatures", "eth1 is down", "has been silent for"] {
            assert!(answer.body.contains(reason), "{}", answer.body);
        }
        drop(stop);
        // Told to stop, it stops.
        tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
    });
}

/// Prometheus' own judge, where it is installed.
fn promtool(text: &str) {
    let spawned =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: install prometheus");
        eprintln!("skipped: promtool is missing");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[test]
fn metrics_are_those_that_are_promised() {
    let sensor = Sensor::start(options());
    let answer = sensor.get("/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"), "{}", answer.head);
    let text = &answer.body;
    promtool(text);
    for line in [
        "kaspector_build_info{version=\"",
        "kaspector_start_time_seconds 1767225600",
        "kaspector_capture_packets_total{interface=\"eth1\"} ",
        "kaspector_capture_packets_total{interface=\"et\\\"h\\\\2\"} 3",
        "kaspector_capture_bytes_total{interface=\"eth1\"} ",
        "kaspector_capture_drops_total{interface=\"eth1\",stage=\"nic\"} 0",
        "kaspector_capture_drops_total{interface=\"eth1\",stage=\"kernel\"} 7",
        "kaspector_capture_drops_total{interface=\"eth1\",stage=\"queue\"} 0",
        "kaspector_flows_active 12",
        "kaspector_flow_evictions_total{reason=\"idle\"} 5",
        "kaspector_inspection_gaps_total{reason=\"midstream\"} 2",
        "kaspector_detections_total{service=\"update\",strength=\"installed\"} 4",
        "kaspector_endpoints_with_findings 3",
        "kaspector_output_events_total{output=\"file:/var/log/eve.json\",result=\"delivered\"} 9",
        "kaspector_output_spool_bytes{output=\"syslog+tls://siem:6514\"} 4096",
        "kaspector_output_oldest_unacked_seconds{output=\"syslog+tls://siem:6514\"} 61.5",
        "kaspector_last_packet_timestamp_seconds{interface=\"eth1\"} ",
        "kaspector_connections_ended_total 40",
        "kaspector_output_events_total{output=\"syslog+tls://siem:6514\",result=\"lost\"} 12",
        "kaspector_output_lost_total{output=\"syslog+tls://siem:6514\",reason=\"spool_full\",kind=\"alert\"} 0",
        "kaspector_output_lost_total{output=\"syslog+tls://siem:6514\",reason=\"segment_gone\",kind=\"alert\"} 11",
        "kaspector_output_lost_total{output=\"syslog+tls://siem:6514\",reason=\"segment_gone\",kind=\"counters\"} 1",
        "kaspector_output_waiting_messages{output=\"syslog+tls://siem:6514\"} 6",
        "kaspector_output_in_trouble{output=\"file:/var/log/eve.json\"} 0",
        "kaspector_output_in_trouble{output=\"syslog+tls://siem:6514\"} 1",
        "kaspector_messages_total{kind=\"alert\"} 70",
        "kaspector_messages_no_room_total{kind=\"alert\"} 45572",
        "kaspector_spool_used_bytes 5000",
        "kaspector_spool_limit_bytes 9000",
        "kaspector_spool_in_trouble 1",
    ] {
        assert!(text.lines().any(|have| have.starts_with(line)), "{line}\n{text}");
    }
    let sum = |name: &str| -> u64 {
        let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<f64>().unwrap() as u64).sum()
    };
    assert_eq!(sum("kaspector_frames_total{"), sum("kaspector_capture_packets_total{"));
    let open = sensor.ask(&["GET /metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]);
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n"));
}

#[test]
fn hosts_are_searched_sorted_and_cut() {
    let sensor = Sensor::start(options());
    // The server does not wait forever for a sensor that is busy, as one on a busy machine may be.
    let deadline = Instant::now() + Duration::from_secs(30);
    let all = loop {
        let all = sensor.get("/api/hosts").json();
        if all["total"] != 0 || Instant::now() > deadline {
            break all;
        }
    };
    let total = all["total"].as_u64().unwrap();
    assert!(total > 40 && all["hosts"].as_array().unwrap().len() as u64 == total, "{all}");
    assert_eq!(all["hosts"][0]["evidence"][0]["observed"], HOSTILE);
    assert_eq!(all["hosts"][0]["evidence"][0]["example"]["input"], "eth1");
    let only = sensor.get("/api/hosts?verdict=suspected").json();
    assert_eq!(only["matching"], all["verdicts"]["suspected"]);
    assert!(only["hosts"].as_array().unwrap().iter().all(|host| host["verdict"] == "suspected"));
    let found = sensor.get("/api/hosts?q=10.20.7.30").json();
    assert!(found["matching"] == 1 && found["hosts"][0]["address"] == "10.20.7.30", "{found}");
    assert_eq!(sensor.get("/api/hosts?q=10.20.7.30%20surely-nowhere").json()["matching"], 0);
    let sorted = sensor.get("/api/hosts?sort=bytes&order=desc&limit=5&offset=1").json();
    let bytes = |host: &Value| host["bytes_sent"].as_u64().unwrap() + host["bytes_received"].as_u64().unwrap();
    let sizes: Vec<u64> = sorted["hosts"].as_array().unwrap().iter().map(bytes).collect();
    assert!(sizes.len() == 5 && sizes.is_sorted_by(|one, next| one >= next), "{sizes:?}");
    // By service, role, subnet and time.
    let matching = |query: &str| sensor.get(&format!("/api/hosts?{query}")).json()["matching"].as_u64().unwrap();
    let of_subnet = ["10.20.7.0/27", "10.20.7.9", "10.99.0.0/16"].map(|subnet| matching(&format!("subnet={subnet}")));
    assert_eq!(of_subnet, [30, 1, 0]);
    let service = all["hosts"][0]["categories"][0].as_str().unwrap();
    let of_service = sensor.get(&format!("/api/hosts?service={service}")).json();
    let has = |host: &Value| host["categories"].as_array().unwrap().contains(&service.into());
    let hosts = all["hosts"].as_array().unwrap();
    assert_eq!(of_service["matching"], hosts.iter().filter(|host| has(host)).count());
    assert!(of_service["hosts"].as_array().unwrap().iter().all(has) && of_service["matching"] != total);
    let endpoints = hosts.iter().filter(|host| host["role"] == "endpoint").count() as u64;
    assert!(endpoints > 0 && endpoints < total && matching("role=endpoint") == endpoints);
    let last = all["hosts"][0]["last_seen"].as_str().unwrap();
    assert!(matching(&format!("since={last}")) < total && matching("since=2000-01-01&until=2100-01-01") == total);
    let before = |query: &str| matching(&format!("{query}&until=2000-01-01"));
    // One capture has no clock.
    assert_eq!((before(""), before("subnet=10.20.7.0/27"), matching("since=2100-01-01")), (1, 0, 0));
    // When they were seen first, of those that fit.
    let over = &of_service["over_time"]["counts"];
    let counted: u64 =
        over.as_array().unwrap().iter().flat_map(|one| one.as_array().unwrap()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(of_service["matching"], counted, "{over}");
    // The same as a table, in which nothing is a formula.
    let csv = sensor.get("/api/hosts?format=csv&subnet=10.20.7.9");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(
        csv.body.starts_with("address,vlan,") && csv.body.lines().skip(1).all(|line| line.starts_with("10.20.7.9,"))
    );
    assert!(csv.body.lines().count() > 1, "{}", csv.body);
    for bad in [
        "verdict=evil",
        "limit=-1",
        "sort=color",
        "colour=red",
        "service=evil",
        "role=boss",
        "subnet=10.0.0",
        "since=soon",
        "until=7",
        "format=xml",
    ] {
        assert_eq!(sensor.get(&format!("/api/hosts?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn an_indicator_says_what_it_means() {
    let sensor = Sensor::start(options());
    let id = loop {
        // The set is put up with the hosts.
        let hosts = sensor.get("/api/hosts?limit=1").json();
        if let Some(id) = hosts["hosts"][0]["evidence"][0]["indicator"].as_str() {
            break id.to_owned();
        }
    };
    let meaning = sensor.get(&format!("/api/indicator?id={id}")).json();
    assert_eq!((&meaning["id"], &meaning["strength"]), (&id.as_str().into(), &"installed".into()));
    assert_eq!(meaning["proves"], "only the product or an embedded engine does this");
    assert!(!meaning["sources"].as_array().unwrap().is_empty() && meaning["products"].is_array());
    let none = sensor.get("/api/indicator?id=%3Cscript%3E");
    assert_eq!((none.status, none.body.contains('<')), (404, false));
    assert_eq!((sensor.get("/api/indicator").status, sensor.get("/api/indicator?id=a&b=c").status), (400, 400));
}

#[test]
fn status_and_history_are_json() {
    let sensor = Sensor::start(options());
    let status = sensor.get("/api/status").json();
    assert_eq!((&status["sensor"], &status["ready"]), (&json!("span-01"), &json!(true)));
    assert_eq!(status["interfaces"][0]["kernel_drops"], 7);
    assert_eq!(status["outputs"][1]["trouble"], format!("refused {HOSTILE}"));
    assert_eq!((&status["outputs"][1]["lost"], &status["outputs"][1]["waiting"]), (&json!(12), &json!(6)));
    // Only what there was any of.
    let losses = json!([{ "reason": "segment_gone", "alerts": 11, "counters": 1 }]);
    assert_eq!((&status["outputs"][0]["losses"], &status["outputs"][1]["losses"]), (&json!([]), &losses));
    assert_eq!(status["no_room"], json!({ "alerts": 45_572, "counters": 2 }));
    assert_eq!(status["spool"]["used_bytes"], 5000);
    let troubles = ["spool: one segment is gone".to_owned(), format!("syslog+tls://siem:6514: refused {HOSTILE}")];
    assert_eq!(status["troubles"], json!(troubles));
    let history = sensor.get("/api/history").json();
    assert_eq!(history["interval_s"], 10);
    assert!(history["samples"].is_array());
}

#[test]
fn it_only_shows_and_tells_browsers_to_be_careful() {
    let sensor = Sensor::start(options());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let answer = sensor.ask(&[&format!("{method} /api/hosts")]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(sensor.ask(&["HEAD /"]).status, 200);
    assert_eq!(sensor.get("/nothing").status, 404);
    for path in ["/", "/app.js", "/app.css", "/icon.svg", "/api/status", "/metrics", "/nothing"] {
        let answer = sensor.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn names_of_others_are_refused_on_loopback() {
    let sensor = Sensor::start(options());
    for (host, status) in [
        ("localhost:9317", 200),
        ("127.0.0.1", 200),
        ("[::1]:9317", 200),
        ("sensor.example", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ] {
        assert_eq!(sensor.ask(&["GET /api/hosts", &format!("Host: {host}")]).status, status, "{host}");
    }
}

#[test]
fn who_has_no_token_sees_nothing() {
    let sensor = Sensor::start(WebOptions { token: Token::new(TOKEN), ..options() });
    for path in ["/metrics", "/readyz", "/api/hosts", "/api/alerts", "/api/status", "/api/history", "/nothing"] {
        assert_eq!(sensor.get(path).status, 401, "{path}");
        assert_eq!(sensor.ask(&[&format!("GET {path}"), "Authorization: Bearer 0123456789abcdef0124"]).status, 401);
        assert_eq!(
            sensor.get(&format!("{path}?token={TOKEN}")).status,
            401,
            "a token in the address is for the page only"
        );
    }
    assert_eq!(sensor.ask(&["GET /metrics", &format!("Authorization: Bearer {TOKEN}")]).status, 200);
    assert_eq!(sensor.get("/healthz").status, 200);
    let page = sensor.get("/");
    assert!(page.status == 401 && page.body.contains("asks for a token"), "{}", page.body);
    assert!(sensor.get("/?token=wrong").body.contains("not the token"));
    let entered = sensor.get(&format!("/?token={TOKEN}"));
    let cookie = entered.header("set-cookie").unwrap();
    assert!(entered.status == 200 && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(TOKEN));
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(sensor.ask(&["GET /api/hosts", &format!("Cookie: a=b; {pair}")]).status, 200);
    assert_eq!(sensor.ask(&["GET /api/hosts", &format!("Cookie: kaspector={TOKEN}")]).status, 401);
}

/// A reader of events.
struct Events {
    stream: std::net::TcpStream,
    text: String,
}

impl Events {
    fn open(sensor: &Sensor, path: &str, more: &str) -> Self {
        let mut stream = connect(sensor.address);
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").as_bytes()).unwrap();
        let answer = read(&mut stream, true);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
        let mut events = Self { stream, text: String::new() };
        events.until("retry: ");
        events
    }

    fn until(&mut self, what: &str) {
        while !self.text.contains(what) {
            let mut bytes = [0; 1 << 16];
            let read = self.stream.read(&mut bytes).unwrap();
            assert!(read > 0, "ended before {what}");
            self.text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }

    fn count(&self) -> usize {
        self.text.matches("\nevent: finding").count()
    }
}

#[test]
fn alerts_arrive_and_can_be_taken_up_again() {
    let sensor = Sensor::start(options());
    let mut first = Events::open(&sensor, "/api/alerts", "");
    sensor.web.alert(&alert(1, "a.example", Weight::Finding));
    sensor.web.alert(&alert(2, "b.example", Weight::Summary));
    sensor.web.alert(&alert(3, "counters", Weight::Stats));
    sensor.web.alert(&alert(4, "d.example", Weight::Finding));
    first.until("d.example");
    assert!(first.text.contains("id: 00000000000000000000000001\nevent: finding\ndata: {"), "{}", first.text);
    assert!(first.text.contains("event: summary") && !first.text.contains("counters"));
    drop(first);
    let mut again = Events::open(&sensor, "/api/alerts", "Last-Event-ID: 00000000000000000000000001\r\n");
    again.until("d.example");
    assert!(again.text.contains("b.example") && !again.text.contains("a.example"), "{}", again.text);
    let mut lost = Events::open(&sensor, "/api/alerts", "Last-Event-ID: gone\r\n");
    lost.until("d.example");
    assert!(lost.text.contains("event: lagged\ndata: {\"missed\":null}") && lost.text.contains("a.example"));
}

#[test]
fn a_slow_reader_holds_nobody_up_and_is_told_what_it_missed() {
    let limits = Limits { write_timeout: Duration::from_secs(60), ..Limits::default() };
    let sensor = Sensor::start(WebOptions { limits, ..options() });
    let mut slow = Events::open(&sensor, "/api/alerts", "");
    let value = "x".repeat(20_000);
    let before = Instant::now();
    for number in 0..3000 {
        sensor.web.alert(&alert(number, &value, Weight::Finding));
    }
    assert!(before.elapsed() < Duration::from_secs(20), "publishing waited for the reader");
    assert_eq!(sensor.get("/healthz").status, 200);
    slow.until("event: lagged");
    slow.until("\"missed\":");
    slow.until(&format!("id: {:026}\n", 2999));
    let missed: usize = slow
        .text
        .split("{\"missed\":")
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap().parse::<usize>().unwrap())
        .sum();
    assert!(missed > 0);
    assert_eq!(slow.count() + missed, 3000);
}

#[test]
fn whoever_is_above_a_bound_is_told_or_cut() {
    let limits = Limits {
        streams: 2,
        head_bytes: 8192,
        head_timeout: Duration::from_millis(500),
        write_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let sensor = Sensor::start(WebOptions { limits, ..options() });
    let readers: Vec<Events> = (0..2).map(|_| Events::open(&sensor, "/api/alerts", "")).collect();
    let third = sensor.get("/api/alerts");
    assert_eq!((third.status, third.header("retry-after")), (503, Some("10")));
    drop(readers);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        // Places are free again once the server has seen that the readers went.
        sensor.web.alert(&alert(0, &"x".repeat(1000), Weight::Finding));
        let mut stream = connect(sensor.address);
        stream.write_all(b"GET /api/alerts HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        if read(&mut stream, true).status == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "the places of those who went stay taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    let long = format!("X-Long: {}", "a".repeat(20_000));
    assert_eq!(sensor.ask(&["GET /healthz", &long]).status, 431);
    // Somebody who never ends the head of a request.
    let mut idle = connect(sensor.address);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200"), "{}", String::from_utf8_lossy(&rest));
}

#[test]
fn the_page_shows_what_happens_and_takes_no_text_for_markup() {
    let Some(browser) = Browser::start() else { return };
    let sensor = Sensor::start(WebOptions { token: Token::new(TOKEN), ..options() });
    sensor.web.alert(&alert(0, "before.example", Weight::Finding));
    let address = format!("http://localhost:{}", sensor.address.port());
    browser.open(&address);
    browser.until("return document.body.innerText.includes('asks for a token')");
    browser.picture("login");
    browser.run(&format!(
        "document.getElementById('token').value = '{TOKEN}'; document.querySelector('form').requestSubmit(); return true"
    ));
    browser.until("return document.title === 'span-01 – Kaspector'");
    // That a token was asked for is on the console, and right.
    let said = browser.console();
    assert!(said.iter().all(|line| line["message"].as_str().unwrap().contains("401")), "{said:?}");
    browser.until("return location.search === '' && document.getElementById('health').textContent === 'ready'");
    browser.until("return document.getElementById('line').textContent === 'live'");
    browser.until("return document.getElementById('alerts').innerText.includes('before.example')");

    // Hosts, with evidence on demand that is text whatever it says.
    browser.until("return document.querySelectorAll('#host-rows > tr').length > 10");
    browser.run("document.querySelector('#host-rows button').click(); return true");
    browser.until("return document.querySelectorAll('.evidence').length === 1");
    assert_eq!(browser.run("return document.querySelector('.evidence .observed').textContent"), HOSTILE);
    sensor.web.alert(&alert(1, HOSTILE, Weight::Finding));
    browser.until("return document.querySelectorAll('#alerts > li').length === 2");
    assert_eq!(browser.run("return document.querySelector('#alerts .observed').textContent"), HOSTILE);
    browser.until("return document.getElementById('outputs').innerText.includes('<img src=x')");
    browser.until("return document.getElementById('outputs').innerText.includes('12 segment gone')");
    browser.until(
        "const text = document.getElementById('troubles').innerText;\
        return text.includes('one segment is gone') && text.includes('45,572 alerts found no room') && text.includes('<img src=x')",
    );
    assert_eq!(browser.run("return document.querySelectorAll('main img, main script').length"), 0);
    assert_eq!(
        browser.run("return [window.owned === undefined, document.title]"),
        json!([true, "span-01 – Kaspector"])
    );

    // Sorting and searching.
    browser.run("document.querySelector('th[data-sort=address] button').click(); return true");
    let rising = "const list = [...document.querySelectorAll('#host-rows td:first-child button')].map((one) => one.textContent)\
        .filter((one) => /^\\d+[.]\\d+[.]\\d+[.]\\d+$/.test(one)).map((one) => one.split('.').reduce((sum, part) => sum * 256 + +part, 0));\
        return list.length > 5 && list.every((one, at) => at === 0 || list[at - 1] <= one)";
    browser.until(rising);
    assert_eq!(
        browser.run("return document.querySelector('th[data-sort=address]').getAttribute('aria-sort')"),
        "ascending"
    );
    let one = "10.20.7.30";
    browser.run(&format!(
        "const words = document.getElementById('words'); words.value = '{one}'; words.dispatchEvent(new Event('input')); return true"
    ));
    browser.until(
        "const rows = [...document.querySelectorAll('#host-rows > tr:not(.evidence)')];\
        return rows.length === 1 && rows[0].innerText.includes('10.20.7.30')",
    );
    browser.run("const words = document.getElementById('words'); words.value = 'surely-nowhere'; words.dispatchEvent(new Event('input')); return true");
    browser.until("return document.getElementById('no-hosts').offsetParent !== null && document.getElementById('no-hosts').innerText.includes('No host fits')");
    browser.run("const words = document.getElementById('words'); words.value = ''; words.dispatchEvent(new Event('input'));\
        document.getElementById('verdict').value = 'browsing'; document.getElementById('verdict').dispatchEvent(new Event('change')); return true");
    browser.until(
        "const tags = [...document.querySelectorAll('#host-rows .tag')];\
        return tags.length > 0 && tags.every((one) => one.textContent === 'browsing')",
    );
    browser.run("document.getElementById('verdict').value = ''; document.getElementById('verdict').dispatchEvent(new Event('change'));\
        document.querySelector('th[data-sort=verdict] button').click(); return true");
    browser.until("return document.querySelectorAll('#host-rows > tr').length > 10");

    // Filters, what they are told as, and the same as files.
    let choose = |id: &str, value: &str| {
        browser.run(&format!(
            "const one = document.getElementById('{id}'); one.value = '{value}'; one.dispatchEvent(new Event('change')); return true"
        ));
    };
    let shown = "[...document.querySelectorAll('#host-rows > tr:not(.evidence) td:first-child button')].map((one) => one.textContent)";
    choose("subnet", "10.20.7.8/29");
    browser.until(&format!(
        "const list = {shown}; return list.length === 8 && list.every((one) => one.startsWith('10.20.7.'))"
    ));
    browser.until("return document.getElementById('filtered').textContent === 'Only: subnet 10.20.7.8/29'");
    let files = browser.run("return ['csv', 'json'].map((id) => [document.getElementById(id).download, new URL(document.getElementById(id).href).search])");
    for (file, kind) in [(&files[0], "csv"), (&files[1], "json")] {
        assert_eq!(file[0], format!("kaspector-hosts.{kind}"));
        let asked = file[1].as_str().unwrap();
        assert!(asked.contains("subnet=10.20.7.8%2F29") && asked.contains("format=csv") == (kind == "csv"), "{asked}");
        let answer = sensor.ask(&[&format!("GET /api/hosts{asked}"), &format!("Authorization: Bearer {TOKEN}")]);
        assert!(answer.status == 200 && answer.body.contains("10.20.7.15"), "{asked}");
    }
    browser.until("return document.querySelectorAll('#over rect.suspected').length > 0");
    choose("role", "gateway");
    browser.until(&format!("return {shown}.length === 0"));
    browser.run("document.getElementById('all').click(); return true");
    browser.until(
        "return document.querySelectorAll('#host-rows > tr').length > 10 && document.getElementById('filtered').hidden",
    );
    // A subnet that is not there yet is no failure, and is said to be none.
    choose("subnet", "10.20");
    browser.until("return document.getElementById('filtered').textContent.includes('10.20') && document.getElementById('subnet').getAttribute('aria-invalid') === 'true'");
    assert!(browser.console().iter().all(|line| line["message"].as_str().unwrap().contains("400")));
    browser.run("document.getElementById('all').click(); return true");
    // A day of the reader.
    choose("until", "2001-01-01");
    browser.until(&format!("return {shown}.length === 1"));
    browser.run("document.getElementById('all').click(); return true");
    browser.until(&format!("return {shown}.length > 10"));
    // One host by its own address, open, with the packet and what the indicator means.
    browser.run("location.hash = '#host=10.20.7.30'; return true");
    browser.until(&format!("const list = {shown}; return list.length === 1 && list[0] === '10.20.7.30'"));
    browser.until(
        "const one = document.querySelector('.evidence .meaning'); return one !== null && one.textContent.length > 20",
    );
    let told = browser.run("return document.querySelector('.evidence').innerText").as_str().unwrap().to_owned();
    assert!(told.contains(" of eth1") && told.contains("packet ") && told.contains("first seen"), "{told}");
    let link = "return document.querySelector('.evidence a').getAttribute('href')";
    assert_eq!(browser.run(link), "#host=10.20.7.30");
    browser.run("document.getElementById('all').click(); return true");
    browser.until(&format!("return {shown}.length > 10 && location.hash === ''"));

    // Numbers move.
    browser.until("return document.getElementById('packets').textContent.endsWith(' k')");
    browser.until("return document.querySelector('#plot path.packets') !== null");

    // An hour with drops in it, and with a gap where the sensor stood still.
    let hour = "samples = Array.from({ length: 360 }, (_, at) => ({ ms: Date.now() - (359 - at) * 1e4,\
        packets_per_s: 9e5 + 2e5 * Math.sin(at / 25), bits_per_s: 6e9 + 1e9 * Math.cos(at / 40),\
        drops_per_s: at > 200 && at < 215 ? 40 : 0 })).filter((_, at) => at < 100 || at > 120); plot();\
        const path = (name) => document.querySelector(`#plot path.${name}`).getAttribute('d');\
        return [path('packets').split('M').length - 1, path('packets').split('L').length - 1, path('drops').includes('NaN')]";
    assert_eq!(browser.run(hour), json!([2, 337, false]));
    for number in 2..9 {
        sensor.web.alert(&alert(number, &format!("s{number:02}.upd.kaspersky.com"), Weight::Finding));
    }
    // An alert is of the host that it is about, at whichever end of the flow, and units are not shouted.
    sensor.web.alert(&of_server());
    browser.until("return document.querySelector('#alerts strong').textContent === '2001:db8:ffff::5'");
    let about = browser.run("return document.querySelector('#alerts li p:last-child').textContent");
    assert!(about.as_str().unwrap().contains("VLAN 120.7 · port 13000, from 10.20.1.15"), "{about}");
    assert_eq!(browser.run("return document.querySelector('.tile:nth-child(2) h2').innerText"), "Gb/s");
    // Nothing is wider than its place on any screen or on paper, and nothing came from elsewhere.
    let cut = "const cut = (one) => one.scrollWidth > one.clientWidth + 1; return document.documentElement.scrollWidth > innerWidth ? 'page'
        : [...document.querySelectorAll('.tile, .panel, .scroll, header')].filter(cut).map((one) => one.id || one.className).join()";
    for (name, width, height, scheme) in [
        ("wall", 1920, 1080, "dark"),
        ("desk", 1400, 1000, "light"),
        ("notebook", 1280, 800, "light"),
        ("tablet", 768, 1024, "dark"),
        ("telephone", 375, 812, "dark"),
        ("small", 320, 640, "light"),
        ("notebook-dark", 1280, 800, "dark"),
        ("telephone-light", 375, 812, "light"),
        ("small-dark", 320, 640, "dark"),
    ] {
        browser.look(width, height, scheme);
        browser.until(&format!("return innerWidth === {width} && document.documentElement.scrollWidth <= {width}"));
        std::thread::sleep(Duration::from_millis(300));
        browser.run(hour);
        browser.picture(name);
        assert_eq!(browser.run(cut), "", "{name}");
    }
    // A4 less its margins. Paper does not scroll, so nothing may wait below an edge either, and it is white.
    browser.print(700);
    browser.picture("paper");
    assert_eq!(browser.run(cut), "", "paper");
    let hidden = "return [...document.querySelectorAll('.scroll')].filter((one) => one.scrollHeight > one.clientHeight + 1).length";
    assert_eq!(browser.run(hidden), 0);
    assert_eq!(browser.run("return getComputedStyle(document.documentElement).backgroundColor"), "rgb(255, 255, 255)");
    // Without its script the page says what it can, and where the rest is.
    browser.script(false);
    browser.look(320, 640, "light");
    browser.open(&address);
    let text = browser.text();
    assert!(text.contains("The sensor is ready. Hosts with findings: 3. Packets taken: "), "{text}");
    assert!(text.contains("hosts, state of the sensor, metrics, health"), "{text}");
    assert!(!text.contains("connecting") && !text.contains("Waiting"), "{text}");
    browser.picture("no-script");
    browser.script(true);
    browser.open(&address);
    browser.until("return document.getElementById('health').textContent === 'ready'");
    let foreign = format!(
        "return performance.getEntriesByType('resource').map((one) => one.name).filter((name) => !name.startsWith('{address}/'))"
    );
    assert_eq!(browser.run(&foreign), json!([]));
    assert_eq!(browser.console(), Vec::<Value>::new());
}

/// What `kaspector top` prints once, or what it says was wrong.
fn top(sensor: &Sensor, more: &[&str]) -> Result<String, String> {
    let address = sensor.address.to_string();
    let arguments = ["top", "--once", "--http", &address].into_iter().chain(more.iter().copied());
    let output = Command::new(env!("CARGO_BIN_EXE_kaspector")).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn top_shows_a_sensor_on_a_terminal() {
    let sensor = Sensor::start(options());
    sensor.web.alert(&alert(1, "a.example", Weight::Finding));
    sensor.web.alert(&alert(2, "\u{1b}[2J\u{202e}x", Weight::Finding));
    sensor.web.alert(&of_server());
    let shown = top(&sensor, &[]).unwrap();
    for part in [
        "sensor span-01",
        "eth1",
        "spool: one segment is gone",
        "10.20.7.1",
        "suspected",
        "browsing; the latest first",
        "a.example",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("2001:db8:ffff::5 management: management port 13000"), "{shown}");
    assert!(shown.contains("\\u{1b}[2J\\u{202e}x") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn top_says_why_it_sees_no_sensor() {
    let sensor = Sensor::start(WebOptions { token: Token::new(TOKEN), ..options() });
    assert!(top(&sensor, &[]).unwrap_err().contains("--http-token-file"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    assert!(top(&sensor, &["--http-token-file", file.to_str().unwrap()]).unwrap().contains("span-01"));
    assert!(top(&sensor, &["--http-token-file", "/nowhere"]).unwrap_err().contains("/nowhere"));
    drop(sensor);
    let nobody = Command::new(env!("CARGO_BIN_EXE_kaspector"))
        .args(["top", "--once", "--http", "127.0.0.1:9"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("no sensor is heard"));
}
