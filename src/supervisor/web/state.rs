//! What the server shows, and its bounds.

use super::{AlertFeed, HostSnapshot, Token};
use crate::capture::Timestamp;
use crate::supervisor::{History, Status};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the server shows. The two functions are asked at each request; `hosts` on a thread where it may take its time.
#[derive(Clone)]
pub struct Web {
    /// The sensor now.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// Its hosts now.
    pub hosts: Arc<dyn Fn() -> HostSnapshot + Send + Sync>,
    /// Where alerts are published.
    pub alerts: Arc<AlertFeed>,
    /// The last hour; the server adds to it.
    pub history: Arc<Mutex<History>>,
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

impl fmt::Debug for Web {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Web").field("sensor", &self.sensor).field("limits", &self.limits).finish_non_exhaustive()
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

/// The wall clock: the only one that says how old the last packet is.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
