//! `kaspector explain`.

use super::answer::AnswerPlace;
use super::signatures::{show, test};
use super::{Exit, Usage, complain, load, of_state, of_stdout, warn};
use crate::cli::ExplainArguments;
use crate::inputs::expand;
use crate::process::output_file::Claims;
use crate::scan::{Progress, ScanOptions, Takers, scan};
use crate::state::{HostFilter, State};
use anyhow::Context;
use kaspector::matching::{HostFinding, SignatureSet};
use kaspector_report::{ExplainedInput, ScanReport, evidence_uid, write_explanation};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::sync::Arc;

/// Says how the verdict of a host came about, or what a name or an indicator means.
pub fn explain(arguments: &ExplainArguments) -> anyhow::Result<Exit> {
    let signatures = Arc::new(load(&arguments.signatures)?);
    let what = &arguments.what;
    let address: Option<IpAddr> = what.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let is_uid = ulid::Ulid::from_string(what).is_ok();
    let is_anywhere = arguments.state.is_some() || !arguments.paths.is_empty();
    match (address, is_anywhere) {
        (None, false) if is_uid => {
            Err(Usage(format!("{what}: name the captures behind it that gave this alert")).into())
        }
        (None, false) => meaning(what, &signatures),
        (Some(address), false) => {
            let advice = "name captures behind it, or an inventory with --state FILE";
            Err(Usage(format!("{address}: {advice}; 'kaspector signatures test {address}' says whose address it is"))
                .into())
        }
        (None, true) if !is_uid || arguments.state.is_some() => {
            let known = if arguments.state.is_some() {
                "in an inventory, a host is known by its address"
            } else {
                "with captures, an address or the identifier of an alert is explained"
            };
            Err(Usage(format!("{what}: {known}")).into())
        }
        _ => of_host(arguments, address, &signatures),
    }
}

/// What is known of a host, and where from.
fn of_host(
    arguments: &ExplainArguments,
    address: Option<IpAddr>,
    signatures: &Arc<SignatureSet>,
) -> anyhow::Result<Exit> {
    let (findings, inputs, is_complete) = match &arguments.state {
        Some(path) => {
            let state = State::open_to_read(path).map_err(of_state)?;
            let range = arguments.what.parse().map_err(|error| Usage(format!("{}: {error}", arguments.what)))?;
            let filter = HostFilter { addresses: vec![range], ..HostFilter::default() };
            let listing = state.listing(signatures, &filter).map_err(of_state)?;
            let inputs = listing.inputs.into_iter().map(|name| ExplainedInput { counts: counted_in(&name), name });
            (listing.hosts, inputs.collect(), true)
        }
        None => {
            let report = scanned(arguments, signatures)?;
            let is_meant = |host: &&HostFinding| match address {
                Some(address) => host.host.address == address,
                None => shows(host, &arguments.what, &report, signatures),
            };
            let findings: Vec<_> = report.hosts.iter().filter(is_meant).cloned().collect();
            let is_complete = !report.inputs.is_empty() && report.inputs.iter().all(|input| !input.unreadable);
            let inputs = report.inputs.into_iter().map(|input| {
                let counts = if input.log.is_some() { "line" } else { "packet" };
                ExplainedInput { name: input.path, counts }
            });
            (findings, inputs.collect::<Vec<_>>(), is_complete)
        }
    };
    if findings.is_empty() {
        let what = &arguments.what;
        complain(format_args!(
            "{what}: no evidence of it; what was not captured, or is not in the signature set, cannot show"
        ));
        return Ok(if is_complete { Exit::Found } else { Exit::Unreadable });
    }
    let place = AnswerPlace::new(None, &Claims::default(), false)?;
    place.write(|mut out, style| {
        for (number, finding) in findings.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            write_explanation(&mut out, finding, &inputs, signatures, style.width.clamp(60, 120))?;
        }
        Ok(())
    })?;
    Ok(if is_complete { Exit::Ran } else { Exit::Unreadable })
}

/// What is counted in an input of an inventory, which does not keep whether that was a log: interfaces have names without a dot, and captures are
/// called so.
fn counted_in(name: &str) -> &'static str {
    let of_captures = [".pcap", ".pcapng", ".cap", ".erf", ".snoop", ".trc"];
    let file = name.rsplit('/').next().unwrap_or(name);
    let is_capture = !file.contains('.') || of_captures.iter().any(|ending| file.to_ascii_lowercase().contains(ending));
    if is_capture { "packet" } else { "packet or line" }
}

/// What the captures show.
fn scanned(arguments: &ExplainArguments, signatures: &Arc<SignatureSet>) -> anyhow::Result<ScanReport> {
    let options = ScanOptions {
        inputs: expand(&arguments.paths),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        tunnels: arguments.tunnels.clone(),
        ..ScanOptions::default()
    };
    let found = scan(&options, signatures, &Progress::default(), Takers::default())
        .context("the captures cannot be scanned")?;
    for input in &found.report.inputs {
        match &input.error {
            Some(error) if input.unreadable => complain(error),
            Some(error) => warn(error),
            None => {}
        }
    }
    Ok(found.report)
}

/// Whether the alert of that identifier is of this host.
fn shows(host: &HostFinding, uid: &str, report: &ScanReport, signatures: &SignatureSet) -> bool {
    host.evidence.iter().any(|line| {
        let input = usize::try_from(line.example.input).ok().and_then(|row| report.inputs.get(row));
        let id = &signatures.get(line.indicator).id;
        input.is_some_and(|input| evidence_uid(line, id, &input.digest).to_string().eq_ignore_ascii_case(uid))
    })
}

/// The indicators that a text stands for, or matches.
fn meaning(what: &str, signatures: &SignatureSet) -> anyhow::Result<Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let explained = match signatures.find(&what.to_ascii_uppercase()) {
        Some(indicator) => show(&mut out, indicator),
        None => {
            let explanation = signatures.explain(what);
            test(&mut out, what, signatures, &explanation).and_then(|exit| {
                let Some(winner) = &explanation.winner else { return Ok(exit) };
                writeln!(out)?;
                show(&mut out, signatures.get(winner.indicator))
            })
        }
    };
    explained.and_then(|exit| out.flush().map(|()| exit)).map_err(of_stdout)
}
