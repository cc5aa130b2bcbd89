//! Why a signature folder was refused.

use std::io;

/// Why a signature folder was refused. A folder with one bad file is refused as a whole: half a set would miss hosts in silence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The file system refuses.
    #[error("{path}: cannot be read: {cause}; check that it exists and that you may read it")]
    Read {
        /// Folder or file.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// No file to read.
    #[error("{path}: this folder holds no file named *.toml; name the folder that holds the signature files")]
    Empty {
        /// The folder.
        path: String,
    },
    /// More bytes than a signature file may have.
    #[error(
        "{path}: {bytes} bytes are more than a signature file may hold; split it into files of at most {most} bytes"
    )]
    TooLong {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// A set would take the place of another, and no number is left for what is new in it.
    #[error(
        "more than 4294967296 indicators came and went since the start; start the sensor again to begin their numbers anew"
    )]
    NumbersUsedUp,
    /// A line that says something that cannot be.
    #[error("{path}:{line}: {what}")]
    Bad {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        what: String,
    },
}

impl SignatureError {
    /// File or folder, and line where there is one.
    pub(super) fn place(&self) -> (&str, usize) {
        match self {
            Self::Bad { path, line, .. } => (path, *line),
            Self::Read { path, .. } | Self::Empty { path } | Self::TooLong { path, .. } => (path, 0),
            Self::NumbersUsedUp => ("", 0),
        }
    }
}
