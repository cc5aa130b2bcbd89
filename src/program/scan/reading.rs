//! Reads an input to its end, on one thread or on all: a capture in, what it shows out.

use super::input_scan::InputScan;
use super::parallel;
use super::progress::Progress;
use super::schedule::Job;
use super::single::Reader;
use crate::process::panics::{Failure, survive};
use kaspector::capture::CaptureFile;
use kaspector::decode::TunnelPorts;
use kaspector::matching::SignatureSet;
use kaspector_live::{Filter, FilterError};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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
        signatures: &'a Arc<SignatureSet>,
        progress: &'a Progress,
        ports: TunnelPorts,
        filter: Option<&'a str>,
        keeps_alerts: bool,
    ) -> Result<Self, FilterError> {
        // Each thread compiles its own; whether it can be compiled shows here.
        filter.map(Filter::new).transpose()?;
        Ok(Self { signatures, progress, ports: Arc::new(ports), keeps_alerts, filter })
    }

    /// The filter of one thread.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        let compiled = |expression| Filter::new(expression).expect("the expression was compiled before");
        self.filter.map(compiled)
    }

    /// Reads an input. `None` when it was found in a folder and is no capture.
    ///
    /// # Errors
    /// A panic, which left half of the work done: all of it was thrown away.
    pub fn read(&self, job: &Job<'_>, threads: &mut Threads<'a>) -> Result<Option<InputScan>, Failure> {
        let Job { input, .. } = job;
        if self.progress.is_stopped() {
            return Ok(Some(InputScan::not_begun(input)));
        }
        let scan = survive(|| match input.open() {
            Ok(Some(file)) => {
                self.progress.begin(file.position());
                Some(self.read_capture(file, job.number(), threads))
            }
            Ok(None) => None,
            Err(error) => Some(InputScan::unreadable(&error)),
        });
        self.progress.finish_input();
        scan
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
