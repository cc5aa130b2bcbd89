//! Logs among the inputs: what another program wrote of the same traffic. Files that belong together are one series, with one reader: what one
//! of them says may decide what another means.

mod blocks;
mod look;
mod series;
mod stream;
mod supply;

pub use look::{Found, LogInput, LogTimes, look};

use super::progress::Progress;
use crate::process::panics::{Failure, survive};
use kaspector::matching::{Alert, SignatureSet};
use kaspector::pipeline::Findings;
use kaspector_logs::{FlowName, LineParser, Skimmer};
use kaspector_report::InputReport;
use series::{OpenSeries, in_series};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use supply::Helpers;

/// What a log of a series showed.
#[derive(Debug, Default)]
pub struct LogScan {
    /// In the list that was scanned.
    pub index: usize,
    /// The log itself.
    pub report: InputReport,
    /// What its series showed; of the first log of a series, and empty for the others.
    pub findings: Findings,
    /// Its alerts, and what the engine that wrote it calls the flow of each.
    pub alerts: Vec<(Alert, FlowName)>,
    /// Whether a panic, a defect of the program, kept its series from being read.
    pub is_defective: bool,
}

impl LogScan {
    /// Of a log whose series brought about a panic: what was read of it until then is thrown away.
    fn defective(index: usize, path: String, failure: &Failure) -> Self {
        let error = Some(format!("{path}: not read, nor what belongs to the same log: {failure}"));
        let report = InputReport { path, error, unreadable: true, ..InputReport::default() };
        Self { index, report, is_defective: true, ..Self::default() }
    }
}

/// Reads logs to their end. Each series is read by one thread, in the order of its lines; threads that have no series look ahead for those that have.
pub fn read(logs: Vec<LogInput>, threads: usize, reading: &LogReading<'_>) -> Vec<LogScan> {
    let series: Vec<_> = in_series(logs).into_iter().map(|series| series.open(reading)).collect();
    let helpers = Helpers::of(series.iter().flat_map(OpenSeries::supplies));
    let done = Mutex::new(Vec::new());
    let (next, left) = (AtomicUsize::new(0), AtomicUsize::new(series.len()));
    let series: Vec<Mutex<Option<OpenSeries<'_>>>> = series.into_iter().map(|one| Mutex::new(Some(one))).collect();
    let work = || {
        while let Some(place) = series.get(next.fetch_add(1, Ordering::Relaxed)) {
            let taken = place.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(series) = taken else { continue };
            let logs = series.logs.clone();
            let scans = survive(|| series.read(reading, &helpers)).and_then(|read| read).unwrap_or_else(|failure| {
                logs.into_iter().map(|(index, path)| LogScan::defective(index, path, &failure)).collect()
            });
            done.lock().unwrap_or_else(PoisonError::into_inner).extend(scans);
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                helpers.dismiss();
            }
        }
        helpers.help();
    };
    std::thread::scope(|scope| {
        for _ in 1..if series.is_empty() { 0 } else { threads } {
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What reading any log takes.
#[derive(Debug)]
pub struct LogReading<'a> {
    /// What is looked for.
    pub signatures: &'a Arc<SignatureSet>,
    /// Looks at lines; of no input yet.
    pub skimmer: Skimmer,
    /// Who is told how far it has come.
    pub progress: &'a Progress,
    /// Whether somebody takes the alerts.
    pub keeps_alerts: bool,
}

impl<'a> LogReading<'a> {
    /// What reading logs takes that are held against these signatures.
    pub fn new(signatures: &'a Arc<SignatureSet>, progress: &'a Progress, keeps_alerts: bool) -> Self {
        Self { signatures, skimmer: Skimmer::new(&LineParser::eve(), signatures), progress, keeps_alerts }
    }
}
