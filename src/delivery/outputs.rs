//! All outputs of a sensor: one thread that writes the spool, and one task for each output that delivers from it.

use super::delivery::{Delivery, OutputStatus, Start, Stop, Tally, prepare};
use super::output::{OutputError, OutputSpec};
use super::spool::{Account, Chores, Kept, Spool, SpoolError, SpoolLimits, Taker, Takers, Upkeep};
use super::{Message, Weight};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What all outputs share.
#[derive(Clone, Debug)]
pub struct OutputOptions {
    /// Folder of the spool; without one messages wait in memory.
    pub spool: Option<PathBuf>,
    /// How much may wait.
    pub limits: SpoolLimits,
    /// Name of the sensor, as receivers shall see it.
    pub sensor: Arc<str>,
}

/// Why outputs cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// One output cannot be used.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The same target twice would share a checkpoint.
    #[error("output {0}: given twice")]
    Twice(String),
    /// No thread.
    #[error("spool: no thread can be started: {0}")]
    Thread(std::io::Error),
}

/// What was left when the outputs were stopped.
#[derive(Clone, Debug)]
pub struct Drained {
    /// Outputs that had not taken everything. With a spool they go on from there at the next start.
    pub behind: usize,
    /// Each output, as it ended.
    pub outputs: Vec<OutputStatus>,
}

/// Where messages wait, at one moment.
#[derive(Clone, Debug, Default)]
pub struct SpoolStatus {
    /// Bytes that messages take: on disk, or in memory where there is no spool.
    pub used_bytes: u64,
    /// The most that they may take.
    pub limit_bytes: u64,
    /// What the disk says as long as it refuses, and what was found wrong with segments within the last hour.
    pub trouble: Option<String>,
}

/// Asks how the outputs are, whoever waits for them meanwhile.
#[derive(Clone, Debug)]
pub struct Watcher {
    outputs: Vec<(String, Arc<Tally>, Option<Arc<Account>>)>,
    shared: Arc<Shared>,
    takers: Takers,
    limit_bytes: u64,
}

impl Watcher {
    /// One entry per output, in the order given, and the spool.
    #[must_use]
    pub fn status(&self) -> (Vec<OutputStatus>, SpoolStatus) {
        let (used_bytes, damage) = self.takers.look().unwrap_or_default();
        let outputs = self.outputs.iter().map(|(name, tally, account)| tally.status(name, account.as_deref()));
        let disk = self.shared.disk_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let trouble = match (disk, damage) {
            (Some(disk), Some(damage)) => Some(format!("{disk}; {damage}")),
            (disk, damage) => disk.or(damage),
        };
        (outputs.collect(), SpoolStatus { used_bytes, limit_bytes: self.limit_bytes, trouble })
    }
}

/// Running outputs.
#[derive(Debug)]
pub struct Outputs {
    intake: Option<SyncSender<Message>>,
    shared: Arc<Shared>,
    takers: Takers,
    running: Vec<Running>,
    /// Tasks that were told to stop.
    leaving: Vec<JoinHandle<()>>,
    spooler: Option<std::thread::JoinHandle<()>>,
    handle: Handle,
    reopen: watch::Sender<u64>,
    limit_bytes: u64,
    sensor: Arc<str>,
}

/// An output that runs.
#[derive(Debug)]
struct Running {
    spec: OutputSpec,
    name: String,
    tally: Arc<Tally>,
    account: Option<Arc<Account>>,
    task: JoinHandle<()>,
    stop: watch::Sender<Stop>,
}

/// Outputs that can take the place of those that run: all that they need was read.
pub struct Prepared(Vec<(OutputSpec, Option<Start>)>);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(spec, _)| spec)).finish()
    }
}

#[derive(Debug, Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    accepted: AtomicU64,
    durable: AtomicU64,
    disk_trouble: Mutex<Option<String>>,
}

const QUEUE_MESSAGES: usize = 4096;
const QUEUE_BYTES: usize = 16 << 20;
const GROUP: Duration = Duration::from_secs(1);
/// Between two syncs for findings, so that a flood of them does not wear the disk out.
const FINDING_SYNC_GAP: Duration = Duration::from_millis(50);
/// Between two looks whether segments are as they were written.
const LOOK: Duration = Duration::from_millis(250);
/// How often to look whether the disk has done its work, while there is nothing else to do.
const DISK_LOOK: Duration = Duration::from_millis(10);

impl Outputs {
    /// Opens the spool and starts every output on `handle`. A target that is away is no error: it is tried again.
    ///
    /// # Errors
    /// [`OutputsError`] when the spool, a certificate or a secret cannot be read, or a target is named twice.
    pub fn start(specs: &[OutputSpec], options: &OutputOptions, handle: &Handle) -> Result<Self, OutputsError> {
        let Prepared(prepared) = Self::prepare(specs, &[], &options.sensor)?;
        let takers: Vec<Taker> = specs.iter().map(taker).collect();
        let spool = Spool::open(options.spool.as_deref(), options.limits, &takers)?;
        let (intake, queue) = sync_channel(QUEUE_MESSAGES);
        let shared = Arc::new(Shared::default());
        let mut outputs = Self {
            intake: Some(intake),
            shared: Arc::clone(&shared),
            takers: spool.takers(),
            running: Vec::new(),
            leaving: Vec::new(),
            spooler: None,
            handle: handle.clone(),
            reopen: watch::Sender::new(0),
            limit_bytes: if options.spool.is_some() {
                options.limits.disk_bytes
            } else {
                options.limits.memory_bytes as u64
            },
            sensor: Arc::clone(&options.sensor),
        };
        for (spec, start) in prepared {
            outputs.running.extend(start.map(|start| outputs.begin(spec, start)));
        }
        let spooler = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || write_spool(spool, &queue, &shared))
            .map_err(OutputsError::Thread)?;
        outputs.spooler = Some(spooler);
        Ok(outputs)
    }

    /// Gets outputs ready to take the place of the `current` ones. Those that are among them go on as they are. May read files.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn prepare(specs: &[OutputSpec], current: &[OutputSpec], sensor: &Arc<str>) -> Result<Prepared, OutputsError> {
        let names: Vec<String> = specs.iter().map(ToString::to_string).collect();
        if let Some((_, twice)) =
            names.iter().enumerate().find(|(number, name)| names.iter().take(*number).any(|other| other == *name))
        {
            return Err(OutputsError::Twice(twice.clone()));
        }
        let prepared = specs.iter().map(|spec| {
            let start = if current.contains(spec) { None } else { Some(prepare(spec, sensor)?) };
            Ok((spec.clone(), start))
        });
        prepared.collect::<Result<_, _>>().map(Prepared)
    }

    /// Replaces the outputs that run by others, which were prepared for that. One that stays goes on undisturbed; one that is new gets what
    /// comes from now on, or from where it stood when it last was among the outputs; one that is gone stops after what is under way.
    pub fn replace(&mut self, Prepared(prepared): Prepared) {
        let mut before = std::mem::take(&mut self.running);
        let mut goes_on = Vec::new();
        for (spec, start) in prepared {
            let known = before.iter().position(|running| running.spec == spec).map(|place| before.remove(place));
            goes_on.push((spec, start, known));
        }
        self.leaving.retain(|task| !task.is_finished());
        for Running { name, task, stop, .. } in before {
            stop.send_replace(Stop::Now);
            self.takers.remove(&name);
            self.leaving.push(task);
        }
        for (spec, start, known) in goes_on {
            let running = known.or_else(|| start.map(|start| self.begin(spec, start)));
            self.running.extend(running);
        }
    }

    fn begin(&self, spec: OutputSpec, start: Start) -> Running {
        let taker = taker(&spec);
        let (name, tally, stop) = (taker.name.clone(), Arc::new(Tally::default()), watch::Sender::new(Stop::Never));
        let reader = self.takers.add(taker);
        let account = reader.as_ref().map(|reader| Arc::clone(reader.account()));
        let delivery = Delivery {
            name: name.clone(),
            format: (spec.format(), Arc::clone(&self.sensor)),
            reader,
            tally: Arc::clone(&tally),
            stop: stop.subscribe(),
            reopen: self.reopen.subscribe(),
        };
        Running { spec, name, tally, account, task: start(delivery, &self.handle), stop }
    }

    /// Hands a message over. Never waits; `false` when the queue to the disk is full: then the caller keeps it and tries again.
    pub fn offer(&self, message: Message) -> bool {
        let Some(intake) = &self.intake else { return false };
        let bytes = message.line.len();
        let queued = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if queued + bytes <= QUEUE_BYTES && intake.try_send(message).is_ok() {
            self.shared.accepted.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    /// Messages accepted so far, and how many of them, in order, are synced to disk (in memory, without a spool).
    #[must_use]
    pub fn durable(&self) -> (u64, u64) {
        (self.shared.accepted.load(Ordering::Relaxed), self.shared.durable.load(Ordering::Acquire))
    }

    /// What the spool's disk says, as long as it refuses.
    #[must_use]
    pub fn disk_trouble(&self) -> Option<String> {
        self.shared.disk_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the spool is.
    #[must_use]
    pub fn spool_status(&self) -> SpoolStatus {
        self.watcher().status().1
    }

    /// Asks how the outputs are that run now.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        let output =
            |Running { name, tally, account, .. }: &Running| (name.clone(), Arc::clone(tally), account.clone());
        Watcher {
            outputs: self.running.iter().map(output).collect(),
            shared: Arc::clone(&self.shared),
            takers: self.takers.clone(),
            limit_bytes: self.limit_bytes,
        }
    }

    /// Where their tasks run.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What the outputs are.
    #[must_use]
    pub fn specs(&self) -> Vec<OutputSpec> {
        self.running.iter().map(|running| running.spec.clone()).collect()
    }

    /// One entry per output, in the order given.
    #[must_use]
    pub fn status(&self) -> Vec<OutputStatus> {
        self.watcher().status().0
    }

    /// Whether every output has gone for good, as standard output does when its reader leaves.
    #[must_use]
    pub fn are_closed(&self) -> bool {
        !self.running.is_empty()
            && self.running.iter().all(|Running { tally, .. }| tally.is_closed.load(Ordering::Relaxed))
    }

    /// Has files opened anew and secrets read again, before the next batch.
    pub fn reopen(&self) {
        self.reopen.send_modify(|count| *count += 1);
    }

    /// Takes no more, waits up to `patience` until every output has taken everything, and stops.
    pub async fn drain(mut self, patience: Duration) -> Drained {
        let deadline = tokio::time::Instant::now() + patience;
        self.intake = None;
        self.leaving.iter().for_each(JoinHandle::abort);
        for Running { stop, .. } in &self.running {
            stop.send_replace(Stop::WhenDone);
        }
        // The tasks go on until they have taken all; the spool's thread, until the last of them has gone.
        let mut behind = 0;
        for Running { task, .. } in &mut self.running {
            if tokio::time::timeout_at(deadline, &mut *task).await.is_err() {
                task.abort();
                behind += 1;
            }
        }
        if let Some(spooler) = self.spooler.take() {
            let _ = self.handle.spawn_blocking(move || spooler.join()).await;
        }
        Drained { behind, outputs: self.status() }
    }
}

fn taker(spec: &OutputSpec) -> Taker {
    Taker { name: spec.to_string(), lightest: spec.lightest() }
}

/// Writes what comes, syncs in groups, and saves checkpoints, until nobody sends any more. The disk works on a thread of its own: what
/// comes meanwhile is on its way at once.
fn write_spool(mut spool: Spool, queue: &Receiver<Message>, shared: &Shared) {
    let (work, works) = sync_channel::<Upkeep>(1);
    let (outcome, outcomes) = sync_channel::<Kept>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(upkeep) = works.recv() {
                if outcome.send(upkeep.run()).is_err() {
                    return;
                }
            }
        });
        append_all(&mut spool, queue, shared, work, &outcomes);
    });
    spool.finish();
    // Readers hold the other ends: when the last has gone, all that will be taken was.
    let mut looked = Instant::now();
    while spool.has_readers() {
        std::thread::sleep(Duration::from_millis(10));
        if looked.elapsed() >= LOOK {
            spool.look();
            looked = Instant::now();
        }
    }
    spool.close();
}

/// Appends until nobody sends any more; hands syncs and checkpoints to `work`, one at a time, and hears of them by `outcomes`.
fn append_all(
    spool: &mut Spool,
    queue: &Receiver<Message>,
    shared: &Shared,
    work: SyncSender<Upkeep>,
    outcomes: &Receiver<Kept>,
) {
    let (mut appended, mut synced, mut saved, mut looked) = (0_u64, Instant::now(), Instant::now(), Instant::now());
    let mut finding_waits = false;
    // What was appended when the disk began its work.
    let mut under_way: Option<u64> = None;
    let note = |spool: &mut Spool, kept: Kept, appended: u64| {
        if spool.kept(kept) {
            shared.durable.store(appended, Ordering::Release);
        }
        *shared.disk_trouble.lock().unwrap_or_else(PoisonError::into_inner) = spool.trouble().map(str::to_owned);
    };
    loop {
        let gap = if finding_waits { FINDING_SYNC_GAP } else { GROUP };
        let wait = gap.saturating_sub(synced.elapsed()).min(LOOK.saturating_sub(looked.elapsed()));
        let mut next = queue.recv_timeout(if under_way.is_some() { DISK_LOOK } else { wait });
        let ended = matches!(next, Err(RecvTimeoutError::Disconnected));
        while let Ok(message) = next {
            shared.queued_bytes.fetch_sub(message.line.len(), Ordering::Relaxed);
            finding_waits |= message.weight == Weight::Finding;
            spool.append(message);
            appended += 1;
            if appended.is_multiple_of(1024) {
                break;
            }
            next = queue.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
        if let Some(count) = under_way
            && let Some(kept) = if ended { outcomes.recv().ok() } else { outcomes.try_recv().ok() }
        {
            note(spool, kept, count);
            under_way = None;
        }
        if ended {
            let kept = spool.upkeep(Chores { is_syncing: true, is_saving: true, is_looking: true }).run();
            note(spool, kept, appended);
            return;
        }
        let gap = if finding_waits { FINDING_SYNC_GAP } else { GROUP };
        let (is_syncing, is_looking) = (synced.elapsed() >= gap, spool.looks_again() || looked.elapsed() >= LOOK);
        // What was lost is written down soon, so that it is not counted again after a kill.
        let is_saving = saved.elapsed() >= GROUP || (saved.elapsed() >= FINDING_SYNC_GAP && spool.has_losses());
        if under_way.is_none() && (is_syncing || is_looking || is_saving) {
            // The thread waits for work as long as we hold the other end.
            if work.send(spool.upkeep(Chores { is_syncing, is_saving, is_looking })).is_ok() {
                under_way = Some(appended);
            }
            let now = Instant::now();
            if is_syncing {
                (synced, finding_waits) = (now, false);
            }
            if is_saving {
                saved = now;
            }
            if is_looking {
                looked = now;
            }
        }
    }
}
