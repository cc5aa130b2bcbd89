//! `kaspector scan`.

use super::{Exit, Usage, complain, is_closed_pipe, load, of_state, say, table_style, warn};
use crate::cli::{Format, ScanArguments};
use crate::inputs::expand;
use crate::process::output_file::{AlertsFile, Claims, OutputFileError, cut_half_line};
use crate::scan::interactive::{ScanError, rate, scaled, scan_interactively};
use crate::scan::{Inventory, Scan, ScanOptions, TakeAlerts};
use crate::state::{Origins, Source, State, StateError};
use anyhow::Context;
use kaspector::capture::display_path;
use kaspector::decode::TunnelPorts;
use kaspector::matching::{Alert, SignatureSet, Verdict};
use kaspector_live::Filter;
use kaspector_report::{EveCompat, EveOrigin, EveWriter, InputReport, ScanReport, write_csv, write_json, write_table};
use std::fmt::Display;
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
    if let Some(filter) = &arguments.filter {
        Filter::new(filter).map_err(|error| Usage(error.to_string()))?;
    }
    let options = ScanOptions {
        inputs: expand(&arguments.paths),
        threads: arguments.threads.map_or_else(cores, usize::from),
        filter: arguments.filter.clone(),
        tunnels: arguments.tunnels.clone(),
    };
    // Before a packet is read: an output that cannot be written is said now, and costs neither the table nor the other outputs.
    let Targets { alerts, state, mut failure } = Targets::open(arguments, &options)?;
    let alerts = alerts.map(|out| AlertWriter::new(out, &signatures, arguments.eve_compat.into()));
    let take = alerts.as_ref().map(|file| |input: &InputReport, alerts: &[Alert]| file.write(input, alerts));
    let take_alerts = take.as_ref().map(|take| take as &TakeAlerts<'_>);
    let draws_bar = io::stderr().is_terminal() && !arguments.no_progress && !arguments.quiet;
    let (mut scan, elapsed) =
        scan_interactively(&options, &signatures, draws_bar, take_alerts).map_err(|error| match error {
            ScanError::Filter(error) => anyhow::Error::new(Usage(error.to_string())),
            other => other.into(),
        })?;
    let inventory = std::mem::take(&mut scan.inventory);
    let report = &scan.report;
    complain_of(report);
    let mut note = |outcome: anyhow::Result<()>| match outcome {
        Err(error) if !is_closed_pipe(&error) => {
            complain(format_args!("{error:#}"));
            failure.get_or_insert(Exit::Failure);
        }
        _ => {}
    };
    if let Some(file) = alerts {
        let name = if eve_on_stdout {
            "standard output".to_owned()
        } else {
            arguments.eve.as_deref().map(display_path).unwrap_or_default()
        };
        note(file.finish().with_context(|| format!("{name}: not all alerts could be written")));
    }
    if !eve_on_stdout {
        note(print(report, arguments.format, &signatures).context("standard output: cannot be written"));
    }
    if let (Some(mut state), Some(path)) = (state, arguments.state.as_deref()) {
        if scan.interrupted {
            // Half a capture is another capture, so the whole one would count besides it.
            warn(format_args!("{}: nothing was merged, since the scan was interrupted", display_path(path)));
        } else {
            let merged = merge(&mut state, report, inventory, arguments, &signatures);
            if let (Ok(merged), false) = (&merged, arguments.quiet) {
                merged.iter().for_each(say);
            }
            note(merged.map(|_| ()).map_err(Into::into));
        }
    }
    if !arguments.quiet {
        summarise(report, elapsed, arguments.verbose);
    }
    Ok(failure.unwrap_or_else(|| exit(&scan, arguments.fail_on.map(Verdict::from))))
}

/// What a scan writes besides its report.
struct Targets {
    alerts: Option<AlertTarget>,
    state: Option<State>,
    /// How the program is to end, since one of them could not be opened.
    failure: Option<Exit>,
}

/// Where alerts go.
enum AlertTarget {
    Stdout,
    File(AlertsFile),
}

impl Targets {
    /// Opens what can be opened, and says what cannot. What must not be written ends the program before anything is read or changed.
    fn open(arguments: &ScanArguments, options: &ScanOptions) -> anyhow::Result<Self> {
        let usage = |error: OutputFileError| Usage(error.to_string());
        let mut claims = Claims::default();
        claims.add_inputs(&options.inputs);
        for folder in [&arguments.signatures.replace, &arguments.signatures.extra].into_iter().flatten() {
            claims.add_folder(folder, "toml", "a signature file, which is read");
        }
        claims.check_stdout().map_err(usage)?;
        claims.add_stream(io::stdout(), "standard output");
        if let Some(path) = &arguments.state {
            claims.check_database(path, "--state").map_err(usage)?;
            claims.add_database(path);
        }
        let mut failure = None;
        let mut refused = |error: &dyn Display| {
            complain(error);
            failure = Some(Exit::Failure);
        };
        // Nothing is changed until all of them were looked at.
        let mut file = match arguments.eve.as_deref().filter(|path| *path != Path::new("-")) {
            None => None,
            Some(path) => match AlertsFile::open(path, "--eve", &claims, arguments.force) {
                Ok(file) => Some((file, path)),
                Err(error) if error.is_refusal() => return Err(usage(error).into()),
                Err(error) => {
                    refused(&error);
                    None
                }
            },
        };
        let mut state = None;
        if let Some(path) = arguments.state.as_deref() {
            let opened = match &file {
                Some((file, _)) => file.check_apart(path, "--state").map_err(|error| usage(error).into()),
                None => Ok(()),
            };
            match opened.and_then(|()| open_state(path, arguments.force)) {
                Ok(opened) => state = opened.map_err(|error| refused(&format_args!("{error:#}"))).ok(),
                Err(error) => {
                    if let Some((file, path)) = file {
                        file.withdraw(path);
                    }
                    return Err(error);
                }
            }
        }
        let alerts = match file.take() {
            _ if arguments.eve.as_deref() == Some(Path::new("-")) => Some(AlertTarget::Stdout),
            None => None,
            Some((mut file, path)) => match file.begin() {
                Ok(()) => Some(AlertTarget::File(file)),
                Err(error) => {
                    refused(&OutputFileError::closed(path, error));
                    None
                }
            },
        };
        Ok(Self { alerts, state, failure })
    }
}

/// Opens the inventory; by force, in the place of what another program made. The inner error is one that costs nothing but the inventory.
fn open_state(path: &Path, force: bool) -> anyhow::Result<Result<State, anyhow::Error>> {
    let opened = match State::open(path) {
        Err(StateError::Foreign { .. }) if force => std::fs::remove_file(path)
            .map_err(|error| StateError::Closed { path: path.to_owned(), error: error.to_string() })
            .and_then(|()| State::open(path)),
        other => other,
    };
    match opened {
        Err(error @ (StateError::Foreign { .. } | StateError::Newer { .. })) => Err(of_state(error)),
        other => Ok(other.map_err(Into::into)),
    }
}

/// Writes alerts. Inputs may end on any thread, one at a time.
struct AlertWriter<'a> {
    writer: Mutex<EveWriter<'a, BufWriter<Box<dyn Write + Send>>>>,
    /// The file behind it, if it is one.
    file: Option<File>,
    /// The first thing that went wrong.
    trouble: Mutex<Option<io::Error>>,
}

impl<'a> AlertWriter<'a> {
    fn new(target: AlertTarget, signatures: &'a SignatureSet, compat: EveCompat) -> Self {
        let (out, file): (Box<dyn Write + Send>, _) = match target {
            AlertTarget::Stdout => (Box::new(io::stdout()), None),
            AlertTarget::File(file) => {
                let regular = file.regular();
                (Box::new(file), regular)
            }
        };
        let writer = Mutex::new(EveWriter::new(BufWriter::with_capacity(1 << 16, out), signatures, compat));
        Self { writer, file, trouble: Mutex::default() }
    }

    /// What one input showed is written when the input is through, so that a kill takes no more than what is under way.
    fn write(&self, input: &InputReport, alerts: &[Alert]) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_some() {
            return;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = EveOrigin::File { path: &input.path, digest: &input.digest };
        let written = alerts.iter().try_for_each(|alert| writer.write(alert, origin));
        *trouble = written.and_then(|()| writer.flush()).err();
    }

    fn finish(self) -> io::Result<()> {
        let trouble = self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner);
        let writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        // What could not be written must not be tried again when the buffer goes.
        drop(writer.into_inner().into_parts());
        let Some(error) = trouble else { return Ok(()) };
        if let Some(mut file) = self.file {
            // The lines before are whole, and whoever reads them need not know that there was one more.
            cut_half_line(&mut file)?;
        }
        Err(error)
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn print(report: &ScanReport, format: Format, signatures: &SignatureSet) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
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
    let file = arguments.state.as_deref().map(display_path).unwrap_or_default();
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
fn complain_of(report: &ScanReport) {
    if report.inputs.is_empty() {
        complain("no capture in the folders named; 'kaspector scan --help' says which files are read");
    }
    for input in &report.inputs {
        match &input.error {
            Some(error) if input.unreadable => complain(error),
            Some(error) => warn(error),
            None => {}
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
    say(format_args!(
        "Scanned {inputs} input{plural}: {packets} packets, {bytes}B in {:.2} s ({}).",
        elapsed.as_secs_f64(),
        rate(packets, report.bytes, elapsed)
    ));
    if verbose {
        for input in &report.inputs {
            say(format_args!("  {}: {} packets, {} bytes", input.path, input.packets, input.bytes));
        }
        let outcomes = report.outcomes.non_zero().map(|(outcome, count)| (outcome.name(), count));
        for (name, count) in outcomes {
            say(format_args!("  packets {name}: {count}"));
        }
        for (name, count) in &report.dropped {
            say(format_args!("  dropped at bound {name}: {count}"));
        }
        for (name, count) in &report.left_out {
            say(format_args!("  left out in folders, {name}: {count}"));
        }
    }
}

fn exit(scan: &Scan, fail_on: Option<Verdict>) -> Exit {
    let report = &scan.report;
    if scan.defects > 0 {
        Exit::Failure
    } else if fail_on.is_some_and(|verdict| report.hosts.iter().any(|host| host.verdict <= verdict)) {
        // What was asked for beats what went wrong on the way.
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
