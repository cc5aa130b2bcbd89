//! Reads captures to their end and says which hosts they show.
//!
//! In:    capture inputs and a signature set.
//! Out:   [`Scan`]: a report, an inventory of hosts, and alerts input by input, in the order given.
//! Never: lets the number of threads show in an answer.
//!
//! Small inputs are spread over the threads, one thread each; a big one gets all threads (`parallel`). Either way an input has its own
//! flows and its own ledger, and hosts are merged in input order, so the number of threads never shows in the answer.

mod barrier;
mod input_scan;
pub mod interactive;
mod inventory;
mod parallel;
mod progress;

pub use input_scan::InputScan;
pub use inventory::Inventory;
pub use progress::{Progress, Snapshot};

use crate::inputs::{Input, Inputs};
use crate::process::panics::{Failure, survive, was_reported};
use input_scan::{Tally, compiled};
use kaspector::capture::{Block, CaptureFile, Frame};
use kaspector::decode::{TunnelPort, TunnelPorts};
use kaspector::matching::{Alert, SignatureSet};
use kaspector::pipeline::Detector;
use kaspector_live::{Filter, FilterError};
use kaspector_report::{InputReport, ScanReport};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Inputs at least this large (compressed, if they are) are read by all threads together, in bytes.
const BIG_INPUT: u64 = 32 << 20;

/// What to scan and how.
#[derive(Debug)]
pub struct ScanOptions {
    /// What to read, as [`expand`](crate::inputs::expand) has found it.
    pub inputs: Inputs,
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
    /// Inputs that a panic, a defect of the program, kept from being read as they should be.
    pub defects: usize,
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
    take_alerts: Option<&TakeAlerts<'_>>,
) -> Result<Scan, FilterError> {
    // Each thread compiles its own; whether it can be compiled shows here.
    let filter = options.filter.as_deref();
    filter.map(Filter::new).transpose()?;
    let ports = Arc::new(TunnelPorts::with_own(&options.tunnels));
    let inputs = &options.inputs.list;
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
    let (mut small, mut groups) = (Vec::new(), Vec::new());
    for (index, input) in inputs.iter().enumerate() {
        match input {
            Ok(input) if is_big(input) => groups.push((std::mem::take(&mut small), Some((index, input)))),
            Ok(input) => small.push((index, input)),
            Err(error) => put(index, Some(InputScan::unreadable(error))),
        }
    }
    groups.push((small, None));
    let reading = Reading { signatures, progress, filter, ports: &ports, keeps_alerts: take_alerts.is_some() };
    for (small, big) in &groups {
        let mut panicked = reading.scan_small(small, threads, &put);
        if let Some((index, input)) = *big {
            let together = |file| {
                parallel::run(file, number(index), signatures, threads, filter, &ports, take_alerts.is_some(), progress)
            };
            match reading.scan(input, together) {
                Ok(scan) => put(index, scan),
                Err(failure) => panicked.push((index, input, failure)),
            }
        }
        // Once nothing else takes memory, which may have been what there was too little of.
        for (index, input, failure) in panicked {
            put(index, Some(reading.scan_to_defect(input, index, failure)));
        }
    }
    let mut scan = collect(results.into_scans(), inventory, signatures);
    scan.interrupted = progress.is_stopped();
    scan.report.leave_out("dangling_link", options.inputs.dangling_links);
    scan.report.leave_out("special_file", options.inputs.special_files);
    Ok(scan)
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What reading an input takes.
struct Reading<'a> {
    signatures: &'a Arc<SignatureSet>,
    progress: &'a Progress,
    filter: Option<&'a str>,
    ports: &'a Arc<TunnelPorts>,
    keeps_alerts: bool,
}

impl Reading<'_> {
    fn reader(&self) -> Reader<'_> {
        let builder = Detector::builder().signatures(self.signatures).tunnels(self.ports);
        let detector = if self.keeps_alerts { builder } else { builder.without_alerts() }.build();
        Reader { detector, block: Block::default(), filter: self.filter.map(compiled), progress: self.progress }
    }

    /// Reads inputs beside each other, each on one thread. Gives back those that brought about a panic.
    fn scan_small<'i>(
        &self,
        small: &[(usize, &'i Input)],
        threads: usize,
        put: &(impl Fn(usize, Option<InputScan>) + Sync),
    ) -> Vec<(usize, &'i Input, Failure)> {
        let (next, panicked) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            let mut kept = None;
            while let Some(&(index, input)) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                let read = |file| {
                    // A panic leaves none: what it was in is thrown away.
                    let mut reader = kept.take().unwrap_or_else(|| self.reader());
                    let scan = reader.read(file, number(index), u64::MAX, &AtomicU64::new(0));
                    kept = Some(reader);
                    scan
                };
                match self.scan(input, read) {
                    Ok(scan) => put(index, scan),
                    Err(failure) => lock(&panicked).push((index, input, failure)),
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

    /// `None` when the input was found in a folder and is no capture.
    fn scan(&self, input: &Input, read: impl FnOnce(CaptureFile) -> InputScan) -> Result<Option<InputScan>, Failure> {
        if self.progress.is_stopped() {
            return Ok(Some(InputScan::not_begun(input)));
        }
        let scan = survive(|| match input.open() {
            Ok(Some(file)) => {
                self.progress.begin(file.position());
                Some(read(file))
            }
            Ok(None) => None,
            Err(error) => Some(InputScan::unreadable(&error)),
        });
        self.progress.finish_input();
        scan
    }

    /// Reads an input again that brought about a failure, as far as there is none: what came before was found, and stays found.
    fn scan_to_defect(&self, input: &Input, index: usize, failure: Failure) -> InputScan {
        let sound = AtomicU64::new(0);
        let read_up_to = |limit: u64| {
            survive(|| match input.open() {
                Ok(Some(file)) => Some(self.reader().read(file, number(index), limit, &sound)),
                _ => None,
            })
        };
        // A stream is gone.
        if size(input).is_none() {
            return InputScan::not_begun(input).cut_by(&failure, input);
        }
        // Where it comes is seen by the plainest way to read; where that way has none, its answer is the answer.
        let failure = match read_up_to(u64::MAX) {
            Ok(Some(scan)) => return InputScan { is_defective: was_reported(), ..scan },
            Ok(None) => failure,
            Err(failure) => failure,
        };
        let packets = sound.load(Ordering::Relaxed);
        let scan = if packets > 0 { read_up_to(packets).ok().flatten() } else { None };
        scan.unwrap_or_else(|| InputScan::not_begun(input)).cut_by(&failure, input)
    }
}

/// Reads inputs one after the other.
struct Reader<'a> {
    detector: Detector,
    block: Block,
    filter: Option<Filter>,
    progress: &'a Progress,
}

impl Reader<'_> {
    /// Reads one input, or its blocks up to packet `limit`. `sound` holds the packets of all blocks that are through.
    fn read(&mut self, mut file: CaptureFile, input: u32, limit: u64, sound: &AtomicU64) -> InputScan {
        self.detector.begin_input(input);
        let mut tally = Tally::new(&file);
        while tally.packets() < limit {
            if self.progress.is_stopped() {
                tally.interrupt();
                break;
            }
            match file.next_block(&mut self.block) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tally.fail(&error);
                    break;
                }
            }
            tally.count(&self.block, self.progress);
            #[cfg(test)]
            tests::panic_if_asked(file.input(), tally.packets());
            match &mut self.filter {
                Some(filter) => self.detector.feed_block(self.block.view(), |frame| filter.accepts(frame)),
                None => self.detector.feed_block(self.block.view(), |_: &Frame<'_>| true),
            }
            sound.store(tally.packets(), Ordering::Relaxed);
        }
        InputScan { report: tally.close(&file), findings: self.detector.finish(), is_defective: false }
    }
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

    /// Notes the result of an input, and hands on those whose turn it is, each with its number.
    fn put(&self, index: usize, scan: Option<InputScan>, hand_on: &impl Fn(u32, &mut InputScan)) {
        if let Some(place) = self.scans.get(index) {
            *lock(place) = Some(scan);
        }
        let mut next = lock(&self.handed_on);
        while let Some(place) = self.scans.get(*next) {
            let mut place = lock(place);
            let Some(scan) = &mut *place else { return };
            if let Some(scan) = scan {
                hand_on(number(*next), scan);
            }
            *next += 1;
        }
    }

    /// What became of each input, with its number.
    fn into_scans(self) -> impl Iterator<Item = (u32, Option<InputScan>)> {
        (0..)
            .zip(self.scans)
            .filter_map(|(index, scan)| Some((index, scan.into_inner().unwrap_or_else(PoisonError::into_inner)?)))
    }
}

/// What the locks guard is whole between any two steps, so a panic leaves it as good as before.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(input: &Input) -> Option<u64> {
    let (Input::Named(path) | Input::Found(path)) = input else { return None };
    path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

fn collect(
    results: impl Iterator<Item = (u32, Option<InputScan>)>,
    mut inventory: Inventory,
    signatures: &SignatureSet,
) -> Scan {
    let (mut total, mut defects) = (ScanReport::default(), 0);
    let mut numbers = std::collections::HashMap::new();
    for (index, scan) in results {
        let Some(InputScan { report, findings, is_defective }) = scan else {
            total.leave_out("not_a_capture", 1);
            continue;
        };
        defects += usize::from(is_defective);
        // Files of a folder that are no captures leave no row, so rows are numbered anew.
        let row = u32::try_from(total.inputs.len()).unwrap_or(u32::MAX);
        numbers.insert(index, row);
        total.bytes += report.bytes;
        total.outcomes.add(&findings.outcomes);
        total.flows += findings.flows;
        for (bound, count) in findings.dropped {
            *total.dropped.entry(bound).or_default() += count;
        }
        total.inputs.push(report);
    }
    if inventory.dropped() > 0 {
        *total.dropped.entry("hosts").or_default() += inventory.dropped();
    }
    inventory.renumber_inputs(&numbers);
    total.hosts = inventory.findings(signatures);
    Scan { report: total, inventory, interrupted: false, defects }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::inputs::expand;
    use std::path::{Path, PathBuf};

    /// Inputs that have their reader panic, and at which packet.
    static PANICS: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

    pub(super) fn panic_if_asked(input: &str, packets: u64) {
        let asked = lock(&PANICS).iter().any(|(path, at)| path == input && packets >= *at);
        assert!(!asked, "a defect that a test asked for");
    }

    fn golden(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps").join(name)
    }

    /// The packets of a capture, so often that they fill several blocks.
    fn long(folder: &Path, name: &str, capture: &str) -> PathBuf {
        let bytes = std::fs::read(golden(capture)).unwrap();
        let mut long = bytes[..24].to_vec();
        while long.len() < 3 * kaspector::capture::BLOCK_BYTES {
            long.extend_from_slice(&bytes[24..]);
        }
        let path = folder.join(name);
        std::fs::write(&path, long).unwrap();
        path
    }

    fn scanned(paths: &[&Path], threads: usize) -> Scan {
        let options = ScanOptions { inputs: expand(paths), threads, filter: None, tunnels: Vec::new() };
        let alerts = |_: &InputReport, _: &[Alert]| ();
        scan(&options, &Arc::new(SignatureSet::builtin()), &Progress::default(), Some(&alerts)).unwrap()
    }

    #[test]
    fn a_panic_costs_what_comes_behind_it_in_its_own_input() {
        let folder = tempfile::tempdir().unwrap();
        let bad = long(folder.path(), "bad.pcap", "dns-then-tls.pcap");
        let good = golden("browser-www.pcap");
        let whole = scanned(&[&bad], 1).report;
        let half = whole.inputs[0].packets / 2;
        for (at, is_found) in [(1, false), (half, true)] {
            *lock(&PANICS) = vec![(bad.display().to_string(), at)];
            for threads in [1, 3] {
                let Scan { report, defects, .. } = scanned(&[&bad, &good], threads);
                assert_eq!((defects, report.inputs.len()), (1, 2));
                let [broken, sound] = report.inputs.as_slice() else { panic!("{report:?}") };
                assert!(broken.packets < at && (broken.packets > 0) == is_found, "{} {at}", broken.packets);
                assert_eq!(broken.unreadable, !is_found);
                let said = broken.error.as_deref().unwrap();
                assert!(said.contains("failed") && said.contains("report"), "{said}");
                assert!(sound.error.is_none() && sound.packets > 0);
                assert_eq!(report.outcomes.total(), broken.packets + sound.packets);
                let found = |address: &str| report.hosts.iter().any(|host| host.host.address.to_string() == address);
                assert!(found("10.20.0.6"), "{:?}", report.hosts);
                assert_eq!(found("10.20.0.5"), is_found);
            }
        }
        *lock(&PANICS) = Vec::new();
    }

    #[test]
    fn what_threads_together_cannot_read_one_reads_alone() {
        let signatures = Arc::new(SignatureSet::builtin());
        let progress = Progress::default();
        let ports = Arc::new(TunnelPorts::with_own(&[]));
        let reading =
            Reading { signatures: &signatures, progress: &progress, filter: None, ports: &ports, keeps_alerts: false };
        let input = Input::Named(golden("dns-then-tls.pcap"));
        let failure = reading.scan(&input, |_| panic!("a test wants it")).unwrap_err();
        let scan = reading.scan_to_defect(&input, 0, failure);
        assert!(scan.report.error.is_none());
        assert!(scan.report.packets > 0 && scan.report.packets == scan.findings.outcomes.total());
        // What came through a pipe is gone.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader)));
        let failure = survive(|| panic!("a test wants it")).unwrap_err();
        let scan = reading.scan_to_defect(&Input::Named(path), 0, failure);
        assert!(scan.is_defective && scan.report.unreadable && scan.report.error.is_some());
    }
}
