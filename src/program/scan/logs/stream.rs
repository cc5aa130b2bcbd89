//! Logs that follow each other, read as one.

use super::super::progress::Progress;
use super::lines::Lines;
use super::look::LogInput;
use super::series::{number, unread};
use kaspector::capture::{Timestamp, Unpacked};
use kaspector_logs::{LineParser, LogReader};
use kaspector_report::{InputReport, LogReport};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io;

/// Lines between two looks at whether somebody asked for an early end.
const LINES_BETWEEN_LOOKS: u64 = 4096;
/// Times closer together than this are added to the report at once.
const FLUSH_NS: u64 = 60_000_000_000;

/// Logs of one name, the earliest first.
pub struct Stream<'a> {
    waiting: VecDeque<LogInput>,
    open: Option<OpenLog>,
    /// The next line of what is open, where streams are read beside each other.
    held: Vec<u8>,
    holds: bool,
    written: Timestamp,
    reports: Vec<(usize, InputReport)>,
    progress: &'a Progress,
}

/// A log that is being read.
struct OpenLog {
    index: usize,
    lines: Box<Lines<Unpacked>>,
    parser: LineParser,
    /// Says when lines were written, before they are read.
    looker: LineParser,
    report: InputReport,
    head: Box<[u8]>,
    /// Lines since the last look at whether somebody asked for an early end.
    count: u64,
    /// Times that were not added to the report yet: the earliest and the latest.
    times: Option<(Timestamp, Timestamp)>,
}

impl<'a> Stream<'a> {
    pub fn new(logs: Vec<LogInput>, progress: &'a Progress) -> Self {
        Self {
            waiting: logs.into(),
            open: None,
            held: Vec::new(),
            holds: false,
            written: Timestamp(0),
            reports: Vec::new(),
            progress,
        }
    }

    /// Reads the next log to its end; false when there is none left.
    pub fn read_file(&mut self, reader: &mut LogReader) -> bool {
        let Some(mut open) = self.open_next() else { return false };
        reader.select_input(number(open.index));
        while !open.is_interrupted(self.progress) {
            #[cfg(test)]
            super::super::defect::tests::panic_if_asked(&open.report.path, open.count);
            match open.lines.next() {
                Ok(Some(line)) => {
                    let at = reader.line(&mut open.parser, line);
                    open.add_time(at);
                }
                Ok(None) => break,
                Err(error) => {
                    open.fail(&error);
                    break;
                }
            }
        }
        self.close(open, reader);
        true
    }

    /// Opens the first log, and holds its first line.
    pub fn begin(&mut self, reader: &mut LogReader) {
        self.open = self.open_next();
        self.advance(reader);
    }

    /// When the next line was written; `None` when there is none.
    pub fn next_written(&self) -> Option<Timestamp> {
        self.holds.then_some(self.written)
    }

    /// Reads the lines that were written by then, one at least.
    pub fn read_until(&mut self, until: Timestamp, reader: &mut LogReader) {
        loop {
            if let Some(open) = &mut self.open {
                reader.select_input(number(open.index));
                let at = reader.line(&mut open.parser, &self.held);
                open.add_time(at);
            }
            self.advance(reader);
            if !self.holds || self.written > until {
                return;
            }
        }
    }

    /// Holds the next line, be it that of the next log.
    fn advance(&mut self, reader: &mut LogReader) {
        self.holds = false;
        while let Some(open) = &mut self.open {
            let next = if open.is_interrupted(self.progress) { Ok(None) } else { open.lines.next() };
            match next {
                Ok(Some(line)) => {
                    self.held.clear();
                    self.held.extend_from_slice(line);
                    self.holds = true;
                    // Lines of one log go in their order, whatever their times.
                    self.written = self.written.max(open.looker.written(line).unwrap_or_default());
                    return;
                }
                Ok(None) => {}
                Err(error) => open.fail(&error),
            }
            if let Some(open) = self.open.take() {
                self.close(open, reader);
            }
            self.open = self.open_next();
        }
    }

    /// The next log that can be opened; those that cannot have a report that says so.
    fn open_next(&mut self) -> Option<OpenLog> {
        while let Some(LogInput { index, path, name, format, head, clock, opened, .. }) = self.waiting.pop_front() {
            let report = InputReport { path: name, log: Some(unread(format)), ..InputReport::default() };
            let opened = match (opened, path) {
                (Some(lines), _) => Ok(lines),
                (None, Some(path)) => Unpacked::open(&path).map(|file| {
                    self.progress.begin(file.position());
                    Box::new(Lines::new(file))
                }),
                (None, None) => continue,
            };
            match opened {
                Ok(lines) => {
                    let (parser, looker) = (LineParser::new(format, clock.clone()), LineParser::new(format, clock));
                    return Some(OpenLog { index, lines, parser, looker, report, head, count: 0, times: None });
                }
                Err(error) => {
                    self.progress.finish_input();
                    let (error, unreadable) = (Some(error.to_string()), true);
                    self.reports.push((index, InputReport { error, unreadable, ..report }));
                }
            }
        }
        None
    }

    fn close(&mut self, mut open: OpenLog, reader: &mut LogReader) {
        open.flush_times();
        reader.select_input(number(open.index));
        let counters = reader.counters().clone();
        let mut report = open.report;
        report.bytes = open.lines.bytes();
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
        digest.update(&open.head);
        digest.update(counters.lines.to_be_bytes());
        digest.update(report.bytes.to_be_bytes());
        report.digest = digest.finalize().into();
        self.reports.push((open.index, report));
        self.progress.finish_input();
    }

    /// What became of each log, with its place in the list that is scanned.
    pub fn into_reports(self) -> Vec<(usize, InputReport)> {
        self.reports
    }
}

impl OpenLog {
    /// Whether somebody asked for an early end; looks now and then.
    fn is_interrupted(&mut self, progress: &Progress) -> bool {
        self.count += 1;
        if !self.count.is_multiple_of(LINES_BETWEEN_LOOKS) || !progress.is_stopped() {
            return false;
        }
        let InputReport { path, .. } = &self.report;
        self.report.error = Some(format!("{path}: interrupted; what came before was read"));
        true
    }

    fn fail(&mut self, error: &io::Error) {
        let InputReport { path, .. } = &self.report;
        let bytes = self.lines.bytes();
        self.report.error =
            Some(format!("{path}: cannot be read behind byte {bytes}: {error}; what came before was read"));
        self.report.unreadable = bytes == 0;
    }

    fn add_time(&mut self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        self.times = Some(match self.times {
            None => (at, at),
            Some((first, last)) if at.0.abs_diff(first.0) < FLUSH_NS && at.0.abs_diff(last.0) < FLUSH_NS => {
                (first.min(at), last.max(at))
            }
            Some(_) => {
                self.flush_times();
                (at, at)
            }
        });
    }

    fn flush_times(&mut self) {
        let Some((first, last)) = self.times.take() else { return };
        let report = &mut self.report;
        report.first_packet = report.first_packet.into_iter().chain([first]).min();
        report.last_packet = report.last_packet.into_iter().chain([last]).max();
        report.covered.add_packets((first, last), [first, last].into_iter());
    }
}
