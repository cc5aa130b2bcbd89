//! Answers that can be merged: what a scan knows of each of its inputs, written to a file and read back without loss.
//!
//! In:    the result of each input: its report and its findings.
//! Out:   a Parquet file ([`PartWriter`]), and the same results out of it ([`read()`]).
//! Never: adds up what several inputs showed: a sum cannot be told from its parts any more, and bounds would be met in another order.
//!
//! Since results stay apart by input, to merge files is to put their inputs together. Whatever way the inputs were split, and in whatever
//! order the files are merged, all of them are there in the end, and the answer is the one of a single scan.
//!
//! The columns are described in `docs/partial.md`.

mod convert;
mod error;
mod read;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod write;

pub use error::PartialError;
pub use read::{Part, read};
pub use write::PartWriter;

use kaspector::pipeline::Findings;
use kaspector_report::InputReport;
use std::collections::BTreeMap;

/// The result of one input.
#[derive(Debug, Default)]
pub struct InputPart {
    /// How it was read.
    pub reading: Reading,
    /// The input, and what became of it.
    pub report: InputReport,
    /// What it showed. Alerts are not kept: each was told when it was raised.
    pub findings: Findings,
    /// Whether a defect of the program kept it from being read as it should be.
    pub is_defective: bool,
}

/// How an input was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// Version of the signature set.
    pub signatures: String,
    /// Digest of the signature set, in hexadecimal digits.
    pub signatures_sha256: String,
    /// Packets that were chosen, as a libpcap filter expression.
    pub filter: Option<String>,
}

/// What a scan found in folders and left out. A file tells it once for each scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// How many, by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Tells scans apart: a digest of what they read, in hexadecimal digits.
    pub scan: String,
}
