//! Why an input, or the rest of it, could not be read.

use std::io;

use super::ForeignKind;

/// Why an input, or the rest of it, could not be read. The text names the input and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file system refuses, before a byte is read.
    #[error("{input}: cannot be opened: {cause}")]
    Open {
        /// As the user wrote it, or as the folder walk found it.
        input: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A pattern that is no file's name and matches none.
    #[error("{input}: no file has this name and none matches it as a pattern; check the folder and the spelling")]
    NoMatch {
        /// The pattern.
        input: String,
    },
    /// A pattern that cannot be read as one, and no file has it as its name.
    #[error("{input}: no file has this name, and as a pattern it is wrong: {what}; write [*] for a literal *")]
    BadPattern {
        /// The pattern.
        input: String,
        /// What is wrong, and where.
        what: String,
    },
    /// Readable, but nothing that we read frames from.
    #[error("{input}: not a capture that can be read: {looks_like}; {advice}")]
    NotACapture {
        /// As the user wrote it, or as the folder walk found it.
        input: String,
        /// What the first bytes look like.
        looks_like: &'static str,
        /// What to do.
        advice: &'static str,
        /// Whether frames may hide in it all the same.
        kind: ForeignKind,
    },
    /// The bytes stop making sense. Every frame before the damage was delivered.
    #[error(
        "{input}: damaged at byte {offset}{}, packet {packet}: {what}; what came before was read",
        if *.decompressed { " of the decompressed data" } else { "" }
    )]
    Damaged {
        /// As the user wrote it, or as the folder walk found it.
        input: String,
        /// Where the unreadable record or block begins, from 0.
        offset: u64,
        /// Whether `offset` counts decompressed bytes.
        decompressed: bool,
        /// Number that the next frame would have had, from 1.
        packet: u64,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Reading or decompressing stops. Every frame before that was delivered.
    #[error(
        "{input}: reading stops at byte {offset}{}, packet {packet}: {cause}; what came before was read. {}",
        if *.decompressed { " of the decompressed data" } else { "" },
        if *.decompressed {
            "Test the file with `gzip -t`, `zstd -t`, `xz -t`, `bzip2 -t` or `lz4 -t`, and copy it again"
        } else {
            "Check the disk or the program that writes this stream"
        }
    )]
    Read {
        /// As the user wrote it, or as the folder walk found it.
        input: String,
        /// Bytes that were read before, from 0.
        offset: u64,
        /// Whether `offset` counts decompressed bytes.
        decompressed: bool,
        /// Number that the next frame would have had, from 1.
        packet: u64,
        /// What the system or the decompressor says.
        cause: io::Error,
    },
}

impl CaptureError {
    /// The input, as the user wrote it or as the folder walk found it.
    #[must_use]
    pub fn input(&self) -> &str {
        match self {
            Self::Open { input, .. }
            | Self::NoMatch { input }
            | Self::BadPattern { input, .. }
            | Self::NotACapture { input, .. }
            | Self::Damaged { input, .. }
            | Self::Read { input, .. } => input,
        }
    }
}
