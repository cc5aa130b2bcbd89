//! A live sensor: one thread per ring takes packets, the control thread carries what they show to the outputs.
//!
//! In:    interfaces and settings.
//! Out:   alerts at the outputs, hosts in the state file, numbers on the page, until a signal ends it.
//! Never: sends a packet into the traffic.
//!
//! ```text
//! ring -> worker: lanes -> reports -> event merger: ledger -> alerts  -> outputs
//!          ^                            |       \ -> records -> hosts
//!          +--------- snapshot ---------+
//! ```
//!
//! A worker owns its ring and its flows, and shares nothing but a bounded queue with one writer and one reader, and the latest snapshot
//! of what it needs to know. The control thread looks at the queues every few milliseconds, so no worker ever wakes anybody.

mod alert_publisher;
mod control;
mod counters;
mod event_merger;
mod health;
mod hosts;
mod interfaces;
mod listed;
mod log;
mod notify;
mod reload;
mod repeats;
mod resources;
mod signals;
mod snapshot;
mod state_writer;
mod worker;

pub use log::Log;
pub use notify::Notify;

use crate::process::clock::now;
use crate::sandbox::{PrivilegeError, Privileges, Sandbox, SandboxError, SandboxMode};
use crate::state::StateError;
use crate::status::{InterfaceStatus, MessageCounts};
use crate::web::{Web, WebOptions, serve};
use alert_publisher::AlertPublisher;
use control::Control;
use counters::WorkerCounters;
use event_merger::EventMerger;
use hosts::Hosts;
use interfaces::Interfaces;
use kaspector::decode::{OutcomeCounters, TunnelPort, TunnelPorts};
use kaspector::matching::{HostFinding, SignatureSet};
use kaspector::pipeline::{LANES, Numbering};
use kaspector_delivery::{OutputOptions, OutputSpec, OutputStatus, Outputs, OutputsError};
use kaspector_live::{CaptureKind, Choice, Facts, Filter, FilterError, Listener, LiveError, RingOptions};
use kaspector_report::EveCompat;
use rtrb::RingBuffer;
pub use signals::Attention;
use signals::Signals;
use state_writer::StateWriter;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use worker::Worker;

/// Hosts that a summary names: all of them, in full, would take more memory than the watch itself.
pub const HOSTS_TOLD: usize = 20;

/// Reports between a worker and the control thread.
const QUEUE: usize = 1 << 13;

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
    /// What the user should know: settings that cannot change while the sensor runs.
    pub remarks: Vec<String>,
}

/// Reads settings again, or says what is wrong with them. Called on a thread of its own.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() -> Result<Renewed, String> + Send + Sync>);

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

/// The result of a watch.
#[derive(Debug, Default)]
pub struct Watched {
    /// One entry per interface, in the order given.
    pub interfaces: Vec<InterfaceStatus>,
    /// One entry per output, in the order given.
    pub outputs: Vec<OutputStatus>,
    /// Outputs that had not taken everything at the end.
    pub behind: usize,
    /// Where the packets ended; they add up to those of all interfaces.
    pub outcomes: OutcomeCounters,
    /// Flows seen.
    pub flows: u64,
    /// What was dropped at a bound, under the bound's name.
    pub dropped: BTreeMap<&'static str, u64>,
    /// The first [`HOSTS_TOLD`] hosts with evidence: strongest verdict first, then by address.
    pub hosts: Vec<HostFinding>,
    /// How many there are in all.
    pub hosts_in_all: u64,
    /// Messages that no output was given, because none had room for them.
    pub no_room: MessageCounts,
}

/// What a watch says while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// From now on no packet is missed.
    Capturing,
    /// Something happened that whoever reads the log wants to know.
    Event(&'a str),
    /// The counters of an interval.
    Detail(&'a str),
    /// The result of the watch so far: somebody asked.
    SoFar(&'a Watched),
    /// Something is wrong, and the watch goes on.
    Warning(&'a str),
}

/// Takes notices.
pub type Tell<'a> = &'a mut dyn FnMut(Notice<'_>);

/// Why there is no watch, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The filter expression is not one.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// An interface cannot be read.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// An output cannot be used.
    #[error(transparent)]
    Outputs(#[from] OutputsError),
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing can be served there.
    #[error("http {address}: {cause}; give another address with --http")]
    Http {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Privileges cannot be given up.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The sandbox cannot be entered.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Not as many threads as a watch needs.
    #[error("{0}")]
    Threads(String),
    /// The system refused a thread, a timer or random numbers.
    #[error("the system refused what a watch needs")]
    System(#[from] std::io::Error),
}

/// Watches until SIGTERM or SIGINT; a second one ends the process at once. SIGHUP reads settings again and opens output files anew;
/// SIGUSR1 has told what was counted so far.
/// `attention` has listened since the process began; `tell` is called with how it goes.
///
/// # Errors
/// When an interface or an output cannot be opened, or an interface fails for good.
///
/// # Panics
/// When a worker panicked: a sensor that starts again is better than one that is half blind.
pub fn watch(
    options: &WatchOptions,
    settings: &Settings,
    attention: Attention,
    tell: Tell<'_>,
) -> Result<Watched, WatchError> {
    let choice = Arc::new(options.ring.choice());
    let filter = || choice.filter.as_deref().map(Filter::new).transpose();
    filter()?;
    let workers = options.workers.clamp(1, LANES);
    let listeners = listeners(options, workers)?;
    let web = match &options.web {
        Some((address, web)) => Some((bound(*address)?, Web::new(web.clone()))),
        None => None,
    };
    // Capabilities and file rules belong to a thread and those that it starts: none may have been started yet.
    if let Some(privileges) = &options.privileges {
        tell(Notice::Event(&privileges.give_up()?.to_string()));
    }
    if let Some(spool) = &options.output_options.spool {
        // Rules are for what is there. Who cannot make it is told so by the spool itself.
        let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(spool);
    }
    let mut files_are_confined = false;
    if options.sandbox_mode != SandboxMode::Off {
        let entered = options.sandbox.enter(options.sandbox_mode)?;
        tell(Notice::Event(&entered.to_string()));
        files_are_confined = entered.landlock_abi.is_some();
    }
    // Outputs and server on threads of their own; the control thread waits by itself, so that each look wakes nobody else.
    let rings = options.interfaces.len() * workers;
    let runtime = resources::runtime(settings.outputs.len(), rings).map_err(WatchError::Threads)?;
    let Attention { runtime: control_runtime, hang_up, user } = attention;
    let signals = control_runtime.block_on(async { Signals::listen(hang_up, user) })?;
    let mut hosts = Hosts::default();
    let state_writer = match &options.state {
        Some(path) => {
            let sensor = &options.output_options.sensor;
            Some(StateWriter::open(path, sensor, &options.interfaces, &settings.signatures, &mut hosts)?)
        }
        None => None,
    };
    let outputs = Outputs::start(&settings.outputs, &options.output_options, runtime.handle())?;
    let counters: Vec<Vec<WorkerCounters>> =
        listeners.iter().map(|rings| rings.iter().map(|_| WorkerCounters::default()).collect()).collect();
    let web = web.map(|(listener, web)| {
        let server = web.clone();
        runtime.spawn(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, server, std::future::pending()).await,
                Err(error) => tracing::error!("HTTP is not served: {error}"),
            }
        });
        web
    });
    let ports = Arc::new(TunnelPorts::with_own(&options.tunnels));
    let (seed, run) = (u64::from_ne_bytes(random()?), random()?);
    let stop = AtomicBool::new(false);
    let watched = std::thread::scope(|scope| {
        let _release = Release(&stop);
        let (mut mergers, mut threads) = (Vec::new(), Vec::new());
        for ((interface, listeners), (name, counters)) in
            (0..).zip(listeners).zip(options.interfaces.iter().zip(&counters))
        {
            let (producers, queues): (Vec<_>, Vec<_>) = listeners.iter().map(|_| RingBuffer::new(QUEUE)).unzip();
            let merger = EventMerger::new(interface, &settings.signatures, &choice, queues);
            for ((thread, listener), (producer, counters)) in
                (0..).zip(listeners).zip(producers.into_iter().zip(counters))
            {
                let numbering = Numbering { thread, threads: workers as u64 };
                let latest = Arc::clone(merger.latest());
                let worker = Worker::new(
                    listener,
                    options.ring.retire,
                    filter()?,
                    latest,
                    &ports,
                    seed,
                    numbering,
                    producer,
                    counters,
                );
                let stop = &stop;
                let builder = std::thread::Builder::new().name(format!("ring {name} {thread}"));
                let spawned = builder.spawn_scoped(scope, move || worker.run(stop));
                // Those that run already would be waited for.
                threads.push(spawned.inspect_err(|_| stop.store(true, Ordering::Relaxed))?);
            }
            mergers.push(merger);
        }
        let interfaces = Interfaces::new(options, &counters);
        let publisher = AlertPublisher::new(options, run, outputs, web.clone());
        let control = Control::new(
            options,
            (settings.clone(), Arc::clone(&choice), files_are_confined),
            mergers,
            interfaces,
            publisher,
            (hosts, state_writer),
            web,
        );
        tell(Notice::Capturing);
        control_runtime.block_on(control.run(signals, &stop, threads, tell))
    });
    // A reload that hangs, over a network drive for one, is not waited for.
    control_runtime.shutdown_background();
    runtime.shutdown_background();
    watched
}

/// Has the workers end should this thread panic: whoever leaves the scope waits for them.
struct Release<'s>(&'s AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// The listener for HTTP.
fn bound(address: SocketAddr) -> Result<TcpListener, WatchError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|cause| WatchError::Http { address, cause })
}

/// Opens all interfaces, each as often as it has workers.
fn listeners(options: &WatchOptions, workers: usize) -> Result<Vec<Vec<Listener>>, WatchError> {
    let mut all = Vec::new();
    for name in &options.interfaces {
        // A group of this machine's packet sockets; nobody else's by chance.
        let fanout = if workers > 1 { Some(u16::from_ne_bytes(random()?)) } else { None };
        let ring = RingOptions { fanout, blocks: blocks(options, name, workers), ..options.ring.clone() };
        let opened = (0..workers).map(|_| Listener::open(options.capture, name, &ring));
        all.push(opened.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(all)
}

/// Blocks of each of the rings that share an interface.
fn blocks(options: &WatchOptions, interface: &str, workers: usize) -> u32 {
    let speed_mbps = || Facts::of(interface).ok()?.speed_mbps;
    let rings = u32::try_from(workers).unwrap_or(1);
    options.ring_blocks.unwrap_or_else(|| {
        let usual = RingOptions::for_link(speed_mbps(), rings);
        // As much memory, however large the blocks are; the kernel fills one while the other is read.
        let bytes = u64::from(usual.block_bytes) * u64::from(usual.blocks);
        u32::try_from(bytes / u64::from(options.ring.block_bytes.max(1))).unwrap_or(u32::MAX).max(2)
    })
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
    Ok(bytes)
}
