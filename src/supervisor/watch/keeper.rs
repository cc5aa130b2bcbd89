//! Keeps what is known of the hosts in the state file, on a thread of its own: a disk that hangs holds up nobody else.

use super::WatchError;
use crate::matching::{HostKey, HostRecord, SignatureSet};
use crate::supervisor::state::{Identity, Origins, Source, State};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches that may wait for the disk.
const WAITING_MAX: usize = 4;
/// When a save that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Hosts as they are to be saved, and the set that their indices are of.
type Batch = (Arc<SignatureSet>, Vec<(HostKey, HostRecord)>);

/// What a sensor knew when it ended last.
#[derive(Debug)]
pub struct Known {
    /// Its hosts.
    pub hosts: Vec<(HostKey, HostRecord)>,
    /// Names of the inputs that their evidence points into.
    pub inputs: Vec<String>,
}

/// The thread of the state file.
#[derive(Debug)]
pub struct Keeper {
    batches: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    path: PathBuf,
}

/// What the thread says of itself.
#[derive(Debug, Default)]
struct Shared {
    trouble: Mutex<Option<String>>,
    /// The file that it writes.
    identity: Mutex<Option<Identity>>,
    /// Whether that file was begun anew, and has only what changed since then.
    lacks_all: AtomicBool,
}

impl Shared {
    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn set_identity(&self, identity: Option<Identity>) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Whether another file, or none, stands at the path now.
    fn is_displaced(&self, path: &Path) -> bool {
        Identity::at(path) != *self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Opens the file, and gives what this sensor knew when it ended last. Evidence of the interfaces has their index as input.
    ///
    /// # Errors
    /// When the file cannot be used, or the system has no thread.
    pub fn open(
        path: &Path,
        sensor: &str,
        interfaces: &[String],
        signatures: &SignatureSet,
    ) -> Result<(Self, Known), WatchError> {
        let mut state = State::open(path)?;
        let source = Source::Sensor { name: sensor.to_owned() };
        let mut origins = Origins::default();
        for interface in interfaces {
            origins.intern(interface);
        }
        let known = state.load(&source, signatures, &mut origins)?;
        let (batches, waiting) = sync_channel(WAITING_MAX);
        let shared = Arc::new(Shared::default());
        shared.set_identity(state.identity());
        let thread = {
            let (shared, origins, path) = (Arc::clone(&shared), origins.clone(), path.to_owned());
            let builder = std::thread::Builder::new().name("state".to_owned());
            builder.spawn(move || keep(&mut state, &path, &source, &origins, &waiting, &shared))?
        };
        let keeper = Self { batches: Some(batches), thread: Some(thread), shared, path: path.to_owned() };
        Ok((keeper, Known { hosts: known, inputs: origins.into_names() }))
    }

    /// Hands over hosts to be saved; gives them back when the thread is behind.
    pub fn save(
        &self,
        signatures: &Arc<SignatureSet>,
        hosts: Vec<(HostKey, HostRecord)>,
    ) -> Result<(), Vec<(HostKey, HostRecord)>> {
        let Some(batches) = &self.batches else { return Err(hosts) };
        batches.try_send((Arc::clone(signatures), hosts)).map_err(|refused| match refused {
            TrySendError::Full((_, hosts)) | TrySendError::Disconnected((_, hosts)) => hosts,
        })
    }

    /// Whether the file was removed or replaced, and is to be given all hosts again.
    #[must_use]
    pub fn lacks_all(&self) -> bool {
        self.shared.lacks_all.swap(false, Ordering::Relaxed) || self.shared.is_displaced(&self.path)
    }

    /// What was wrong with the last save.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Saves what was handed over. Call where one may wait.
    pub fn close(mut self) -> Option<String> {
        drop(self.batches.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.trouble()
    }
}

/// What the thread does, until nobody has anything for it any more.
fn keep(
    state: &mut State,
    path: &Path,
    source: &Source,
    origins: &Origins,
    waiting: &Receiver<Batch>,
    shared: &Shared,
) {
    let mut unsaved: BTreeMap<HostKey, HostRecord> = BTreeMap::new();
    let mut latest: Option<Arc<SignatureSet>> = None;
    loop {
        let is_last = match waiting.recv_timeout(RETRY) {
            Ok((signatures, hosts)) => {
                unsaved.extend(hosts);
                latest = Some(signatures);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        let mut is_there = true;
        if shared.is_displaced(path) {
            let opened = state.open_anew();
            is_there = opened.is_ok();
            if is_there {
                tracing::warn!("{}: was removed or replaced; what is known is saved there again", path.display());
                shared.lacks_all.store(true, Ordering::Relaxed);
            }
            shared.set_trouble(opened.err().map(|error| error.to_string()));
            shared.set_identity(state.identity());
        }
        if let (Some(signatures), false, true) = (&latest, unsaved.is_empty(), is_there) {
            let hosts = unsaved.iter().map(|(host, record)| (*host, record.clone()));
            let saved = state.save(source, signatures, origins, hosts);
            if saved.is_ok() {
                unsaved.clear();
                state.settle();
            }
            shared.set_trouble(saved.err().map(|error| error.to_string()));
        }
        if is_last {
            return;
        }
    }
}
