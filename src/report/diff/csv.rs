//! Two inventories, compared, as comma-separated values: one row for each host that is different.

use super::super::escape::for_spreadsheet;
use super::super::scan_csv::plain;
use super::super::spelling::{named, rfc3339};
use super::{Entry, HostPart, HostsDiff};
use kaspector::matching::HostFinding;
use std::io;

/// Writes a header, then one row per host that is different. What the earlier inventory has of it stands in the columns that begin with
/// `old_`, what the later one has in those that begin with `new_`; lists within a cell are separated by `; `.
///
/// Control characters are written out, and a text that a spreadsheet would calculate begins with an apostrophe.
///
/// # Errors
/// When `out` fails.
pub fn write_diff_csv(out: &mut impl io::Write, diff: &HostsDiff<'_>) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    let of_both = PARTS.iter().flat_map(|(name, _)| [format!("old_{name}"), format!("new_{name}")]);
    rows.write_record(OF_ENTRY.iter().map(|&name| name.to_owned()).chain(of_both)).map_err(plain)?;
    for entry in &diff.entries {
        let cell = |host: Option<&HostFinding>, tell: fn(&HostFinding) -> String| host.map(tell).unwrap_or_default();
        let of_both = PARTS.iter().flat_map(|&(_, tell)| [cell(entry.old, tell), cell(entry.new, tell)]);
        let cells = of_entry(entry).into_iter().chain(of_both);
        rows.write_record(cells.map(|cell| for_spreadsheet(&cell).into_owned())).map_err(plain)?;
    }
    rows.flush()
}

const OF_ENTRY: [&str; 6] = ["change", "address", "vlan", "inner_vlan", "vni", "differs"];

/// What is told of each side, and how.
type Part = (&'static str, fn(&HostFinding) -> String);

const PARTS: [Part; 9] = [
    ("verdict", |host| host.verdict.name().to_owned()),
    ("confidence", |host| host.confidence.0.to_string()),
    ("role", |host| host.role.name().to_owned()),
    ("categories", |host| host.categories.iter().map(|category| category.name()).collect::<Vec<_>>().join("; ")),
    ("products", |host| named(&host.products).join("; ")),
    ("engine_in", |host| named(&host.engine_in).join("; ")),
    ("mac", |host| host.mac.map(|mac| mac.to_string()).unwrap_or_default()),
    ("first_seen", |host| rfc3339(host.first_seen)),
    ("last_seen", |host| rfc3339(host.last_seen)),
];

fn of_entry(entry: &Entry<'_>) -> [String; 6] {
    let zone = entry.host.zone;
    let or_empty = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    [
        entry.change.name().to_owned(),
        entry.host.address.to_string(),
        or_empty(zone.vlan.map(u32::from)),
        or_empty(zone.inner_vlan.map(u32::from)),
        or_empty(zone.vni),
        entry.differs.iter().copied().map(HostPart::name).collect::<Vec<_>>().join("; "),
    ]
}
