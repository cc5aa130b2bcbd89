//! The inventory of hosts in a file, for as long as somebody wants to know.
//!
//! In:    hosts of one source, and questions.
//! Out:   the same hosts, merged over all sources, from one run to the next.
//! Never: loses what another writer saved, or judges.
//!
//! Every source (a sensor, a capture) owns its own records, and a writer replaces none but those of its source; a listing merges the
//! records of a host over all sources. So writers never lose each other's work, and a capture that is merged twice counts once.
//!
//! The file is an SQLite database with a write-ahead log: readers see the latest whole save while somebody writes, and a program that is
//! killed leaves what was saved before. A power cut may cost the latest saves, never the file.

mod choice;
mod cursors;
mod error;
mod filter;
mod labels;
mod listing;
mod rows;
mod schema;
mod source;

pub use error::StateError;
pub use filter::HostFilter;
pub use listing::Form;
pub use source::{Origins, Source};

use crate::process::clock::now;
use cursors::{Cursors, StoredRecord};
use kaspector::capture::Timestamp;
use kaspector::matching::{HostKey, HostRecord, SignatureSet};
use rows::Inputs;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use schema::{STEPS, Version, migrate, version};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one waits for another's save to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// To which size the write-ahead log is cut back, in bytes.
const LOG_BYTES_MAX: i64 = 64 << 20;
/// Pages of a file of an earlier version that are copied before somebody who writes is let in.
const COPIED_PAGES: i32 = 1 << 16;
/// Lines of evidence kept per host that the signature set in use does not know.
const SET_ASIDE_MAX: u32 = 64;

/// Which file stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    /// The file that stands there now, if any does.
    #[cfg(unix)]
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino()))
    }

    /// Files are told apart by their numbers, which not every system has.
    #[cfg(not(unix))]
    #[must_use]
    pub fn at(_: &Path) -> Option<Self> {
        None
    }
}

/// A state file.
#[derive(Debug)]
pub struct State {
    connection: Connection,
    path: PathBuf,
    /// Which file stood at the path when it was opened.
    identity: Option<Identity>,
    /// Sources whose rows are marked by whether the set in use knows them.
    marked: BTreeSet<i64>,
    /// How the same is opened once more to be read; `None` where that is not so.
    again: Option<PathBuf>,
}

impl State {
    /// Opens the file to read and write it. One that is not there is made, for the user alone; one of an earlier version becomes one of
    /// this.
    ///
    /// # Errors
    /// When it cannot be read and written, is not a state file, or is newer than this program. It is then left as it is.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        make(path)?;
        // Before it is opened: one that is replaced in between is noticed.
        let identity = Identity::at(path);
        let failed = |error| StateError::of(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(literal(path)?, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        // Before anything is written into what may be somebody else's.
        version(&connection, path, STEPS)?;
        if connection.is_readonly("main").map_err(failed)? {
            return Err(StateError::ReadOnly { path: path.to_owned() });
        }
        let mode = journal(&connection).map_err(failed)?;
        // With a log, what is lost in a power cut is the latest saves; without one, it could be the file.
        let synchronous = if mode == "wal" { "NORMAL" } else { "FULL" };
        connection.pragma_update(None, "synchronous", synchronous).map_err(failed)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX).map_err(failed)?;
        // A sensor's sandbox has no folder for what SQLite puts aside while it works.
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        connection.pragma_update(None, "trusted_schema", false).map_err(failed)?;
        migrate(&mut connection, path, STEPS)?;
        Ok(Self { connection, path: path.to_owned(), identity, marked: BTreeSet::new(), again: None })
    }

    /// Opens the file only to read it, also while others write. One of an earlier version stays as it is: a copy in memory becomes one of
    /// this.
    ///
    /// # Errors
    /// When it is not there, cannot be read, is not a state file, or is newer than this program.
    pub fn open_to_read(path: &Path) -> Result<Self, StateError> {
        if matches!(path.try_exists(), Ok(false)) {
            return Err(StateError::Missing { path: path.to_owned() });
        }
        let mut name = literal(path)?;
        let connection = match reader(path, &name) {
            // Who may not write into the folder cannot join a log. Without a log there is no writer, and the file is all there is.
            Err(StateError::Closed { .. } | StateError::ReadOnly { .. }) if !beside(path, "-wal").exists() => {
                name = immutable(path)?;
                reader(path, &name)?
            }
            other => other?,
        };
        match version(&connection, path, STEPS)? {
            Version::Empty => Err(StateError::Empty { path: path.to_owned() }),
            Version::At(version) => {
                let is_ours = version == STEPS.len();
                let connection = if is_ours { connection } else { migrated_copy(&connection, path)? };
                let identity = Identity::at(path);
                Ok(Self {
                    connection,
                    path: path.to_owned(),
                    identity,
                    marked: BTreeSet::new(),
                    again: is_ours.then_some(name),
                })
            }
        }
    }

    /// Which file it is.
    #[must_use]
    pub const fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Opens the file that stands at the path now, or makes one: this one was removed or replaced, and nobody would read what is written to it.
    ///
    /// # Errors
    /// As [`Self::open`]. Nothing can be saved then; it is to be opened anew later.
    pub fn open_anew(&mut self) -> Result<(), StateError> {
        let path = self.path.clone();
        self.identity = None;
        // Closed before its log is touched, which is found by its name and must not be taken for that of another file.
        self.connection = Connection::open_in_memory().map_err(|error| StateError::of(&path, error))?;
        if matches!(path.try_exists(), Ok(false)) {
            for end in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(beside(&path, end));
            }
        }
        *self = Self::open(&path)?;
        Ok(())
    }

    /// Moves what was saved out of the log into the file itself, as far as nobody reads it just now.
    pub fn settle(&self) {
        // What stays in the log is as safe there.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// Whether what this very program found in the source with these signatures is in the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn holds(&self, source: &Source, signatures: &SignatureSet) -> Result<bool, StateError> {
        self.connection
            .query_row(
                "SELECT count(*) FROM source WHERE kind = ?1 AND key = ?2 AND signatures = ?3 AND program = ?4",
                params![source.kind(), source.key(), signatures.sha256(), env!("CARGO_PKG_VERSION")],
                |row| Ok(row.get::<_, i64>(0)? > 0),
            )
            .map_err(|error| self.failed(error))
    }

    /// Gives `take` the records of a source, one by one, in the order in which they came into the file: where a sensor goes on. With each comes
    /// what [`Self::note_silences`] noted. Inputs are numbered by `origins`, which gives numbers to those that it has not.
    ///
    /// Evidence whose indicator `signatures` does not know is left out, and stays in the file until a set knows it again, whatever is
    /// saved until then.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is damaged.
    pub fn load(
        &mut self,
        source: &Source,
        signatures: &SignatureSet,
        origins: &mut Origins,
        mut take: impl FnMut(HostKey, HostRecord, Option<Timestamp>),
    ) -> Result<(), StateError> {
        let path = self.path.clone();
        let failed = |error| StateError::of(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let Some(id) = rows::source_id(&transaction, source).map_err(failed)? else { return Ok(()) };
        mark(&transaction, id, signatures).map_err(failed)?;
        let inputs = Inputs::read(&transaction, origins).map_err(failed)?;
        cursors::want(&transaction, "SELECT id FROM record WHERE source = ?1 ORDER BY id", [id]).map_err(failed)?;
        {
            let mut cursors = Cursors::prepare(&transaction).map_err(failed)?;
            let mut records = cursors.read(&inputs).map_err(failed)?;
            while let Some(StoredRecord { host, stored, silence_told, .. }) = records.next().map_err(failed)? {
                take(host, HostRecord::from_stored(stored, signatures), silence_told);
            }
        }
        cursors::want_none(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        self.marked.insert(id);
        Ok(())
    }

    /// What a source has of each of these hosts, in their order. Inputs are those that `origins` names.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn records_of(
        &self,
        source: &Source,
        hosts: impl IntoIterator<Item = HostKey>,
        signatures: &SignatureSet,
        origins: &Origins,
    ) -> Result<Vec<(HostKey, Option<HostRecord>)>, StateError> {
        let read = || -> rusqlite::Result<_> {
            let transaction = self.connection.unchecked_transaction()?;
            let source = rows::source_id(&transaction, source)?;
            let inputs = Inputs::read(&transaction, &mut origins.clone())?;
            let hosts: Vec<HostKey> = hosts.into_iter().collect();
            let mut found = BTreeMap::new();
            if let Some(source) = source {
                cursors::want_hosts(&transaction, source, &hosts)?;
                let mut cursors = Cursors::prepare(&transaction)?;
                let mut records = cursors.read(&inputs)?;
                while let Some(StoredRecord { place, stored, .. }) = records.next()? {
                    found.insert(place, HostRecord::from_stored(stored, signatures));
                }
            }
            Ok((0..).zip(hosts).map(|(place, host)| (host, found.remove(&place))).collect())
        };
        read().map_err(|error| self.failed(error))
    }

    /// Puts these records in the place of those that the source had of the same hosts: all of them, or none. Of a capture they are all
    /// that there is, so its other hosts are forgotten; a sensor's other hosts stay as they are.
    ///
    /// `origins`: names for the inputs that the records number.
    ///
    /// # Errors
    /// When the file cannot be written. The records may be saved later.
    pub fn save(
        &mut self,
        source: &Source,
        signatures: &SignatureSet,
        origins: &Origins,
        hosts: impl IntoIterator<Item = (HostKey, HostRecord)>,
    ) -> Result<(), StateError> {
        let path = self.path.clone();
        let failed = |error| StateError::of(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let id = rows::write_source(&transaction, source, signatures, now()).map_err(failed)?;
        if !self.marked.contains(&id) {
            mark(&transaction, id, signatures).map_err(failed)?;
        }
        let is_whole = matches!(source, Source::Capture { .. });
        if is_whole {
            rows::forget_source(&transaction, id).map_err(failed)?;
        }
        let mut inputs = BTreeMap::new();
        for (host, record) in hosts {
            let stored = record.to_stored(signatures);
            rows::write_record(&transaction, id, host, &stored, origins, &mut inputs).map_err(failed)?;
        }
        if is_whole {
            rows::drop_empty_records(&transaction, id).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        self.marked.insert(id);
        Ok(())
    }

    /// Notes of hosts of a source what their last evidence was when their silence was told; `None`: they show themselves again.
    ///
    /// # Errors
    /// When the file cannot be written. It may be noted later.
    pub fn note_silences(
        &mut self,
        source: &Source,
        silences: impl IntoIterator<Item = (HostKey, Option<Timestamp>)>,
    ) -> Result<(), StateError> {
        let path = self.path.clone();
        let failed = |error| StateError::of(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let Some(id) = rows::source_id(&transaction, source).map_err(failed)? else { return Ok(()) };
        for (host, told) in silences {
            rows::note_silence(&transaction, id, host, told).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    fn failed(&self, error: rusqlite::Error) -> StateError {
        StateError::of(&self.path, error)
    }
}

/// Marks which evidence of a source `signatures` knows. What it does not know is nobody's to replace until it is marked anew; beyond a
/// bound the oldest of it is dropped, and counted.
fn mark(transaction: &Transaction<'_>, source: i64, signatures: &SignatureSet) -> rusqlite::Result<()> {
    const OF_SOURCE: &str = "record IN (SELECT id FROM record WHERE source = ?1)";
    transaction
        .execute(&format!("UPDATE evidence SET set_aside = 0 WHERE set_aside <> 0 AND {OF_SOURCE}"), [source])?;
    let kinds: Vec<rows::LineKind> = transaction
        .prepare(&format!("SELECT DISTINCT {} FROM evidence WHERE {OF_SOURCE}", rows::LineKind::COLUMNS))?
        .query_map([source], |row| rows::LineKind::read(row, 0))?
        .collect::<Result<_, _>>()?;
    let mut set_aside = transaction.prepare(&format!(
        "UPDATE evidence SET set_aside = 1 WHERE {OF_SOURCE}
         AND indicator = ?2 AND seen_as = ?3 AND reached = ?4 AND field = ?5 AND role = ?6"
    ))?;
    for kind in kinds.iter().filter(|kind| !kind.is_known(signatures)) {
        set_aside.execute(params![
            source,
            kind.indicator,
            kind.seen_as,
            kind.connection_outcome,
            kind.field,
            kind.role
        ])?;
    }
    let crowded: Vec<i64> = transaction
        .prepare(&format!(
            "SELECT record FROM evidence WHERE set_aside = 1 AND {OF_SOURCE} GROUP BY record HAVING count(*) > ?2"
        ))?
        .query_map(params![source, SET_ASIDE_MAX], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for record in crowded {
        let gone = transaction.execute(
            "DELETE FROM evidence WHERE record = ?1 AND set_aside = 1 AND id NOT IN
             (SELECT id FROM evidence WHERE record = ?1 AND set_aside = 1 ORDER BY last_seen DESC, id DESC LIMIT ?2)",
            params![record, SET_ASIDE_MAX],
        )?;
        let gone = i64::try_from(gone).unwrap_or(i64::MAX);
        transaction.execute("UPDATE record SET given_up = given_up + ?2 WHERE id = ?1", params![record, gone])?;
    }
    Ok(())
}

/// Makes an empty file unless there is one, for this user alone: what it will hold tells who runs what.
fn make(path: &Path) -> Result<(), StateError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StateError::Closed { path: path.to_owned(), error: error.to_string() }),
    }
}

/// Asks for the write-ahead log. Who opens the same new file at the same moment is in the way for an instant, and SQLite does not wait
/// for that by itself.
fn journal(connection: &Connection) -> rusqlite::Result<String> {
    let mut attempts = 50;
    loop {
        let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        match mode {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && attempts > 0 => {
                attempts -= 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            other => return other,
        }
    }
}

fn reader(path: &Path, name: &Path) -> Result<Connection, StateError> {
    let failed = |error| StateError::of(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(name, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    // What is put aside for a question is small, and whoever may only read needs no folder for it.
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
    // Opening alone reads nothing.
    version(&connection, path, STEPS)?;
    Ok(connection)
}

/// A copy of the file in memory, brought up to this version: whoever only reads changes nothing.
fn migrated_copy(connection: &Connection, path: &Path) -> Result<Connection, StateError> {
    let copied = || -> rusqlite::Result<Connection> {
        let mut copy = Connection::open_in_memory()?;
        Backup::new(connection, &mut copy)?.run_to_completion(COPIED_PAGES, Duration::from_millis(10), None)?;
        copy.pragma_update(None, "trusted_schema", false)?;
        Ok(copy)
    };
    let mut copy = copied().map_err(|error| StateError::of(path, error))?;
    migrate(&mut copy, path, STEPS)?;
    Ok(copy)
}

/// The path in a form in which nothing has a meaning of its own: neither `:memory:` nor `file:`.
fn literal(path: &Path) -> Result<PathBuf, StateError> {
    std::path::absolute(path).map_err(|error| StateError::Closed { path: path.to_owned(), error: error.to_string() })
}

/// The path as an SQLite URI of a file that nobody changes.
fn immutable(path: &Path) -> Result<PathBuf, StateError> {
    let path = literal(path)?;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    Ok(PathBuf::from(uri + "?immutable=1"))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
