//! What is known of each host: what each interface shows now, and what was known before.
//!
//! Memory holds a bounded number of hosts, the state file all of them. One that had to leave memory and shows itself again is *recalled* out of
//! the file, which takes a moment; until then nobody knows whether it is news, and it is not saved over what the file has.

mod bounds;
mod known;
mod listed;
mod silence;
mod state_file;
#[cfg(test)]
mod tests;

pub use bounds::HOSTS_MAX;
pub use known::{Novelty, Rise};
pub use listed::Listed;
pub use silence::Silence;
pub use state_file::Unsaved;

use crate::web::HostList;
use kaspector::capture::Timestamp;
use kaspector::matching::{Alert, HostFinding, HostKey, HostRecord, SignatureSet, Verdict};
use known::Known;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// All hosts with evidence.
#[derive(Debug, Default)]
pub struct Hosts {
    /// Apart from what is known of each, so that the table is small when it grows.
    hosts: HashMap<HostKey, Box<Known>>,
    /// Lines of evidence that they have.
    lines: usize,
    /// Hosts that changed since they were last saved, where there is a state file.
    unsaved: BTreeSet<HostKey>,
    /// Whether there is a state file.
    has_file: bool,
    /// Hosts that are to be looked up there, each with the number of the question.
    to_recall: BTreeMap<HostKey, u64>,
    recalls: u64,
    /// What is to be noted in the file of silences that were told, and of those that ended.
    silences: BTreeMap<HostKey, Option<Timestamp>>,
    /// Hosts that had to leave, while ledgers still hold what they show.
    leaving: HashMap<HostKey, Box<Known>>,
    /// Of hosts that have left, what was not saved.
    left: Vec<Unsaved>,
    dropped: u64,
}

impl Hosts {
    /// Takes up what the state file has of a host from earlier runs, and its last evidence when its silence was told.
    pub fn begin_with(
        &mut self,
        host: HostKey,
        record: HostRecord,
        silence_told: Option<Timestamp>,
        signatures: &SignatureSet,
    ) {
        self.lines += record.line_count();
        let known = self.known(host);
        known.bytes_told = record.bytes();
        known.since = Some(record.first_seen());
        known.before = Some(Arc::new(record));
        known.silence_told = silence_told;
        if let Some((verdict, role)) = known.standing(signatures) {
            (known.verdict, known.role) = (Some(verdict), Some(role));
        }
        self.trim_lines(signatures);
        // Those that found no room are still in the file.
        self.dropped += self.leaving.drain().count() as u64;
    }

    /// From now on what leaves is saved in the state file, and looked up there.
    pub const fn rely_on_file(&mut self) {
        self.has_file = true;
    }

    /// Notes the latest alert of a host. Says what it is to those who know the host.
    pub fn note(&mut self, host: HostKey, alert: &Alert, interface: u32) -> Novelty {
        let known = self.known(host);
        known.since = known.since.or(Some(alert.at));
        if known.verdict != Some(Verdict::Confirmed) {
            known.alert = Some((Box::new(alert.clone()), interface));
        }
        known.novelty(alert)
    }

    /// What an alert that was noted is to those who know the host now.
    #[must_use]
    pub fn novelty(&self, host: &HostKey, alert: &Alert) -> Novelty {
        self.hosts.get(host).map_or(Novelty::New, |known| known.novelty(alert))
    }

    /// Since when a host is known: its first evidence, in whichever run of the sensor.
    #[must_use]
    pub fn known_since(&self, host: &HostKey) -> Option<Timestamp> {
        self.hosts.get(host)?.since
    }

    /// Takes the record that the ledger of `interface` now has of a host. Says so if it adds up to more than before; the first verdict is
    /// no rise, since the first alert tells of it.
    pub fn update(
        &mut self,
        host: HostKey,
        record: HostRecord,
        interface: u32,
        signatures: &SignatureSet,
    ) -> Option<Rise> {
        self.change(host, signatures, |known| known.put(interface, record))
    }

    /// Notes that the ledger of `interface` begins a host's record anew, and that this is what it was. Says so if it adds up to more than
    /// before.
    pub fn retire(
        &mut self,
        host: HostKey,
        record: HostRecord,
        interface: u32,
        signatures: &SignatureSet,
    ) -> Option<Rise> {
        let rise = self.change(host, signatures, |known| {
            known.now.retain(|&(number, _)| number != interface);
            match &mut known.before {
                Some(before) => Arc::make_mut(before).merge(record, signatures),
                None => known.before = Some(Arc::new(record)),
            }
        });
        if self.has_file {
            self.unsaved.insert(host);
        }
        rise
    }

    /// Changes what is known of a host, keeps the bound on lines, and has it saved if there is evidence.
    fn change(&mut self, host: HostKey, signatures: &SignatureSet, change: impl FnOnce(&mut Known)) -> Option<Rise> {
        let known = self.known(host);
        let before = known.line_count();
        change(known);
        let after = known.line_count();
        let has_evidence = known.line_count() > 0;
        let rise = known.rise(signatures);
        self.lines = self.lines + after - before;
        if has_evidence && self.has_file {
            self.unsaved.insert(host);
        }
        self.trim_lines(signatures);
        rise
    }

    /// Bytes that the host's flows with evidence carried since this was asked last.
    pub fn bytes_since(&mut self, host: &HostKey) -> u64 {
        let Some(known) = self.hosts.get_mut(host) else { return 0 };
        let bytes = known.records().map(HostRecord::bytes).fold(0, u64::saturating_add);
        bytes.saturating_sub(std::mem::replace(&mut known.bytes_told, bytes))
    }

    /// Hosts with evidence.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.hosts.values().filter(|known| known.verdict.is_some()).count() as u64
    }

    /// Hosts that were forgotten, since there were too many.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// All hosts as they are now. Takes no more than a moment, however many there are: what they add up to is left to who lists them.
    #[must_use]
    pub fn listed(&self) -> Listed {
        let records = |known: &Known| known.shared().cloned().collect();
        self.hosts.iter().map(|(host, known)| (*host, known.verdict, records(known))).collect()
    }

    /// The first `most` hosts with evidence: strongest verdict first, then by address, then by tenant.
    #[must_use]
    pub fn first_findings(&self, most: usize, signatures: &SignatureSet) -> Vec<HostFinding> {
        let listed = self.listed();
        let briefs = listed.briefs(signatures);
        briefs.iter().take(most).filter_map(|brief| listed.finding(brief.at, signatures)).collect()
    }

    /// What was found of one host.
    #[must_use]
    pub fn finding(&self, host: &HostKey, signatures: &SignatureSet) -> Option<HostFinding> {
        let known = self.hosts.get(host)?;
        let listed: Listed = std::iter::once((*host, known.verdict, known.shared().cloned().collect())).collect();
        listed.finding(listed.briefs(signatures).first()?.at, signatures)
    }

    fn known(&mut self, host: HostKey) -> &mut Known {
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&host) {
            self.forget();
        }
        match self.hosts.entry(host) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                // One that has not quite left is there again, with all that was known.
                let known = self.leaving.remove(&host).unwrap_or_else(|| {
                    let mut known = Box::<Known>::default();
                    // As long as nobody had to leave, memory has all that the file has.
                    if self.has_file && self.dropped > 0 {
                        self.recalls += 1;
                        self.to_recall.insert(host, self.recalls);
                        known.recall = Some(self.recalls);
                    }
                    known
                });
                self.lines += known.line_count();
                entry.insert(known)
            }
        }
    }
}
