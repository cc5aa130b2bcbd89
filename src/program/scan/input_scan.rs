//! The result of one input.

use crate::inputs::Input;
use crate::process::panics::Failure;
use kaspector::capture::{CaptureError, display_path};
use kaspector::pipeline::Findings;
use kaspector_report::InputReport;

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
    pub fn unreadable(error: &CaptureError) -> Self {
        let report = InputReport {
            path: error.input().to_owned(),
            error: Some(error.to_string()),
            unreadable: true,
            ..InputReport::default()
        };
        Self { report, ..Self::default() }
    }

    /// Somebody asked for an early end before this input's turn.
    pub fn not_begun(input: &Input) -> Self {
        let path = name(input);
        let error = Some(format!("{path}: not read: the scan was interrupted before"));
        Self { report: InputReport { path, error, ..InputReport::default() }, ..Self::default() }
    }

    /// A failure of the program ended the reading behind what is in the report.
    pub fn cut_by(mut self, failure: &Failure, input: &Input) -> Self {
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
