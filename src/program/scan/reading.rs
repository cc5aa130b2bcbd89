//! Reads an input to its end, on one thread or on all: a capture in, what it shows out. Logs are put by.

use super::input_scan::{InputScan, name};
use super::logs::{self, Found, LogInput, LogTimes};
use super::progress::Progress;
use super::schedule::Job;
use super::single::Reader;
use super::{ScanOptions, lock, parallel};
use crate::inputs::Input;
use crate::process::panics::{Failure, survive};
use kaspector::capture::{CaptureError, CaptureFile, ForeignKind};
use kaspector::decode::TunnelPorts;
use kaspector::matching::SignatureSet;
use kaspector_live::{Filter, FilterError};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

/// What reading any input takes.
#[derive(Debug)]
pub struct Reading<'a> {
    /// What is looked for.
    pub signatures: &'a Arc<SignatureSet>,
    /// Who is told how far it has come.
    pub progress: &'a Progress,
    /// Ports where tunnels are opened.
    pub ports: Arc<TunnelPorts>,
    /// Whether somebody takes the alerts.
    pub keeps_alerts: bool,
    filter: Option<&'a str>,
    logs_only: bool,
    log_times: &'a LogTimes,
    logs: Mutex<Vec<LogInput>>,
}

/// What an input turned out to be.
#[derive(Debug)]
pub enum Outcome {
    /// A capture, or something that could not be read.
    Scanned(Box<InputScan>),
    /// It was found in a folder, and is neither a capture nor a log.
    Neither,
    /// A log, which was not read yet.
    Log(Box<LogInput>),
}

/// Who reads an input.
#[derive(Debug)]
pub enum Threads<'r> {
    /// The thread that asks, with what it read the last input with.
    One(Option<Box<Reader<'r>>>),
    /// So many, together.
    All(usize),
}

impl<'a> Reading<'a> {
    /// Reads with these.
    ///
    /// # Errors
    /// When the filter is not one.
    pub fn new(
        options: &'a ScanOptions,
        signatures: &'a Arc<SignatureSet>,
        progress: &'a Progress,
        ports: TunnelPorts,
        keeps_alerts: bool,
    ) -> Result<Self, FilterError> {
        let filter = options.filter.as_deref();
        // Each thread compiles its own; whether it can be compiled shows here.
        filter.map(Filter::new).transpose()?;
        Ok(Self {
            signatures,
            progress,
            ports: Arc::new(ports),
            keeps_alerts,
            filter,
            logs_only: options.logs_only,
            log_times: &options.log_times,
            logs: Mutex::default(),
        })
    }

    /// The filter of one thread.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        let compiled = |expression| Filter::new(expression).expect("the expression was compiled before");
        self.filter.map(compiled)
    }

    /// Reads an input if it is a capture.
    ///
    /// # Errors
    /// A panic, which left half of the work done: all of it was thrown away.
    pub fn read(&self, job: &Job<'_>, threads: &mut Threads<'a>) -> Result<Outcome, Failure> {
        let Job { input, .. } = job;
        let scanned = |scan: InputScan| Outcome::Scanned(Box::new(scan));
        if self.progress.is_stopped() {
            return Ok(scanned(InputScan::not_begun(input)));
        }
        let outcome = survive(|| {
            if self.logs_only {
                return self.look_for_log(job, None);
            }
            match input.open() {
                Ok(Some(file)) => {
                    self.progress.begin(file.position());
                    scanned(self.read_capture(file, job.number(), threads))
                }
                Ok(None) => self.look_for_log(job, None),
                Err(error @ CaptureError::NotACapture { kind: ForeignKind::Other, .. }) if **input != Input::Stdin => {
                    self.look_for_log(job, Some(&error))
                }
                Err(error) => scanned(InputScan::unreadable(&error)),
            }
        })?;
        if !matches!(outcome, Outcome::Log(_)) {
            self.progress.finish_input();
        }
        Ok(outcome)
    }

    /// Looks whether an input is a log. `error`: why it is no capture, where it ought to be one.
    fn look_for_log(&self, job: &Job<'_>, error: Option<&CaptureError>) -> Outcome {
        let Job { input, index } = job;
        let trouble = |what: String| Outcome::Scanned(Box::new(InputScan::in_trouble(input, what)));
        match (logs::look(*index, input, self.log_times), error) {
            (Found::Log(log), _) => Outcome::Log(log),
            (Found::Trouble(what), _) => trouble(what),
            (_, Some(error)) => Outcome::Scanned(Box::new(InputScan::unreadable(error))),
            (_, None) if matches!(input, Input::Found(_)) => Outcome::Neither,
            (Found::Capture, None) => trouble(format!("{}: a capture, which 'kaspector scan' reads", name(input))),
            (Found::Neither, None) => {
                trouble(format!("{}: in no format of logs that we know; docs/logs.md lists them", name(input)))
            }
        }
    }

    /// Keeps a log until all are known.
    pub fn put_by(&self, log: LogInput) {
        lock(&self.logs).push(log);
    }

    /// The logs among the inputs, in their order.
    pub fn take_logs(&self) -> Vec<LogInput> {
        let mut logs = std::mem::take(&mut *lock(&self.logs));
        logs.sort_by_key(|log| log.index);
        logs
    }

    fn read_capture(&self, file: CaptureFile, number: u32, threads: &mut Threads<'a>) -> InputScan {
        match threads {
            Threads::One(kept) => {
                // A panic leaves none: what it was in is thrown away.
                let mut reader = kept.take().unwrap_or_else(|| Box::new(Reader::new(self)));
                let scan = reader.read(file, number, u64::MAX, &AtomicU64::new(0));
                *kept = Some(reader);
                scan
            }
            Threads::All(threads) => parallel::read(file, number, *threads, self),
        }
    }
}
