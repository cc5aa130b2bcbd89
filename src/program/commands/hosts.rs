//! `kaspector hosts` and `kaspector hosts diff`.

use super::answer::AnswerPlace;
use super::{Exit, Usage, load, load_site, of_state};
use crate::cli::{DiffArguments, DiffFormat, HostsArguments, HostsCommand, HostsFormat};
use crate::process::moment::{end_of, moment_of};
use crate::process::output_file::Claims;
use crate::state::{HostFilter, State};
use anyhow::Context;
use kaspector::capture::{Timestamp, display_path};
use kaspector::matching::{SignatureSet, Verdict};
use kaspector_report::{HostsDiff, HostsReport};
use kaspector_report::{rfc3339, write_diff_csv, write_diff_json, write_diff_table};
use kaspector_report::{write_hosts_csv, write_hosts_json, write_hosts_table};
use std::path::Path;

/// Lists the hosts of an inventory, or compares two.
pub fn hosts(arguments: &HostsArguments) -> anyhow::Result<Exit> {
    match &arguments.command {
        Some(HostsCommand::Diff(arguments)) => diff(arguments),
        None => list(arguments),
    }
}

fn list(arguments: &HostsArguments) -> anyhow::Result<Exit> {
    let path = arguments.state.as_deref().context("--state is missing")?;
    let filter = filter(arguments)?;
    let signatures = load(&arguments.signatures)?;
    let site = load_site(arguments.site.as_deref())?;
    let mut claims = Claims::default();
    claims.add_database(path);
    if let Some(site) = &arguments.site {
        claims.add(site, "the site file, which is read");
    }
    let place = AnswerPlace::new(arguments.output.as_deref(), &claims, arguments.force)?;
    let mut report = listed(path, &signatures, &filter)?;
    report.set_site(site);
    place.write(|mut out, style| match arguments.format {
        HostsFormat::Json => write_hosts_json(&mut out, &report, &signatures),
        HostsFormat::Csv => write_hosts_csv(&mut out, &report, &signatures),
        HostsFormat::Table => write_hosts_table(&mut out, &report, &signatures, style),
    })?;
    // The program ends, and the system takes the memory back at once.
    std::mem::forget((report, signatures));
    Ok(Exit::Ran)
}

fn filter(arguments: &HostsArguments) -> anyhow::Result<HostFilter> {
    let now = jiff::Timestamp::now();
    let moment = |option: &'static str, text: &Option<String>| {
        text.as_deref().map(|text| moment_of(option, text, now).map_err(Usage)).transpose()
    };
    let since = moment("--since", &arguments.since)?;
    let not_since = moment("--not-since", &arguments.not_since)?;
    let until = arguments.until.as_deref().map(|text| end_of("--until", text, now).map_err(Usage)).transpose()?;
    // What would choose nobody, whatever the inventory holds, is a mistake.
    if let (Some(since), Some(not_since)) = (since, not_since)
        && since >= not_since
    {
        return Err(Usage(
            "--since and --not-since: no host can have evidence since the one and none since the other; leave one out"
                .to_owned(),
        )
        .into());
    }
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return Err(Usage(
            "--until lies before --since; the period begins with --since and ends with --until".to_owned(),
        )
        .into());
    }
    Ok(HostFilter {
        verdict: arguments.verdict.map(Verdict::from),
        since,
        not_since,
        until,
        categories: arguments.categories.clone(),
        products: arguments.products.clone(),
        addresses: arguments.addresses.clone(),
        roles: arguments.roles.clone(),
        vlans: arguments.vlans.clone(),
    })
}

fn listed(path: &Path, signatures: &SignatureSet, filter: &HostFilter) -> anyhow::Result<HostsReport> {
    let state = State::open_to_read(path).map_err(of_state)?;
    state.listing(signatures, filter).map_err(of_state)
}

fn diff(arguments: &DiffArguments) -> anyhow::Result<Exit> {
    let signatures = load(&arguments.signatures)?;
    let mut claims = Claims::default();
    claims.add_database(&arguments.old);
    claims.add_database(&arguments.new);
    let place = AnswerPlace::new(arguments.output.as_deref(), &claims, arguments.force)?;
    let [old, new] = [&arguments.old, &arguments.new].map(|path| listed(path, &signatures, &HostFilter::default()));
    let (old, new) = (old?, new?);
    let [old_path, new_path] = [&arguments.old, &arguments.new].map(|path| display_path(path));
    let diff = HostsDiff::of((&old_path, &old), (&new_path, &new));
    check_order(&diff, &old_path, &new_path)?;
    place.write(|mut out, style| match arguments.format {
        DiffFormat::Json => write_diff_json(&mut out, &diff, &signatures),
        DiffFormat::Csv => write_diff_csv(&mut out, &diff),
        DiffFormat::Table => write_diff_table(&mut out, &diff, style),
    })?;
    let is_met = arguments.fail_on.iter().any(|&change| diff.count(change) > 0);
    Ok(if is_met { Exit::Found } else { Exit::Ran })
}

/// Refuses a comparison with a later inventory in the place of the earlier one.
pub(super) fn check_order(diff: &HostsDiff<'_>, old_path: &str, new_path: &str) -> Result<(), Usage> {
    match diff.last_seen() {
        (Some(old), Some(new)) if new < old => Err(swapped((old_path, old), (new_path, new))),
        _ => Ok(()),
    }
}

fn swapped(old: (&str, Timestamp), new: (&str, Timestamp)) -> Usage {
    let (old, old_last, new, new_last) = (old.0, rfc3339(old.1), new.0, rfc3339(new.1));
    Usage(format!(
        "{new}: its last evidence is of {new_last}, before that of {old}, {old_last}; name the earlier inventory first"
    ))
}
