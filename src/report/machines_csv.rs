//! All machines that were seen, as comma-separated values: what findings are counted against, each by its name.

use super::escape::for_spreadsheet;
use super::parallel::in_parallel;
use super::scan_csv::plain;
use super::spelling::rfc3339;
use super::{CardMaker, MachineCounts, ScanReport};
use kaspector::matching::{LabelKind, Machine, Verdict};
use std::io;

/// Writes a header, then one row per machine, by tenant and address, whether or not it shows anything. Lists within a cell are separated by
/// `; `; each name has its source behind it.
///
/// Control characters are written out, and a text that a spreadsheet would calculate begins with an apostrophe.
///
/// # Errors
/// When `out` fails.
pub fn write_machines_csv(out: &mut impl io::Write, report: &ScanReport) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(&mut *out);
    rows.write_record(COLUMNS).map_err(plain)?;
    rows.flush()?;
    drop(rows);
    let mut verdicts: Vec<(&Machine, Option<Verdict>)> = report.machines.rows().iter().map(|row| (row, None)).collect();
    for (number, verdict) in report.machines.verdicts(&report.hosts) {
        if let Some((_, place)) = verdicts.get_mut(number) {
            *place = Some(verdict);
        }
    }
    in_parallel(out, &verdicts, |machines, out| {
        let mut rows = csv::Writer::from_writer(out);
        for (machine, verdict) in machines {
            let cells = cells(machine, *verdict, report);
            rows.write_record(cells.iter().map(|cell| for_spreadsheet(cell).into_owned())).map_err(plain)?;
        }
        rows.flush()
    })
}

const COLUMNS: [&str; 22] = [
    "machine",
    "addresses",
    "vlan",
    "inner_vlan",
    "vni",
    "mac",
    "maker",
    "mac_local",
    "name",
    "domain",
    "user",
    "system",
    "device",
    "class",
    "flows",
    "first_seen",
    "last_seen",
    "is_resolver",
    "is_proxy",
    "site_machine",
    "site_subnet",
    "verdict",
];

fn cells(machine: &Machine, verdict: Option<Verdict>, report: &ScanReport) -> [String; COLUMNS.len()] {
    let zone = machine.zone;
    let or_empty = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let yes = |is: bool| if is { "true".to_owned() } else { String::new() };
    let addresses: Vec<String> = machine.addresses.iter().map(|held| held.address.to_string()).collect();
    let maker = machine.mac.map_or(CardMaker::Unknown, CardMaker::of);
    let of_kind = |kind| {
        let labels = machine.labels.iter().filter(|label| label.kind == kind);
        let said: Vec<String> = labels.map(|label| format!("{} ({})", label.text, label.source.name())).collect();
        said.join("; ")
    };
    let [name, domain, user, system, device] = LabelKind::ALL.map(of_kind);
    let site = report.site.of_machine(machine);
    [
        addresses.first().cloned().unwrap_or_default(),
        addresses.join("; "),
        or_empty(zone.vlan.map(u32::from)),
        or_empty(zone.inner_vlan.map(u32::from)),
        or_empty(zone.vni),
        machine.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        maker.name().unwrap_or_default().to_owned(),
        yes(maker == CardMaker::Local),
        name,
        domain,
        user,
        system,
        device,
        MachineCounts::class_of(machine.flows).to_owned(),
        machine.flows.total().to_string(),
        rfc3339(machine.first_seen),
        rfc3339(machine.last_seen),
        yes(machine.is_resolver),
        yes(machine.is_proxy),
        site.machine.map(|machine| machine.name.clone()).unwrap_or_default(),
        site.subnet.map(|subnet| subnet.name.clone()).unwrap_or_default(),
        verdict.map(|verdict| verdict.name().to_owned()).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::{SeenMachines, samples};
    use kaspector::capture::Timestamp;
    use kaspector::decode::Zone;
    use kaspector::inspect::IdentitySource;
    use kaspector::matching::{HostKey, Label};

    #[test]
    fn machines_are_listed_whether_or_not_they_show_anything() {
        let mut report = samples::report();
        let found = report.hosts[0].host;
        let other = HostKey { address: [10, 99, 0, 7].into(), zone: Zone::default() };
        // 255 bytes, as long as a label gets.
        let hostile = format!("=<b>\u{202e}\u{1b}[2J{}", "n".repeat(255 - 11));
        let label =
            |text: &str| Label::said(LabelKind::Name, IdentitySource::Dhcp, text.into(), Timestamp(1), Timestamp(2));
        let rows = vec![Machine::called(found, vec![]), Machine::called(other, vec![label(&hostile), label("desk-7")])];
        report.machines = SeenMachines::new(rows);
        let mut text = Vec::new();
        write_machines_csv(&mut text, &report).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        let cell = |row: usize, name: &str| &rows[row][COLUMNS.iter().position(|&column| column == name).unwrap()];
        assert_eq!(rows.len(), 2);
        assert_eq!((cell(0, "machine"), cell(0, "verdict"), cell(0, "class")), ("10.20.0.5", "confirmed", "silent"));
        assert_eq!((cell(1, "machine"), cell(1, "verdict")), ("10.99.0.7", ""));
        let name = cell(1, "name");
        assert!(name.starts_with("'=<b>\\u{202e}\\u{1b}[2Jnnn") && name.ends_with("n (dhcp); desk-7 (dhcp)"), "{name}");
    }
}
