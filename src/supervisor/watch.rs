//! A live sensor: one thread per interface takes packets, the control plane carries what they show to the outputs.
//!
//! A worker owns its ring, its flows and its ledger; its alerts leave by a bounded queue with one writer and one reader. The control
//! thread looks at the queues every few milliseconds, so no worker ever wakes anybody.

mod repeats;
mod worker;

use super::status::InterfaceStatus;
use crate::capture::{Filter, FilterError, LiveError, Ring, RingOptions, Timestamp};
use crate::decode::OutcomeCounters;
use crate::matching::{Alert, HostFinding, SignatureSet};
use crate::pipeline::Findings;
use crate::sink::{
    Drained, EveCompat, EveOrigin, EveStats, EveWriter, Message, OutputOptions, OutputSpec, OutputStatus, Outputs,
    OutputsError, Weight, alert_uid,
};
use repeats::{Repeats, Sighting};
use rtrb::{Consumer, RingBuffer};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};
use ulid::Ulid;
use worker::{Worker, WorkerCounters};

/// How often the control thread looks at the queues.
const LOOK: Duration = Duration::from_millis(5);
/// Alerts between a worker and the control thread.
const QUEUE: usize = 4096;
/// Messages that wait while the outputs' queue is full.
const BACKLOG_MAX: usize = 1 << 14;
/// How long outputs may take at the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Share of packets dropped in an interval above which a warning is due: one in so many.
const WARN_ABOVE_ONE_IN: u64 = 1000;

/// What to watch and where to tell of it.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Names of interfaces, at least one.
    pub interfaces: Vec<String>,
    /// Shape of each interface's ring.
    pub ring: RingOptions,
    /// A libpcap filter expression; packets that it does not choose are counted and left alone.
    pub filter: Option<String>,
    /// Where alerts go.
    pub outputs: Vec<OutputSpec>,
    /// What the outputs share.
    pub output_options: OutputOptions,
    /// Suricata version whose schema the alerts keep to.
    pub compat: EveCompat,
    /// Seconds between two summaries of what was told before.
    pub summary_interval_s: u64,
    /// Seconds between two records of counters.
    pub stats_interval_s: u64,
}

/// What a watch came to.
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
    /// What was given up at a bound, under the bound's name.
    pub given_up: BTreeMap<&'static str, u64>,
    /// Hosts with evidence: strongest verdict first, then by address.
    pub hosts: Vec<HostFinding>,
    /// Messages that were lost because no queue had room.
    pub lost: u64,
}

/// What a watch says while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// From now on no packet is missed.
    Capturing,
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
    /// The system refused a thread, a timer or random numbers.
    #[error("the system refused what a watch needs: {0}")]
    System(#[from] std::io::Error),
}

/// Watches until SIGTERM or SIGINT; a second one ends the process at once. SIGHUP opens output files anew. `tell` hears how it goes.
///
/// # Errors
/// When an interface or an output cannot be opened, or an interface fails for good.
///
/// # Panics
/// When a worker panicked: a sensor that starts again is better than one that is half blind.
pub fn watch(options: &WatchOptions, signatures: &SignatureSet, tell: Tell<'_>) -> Result<Watched, WatchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // Before anything is opened, so that no signal is missed.
    let signals = runtime.block_on(async { Signals::listen() })?;
    let filters = options.interfaces.iter().map(|_| options.filter.as_deref().map(Filter::new).transpose());
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let rings = options.interfaces.iter().map(|name| Ring::open(name, &options.ring));
    let rings = rings.collect::<Result<Vec<_>, _>>()?;
    let outputs = Outputs::start(&options.outputs, &options.output_options, runtime.handle())?;
    let counters: Vec<WorkerCounters> = options.interfaces.iter().map(|_| WorkerCounters::default()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut queues, mut workers) = (Vec::new(), Vec::new());
        for ((ring, filter), (counters, name)) in
            rings.into_iter().zip(filters).zip(counters.iter().zip(&options.interfaces))
        {
            let (producer, queue) = RingBuffer::new(QUEUE);
            queues.push(queue);
            let worker = Worker::new(ring, signatures, u64::from_ne_bytes(random()?), filter, producer, counters);
            let stop = &stop;
            let builder = std::thread::Builder::new().name(format!("ring {name}"));
            workers.push(builder.spawn_scoped(scope, move || {
                let ended = worker.run(stop);
                // One interface less would look like a quiet network.
                stop.store(true, Ordering::Relaxed);
                ended
            })?);
        }
        let control = Control {
            options,
            signatures,
            run: random()?,
            started: Instant::now(),
            repeats: Repeats::every(options.summary_interval_s),
            counters: &counters,
            queues,
            outputs,
            backlog: VecDeque::new(),
            alerts: 0,
            lost: 0,
            dropped: vec![(0, 0); options.interfaces.len()],
        };
        tell(Notice::Capturing);
        runtime.block_on(control.run(signals, &stop, workers, tell))
    })
}

type Workers<'scope> = Vec<ScopedJoinHandle<'scope, Result<Findings, LiveError>>>;

/// Signals that ask something of us.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// The control thread.
struct Control<'w> {
    options: &'w WatchOptions,
    signatures: &'w SignatureSet,
    /// Random: what identifies this run in every identifier.
    run: [u8; 32],
    started: Instant,
    repeats: Repeats,
    counters: &'w [WorkerCounters],
    queues: Vec<Consumer<Alert>>,
    outputs: Outputs,
    backlog: VecDeque<Message>,
    alerts: u64,
    lost: u64,
    /// Packets counted and dropped by the kernel when a warning was last considered, by interface.
    dropped: Vec<(u64, u64)>,
}

impl Control<'_> {
    async fn run(
        mut self,
        mut signals: Signals,
        stop: &AtomicBool,
        workers: Workers<'_>,
        tell: Tell<'_>,
    ) -> Result<Watched, WatchError> {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stats = tokio::time::interval(Duration::from_secs(self.options.stats_interval_s.max(1)));
        // The first tick comes at once.
        stats.tick().await;
        let mut workers = Some(workers);
        while let Some(running) = &workers {
            tokio::select! {
                _ = look.tick() => self.look(),
                _ = stats.tick() => self.report(tell),
                _ = signals.hang_up.recv() => self.outputs.reopen(),
                _ = signals.terminate.recv() => end(stop),
                _ = signals.interrupt.recv() => end(stop),
            }
            if running.iter().all(ScopedJoinHandle::is_finished) {
                self.look();
                return self.finish(workers.take().unwrap_or_default(), tell).await;
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Takes what the workers found, and hands on what the outputs have room for.
    fn look(&mut self) {
        for interface in 0..self.queues.len() {
            while let Some(alert) = self.queues.get_mut(interface).and_then(|queue| queue.pop().ok()) {
                self.alerts += 1;
                if let Some(sighting) = self.repeats.take(Sighting { alert, interface }) {
                    self.tell_of(&sighting, None);
                }
            }
        }
        for (sighting, count) in self.repeats.summaries(now()) {
            self.tell_of(&sighting, Some(count));
        }
        while let Some(message) = self.backlog.pop_front() {
            if !self.outputs.offer(message.clone()) {
                self.backlog.push_front(message);
                break;
            }
        }
    }

    fn tell_of(&mut self, sighting: &Sighting, repeated: Option<u64>) {
        let Sighting { alert, interface } = sighting;
        let name = self.options.interfaces.get(*interface).map_or("", String::as_str);
        // Packets are numbered by interface.
        let mut run = self.run;
        for (byte, number) in run.iter_mut().zip(interface.to_be_bytes()) {
            *byte ^= number;
        }
        let mut writer = EveWriter::new(Vec::new(), self.signatures, self.options.compat);
        let origin = EveOrigin::Interface { name, run: &run, repeated };
        writer.write(alert, origin).expect("memory takes every line");
        let line = String::from_utf8_lossy(writer.into_inner().trim_ascii_end()).into_owned();
        let uid = alert_uid(alert, &self.signatures.get(alert.indicator).id, &run);
        let weight = if repeated.is_some() { Weight::Summary } else { Weight::Finding };
        self.push(uid, &sighting.host().address.to_string(), weight, &line);
    }

    /// Says what was counted, and warns of drops.
    fn report(&mut self, tell: Tell<'_>) {
        for (counters, (name, before)) in
            self.counters.iter().zip(self.options.interfaces.iter().zip(&mut self.dropped))
        {
            let seen = counters.kernel_packets.load(Ordering::Relaxed);
            let dropped = counters.kernel_drops.load(Ordering::Relaxed);
            let (more_seen, more_dropped) = (seen.saturating_sub(before.0), dropped.saturating_sub(before.1));
            *before = (seen, dropped);
            if more_dropped.saturating_mul(WARN_ABOVE_ONE_IN) > more_seen {
                tell(Notice::Warning(&format!(
                    "{name}: the kernel dropped {more_dropped} of {more_seen} packets since the last look, because the ring was full; \
                     a larger one may help: --ring-blocks {}",
                    self.options.ring.blocks.saturating_mul(2)
                )));
            }
        }
        let sum = |read: fn(&WorkerCounters) -> &std::sync::atomic::AtomicU64| {
            self.counters.iter().map(|counters| read(counters).load(Ordering::Relaxed)).sum()
        };
        let stats = EveStats {
            uptime_s: self.started.elapsed().as_secs(),
            kernel_packets: sum(|counters| &counters.kernel_packets),
            kernel_drops: sum(|counters| &counters.kernel_drops),
            packets: sum(|counters| &counters.packets),
            bytes: sum(|counters| &counters.bytes),
            invalid: sum(|counters| &counters.invalid),
            alerts: self.alerts,
        };
        let at = now();
        let uid = Ulid::from_parts(at.0 / 1_000_000, u128::from_ne_bytes(random().unwrap_or_default()));
        self.push(uid, "", Weight::Stats, &stats.line(at));
    }

    fn push(&mut self, uid: Ulid, host: &str, weight: Weight, line: &str) {
        if self.backlog.len() >= BACKLOG_MAX {
            self.lost += 1;
            return;
        }
        self.backlog.push_back(Message { uid: uid.to_string().into(), host: host.into(), weight, line: line.into() });
    }

    async fn finish(mut self, workers: Workers<'_>, tell: Tell<'_>) -> Result<Watched, WatchError> {
        let mut watched = Watched::default();
        let mut hosts = BTreeMap::new();
        let mut trouble = None;
        for worker in workers {
            let findings = match worker.join() {
                Ok(Ok(findings)) => findings,
                Ok(Err(error)) => {
                    trouble = Some(error);
                    continue;
                }
                Err(panic) => std::panic::resume_unwind(panic),
            };
            watched.outcomes.add(&findings.outcomes);
            watched.flows += findings.flows;
            for (bound, count) in findings.given_up {
                *watched.given_up.entry(bound).or_default() += count;
            }
            for (host, record) in findings.hosts {
                match hosts.entry(host) {
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert(record);
                    }
                    std::collections::btree_map::Entry::Occupied(mut place) => {
                        place.get_mut().merge(record, self.signatures);
                    }
                }
            }
        }
        for (sighting, count) in self.repeats.held() {
            self.tell_of(&sighting, Some(count));
        }
        self.report(tell);
        let deadline = Instant::now() + PATIENCE;
        while !self.backlog.is_empty() && Instant::now() < deadline {
            self.look();
            tokio::time::sleep(LOOK).await;
        }
        watched.lost = self.lost + self.backlog.len() as u64;
        watched.interfaces = self.interfaces();
        watched.outputs = self.outputs.status();
        let Drained { behind } = self.outputs.drain(PATIENCE).await;
        watched.behind = behind;
        watched.hosts = hosts.iter().filter_map(|(host, record)| record.finding(*host, self.signatures)).collect();
        watched.hosts.sort_by_key(|finding| (finding.verdict, finding.host));
        match trouble {
            Some(error) => Err(error.into()),
            None => Ok(watched),
        }
    }

    fn interfaces(&self) -> Vec<InterfaceStatus> {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let names = self.options.interfaces.iter();
        names
            .zip(self.counters)
            .map(|(name, counters)| InterfaceStatus {
                name: name.clone(),
                packets: read(&counters.packets),
                bytes: read(&counters.bytes),
                kernel_drops: read(&counters.kernel_drops),
                ring_freezes: read(&counters.ring_freezes),
                queue_drops: read(&counters.queue_lost),
                ..InterfaceStatus::default()
            })
            .collect()
    }
}

/// The first wish to end is granted in good order, the second at once.
fn end(stop: &AtomicBool) {
    if stop.swap(true, Ordering::Relaxed) {
        std::process::exit(130);
    }
}

/// The wall clock. Only what the sensor says of itself uses it; alerts carry the time of their packets.
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
    Ok(bytes)
}
