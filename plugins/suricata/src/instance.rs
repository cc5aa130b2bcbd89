//! One output: a bounded queue, and the thread behind it.

use super::engine::{Engine, Level};
use super::output::Output;
use super::settings::Settings;
use super::suricata8;
use super::worker::Worker;
use kaspector::matching::SignatureSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Records that wait; with a usual length about 32 MiB.
const QUEUE_MAX: usize = 1 << 15;
/// Bytes of records that wait: some are long.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Buffers that go back to be filled again. What one thread takes from the allocator and another gives back would have both wait for it.
const SPARES_MAX: usize = 4096;
/// A longer buffer is given back to the allocator.
const SPARE_BYTES_MAX: usize = 8 << 10;
/// How long Suricata's end waits for what is still in the queue.
const STOP_MAX: Duration = Duration::from_secs(60);

/// What the threads of the engine and the worker share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Records that found the queue full.
    pub dropped: AtomicU64,
    /// Bytes of records in the queue.
    pub waiting_bytes: AtomicU64,
    /// Set after a defect: records are not taken any more.
    pub quiet: AtomicBool,
    pub stopping: AtomicBool,
}

/// The worker's end of the queue.
#[derive(Debug)]
pub struct Records {
    queue: Receiver<Vec<u8>>,
    give_back: SyncSender<Vec<u8>>,
}

impl Records {
    /// Gives `read` the next record, if one waits. Says whether one did.
    pub fn next(&self, read: impl FnOnce(&[u8])) -> bool {
        let Ok(mut record) = self.queue.try_recv() else { return false };
        read(&record);
        if record.capacity() <= SPARE_BYTES_MAX {
            record.clear();
            // Where there are enough of them, one is given back to the allocator.
            let _ = self.give_back.try_send(record);
        }
        true
    }
}

/// An output of Suricata's configuration.
#[derive(Debug)]
pub struct Instance {
    queue: SyncSender<Vec<u8>>,
    /// Buffers that were read.
    spares: Mutex<Receiver<Vec<u8>>>,
    shared: Arc<Shared>,
    /// Says when the worker is done.
    done: Mutex<Receiver<()>>,
}

impl Instance {
    /// Begins an output.
    ///
    /// # Errors
    /// What cannot be read or opened, and what to do.
    pub fn start(settings: Settings) -> Result<Self, String> {
        let signatures = match &settings.signatures {
            Some(folder) => SignatureSet::from_folder(folder).map_err(|why| format!("signatures: {why}"))?,
            None => SignatureSet::builtin(),
        };
        let signatures = Arc::new(signatures);
        let output = Output::open(settings.target.clone())?;
        if settings.marks_records {
            suricata8::mark_records(&signatures);
        }
        let shared = Arc::new(Shared::default());
        let (queue, records) = sync_channel(QUEUE_MAX);
        let (give_back, spares) = sync_channel(SPARES_MAX);
        let records = Records { queue: records, give_back };
        let (finished, done) = channel();
        let worker = Worker::new(signatures, output, Arc::clone(&shared))?;
        let started = std::thread::Builder::new().name("kaspector".to_owned()).spawn(move || {
            worker.run(&records);
            // Whoever waited for it may be gone.
            let _ = finished.send(());
        });
        started.map_err(|why| format!("no thread can be started: {why}"))?;
        let text = format!(
            "alerts go to {}; where Suricata sees one direction of the traffic, its records prove less than the packets do: no answers of DNS, \
             no hellos that were not answered",
            settings.target
        );
        Engine::running().log(Level::Notice, &text);
        Ok(Self { queue, spares: Mutex::new(spares), shared, done: Mutex::new(done) })
    }

    /// Takes a copy of a record, unless the queue is full. Never waits, and makes no system call but for memory.
    pub fn write(&self, record: &[u8]) {
        let bytes = record.len() as u64;
        let shared = &*self.shared;
        // Relaxed: a bound that is passed by a record or two is a bound all the same.
        if shared.waiting_bytes.load(Ordering::Relaxed) + bytes > QUEUE_BYTES_MAX as u64 {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Nobody sleeps on the other end of the channel, so this wakes nobody.
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(self.copy(record)) {
            shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// In a buffer that was used before, if one is at hand.
    fn copy(&self, record: &[u8]) -> Vec<u8> {
        let spare = self.spares.try_lock().ok().and_then(|spares| spares.try_recv().ok());
        let mut copy = spare.unwrap_or_default();
        copy.extend_from_slice(record);
        copy
    }

    pub fn is_quiet(&self) -> bool {
        self.shared.quiet.load(Ordering::Relaxed)
    }

    /// Takes no more records.
    pub fn be_quiet(&self) {
        self.shared.quiet.store(true, Ordering::Relaxed);
    }

    /// Lets the worker read what waits, and end.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if done.recv_timeout(STOP_MAX).is_err() && !self.is_quiet() {
            Engine::running().log(Level::Warning, "what still waited to be read is lost: it took more than a minute");
        }
    }
}
