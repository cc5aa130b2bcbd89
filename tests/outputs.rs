//! Outputs against real receivers on the other end, which come late, go away and refuse.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use kaspector_delivery::spool::SpoolLimits;
use kaspector_delivery::{Message, OutputOptions, OutputSpec, Outputs, Weight};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn message(number: usize) -> Message {
    Message {
        uid: format!("{number:026}").into(),
        host: format!("10.0.0.{}", number % 5).into(),
        weight: Weight::Finding,
        line: format!("{{\"timestamp\":\"2026-01-01T00:00:00.090000+0000\",\"event_type\":\"alert\",\"n\":{number}}}")
            .into(),
    }
}

fn start(specs: &[&str], spool: &Path) -> Outputs {
    let specs: Vec<OutputSpec> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
    let limits = SpoolLimits::default();
    let options = OutputOptions { spool: Some(spool.join("spool")), limits, sensor: "sensor-01".into() };
    Outputs::start(&specs, &options, &tokio::runtime::Handle::current()).unwrap()
}

fn offer_all(outputs: &Outputs, numbers: std::ops::Range<usize>) {
    for number in numbers {
        while !outputs.offer(message(number)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(40), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn number_of(line: &str) -> usize {
    let at = line.rfind("\"n\":").unwrap_or_else(|| panic!("{line}"));
    line[at + 4..].trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// In order of first sight, without doubles.
fn first_sights(numbers: &[usize]) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gets_everything_while_a_socket_has_no_listener() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("eve.json"), folder.path().join("late.sock"));
    let specs = [format!("file:{}", file.display()), format!("unix-stream:{}", socket.display())];
    let outputs = start(&[&specs[0], &specs[1]], folder.path());
    offer_all(&outputs, 0..1000);
    until("the file has all", || outputs.status()[0].delivered == 1000).await;
    let status = outputs.status();
    assert_eq!(status[1].delivered, 0);
    assert!(status[1].retried > 0 && status[1].trouble.is_some());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.lines().map(number_of).eq(0..1000));

    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(listener.accept().unwrap().0).lines();
        lines.take(1000).map(|line| number_of(&line.unwrap())).collect::<Vec<_>>()
    });
    assert!(reader.join().unwrap().into_iter().eq(0..1000));
    until("synced", || outputs.durable() == (1000, 1000)).await;
    assert_eq!(outputs.drain(Duration::from_secs(10)).await.behind, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_replaced_while_messages_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = |name: &str| format!("file:{}", path(name).display());
    let parse = |specs: &[&str]| specs.iter().map(|spec| spec.parse().unwrap()).collect::<Vec<OutputSpec>>();
    // One that is away, so that its task always waits, and one that takes connections and says nothing.
    let away = format!("unix-stream:{}", path("nobody.sock").display());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}/?shape=ndjson", listener.local_addr().unwrap());
    let mut outputs = start(&[&file("stays"), &away, &hangs, &file("goes")], folder.path());
    offer_all(&outputs, 0..100);
    until("both files have all", || [0, 3].iter().all(|&place| outputs.status()[place].delivered == 100)).await;

    let replace = |outputs: &mut Outputs, specs: &[&str]| {
        let prepared = Outputs::prepare(&parse(specs), &outputs.specs(), &"sensor-01".into());
        outputs.replace(prepared.unwrap());
    };
    replace(&mut outputs, &[&file("comes"), &file("stays")]);
    offer_all(&outputs, 100..200);
    until("all have what is theirs", || {
        let delivered: Vec<u64> = outputs.status().iter().map(|status| status.delivered).collect();
        delivered == [100, 200]
    })
    .await;
    let numbers =
        |name: &str| -> Vec<usize> { std::fs::read_to_string(path(name)).unwrap().lines().map(number_of).collect() };
    assert_eq!(numbers("goes"), (0..100).collect::<Vec<_>>());
    assert_eq!(numbers("comes"), (100..200).collect::<Vec<_>>());

    // Other options for the same file: it goes on where it stood.
    replace(&mut outputs, &[&format!("{}?rotate-size=1GiB", file("comes")), &file("stays"), &file("goes")]);
    offer_all(&outputs, 200..300);
    let begun = Instant::now();
    assert_eq!(outputs.drain(Duration::from_secs(30)).await.behind, 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits for what is gone");
    assert_eq!(numbers("stays"), (0..300).collect::<Vec<_>>());
    assert_eq!(numbers("comes"), (100..300).collect::<Vec<_>>());
    assert!(numbers("goes").ends_with(&(200..300).collect::<Vec<_>>()));

    let refused = Outputs::prepare(&parse(&[&file("a"), &file("a")]), &[], &"sensor-01".into());
    assert!(refused.unwrap_err().to_string().contains("given twice"));
    drop(listener);
}

/// A collector that was started anew beside one that lives on, unwanted: who listens at the path is asked, not remembered.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_was_replaced_is_followed() {
    use std::os::unix::net::{UnixDatagram, UnixListener};
    let folder = tempfile::tempdir().unwrap();
    let (stream, dgram) = (folder.path().join("eve.sock"), folder.path().join("eve.dgram"));
    let listener = UnixListener::bind(&stream).unwrap();
    let old_dgram = UnixDatagram::bind(&dgram).unwrap();
    let specs = [format!("unix-stream:{}", stream.display()), format!("unix-dgram:{}", dgram.display())];
    let outputs = start(&[&specs[0], &specs[1]], folder.path());
    offer_all(&outputs, 0..5);
    let old_stream = listener.accept().unwrap().0;
    let mut old_lines = BufReader::new(&old_stream).lines();
    let mut datagram = [0; 4096];
    // The last one stays unread with the old collectors, and is nobody's yet.
    for number in 0..5 {
        assert_eq!(number_of(&old_lines.next().unwrap().unwrap()), number);
        if number < 4 {
            old_dgram.recv(&mut datagram).unwrap();
        }
    }
    until("what was read counts", || outputs.status()[0].delivered == 5).await;
    assert!(outputs.status()[1].delivered < 5, "a datagram that nobody has read");

    [&stream, &dgram].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let listener = UnixListener::bind(&stream).unwrap();
    let new_dgram = UnixDatagram::bind(&dgram).unwrap();
    offer_all(&outputs, 5..10);
    let reader = std::thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        let numbers = BufReader::new(stream).lines().map(|line| number_of(&line.unwrap()));
        numbers.take_while(|&number| number < 9).collect::<Vec<_>>()
    });
    until("all read", || reader.is_finished()).await;
    assert!(reader.join().unwrap().ends_with(&[5, 6, 7, 8]));
    new_dgram.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut numbers = Vec::new();
    while numbers.last() != Some(&9) {
        let length = new_dgram.recv(&mut datagram).unwrap();
        numbers.push(number_of(std::str::from_utf8(&datagram[..length]).unwrap()));
    }
    assert!(numbers.ends_with(&[4, 5, 6, 7, 8, 9]), "{numbers:?}");
    until("all count", || outputs.status()[1].delivered == 10).await;
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_dies_unread_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("eve.sock");
    let outputs = start(&[&format!("unix-stream:{}", socket.display())], folder.path());
    let path = socket.clone();
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for round in 0..6 {
            let _ = std::fs::remove_file(&path);
            let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
            let stream = listener.accept().unwrap().0;
            drop(listener);
            // Dies with more in its socket than it has read; the last one stays.
            let mut lines = BufReader::with_capacity(64, stream).lines();
            while let Some(Ok(line)) = lines.next() {
                seen.push(number_of(&line));
                if round < 5 && seen.len() % 300 == 0 {
                    break;
                }
                if line.contains("\"n\":2999}") {
                    return seen;
                }
            }
        }
        seen
    });
    for part in 0..30 {
        offer_all(&outputs, part * 100..part * 100 + 100);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("all read", || reader.is_finished()).await;
    assert!(first_sights(&reader.join().unwrap()).into_iter().eq(0..3000));
    outputs.drain(Duration::from_secs(10)).await;
}

/// A receiver that was away is given much at once: what it dies with unread is more than any buffer has by default.
#[tokio::test(flavor = "multi_thread")]
async fn a_syslog_receiver_that_dies_with_megabytes_unread_loses_nothing() {
    const MESSAGES: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let outputs = start(&[&format!("syslog+tcp://{address}")], folder.path());
    for number in 0..MESSAGES {
        let padding = "x".repeat(3_000);
        let line = format!("{{\"event_type\":\"alert\",\"padding\":\"{padding}\",\"n\":{number}}}");
        while !outputs.offer(Message { line: line.as_str().into(), ..message(number) }) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // It takes the connection and reads nothing of it, until its buffers are full. What arrived there counts as delivered.
    let unread = listener.accept().unwrap().0;
    let (mut delivered, mut still_since) = (0, Instant::now());
    until("the buffers are full", || {
        let now = outputs.status()[0].delivered;
        if now != delivered {
            (delivered, still_since) = (now, Instant::now());
        }
        delivered > 10 && still_since.elapsed() > Duration::from_secs(1)
    })
    .await;
    drop(unread);
    let reader = std::thread::spawn(move || {
        // The connection may break once more while what was swallowed is written again.
        let mut seen = Vec::new();
        loop {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut length = Vec::new();
            while stream.read_until(b' ', &mut length).unwrap_or(0) > 0 {
                let mut text = vec![0; std::str::from_utf8(&length).unwrap().trim().parse().unwrap()];
                if stream.read_exact(&mut text).is_err() {
                    break;
                }
                length.clear();
                seen.push(number_of(std::str::from_utf8(&text).unwrap()));
                if seen.last() == Some(&(MESSAGES - 1)) {
                    return seen;
                }
            }
        }
    });
    until("all read", || reader.is_finished()).await;
    assert!(first_sights(&reader.join().unwrap()).into_iter().eq(0..MESSAGES));
    outputs.drain(Duration::from_secs(10)).await;
}

#[derive(Default)]
struct Bulk {
    requests: usize,
    stored: Vec<String>,
    tokens: Vec<String>,
}

async fn bulk(
    State(bulk): State<Arc<Mutex<Bulk>>>,
    headers: axum::http::HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let mut bulk = bulk.lock().unwrap();
    bulk.requests += 1;
    bulk.tokens.push(headers["authorization"].to_str().unwrap().to_owned());
    let mut lines = body.lines();
    if bulk.requests == 1 {
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    let mut items = Vec::new();
    while let (Some(action), Some(source)) = (lines.next(), lines.next()) {
        let action: serde_json::Value = serde_json::from_str(action).unwrap();
        assert_eq!(action["create"]["_index"], "alerts");
        let id = action["create"]["_id"].as_str().unwrap().to_owned();
        // A data stream takes no document without it.
        assert!(source.starts_with("{\"@timestamp\":\"2026-01-01T00:00:00.090000Z\",\"timestamp\":"), "{source}");
        let number = number_of(source);
        let status = if number == 7 {
            400
        } else if bulk.stored.contains(&id) {
            409
        } else if number.is_multiple_of(3) && bulk.requests < 5 {
            429
        } else {
            bulk.stored.push(id);
            201
        };
        items.push(serde_json::json!({"create": {"status": status, "error": {"reason": "mapping"}}}));
    }
    (StatusCode::OK, serde_json::json!({"errors": true, "items": items}).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_may_refuse_the_whole_or_parts() {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(Mutex::new(Bulk::default()));
    let app = axum::Router::new().route("/_bulk", post(bulk)).with_state(Arc::clone(&state));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let spec =
        format!("http://127.0.0.1:{port}/?shape=elastic&index=alerts&auth=api-key&token-file={}", token.display());
    let outputs = start(&[&spec], folder.path());
    offer_all(&outputs, 0..50);
    until("all answered", || outputs.status()[0].delivered + outputs.status()[0].rejected == 50).await;
    let status = &outputs.status()[0];
    assert_eq!((status.delivered, status.rejected, status.lost), (49, 1, 0));
    assert!(status.retried > 0);
    let state = state.lock().unwrap();
    assert_eq!(state.stored.len(), 49);
    assert!(state.tokens.iter().all(|token| token == "ApiKey s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_counts_octets_and_a_datagram_is_a_message() {
    use tokio::io::AsyncReadExt;
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let datagrams = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let specs = [
        format!("syslog+tcp://{}", listener.local_addr().unwrap()),
        format!("syslog+udp://{}?body=cef", datagrams.local_addr().unwrap()),
    ];
    let outputs = start(&[&specs[0], &specs[1]], folder.path());
    offer_all(&outputs, 0..3);
    let (mut stream, _) = listener.accept().await.unwrap();
    for number in 0..3 {
        let mut digits = String::new();
        loop {
            let byte = stream.read_u8().await.unwrap();
            if byte == b' ' {
                break;
            }
            digits.push(char::from(byte));
        }
        let mut text = vec![0; digits.parse().unwrap()];
        stream.read_exact(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("<173>1 2026-01-01T00:00:00.090000Z sensor-01 kaspector "), "{text}");
        assert_eq!(number_of(&text), number);
        let mut datagram = vec![0; 2000];
        let length = datagrams.recv(&mut datagram).await.unwrap();
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        assert!(text.contains("] CEF:0|Kaspector|") && text.contains(&format!("externalId={number:026}")), "{text}");
    }
    outputs.drain(Duration::from_secs(10)).await;
}

/// An authority's certificate in a file, and a server for `localhost` that it vouches for.
fn tls_server(folder: &Path) -> (std::path::PathBuf, tokio_rustls::TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (ca, tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_over_tls_reaches_only_a_server_that_is_vouched_for() {
    use tokio::io::AsyncReadExt;
    let folder = tempfile::tempdir().unwrap();
    let (ca, acceptor) = tls_server(folder.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (strangers, _) = tls_server(&{
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        other
    });
    let deceived = start(&[&format!("syslog+tls://localhost:{port}?ca={}", strangers.display())], folder.path());
    offer_all(&deceived, 0..1);
    assert!(acceptor.accept(listener.accept().await.unwrap().0).await.is_err());
    until("the certificate is refused", || deceived.status()[0].trouble.is_some()).await;
    assert_eq!(deceived.status()[0].delivered, 0);
    deceived.drain(Duration::ZERO).await;

    std::fs::remove_dir_all(folder.path().join("spool")).unwrap();
    let outputs = start(&[&format!("syslog+tls://localhost:{port}?ca={}", ca.display())], folder.path());
    offer_all(&outputs, 0..3);
    // The deceived sensor may have knocked once more.
    let mut stream = loop {
        if let Ok(stream) = acceptor.accept(listener.accept().await.unwrap().0).await {
            break stream;
        }
    };
    let mut text = String::new();
    while text.matches("\"n\":").count() < 3 {
        let mut part = vec![0; 4096];
        let length = stream.read(&mut part).await.unwrap();
        assert!(length > 0);
        text.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    assert!(text.contains(" <173>1 2026-01-01T00:00:00.090000Z sensor-01 kaspector "), "{text}");
    outputs.drain(Duration::from_secs(10)).await;
}

/// A server of `localhost` that demands a certificate, and in `folder` the files for its clients: authority, certificate and key.
fn demanding_server(folder: &Path) -> ([std::path::PathBuf; 3], tokio_rustls::TlsAcceptor) {
    let (server, client) = (vec!["localhost".to_owned()], vec!["sensor-01".to_owned()]);
    let [server, client] = [server, client].map(|names| rcgen::generate_simple_self_signed(names).unwrap());
    let files = ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.join(name));
    for (file, text) in files.iter().zip([server.cert.pem(), client.cert.pem(), client.signing_key.serialize_pem()]) {
        std::fs::write(file, text).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(client.cert.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(server.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.cert.der().clone()], key.into())
        .unwrap();
    (files, tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}

/// In TLS 1.3 the client's handshake is over before the server says no: what was written by then has not arrived.
#[tokio::test(flavor = "multi_thread")]
async fn a_syslog_server_that_refuses_our_certificate_has_taken_nothing() {
    use tokio::io::AsyncReadExt;
    let folder = tempfile::tempdir().unwrap();
    let ([ca, cert, key], acceptor) = demanding_server(folder.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&taken);
    tokio::spawn(async move {
        loop {
            let Ok(mut stream) = acceptor.accept(listener.accept().await.unwrap().0).await else { continue };
            let mut part = vec![0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut part).await {
                seen.lock().unwrap().push_str(std::str::from_utf8(&part[..length]).unwrap());
            }
        }
    });
    let spec = format!("syslog+tls://localhost:{port}?ca={}", ca.display());
    let unknown = start(&[&spec], folder.path());
    offer_all(&unknown, 0..3);
    until("the refusal is told", || unknown.status()[0].trouble.is_some()).await;
    let status = unknown.status();
    assert!(status[0].trouble.as_ref().unwrap().contains("CertificateRequired"), "{:?}", status[0].trouble);
    assert_eq!(status[0].delivered, 0);
    assert_eq!(unknown.drain(Duration::from_millis(200)).await.behind, 1);

    let known = start(&[&format!("{spec}&cert={}&key={}", cert.display(), key.display())], folder.path());
    until("all arrive", || taken.lock().unwrap().matches("\"n\":").count() >= 3).await;
    known.drain(Duration::from_secs(10)).await;
}

/// A server's certificate for a name, valid from one year to another.
fn certificate(name: &str, years: std::ops::Range<i32>) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let cert = params.self_signed(&signing_key).unwrap();
    rcgen::CertifiedKey { cert, signing_key }
}

/// Says yes to each POST over TLS, and keeps the numbers of the lines.
async fn https(listener: tokio::net::TcpListener, acceptor: tokio_rustls::TlsAcceptor, taken: Arc<Mutex<Vec<usize>>>) {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    loop {
        let Ok(stream) = acceptor.accept(listener.accept().await.unwrap().0).await else { continue };
        let mut stream = tokio::io::BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let header = line.trim_end().to_ascii_lowercase();
            line.clear();
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if header.is_empty() {
                let mut body = vec![0; std::mem::take(&mut length)];
                stream.read_exact(&mut body).await.unwrap();
                taken.lock().unwrap().extend(std::str::from_utf8(&body).unwrap().lines().map(number_of));
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_says_what_is_wrong_with_a_certificate_and_loses_nothing_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut port = 0;
    let mut serve = async |acceptor: tokio_rustls::TlsAcceptor| {
        // The same address each time, so that it is the same output.
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        port = listener.local_addr().unwrap().port();
        (port, tokio::spawn(https(listener, acceptor, Arc::clone(&taken))))
    };
    let ca = folder.path().join("ca.pem");
    let plain = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let chain = vec![made.cert.der().clone()];
        let config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key.into()).unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    };
    let stranger = certificate("stranger.example", 2020..2090);
    for (made, is_trusted, said) in [
        (certificate("localhost", 2020..2090), false, "UnknownIssuer"),
        (certificate("localhost", 2020..2021), true, "expired"),
        (certificate("elsewhere.example", 2020..2090), true, "not valid for name"),
    ] {
        let trusted = if is_trusted { &made } else { &stranger };
        std::fs::write(&ca, trusted.cert.pem()).unwrap();
        let (port, server) = serve(plain(&made)).await;
        let outputs = start(&[&format!("https://localhost:{port}/?ca={}", ca.display())], folder.path());
        offer_all(&outputs, 0..3);
        until(said, || outputs.status()[0].trouble.is_some()).await;
        let status = outputs.status();
        assert!(status[0].trouble.as_ref().unwrap().contains(said), "{said}: {:?}", status[0].trouble);
        assert_eq!(status[0].delivered, 0);
        outputs.drain(Duration::from_millis(100)).await;
        server.abort();
        let _ = server.await;
    }
    let ([ca, cert, key], acceptor) = demanding_server(folder.path());
    let (port, _server) = serve(acceptor).await;
    let spec = format!("https://localhost:{port}/?ca={}", ca.display());
    let unknown = start(&[&spec], folder.path());
    until("the refusal is told", || unknown.status()[0].trouble.is_some()).await;
    assert!(unknown.status()[0].trouble.as_ref().unwrap().contains("CertificateRequired"), "{:?}", unknown.status()[0]);
    unknown.drain(Duration::from_millis(100)).await;
    assert!(taken.lock().unwrap().is_empty());

    let known = start(&[&format!("{spec}&cert={}&key={}", cert.display(), key.display())], folder.path());
    until("all arrive", || known.status()[0].delivered == 9).await;
    known.drain(Duration::from_secs(10)).await;
    assert_eq!(*taken.lock().unwrap(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

/// Certificates run out while a sensor runs for months: new ones are taken up, and what cannot be read changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_while_outputs_run() {
    use tokio::io::AsyncReadExt;
    let folder = tempfile::tempdir().unwrap();
    for scheme in ["syslog+tls", "https"] {
        let ([ca, cert, key], acceptor) = demanding_server(folder.path());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = if scheme == "https" {
            tokio::spawn(https(listener, acceptor, Arc::default()))
        } else {
            tokio::spawn(async move {
                loop {
                    let Ok(mut stream) = acceptor.accept(listener.accept().await.unwrap().0).await else { continue };
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {}
                }
            })
        };
        let good = [&cert, &key].map(|file| std::fs::read(file).unwrap());
        let old = certificate("sensor-01", 2020..2021);
        std::fs::write(&cert, old.cert.pem()).unwrap();
        std::fs::write(&key, old.signing_key.serialize_pem()).unwrap();
        let spec =
            format!("{scheme}://localhost:{port}?ca={}&cert={}&key={}", ca.display(), cert.display(), key.display());
        let outputs = start(&[&spec], folder.path());
        offer_all(&outputs, 0..3);
        until("the refusal is told", || outputs.status()[0].trouble.is_some()).await;
        assert_eq!(outputs.status()[0].delivered, 0, "{scheme}");

        // As whoever renews them does: another file under the same name.
        for (file, bytes) in [&cert, &key].into_iter().zip(&good) {
            let beside = file.with_extension("new");
            std::fs::write(&beside, bytes).unwrap();
            std::fs::rename(&beside, file).unwrap();
        }
        outputs.reopen();
        until("all arrive", || outputs.status()[0].delivered == 3).await;
        std::fs::write(&cert, "none").unwrap();
        outputs.reopen();
        offer_all(&outputs, 3..6);
        until("those after it arrive, too", || outputs.status()[0].delivered == 6).await;
        outputs.drain(Duration::from_secs(10)).await;
        server.abort();
    }
}

#[derive(Default)]
struct Posts {
    bodies: Vec<String>,
    secrets: Vec<String>,
}

async fn posted(State(posts): State<Arc<Mutex<Posts>>>, headers: axum::http::HeaderMap, body: String) -> StatusCode {
    let mut posts = posts.lock().unwrap();
    posts.secrets.push(headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned());
    posts.bodies.push(body);
    StatusCode::OK
}

#[tokio::test(flavor = "multi_thread")]
async fn splunk_gets_envelopes_with_times_and_other_collectors_plain_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (splunk, plain) = (Arc::new(Mutex::new(Posts::default())), Arc::new(Mutex::new(Posts::default())));
    let route = |posts: &Arc<Mutex<Posts>>| axum::Router::new().route("/", post(posted)).with_state(Arc::clone(posts));
    let app = axum::Router::new().nest("/splunk", route(&splunk)).nest("/plain", route(&plain));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let token = folder.path().join("hec");
    std::fs::write(&token, "t0ken").unwrap();
    let specs = [
        format!("http://127.0.0.1:{port}/splunk?shape=splunk&token-file={}", token.display()),
        format!("http://127.0.0.1:{port}/plain"),
    ];
    let outputs = start(&[&specs[0], &specs[1]], folder.path());
    offer_all(&outputs, 0..20);
    until("all delivered", || outputs.status().iter().all(|status| status.delivered == 20)).await;
    let splunk = splunk.lock().unwrap();
    assert!(splunk.secrets.iter().all(|secret| secret == "Splunk t0ken"));
    let lines: Vec<serde_json::Value> =
        splunk.bodies.iter().flat_map(|body| body.lines()).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["event"]["n"], number);
        assert_eq!((line["time"].as_f64(), &line["host"]), (Some(1_767_225_600.09), &"sensor-01".into()));
    }
    let plain = plain.lock().unwrap();
    assert!(plain.secrets.iter().all(String::is_empty));
    assert!(plain.bodies.iter().flat_map(|body| body.lines()).map(number_of).eq(0..20));
}

/// An alert as a sensor writes it, with a name that wants to be more than text.
fn finding(number: usize, weight: Weight) -> Message {
    let line = include_str!("data/alerts.jsonl").lines().last().unwrap();
    Message { line: line.into(), weight, ..message(number) }
}

#[derive(Default)]
struct Chat {
    tries: usize,
    bodies: Vec<serde_json::Value>,
}

/// Refuses once by its limit of messages, as chats do.
async fn chat(
    State(chat): State<Arc<Mutex<Chat>>>,
    axum::Json(body): axum::Json<serde_json::Value>,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let mut chat = chat.lock().unwrap();
    chat.tries += 1;
    if chat.tries == 1 {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]);
    }
    chat.bodies.push(body);
    (StatusCode::ACCEPTED, [("x", "y")])
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_are_told_findings_in_few_messages_by_a_url_that_nobody_sees() {
    let folder = tempfile::tempdir().unwrap();
    let (slack, teams) = (Arc::new(Mutex::new(Chat::default())), Arc::new(Mutex::new(Chat::default())));
    let app = axum::Router::new()
        .route("/services/hunter2", post(chat).with_state(Arc::clone(&slack)))
        .route("/workflows/hunter2", post(chat).with_state(Arc::clone(&teams)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let url = |name: &str, path: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("http://127.0.0.1:{port}/{path}\n")).unwrap();
        file.display().to_string()
    };
    // The first URL is out of date, and renewed while findings wait.
    let files = [url("slack", "services/old"), url("teams", "workflows/hunter2")];
    let specs =
        [format!("https:?shape=slack&url-file={}", files[0]), format!("https:?shape=teams&url-file={}", files[1])];
    let outputs = start(&[&specs[0], &specs[1]], folder.path());
    for number in 0..60 {
        let weight = if number % 2 == 0 { Weight::Finding } else { Weight::Summary };
        assert!(outputs.offer(finding(number, weight)));
    }
    until("the old URL is refused", || outputs.status()[0].trouble.as_ref().is_some_and(|why| why.contains("404")))
        .await;
    url("slack", "services/hunter2");
    until("findings are there", || outputs.status().iter().all(|status| status.delivered == 30)).await;
    for status in outputs.status() {
        assert!(status.name.starts_with("http:?url-file=/") && !status.name.contains("hunter2"), "{}", status.name);
        assert_eq!((status.rejected, status.lost, status.waiting), (0, 0, 0));
        assert!(status.retried > 0, "429 is no refusal");
    }
    for chat in [slack, teams] {
        let chat = chat.lock().unwrap();
        assert!(!chat.bodies.is_empty() && chat.bodies.len() < 10, "{} messages", chat.bodies.len());
        let all = serde_json::to_string(&chat.bodies).unwrap();
        assert!(!all.contains("mrkdwn\"}") && all.contains("10.20."), "{all}");
    }
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_cannot_be_used_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let prepared = |spec: String| {
        Outputs::prepare(&[spec.parse().unwrap()], &[], &"s".into()).map(|_| ()).unwrap_err().to_string()
    };
    let spec = format!("https:?shape=slack&url-file={}", file.display());
    assert!(prepared(spec.clone()).contains("No such file"));
    for (url, why) in
        [("hunter2", "relative URL"), ("ftp://hunter2/", "expected http://"), ("https://a:hunter2@b/", "no user")]
    {
        std::fs::write(&file, url).unwrap();
        let error = prepared(spec.clone());
        assert!(error.contains(why) && error.contains(file.to_str().unwrap()) && !error.contains("hunter2"), "{error}");
    }
    let error = prepared("https:?url-env=KASPECTOR_TEST_NO_URL".to_owned());
    assert!(error.contains("environment variable KASPECTOR_TEST_NO_URL is not set"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_output_has_its_own_format() {
    let folder = tempfile::tempdir().unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = |name: &str| folder.path().join(name);
    let specs = [
        format!("file:{}", file("eve").display()),
        format!("file:{}?format=ecs", file("ecs").display()),
        format!("file:{}?format=ocsf", file("ocsf").display()),
        format!("syslog+udp://{}?body=ecs", udp.local_addr().unwrap()),
    ];
    let outputs = start(&specs.each_ref().map(String::as_str), folder.path());
    let message = finding(1, Weight::Finding);
    assert!(outputs.offer(message.clone()));
    assert!(outputs.offer(Message { line: "{\"event_type\":\"stats\"}".into(), ..finding(2, Weight::Stats) }));
    until("all have it", || outputs.status().iter().map(|status| status.delivered).eq([2, 1, 1, 1])).await;
    let lines = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    assert_eq!(lines("eve").lines().next(), Some(&*message.line));
    let record = |name: &str| serde_json::from_str::<serde_json::Value>(&lines(name)).unwrap();
    assert_eq!(
        (&record("ecs")["event"]["id"], record("ecs")["event"]["kind"].as_str()),
        (&(*message.uid).into(), Some("alert"))
    );
    assert_eq!(
        (record("ocsf")["class_uid"].as_u64(), &record("ocsf")["metadata"]["uid"]),
        (Some(2004), &(*message.uid).into())
    );
    let mut datagram = [0; 2048];
    let length = udp.recv(&mut datagram).unwrap();
    assert!(String::from_utf8_lossy(&datagram[..length]).contains("] {\"@timestamp\":\""));
    outputs.drain(Duration::from_secs(10)).await;
}

/// A token that was renewed counts once the old one is refused, without a signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_secret_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "old").unwrap();
    let app = axum::Router::new().route(
        "/",
        post(|headers: axum::http::HeaderMap| async move {
            if headers["authorization"] == "Bearer new" { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let outputs = start(&[&format!("http://127.0.0.1:{port}/?token-file={}", token.display())], folder.path());
    offer_all(&outputs, 0..5);
    until("the refusal is told", || outputs.status()[0].trouble.as_ref().is_some_and(|said| said.contains("401")))
        .await;
    assert_eq!(outputs.status()[0].delivered, 0);
    std::fs::write(&token, "new").unwrap();
    until("all arrive", || outputs.status()[0].delivered == 5).await;
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_socket_gets_one_message_each_and_may_come_late() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("eve.dgram");
    let outputs = start(&[&format!("unix-dgram:{}", socket.display())], folder.path());
    offer_all(&outputs, 0..10);
    until("the listener is missed", || outputs.status()[0].retried > 0).await;
    let listener = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for number in 0..10 {
        let mut datagram = [0; 4096];
        let length = listener.recv(&mut datagram).unwrap();
        assert_eq!(datagram[..length], *message(number).line.as_bytes());
    }
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_begins_anew_by_size_and_where_it_was_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eve.json");
    let numbers = |name: &str| -> Vec<usize> {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        text.lines().map(number_of).collect()
    };
    let outputs = start(&[&format!("file:{}?rotate-size=1K&keep=2", file.display())], folder.path());
    for number in 0..60 {
        offer_all(&outputs, number..number + 1);
        until("delivered", || outputs.status()[0].delivered == number as u64 + 1).await;
    }
    let kept = [numbers("eve.json.2"), numbers("eve.json.1"), numbers("eve.json")].concat();
    assert!(!folder.path().join("eve.json.3").exists());
    assert_eq!(kept, (60 - kept.len()..60).collect::<Vec<_>>());
    assert!(kept.len() > 20 && std::fs::metadata(folder.path().join("eve.json.1")).unwrap().len() <= 1024);

    std::fs::rename(&file, folder.path().join("moved")).unwrap();
    outputs.reopen();
    offer_all(&outputs, 60..61);
    until("delivered", || outputs.status()[0].delivered == 61).await;
    assert_eq!(numbers("eve.json"), [60]);
    outputs.drain(Duration::from_secs(10)).await;
}

/// Numbers in a file, which must be whole lines.
fn numbers_in(path: &Path) -> Vec<usize> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(number_of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_taken_away_is_made_anew_without_being_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = path("eve.json");
    let outputs = start(&[&format!("file:{}", file.display())], folder.path());
    let deliver = async |numbers: std::ops::Range<usize>| {
        let end = numbers.end as u64;
        offer_all(&outputs, numbers);
        until("delivered", || outputs.status()[0].delivered == end).await;
    };
    deliver(0..10).await;
    std::fs::remove_file(&file).unwrap();
    deliver(10..60).await;
    // Whoever removed the file may not have seen what was written last.
    let numbers = numbers_in(&file);
    assert!(numbers.ends_with(&(10..60).collect::<Vec<_>>()), "{numbers:?}");

    std::fs::rename(&file, path("moved")).unwrap();
    deliver(60..110).await;
    assert_eq!(numbers_in(&file), (60..110).collect::<Vec<_>>());
    assert!(numbers_in(&path("moved")).ends_with(&[58, 59]));

    // As `logrotate` does with `create`: another file stands there at once.
    std::fs::rename(&file, path("moved")).unwrap();
    std::fs::write(&file, "").unwrap();
    deliver(110..160).await;
    assert_eq!(numbers_in(&file), (110..160).collect::<Vec<_>>());

    // Another file takes its place, and it has no name any more.
    std::fs::write(path("other"), "{\"n\":7}\n").unwrap();
    std::fs::rename(path("other"), &file).unwrap();
    deliver(160..210).await;
    let numbers = numbers_in(&file);
    assert!(numbers[0] == 7 && numbers.ends_with(&(160..210).collect::<Vec<_>>()), "{numbers:?}");

    // Its folder goes, and comes back.
    let place = path("place");
    std::fs::create_dir(&place).unwrap();
    let spec = format!("file:{}", place.join("eve.json").display());
    let again = start(&[&spec], &path("again"));
    offer_all(&again, 0..10);
    until("delivered", || again.status()[0].delivered == 10).await;
    std::fs::remove_dir_all(&place).unwrap();
    offer_all(&again, 10..60);
    until("trouble is told", || again.status()[0].trouble.is_some()).await;
    assert_eq!(again.status()[0].delivered, 10);
    std::fs::create_dir(&place).unwrap();
    until("delivered", || again.status()[0].delivered == 60).await;
    assert!(numbers_in(&place.join("eve.json")).ends_with(&(10..60).collect::<Vec<_>>()));
    outputs.drain(Duration::from_secs(10)).await;
    again.drain(Duration::from_secs(10)).await;
}

/// As `logrotate` does with `copytruncate`: what is written between the copy and the cut is in neither.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_copied_and_cut_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eve.json");
    let outputs = start(&[&format!("file:{}", file.display())], folder.path());
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..15 {
        offer_all(&outputs, round * 100..round * 100 + 50);
        until("delivered", || outputs.status()[0].delivered == round as u64 * 100 + 50).await;
        seen.extend(numbers_in(&file));
        offer_all(&outputs, round * 100 + 50..round * 100 + 100);
        // Written behind the copy, and cut with it.
        until("delivered", || outputs.status()[0].delivered == round as u64 * 100 + 100).await;
        std::fs::File::options().write(true).open(&file).unwrap().set_len(0).unwrap();
    }
    offer_all(&outputs, 1500..1501);
    until("delivered", || outputs.status()[0].delivered == 1501).await;
    seen.extend(numbers_in(&file));
    assert!(seen.into_iter().eq(0..1501));
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_waits_for_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("eve.fifo");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let outputs = start(&[&format!("file:{}", pipe.display())], folder.path());
    offer_all(&outputs, 0..3000);
    until("the reader is missed", || {
        outputs.status()[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("nobody reads this pipe"))
    })
    .await;
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(std::fs::File::open(&pipe).unwrap()).lines();
        lines.take(3000).map(|line| number_of(&line.unwrap())).collect::<Vec<_>>()
    });
    until("all read", || reader.is_finished()).await;
    assert!(reader.join().unwrap().into_iter().eq(0..3000));
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_wait_in_memory_where_there_is_no_spool() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("late.sock");
    let spec: OutputSpec = format!("unix-stream:{}", socket.display()).parse().unwrap();
    let options = OutputOptions { spool: None, limits: SpoolLimits::default(), sensor: "sensor-01".into() };
    let outputs = Outputs::start(&[spec], &options, &tokio::runtime::Handle::current()).unwrap();
    offer_all(&outputs, 0..100);
    until("the listener is missed", || outputs.status()[0].retried > 0).await;
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(listener.accept().unwrap().0).lines();
        lines.take(100).map(|line| number_of(&line.unwrap())).collect::<Vec<_>>()
    });
    assert!(reader.join().unwrap().into_iter().eq(0..100));
    assert_eq!(outputs.drain(Duration::from_secs(10)).await.behind, 0);
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn kafka_has_every_message_with_its_key_and_uid() {
    use rdkafka::Message as _;
    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::Headers;
    let folder = tempfile::tempdir().unwrap();
    let cluster = rdkafka::mocking::MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 3, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let outputs = start(&[&format!("kafka://{brokers}/alerts")], folder.path());
    offer_all(&outputs, 0..200);
    until("delivered", || outputs.status()[0].delivered == 200).await;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["alerts"]).unwrap();
    let mut by_host = std::collections::BTreeMap::<String, Vec<usize>>::new();
    until("consumed", || {
        while let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
            let number = number_of(record.payload_view::<str>().unwrap().unwrap());
            let header = record.headers().unwrap().get(0);
            assert_eq!((header.key, header.value), ("uid", Some(format!("{number:026}").as_bytes())));
            by_host.entry(String::from_utf8(record.key().unwrap().to_vec()).unwrap()).or_default().push(number);
        }
        by_host.values().map(Vec::len).sum::<usize>() == 200
    })
    .await;
    assert_eq!(by_host.len(), 5);
    assert!(by_host.values().all(|numbers| numbers.is_sorted()));
    outputs.drain(Duration::from_secs(10)).await;
}

/// Not a test by itself: offers messages until it is killed, and says which of them it knows to be synced.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child of the next test"]
async fn child_that_is_killed() {
    use std::io::Write;
    let Ok(folder) = std::env::var("OUTPUTS_TEST_FOLDER") else { return };
    let folder = Path::new(&folder);
    let begin: usize = std::env::var("OUTPUTS_TEST_BEGIN").unwrap().parse().unwrap();
    let outputs = start(&[&format!("file:{}", folder.join("eve.json").display())], folder);
    let mut synced = std::fs::File::create(folder.join("synced")).unwrap();
    for number in begin.. {
        offer_all(&outputs, number..number + 1);
        if number % 20 == 0 {
            writeln!(synced, "{}", outputs.durable().1).unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_nothing_that_was_synced() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let begin = round * 1_000_000;
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child_that_is_killed"])
            .env("OUTPUTS_TEST_FOLDER", folder.path())
            .env("OUTPUTS_TEST_BEGIN", begin.to_string())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(300 + 170 * round as u64)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let said = std::fs::read_to_string(folder.path().join("synced")).unwrap();
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let count: usize = whole.lines().last().map_or(0, |line| line.parse().unwrap());
        assert!(count > 0, "round {round}: nothing was synced");
        acknowledged.extend(begin..begin + count);
    }
    let file = folder.path().join("eve.json");
    let outputs = start(&[&format!("file:{}", file.display())], folder.path());
    assert_eq!(outputs.drain(Duration::from_secs(30)).await.behind, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    // A kill may leave a torn line; the whole message follows on the next.
    let seen: std::collections::HashSet<usize> =
        text.lines().filter(|line| line.ends_with('}')).map(number_of).collect();
    let missing: Vec<&usize> = acknowledged.iter().filter(|number| !seen.contains(number)).collect();
    assert!(missing.is_empty(), "{} of {} missing", missing.len(), acknowledged.len());
}

/// A small disk that is gone when the test is.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        mount.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Another program writes into the same file: its lines stay, whatever becomes of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_nobody_a_line_of_a_shared_file() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("small");
    std::fs::create_dir(&place).unwrap();
    let Some(_disk) = SmallDisk::mount(&place) else {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a file system");
        println!("skipped: only root can mount a small disk");
        return;
    };
    let file = place.join("eve.json");
    let mut other = std::fs::File::options().append(true).create(true).open(&file).unwrap();
    let filler = std::fs::File::create(place.join("filler")).unwrap();
    let fill = |bytes: usize| {
        filler.set_len(0).unwrap();
        let _ = (&filler).write_all(&vec![1; bytes]);
    };
    // The spool is elsewhere: only the file's disk is full.
    let outputs = start(&[&format!("file:{}", file.display())], folder.path());
    let (mut own, mut lines) = (0, 0);
    for round in 0..6 {
        // Less room than the next messages need, and not a whole number of lines.
        fill((256 << 10) - (20 << 10) * (round + 1));
        offer_all(&outputs, own..own + 300);
        own += 300;
        until("the disk is full", || outputs.status()[0].trouble.is_some()).await;
        assert!(outputs.status()[0].delivered < own as u64);
        // Somebody frees a page, and the other program is the first to use it.
        fill((256 << 10) - (20 << 10) * (round + 1) - (8 << 10));
        for _ in 0..3 {
            writeln!(other, "{{\"other\":true,\"n\":{lines}}}").unwrap();
            lines += 1;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    fill(0);
    until("all delivered", || outputs.status()[0].delivered == own as u64).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let parsed: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let (others, ours): (Vec<_>, Vec<_>) = parsed.iter().partition(|line| line["other"] == true);
    let numbers = |lines: &[&serde_json::Value]| -> Vec<usize> {
        lines.iter().map(|line| usize::try_from(line["n"].as_u64().unwrap()).unwrap()).collect()
    };
    assert_eq!(numbers(&others), (0..lines).collect::<Vec<_>>());
    assert_eq!(first_sights(&numbers(&ours)), (0..own).collect::<Vec<_>>());
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("small");
    std::fs::create_dir(&place).unwrap();
    let Some(_disk) = SmallDisk::mount(&place) else {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a file system");
        println!("skipped: only root can mount a small disk");
        return;
    };
    let filler = place.join("filler");
    let socket = folder.path().join("late.sock");
    let outputs = start(&[&format!("unix-stream:{}", socket.display())], &place);
    let _ = std::fs::write(&filler, vec![1; 240 << 10]);
    offer_all(&outputs, 0..3000);
    until("trouble is told", || outputs.disk_trouble().is_some()).await;
    std::fs::remove_file(&filler).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(listener.accept().unwrap().0).lines();
        lines.take(3000).map(|line| number_of(&line.unwrap())).collect::<Vec<_>>()
    });
    assert!(reader.join().unwrap().into_iter().eq(0..3000));
    until("trouble ends", || outputs.disk_trouble().is_none()).await;
    assert_eq!(outputs.status()[0].lost, 0);
    outputs.drain(Duration::from_secs(10)).await;
}
