//! Reads captures and logs to their end and says which hosts they show.
//!
//! In:    inputs and a signature set.
//! Out:   [`Scan`]: a report, an inventory of hosts, and alerts input by input, in the order given.
//! Never: lets the number of threads show in an answer.
//!
//! The way of one input:
//!
//! ```text
//! inputs -> reading -> lanes -> ledger -> merge -> answer
//! schedule  reading    single, parallel   merge    answer
//! ```
//!
//! An input that is a log goes by `logs` in place of the lanes, once the captures are read.
//!
//! Small inputs are spread over the threads, one thread each (`single`); a big one gets all threads (`parallel`). Either way an input has
//! its own flows and its own ledger, and inputs are merged in their order, so the number of threads never shows in the answer.

mod answer;
mod barrier;
mod defect;
mod input_scan;
mod inventory;
mod logs;
mod merge;
mod parallel;
mod progress;
mod reading;
mod schedule;
mod single;

pub use answer::Scan;
pub use input_scan::InputScan;
pub use inventory::Inventory;
pub use logs::LogTimes;
pub use merge::{TakeAlerts, TakeResults, Takers};
pub use progress::{Progress, Snapshot};

use crate::inputs::Inputs;
use crate::process::panics::Failure;
use defect::read_up_to_defect;
use kaspector::decode::{TunnelPort, TunnelPorts};
use kaspector::matching::{Position, SignatureSet};
use kaspector_live::FilterError;
use logs::{LogReading, LogScan};
use merge::Merge;
use reading::{Outcome, Reading, Threads};
use schedule::{Group, Job, groups, size};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What to scan and how.
#[derive(Debug, Default)]
pub struct ScanOptions {
    /// What to read, as [`expand`](crate::inputs::expand) has found it.
    pub inputs: Inputs,
    /// Worker threads, at least one.
    pub threads: usize,
    /// A libpcap filter expression; packets that it does not choose are counted and left alone.
    pub filter: Option<String>,
    /// Ports of the site's own where tunnels are opened, besides the assigned ones.
    pub tunnels: Vec<TunnelPort>,
    /// Whether logs alone are meant, and no captures.
    pub logs_only: bool,
    /// What the times of logs leave out.
    pub log_times: LogTimes,
}

/// Scans everything that `options` name. Trouble with one input is part of its report, and the others are still read; a panic that one
/// brings about is such trouble.
///
/// # Errors
/// When the filter is not one.
pub fn scan(
    options: &ScanOptions,
    signatures: &Arc<SignatureSet>,
    progress: &Progress,
    takers: Takers<'_>,
) -> Result<Scan, FilterError> {
    let threads = options.threads.max(1);
    let ports = TunnelPorts::with_own(&options.tunnels);
    let reading = Reading::new(options, signatures, progress, ports, takers.alerts.is_some())?;
    let inputs = &options.inputs.list;
    let merge = Merge::of_inputs(inputs.len(), signatures, takers);
    progress.expect_inputs(inputs.iter().map(|input| input.as_ref().ok().and_then(size)));
    for (index, input) in inputs.iter().enumerate() {
        if let Err(error) = input {
            merge.add(index, Some(InputScan::unreadable(error)));
        }
    }
    for Group { small, big } in groups(inputs, threads) {
        let mut panicked = take_small(&small, threads, &reading, &merge);
        if let Some(big) = big
            && let Err(failure) = take(&big, &mut Threads::All(threads), &reading, &merge)
        {
            panicked.push((big, failure));
        }
        // Once nothing else takes memory, which may have been what there was too little of.
        for (job, failure) in panicked {
            merge.add(job.index, Some(read_up_to_defect(&job, failure, &reading)));
        }
    }
    let found_logs = reading.take_logs();
    if !found_logs.is_empty() {
        let log_reading = LogReading::new(signatures, progress, takers.alerts.is_some());
        for LogScan { index, report, findings, alerts, is_defective } in logs::read(found_logs, threads, &log_reading) {
            merge.add(index, Some(InputScan { is_defective, ..InputScan::of_log(report, findings, alerts) }));
        }
    }
    let mut scan = merge.into_answer();
    scan.interrupted = progress.is_stopped();
    if options.logs_only
        && let Some(count) = scan.report.left_out.remove("not_a_capture")
    {
        scan.report.leave_out("not_a_log", count);
    }
    scan.report.leave_out("dangling_link", options.inputs.dangling_links);
    scan.report.leave_out("special_file", options.inputs.special_files);
    scan.report.leave_out("own_output", options.inputs.own_outputs);
    Ok(scan)
}

/// Puts the results of inputs together as [`scan`] does, in this order.
pub fn merge_inputs(inputs: impl ExactSizeIterator<Item = InputScan>, signatures: &SignatureSet) -> Scan {
    let merge = Merge::of_inputs(inputs.len(), signatures, Takers::default());
    for (index, mut scan) in inputs.enumerate() {
        let input = schedule::number(index);
        for record in scan.findings.hosts.values_mut() {
            record.move_examples(|example| Position { input, ..example });
        }
        merge.add(index, Some(scan));
    }
    merge.into_answer()
}

/// Takes inputs beside each other, each on one thread. Gives back those that brought about a panic.
fn take_small<'i>(
    small: &[Job<'i>],
    threads: usize,
    reading: &Reading<'_>,
    merge: &Merge<'_>,
) -> Vec<(Job<'i>, Failure)> {
    let (next, panicked) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        let mut this_thread = Threads::One(None);
        while let Some(job) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = take(job, &mut this_thread, reading, merge) {
                lock(&panicked).push((*job, failure));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(small.len()) {
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
    });
    // Where the system allows fewer threads, fewer do the work; where it allows none, this one does.
    work();
    panicked.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one input all the way: it is read, its packets go through the lanes and their events into its ledger, and what that holds is
/// merged.
fn take<'r>(job: &Job<'_>, threads: &mut Threads<'r>, reading: &Reading<'r>, merge: &Merge<'_>) -> Result<(), Failure> {
    match reading.read(job, threads)? {
        Outcome::Scanned(scan) => merge.add(job.index, Some(*scan)),
        Outcome::Neither => merge.add(job.index, None),
        // Its turn comes when all logs are known.
        Outcome::Log(log) => reading.put_by(*log),
    }
    Ok(())
}

/// What the locks guard is whole between any two steps, so a panic leaves it as good as before.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
