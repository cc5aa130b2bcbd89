//! A live sensor: one thread per ring takes packets, the control thread carries what they show to the outputs.
//!
//! In:    interfaces and settings.
//! Out:   alerts at the outputs, hosts in the state file, numbers on the page, until a signal ends it.
//! Never: sends a packet into the traffic.
//!
//! [`watch`] opens all that is needed and starts the threads. The way of an alert, all of it, is in `alert_path.rs`:
//!
//! ```text
//! ring -> worker: lanes -> reports -> event merger: ledger -> alerts  -> outputs
//!          ^                            |       \ -> records -> hosts
//!          +--------- snapshot ---------+
//! ```
//!
//! A worker owns its ring and its flows, and shares nothing but a bounded queue with one writer and one reader, and the latest snapshot
//! of what it needs to know. The control thread looks at the queues every few milliseconds, so no worker ever wakes anybody.

mod alert_path;
mod alert_publisher;
mod control;
mod counters;
mod ending;
mod event_merger;
mod evidence;
mod health;
mod hosts;
mod interfaces;
mod known_machines;
mod listening;
mod log;
mod notify;
mod options;
mod reload;
mod repeats;
mod resources;
mod signals;
mod snapshot;
mod standing;
mod state_writer;
mod watched;
mod worker;

pub use log::Log;
pub use notify::Notify;
pub use options::{Reload, Renewed, Settings, WatchOptions};
pub use watched::{HOSTS_TOLD, Notice, Tell, WatchError, Watched};

use crate::evidence::{EvidenceCounts, KeptFrames, KeptInterface, LiveEvidence};
use crate::process::clock::now;
use crate::sandbox::SandboxMode;
use crate::web::{Web, serve};
use alert_path::AlertPath;
use alert_publisher::AlertPublisher;
use control::Control;
use counters::WorkerCounters;
use event_merger::EventMerger;
use evidence::EvidenceDesk;
use hosts::Hosts;
use interfaces::Interfaces;
use kaspector::decode::TunnelPorts;
use kaspector::pipeline::{LANES, Numbering};
use kaspector_delivery::Outputs;
use kaspector_live::{Facts, Filter, Listener, RingOptions};
use rtrb::RingBuffer;
pub use signals::Attention;
use signals::Signals;
use state_writer::StateWriter;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use worker::Worker;

/// Reports between a worker and the control thread.
const QUEUE: usize = 1 << 13;

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
    if let Some(evidence) = &options.evidence {
        // Packets are nobody else's.
        _ = std::fs::DirBuilder::new().mode(0o700).create(&evidence.folder);
    }
    let mut files_are_confined = false;
    if options.sandbox_mode != SandboxMode::Off {
        let entered = options.sandbox.enter(options.sandbox_mode)?;
        tell(Notice::Event(&entered.to_string()));
        files_are_confined = entered.landlock_abi.is_some();
    }
    if let Some(evidence) = &options.evidence {
        LiveEvidence::check(&evidence.folder)?;
    }
    // Outputs and server on threads of their own; the control thread waits by itself, so that each look wakes nobody else.
    let rings = options.interfaces.len() * workers;
    let runtime = resources::runtime(settings.outputs.len(), rings).map_err(WatchError::Threads)?;
    let Attention { runtime: control_runtime, hang_up, user } = attention;
    let signals = control_runtime.block_on(async { Signals::listen(hang_up, user) })?;
    let mut hosts = Hosts::default();
    let (state_writer, inputs) = match &options.state {
        Some(path) => {
            let sensor = &options.output_options.sensor;
            let (state_writer, inputs) =
                StateWriter::open(path, sensor, &options.interfaces, &settings.signatures, &mut hosts)?;
            (Some(state_writer), inputs)
        }
        None => (None, options.interfaces.clone()),
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
        let mut kept_interfaces = Vec::new();
        for ((interface, listeners), (name, counters)) in
            (0..).zip(listeners).zip(options.interfaces.iter().zip(&counters))
        {
            let (producers, queues): (Vec<_>, Vec<_>) = listeners.iter().map(|_| RingBuffer::new(QUEUE)).unzip();
            let merger = EventMerger::new(interface, &settings.signatures, &choice, queues);
            let kept: Vec<_> = if options.evidence.is_some() {
                listeners.iter().map(|_| Some(KeptFrames::new(workers))).collect()
            } else {
                listeners.iter().map(|_| None).collect()
            };
            kept_interfaces.push(KeptInterface {
                name: name.clone(),
                digest: alert_publisher::of_interface(&run, interface),
                rings: kept.iter().flatten().cloned().collect(),
            });
            for ((thread, listener), ((producer, kept), counters)) in
                (0..).zip(listeners).zip(producers.into_iter().zip(kept).zip(counters))
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
                )
                .keeping(kept);
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
        let (signatures, interval_s) = (Arc::clone(&settings.signatures), settings.summary_interval_s);
        let evidence = options.evidence.clone().map(|evidence| {
            let counts = Arc::<EvidenceCounts>::default();
            let live = LiveEvidence::start(evidence, kept_interfaces, &ports, &counts)?;
            Ok::<_, std::io::Error>(EvidenceDesk::new(live, counts))
        });
        let evidence = evidence.transpose()?;
        let alerts = AlertPath::new(mergers, hosts, state_writer, publisher, signatures, interval_s).keeping(evidence);
        let current = (settings.clone(), Arc::clone(&choice), files_are_confined);
        let control = Control::new(options, current, interfaces, alerts, inputs, web);
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
