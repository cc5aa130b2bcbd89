//! Receivers of alerts that die without warning and come back under the same address.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a receiver looks whether it is to die.
const LOOK: Duration = Duration::from_millis(20);

/// What a receiver is, and where.
pub enum Kind {
    /// Listens on a Unix stream socket for lines.
    UnixStream(PathBuf),
    /// Listens on a TCP port for octet-counted syslog (RFC 6587 section 3.4.1).
    Syslog(u16),
    /// Takes Elasticsearch's `_bulk` on a TCP port.
    Elastic(u16),
}

/// What it took over all its lives.
#[derive(Default)]
struct Taken {
    uids: HashSet<String>,
    doubles: u64,
}

impl Taken {
    fn take(&mut self, uid: String) {
        self.doubles += u64::from(!self.uids.insert(uid));
    }
}

enum Life {
    Thread(JoinHandle<()>, Arc<AtomicBool>),
    Runtime(tokio::runtime::Runtime),
}

/// A receiver, alive or dead.
pub struct Receiver {
    pub kind: Kind,
    taken: Arc<Mutex<Taken>>,
    life: Option<Life>,
}

impl Receiver {
    pub fn new(kind: Kind) -> Self {
        Self { kind, taken: Arc::default(), life: None }
    }

    pub fn name(&self) -> String {
        match self.kind {
            Kind::UnixStream(_) => "unix-stream",
            Kind::Syslog(_) => "syslog",
            Kind::Elastic(_) => "elastic",
        }
        .to_owned()
    }

    pub fn is_running(&self) -> bool {
        self.life.is_some()
    }

    pub fn uids(&self) -> HashSet<String> {
        self.taken.lock().unwrap().uids.clone()
    }

    pub fn doubles(&self) -> u64 {
        self.taken.lock().unwrap().doubles
    }

    pub fn start(&mut self) {
        let (taken, stop) = (Arc::clone(&self.taken), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&stop);
        self.life = Some(match &self.kind {
            Kind::UnixStream(path) => {
                let _ = std::fs::remove_file(path);
                let listener = UnixListener::bind(path).unwrap();
                listener.set_nonblocking(true).unwrap();
                let accept = move || {
                    let stream = listener.accept()?.0;
                    stream.set_nonblocking(false)?;
                    stream.set_read_timeout(Some(LOOK))?;
                    Ok(stream)
                };
                Life::Thread(std::thread::spawn(move || read(accept, &seen, &taken, line)), stop)
            }
            Kind::Syslog(port) => {
                let listener = TcpListener::bind(("127.0.0.1", *port)).unwrap();
                listener.set_nonblocking(true).unwrap();
                let accept = move || {
                    let stream = listener.accept()?.0;
                    stream.set_nonblocking(false)?;
                    stream.set_read_timeout(Some(LOOK))?;
                    Ok(stream)
                };
                Life::Thread(std::thread::spawn(move || read(accept, &seen, &taken, counted)), stop)
            }
            Kind::Elastic(port) => {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
                let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", *port))).unwrap();
                let app = Router::new().route("/_bulk", post(bulk)).with_state(taken);
                runtime.spawn(async move { axum::serve(listener, app).await });
                Life::Runtime(runtime)
            }
        });
    }

    /// Ends it in the middle of whatever it does; what it has not read is lost to it.
    pub fn kill(&mut self) {
        match self.life.take() {
            Some(Life::Thread(thread, stop)) => {
                stop.store(true, Ordering::Relaxed);
                thread.join().unwrap();
            }
            Some(Life::Runtime(runtime)) => runtime.shutdown_timeout(Duration::from_secs(5)),
            None => {}
        }
        if let Kind::UnixStream(path) = &self.kind {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The identifier of an EVE alert; `None` for other lines, whole or torn.
pub fn alert_uid(line: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(event["alert"]["metadata"]["kaspector_uid"][0].as_str()?.to_owned())
}

/// The first message of some bytes, and how many bytes it took. `None`: more must come.
type Frame = fn(&[u8]) -> Option<(String, usize)>;

fn line(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((String::from_utf8(bytes[..end].to_vec()).unwrap(), end + 1))
}

fn counted(bytes: &[u8]) -> Option<(String, usize)> {
    let space = bytes.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
    let message = String::from_utf8(bytes.get(space + 1..space + 1 + length)?.to_vec()).unwrap();
    // The body stands behind the structured data, which holds the same identifier.
    let (_, body) = message.split_once("\"] ").unwrap();
    let uid = alert_uid(body).unwrap();
    assert!(message.contains(&format!("uid=\"{uid}\"")), "{message}");
    Some((body.to_owned(), space + 1 + length))
}

/// Takes one connection after the other until told to die.
fn read<S: Read>(accept: impl Fn() -> std::io::Result<S>, stop: &AtomicBool, taken: &Mutex<Taken>, frame: Frame) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = accept() else {
            std::thread::sleep(LOOK / 4);
            continue;
        };
        let (mut bytes, mut part) = (Vec::new(), [0; 2048]);
        while !stop.load(Ordering::Relaxed) {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&part[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
            while let Some((message, length)) = frame(&bytes) {
                bytes.drain(..length);
                if let Some(uid) = alert_uid(&message) {
                    taken.lock().unwrap().take(uid);
                }
            }
        }
    }
}

async fn bulk(State(taken): State<Arc<Mutex<Taken>>>, body: String) -> String {
    let mut lines = body.lines();
    let mut items = Vec::new();
    while let (Some(action), Some(source)) = (lines.next(), lines.next()) {
        let action: serde_json::Value = serde_json::from_str(action).unwrap();
        let uid = action["create"]["_id"].as_str().unwrap().to_owned();
        assert_eq!(alert_uid(source).as_deref(), Some(uid.as_str()));
        taken.lock().unwrap().take(uid);
        items.push(serde_json::json!({"create": {"status": 201}}));
    }
    serde_json::json!({"errors": false, "items": items}).to_string()
}
