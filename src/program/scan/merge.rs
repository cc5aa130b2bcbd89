//! Takes what each input showed, whenever its thread is done with it, and merges it in the order of the inputs.

use super::answer::{Scan, answer};
use super::input_scan::InputScan;
use super::inventory::Inventory;
use super::lock;
use super::schedule::number;
use kaspector::matching::{Alert, Machines, SignatureSet};
use kaspector_logs::FlowName;
use kaspector_report::InputReport;
use std::sync::{Mutex, PoisonError};

/// Takes the alerts of one input, in packet order, and of a log what the engine that wrote it calls their flows. Inputs come in the order given,
/// each as soon as it and all before it are done.
pub type TakeAlerts<'a> = dyn Fn(&InputReport, &[Alert], &[FlowName]) + Sync + 'a;

/// Takes the result of each input, in the order given, before it is merged; its alerts were taken.
pub type TakeResults<'a> = dyn Fn(&InputScan) + Sync + 'a;

/// Who takes what is known of single inputs, which the answer does not tell any more.
#[derive(Clone, Copy, Default)]
pub struct Takers<'a> {
    /// Takes alerts.
    pub alerts: Option<&'a TakeAlerts<'a>>,
    /// Takes results.
    pub results: Option<&'a TakeResults<'a>>,
}

/// What was merged so far, and what waits for inputs before it.
pub struct Merge<'a> {
    signatures: &'a SignatureSet,
    takers: Takers<'a>,
    /// By the input's number. `None` until the input is done; then `None` inside if it was found in a folder and is no capture.
    scans: Vec<Mutex<Option<Option<InputScan>>>>,
    /// Inputs that were merged.
    merged: Mutex<usize>,
    inventory: Inventory,
    machines: Mutex<Machines>,
}

impl<'a> Merge<'a> {
    /// Expects so many inputs.
    #[must_use]
    pub fn of_inputs(count: usize, signatures: &'a SignatureSet, takers: Takers<'a>) -> Self {
        Self {
            signatures,
            takers,
            scans: (0..count).map(|_| Mutex::default()).collect(),
            merged: Mutex::default(),
            inventory: Inventory::default(),
            machines: Mutex::default(),
        }
    }

    /// Takes the result of an input, and merges those whose turn it is.
    pub fn add(&self, index: usize, scan: Option<InputScan>) {
        if let Some(place) = self.scans.get(index) {
            *lock(place) = Some(scan);
        }
        let mut next = lock(&self.merged);
        while let Some(place) = self.scans.get(*next) {
            let mut place = lock(place);
            let Some(scan) = &mut *place else { return };
            if let Some(scan) = scan {
                self.merge(number(*next), scan);
            }
            *next += 1;
        }
    }

    /// Hands on the alerts of an input, and deposits its hosts and machines: only its report stays.
    fn merge(&self, number: u32, scan: &mut InputScan) {
        let (alerts, names) = (std::mem::take(&mut scan.findings.alerts), std::mem::take(&mut scan.flow_names));
        if let Some(take) = self.takers.alerts {
            take(&scan.report, &alerts, &names);
        }
        if let Some(take) = self.takers.results {
            take(scan);
        }
        self.inventory.deposit(number, std::mem::take(&mut scan.findings.hosts), self.signatures);
        lock(&self.machines).merge(std::mem::take(&mut scan.findings.machines));
    }

    /// The answer, once all inputs were added.
    #[must_use]
    pub fn into_answer(self) -> Scan {
        let scans = self.scans.into_iter().map(|scan| scan.into_inner().unwrap_or_else(PoisonError::into_inner));
        let scans = (0..).zip(scans).filter_map(|(number, scan)| Some((number, scan?)));
        let machines = self.machines.into_inner().unwrap_or_else(PoisonError::into_inner);
        answer(scans, self.inventory, machines, self.signatures)
    }
}
