//! Two inventories, compared, for a person: what is different, one host after the other, then the sums.

use super::super::TableStyle;
use super::super::escape::for_terminal;
use super::super::scan_table::{
    QUIET, WIDTH_MIN, as_many_as_fit, colour_of, columns, counted, cut_end, host_label, padded, painted, services,
    wrapped,
};
use super::super::spelling::{formatted, named};
use super::{Entry, HostChange, HostPart, HostsDiff, Side};
use kaspector::decode::MacAddress;
use kaspector::matching::{HostFinding, Verdict};
use std::io;

/// Writes the hosts that are different, how many there are of each kind, and what was compared.
///
/// # Errors
/// When `out` fails.
pub fn write_diff_table(out: &mut impl io::Write, diff: &HostsDiff<'_>, style: TableStyle) -> io::Result<()> {
    let style = TableStyle { width: style.width.max(WIDTH_MIN), ..style };
    if diff.entries.is_empty() {
        writeln!(out, "No host is different.")?;
    } else {
        let labels = diff.entries.iter().filter_map(|entry| Some(columns(&host_label(entry.latest()?))));
        // A longer label gets a line of its own, with the other columns below it.
        let room = style.width - CHANGE - VERDICTS - TIME - 3 * GAP.len();
        let width = labels.filter(|&label| label <= room).max().unwrap_or(0).max("HOST".len());
        let header = [padded("CHANGE", CHANGE), padded("HOST", width), padded("VERDICT", VERDICTS)].join(GAP);
        writeln!(out, "{}", painted(format!("{header}{GAP}LAST SEEN (UTC)"), super::super::scan_table::HEADER, style))?;
        for entry in &diff.entries {
            row(out, entry, width, style)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}", wrapped(&counts(diff), style.width))?;
    for (name, side) in [("Old", &diff.old), ("New", &diff.new)] {
        writeln!(out, "{}", wrapped(&inventory(name, side), style.width))?;
    }
    if !diff.is_heard() && diff.count(HostChange::Silent) > 0 {
        let doubt = "The new inventory has no later evidence of any host: whether they are gone, or nobody listened, it does not say.";
        writeln!(out, "{}", wrapped(doubt, style.width))?;
    }
    Ok(())
}

/// `appeared`, the longest.
const CHANGE: usize = 8;
/// `suspected, now confirmed`, the longest.
const VERDICTS: usize = 24;
const TIME: usize = "2026-11-23 15:43".len();
const GAP: &str = "  ";

fn row(out: &mut impl io::Write, entry: &Entry<'_>, width: usize, style: TableStyle) -> io::Result<()> {
    let Some(host) = entry.latest() else { return Ok(()) };
    let mut label = host_label(host);
    let change = padded(entry.change.name(), CHANGE);
    let verdicts = match entry.old.zip(entry.new) {
        Some((old, new)) if old.verdict != new.verdict => now(old.verdict.name(), new.verdict.name()),
        _ => host.verdict.name().to_owned(),
    };
    let verdicts = painted(padded(&verdicts, VERDICTS), colour_of(host.verdict), style);
    let last = formatted(host.last_seen, "%Y-%m-%d %H:%M");
    if columns(&label) > width {
        writeln!(out, "{change}{GAP}{label}")?;
        label.clear();
        writeln!(out, "{}{GAP}{}{GAP}{verdicts}{GAP}{last}", padded("", CHANGE), padded("", width))?;
    } else {
        writeln!(out, "{change}{GAP}{}{GAP}{verdicts}{GAP}{last}", padded(&label, width))?;
    }
    let below = match entry.old.zip(entry.new) {
        Some((old, new)) if !entry.differs.is_empty() => {
            let told: Vec<String> = entry.differs.iter().filter_map(|&part| difference(part, old, new)).collect();
            told.into_iter().map(|part| cut_end(&part, style.width - GAP.len())).collect()
        }
        _ => vec![uses(host, style.width - GAP.len())],
    };
    for line in below.into_iter().filter(|line| !line.is_empty()) {
        writeln!(out, "{}", painted(format!("{GAP}{line}"), QUIET, style))?;
    }
    Ok(())
}

fn now(old: &str, new: &str) -> String {
    format!("{old}, now {new}")
}

/// The services and products of a host.
fn uses(host: &HostFinding, width: usize) -> String {
    let products: Vec<String> = products(host);
    let products: Vec<_> = products.iter().map(|product| for_terminal(product)).collect();
    let services = cut_end(&services(host), width);
    let left = width.saturating_sub(columns(&services) + ": ".len());
    let products = as_many_as_fit(&products, left);
    let colon = if products.is_empty() { "" } else { ": " };
    format!("{services}{colon}{products}")
}

fn products(host: &HostFinding) -> Vec<String> {
    let engine_in = named(&host.engine_in).into_iter().map(|product| format!("engine in {product}"));
    named(&host.products).into_iter().chain(engine_in).collect()
}

/// What is different in this part; the verdict has its column.
fn difference(part: HostPart, old: &HostFinding, new: &HostFinding) -> Option<String> {
    let mac = |mac: Option<MacAddress>| mac.map(|mac| mac.to_string()).unwrap_or_default();
    match part {
        HostPart::Verdict => None,
        HostPart::Role => Some(format!("role: {}", now(old.role.name(), new.role.name()))),
        HostPart::Services => {
            let names =
                |host: &HostFinding| host.categories.iter().map(|category| category.name().to_owned()).collect();
            Some(format!("services: {}", more_and_less(&names(old), &names(new))))
        }
        HostPart::Products => Some(format!("products: {}", more_and_less(&products(old), &products(new)))),
        HostPart::Mac => Some(format!("link-layer address: {}", now(&mac(old.mac), &mac(new.mac)))),
    }
}

/// `now also A; no longer B`.
fn more_and_less(old: &Vec<String>, new: &Vec<String>) -> String {
    let only = |one: &Vec<String>, other: &Vec<String>| {
        one.iter().filter(|name| !other.contains(name)).map(|name| for_terminal(name)).collect::<Vec<_>>().join(", ")
    };
    let (more, less) = (only(new, old), only(old, new));
    let parts = [("now also ", more), ("no longer ", less)];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}{names}"))
        .collect();
    parts.join("; ")
}

/// `1 appeared, 2 silent, 0 risen, 1 changed; 5 unchanged. 3 confirmed, before 4.`
fn counts(diff: &HostsDiff<'_>) -> String {
    let counts: Vec<String> =
        HostChange::ALL.iter().map(|&change| format!("{} {}", diff.count(change), change.name())).collect();
    format!("{}; {} unchanged.", counts.join(", "), diff.unchanged())
}

/// `Old: october.state, 7 hosts, 4 of them confirmed; last evidence 2026-10-31 23:50 UTC.`
fn inventory(name: &str, side: &Side<'_>) -> String {
    let confirmed = side.report.hosts.iter().filter(|host| host.verdict == Verdict::Confirmed).count();
    let hosts = counted(side.report.hosts.len(), "host");
    let path = for_terminal(side.path);
    let last = side.last_seen.map(|at| format!("; last evidence {} UTC", formatted(at, "%Y-%m-%d %H:%M")));
    format!("{name}: {path}, {hosts}, {confirmed} of them confirmed{}.", last.unwrap_or_default())
}
