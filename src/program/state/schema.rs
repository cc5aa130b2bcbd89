//! The tables of a state file, and how a file of an earlier version becomes one of this.

use super::StateError;
use super::rows::address_key;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;

/// What `PRAGMA application_id` says of a state file: `Kasp`.
pub const APPLICATION_ID: i32 = 0x4b61_7370;

/// The steps from one version of the file to the next; a file's `PRAGMA user_version` says how many it has behind it. A step that was
/// released never changes.
pub const STEPS: &[&str] = &[
    include_str!("version_1.sql"),
    include_str!("version_2.sql"),
    include_str!("version_3.sql"),
    include_str!("version_4.sql"),
];

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Nothing is in it yet.
    Empty,
    /// The steps it has behind it.
    At(usize),
}

/// The file's version, as it is at one moment: another program may be making the file.
///
/// # Errors
/// When the file is not a state file, or of a version that this program does not know.
pub fn version(connection: &Connection, path: &Path, steps: &[&str]) -> Result<Version, StateError> {
    let moment = connection.unchecked_transaction().map_err(|error| StateError::of(path, error))?;
    version_in(&moment, path, steps)
}

fn version_in(transaction: &Transaction<'_>, path: &Path, steps: &[&str]) -> Result<Version, StateError> {
    let number = |pragma: &str| {
        transaction
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|error| StateError::of(path, error))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    if application == 0 && version == 0 {
        let tables = transaction
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
            .map_err(|error| StateError::of(path, error))?;
        return if tables == 0 { Ok(Version::Empty) } else { Err(StateError::Foreign { path: path.to_owned() }) };
    }
    if application != i64::from(APPLICATION_ID) {
        return Err(StateError::Foreign { path: path.to_owned() });
    }
    match usize::try_from(version) {
        Ok(version) if (1..=steps.len()).contains(&version) => Ok(Version::At(version)),
        Ok(version) if version > steps.len() => {
            Err(StateError::Newer { path: path.to_owned(), version, known: steps.len() })
        }
        _ => Err(StateError::Foreign { path: path.to_owned() }),
    }
}

/// Takes the steps that a file does not have behind it yet: all of them, or none.
///
/// # Errors
/// As [`version()`]; when the file cannot be written.
pub fn migrate(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StateError> {
    let failed = |error| StateError::of(path, error);
    if version(connection, path, steps)? == Version::At(steps.len()) {
        return Ok(());
    }
    // Another program may do the same at this moment, so what counts is what the file says under the lock.
    connection
        .create_scalar_function("address_key", 1, FunctionFlags::SQLITE_DETERMINISTIC, |context| {
            Ok(context.get::<String>(0)?.parse().ok().map(address_key))
        })
        .map_err(failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let done = match version_in(&transaction, path, steps)? {
        Version::Empty => 0,
        Version::At(version) => version,
    };
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    let version = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    transaction.pragma_update(None, "user_version", version).map_err(failed)?;
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const PLACE: &str = "a.state";

    fn migrated(connection: &mut Connection, steps: &[&str]) -> Result<(), StateError> {
        migrate(connection, Path::new(PLACE), steps)
    }

    #[test]
    fn a_file_of_every_earlier_version_becomes_one_of_this() {
        let later = "ALTER TABLE record ADD COLUMN remark TEXT NOT NULL DEFAULT 'none'";
        let last = "CREATE TABLE latest (id INTEGER PRIMARY KEY)";
        let steps: Vec<&str> = STEPS.iter().copied().chain([later, last]).collect();
        for earlier in 0..=steps.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            if earlier > 0 {
                migrated(&mut connection, &steps[..earlier]).unwrap();
                connection
                    .execute_batch(
                        "INSERT INTO source (kind, key, name, filter, signatures, program, saved_at)
                         VALUES ('sensor', 's', 's', '', '', '', 0);
                         INSERT INTO record (source, address, first_seen, last_seen, flows, bytes_sent, bytes_received, given_up)
                         VALUES (1, '10.0.0.1', 0, 0, 1, 2, 3, 0)",
                    )
                    .unwrap();
            }
            migrated(&mut connection, &steps).unwrap();
            assert_eq!(version(&connection, Path::new(PLACE), &steps).unwrap(), Version::At(steps.len()));
            let remarks: Vec<String> = connection
                .prepare("SELECT remark FROM record")
                .unwrap()
                .query_map([], |row| row.get(0))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(remarks, vec!["none".to_owned(); usize::from(earlier > 0)], "from version {earlier}");
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrated(&mut connection, STEPS).unwrap();
        let steps: Vec<&str> = STEPS.iter().copied().chain(["CREATE TABLE new (id); SELECT wrong"]).collect();
        assert!(migrated(&mut connection, &steps).is_err());
        assert_eq!(version(&connection, Path::new(PLACE), STEPS).unwrap(), Version::At(STEPS.len()));
        assert!(connection.prepare("SELECT * FROM new").is_err());
    }

    #[test]
    fn what_is_newer_or_not_ours_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps: Vec<&str> = STEPS.iter().copied().chain(["CREATE TABLE new (id)"]).collect();
        migrated(&mut connection, &steps).unwrap();
        let error = migrated(&mut connection, STEPS).unwrap_err();
        let (version, known) = (STEPS.len() + 1, STEPS.len());
        assert!(
            matches!(error, StateError::Newer { version: found, known: here, .. } if (found, here) == (version, known))
        );
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE bookmarks (id)").unwrap();
        assert!(matches!(migrated(&mut foreign, STEPS), Err(StateError::Foreign { .. })));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.pragma_update(None, "application_id", 7).unwrap();
        assert!(matches!(migrated(&mut foreign, STEPS), Err(StateError::Foreign { .. })));
    }
}
