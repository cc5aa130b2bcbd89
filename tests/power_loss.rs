//! A syslog receiver that loses power: its connection neither ends nor breaks, and nothing that was sent to it comes back.
//!
//! Needs root and `ip`, which make it a machine of its own; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector_delivery::spool::SpoolLimits;
use kaspector_delivery::{Message, OutputOptions, OutputSpec, Outputs, Weight};
use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PORT: u16 = 6514;
const BEFORE: usize = 20;
const ALL: usize = 45;

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A receiver's machine: a network namespace at the other end of a virtual cable.
struct Machine {
    namespace: String,
    cable: String,
    receiver: Option<Child>,
}

impl Machine {
    /// Has `address` and a receiver that writes the numbers of what it takes into `file`.
    fn start(tag: &str, network: u8, tls: Option<&Path>, file: &Path) -> Option<Self> {
        let namespace = format!("k{tag}{}", std::process::id() % 100_000);
        let (cable, far) = (format!("{namespace}n"), format!("{namespace}f"));
        let mut machine = Self { namespace: namespace.clone(), cable: cable.clone(), receiver: None };
        let laid = ip(&["netns", "add", &namespace])
            && ip(&["link", "add", &cable, "type", "veth", "peer", "name", &far, "netns", &namespace]);
        if !laid {
            assert!(std::env::var_os("CI").is_none(), "these tests must run here: root and iproute2 are needed");
            eprintln!("skipped: needs root and iproute2 to make a network namespace");
            return None;
        }
        assert!(ip(&["address", "add", &format!("198.18.{network}.1/30"), "dev", &cable]));
        assert!(ip(&["link", "set", &cable, "up"]));
        assert!(ip(&["-n", &namespace, "address", "add", &format!("198.18.{network}.2/30"), "dev", &far]));
        assert!(ip(&["-n", &namespace, "link", "set", &far, "up"]));
        let mut receiver = Command::new("ip");
        receiver.args(["netns", "exec", &namespace]).arg(std::env::current_exe().unwrap());
        receiver.args(["--ignored", "--exact", "child_that_receives"]).env("RECEIVER_FILE", file);
        if let Some(folder) = tls {
            receiver.env("RECEIVER_TLS", folder);
        }
        let receiver = receiver.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        machine.receiver = Some(receiver);
        Some(machine)
    }

    /// From one moment to the next nothing comes and nothing goes any more; then it is gone.
    fn lose_power(&self) {
        assert!(ip(&["-n", &self.namespace, "link", "set", &format!("{}f", self.namespace), "down"]));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // `ip netns exec` becomes the receiver.
        if let Some(receiver) = &mut self.receiver {
            let _ = receiver.kill();
            let _ = receiver.wait();
        }
        ip(&["link", "del", &self.cable]);
        ip(&["netns", "del", &self.namespace]);
    }
}

/// Not a test by itself: takes syslog messages and writes down their numbers, until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child of the other tests"]
async fn child_that_receives() {
    let Ok(file) = std::env::var("RECEIVER_FILE") else { return };
    let acceptor = std::env::var("RECEIVER_TLS").ok().map(|folder| acceptor(Path::new(&folder)));
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", PORT)).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, file) = (acceptor.clone(), file.clone());
        tokio::spawn(async move {
            match acceptor {
                Some(acceptor) => take(acceptor.accept(stream).await.unwrap(), &file).await,
                None => take(stream, &file).await,
            }
        });
    }
}

async fn take(stream: impl tokio::io::AsyncRead + Unpin, file: &str) {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt};
    let mut stream = tokio::io::BufReader::new(stream);
    let mut length = Vec::new();
    while stream.read_until(b' ', &mut length).await.unwrap_or(0) > 0 {
        let mut text = vec![0; std::str::from_utf8(&length).unwrap().trim().parse().unwrap()];
        if stream.read_exact(&mut text).await.is_err() {
            return;
        }
        length.clear();
        let text = String::from_utf8(text).unwrap();
        let number = text.rsplit("\"n\":").next().unwrap().trim_end_matches('}');
        let mut file = std::fs::File::options().append(true).create(true).open(file).unwrap();
        writeln!(file, "{number}").unwrap();
    }
}

/// A server for the names in the certificate of `folder`.
fn acceptor(folder: &Path) -> tokio_rustls::TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

fn numbers(file: &Path) -> BTreeSet<usize> {
    let mut text = String::new();
    if let Ok(mut file) = std::fs::File::open(file) {
        file.read_to_string(&mut text).unwrap();
    }
    text.as_bytes().lines().map(|line| line.unwrap().parse().unwrap()).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(90), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn offer(outputs: &Outputs, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let line = format!("{{\"event_type\":\"alert\",\"n\":{number}}}").into();
        let uid = format!("{number:026}").into();
        assert!(outputs.offer(Message { uid, host: "10.0.0.1".into(), weight: Weight::Finding, line }));
    }
}

async fn nothing_is_lost(tag: &str, network: u8, scheme: &str, tls: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let address = format!("198.18.{network}.2");
    let made = rcgen::generate_simple_self_signed(vec![address.clone()]).unwrap();
    std::fs::write(path("ca.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = tls.then(|| folder.path());
    let Some(machine) = Machine::start(tag, network, tls, &path("first")) else { return };

    let query = tls.map_or(String::new(), |_| format!("?ca={}", path("ca.pem").display()));
    let spec: OutputSpec = format!("{scheme}://{address}:{PORT}{query}").parse().unwrap();
    let limits = SpoolLimits::default();
    let options = OutputOptions { spool: Some(path("spool")), limits, sensor: "sensor-01".into() };
    let outputs = Outputs::start(&[spec], &options, &tokio::runtime::Handle::current()).unwrap();
    offer(&outputs, 0..BEFORE);
    until("the first have arrived", || outputs.status()[0].delivered == BEFORE as u64).await;
    until("the first are written down", || numbers(&path("first")).len() == BEFORE).await;

    machine.lose_power();
    for number in BEFORE..ALL {
        offer(&outputs, number..number + 1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The system took them long ago.
    let status = &outputs.status()[0];
    assert_eq!(status.delivered, BEFORE as u64, "what nobody acknowledged is not delivered");
    assert!(status.oldest_unacked_s > 1.0, "{status:?}");
    drop(machine);
    let Some(_machine) = Machine::start(tag, network, tls, &path("second")) else { return };
    until("all have arrived", || outputs.status()[0].delivered == ALL as u64).await;
    let all = || numbers(&path("first")).union(&numbers(&path("second"))).copied().collect::<BTreeSet<_>>();
    until("all are written down", || all() == (0..ALL).collect()).await;
    let status = &outputs.status()[0];
    assert_eq!((status.delivered, status.lost), (ALL as u64, 0));
    assert_eq!(outputs.drain(Duration::from_secs(10)).await.behind, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_over_tcp_that_loses_power_is_given_everything_again() {
    nothing_is_lost("pw", 10, "syslog+tcp", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_over_tls_that_loses_power_is_given_everything_again() {
    nothing_is_lost("pt", 11, "syslog+tls", true).await;
}

/// What nobody has acknowledged at the end stays in the spool: the next start sends it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_outlives_the_sensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let Some(machine) = Machine::start("pe", 12, None, &path("first")) else { return };
    let start = || {
        let spec: OutputSpec = format!("syslog+tcp://198.18.12.2:{PORT}").parse().unwrap();
        let limits = SpoolLimits::default();
        let options = OutputOptions { spool: Some(path("spool")), limits, sensor: "sensor-01".into() };
        Outputs::start(&[spec], &options, &tokio::runtime::Handle::current()).unwrap()
    };
    let outputs = start();
    offer(&outputs, 0..BEFORE);
    until("the first have arrived", || outputs.status()[0].delivered == BEFORE as u64).await;
    until("the first are written down", || numbers(&path("first")).len() == BEFORE).await;
    machine.lose_power();
    offer(&outputs, BEFORE..ALL);
    let drained = outputs.drain(Duration::from_secs(2)).await;
    assert_eq!((drained.behind, drained.outputs[0].delivered), (1, BEFORE as u64));
    drop(machine);
    let Some(_machine) = Machine::start("pe", 12, None, &path("second")) else { return };
    let outputs = start();
    until("the rest has arrived", || numbers(&path("second")).is_superset(&(BEFORE..ALL).collect())).await;
    assert_eq!(outputs.drain(Duration::from_secs(10)).await.behind, 0);
}
