//! Where something stands in a signature file.

use crate::matching::signature_set::SignatureError;
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

/// Where an indicator stands.
#[derive(Clone, Debug)]
pub struct Place {
    pub path: Arc<str>,
    pub line: usize,
}

impl Place {
    /// Says what is wrong there.
    pub fn bad(&self, what: impl Into<String>) -> SignatureError {
        SignatureError::Bad { path: self.path.to_string(), line: self.line, what: what.into() }
    }
}

impl Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.path, self.line)
    }
}

/// A file, and where the lines of the piece at hand end; spans count from where it begins.
pub struct File {
    pub path: Arc<str>,
    pub lines_before: usize,
    pub lines: Vec<usize>,
}

impl File {
    pub fn place(&self, span: &Range<usize>) -> Place {
        let before = self.lines_before + self.lines.partition_point(|&end| end < span.start);
        Place { path: Arc::clone(&self.path), line: 1 + before }
    }

    pub fn bad(&self, span: &Range<usize>, what: impl Into<String>) -> SignatureError {
        self.place(span).bad(what)
    }
}
