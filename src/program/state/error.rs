//! What can be wrong with a state file.

use kaspector::capture::display_path;
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Why a state file cannot be used. None of these changes the file.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no such file.
    #[error("{}: no such state file; 'kaspector watch --state' and 'kaspector scan --state' make one", display_path(.path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is in it, perhaps since somebody makes it at this moment.
    #[error("{}: nothing is in it yet; 'kaspector watch --state' and 'kaspector scan --state' fill it", display_path(.path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be created or opened.
    #[error("{}: cannot be opened: {error}; the file, and its folder for writing, must be open to this user", display_path(.path))]
    Closed {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// It belongs to another program.
    #[error("{}: not a state file of Kaspector; it is left as it is, name another one", display_path(.path))]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error(
        "{}: version {version} of the state, and this program knows versions up to {known}; use the newer program that wrote it",
        display_path(.path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: usize,
        /// The latest version that is known.
        known: usize,
    },
    /// What is in it cannot be.
    #[error("{}: damaged: {what}; keep a copy, then restore a backup or name a new file", display_path(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and what.
        what: String,
    },
    /// Others write to it all the time.
    #[error("{}: others kept writing to it, so it could not be used; try again", display_path(.path))]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// There is no room.
    #[error("{}: the disk is full; nothing was saved, and what was saved before is whole", display_path(.path))]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: this user, or the file system, lets it only be read", display_path(.path))]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{}: {error}", display_path(.path))]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
}

impl StateError {
    /// What an error of SQLite means for whoever named the file.
    #[must_use]
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, what: error.to_string() },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Closed { path, error: error.to_string() }
            }
            _ => match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => Self::Damaged { path, what: error.to_string() },
                error => Self::Failed { path, error },
            },
        }
    }
}
