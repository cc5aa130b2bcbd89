//! One output's task: takes batches from the spool and delivers them, for as long as it takes.

use super::Message;
use super::output::{OutputError, OutputSpec, SyslogTransport as Way};
use super::spool::Reader;
use super::transport::{self, Delivered, Settling, Transport, TransportError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BATCH_MESSAGES: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(10);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

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

/// What one output's task counts. One writer each; readers want a recent value, not an order between counters.
#[derive(Debug, Default)]
pub(super) struct Tally {
    delivered: AtomicU64,
    retried: AtomicU64,
    rejected: AtomicU64,
    lost: AtomicU64,
    spool_bytes: AtomicU64,
    pub is_behind: AtomicBool,
    pub is_closed: AtomicBool,
    behind_since: Mutex<Option<Instant>>,
    trouble: Mutex<Option<String>>,
}

impl Tally {
    pub fn status(&self, name: &str) -> OutputStatus {
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

/// One output's task.
#[derive(Debug)]
pub(super) struct Delivery {
    pub name: String,
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
        OutputSpec::Stdout => starting(transport::StdoutTransport),
        OutputSpec::File { path, rotate_size: size, rotate_age: age, keep } => {
            starting(transport::FileTransport::new(&path, transport::Rotation { size, age, keep }))
        }
        OutputSpec::UnixStream { path } => starting(transport::StreamTransport::new(&path)),
        OutputSpec::UnixDgram { path } => starting(transport::DgramTransport::new(&path)),
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
        OutputSpec::Http { url, shape, index, auth, token_env, token_file, ca, cert, key } => {
            let (sensor, files) = (Arc::clone(sensor), transport::Files { ca, identity: cert.zip(key) });
            let target = transport::Target { url, shape, index, auth, token_env, token_file, files, sensor };
            starting(transport::HttpTransport::new(target).map_err(failed)?)
        }
        #[cfg(feature = "kafka")]
        OutputSpec::Kafka { brokers, topic } => {
            starting(transport::KafkaTransport::new(&brokers, &topic).map_err(failed)?)
        }
        #[cfg(not(feature = "kafka"))]
        OutputSpec::Kafka { .. } => return Err(failed("this build knows no Kafka".to_owned())),
    })
}

fn starting<T: Transport + Send + 'static>(transport: T) -> Start {
    Box::new(move |delivery, handle| handle.spawn(delivery.run(transport)))
}

impl Delivery {
    /// Delivers until told to stop and nothing is left.
    async fn run<T: Transport>(mut self, mut transport: T) {
        let Some(reader) = &self.reader else { return };
        let mut news = reader.news();
        let mut settling = Settling::default();
        loop {
            let _ = news.borrow_and_update();
            let stop = *self.stop.borrow_and_update();
            if stop == Stop::Now {
                return;
            }
            let stopping = stop == Stop::WhenDone;
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
                    changed = self.stop.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(pause) => {}
                }
                continue;
            }
            let bytes = batch.messages.iter().map(|message| message.line.len()).sum();
            let Some(rewrote) = self.deliver(&mut transport, batch.messages).await else { return };
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

    /// Tries until every message was taken or refused. Whether earlier messages may have been written once more; `None` when it was
    /// told to stop before that.
    async fn deliver<T: Transport>(&mut self, transport: &mut T, mut left: Vec<Arc<Message>>) -> Option<bool> {
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
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                _ = self.stop.wait_for(|&stop| stop == Stop::Now) => return None,
            }
            delay = (delay * 2).min(LAST_DELAY);
        }
        Some(may_have_rewritten)
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
