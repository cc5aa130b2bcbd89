//! Keeps what is known of the hosts in the state file, on a thread of its own: a disk that hangs holds up nobody else.

use super::WatchError;
use crate::matching::{HostKey, HostRecord, SignatureSet};
use crate::supervisor::state::{Origins, Source, State};
use std::collections::BTreeMap;
use std::path::Path;
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
    trouble: Arc<Mutex<Option<String>>>,
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
        let trouble = Arc::new(Mutex::default());
        let thread = {
            let (trouble, origins) = (Arc::clone(&trouble), origins.clone());
            let builder = std::thread::Builder::new().name("state".to_owned());
            builder.spawn(move || keep(&mut state, &source, &origins, &waiting, &trouble))?
        };
        let keeper = Self { batches: Some(batches), thread: Some(thread), trouble };
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

    /// What was wrong with the last save.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    source: &Source,
    origins: &Origins,
    waiting: &Receiver<Batch>,
    trouble: &Mutex<Option<String>>,
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
        if let (Some(signatures), false) = (&latest, unsaved.is_empty()) {
            let hosts = unsaved.iter().map(|(host, record)| (*host, record.clone()));
            let saved = state.save(source, signatures, origins, hosts);
            if saved.is_ok() {
                unsaved.clear();
            }
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) = saved.err().map(|error| error.to_string());
        }
        if is_last {
            return;
        }
    }
}
