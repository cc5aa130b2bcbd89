//! What goes from memory to the state file, and comes back from there.

use super::Hosts;
use super::bounds::HOSTS_MAX;
use super::known::Rise;
use kaspector::matching::{HostKey, HostRecord, Label, SignatureSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Hosts that have left and wait to be saved; what finds no room is lost, and counted with those that were forgotten.
const LEFT_MAX: usize = HOSTS_MAX / 2;

/// A host that is to be saved.
#[derive(Clone, Debug)]
pub struct Unsaved {
    /// Which host.
    pub host: HostKey,
    /// What is known of it.
    pub record: HostRecord,
    /// Whether that is all. Otherwise the file may have more, to which it is to be added.
    pub is_whole: bool,
    /// What it is called.
    pub labels: Vec<Label>,
}

impl Hosts {
    /// Hosts that changed since the last call, each with all that is known of it; those that are being recalled come later.
    pub fn take_unsaved(&mut self, signatures: &SignatureSet) -> Vec<Unsaved> {
        let is_clear = |host: &HostKey| self.hosts.get(host).is_none_or(|known| known.recall.is_none());
        let (clear, unclear) = std::mem::take(&mut self.unsaved).into_iter().partition(is_clear);
        self.unsaved = unclear;
        self.collect_unsaved(clear, signatures)
    }

    /// The same for the last time: also those that are being recalled.
    pub fn take_last_unsaved(&mut self, signatures: &SignatureSet) -> Vec<Unsaved> {
        let all = std::mem::take(&mut self.unsaved);
        self.collect_unsaved(all, signatures)
    }

    fn collect_unsaved(&mut self, hosts: BTreeSet<HostKey>, signatures: &SignatureSet) -> Vec<Unsaved> {
        let mut all = std::mem::take(&mut self.left);
        all.extend(hosts.into_iter().filter_map(|host| self.hosts.get(&host)?.unsaved(host, signatures)));
        all
    }

    /// All hosts, for a file that has none of them.
    pub fn take_all(&mut self, signatures: &SignatureSet) -> Vec<Unsaved> {
        self.unsaved.extend(self.hosts.keys());
        self.take_unsaved(signatures)
    }

    /// Notes that what was taken has not been saved.
    pub fn not_saved(&mut self, refused: impl IntoIterator<Item = Unsaved>) {
        for unsaved in refused {
            if unsaved.is_whole && self.hosts.get(&unsaved.host).is_some_and(|known| known.recall.is_none()) {
                self.unsaved.insert(unsaved.host);
            } else if self.left.len() < LEFT_MAX {
                self.left.push(unsaved);
            }
        }
    }

    /// Hosts that are to be looked up in the file, each with the number of the question.
    pub fn take_to_recall(&mut self) -> Vec<(HostKey, u64)> {
        std::mem::take(&mut self.to_recall).into_iter().collect()
    }

    /// Notes that nobody has looked for these.
    pub fn not_recalled(&mut self, refused: impl IntoIterator<Item = (HostKey, u64)>) {
        self.to_recall.extend(refused);
    }

    /// Takes up what the file has of a host, the answer to that question. Says so if what the host has shown meanwhile adds up to more.
    pub fn recalled(
        &mut self,
        host: &HostKey,
        question: u64,
        record: Option<HostRecord>,
        signatures: &SignatureSet,
    ) -> Option<Rise> {
        let known = self.hosts.get_mut(host).filter(|known| known.recall == Some(question))?;
        known.recall = None;
        let mut record = record?;
        let lines_before = known.line_count();
        known.bytes_told = known.bytes_told.saturating_add(record.bytes());
        known.since = Some(known.since.map_or(record.first_seen(), |since| since.min(record.first_seen())));
        known.verdict = record.standing(signatures).map(|(verdict, ..)| verdict);
        if let Some(later) = known.before.take() {
            record.merge(Arc::unwrap_or_clone(later), signatures);
        }
        known.before = Some(Arc::new(record));
        let rise = known.rise(signatures);
        self.lines = self.lines + known.line_count() - lines_before;
        self.trim_lines(signatures);
        rise
    }

    /// Hosts that had to leave, and are to leave the ledgers, too.
    #[must_use]
    pub fn leaving(&self) -> Vec<HostKey> {
        self.leaving.keys().copied().collect()
    }

    /// Whether hosts are to leave the ledgers.
    #[must_use]
    pub fn are_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Notes that the ledgers hold nothing of them any more. What was not saved of them is to be saved.
    pub fn leave(&mut self, signatures: &SignatureSet) {
        for (host, known) in std::mem::take(&mut self.leaving) {
            self.dropped += 1;
            self.to_recall.remove(&host);
            if self.unsaved.remove(&host) && self.left.len() < LEFT_MAX {
                self.left.extend(known.unsaved(host, signatures));
            }
        }
    }

    /// Whether so many hosts have left that saving them should not wait.
    #[must_use]
    pub const fn is_crowded(&self) -> bool {
        self.left.len() >= LEFT_MAX / 4
    }
}
