//! All outputs of a sensor: one thread that writes the spool, and one task for each output that delivers from it.

use super::output::{OutputError, OutputSpec, SyslogTransport as Way};
use super::spool::{Kept, Reader, Spool, SpoolError, SpoolLimits, Taker, Upkeep};
use super::transport::{self, Delivered, Settling, Transport, TransportError};
use super::{Message, Weight};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One output at one moment.
#[derive(Clone, Debug, Default)]
pub struct OutputStatus {
    /// As given on the command line, without secrets.
    pub name: String,
    /// Messages that the other side has taken.
    pub delivered: u64,
    /// Attempts that were repeated.
    pub retried: u64,
    /// Messages that the other side refused for good.
    pub rejected: u64,
    /// Messages given up.
    pub lost: u64,
    /// Bytes waiting on disk.
    pub spool_bytes: u64,
    /// Age of the oldest message that was not taken yet, in seconds.
    pub oldest_unacked_s: f64,
    /// What was wrong at the last attempt, if it failed.
    pub trouble: Option<String>,
}

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Outputs that had not taken everything. With a spool they go on from there at the next start.
    pub behind: usize,
}

/// Running outputs.
#[derive(Debug)]
pub struct Outputs {
    intake: Option<SyncSender<Message>>,
    shared: Arc<Shared>,
    readers: Vec<(String, Arc<Tally>)>,
    tasks: Vec<JoinHandle<()>>,
    spooler: Option<std::thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
    reopen: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    accepted: AtomicU64,
    durable: AtomicU64,
    disk_trouble: Mutex<Option<String>>,
}

/// What one output's task counts. One writer each; readers want a recent value, not an order between counters.
#[derive(Debug, Default)]
struct Tally {
    delivered: AtomicU64,
    retried: AtomicU64,
    rejected: AtomicU64,
    lost: AtomicU64,
    spool_bytes: AtomicU64,
    is_behind: AtomicBool,
    is_closed: AtomicBool,
    behind_since: Mutex<Option<Instant>>,
    trouble: Mutex<Option<String>>,
}

const QUEUE_MESSAGES: usize = 4096;
const QUEUE_BYTES: usize = 16 << 20;
const GROUP: Duration = Duration::from_secs(1);
/// Between two syncs for findings, so that a flood of them does not wear the disk out.
const FINDING_SYNC_GAP: Duration = Duration::from_millis(50);
/// How often to look whether the disk has done its work, while there is nothing else to do.
const DISK_LOOK: Duration = Duration::from_millis(10);
const BATCH_MESSAGES: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(10);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

impl Outputs {
    /// Opens the spool and starts every output on `handle`. A target that is away is no error: it is tried again.
    ///
    /// # Errors
    /// [`OutputsError`] when the spool, a certificate or a secret cannot be read, or a target is named twice.
    pub fn start(specs: &[OutputSpec], options: &OutputOptions, handle: &Handle) -> Result<Self, OutputsError> {
        let takers: Vec<Taker> =
            specs.iter().map(|spec| Taker { name: spec.to_string(), takes_stats: spec.takes_stats() }).collect();
        for (number, taker) in takers.iter().enumerate() {
            if takers.iter().take(number).any(|other| other.name == taker.name) {
                return Err(OutputsError::Twice(taker.name.clone()));
            }
        }
        let spool = Spool::open(options.spool.as_deref(), options.limits, &takers)?;
        let (intake, queue) = sync_channel(QUEUE_MESSAGES);
        let (stop, reopen) = (watch::Sender::new(false), watch::Sender::new(0));
        let (mut tasks, mut readers) = (Vec::new(), Vec::new());
        for (number, (spec, taker)) in specs.iter().zip(&takers).enumerate() {
            let tally = Arc::new(Tally::default());
            readers.push((taker.name.clone(), Arc::clone(&tally)));
            let task = Delivery {
                name: taker.name.clone(),
                reader: Some(spool.reader(number)),
                tally,
                stop: stop.subscribe(),
                reopen: reopen.subscribe(),
            };
            tasks.push(task.spawn(spec, &options.sensor, handle)?);
        }
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let spooler = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || write_spool(spool, &queue, &seen))
            .map_err(OutputsError::Thread)?;
        Ok(Self { intake: Some(intake), shared, readers, tasks, spooler: Some(spooler), stop, reopen })
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

    /// One entry per output, in the order given.
    #[must_use]
    pub fn status(&self) -> Vec<OutputStatus> {
        self.readers.iter().map(|(name, tally)| tally.status(name)).collect()
    }

    /// Whether every output has gone for good, as standard output does when its reader leaves.
    #[must_use]
    pub fn are_closed(&self) -> bool {
        !self.readers.is_empty() && self.readers.iter().all(|(_, tally)| tally.is_closed.load(Ordering::Relaxed))
    }

    /// Has files opened anew and secrets read again, before the next batch.
    pub fn reopen(&self) {
        self.reopen.send_modify(|count| *count += 1);
    }

    /// Takes no more, waits up to `patience` until every output has taken everything, and stops.
    pub async fn drain(mut self, patience: Duration) -> Drained {
        let deadline = tokio::time::Instant::now() + patience;
        self.intake = None;
        self.stop.send_replace(true);
        // The tasks go on until they have taken all; the spool's thread, until the last of them has gone.
        for task in &mut self.tasks {
            if tokio::time::timeout_at(deadline, &mut *task).await.is_err() {
                task.abort();
            }
        }
        let behind = self.readers.iter().filter(|(_, tally)| tally.is_behind.load(Ordering::Relaxed)).count();
        if let Some(spooler) = self.spooler.take() {
            let _ = tokio::task::spawn_blocking(move || spooler.join()).await;
        }
        Drained { behind }
    }
}

impl Tally {
    fn status(&self, name: &str) -> OutputStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let since = *self.behind_since.lock().unwrap_or_else(PoisonError::into_inner);
        OutputStatus {
            name: name.to_owned(),
            delivered: read(&self.delivered),
            retried: read(&self.retried),
            rejected: read(&self.rejected),
            lost: read(&self.lost),
            spool_bytes: read(&self.spool_bytes),
            oldest_unacked_s: since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
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
    while spool.has_readers() {
        std::thread::sleep(Duration::from_millis(10));
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
    let (mut appended, mut synced, mut saved) = (0_u64, Instant::now(), Instant::now());
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
        let wait = gap.saturating_sub(synced.elapsed());
        let mut next = queue.recv_timeout(if under_way.is_some() { wait.max(DISK_LOOK) } else { wait });
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
            let kept = spool.upkeep(true).run();
            note(spool, kept, appended);
            return;
        }
        let gap = if finding_waits { FINDING_SYNC_GAP } else { GROUP };
        if under_way.is_none() && synced.elapsed() >= gap {
            let is_saving = saved.elapsed() >= GROUP;
            // The thread waits for work as long as we hold the other end.
            if work.send(spool.upkeep(is_saving)).is_ok() {
                under_way = Some(appended);
            }
            (synced, finding_waits) = (Instant::now(), false);
            if is_saving {
                saved = Instant::now();
            }
        }
    }
}

/// One output's task.
struct Delivery {
    name: String,
    reader: Option<Reader>,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
    reopen: watch::Receiver<u64>,
}

impl Delivery {
    fn spawn(self, spec: &OutputSpec, sensor: &Arc<str>, handle: &Handle) -> Result<JoinHandle<()>, OutputsError> {
        let failed = |what: String| OutputsError::Output(OutputError { spec: spec.to_string(), what });
        spec.check().map_err(failed)?;
        Ok(match spec.clone() {
            OutputSpec::Stdout => handle.spawn(self.run(transport::StdoutTransport)),
            OutputSpec::File { path, rotate_size: size, rotate_age: age, keep } => {
                let rotation = transport::Rotation { size, age, keep };
                handle.spawn(self.run(transport::FileTransport::new(&path, rotation)))
            }
            OutputSpec::UnixStream { path } => handle.spawn(self.run(transport::StreamTransport::new(&path))),
            OutputSpec::UnixDgram { path } => handle.spawn(self.run(transport::DgramTransport::new(&path))),
            OutputSpec::Syslog { transport: way, server, body, facility, ca, cert, key } => {
                let form = transport::Form { body, facility, sensor: Arc::clone(sensor) };
                let made = match way {
                    Way::Udp => transport::SyslogTransport::udp(&server, form),
                    Way::Tcp => transport::SyslogTransport::tcp(&server, form),
                    Way::Tls => {
                        let identity = cert.as_deref().zip(key.as_deref());
                        transport::SyslogTransport::tls(&server, form, ca.as_deref(), identity).map_err(failed)?
                    }
                };
                handle.spawn(self.run(made))
            }
            OutputSpec::Http { url, shape, index, auth, token_env, token_file, ca, cert, key } => {
                let (sensor, identity) = (Arc::clone(sensor), cert.zip(key));
                let target = transport::Target { url, shape, index, auth, token_env, token_file, ca, identity, sensor };
                handle.spawn(self.run(transport::HttpTransport::new(target).map_err(failed)?))
            }
            #[cfg(feature = "kafka")]
            OutputSpec::Kafka { brokers, topic } => {
                handle.spawn(self.run(transport::KafkaTransport::new(&brokers, &topic).map_err(failed)?))
            }
            #[cfg(not(feature = "kafka"))]
            OutputSpec::Kafka { .. } => return Err(failed("this build knows no Kafka".to_owned())),
        })
    }

    /// Delivers until told to stop and nothing is left.
    async fn run<T: Transport>(mut self, mut transport: T) {
        let Some(reader) = &self.reader else { return };
        let mut news = reader.news();
        let mut settling = Settling::default();
        loop {
            let _ = news.borrow_and_update();
            let stopping = *self.stop.borrow();
            let Some(mut reader) = self.reader.take() else { return };
            let work = tokio::task::spawn_blocking(move || {
                let batch = reader.next_batch(BATCH_MESSAGES, BATCH_BYTES);
                (reader, batch)
            });
            let Ok((reader, batch)) = work.await else { return };
            self.note(&reader, !batch.messages.is_empty());
            if let Some(last) = transport.swallows().and_then(|bytes| settling.settled(bytes)) {
                reader.taken(last);
            }
            self.reader = Some(reader);
            if batch.messages.is_empty() {
                if stopping && let Some((reader, last)) = self.reader.as_ref().zip(settling.last()) {
                    // The other side has time to read what it was sent: we end in good order.
                    reader.taken(last);
                }
                // The spool's thread has written everything when it no longer holds its end of the queue.
                if stopping && self.reader.as_ref().is_some_and(Reader::is_final) {
                    return;
                }
                let pause = Duration::from_millis(if stopping { 10 } else { 1000 });
                tokio::select! {
                    changed = news.changed() => if changed.is_err() { return },
                    _ = self.stop.changed(), if !stopping => {}
                    () = tokio::time::sleep(pause) => {}
                }
                continue;
            }
            let bytes = batch.messages.iter().map(|message| message.line.len()).sum();
            let rewrote = self.deliver(&mut transport, batch.messages).await;
            if let Some(reader) = &self.reader {
                if transport.swallows().is_none() {
                    reader.taken(batch.last);
                } else {
                    settling.wrote(batch.last, bytes);
                    if rewrote {
                        settling.renew();
                    }
                }
                self.note(reader, false);
            }
        }
    }

    fn note(&self, reader: &Reader, is_behind: bool) {
        self.tally.lost.store(reader.lost(), Ordering::Relaxed);
        self.tally.spool_bytes.store(reader.disk_bytes(), Ordering::Relaxed);
        self.tally.is_behind.store(is_behind, Ordering::Relaxed);
        let mut since = self.tally.behind_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = is_behind.then(|| since.unwrap_or_else(Instant::now));
    }

    /// Tries until every message was taken or refused. Whether earlier messages may have been written once more.
    async fn deliver<T: Transport>(&mut self, transport: &mut T, mut left: Vec<Arc<Message>>) -> bool {
        let mut delay = FIRST_DELAY;
        let mut may_have_rewritten = false;
        let mut size = left.len();
        while !left.is_empty() {
            if self.reopen.has_changed().unwrap_or(false) {
                self.reopen.mark_unchanged();
                transport.reopen();
            }
            size = size.min(left.len());
            let part: Vec<Arc<Message>> = left.iter().take(size).cloned().collect();
            let pause = match transport.deliver(&part).await {
                Ok(Delivered { rejected, again, reason, is_closed, rewrote }) => {
                    may_have_rewritten |= rewrote;
                    self.tally.is_closed.store(is_closed, Ordering::Relaxed);
                    let taken = part.len() - again.len() - rejected;
                    self.tally.delivered.fetch_add(taken as u64, Ordering::Relaxed);
                    self.tally.rejected.fetch_add(rejected as u64, Ordering::Relaxed);
                    let pause = !again.is_empty();
                    left.splice(..size, again);
                    self.say(reason);
                    if !pause {
                        (delay, size) = (FIRST_DELAY, left.len());
                        continue;
                    }
                    delay
                }
                // Which of them is refused shows when they are sent in smaller pieces.
                Err(TransportError::Reject(reason)) => {
                    self.say(Some(reason));
                    if size == 1 {
                        left.remove(0);
                        self.tally.rejected.fetch_add(1, Ordering::Relaxed);
                    }
                    size = (size / 2).max(1);
                    continue;
                }
                Err(TransportError::Retry(reason)) => {
                    self.say(Some(reason));
                    delay
                }
                Err(TransportError::RetryAfter(reason, after)) => {
                    self.say(Some(reason));
                    after.clamp(delay, RETRY_AFTER_MAX)
                }
            };
            may_have_rewritten = true;
            self.tally.retried.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(jittered(pause)).await;
            delay = (delay * 2).min(LAST_DELAY);
        }
        may_have_rewritten
    }

    /// Notes what is wrong, and says so when that changes.
    fn say(&self, reason: Option<String>) {
        let mut trouble = self.tally.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*trouble, &reason) {
            (before, Some(now)) if before.as_ref() != Some(now) => tracing::warn!(output = self.name, "{now}"),
            (Some(_), None) => tracing::info!(output = self.name, "delivers again"),
            _ => {}
        }
        *trouble = reason;
    }
}

/// Between three quarters of it and all of it, so that many sensors do not knock at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness the pause is merely not jittered.
    let _ = getrandom::fill(&mut byte);
    pause - pause / 4 * u32::from(byte[0]) / 256
}
