//! What a watch is asked for, and what of it may change while it runs.

use crate::evidence::LiveOptions;
use crate::sandbox::{Privileges, Sandbox, SandboxMode};
use crate::web::WebOptions;
use kaspector::decode::TunnelPort;
use kaspector::matching::SignatureSet;
#[cfg(doc)]
use kaspector::pipeline::LANES;
use kaspector_delivery::{OutputOptions, OutputSpec};
use kaspector_live::{CaptureKind, Choice, RingOptions};
use kaspector_report::{EveCompat, Site};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What to watch and where to tell of it.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Names of interfaces, at least one.
    pub interfaces: Vec<String>,
    /// Rings and threads for each interface, a power of two, at most [`LANES`]; several share its conversations.
    pub workers: usize,
    /// How packets are taken.
    pub capture: CaptureKind,
    /// Shape of each ring, and what is chosen at first. Packets that the filter does not choose are left alone: those that the kernel leaves out are
    /// counted nowhere, the others as filtered.
    pub ring: RingOptions,
    /// Blocks of each ring; without it as many as [`RingOptions::for_link`] has for the link.
    pub ring_blocks: Option<u32>,
    /// Ports of the site's own where tunnels are opened, besides the assigned ones.
    pub tunnels: Vec<TunnelPort>,
    /// What the outputs share.
    pub output_options: OutputOptions,
    /// Suricata version whose schema the alerts keep to.
    pub compat: EveCompat,
    /// The file that keeps the hosts from one start to the next.
    pub state: Option<PathBuf>,
    /// Where the packets are kept that prove something, if anywhere.
    pub evidence: Option<LiveOptions>,
    /// Where metrics, health and a page are served, and how.
    pub web: Option<(SocketAddr, WebOptions)>,
    /// How long outputs may take at the end.
    pub patience: Duration,
    /// Who to be, once the interfaces are open; `None`: whoever started the sensor, with all privileges.
    pub privileges: Option<Privileges>,
    /// What to be able to reach from then on.
    pub sandbox: Sandbox,
    /// How much that matters.
    pub sandbox_mode: SandboxMode,
    /// Reads configuration and signatures again when SIGHUP asks for it.
    pub reload: Option<Reload>,
}

/// What may change while the sensor runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What to look for.
    pub signatures: Arc<SignatureSet>,
    /// Where alerts go.
    pub outputs: Vec<OutputSpec>,
    /// Seconds between two summaries of what was told before.
    pub summary_interval_s: u64,
    /// Seconds between two records of counters.
    pub stats_interval_s: u64,
    /// How long an interface may be silent before the sensor is not ready.
    pub stale_after: Duration,
    /// How long a host shows nothing before that is told; `None`: it is not told.
    pub silent_after: Option<Duration>,
    /// What is known of the site; it stands beside hosts where they are listed.
    pub site: Arc<Site>,
}

/// Settings that were read again.
#[derive(Debug)]
pub struct Renewed {
    /// What to look for.
    pub signatures: SignatureSet,
    /// In which frames.
    pub choice: Choice,
    /// Where alerts go.
    pub outputs: Vec<OutputSpec>,
    /// See [`Settings::summary_interval_s`].
    pub summary_interval_s: u64,
    /// See [`Settings::stats_interval_s`].
    pub stats_interval_s: u64,
    /// See [`Settings::stale_after`].
    pub stale_after: Duration,
    /// See [`Settings::silent_after`].
    pub silent_after: Option<Duration>,
    /// See [`Settings::site`].
    pub site: Arc<Site>,
    /// What the user should know: settings that cannot change while the sensor runs.
    pub remarks: Vec<String>,
}

/// Reads settings again, or says what is wrong with them. Called on a thread of its own.
#[derive(Clone)]
pub struct Reload(pub(super) Arc<dyn Fn() -> Result<Renewed, String> + Send + Sync>);

impl Reload {
    /// By this function.
    pub fn new(read: impl Fn() -> Result<Renewed, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Reload").finish_non_exhaustive()
    }
}
