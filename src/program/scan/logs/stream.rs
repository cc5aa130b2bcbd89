//! Logs that follow each other, read as one.

use super::look::LogInput;
use super::series::{number, unread};
use super::supply::{Begun, Block, Ended, Helpers, Piece, Supply};
use crate::process::panics::Failure;
use kaspector::capture::Timestamp;
use kaspector_logs::{LineParser, LogReader};
use kaspector_report::{InputReport, LogReport};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Times closer together than this are added to the report at once.
const FLUSH_NS: u64 = 60_000_000_000;

/// Logs of one name, the earliest first.
pub struct Stream<'a> {
    pub supply: Arc<Supply<'a>>,
    open: Option<OpenLog>,
    /// Lines of what is open, and the next of them to be read.
    block: Option<Block>,
    next: usize,
    /// When the last line was written. Lines of one log go in their order, whatever their times.
    written: Timestamp,
    reports: Vec<(usize, InputReport)>,
}

/// A log that is being read.
struct OpenLog {
    index: usize,
    parser: LineParser,
    report: InputReport,
    head: Box<[u8]>,
    /// Times that were not added to the report yet: the earliest and the latest.
    times: Option<(Timestamp, Timestamp)>,
}

impl<'a> Stream<'a> {
    pub const fn new(supply: Arc<Supply<'a>>) -> Self {
        Self { supply, open: None, block: None, next: 0, written: Timestamp(0), reports: Vec::new() }
    }

    /// Has the next lines ready; false when there are none left.
    pub fn advance(&mut self, reader: &mut LogReader, helpers: &Helpers<'_>) -> Result<bool, Failure> {
        loop {
            if let Some(block) = &self.block
                && self.next < block.skim.len()
            {
                return Ok(true);
            }
            if let Some(block) = self.block.take() {
                self.supply.give_back(block);
            }
            match self.supply.take(helpers)? {
                None => return Ok(false),
                Some(Piece::Begin(begun)) => self.open = Some(OpenLog::new(*begun)),
                Some(Piece::Lines(block)) => {
                    if let Some(open) = &mut self.open {
                        block.skim.times().for_each(|times| open.add_times(times));
                    }
                    (self.block, self.next) = (Some(block), 0);
                }
                Some(Piece::End(ended)) => {
                    if let Some(open) = self.open.take() {
                        self.reports.push(open.close(ended, reader));
                    }
                }
                Some(Piece::Unopened(log, error)) => {
                    let LogInput { index, name, format, .. } = *log;
                    let (log, error) = (Some(unread(format)), Some(error));
                    let report = InputReport { path: name, log, error, unreadable: true, ..InputReport::default() };
                    self.reports.push((index, report));
                }
            }
        }
    }

    /// When the next line was written; `None` when there is none.
    pub fn next_written(&self) -> Option<Timestamp> {
        let written = self.block.as_ref()?.skim.written(self.next)?;
        Some(written.max(self.written))
    }

    /// Reads the lines at hand that were written by then.
    pub fn read_until(&mut self, until: Timestamp, reader: &mut LogReader) {
        let (Some(open), Some(block)) = (&mut self.open, &self.block) else { return };
        reader.select_input(number(open.index));
        #[cfg(test)]
        super::super::defect::tests::panic_if_asked(&open.report.path, reader.counters().lines);
        let OpenLog { parser, times, report, .. } = open;
        reader.lines(parser, block.text(), &block.skim, &mut self.next, until, &mut |at| {
            add_times(times, report, (at, at));
        });
        let last = self.next.checked_sub(1).and_then(|last| block.skim.written(last));
        self.written = self.written.max(last.unwrap_or_default());
    }

    /// What became of each log, with its place in the list that is scanned.
    pub fn into_reports(self) -> Vec<(usize, InputReport)> {
        self.reports
    }
}

impl OpenLog {
    fn new(begun: Begun) -> Self {
        let Begun { index, name, format, head, parser } = begun;
        let report = InputReport { path: name, log: Some(unread(format)), ..InputReport::default() };
        Self { index, parser, report, head, times: None }
    }

    /// Its report, with its place in the list that is scanned.
    fn close(mut self, ended: Ended, reader: &mut LogReader) -> (usize, InputReport) {
        if let Some(times) = self.times.take() {
            flush(&mut self.report, times);
        }
        reader.select_input(number(self.index));
        let counters = reader.counters().clone();
        let mut report = self.report;
        let InputReport { path, .. } = &report;
        let Ended { bytes, error, is_interrupted } = ended;
        report.error = match error {
            _ if is_interrupted => Some(format!("{path}: interrupted; what came before was read")),
            Some(error) => {
                Some(format!("{path}: cannot be read behind byte {bytes}: {error}; what came before was read"))
            }
            None => None,
        };
        report.unreadable = report.error.is_some() && !is_interrupted && bytes == 0;
        report.bytes = bytes;
        if let Some(log) = &mut report.log {
            *log = LogReport {
                format: log.format,
                lines: counters.lines,
                read: counters.read,
                others: counters.others,
                undirected: counters.undirected,
                malformed: counters.malformed,
                first_malformed: counters.first_malformed.map(|(line, why)| format!("line {line}: {why}")),
                ..LogReport::default()
            };
        }
        let mut digest = Sha256::new();
        digest.update(&self.head);
        digest.update(counters.lines.to_be_bytes());
        digest.update(report.bytes.to_be_bytes());
        report.digest = digest.finalize().into();
        (self.index, report)
    }

    fn add_times(&mut self, times: (Timestamp, Timestamp)) {
        add_times(&mut self.times, &mut self.report, times);
    }
}

/// Adds times that are close together to those that wait, or has these added to the report first.
fn add_times(
    waiting: &mut Option<(Timestamp, Timestamp)>,
    report: &mut InputReport,
    (first, last): (Timestamp, Timestamp),
) {
    *waiting = Some(match *waiting {
        None => (first, last),
        Some((from, to)) if first.0.abs_diff(from.0) < FLUSH_NS && last.0.abs_diff(to.0) < FLUSH_NS => {
            (first.min(from), last.max(to))
        }
        Some(times) => {
            flush(report, times);
            (first, last)
        }
    });
}

fn flush(report: &mut InputReport, (first, last): (Timestamp, Timestamp)) {
    report.first_packet = report.first_packet.into_iter().chain([first]).min();
    report.last_packet = report.last_packet.into_iter().chain([last]).max();
    report.covered.add_packets((first, last), [first, last].into_iter());
}
