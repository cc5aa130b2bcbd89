//! Keeps what is known of the hosts in the state file, on a thread of its own: a disk that hangs holds up nobody else.

use super::WatchError;
use super::hosts::{Hosts, Unsaved};
use crate::state::{Identity, Origins, Source, State, StateError};
use kaspector::capture::Timestamp;
use kaspector::matching::{HostKey, HostRecord, SignatureSet};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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

/// Hosts that may wait for a disk that takes nothing; more wait where they come from.
const UNSAVED_MAX: usize = 1 << 17;

/// What the thread is to do, and the set that indices are of.
type Job = (Arc<SignatureSet>, Work);

#[derive(Debug)]
enum Work {
    /// Save hosts, and note of others the last evidence before a silence that was told.
    Save(Vec<Unsaved>, Silences),
    /// Look up hosts, each with the number of the question.
    Recall(Vec<(HostKey, u64)>),
}

/// Hosts whose silence was told, or ended.
pub type Silences = Vec<(HostKey, Option<Timestamp>)>;

/// What the file has of a host, and the number of the question.
pub type Recalled = (HostKey, u64, Option<HostRecord>);

/// The thread of the state file.
#[derive(Debug)]
pub struct StateWriter {
    jobs: Option<SyncSender<Job>>,
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
    recalled: Mutex<Vec<Recalled>>,
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

impl StateWriter {
    /// Opens the file, and has `hosts` take up what this sensor knew when it ended last. Evidence of the interfaces has their index as input.
    /// Also gives the names of all inputs that evidence points into.
    ///
    /// # Errors
    /// When the file cannot be used, or the system has no thread.
    pub fn open(
        path: &Path,
        sensor: &str,
        interfaces: &[String],
        signatures: &SignatureSet,
        hosts: &mut Hosts,
    ) -> Result<(Self, Vec<String>), WatchError> {
        let mut state = State::open(path)?;
        let source = Source::Sensor { name: sensor.to_owned() };
        let mut origins = Origins::default();
        for interface in interfaces {
            origins.intern(interface);
        }
        state.load(&source, signatures, &mut origins, |host, record, silence| {
            hosts.begin_with(host, record, silence, signatures);
        })?;
        hosts.rely_on_file();
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let shared = Arc::new(Shared::default());
        shared.set_identity(state.identity());
        let thread = {
            let (shared, origins, path) = (Arc::clone(&shared), origins.clone(), path.to_owned());
            let builder = std::thread::Builder::new().name("state".to_owned());
            builder.spawn(move || keep(&mut state, &path, &source, &origins, &waiting, &shared))?
        };
        let state_writer = Self { jobs: Some(jobs), thread: Some(thread), shared, path: path.to_owned() };
        Ok((state_writer, origins.into_names()))
    }

    /// Hands over what is to be saved; gives it back when the thread is behind.
    pub fn save(
        &self,
        signatures: &Arc<SignatureSet>,
        hosts: Vec<Unsaved>,
        silences: Silences,
    ) -> Result<(), (Vec<Unsaved>, Silences)> {
        match self.hand_over(signatures, Work::Save(hosts, silences)) {
            Err(Work::Save(hosts, silences)) => Err((hosts, silences)),
            _ => Ok(()),
        }
    }

    /// Has hosts looked up, for [`Self::take_recalled`]; gives them back when the thread is behind.
    pub fn recall(
        &self,
        signatures: &Arc<SignatureSet>,
        hosts: Vec<(HostKey, u64)>,
    ) -> Result<(), Vec<(HostKey, u64)>> {
        match self.hand_over(signatures, Work::Recall(hosts)) {
            Err(Work::Recall(refused)) => Err(refused),
            _ => Ok(()),
        }
    }

    fn hand_over(&self, signatures: &Arc<SignatureSet>, work: Work) -> Result<(), Work> {
        let Some(jobs) = &self.jobs else { return Err(work) };
        jobs.try_send((Arc::clone(signatures), work)).map_err(|refused| match refused {
            TrySendError::Full((_, work)) | TrySendError::Disconnected((_, work)) => work,
        })
    }

    /// What was found of hosts that were to be looked up.
    pub fn take_recalled(&self) -> Vec<Recalled> {
        std::mem::take(&mut *self.shared.recalled.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// Saves what was handed over, and these. Call where one may wait.
    pub fn close(mut self, signatures: Arc<SignatureSet>, last: Vec<Unsaved>, silences: Silences) -> Option<String> {
        if let Some(jobs) = self.jobs.take()
            && !(last.is_empty() && silences.is_empty())
        {
            // Refused only where the thread has panicked, which is told.
            let _ = jobs.send((signatures, Work::Save(last, silences)));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.trouble()
    }
}

/// What the thread does, until nobody has anything for it any more.
fn keep(state: &mut State, path: &Path, source: &Source, origins: &Origins, waiting: &Receiver<Job>, shared: &Shared) {
    let mut unsaved: BTreeMap<HostKey, Unsaved> = BTreeMap::new();
    let mut silences: BTreeMap<HostKey, Option<Timestamp>> = BTreeMap::new();
    let mut latest: Option<Arc<SignatureSet>> = None;
    loop {
        let is_full = unsaved.len().max(silences.len()) >= UNSAVED_MAX;
        let next = if is_full { Err(RecvTimeoutError::Timeout) } else { waiting.recv_timeout(RETRY) };
        let mut is_last = false;
        match next {
            Ok((signatures, Work::Save(hosts, of_hosts))) => {
                silences.extend(of_hosts);
                hosts.into_iter().for_each(|host| put(&mut unsaved, host, &signatures));
                latest = Some(signatures);
            }
            Ok((signatures, Work::Recall(hosts))) => {
                recall(state, source, origins, &unsaved, hosts, &signatures, shared);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => is_last = true,
        }
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
        let has_work = !(unsaved.is_empty() && silences.is_empty());
        if let (Some(signatures), true, true) = (&latest, has_work, is_there) {
            let saved = complete(state, source, origins, &mut unsaved, signatures).and_then(|()| {
                let hosts = unsaved.iter().map(|(host, unsaved)| (*host, unsaved.record.clone()));
                state.save(source, signatures, origins, hosts)?;
                state.note_labels(source, unsaved.iter().map(|(host, unsaved)| (*host, &*unsaved.labels)))?;
                state.note_silences(source, silences.iter().map(|(host, told)| (*host, *told)))
            });
            if saved.is_ok() {
                unsaved.clear();
                silences.clear();
                state.settle();
            }
            shared.set_trouble(saved.err().map(|error| error.to_string()));
        }
        if is_last {
            return;
        }
        if is_full && !(unsaved.is_empty() && silences.is_empty()) {
            std::thread::sleep(RETRY);
        }
    }
}

/// Adds a host to those that wait.
fn put(unsaved: &mut BTreeMap<HostKey, Unsaved>, host: Unsaved, signatures: &SignatureSet) {
    match unsaved.entry(host.host) {
        Entry::Occupied(mut entry) if !host.is_whole => {
            entry.get_mut().record.merge(host.record, signatures);
            entry.get_mut().labels = host.labels;
        }
        Entry::Occupied(mut entry) => *entry.get_mut() = host,
        Entry::Vacant(entry) => drop(entry.insert(host)),
    }
}

/// Adds those of which more may be in the file to what is there.
fn complete(
    state: &State,
    source: &Source,
    origins: &Origins,
    unsaved: &mut BTreeMap<HostKey, Unsaved>,
    signatures: &SignatureSet,
) -> Result<(), StateError> {
    let parts: Vec<HostKey> = unsaved.iter().filter(|(_, part)| !part.is_whole).map(|(host, _)| *host).collect();
    if parts.is_empty() {
        return Ok(());
    }
    for (host, stored) in state.records_of(source, parts, signatures, origins)? {
        let Some(part) = unsaved.get_mut(&host) else { continue };
        part.is_whole = true;
        if let Some(mut stored) = stored {
            std::mem::swap(&mut stored, &mut part.record);
            part.record.merge(stored, signatures);
        }
    }
    Ok(())
}

/// Looks hosts up in the file, and among those that are to be saved there.
fn recall(
    state: &State,
    source: &Source,
    origins: &Origins,
    unsaved: &BTreeMap<HostKey, Unsaved>,
    hosts: Vec<(HostKey, u64)>,
    signatures: &SignatureSet,
    shared: &Shared,
) {
    let found = match state.records_of(source, hosts.iter().map(|(host, _)| *host), signatures, origins) {
        Ok(found) => found,
        // They stay unclear, and are added to what the file has once it can be read again.
        Err(error) => return shared.set_trouble(Some(error.to_string())),
    };
    let answers = hosts.into_iter().zip(found).map(|((host, question), (_, stored))| {
        let record = match unsaved.get(&host) {
            Some(waiting) if waiting.is_whole => Some(waiting.record.clone()),
            Some(waiting) => Some(match stored {
                Some(mut stored) => {
                    stored.merge(waiting.record.clone(), signatures);
                    stored
                }
                None => waiting.record.clone(),
            }),
            None => stored,
        };
        (host, question, record)
    });
    shared.recalled.lock().unwrap_or_else(PoisonError::into_inner).extend(answers);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use kaspector_report::samples;
    use std::time::Instant;

    /// One sight of the host of the sample, at that second.
    fn seen(at: u64, is_whole: bool, signatures: &SignatureSet) -> Unsaved {
        let mut alert = samples::tls();
        alert.at = Timestamp(at);
        let mut record = HostRecord::default();
        record.add(&alert, 0, 64, signatures);
        Unsaved { host: alert.host(), record, is_whole, labels: Vec::new() }
    }

    fn count(record: &HostRecord, signatures: &SignatureSet) -> u64 {
        record.to_stored(signatures).lines.iter().map(|line| line.count).sum()
    }

    #[test]
    fn a_part_is_added_to_what_the_file_has_and_a_whole_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts.db");
        let signatures = Arc::new(SignatureSet::builtin());
        let open =
            |hosts: &mut Hosts| StateWriter::open(&path, "s", &["eth1".to_owned()], &signatures, hosts).unwrap().0;
        let stored = || {
            let mut hosts = Hosts::default();
            open(&mut hosts);
            let all = hosts.take_all(&signatures);
            (all.len(), count(&all[0].record, &signatures), all[0].record.first_seen())
        };
        for (is_whole, last, wanted) in [(true, 5, 1), (false, 6, 2), (false, 7, 3), (true, 8, 1)] {
            let state_writer = open(&mut Hosts::default());
            assert!(
                state_writer
                    .close(Arc::clone(&signatures), vec![seen(last, is_whole, &signatures)], Vec::new())
                    .is_none()
            );
            let since = if wanted == 1 { last } else { 5 };
            assert_eq!(stored(), (1, wanted, Timestamp(since)));
        }
        // What is looked up includes what was saved and added just before.
        let state_writer = open(&mut Hosts::default());
        state_writer.save(&signatures, vec![seen(9, false, &signatures)], Vec::new()).unwrap();
        let mut other = seen(1, true, &signatures).host;
        other.zone.vlan = Some(7);
        let asked = vec![(seen(1, true, &signatures).host, 1), (other, 2)];
        state_writer.recall(&signatures, asked).unwrap();
        let begun = Instant::now();
        let found = loop {
            let found = state_writer.take_recalled();
            if !found.is_empty() {
                break found;
            }
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        };
        let counts: Vec<_> = found
            .iter()
            .map(|(_, question, record)| (*question, record.as_ref().map(|record| count(record, &signatures))))
            .collect();
        assert_eq!(counts, [(1, Some(2)), (2, None)]);
    }
}
