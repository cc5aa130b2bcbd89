//! The result of one input.

use crate::inputs::Input;
use crate::process::panics::Failure;
use kaspector::capture::{CaptureError, display_path};
use kaspector::matching::Alert;
use kaspector::pipeline::Findings;
use kaspector_logs::FlowName;
use kaspector_report::InputReport;

/// The result of one input.
#[derive(Debug, Default)]
pub struct InputScan {
    /// The input itself.
    pub report: InputReport,
    /// What it showed.
    pub findings: Findings,
    /// Of a log: what the engine that wrote it calls the flow of each alert.
    pub flow_names: Vec<FlowName>,
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

    /// It was not read, for a reason that begins with its name.
    pub fn in_trouble(input: &Input, error: String) -> Self {
        let report = InputReport { path: name(input), error: Some(error), unreadable: true, ..InputReport::default() };
        Self { report, ..Self::default() }
    }

    /// A log.
    pub fn of_log(report: InputReport, mut findings: Findings, alerts: Vec<(Alert, FlowName)>) -> Self {
        let flow_names;
        (findings.alerts, flow_names) = alerts.into_iter().unzip();
        Self { report, findings, flow_names, is_defective: false }
    }

    /// Somebody asked for an early end before this input's turn.
    pub fn not_begun(input: &Input) -> Self {
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
pub(super) fn name(input: &Input) -> String {
    match input {
        Input::Stdin => "-".to_owned(),
        Input::Named(path) | Input::Found(path) => display_path(path),
    }
}
