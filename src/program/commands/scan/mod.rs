//! `kaspector scan`.

mod alert_writer;
mod evidence;
pub(super) mod interactive;
mod targets;

use super::answer::AnswerPlace;
use super::figures::{rate, scaled};
use super::part_file::PartFile;
use super::{Exit, Usage, complain, is_closed_pipe, load, load_site, say, warn};
use crate::cli::{Format, LogTimesArguments, ScanArguments, ScanFailOn};
use crate::inputs::expand;
use crate::scan::{InputScan, Inventory, LogTimes, Progress, Scan, ScanOptions, TakeAlerts, TakeResults, Takers};
use crate::state::{Origins, Source, State, StateError};
use alert_writer::AlertWriter;
use anyhow::Context;
use evidence::{keep_evidence, say_what_was_kept};
use interactive::{ScanError, scan_interactively};
use kaspector::capture::display_path;
use kaspector::decode::{TunnelPort, TunnelPorts};
use kaspector::matching::{Alert, SignatureSet, Verdict};
use kaspector_live::Filter;
use kaspector_logs::{FlowName, Mapped, time_zone};
use kaspector_report::{
    InputReport, LogReport, RunVerdict, ScanReport, write_csv, write_json, write_jsonl, write_machines_csv, write_table,
};
use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use targets::Targets;

pub(super) use targets::open_state;

/// Scans, reports, and says how the program is to end.
pub fn scan(arguments: &ScanArguments) -> anyhow::Result<Exit> {
    let signatures = Arc::new(load(&arguments.answer.signatures)?);
    let site = load_site(arguments.answer.site.as_deref())?;
    let eve_on_stdout = arguments.answer.eve.as_deref() == Some(Path::new("-"));
    let is_on_stdout = arguments.answer.output.as_deref().is_none_or(|path| path == Path::new("-"));
    if eve_on_stdout && is_on_stdout && (arguments.answer.format != Format::Table || arguments.answer.output.is_some())
    {
        let wish = "--eve - and --format both want standard output; give --eve a file".to_owned();
        return Err(Usage(wish).into());
    }
    let mut options = ScanOptions {
        logs_only: arguments.logs_only,
        log_times: log_times(&arguments.answer.log_times)?,
        ..options(&arguments.paths, arguments.answer.threads, arguments.filter.as_deref(), &arguments.tunnels)?
    };
    let outputs = [&arguments.answer.eve, &arguments.answer.output].into_iter().flatten();
    options.inputs.leave_out_outputs(outputs.map(PathBuf::as_path));
    // Before a packet is read: an output that cannot be written is said now, and costs neither the table nor the other outputs.
    let Targets { alerts, state, place, evidence, mut failure } = Targets::open(arguments, &options)?;
    let alerts = alerts.map(|out| AlertWriter::new(out, &signatures, arguments.answer.eve_compat.into()));
    let take = alerts.as_ref().map(|file| {
        |input: &InputReport, alerts: &[Alert], names: &[FlowName]| {
            file.write(input, alerts, names);
        }
    });
    let part = arguments.answer.partial.then(|| PartFile::new(arguments.filter.as_deref(), &signatures));
    let take_results = part.as_ref().map(|part| |scan: &InputScan| part.take(scan));
    let takers = Takers {
        alerts: take.as_ref().map(|take| take as &TakeAlerts<'_>),
        results: take_results.as_ref().map(|take| take as &TakeResults<'_>),
    };
    let draws_bar = io::stderr().is_terminal() && !arguments.answer.no_progress && !arguments.answer.quiet;
    let then = |scan: &Scan, progress: &Progress| {
        evidence.map(|folder| keep_evidence(folder, arguments, &options, scan, &signatures, progress))
    };
    let (mut scan, elapsed, kept) =
        scan_interactively(&options, &signatures, draws_bar, takers, then).map_err(|error| match error {
            ScanError::Filter(error) => anyhow::Error::new(Usage(error.to_string())),
            other => other.into(),
        })?;
    let inventory = std::mem::take(&mut scan.inventory);
    scan.report.set_site(site);
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
            arguments.answer.eve.as_deref().map(display_path).unwrap_or_default()
        };
        note(file.finish().with_context(|| format!("{name}: not all alerts could be written")));
    }
    if let Some(part) = part {
        if scan.interrupted {
            warn("nothing was written, since the scan was interrupted");
        } else {
            let part = part.finish(report).context("what can be merged cannot be written");
            note(part.and_then(|part| place.write_bytes(&part)));
        }
    } else if !(eve_on_stdout && place.is_stdout()) {
        note(print(place, report, arguments.answer.format, &signatures));
    }
    if let (Some(mut state), Some(path)) = (state, arguments.answer.state.as_deref()) {
        if scan.interrupted {
            // Half a capture is another capture, so the whole one would count besides it.
            warn(format_args!("{}: nothing was merged, since the scan was interrupted", display_path(path)));
        } else {
            let filter_of = |_| arguments.filter.clone();
            let merged = merge_into_state((&mut state, path), report, inventory, &filter_of, &signatures);
            if let (Ok(merged), false) = (&merged, arguments.answer.quiet) {
                merged.iter().for_each(say);
            }
            note(merged.map(|_| ()).map_err(Into::into));
        }
    }
    if !arguments.answer.quiet {
        summarise(report, elapsed, arguments.answer.verbose);
    }
    if let Some(kept) = kept {
        let folder = arguments.evidence.as_deref().map(display_path).unwrap_or_default();
        if let (Ok(kept), false) = (&kept, arguments.answer.quiet) {
            say_what_was_kept(kept, &folder);
        }
        note(kept.map(|_| ()).with_context(|| format!("{folder}: no evidence was kept")));
    }
    Ok(failure.unwrap_or_else(|| exit(&scan, arguments.answer.fail_on)))
}

/// What is to be scanned, and how, once filter and ports are known to be right.
pub(super) fn options(
    paths: &[PathBuf],
    threads: Option<u16>,
    filter: Option<&str>,
    tunnels: &[TunnelPort],
) -> Result<ScanOptions, Usage> {
    if let Some(what) = TunnelPorts::complaint(tunnels) {
        return Err(Usage(what));
    }
    if let Some(filter) = filter {
        Filter::new(filter).map_err(|error| Usage(error.to_string()))?;
    }
    Ok(ScanOptions {
        inputs: expand(paths),
        threads: threads.map_or_else(cores, usize::from),
        filter: filter.map(str::to_owned),
        tunnels: tunnels.to_vec(),
        ..ScanOptions::default()
    })
}

/// What logs do not say of themselves.
fn log_times(arguments: &LogTimesArguments) -> Result<LogTimes, Usage> {
    let zone = arguments.timezone.as_deref().map(time_zone).transpose();
    let zone = zone.map_err(|what| Usage(format!("--timezone: {what}")))?;
    let map =
        arguments.map.as_deref().map(Mapped::read).transpose().map_err(|error| Usage(format!("--map: {error}")))?;
    Ok(LogTimes { zone, year: arguments.year, map })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(super) fn print(
    place: AnswerPlace<'_>,
    report: &ScanReport,
    format: Format,
    signatures: &SignatureSet,
) -> anyhow::Result<()> {
    place.write(|mut out, style| match format {
        Format::Json => write_json(&mut out, report, signatures),
        Format::Jsonl => write_jsonl(&mut out, report, signatures),
        Format::Csv => write_csv(&mut out, report, signatures),
        Format::Machines => write_machines_csv(&mut out, report),
        Format::Table => write_table(&mut out, report, signatures, style),
    })
}

/// Merges what each input showed into an inventory, and says what became of which.
pub(super) fn merge_into_state(
    (state, path): (&mut State, &Path),
    report: &ScanReport,
    inventory: Inventory,
    filter_of: &dyn Fn(usize) -> Option<String>,
    signatures: &SignatureSet,
) -> Result<Vec<String>, StateError> {
    let file = display_path(path);
    let origins: Origins = report.inputs.iter().map(|input| &input.path).collect();
    let mut inputs = inventory.into_inputs();
    let (mut said, mut merged) = (Vec::new(), 0_usize);
    let mut series = HashSet::new();
    for (number, input) in (0..).zip(&report.inputs) {
        let hosts = inputs.remove(&number).unwrap_or_default();
        // What holds no packet and no record is no capture and no log of anything.
        if input.packets == 0 && input.log.as_ref().is_none_or(|log| log.read == 0) && hosts.is_empty() {
            continue;
        }
        // Logs that were read together are one source: what they show, the first of them has.
        if let Some(log) = &input.log
            && !series.insert(log.series)
        {
            continue;
        }
        let source = Source::Capture {
            digest: input.log.as_ref().map_or(input.digest, |log| log.series),
            bytes: input.bytes,
            path: input.path.clone(),
            filter: filter_of(number as usize),
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
pub(super) fn complain_of(report: &ScanReport) {
    if report.inputs.is_empty() {
        complain("no capture and no log in the folders named; 'kaspector scan --help' says which files are read");
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
    let logs = || report.inputs.iter().filter_map(|input| Some((input, input.log.as_ref()?)));
    let seconds = elapsed.as_secs_f64();
    if logs().count() == inputs && inputs > 0 {
        let lines: u64 = logs().map(|(_, log)| log.lines).sum();
        say(format_args!("Read {inputs} log{plural}: {lines} lines, {bytes}B in {seconds:.2} s."));
    } else {
        let rate = rate(packets, report.bytes, elapsed);
        say(format_args!("Scanned {inputs} input{plural}: {packets} packets, {bytes}B in {seconds:.2} s ({rate})."));
    }
    for (input, log) in logs() {
        if let Some(first) = &log.first_malformed {
            let LogReport { malformed, format, .. } = log;
            let plural = if *malformed == 1 { "" } else { "s" };
            warn(format_args!("{}: {malformed} line{plural} could not be read as {format}; {first}", input.path));
        }
    }
    if verbose {
        for input in &report.inputs {
            match &input.log {
                None => say(format_args!("  {}: {} packets, {} bytes", input.path, input.packets, input.bytes)),
                Some(LogReport { format, lines, read, others, undirected, malformed, .. }) => say(format_args!(
                    "  {}: {format}, {lines} lines: {read} read, {others} of other kinds, {undirected} without direction, {malformed} \
                     not readable; {} bytes",
                    input.path, input.bytes
                )),
            }
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

pub(super) fn exit(scan: &Scan, fail_on: Option<ScanFailOn>) -> Exit {
    let report = &scan.report;
    if scan.defects > 0 {
        Exit::Failure
    } else if fail_on.is_some_and(|fail_on| trips(report, fail_on)) {
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

/// Whether a host that is not excepted, or what is missing, is what was asked about.
fn trips(report: &ScanReport, fail_on: ScanFailOn) -> bool {
    let any =
        |verdict| report.hosts.iter().any(|host| host.verdict <= verdict && !report.site_entry(host).is_excepted());
    match fail_on {
        ScanFailOn::Confirmed => any(Verdict::Confirmed),
        ScanFailOn::Suspected => any(Verdict::Suspected),
        ScanFailOn::Browsing => any(Verdict::Browsing),
        ScanFailOn::Inconclusive => report.coverage_beyond_exceptions().verdict != RunVerdict::NoneFound,
    }
}
