//! Syslog outputs against rsyslog, which most networks have: over UDP, TCP and TLS it must understand every part of a message.
//!
//! Needs rsyslogd, for TLS also its GnuTLS driver; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector_delivery::spool::SpoolLimits;
use kaspector_delivery::{Message, OutputOptions, OutputSpec, Outputs, Weight};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SENSOR: &str = "sensor-01";
const PATIENCE: Duration = Duration::from_secs(30);

/// What rsyslog writes down of each message, one line each, with tabs between.
const PARTS: &str = "%pri%\\t%syslogfacility-text%\\t%syslogseverity-text%\\t%hostname%\\t%app-name%\\t%procid%\\t%msgid%\\t\
    %timereported:::date-rfc3339%\\t%structured-data%\\t%msg%\\n";

/// rsyslogd with its own configuration, gone with this value.
struct Rsyslog {
    child: Child,
    file: PathBuf,
}

impl Rsyslog {
    /// Starts one that takes what `inputs` says; `None`, with a message, where there is no rsyslogd.
    fn start(folder: &Path, inputs: &str) -> Option<Self> {
        let file = folder.join("taken");
        let configuration = folder.join("rsyslog.conf");
        let text = format!(
            "global(workDirectory=\"{}\" maxMessageSize=\"64k\")\n{inputs}\n\
             template(name=\"parts\" type=\"string\" string=\"{PARTS}\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"parts\")\n",
            folder.display(),
            file.display()
        );
        fs::write(&configuration, text).unwrap();
        let spawned = Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-iNONE", "-f"])
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("said")).unwrap())
            .spawn();
        match spawned {
            Ok(child) => Some(Self { child, file }),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "CI must have rsyslogd: {error}");
                eprintln!("skipped: needs the package rsyslog ({error})");
                None
            }
        }
    }

    /// The messages that it took, in order, when there are `count` of them.
    fn taken(&self, count: usize) -> Vec<Taken> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&self.file).unwrap_or_default();
            if text.lines().count() >= count && text.ends_with('\n') {
                return text.lines().map(Taken::of).collect();
            }
            let said = fs::read_to_string(self.file.with_file_name("said")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{} of {count} messages; it said: {said}", text.lines().count());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One message as rsyslog understood it.
struct Taken {
    priority: String,
    facility: String,
    severity: String,
    host: String,
    program: String,
    process: String,
    kind: String,
    at: String,
    structured: String,
    body: String,
}

impl Taken {
    fn of(line: &str) -> Self {
        let mut parts = line.splitn(10, '\t').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_else(|| panic!("{line}"));
        Self {
            priority: part(),
            facility: part(),
            severity: part(),
            host: part(),
            program: part(),
            process: part(),
            kind: part(),
            at: part(),
            structured: part(),
            body: part().trim_start().to_owned(),
        }
    }

    /// Whether every part of the header says what was sent.
    fn check_header(&self, sent: &Message) {
        let header = [&self.priority, &self.facility, &self.severity, &self.host, &self.program, &self.kind];
        assert_eq!(header, ["173", "local5", "notice", SENSOR, "kaspector", "alert"]);
        assert_eq!(self.process, std::process::id().to_string());
        assert_eq!(self.structured, format!("[kaspector@32473 uid=\"{}\"]", sent.uid));
        let event: Value = serde_json::from_str(&sent.line).unwrap();
        let at: jiff::Timestamp = self.at.parse().unwrap();
        let zone = event["timestamp"].as_str().unwrap().replace("+0000", "Z");
        assert_eq!(at, zone.parse().unwrap());
    }
}

/// Alerts as a scan of these captures gives them, and one whose names are long and not ASCII.
fn messages() -> Vec<Message> {
    let mut messages = Vec::new();
    for capture in
        ["dns-then-tls", "http-update", "quic-v1", "ipv6-dns-then-tls", "mail-gateway", "management-certificate"]
    {
        let path = format!("{}/pcaps/{capture}.pcap", concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let output = Command::new(env!("CARGO_BIN_EXE_kaspector"))
            .args(["scan", "-q", "--format", "json", "--eve", "/dev/stderr", &path])
            .output()
            .unwrap();
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            messages.push(message(line));
        }
    }
    assert!(messages.len() > 6, "{}", messages.len());
    let mut event: Value = serde_json::from_str(&messages[0].line).unwrap();
    event["alert"]["metadata"]["kaspector_observed"] = Value::from(vec![format!("é\t\"]\\|={}", "x".repeat(20_000))]);
    messages.push(message(&event.to_string()));
    messages
}

fn message(line: &str) -> Message {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    let uid = event["alert"]["metadata"]["kaspector_uid"][0].as_str().unwrap();
    let host = event["alert"]["target"]["ip"].as_str().unwrap_or_default();
    Message { uid: uid.into(), host: host.into(), weight: Weight::Finding, line: line.into() }
}

/// Sends all messages to one output and waits until they are gone.
async fn send(messages: &[Message], spec: &str) {
    let options = OutputOptions { spool: None, limits: SpoolLimits::default(), sensor: SENSOR.into() };
    let specs: [OutputSpec; 1] = [spec.parse().unwrap()];
    let outputs = Outputs::start(&specs, &options, &tokio::runtime::Handle::current()).unwrap();
    for message in messages {
        assert!(outputs.offer(message.clone()));
    }
    let begun = Instant::now();
    while outputs.status()[0].delivered < messages.len() as u64 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", outputs.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(outputs.drain(Duration::from_secs(10)).await.behind, 0);
}

/// A port that the system does not give out by itself; `number` tells those of one process apart.
fn port(number: u16) -> u16 {
    20_000 + u16::try_from(std::process::id() % 3_000).unwrap() * 4 + number
}

/// CEF values with their escapes taken out (ArcSight, Common Event Format, "Character Encoding").
fn cef_value(body: &str, key: &str) -> Option<String> {
    let start = body.find(&format!(" {key}=")).or_else(|| body.find(&format!("|{key}=")))? + key.len() + 2;
    let rest = &body[start..];
    let mut value = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| if escaped == 'n' { '\n' } else { escaped })),
            // The next key ends the value.
            ' ' if rest[at + 1..].split_once('=').is_some_and(|(key, _)| key.chars().all(char::is_alphanumeric)) => {
                break;
            }
            other => value.push(other),
        }
    }
    Some(value)
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_brings_json_and_cef_whole() {
    let folder = tempfile::tempdir().unwrap();
    let port = port(0);
    let inputs = format!("module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")");
    let Some(rsyslog) = Rsyslog::start(folder.path(), &inputs) else { return };
    let messages = messages();
    send(&messages, &format!("syslog+tcp://127.0.0.1:{port}")).await;
    let taken = rsyslog.taken(messages.len());
    assert_eq!(taken.len(), messages.len());
    for (taken, sent) in taken.iter().zip(&messages) {
        taken.check_header(sent);
        assert_eq!(taken.body, *sent.line);
    }
    // The long one is no name that a packet can have.
    let messages = &messages[..messages.len() - 1];
    send(messages, &format!("syslog+tcp://127.0.0.1:{port}?body=cef")).await;
    let all = rsyslog.taken(taken.len() + messages.len());
    for (taken, sent) in all[taken.len()..].iter().zip(messages) {
        taken.check_header(sent);
        let event: Value = serde_json::from_str(&sent.line).unwrap();
        let head: Vec<&str> = taken.body.splitn(8, '|').collect();
        assert_eq!(head[..3], ["CEF:0", "Kaspector", "Kaspector"]);
        assert_eq!(head[4], event["alert"]["signature_id"].to_string());
        assert_eq!(head[5], event["alert"]["signature"].as_str().unwrap());
        assert_eq!(cef_value(&taken.body, "externalId").as_deref(), Some(&*sent.uid), "{}", taken.body);
        assert_eq!(cef_value(&taken.body, "dvchost").as_deref(), Some(SENSOR), "{}", taken.body);
        if let Some(name) = event["tls"]["sni"].as_str() {
            assert_eq!(cef_value(&taken.body, "dhost").as_deref(), Some(name), "{}", taken.body);
        }
        assert_eq!(cef_value(&taken.body, "spt").unwrap(), event["src_port"].to_string(), "{}", taken.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_brings_a_datagram_each_cut_where_it_is_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let port = port(1);
    let inputs = format!("module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")");
    let Some(rsyslog) = Rsyslog::start(folder.path(), &inputs) else { return };
    // Nothing says when a UDP port is there, but its entry.
    let begun = Instant::now();
    let entry = format!("0100007F:{port:04X}");
    while !fs::read_to_string("/proc/net/udp").unwrap().contains(&entry) {
        assert!(begun.elapsed() < PATIENCE, "rsyslogd does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let messages = messages();
    send(&messages, &format!("syslog+udp://127.0.0.1:{port}")).await;
    let taken = rsyslog.taken(messages.len());
    assert_eq!(taken.len(), messages.len());
    for (taken, sent) in taken.iter().zip(&messages) {
        taken.check_header(sent);
        match taken.body.strip_suffix("...[cut]") {
            Some(begin) => assert!(begin.len() > 1_000 && sent.line.starts_with(begin), "{begin}"),
            None => assert_eq!(taken.body, *sent.line),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_brings_the_same_to_a_server_that_is_vouched_for() {
    let folder = tempfile::tempdir().unwrap();
    let drivers = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    if !drivers.iter().any(|path| Path::new(path).join("rsyslog/lmnsd_gtls.so").exists()) {
        assert!(std::env::var_os("CI").is_none(), "CI must have the package rsyslog-gnutls");
        eprintln!("skipped: needs the package rsyslog-gnutls");
        return;
    }
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let port = port(2);
    let inputs = format!(
        "global(defaultNetstreamDriverCAFile=\"{0}\" defaultNetstreamDriverCertFile=\"{0}\" defaultNetstreamDriverKeyFile=\"{1}\")\n\
         module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
         input(type=\"imtcp\" port=\"{port}\")",
        certificate.display(),
        key.display()
    );
    let Some(rsyslog) = Rsyslog::start(folder.path(), &inputs) else { return };
    let messages = messages();
    send(&messages, &format!("syslog+tls://localhost:{port}?ca={}", certificate.display())).await;
    let taken = rsyslog.taken(messages.len());
    assert_eq!(taken.len(), messages.len());
    for (taken, sent) in taken.iter().zip(&messages) {
        taken.check_header(sent);
        assert_eq!(taken.body, *sent.line);
    }
}
