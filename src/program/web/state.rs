//! What the server shows: the sensor puts it up, the server reads it, and neither waits for the other.

use super::who_is::Questions;
use super::{AlertFeed, Asked, HostSnapshot, Token, WhoIs};
use crate::status::{History, Status};
use arc_swap::ArcSwap;
use kaspector_delivery::{Message, OutputStatus, SpoolStatus};
use kaspector_report::SeenMachines;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Hosts that were put up so recently need not be asked for again.
const FRESH: Duration = Duration::from_secs(1);
/// How long a reader waits for hosts that it asked for; then it gets what there is.
const HOSTS_WITHIN: Duration = Duration::from_secs(3);

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// Asked for when there is one.
    pub token: Option<Token>,
    /// Names under which a loopback address may be reached besides `localhost` and the address itself.
    pub host_names: Vec<String>,
    /// Name of the sensor.
    pub sensor: String,
    /// How long an interface may be silent.
    pub stale_after: Duration,
    /// Bounds.
    pub limits: Limits,
}

/// What the server shows. Clones show the same.
#[derive(Clone)]
pub struct Web(Arc<Board>);

struct Board {
    options: WebOptions,
    stale_after_s: AtomicU64,
    status: ArcSwap<Status>,
    hosts: watch::Sender<(Option<Instant>, Arc<HostSnapshot>)>,
    wants_hosts: AtomicBool,
    questions: Questions,
    alerts: AlertFeed,
    history: Mutex<History>,
}

impl Web {
    /// Shows nothing yet.
    #[must_use]
    pub fn new(options: WebOptions) -> Self {
        Self(Arc::new(Board {
            stale_after_s: AtomicU64::new(options.stale_after.as_secs()),
            options,
            status: ArcSwap::default(),
            hosts: watch::Sender::new((None, Arc::default())),
            wants_hosts: AtomicBool::new(true),
            questions: Questions::default(),
            alerts: AlertFeed::default(),
            history: Mutex::default(),
        }))
    }

    /// Puts up the sensor's state; once a second is often enough.
    pub fn publish(&self, status: Status) {
        self.0.status.store(Arc::new(status));
    }

    /// Puts up how the outputs are; everything else stays as it was.
    pub fn publish_outputs(&self, outputs: Vec<OutputStatus>, spool: SpoolStatus) {
        self.publish(Status { outputs, spool, ..Status::clone(&self.status()) });
    }

    /// Whether somebody has asked for hosts since the last call. Then call [`Web::publish_hosts`] soon.
    #[must_use]
    pub fn wants_hosts(&self) -> bool {
        self.0.wants_hosts.swap(false, Ordering::Relaxed)
    }

    /// Puts up the hosts.
    pub fn publish_hosts(&self, hosts: HostSnapshot) {
        self.0.hosts.send_replace((Some(Instant::now()), Arc::new(hosts)));
    }

    /// From now on, the questions who hosts are. Until the first call nobody is asked, and hosts have no names.
    #[must_use]
    pub fn questions(&self) -> mpsc::Receiver<WhoIs> {
        self.0.questions.listen()
    }

    /// Shows an alert to everybody who reads. Counters are no alerts, and are left out.
    pub fn alert(&self, message: &Message) {
        self.0.alerts.publish(message);
    }

    /// From now on, how long an interface may be silent.
    pub fn set_stale_after(&self, stale_after: Duration) {
        self.0.stale_after_s.store(stale_after.as_secs(), Ordering::Relaxed);
    }

    pub(super) fn options(&self) -> &WebOptions {
        &self.0.options
    }

    pub(super) fn stale_after(&self) -> Duration {
        Duration::from_secs(self.0.stale_after_s.load(Ordering::Relaxed))
    }

    pub(super) fn status(&self) -> Arc<Status> {
        self.0.status.load_full()
    }

    /// The hosts, at most a second old; older only when the sensor has no time to put them up.
    pub(super) async fn hosts(&self) -> Arc<HostSnapshot> {
        let mut hosts = self.0.hosts.subscribe();
        if hosts.borrow_and_update().0.is_none_or(|at| at.elapsed() > FRESH) {
            self.0.wants_hosts.store(true, Ordering::Relaxed);
            let _ = timeout(HOSTS_WITHIN, hosts.changed()).await;
        }
        let latest = hosts.borrow();
        Arc::clone(&latest.1)
    }

    /// Which machines these are.
    pub(super) async fn who_are(&self, asked: Asked) -> SeenMachines {
        self.0.questions.ask(asked).await
    }

    pub(super) fn alerts(&self) -> &AlertFeed {
        &self.0.alerts
    }

    /// Looks at the last hour, or adds to it.
    pub(super) fn with_history<T>(&self, look: impl FnOnce(&mut History) -> T) -> T {
        look(&mut self.0.history.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Web").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// Bounds of the server. Whoever comes above one waits or is told to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Of these, readers of `/api/alerts`.
    pub streams: usize,
    /// Bytes of a request's head, at least 8 KiB.
    pub head_bytes: usize,
    /// How long a request's head may take, and how long a connection may rest between two requests.
    pub head_timeout: Duration,
    /// How long a reader may take nothing.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            streams: 32,
            head_bytes: 16 << 10,
            head_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
        }
    }
}
