//! `kaspector scan`.

use super::{Exit, Usage, label, load, of_state, table_style};
use crate::cli::{Format, ScanArguments};
use anyhow::Context;
use kaspector::decode::TunnelPorts;
use kaspector::matching::{Alert, SignatureSet, Verdict};
use kaspector::sink::{EveCompat, EveOrigin, EveWriter, InputReport, ScanReport, write_csv, write_json, write_table};
use kaspector::supervisor::attend::{ScanError, attend, rate, scaled};
use kaspector::supervisor::state::{Origins, Source, State, StateError};
use kaspector::supervisor::{Inventory, Scan, ScanOptions, TakeAlerts};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Scans, reports, and says how the program is to end.
pub fn scan(arguments: &ScanArguments) -> anyhow::Result<Exit> {
    let signatures = Arc::new(load(&arguments.signatures)?);
    let eve_on_stdout = arguments.eve.as_deref() == Some(Path::new("-"));
    if eve_on_stdout && arguments.format != Format::Table {
        let wish = "--eve - and --format both want standard output; give --eve a file".to_owned();
        return Err(Usage(wish).into());
    }
    if let Some(what) = TunnelPorts::complaint(&arguments.tunnels) {
        return Err(Usage(what).into());
    }
    let options = ScanOptions {
        paths: arguments.paths.clone(),
        threads: arguments.threads.map_or_else(cores, usize::from),
        filter: arguments.filter.clone(),
        tunnels: arguments.tunnels.clone(),
    };
    let compat = arguments.eve_compat.into();
    // Before anything is read, so that a folder without write permission costs no afternoon.
    let alerts = arguments.eve.as_deref().map(|path| AlertFile::create(path, &signatures, compat)).transpose()?;
    let state = arguments.state.as_deref().map(State::open).transpose().map_err(of_state)?;
    let take = alerts.as_ref().map(|file| |input: &InputReport, alerts: &[Alert]| file.write(input, alerts));
    let take_alerts = take.as_ref().map(|take| take as &TakeAlerts<'_>);
    let draws_bar = io::stderr().is_terminal() && !arguments.no_progress && !arguments.quiet;
    let (mut scan, elapsed) = attend(&options, &signatures, draws_bar, take_alerts).map_err(|error| match error {
        ScanError::Filter(error) => anyhow::Error::new(Usage(error.to_string())),
        other => other.into(),
    })?;
    let inventory = std::mem::take(&mut scan.inventory);
    let report = &scan.report;
    complain(report);
    if let Some(file) = alerts {
        file.finish()?;
    }
    if !eve_on_stdout {
        print(report, arguments.format, &signatures)?;
    }
    if let (Some(mut state), Some(path)) = (state, arguments.state.as_deref()) {
        if scan.interrupted {
            // Half a capture is another capture, so the whole one would count besides it.
            let said = format!("{}: nothing was merged, since the scan was interrupted", path.display());
            anstream::eprintln!("{} {said}", label("warning:"));
        } else {
            let merged = merge(&mut state, report, inventory, arguments, &signatures)?;
            if !arguments.quiet {
                merged.iter().for_each(|said| anstream::eprintln!("{said}"));
            }
        }
    }
    if !arguments.quiet {
        summarise(report, elapsed, arguments.verbose);
    }
    Ok(exit(&scan, arguments.fail_on.map(Verdict::from)))
}

/// Where alerts go. Inputs may end on any thread, one at a time.
struct AlertFile<'a> {
    path: &'a Path,
    writer: Mutex<EveWriter<'a, BufWriter<Box<dyn Write + Send>>>>,
    /// The first thing that went wrong.
    trouble: Mutex<Option<io::Error>>,
}

impl<'a> AlertFile<'a> {
    fn create(path: &'a Path, signatures: &'a SignatureSet, compat: EveCompat) -> anyhow::Result<Self> {
        let out: Box<dyn Write + Send> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?)
        };
        let writer = Mutex::new(EveWriter::new(BufWriter::new(out), signatures, compat));
        Ok(Self { path, writer, trouble: Mutex::default() })
    }

    fn write(&self, input: &InputReport, alerts: &[Alert]) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_some() {
            return;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = EveOrigin::File { path: &input.path, digest: &input.digest };
        *trouble = alerts.iter().try_for_each(|alert| writer.write(alert, origin)).err();
    }

    fn finish(self) -> anyhow::Result<()> {
        let trouble = self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        trouble
            .map_or_else(|| writer.flush(), Err)
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn print(report: &ScanReport, format: Format, signatures: &SignatureSet) -> io::Result<()> {
    let stdout = io::stdout();
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Json => write_json(&mut out, report, signatures)?,
        Format::Csv => write_csv(&mut out, report, signatures)?,
        Format::Table => {
            write_table(&mut out, report, signatures, table_style())?;
        }
    }
    out.flush()
}

/// Merges what each input showed into an inventory, and says what became of which.
fn merge(
    state: &mut State,
    report: &ScanReport,
    inventory: Inventory,
    arguments: &ScanArguments,
    signatures: &SignatureSet,
) -> Result<Vec<String>, StateError> {
    let file = arguments.state.as_deref().unwrap_or(Path::new("")).display();
    let origins: Origins = report.inputs.iter().map(|input| &input.path).collect();
    let mut inputs = inventory.into_inputs();
    let (mut said, mut merged) = (Vec::new(), 0_usize);
    for (number, input) in (0..).zip(&report.inputs) {
        let hosts = inputs.remove(&number).unwrap_or_default();
        // What holds no packet is no capture of anything.
        if input.packets == 0 {
            continue;
        }
        let source = Source::Capture {
            digest: input.digest,
            bytes: input.bytes,
            path: input.path.clone(),
            filter: arguments.filter.clone(),
        };
        if state.holds(&source, signatures)? {
            said.push(format!("{}: already in {file}.", input.path));
            continue;
        }
        state.save(&source, signatures, &origins, hosts)?;
        merged += 1;
    }
    let plural = if merged == 1 { "" } else { "s" };
    said.push(format!("Merged {merged} input{plural} into {file}."));
    Ok(said)
}

/// Says what was wrong with which input.
fn complain(report: &ScanReport) {
    if report.inputs.is_empty() {
        let said =
            "no capture in the folders named; captures are pcap or pcapng files, plain or packed with gzip or zstd";
        anstream::eprintln!("{} {said}", label("error:"));
    }
    for input in &report.inputs {
        if let Some(error) = &input.error {
            let kind = if input.unreadable { "error:" } else { "warning:" };
            anstream::eprintln!("{} {error}", label(kind));
        }
    }
}

/// Says how much was read, and how fast.
fn summarise(report: &ScanReport, elapsed: Duration, verbose: bool) {
    let packets = report.outcomes.total();
    let inputs = report.inputs.len();
    let plural = if inputs == 1 { "" } else { "s" };
    #[allow(clippy::cast_precision_loss)]
    let bytes = scaled(report.bytes as f64);
    anstream::eprintln!(
        "Scanned {inputs} input{plural}: {packets} packets, {bytes}B in {:.2} s ({}).",
        elapsed.as_secs_f64(),
        rate(packets, report.bytes, elapsed)
    );
    if verbose {
        for input in &report.inputs {
            anstream::eprintln!("  {}: {} packets, {} bytes", input.path, input.packets, input.bytes);
        }
        let outcomes = report.outcomes.non_zero().map(|(outcome, count)| (outcome.name(), count));
        for (name, count) in outcomes {
            anstream::eprintln!("  packets {name}: {count}");
        }
        for (name, count) in &report.given_up {
            anstream::eprintln!("  given up at bound {name}: {count}");
        }
    }
}

fn exit(scan: &Scan, fail_on: Option<Verdict>) -> Exit {
    let report = &scan.report;
    // What was asked for beats what went wrong on the way.
    if fail_on.is_some_and(|verdict| report.hosts.iter().any(|host| host.verdict <= verdict)) {
        Exit::Found
    } else if report.inputs.is_empty() || report.inputs.iter().any(|input| input.unreadable) {
        // A scan of nothing must not look like a clean one.
        Exit::Unreadable
    } else if scan.interrupted {
        Exit::Failure
    } else {
        Exit::Ran
    }
}
