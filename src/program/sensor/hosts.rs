//! What is known of each host: what each interface shows now, and what was known before.
//!
//! Memory holds a bounded number of hosts, the state file all of them. One that had to leave memory and shows itself again is *recalled* out of
//! the file, which takes a moment; until then nobody knows whether it is news, and it is not saved over what the file has.

use super::listed::Listed;
use crate::web::HostList;
use kaspector::capture::Timestamp;
use kaspector::matching::{Alert, HostFinding, HostKey, HostRecord, SignatureSet, Verdict};
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Hosts that are kept.
pub const HOSTS_MAX: usize = 1 << 17;

/// Lines of evidence of all hosts together, above which the weakest hosts keep only a few.
const LINES_MAX: usize = 1 << 19;
/// Lines that those keep: at first, and should that not be enough.
const LINES_FEW: [usize; 2] = [4, 1];

/// All hosts with evidence.
#[derive(Debug, Default)]
pub struct Hosts {
    hosts: HashMap<HostKey, Known>,
    /// Lines of evidence that they have.
    lines: usize,
    /// Hosts that changed since they were last saved.
    unsaved: BTreeSet<HostKey>,
    /// Whether there is a state file.
    has_file: bool,
    /// Hosts that are to be looked up there, each with the number of the question.
    to_recall: BTreeMap<HostKey, u64>,
    recalls: u64,
    /// Hosts that had to leave, while ledgers still hold what they show.
    leaving: HashMap<HostKey, Known>,
    /// Of hosts that have left, what was not saved.
    left: Vec<Unsaved>,
    dropped: u64,
}

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

/// Whether there is evidence, what it adds up to, and when there was some last.
type Standing = (bool, Reverse<Option<Verdict>>, Timestamp);

/// One of them.
#[derive(Debug, Default)]
struct Known {
    /// From earlier runs, and what a ledger had no more room for.
    before: Option<Arc<HostRecord>>,
    /// What the ledger of each interface holds, by interface. Nearly always of one.
    now: Vec<(u32, Arc<HostRecord>)>,
    verdict: Option<Verdict>,
    /// The first evidence of it that anybody knows of.
    since: Option<Timestamp>,
    /// The latest alert and its interface, as long as the verdict can rise.
    alert: Option<(Box<Alert>, u32)>,
    /// Bytes when a summary told of the host last.
    bytes_told: u64,
    /// The question that is to say what the file has of it.
    recall: Option<u64>,
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

impl Hosts {
    /// Takes up what the state file has of a host from earlier runs.
    pub fn begin_with(&mut self, host: HostKey, record: HostRecord, signatures: &SignatureSet) {
        self.lines += record.line_count();
        let known = self.known(host);
        known.bytes_told = record.bytes();
        known.since = Some(record.first_seen());
        known.before = Some(Arc::new(record));
        known.verdict = known.verdict(signatures);
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
        let known = self.known(host);
        let before = known.line_count();
        known.put(interface, record);
        let after = known.line_count();
        let has_evidence = known.verdict(signatures).is_some();
        let rise = known.rise(signatures);
        self.lines = self.lines + after - before;
        if has_evidence {
            self.unsaved.insert(host);
        }
        self.trim_lines(signatures);
        rise
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
        let known = self.known(host);
        let before = known.line_count();
        known.now.retain(|&(number, _)| number != interface);
        match &mut known.before {
            Some(before) => Arc::make_mut(before).merge(record, signatures),
            None => known.before = Some(Arc::new(record)),
        }
        let rise = known.rise(signatures);
        let after = known.line_count();
        self.lines = self.lines + after - before;
        self.unsaved.insert(host);
        self.trim_lines(signatures);
        rise
    }

    /// Bytes that the host's flows with evidence carried since this was asked last.
    pub fn bytes_since(&mut self, host: &HostKey) -> u64 {
        let Some(known) = self.hosts.get_mut(host) else { return 0 };
        let bytes = known.records().map(HostRecord::bytes).fold(0, u64::saturating_add);
        bytes.saturating_sub(std::mem::replace(&mut known.bytes_told, bytes))
    }

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

    /// Has the eighth with the weakest verdicts leave, and of those the ones that showed nothing for longest.
    fn forget(&mut self) {
        for (_, host) in self.weakest_first().into_iter().take(HOSTS_MAX / 8) {
            if let Some(known) = self.hosts.remove(&host) {
                self.lines -= known.line_count();
                self.leaving.insert(host, known);
            }
        }
    }

    /// All hosts: weaker verdicts first, and of those the ones that showed nothing for longest.
    fn weakest_first(&self) -> Vec<(Standing, HostKey)> {
        let last_seen = |known: &Known| known.records().map(HostRecord::last_seen).max().unwrap_or_default();
        let rank = |known: &Known| (known.verdict.is_some(), Reverse(known.verdict), last_seen(known));
        let mut ranked: Vec<_> = self.hosts.iter().map(|(host, known)| (rank(known), *host)).collect();
        ranked.sort_unstable();
        ranked
    }

    /// Drops lines of the weakest hosts once there are too many.
    fn trim_lines(&mut self, signatures: &SignatureSet) {
        if self.lines <= LINES_MAX {
            return;
        }
        let ranked = self.weakest_first();
        for lines_max in LINES_FEW {
            for (_, host) in &ranked {
                if self.lines <= LINES_MAX / 4 * 3 {
                    return;
                }
                if let Some(known) = self.hosts.get_mut(host) {
                    self.lines -= known.records_mut().map(|record| record.trim(lines_max, signatures)).sum::<usize>();
                }
            }
        }
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
                    let mut known = Known::default();
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

impl Known {
    fn novelty(&self, alert: &Alert) -> Novelty {
        match &self.before {
            Some(before) if before.shows(alert.indicator, alert.seen_as) => Novelty::Known,
            _ if self.recall.is_some() => Novelty::Unclear,
            _ => Novelty::New,
        }
    }

    fn unsaved(&self, host: HostKey, signatures: &SignatureSet) -> Option<Unsaved> {
        Some(Unsaved { host, record: self.merged(signatures)?, is_whole: self.recall.is_none() })
    }

    fn put(&mut self, interface: u32, record: HostRecord) {
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
    fn verdict(&self, signatures: &SignatureSet) -> Option<Verdict> {
        let standing = match (&self.before, &*self.now) {
            (None, [(_, record)]) => record.standing(signatures),
            _ => self.merged(signatures)?.standing(signatures),
        };
        standing.map(|(verdict, ..)| verdict)
    }

    /// Takes up what all that is known adds up to; says so if it is more than before.
    fn rise(&mut self, signatures: &SignatureSet) -> Option<Rise> {
        let verdict = self.verdict(signatures)?;
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

    fn line_count(&self) -> usize {
        self.records().map(HostRecord::line_count).sum()
    }

    fn records_mut(&mut self) -> impl Iterator<Item = &mut HostRecord> {
        self.before.iter_mut().chain(self.now.iter_mut().map(|(_, record)| record)).map(Arc::make_mut)
    }

    fn records(&self) -> impl Iterator<Item = &HostRecord> {
        self.shared().map(|record| &**record)
    }

    fn shared(&self) -> impl Iterator<Item = &Arc<HostRecord>> {
        self.before.iter().chain(self.now.iter().map(|(_, record)| record))
    }

    /// All records of the host as one.
    fn merged(&self, signatures: &SignatureSet) -> Option<HostRecord> {
        self.records().cloned().reduce(|mut earlier, later| {
            earlier.merge(later, signatures);
            earlier
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use kaspector::decode::Zone;
    use kaspector::matching::{Field, SeenAs};
    use kaspector_report::samples;
    use std::net::Ipv4Addr;

    fn host(number: u32) -> HostKey {
        HostKey { address: Ipv4Addr::from(0x0a00_0000 + number).into(), zone: Zone::default() }
    }

    /// A record with one piece of evidence, seen so closely at that time.
    fn record(number: u32, seen_as: SeenAs, at: u64, signatures: &SignatureSet) -> (Alert, HostRecord) {
        let mut alert = Alert { at: Timestamp(at), seen_as, ..samples::tls() };
        alert.flow.client = host(number).address;
        let mut record = HostRecord::default();
        record.add(&alert, 0, 64, signatures);
        (alert, record)
    }

    #[test]
    fn a_verdict_that_rises_is_told_once_and_a_first_one_is_not() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        let (alert, lookup) = record(1, SeenAs::Lookup, 1, &signatures);
        hosts.note(host(1), &alert, 0);
        assert!(hosts.update(host(1), lookup, 0, &signatures).is_none());
        let (alert, contact) = record(1, SeenAs::Contact, 2, &signatures);
        hosts.note(host(1), &alert, 1);
        let rise = hosts.update(host(1), contact.clone(), 1, &signatures).unwrap();
        assert_eq!((rise.from, rise.to, rise.interface), (Verdict::Suspected, Verdict::Confirmed, 1));
        assert!(hosts.update(host(1), contact, 1, &signatures).is_none());
        assert_eq!(hosts.first_findings(9, &signatures)[0].evidence.len(), 2, "both interfaces");
    }

    #[test]
    fn what_an_earlier_run_knew_is_no_first_sight() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        let (lookup, known) = record(1, SeenAs::Lookup, 5, &signatures);
        hosts.begin_with(host(1), known, &signatures);
        let later = |alert: &Alert| Alert { at: Timestamp(99), ..alert.clone() };
        assert_eq!(hosts.note(host(1), &later(&lookup), 0), Novelty::Known);
        let (contact, _) = record(1, SeenAs::Contact, 9, &signatures);
        assert_eq!(hosts.note(host(1), &later(&contact), 0), Novelty::New, "closer than before");
        assert_eq!(hosts.known_since(&host(1)), Some(Timestamp(5)));
        let (other, _) = record(2, SeenAs::Lookup, 7, &signatures);
        assert_eq!(hosts.note(host(2), &other, 0), Novelty::New);
        assert_eq!(hosts.note(host(2), &later(&other), 0), Novelty::New, "of this run");
        assert_eq!(hosts.known_since(&host(2)), Some(Timestamp(7)));
    }

    #[test]
    fn what_left_a_ledger_is_still_known() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        let (_, contact) = record(1, SeenAs::Contact, 1, &signatures);
        hosts.update(host(1), contact.clone(), 0, &signatures);
        hosts.retire(host(1), contact, 0, &signatures);
        let (_, lookup) = record(1, SeenAs::Lookup, 2, &signatures);
        assert!(hosts.update(host(1), lookup, 0, &signatures).is_none());
        let found = hosts.first_findings(9, &signatures);
        assert_eq!((found[0].verdict, found[0].evidence.len()), (Verdict::Confirmed, 2));
        assert_eq!(hosts.take_unsaved(&signatures).len(), 1);
        assert!(hosts.take_unsaved(&signatures).is_empty());
    }

    #[test]
    fn the_weakest_and_oldest_make_room() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        let (_, strong) = record(0, SeenAs::Contact, 0, &signatures);
        let (_, weak) = record(0, SeenAs::Lookup, 9, &signatures);
        hosts.update(host(0), strong, 0, &signatures);
        for number in 1..=u32::try_from(HOSTS_MAX).unwrap() {
            hosts.hosts.insert(host(number), Known { verdict: Some(Verdict::Suspected), ..Known::default() });
        }
        hosts.update(host(u32::MAX >> 8), weak, 0, &signatures);
        hosts.leave(&signatures);
        assert_eq!(hosts.dropped(), (HOSTS_MAX / 8) as u64);
        assert!(hosts.hosts.contains_key(&host(0)), "old, and confirmed");
        assert!(hosts.hosts.contains_key(&host(u32::MAX >> 8)));
    }

    /// As many hosts as make room for one more, each weaker than a confirmed one.
    fn fill(hosts: &mut Hosts, signatures: &SignatureSet) {
        let (_, weak) = record(0, SeenAs::Lookup, 9, signatures);
        for number in 1_000..1_000 + u32::try_from(HOSTS_MAX).unwrap() {
            hosts.update(host(number), weak.clone(), 0, signatures);
        }
        hosts.leave(signatures);
    }

    #[test]
    fn a_host_that_left_is_recalled_and_nothing_of_it_is_saved_over() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        hosts.rely_on_file();
        let (lookup, first) = record(1, SeenAs::Lookup, 5, &signatures);
        assert_eq!(hosts.note(host(1), &lookup, 0), Novelty::New);
        hosts.update(host(1), first, 0, &signatures);
        fill(&mut hosts, &signatures);
        let left = hosts.take_unsaved(&signatures);
        let stored = left.iter().find(|unsaved| unsaved.host == host(1)).unwrap();
        assert!(stored.is_whole && !hosts.hosts.contains_key(&host(1)), "it left, and is saved all the same");
        // The same again, and something that the file does not have.
        let (lookup, later) = record(1, SeenAs::Lookup, 50, &signatures);
        assert_eq!(hosts.note(host(1), &lookup, 0), Novelty::Unclear);
        let (contact, _) = record(1, SeenAs::Contact, 51, &signatures);
        hosts.note(host(1), &contact, 0);
        hosts.update(host(1), later, 0, &signatures);
        assert!(hosts.take_unsaved(&signatures).is_empty(), "it would take the place of what the file has");
        let asked = hosts.take_to_recall();
        assert_eq!(asked.iter().map(|(host, _)| *host).collect::<Vec<_>>(), [host(1)]);
        let question = asked[0].1;
        assert!(hosts.recalled(&host(1), question + 1, Some(stored.record.clone()), &signatures).is_none());
        assert_eq!(hosts.novelty(&host(1), &lookup), Novelty::Unclear, "the answer to another question");
        hosts.recalled(&host(1), question, Some(stored.record.clone()), &signatures);
        assert_eq!(hosts.novelty(&host(1), &lookup), Novelty::Known);
        assert_eq!(hosts.novelty(&host(1), &contact), Novelty::New);
        assert_eq!(hosts.known_since(&host(1)), Some(Timestamp(5)));
        let saved = hosts.take_unsaved(&signatures);
        let counts: Vec<_> = saved.iter().map(|unsaved| (unsaved.host, unsaved.is_whole)).collect();
        assert_eq!(counts, [(host(1), true)]);
        assert_eq!(saved[0].record.to_stored(&signatures).lines[0].count, 2, "both times");
    }

    #[test]
    fn what_nobody_could_recall_is_added_to_the_file_at_the_end() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        hosts.rely_on_file();
        fill(&mut hosts, &signatures);
        hosts.update(host(999_999), record(0, SeenAs::Lookup, 9, &signatures).1, 0, &signatures);
        hosts.leave(&signatures);
        assert!(hosts.dropped() > 0);
        hosts.take_unsaved(&signatures);
        hosts.update(host(1), record(1, SeenAs::Contact, 10, &signatures).1, 0, &signatures);
        let last = hosts.take_last_unsaved(&signatures);
        assert_eq!(last.iter().map(|one| (one.host, one.is_whole)).collect::<Vec<_>>(), [(host(1), false)]);
    }

    #[test]
    fn one_that_comes_again_while_it_leaves_keeps_what_was_known() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        hosts.rely_on_file();
        let (lookup, first) = record(1, SeenAs::Lookup, 5, &signatures);
        hosts.note(host(1), &lookup, 0);
        hosts.update(host(1), first, 0, &signatures);
        let (_, weak) = record(0, SeenAs::Lookup, 9, &signatures);
        for number in 1_000..1_000 + u32::try_from(HOSTS_MAX).unwrap() {
            hosts.update(host(number), weak.clone(), 0, &signatures);
        }
        assert!(hosts.leaving().contains(&host(1)));
        hosts.note(host(1), &lookup, 0);
        assert!(!hosts.leaving().contains(&host(1)) && hosts.take_to_recall().is_empty());
        assert_eq!(hosts.known_since(&host(1)), Some(Timestamp(5)));
    }

    #[test]
    fn what_hosts_are_sorted_by_is_what_their_findings_say() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        for number in 1..=9 {
            let seen_as = if number % 2 == 0 { SeenAs::Contact } else { SeenAs::Lookup };
            let (alert, mut found) = record(number, seen_as, u64::from(number) + 5, &signatures);
            found.add_flow(u64::from(number), 1);
            if number % 3 == 0 {
                found.asked_by_others(alert.field, &alert.observed, 9);
                found.asked_by_others(Field::DnsQuery, &alert.observed, 9);
            }
            hosts.update(host(number), found, 0, &signatures);
            let (_, before) = record(number, SeenAs::Contact, 3, &signatures);
            if number > 6 {
                hosts.retire(host(number), before, 1, &signatures);
            }
        }
        let listed = hosts.listed();
        let briefs = listed.briefs(&signatures);
        assert_eq!(briefs.len(), 9);
        for brief in &briefs {
            let found = listed.finding(brief.at, &signatures).unwrap();
            let said = (found.host, found.verdict, found.confidence, found.first_seen, found.last_seen);
            assert_eq!((brief.host, brief.verdict, brief.confidence, brief.first_seen, brief.last_seen), said);
            assert_eq!(brief.bytes, found.bytes_sent + found.bytes_received);
        }
        let order: Vec<_> =
            hosts.first_findings(9, &signatures).iter().map(|found| (found.verdict, found.host)).collect();
        assert!(order.is_sorted() && order.first().unwrap().0 < order.last().unwrap().0);
    }

    #[test]
    fn a_list_stays_as_it_was_when_a_host_goes_on() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        hosts.retire(host(1), record(1, SeenAs::Lookup, 1, &signatures).1, 0, &signatures);
        let listed = hosts.listed();
        hosts.retire(host(1), record(1, SeenAs::Contact, 2, &signatures).1, 0, &signatures);
        let lines = |listed: &Listed| listed.finding(0, &signatures).unwrap().evidence.len();
        assert_eq!((lines(&listed), lines(&hosts.listed())), (1, 2));
    }
}
