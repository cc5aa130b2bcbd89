//! Reads captures to their end and says which hosts they show.
//!
//! Small inputs are spread over the threads, one thread each; a big one gets all threads ([`rounds`]). Either way an input has its own
//! flows and its own ledger, and hosts are merged in input order, so the number of threads never shows in the answer.

use super::input_scan::{InputScan, Tally, compiled};
use super::inventory::Inventory;
use super::progress::Progress;
use super::rounds;
use crate::capture::{Block, CaptureFile, Filter, FilterError, Frame, Input, expand};
use crate::decode::{TunnelPort, TunnelPorts};
use crate::matching::{Alert, SignatureSet};
use crate::pipeline::Detector;
use crate::sink::{InputReport, ScanReport};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Inputs at least this large (compressed, if they are) are read by all threads together, in bytes.
const BIG_INPUT: u64 = 32 << 20;
/// What to scan and how.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Files, folders, patterns, or `-` for standard input.
    pub paths: Vec<String>,
    /// Worker threads, at least one.
    pub threads: usize,
    /// A libpcap filter expression; packets that it does not choose are counted and left alone.
    pub filter: Option<String>,
    /// Ports of the site's own where tunnels are opened, besides the assigned ones.
    pub tunnels: Vec<TunnelPort>,
}

/// Takes the alerts of one input, in packet order. Inputs come in the order given, each as soon as it and all before it are done.
pub type TakeAlerts<'a> = dyn Fn(&InputReport, &[Alert]) + Sync + 'a;

/// The answer.
#[derive(Debug, Default)]
pub struct Scan {
    /// The answer.
    pub report: ScanReport,
    /// What each input showed, by its place in the report.
    pub inventory: Inventory,
    /// Whether somebody asked for an early end, so that the answer covers only what was read until then.
    pub interrupted: bool,
}

/// Scans everything that `options` name. Trouble with one input is part of its report, and the others are still read.
///
/// # Errors
/// When the filter is not one.
pub fn scan(
    options: &ScanOptions,
    signatures: &Arc<SignatureSet>,
    progress: &Progress,
    take_alerts: Option<&TakeAlerts<'_>>,
) -> Result<Scan, FilterError> {
    // Each thread compiles its own; whether it can be compiled shows here.
    let filter = options.filter.as_deref();
    filter.map(Filter::new).transpose()?;
    let ports = Arc::new(TunnelPorts::with_own(&options.tunnels));
    let inputs = expand(&options.paths);
    progress.expect_inputs(inputs.iter().map(|input| input.as_ref().ok().and_then(size)));
    let threads = options.threads.max(1);
    let results = Results::for_inputs(inputs.len());
    let inventory = Inventory::default();
    let hand_on = |number: u32, input: &mut InputScan| {
        if let Some(take) = take_alerts {
            take(&input.report, &std::mem::take(&mut input.findings.alerts));
        }
        inventory.deposit(number, std::mem::take(&mut input.findings.hosts), signatures);
    };
    let put = |index: usize, input: Option<InputScan>| results.put(index, input, &hand_on);
    let is_big = |input: &Input| threads > 1 && size(input).is_none_or(|size| size >= BIG_INPUT);
    // Small ones until the next big one: what comes behind a big one would wait for it with all that it showed.
    let (mut small, mut stretches) = (Vec::new(), Vec::new());
    for (index, input) in inputs.into_iter().enumerate() {
        match input {
            Ok(input) if is_big(&input) => stretches.push((std::mem::take(&mut small), Some((index, input)))),
            Ok(input) => small.push((index, input)),
            Err(error) => put(index, Some(InputScan::unreadable(&error))),
        }
    }
    stretches.push((small, None));
    for (small, big) in &stretches {
        scan_small(small, threads, signatures, filter, &ports, progress, take_alerts.is_some(), &put);
        let Some((index, input)) = big else { continue };
        if progress.is_stopped() {
            put(*index, Some(InputScan::not_begun(input)));
            continue;
        }
        let number = u32::try_from(*index).unwrap_or(u32::MAX);
        put(
            *index,
            scan_input(input, progress, |file| {
                rounds::run(file, number, signatures, threads, filter, &ports, take_alerts.is_some(), progress)
            }),
        );
    }
    let (report, inventory) = collect(results.into_scans(), inventory, signatures);
    Ok(Scan { report, inventory, interrupted: progress.is_stopped() })
}

/// Reads inputs beside each other, each on one thread.
#[allow(clippy::too_many_arguments)]
fn scan_small(
    small: &[(usize, Input)],
    threads: usize,
    signatures: &Arc<SignatureSet>,
    filter: Option<&str>,
    ports: &Arc<TunnelPorts>,
    progress: &Progress,
    keeps_alerts: bool,
    put: &(impl Fn(usize, Option<InputScan>) + Sync),
) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(small.len()) {
            scope.spawn(|| {
                let mut detector = Detector::new(signatures).with_tunnels(ports);
                if !keeps_alerts {
                    detector.discard_alerts();
                }
                let mut block = Block::default();
                let mut filter = filter.map(compiled);
                while let Some((index, input)) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if progress.is_stopped() {
                        put(*index, Some(InputScan::not_begun(input)));
                        continue;
                    }
                    detector.begin_input(u32::try_from(*index).unwrap_or(u32::MAX));
                    put(
                        *index,
                        scan_input(input, progress, |file| {
                            alone(file, &mut detector, &mut block, filter.as_mut(), progress)
                        }),
                    );
                }
            });
        }
    });
}

/// What became of each input, by its number.
#[derive(Debug)]
struct Results {
    /// `None` until the input is done; then `None` inside if it was found in a folder and is no capture.
    scans: Vec<Mutex<Option<Option<InputScan>>>>,
    /// Inputs that were handed on.
    handed_on: Mutex<usize>,
}

impl Results {
    fn for_inputs(count: usize) -> Self {
        Self { scans: (0..count).map(|_| Mutex::default()).collect(), handed_on: Mutex::default() }
    }

    /// Notes what an input came to, and hands on those whose turn it is, each with its number.
    fn put(&self, index: usize, scan: Option<InputScan>, hand_on: &impl Fn(u32, &mut InputScan)) {
        if let Some(place) = self.scans.get(index) {
            *lock(place) = Some(scan);
        }
        let mut next = lock(&self.handed_on);
        while let Some(place) = self.scans.get(*next) {
            let mut place = lock(place);
            let Some(scan) = &mut *place else { return };
            if let Some(scan) = scan {
                hand_on(u32::try_from(*next).unwrap_or(u32::MAX), scan);
            }
            *next += 1;
        }
    }

    /// Inputs that are captures, with their numbers.
    fn into_scans(self) -> impl Iterator<Item = (u32, InputScan)> {
        (0..)
            .zip(self.scans)
            .filter_map(|(index, scan)| Some((index, scan.into_inner().unwrap_or_else(PoisonError::into_inner)??)))
    }
}

/// A thread that panicked ends the scan, so a poisoned lock is never met by another.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(input: &Input) -> Option<u64> {
    let (Input::Named(path) | Input::Found(path)) = input else { return None };
    path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// `None` when the input was found in a folder and is no capture.
fn scan_input(input: &Input, progress: &Progress, read: impl FnOnce(CaptureFile) -> InputScan) -> Option<InputScan> {
    let scan = match input.open() {
        Ok(Some(file)) => {
            progress.begin(file.position());
            Some(read(file))
        }
        Ok(None) => None,
        Err(error) => Some(InputScan::unreadable(&error)),
    };
    progress.finish_input();
    scan
}

/// Reads one input on this thread.
fn alone(
    mut file: CaptureFile,
    detector: &mut Detector,
    block: &mut Block,
    mut filter: Option<&mut Filter>,
    progress: &Progress,
) -> InputScan {
    let mut tally = Tally::new(&file);
    loop {
        if progress.is_stopped() {
            tally.interrupt();
            break;
        }
        match file.next_block(block) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tally.fail(&error);
                break;
            }
        }
        tally.count(block, progress);
        match filter.as_deref_mut() {
            Some(filter) => detector.feed_block(block.view(), |frame| filter.accepts(frame)),
            None => detector.feed_block(block.view(), |_: &Frame<'_>| true),
        }
    }
    InputScan { report: tally.close(&file), findings: detector.finish() }
}

fn collect(
    results: impl Iterator<Item = (u32, InputScan)>,
    mut inventory: Inventory,
    signatures: &SignatureSet,
) -> (ScanReport, Inventory) {
    let mut total = ScanReport::default();
    let mut numbers = std::collections::HashMap::new();
    for (index, InputScan { report, findings }) in results {
        // Files of a folder that are no captures leave no row, so rows are numbered anew.
        let row = u32::try_from(total.inputs.len()).unwrap_or(u32::MAX);
        numbers.insert(index, row);
        total.bytes += report.bytes;
        total.outcomes.add(&findings.outcomes);
        total.flows += findings.flows;
        for (bound, count) in findings.given_up {
            *total.given_up.entry(bound).or_default() += count;
        }
        total.inputs.push(report);
    }
    if inventory.given_up() > 0 {
        *total.given_up.entry("hosts").or_default() += inventory.given_up();
    }
    inventory.renumber_inputs(&numbers);
    total.hosts = inventory.findings(signatures);
    (total, inventory)
}
