//! Why a file could not be read or written.

use parquet::errors::ParquetError;
use std::fmt;
use std::io;

/// Why a file could not be read or written. The text says what to do; whoever shows it names the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum PartialError {
    /// The system says no.
    Io(io::Error),
    /// It is no Parquet file, or a damaged one.
    Damaged(String),
    /// It is a Parquet file of something else.
    Foreign,
    /// It was written in another version of the format.
    OtherVersion(String),
    /// A row does not say what it should.
    Row {
        /// Its number, from 1.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for PartialError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(out, "{error}"),
            Self::Damaged(what) => {
                write!(
                    out,
                    "damaged, or no Parquet file ({what}); copy it again, or scan its inputs again with --partial"
                )
            }
            Self::Foreign => write!(
                out,
                "a Parquet file of something else; 'kaspector scan --partial FILE' writes what can be merged"
            ),
            Self::OtherVersion(version) => write!(
                out,
                "written in version {version} of the format, and this program knows version {}; use the program that wrote it, or scan again",
                super::schema::VERSION
            ),
            Self::Row { number, what } => write!(out, "row {number}: {what}; scan its inputs again with --partial"),
        }
    }
}

impl std::error::Error for PartialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

/// What the system said is told as the system's word, however deep the library has put it.
impl From<ParquetError> for PartialError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(error) => Self::Damaged(error.to_string()),
            },
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<io::Error> for PartialError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
