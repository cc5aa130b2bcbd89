//! One output's task: takes batches from the spool and delivers them, for as long as it takes.

use super::Message;
use super::format::RecordFormat;
use super::output::{OutputError, OutputSpec, SyslogTransport as Way};
use super::spool::{Account, Lost, Reader};
use super::transport::{self, Delivered, Standing, Transport, TransportError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BATCH_MESSAGES: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(10);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How often to ask what has been acknowledged while something waits for it.
const ASK: Duration = Duration::from_millis(100);
/// How long an output that was taken out of the configuration may take for what is under way.
const LEAVE: Duration = Duration::from_secs(2);

/// Without any progress for so long, an output is in trouble although nothing has failed yet.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// Messages that it was never given.
    pub lost: u64,
    /// The same by reason.
    pub losses: Vec<Lost>,
    /// Messages that wait for it.
    pub waiting: u64,
    /// About how many bytes those take that it has not acknowledged.
    pub spool_bytes: u64,
    /// Age of the oldest message that was not taken yet, in seconds.
    pub oldest_unacked_s: f64,
    /// What is wrong: why the last attempt failed, or why alerts were lost within the last hour.
    pub trouble: Option<String>,
}

/// What one output's task counts. One writer each; readers want a recent value, not an order between counters.
#[derive(Debug, Default)]
pub(super) struct Tally {
    delivered: AtomicU64,
    retried: AtomicU64,
    rejected: AtomicU64,
    pub is_closed: AtomicBool,
    in_hand: Mutex<Option<InHand>>,
    trouble: Mutex<Option<String>>,
}

/// What is being delivered.
#[derive(Clone, Copy, Debug)]
struct InHand {
    /// When the oldest message of it came.
    since_ms: u64,
    /// How old that was when it was taken in hand.
    age: Duration,
    since: Instant,
    /// When any message was last delivered or refused.
    progress: Instant,
}

impl Tally {
    pub fn status(&self, name: &str, account: Option<&Account>) -> OutputStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let in_hand = *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let still = in_hand.map(|in_hand| in_hand.progress.elapsed()).filter(|&still| still > PATIENCE);
        let trouble = trouble.or_else(|| Some(format!("has taken nothing for {} s", still?.as_secs())));
        let loss = account.and_then(Account::trouble).map(|loss| format!("alerts were lost: {}", loss.words()));
        let losses = account.map(Account::lost).unwrap_or_default();
        let (waiting, spool_bytes) = account.map(Account::waiting).unwrap_or_default();
        OutputStatus {
            name: name.to_owned(),
            delivered: read(&self.delivered),
            retried: read(&self.retried),
            rejected: read(&self.rejected),
            lost: losses.iter().map(|lost| lost.alerts + lost.counters).sum(),
            losses,
            waiting,
            spool_bytes,
            oldest_unacked_s: in_hand.map_or(0.0, |InHand { age, since, .. }| (age + since.elapsed()).as_secs_f64()),
            trouble: match (trouble, loss) {
                (Some(trouble), Some(loss)) => Some(format!("{trouble}; {loss}")),
                (trouble, loss) => trouble.or(loss),
            },
        }
    }

    /// Notes when the oldest message came that is under way, `None`: nothing waits.
    fn take_in_hand(&self, since_ms: Option<u64>) {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        *in_hand = since_ms.map(|since_ms| {
            if let Some(same) = in_hand.filter(|known| known.since_ms == since_ms) {
                return same;
            }
            let came = UNIX_EPOCH.checked_add(Duration::from_millis(since_ms));
            // A clock that was set back makes nothing older.
            let age = came.and_then(|came| SystemTime::now().duration_since(came).ok()).unwrap_or_default();
            let now = Instant::now();
            InHand { since_ms, age, since: now, progress: now }
        });
    }

    fn note_progress(&self) {
        if let Some(in_hand) = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            in_hand.progress = Instant::now();
        }
    }
}

/// One output's task.
#[derive(Debug)]
pub(super) struct Delivery {
    pub name: String,
    /// How the records are written, and who saw what they say.
    pub format: (RecordFormat, Arc<str>),
    pub reader: Option<Reader>,
    pub tally: Arc<Tally>,
    pub stop: watch::Receiver<Stop>,
    pub reopen: watch::Receiver<u64>,
}

/// When a task is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Never,
    /// Once nothing is left.
    WhenDone,
    /// After what is under way: the output was taken out of the configuration.
    Now,
}

/// Begins one output's task, once everything that it reads was read.
pub(super) type Start = Box<dyn FnOnce(Delivery, &Handle) -> JoinHandle<()> + Send>;

/// Reads what the output needs, and says how it is started.
pub(super) fn prepare(spec: &OutputSpec, sensor: &Arc<str>) -> Result<Start, OutputError> {
    let failed = |what: String| OutputError { spec: spec.to_string(), what };
    spec.check().map_err(failed)?;
    Ok(match spec.clone() {
        OutputSpec::Stdout { format } => starting(transport::StdoutTransport { format }),
        OutputSpec::File { path, rotate_size: size, rotate_age: age, keep, .. } => {
            starting(transport::FileTransport::new(&path, transport::Rotation { size, age, keep }))
        }
        OutputSpec::UnixStream { path, .. } => starting(transport::StreamTransport::new(&path)),
        OutputSpec::UnixDgram { path, .. } => starting(transport::DgramTransport::new(&path)),
        OutputSpec::Syslog { transport: way, server, body, facility, ca, cert, key } => {
            let form = transport::Form { body, facility, sensor: Arc::clone(sensor) };
            starting(match way {
                Way::Udp => transport::SyslogTransport::udp(&server, form),
                Way::Tcp => transport::SyslogTransport::tcp(&server, form),
                Way::Tls => {
                    let files = transport::Files { ca, identity: cert.zip(key) };
                    transport::SyslogTransport::tls(&server, form, files).map_err(failed)?
                }
            })
        }
        OutputSpec::Http {
            url, url_file, url_env, shape, index, auth, token_env, token_file, ca, cert, key, ..
        } => {
            let (sensor, files) = (Arc::clone(sensor), transport::Files { ca, identity: cert.zip(key) });
            let address = transport::Address { url, file: url_file, variable: url_env };
            let target = transport::Target { address, shape, index, auth, token_env, token_file, files, sensor };
            starting(transport::HttpTransport::new(target).map_err(failed)?)
        }
        OutputSpec::Smtp { security, server, from, to, user, token_env, token_file, ca, every } => {
            let sensor = Arc::clone(sensor);
            let route = transport::Route { security, server, user, token_env, token_file, ca, every, sensor };
            starting(transport::MailTransport::new(route, &from, &to).map_err(failed)?)
        }
        #[cfg(feature = "kafka")]
        OutputSpec::Kafka { brokers, topic, .. } => {
            starting(transport::KafkaTransport::new(&brokers, &topic).map_err(failed)?)
        }
        #[cfg(not(feature = "kafka"))]
        OutputSpec::Kafka { .. } => return Err(failed("this build knows no Kafka".to_owned())),
    })
}

fn starting<T: Transport + Send + 'static>(transport: T) -> Start {
    Box::new(move |delivery, handle| handle.spawn(delivery.run(transport)))
}

/// How far one output has come.
#[derive(Debug, Default)]
struct Progress {
    /// Messages that the system has taken, and those of them that the other side has acknowledged.
    written: u64,
    delivered: u64,
    /// Batches that have not settled.
    batches: VecDeque<Written>,
}

/// A batch that was written.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// Number of its last message.
    last: u64,
    /// Messages that were written up to its end.
    count: u64,
    /// When its first message came.
    since_ms: u64,
}

impl Progress {
    /// Whether more has been delivered.
    fn count(&mut self, Standing { unacknowledged, .. }: Standing) -> bool {
        let before = self.delivered;
        self.delivered = self.delivered.max(self.written.saturating_sub(unacknowledged as u64));
        self.delivered > before
    }

    /// Number of the last message that has arrived with all before it, if it is still remembered.
    fn arrived(&self) -> Option<u64> {
        self.batches.iter().take_while(|batch| batch.count <= self.delivered).last().map(|batch| batch.last)
    }

    /// When the oldest message came that was written and has not arrived.
    fn oldest(&self) -> Option<u64> {
        self.batches.iter().find(|batch| batch.count > self.delivered).map(|batch| batch.since_ms)
    }

    /// Number of the last message that nobody needs any more.
    fn settled(&mut self, Standing { unsettled, .. }: Standing) -> Option<u64> {
        let settled = self.written.saturating_sub(unsettled as u64);
        let mut last = None;
        while let Some(batch) = self.batches.pop_front_if(|batch| batch.count <= settled) {
            last = Some(batch.last);
        }
        last
    }
}

impl Delivery {
    /// Delivers until told to stop and nothing is left. One that is taken out of the configuration and hangs is given up, with its connection:
    /// the spool still has what was under way.
    async fn run<T: Transport>(self, transport: T) {
        let (name, mut stop) = (self.name.clone(), self.stop.clone());
        let taken_out = async {
            if stop.wait_for(|&stop| stop == Stop::Now).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(LEAVE).await;
        };
        tokio::select! {
            () = self.deliver_all(transport) => {}
            () = taken_out => tracing::warn!(output = name, "taken out while it hung; nothing more is written to it"),
        }
    }

    async fn deliver_all<T: Transport>(mut self, mut transport: T) {
        let Some(reader) = &self.reader else { return };
        let mut news = reader.news();
        let mut progress = Progress::default();
        loop {
            let _ = news.borrow_and_update();
            let stop = *self.stop.borrow_and_update();
            if stop == Stop::Now {
                return;
            }
            let stopping = stop == Stop::WhenDone;
            let wait = transport.ready_in();
            if !stopping && !wait.is_zero() {
                // What comes meanwhile waits in the spool, and is no trouble.
                self.tally.take_in_hand(None);
                tokio::select! {
                    changed = self.stop.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(wait) => {}
                }
                continue;
            }
            let Some(mut reader) = self.reader.take() else { return };
            let (format, sensor) = self.format.clone();
            let work = tokio::task::spawn_blocking(move || {
                let mut batch = reader.next_batch(BATCH_MESSAGES, BATCH_BYTES);
                batch.messages = format.write(batch.messages, &sensor);
                (reader, batch)
            });
            let Ok((reader, batch)) = work.await else { return };
            let standing = transport.standing();
            let is_idle = batch.messages.is_empty();
            self.reader = Some(reader);
            self.count(&mut progress, standing);
            self.tally.take_in_hand(progress.oldest().or((!is_idle).then_some(batch.since_ms)));
            if !is_idle || standing.is_broken {
                let (last, since_ms) = (batch.last, batch.since_ms);
                if self.deliver(&mut transport, batch.messages, &mut progress).await.is_none() {
                    return;
                }
                progress.batches.push_back(Written { last, count: progress.written, since_ms });
            }
            let standing = transport.standing();
            self.count(&mut progress, standing);
            let Some(reader) = &self.reader else { return };
            if let Some(last) = progress.arrived() {
                reader.delivered(last);
            }
            if let Some(last) = progress.settled(standing) {
                reader.taken(last);
            }
            if !is_idle {
                continue;
            }
            if stopping && standing.unacknowledged == 0 {
                // The other side has time to read what it was sent: we end in good order.
                if let Some(batch) = progress.batches.pop_back() {
                    reader.taken(batch.last);
                }
                // The spool's thread has written everything when it no longer holds its end of the queue.
                if reader.is_final() {
                    return;
                }
            }
            let pause = match (stopping, standing.unacknowledged) {
                (true, _) => Duration::from_millis(10),
                (false, 0) => Duration::from_millis(1000),
                (false, _) => ASK,
            };
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                changed = self.stop.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn count(&self, progress: &mut Progress, standing: Standing) {
        if progress.count(standing) {
            self.tally.note_progress();
        }
        self.tally.delivered.store(progress.delivered, Ordering::Relaxed);
        if let Some(reader) = &self.reader {
            reader.account().set_unacknowledged(progress.written - progress.delivered);
        }
    }

    /// Tries until every message was taken or refused, at least once; `None` when it was told to stop before that.
    async fn deliver<T: Transport>(
        &mut self,
        transport: &mut T,
        mut left: Vec<Arc<Message>>,
        progress: &mut Progress,
    ) -> Option<()> {
        let mut delay = FIRST_DELAY;
        let mut size = left.len();
        loop {
            if self.reopen.has_changed().unwrap_or(false) {
                self.reopen.mark_unchanged();
                transport.reopen();
            }
            size = size.min(left.len());
            let part: Vec<Arc<Message>> = left.iter().take(size).cloned().collect();
            let pause = match transport.deliver(&part).await {
                Ok(Delivered { rejected, again, reason, is_closed }) => {
                    self.tally.is_closed.store(is_closed, Ordering::Relaxed);
                    let taken = part.len() - again.len() - rejected;
                    progress.written += taken as u64;
                    self.count(progress, transport.standing());
                    self.tally.rejected.fetch_add(rejected as u64, Ordering::Relaxed);
                    let pause = !again.is_empty();
                    left.splice(..size, again);
                    self.note_left(&left);
                    self.say(reason);
                    if left.is_empty() {
                        return Some(());
                    }
                    if !pause {
                        (delay, size) = (FIRST_DELAY, left.len());
                        continue;
                    }
                    delay
                }
                // Which of them is refused shows when they are sent in smaller pieces.
                Err(TransportError::Reject(reason)) => {
                    self.say(Some(reason));
                    if size <= 1 {
                        left.drain(..size);
                        self.note_left(&left);
                        self.tally.rejected.fetch_add(size as u64, Ordering::Relaxed);
                    }
                    if left.is_empty() {
                        return Some(());
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
            self.tally.retried.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                _ = self.stop.wait_for(|&stop| stop == Stop::Now) => return None,
            }
            delay = (delay * 2).min(LAST_DELAY);
        }
    }

    /// Notes what is still to be delivered of a batch.
    fn note_left(&self, left: &[Arc<Message>]) {
        self.tally.note_progress();
        if let Some(reader) = &self.reader {
            reader.account().set_in_hand(left);
        }
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
