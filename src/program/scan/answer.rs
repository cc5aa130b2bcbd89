//! What a scan answers: sums over all inputs, and the hosts with evidence.

use super::input_scan::InputScan;
use super::inventory::Inventory;
use kaspector::matching::{Machines, NextHops, SignatureSet};
use kaspector_report::{ScanReport, SeenMachines};
use std::collections::HashMap;

/// The answer.
#[derive(Debug, Default)]
pub struct Scan {
    /// What inputs and hosts there are.
    pub report: ScanReport,
    /// What each input showed, by its place in the report.
    pub inventory: Inventory,
    /// Of each row of the report, the place of its input in the list that was scanned.
    pub rows: Vec<usize>,
    /// Whether somebody asked for an early end, so that the answer covers only what was read until then.
    pub interrupted: bool,
    /// Inputs that a panic, a defect of the program, kept from being read as they should be.
    pub defects: usize,
}

/// The answer to a scan: of each input, by its number, what became of it; and the hosts and machines that all of them showed.
#[must_use]
pub fn answer(
    scans: impl Iterator<Item = (u32, Option<InputScan>)>,
    mut inventory: Inventory,
    machines: Machines,
    signatures: &SignatureSet,
) -> Scan {
    let (mut total, mut defects, mut rows) = (ScanReport::default(), 0, Vec::new());
    let mut numbers = HashMap::new();
    for (index, scan) in scans {
        let Some(InputScan { report, findings, is_defective, .. }) = scan else {
            total.leave_out("not_a_capture", 1);
            continue;
        };
        defects += usize::from(is_defective);
        // Files of a folder that are no captures leave no row, so rows are numbered anew.
        let row = u32::try_from(total.inputs.len()).unwrap_or(u32::MAX);
        numbers.insert(index, row);
        total.bytes += report.bytes;
        total.outcomes.add(&findings.outcomes);
        total.flows += findings.flows;
        total.connections.add(findings.coverage);
        for (bound, count) in findings.dropped {
            *total.dropped.entry(bound).or_default() += count;
        }
        total.inputs.push(report);
        rows.push(usize::try_from(index).unwrap_or(usize::MAX));
    }
    if inventory.dropped() > 0 {
        *total.dropped.entry("hosts").or_default() += inventory.dropped();
    }
    inventory.renumber_inputs(&numbers);
    // A router may show by machines without evidence alone.
    let hops = NextHops::among(inventory.link_addresses().into_iter().chain(machines.link_addresses()));
    total.hosts = inventory.findings(signatures, &hops);
    total.machines = SeenMachines::new(machines.rows(&hops));
    Scan { report: total, inventory, rows, interrupted: false, defects }
}
