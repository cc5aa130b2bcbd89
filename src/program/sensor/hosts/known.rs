//! One host: its records, what they add up to, and whether an alert of it is news.

use super::Unsaved;
use kaspector::capture::Timestamp;
use kaspector::matching::{Alert, HostKey, HostRecord, Role, SignatureSet, Verdict};
use std::sync::Arc;

/// What is known of a host.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// From earlier runs, and what a ledger had no more room for.
    pub(super) before: Option<Arc<HostRecord>>,
    /// What the ledger of each interface holds, by interface. Nearly always of one.
    pub(super) now: Vec<(u32, Arc<HostRecord>)>,
    pub(super) verdict: Option<Verdict>,
    pub(super) role: Option<Role>,
    /// The first evidence of it that anybody knows of.
    pub(super) since: Option<Timestamp>,
    /// The latest alert and its interface, as long as the verdict can rise.
    pub(super) alert: Option<(Box<Alert>, u32)>,
    /// Bytes when a summary told of the host last.
    pub(super) bytes_told: u64,
    /// The last evidence when the silence of the host was told; none while it shows itself.
    pub(super) silence_told: Option<Timestamp>,
    /// The question that is to say what the file has of it.
    pub(super) recall: Option<u64>,
}

/// What an alert is to those who know its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Something that the host did not show before this run.
    New,
    /// The host showed the same, as closely, before.
    Known,
    /// Nobody knows before the host has been recalled.
    Unclear,
}

/// A host whose evidence adds up to more than before.
#[derive(Clone, Debug)]
pub struct Rise {
    /// The latest alert of it.
    pub alert: Alert,
    /// The interface of that alert.
    pub interface: u32,
    /// What it added up to.
    pub from: Verdict,
    /// What it adds up to now.
    pub to: Verdict,
}

impl Known {
    pub(super) fn novelty(&self, alert: &Alert) -> Novelty {
        match &self.before {
            Some(before) if before.shows(alert.indicator, alert.seen_as) => Novelty::Known,
            _ if self.recall.is_some() => Novelty::Unclear,
            _ => Novelty::New,
        }
    }

    pub(super) fn unsaved(&self, host: HostKey, signatures: &SignatureSet) -> Option<Unsaved> {
        Some(Unsaved { host, record: self.merged(signatures)?, is_whole: self.recall.is_none(), labels: Vec::new() })
    }

    pub(super) fn put(&mut self, interface: u32, record: HostRecord) {
        match self.now.binary_search_by_key(&interface, |&(number, _)| number) {
            Ok(at) => {
                if let Some((_, known)) = self.now.get_mut(at) {
                    *known = Arc::new(record);
                }
            }
            Err(at) => {
                self.now.reserve_exact(1);
                self.now.insert(at, (interface, Arc::new(record)));
            }
        }
    }

    /// What all that is known adds up to.
    pub(super) fn standing(&self, signatures: &SignatureSet) -> Option<(Verdict, Role)> {
        let stands = |record: &HostRecord| {
            let (verdict, ..) = record.standing(signatures)?;
            Some((verdict, record.role()))
        };
        match (&self.before, &*self.now) {
            (None, [(_, record)]) => stands(record),
            _ => stands(&self.merged(signatures)?),
        }
    }

    /// The last evidence of it that anybody knows of.
    pub(super) fn last_seen(&self) -> Timestamp {
        self.records().map(HostRecord::last_seen).max().unwrap_or_default()
    }

    /// Takes up what all that is known adds up to; says so if it is more than before.
    pub(super) fn rise(&mut self, signatures: &SignatureSet) -> Option<Rise> {
        let (verdict, role) = self.standing(signatures)?;
        self.role = Some(role);
        let before = self.verdict.replace(verdict);
        let rise = before.filter(|&before| verdict < before).and_then(|from| {
            let (alert, interface) = self.alert.as_ref()?;
            Some(Rise { alert: (**alert).clone(), interface: *interface, from, to: verdict })
        });
        if verdict == Verdict::Confirmed {
            self.alert = None;
        }
        rise
    }

    pub(super) fn line_count(&self) -> usize {
        self.records().map(HostRecord::line_count).sum()
    }

    pub(super) fn records_mut(&mut self) -> impl Iterator<Item = &mut HostRecord> {
        self.before.iter_mut().chain(self.now.iter_mut().map(|(_, record)| record)).map(Arc::make_mut)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &HostRecord> {
        self.shared().map(|record| &**record)
    }

    pub(super) fn shared(&self) -> impl Iterator<Item = &Arc<HostRecord>> {
        self.before.iter().chain(self.now.iter().map(|(_, record)| record))
    }

    /// All records of the host as one.
    pub(super) fn merged(&self, signatures: &SignatureSet) -> Option<HostRecord> {
        self.records().cloned().reduce(|mut earlier, later| {
            earlier.merge(later, signatures);
            earlier
        })
    }
}
