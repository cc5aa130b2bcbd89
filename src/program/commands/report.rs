//! `kaspector report`.

mod community_ids;
mod digests;
mod history;

use super::answer::AnswerPlace;
use super::scan::interactive::{ScanError, scan_interactively};
use super::scan::{complain_of, options};
use super::{Exit, Usage, load, load_site, of_state, warn};
use crate::cli::{ReportArguments, ReportFormat};
use crate::process::clock::now;
use crate::process::output_file::Claims;
use crate::scan::{Progress, Scan, Takers};
use crate::state::{Form, State};
use community_ids::CommunityIds;
use digests::digests;
use history::{History, without_evidence};
use jiff::civil::Date;
use kaspector::capture::display_path;
use kaspector::matching::{Alert, HostFinding, SignatureSet};
use kaspector_logs::FlowName;
use kaspector_report::compliance::{
    Basis, ComplianceReport, Endpoint, EvidenceInput, Material, ProductGroups, write_compliance_csv,
    write_compliance_html, write_compliance_json,
};
use kaspector_report::{HostsReport, InputReport, ScanReport, Site};
use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

/// Writes the report that an auditor signs.
pub fn report(arguments: &ReportArguments) -> anyhow::Result<Exit> {
    let signatures = Arc::new(load(&arguments.signatures)?);
    let format = format_of(arguments)?;
    let date = date_of(arguments)?;
    let site = load_site(arguments.site.as_deref())?;
    match &arguments.state {
        Some(path) => of_inventory(path, arguments, (format, date), &site, &signatures),
        None => of_captures(arguments, (format, date), &site, &signatures),
    }
}

fn of_inventory(
    path: &Path,
    arguments: &ReportArguments,
    (format, date): (ReportFormat, Date),
    site: &Arc<Site>,
    signatures: &SignatureSet,
) -> anyhow::Result<Exit> {
    let mut claims = claims(arguments);
    claims.add_database(path);
    let place = AnswerPlace::new(arguments.output.as_deref(), &claims, arguments.force)?;
    let groups = ProductGroups::new(signatures);
    let state = State::open_to_read(path).map_err(of_state)?;
    let history = History::read(&arguments.compare, signatures)?;
    let called = state.called().map_err(of_state)?;
    let make = |finding: &HostFinding| Endpoint::of(finding, Some(&called), site, signatures, &groups);
    let (inventory, endpoints, compared) = match history {
        None => {
            let form = Form { make: &|finding: HostFinding| make(&finding), order: Endpoint::order };
            let (inventory, endpoints) = state.listing_as(signatures, form).map_err(of_state)?;
            (inventory, endpoints, None)
        }
        Some(history) => {
            let form = Form {
                make: &|finding: HostFinding| (make(&finding), without_evidence(finding)),
                order: |(endpoint, _)| endpoint.order(),
            };
            let (mut inventory, both) = state.listing_as(signatures, form).map_err(of_state)?;
            let endpoints;
            (endpoints, inventory.hosts) = both.into_iter().unzip();
            let compared = history.until(&display_path(path), &inventory)?;
            (inventory, endpoints, Some(compared))
        }
    };
    drop(state);
    let inputs: Vec<EvidenceInput> = inventory.inputs.iter().map(|name| named(name)).collect();
    let community_ids = HashMap::new();
    let report = ComplianceReport::new(&Material {
        date,
        signatures,
        endpoints: &endpoints,
        basis: Basis::Inventory(&inventory),
        inputs: &inputs,
        community_ids: &community_ids,
        changes: compared.as_ref().map(|(changes, _)| changes),
        trend: compared.as_ref().map_or(&[], |(_, stages)| stages),
        site,
    });
    place.write(|out, _| write(out, &report, format))?;
    Ok(Exit::Ran)
}

fn of_captures(
    arguments: &ReportArguments,
    (format, date): (ReportFormat, Date),
    site: &Arc<Site>,
    signatures: &Arc<SignatureSet>,
) -> anyhow::Result<Exit> {
    let options = options(&arguments.paths, arguments.threads, arguments.filter.as_deref(), &arguments.tunnels)?;
    let mut claims = claims(arguments);
    claims.add_inputs(&options.inputs);
    let place = AnswerPlace::new(arguments.output.as_deref(), &claims, arguments.force)?;
    // Before a packet is read: whether it can be read does not depend on them.
    let history = History::read(&arguments.compare, signatures)?;
    let community_ids = CommunityIds::default();
    let take = |_: &InputReport, alerts: &[Alert], _: &[FlowName]| community_ids.take(alerts);
    let draws_bar = io::stderr().is_terminal() && !arguments.no_progress && !arguments.quiet;
    let then = |scan: &Scan, progress: &Progress| digests(&options, &scan.rows, progress);
    let (mut scan, _, sums) =
        scan_interactively(&options, signatures, draws_bar, Takers { alerts: Some(&take), ..Takers::default() }, then)
            .map_err(|error| match error {
                ScanError::Filter(error) => anyhow::Error::new(Usage(error.to_string())),
                other => other.into(),
            })?;
    complain_of(&scan.report);
    scan.report.set_site(Arc::clone(site));
    let groups = ProductGroups::new(signatures);
    let of_host = |finding: &HostFinding| Endpoint::of(finding, Some(&scan.report.machines), site, signatures, &groups);
    let endpoints: Vec<Endpoint> = scan.report.hosts.iter().map(of_host).collect();
    let compared = history.map(|history| {
        let hosts = scan.report.hosts.iter().cloned().map(without_evidence).collect();
        history.until("the captures", &HostsReport { hosts, ..HostsReport::default() })
    });
    let compared = compared.transpose()?;
    let inputs = scan.report.inputs.iter().zip(sums);
    let inputs: Vec<EvidenceInput> = inputs
        .map(|(input, sha256)| EvidenceInput {
            name: input.path.clone(),
            sha256,
            digest: Some(input.digest),
            is_log: input.log.is_some(),
        })
        .collect();
    let community_ids = community_ids.into_texts();
    let report = ComplianceReport::new(&Material {
        date,
        signatures,
        endpoints: &endpoints,
        basis: Basis::Captures(&scan.report),
        inputs: &inputs,
        community_ids: &community_ids,
        changes: compared.as_ref().map(|(changes, _)| changes),
        trend: compared.as_ref().map_or(&[], |(_, stages)| stages),
        site,
    });
    place.write(|out, _| write(out, &report, format))?;
    if scan.interrupted {
        warn("the scan was interrupted: the report covers what was read until then");
    }
    Ok(exit(&scan))
}

fn exit(scan: &Scan) -> Exit {
    let ScanReport { inputs, .. } = &scan.report;
    if scan.defects > 0 {
        Exit::Failure
    } else if inputs.is_empty() || inputs.iter().any(|input| input.unreadable) {
        Exit::Unreadable
    } else if scan.interrupted {
        Exit::Failure
    } else {
        Exit::Ran
    }
}

fn write(mut out: &mut dyn Write, report: &ComplianceReport<'_>, format: ReportFormat) -> io::Result<()> {
    match format {
        ReportFormat::Json => write_compliance_json(&mut out, report),
        ReportFormat::Html => write_compliance_html(&mut out, report),
        ReportFormat::Csv => write_compliance_csv(&mut out, report),
    }
}

/// What is read besides inputs and inventory.
fn claims(arguments: &ReportArguments) -> Claims {
    let mut claims = Claims::default();
    for folder in [&arguments.signatures.replace, &arguments.signatures.extra].into_iter().flatten() {
        claims.add_folder(folder, "toml", "a signature file, which is read");
    }
    for old in &arguments.compare {
        claims.add_database(old);
    }
    if let Some(site) = &arguments.site {
        claims.add(site, "the site file, which is read");
    }
    claims
}

/// The form that was asked for, or that the name of the file asks for.
fn format_of(arguments: &ReportArguments) -> Result<ReportFormat, Usage> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    let path = arguments.output.as_deref().filter(|path| *path != Path::new("-"));
    let Some(path) = path else {
        let advice = "name a file with -o, such as -o report.html, or say --format html, json or csv";
        return Err(Usage(format!("no form of the report was asked for: {advice}")));
    };
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("json") => Ok(ReportFormat::Json),
        Some("csv") => Ok(ReportFormat::Csv),
        Some("html" | "htm") => Ok(ReportFormat::Html),
        Some("pdf") => {
            let advice = "write it as .html, and print that to a file";
            Err(Usage(format!("{}: no PDF is written; {advice}", display_path(path))))
        }
        _ => {
            let advice = "a name ends in .html, .json or .csv; for another name say --format";
            Err(Usage(format!("{}: the name says no form; {advice}", display_path(path))))
        }
    }
}

/// The day that was asked for, or today.
fn date_of(arguments: &ReportArguments) -> Result<Date, Usage> {
    let Some(text) = &arguments.date else {
        let now = jiff::Timestamp::from_nanosecond(i128::from(now().0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        return Ok(now.to_zoned(jiff::tz::TimeZone::UTC).date());
    };
    let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    date.ok_or_else(|| Usage(format!("--date {text}: no date; write it as 2026-11-23")))
}

fn named(name: &str) -> EvidenceInput {
    EvidenceInput { name: name.to_owned(), ..EvidenceInput::default() }
}
