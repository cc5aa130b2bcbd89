//! `kaspector merge`.

use super::answer::AnswerPlace;
use super::scan::{complain_of, exit, merge_into_state, open_state, print};
use super::{Exit, Usage, complain, is_closed_pipe, load, load_site, say, warn};
use crate::cli::MergeArguments;
use crate::process::output_file::{Claims, OutputFileError};
use crate::scan::{InputScan, Scan, merge_inputs};
use kaspector::capture::display_path;
use kaspector::matching::SignatureSet;
use kaspector_partial::{InputPart, LeftOut, Part, PartWriter, PartialError, Reading};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

/// Merges, reports, and says how the program is to end.
pub fn merge(arguments: &MergeArguments) -> anyhow::Result<Exit> {
    let signatures = load(&arguments.signatures)?;
    let site = load_site(arguments.site.as_deref())?;
    let claims = claims(arguments)?;
    let place = AnswerPlace::new(arguments.output.as_deref(), &claims, arguments.force)?;
    let state = match arguments.state.as_deref() {
        Some(path) => Some((open_state(path, arguments.force)??, path)),
        None => None,
    };
    let Parts { inputs, left_out, unreadable } = read(&arguments.parts, &signatures);
    let mut failure = unreadable.then_some(Exit::Unreadable);
    if inputs.is_empty() && left_out.is_empty() && unreadable {
        return Ok(Exit::Unreadable);
    }
    let filters: Vec<Option<String>> = inputs.iter().map(|input| input.reading.filter.clone()).collect();
    let part = arguments.partial.then(|| part_of(&inputs, &left_out, &signatures)).transpose()?;
    let mut scan = answer(inputs, &left_out, &signatures);
    let inventory = std::mem::take(&mut scan.inventory);
    scan.report.set_site(site);
    complain_of(&scan.report);
    let mut note = |outcome: anyhow::Result<()>| {
        if let Err(error) = outcome
            && !is_closed_pipe(&error)
        {
            complain(format_args!("{error:#}"));
            failure.get_or_insert(Exit::Failure);
        }
    };
    match part {
        Some(part) => note(place.write_bytes(&part)),
        None => note(print(place, &scan.report, arguments.format, &signatures)),
    }
    if let Some((mut state, path)) = state {
        let filter_of = |number: usize| filters.get(number).cloned().flatten();
        let merged = merge_into_state((&mut state, path), &scan.report, inventory, &filter_of, &signatures);
        if let (Ok(merged), false) = (&merged, arguments.quiet) {
            merged.iter().for_each(say);
        }
        note(merged.map(|_| ()).map_err(Into::into));
    }
    if !arguments.quiet {
        let (files, inputs) = (arguments.parts.len(), scan.report.inputs.len());
        let plural = |count| if count == 1 { "" } else { "s" };
        let packets = scan.report.outcomes.total();
        say(format_args!(
            "Merged {files} file{} of {inputs} input{}: {packets} packets.",
            plural(files),
            plural(inputs)
        ));
    }
    Ok(failure.unwrap_or_else(|| exit(&scan, arguments.fail_on)))
}

fn claims(arguments: &MergeArguments) -> Result<Claims, Usage> {
    let usage = |error: OutputFileError| Usage(error.to_string());
    let mut claims = Claims::default();
    for part in &arguments.parts {
        claims.add(part, "a file to be merged, which is read");
    }
    for folder in [&arguments.signatures.replace, &arguments.signatures.extra].into_iter().flatten() {
        claims.add_folder(folder, "toml", "a signature file, which is read");
    }
    if let Some(site) = &arguments.site {
        claims.add(site, "the site file, which is read");
    }
    claims.check_stdout().map_err(usage)?;
    if let Some(path) = &arguments.state {
        claims.check_database(path, "--state").map_err(usage)?;
        claims.add_database(path);
    }
    Ok(claims)
}

/// What all files hold together.
struct Parts {
    /// Each input once, in the order of their paths.
    inputs: Vec<InputPart>,
    /// Each scan's once.
    left_out: BTreeSet<LeftOut>,
    /// Whether a file could not be read.
    unreadable: bool,
}

/// Reads all files, and says what is wrong with which.
fn read(paths: &[PathBuf], signatures: &SignatureSet) -> Parts {
    let (mut inputs, mut left_out, mut unreadable) = (Vec::new(), BTreeSet::new(), false);
    for path in paths {
        let name = display_path(path);
        match File::open(path).map_err(PartialError::Io).and_then(|file| kaspector_partial::read(file, signatures)) {
            Ok(part) => {
                complain_of_signatures(&name, &part, signatures);
                inputs.extend(part.inputs);
                left_out.extend(part.left_out);
            }
            Err(error) => {
                complain(format_args!("{name}: {error}"));
                unreadable = true;
            }
        }
    }
    // Of the same input, what was found with the latest set is kept.
    let key =
        |input: &InputPart| (PathBuf::from(&input.report.path), input.report.digest, input.reading.filter.clone());
    inputs.sort_by_cached_key(|input| (key(input), std::cmp::Reverse(input.reading.clone())));
    inputs.dedup_by(|later, kept| key(later) == key(kept));
    Parts { inputs, left_out, unreadable }
}

/// Says so if inputs of a file were scanned with another set, and what that costs.
fn complain_of_signatures(name: &str, part: &Part, signatures: &SignatureSet) {
    let is_other = |reading: &&Reading| reading.signatures_sha256 != signatures.sha256();
    let others = part.inputs.iter().map(|input| &input.reading).filter(is_other).count();
    if others == 0 {
        return;
    }
    let plural = if others == 1 { "" } else { "s" };
    let lost = match part.unknown_evidence {
        0 => String::new(),
        count => format!("; {count} lines of evidence name indicators that it does not have, and are left out"),
    };
    warn(format_args!("{name}: {others} input{plural} scanned with another signature set than the one at hand{lost}"));
}

fn part_of(
    inputs: &[InputPart],
    left_out: &BTreeSet<LeftOut>,
    signatures: &SignatureSet,
) -> Result<Vec<u8>, PartialError> {
    let mut writer = PartWriter::new(Vec::new())?;
    for InputPart { reading, report, findings, is_defective } in inputs {
        writer.add_input(reading, report, findings, *is_defective, signatures)?;
    }
    left_out.iter().try_for_each(|left_out| writer.add_left_out(left_out))?;
    writer.finish()
}

fn answer(inputs: Vec<InputPart>, left_out: &BTreeSet<LeftOut>, signatures: &SignatureSet) -> Scan {
    let of_input = |InputPart { report, findings, is_defective, .. }| InputScan {
        report,
        findings,
        is_defective,
        ..InputScan::default()
    };
    let mut scan = merge_inputs(inputs.into_iter().map(of_input), signatures);
    for (kind, count) in left_out.iter().flat_map(|left_out| &left_out.kinds) {
        scan.report.leave_out(kind, *count);
    }
    scan
}
