//! The result of one input, and the report that is counted while it is read.

use super::progress::Progress;
use crate::inputs::Input;
use crate::process::panics::Failure;
use kaspector::capture::{Block, CaptureError, CaptureFile, display_path};
use kaspector::pipeline::Findings;
use kaspector_live::Filter;
use kaspector_report::InputReport;
use sha2::{Digest, Sha256};

/// Bytes at the start of an input that identify it, together with its length.
const DIGESTED_BYTES: usize = 64 << 10;

/// The result of one input.
#[derive(Debug, Default)]
pub struct InputScan {
    /// The input itself.
    pub report: InputReport,
    /// What it showed.
    pub findings: Findings,
    /// Whether a panic, a defect of the program, kept it from being read as it should be.
    pub is_defective: bool,
}

impl InputScan {
    /// It could not be opened.
    pub(super) fn unreadable(error: &CaptureError) -> Self {
        let report = InputReport {
            path: error.input().to_owned(),
            error: Some(error.to_string()),
            unreadable: true,
            ..InputReport::default()
        };
        Self { report, ..Self::default() }
    }

    /// Somebody asked for an early end before this input's turn.
    pub(super) fn not_begun(input: &Input) -> Self {
        let path = name(input);
        let error = Some(format!("{path}: not read: the scan was interrupted before"));
        Self { report: InputReport { path, error, ..InputReport::default() }, ..Self::default() }
    }

    /// A failure of the program ended the reading behind what is in the report.
    pub(super) fn cut_by(mut self, failure: &Failure, input: &Input) -> Self {
        let InputReport { packets, .. } = self.report;
        let (path, unreadable) = (name(input), packets == 0);
        let error = if unreadable {
            format!("{path}: not read: {failure}")
        } else {
            format!("{path}: not read behind packet {packets}: {failure}; what came before was read")
        };
        self.report = InputReport { path, error: Some(error), unreadable, ..self.report };
        self.is_defective = true;
        self
    }
}

/// The input as reports name it.
fn name(input: &Input) -> String {
    match input {
        Input::Stdin => "-".to_owned(),
        Input::Named(path) | Input::Found(path) => display_path(path),
    }
}

/// What the report says of an input, counted block by block.
#[derive(Debug)]
pub struct Tally {
    report: InputReport,
    digest: Option<Sha256>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(file: &CaptureFile) -> Self {
        let report = InputReport { path: file.input().to_owned(), ..InputReport::default() };
        Self { report, digest: None }
    }

    /// Packets counted so far.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.report.packets
    }

    /// Counts the frames of a block.
    pub fn count(&mut self, block: &Block, progress: &Progress) {
        let report = &mut self.report;
        report.packets += block.records.len() as u64;
        let earliest = block.records.iter().map(|record| record.at).min();
        let latest = block.records.iter().map(|record| record.at).max();
        report.first_packet = report.first_packet.into_iter().chain(earliest).min();
        report.last_packet = report.last_packet.into_iter().chain(latest).max();
        let bytes = block.records.iter().map(|record| u64::from(record.len)).sum::<u64>();
        report.bytes += bytes;
        progress.add(block.records.len() as u64, bytes);
        if self.digest.is_none() {
            let mut digest = Sha256::new();
            for frame in block.frames().take_while({
                let mut left = DIGESTED_BYTES;
                move |frame| {
                    let within = left > 0;
                    left = left.saturating_sub(frame.bytes.len());
                    within
                }
            }) {
                digest.update(frame.at.0.to_be_bytes());
                digest.update(frame.bytes);
            }
            self.digest = Some(digest);
        }
    }

    /// Notes why reading ended early.
    pub fn fail(&mut self, error: &CaptureError) {
        self.report.error = Some(error.to_string());
        self.report.unreadable = self.report.packets == 0;
    }

    /// Notes that somebody asked for an early end.
    pub fn interrupt(&mut self) {
        let InputReport { path, packets, .. } = &self.report;
        self.report.error = Some(format!("{path}: interrupted after packet {packets}; what came before was read"));
    }

    /// The input's report.
    #[must_use]
    pub fn close(self, file: &CaptureFile) -> InputReport {
        let mut digest = self.digest.unwrap_or_default();
        digest.update(self.report.packets.to_be_bytes());
        digest.update(self.report.bytes.to_be_bytes());
        InputReport {
            link_types: file.link_types().into_iter().collect(),
            digest: digest.finalize().into(),
            ..self.report
        }
    }
}

/// The filter of one thread.
pub(super) fn compiled(expression: &str) -> Filter {
    Filter::new(expression).expect("the expression was compiled before the threads began")
}
