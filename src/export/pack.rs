//! What an export gives: files, and what is not in them.

use crate::LeftOut;

/// One file of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFile {
    /// Relative to the folder of the pack, with `/` between parts.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl PackFile {
    /// A file of text.
    pub(crate) fn new(path: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: text.into() }
    }
}

/// An export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// In the order of their paths. A format of one file has one.
    pub files: Vec<PackFile>,
    /// Indicators of the set that the files do not look for, and why.
    pub left_out: LeftOut,
}

impl Pack {
    pub(crate) fn new(mut files: Vec<PackFile>, left_out: LeftOut) -> Self {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self { files, left_out }
    }

    /// The file at a path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.iter().find(|file| file.path == path).map(|file| file.bytes.as_slice())
    }
}
