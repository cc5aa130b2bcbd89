//! What is known of each host: what each interface shows now, and what was known before.

use crate::capture::Timestamp;
use crate::matching::{Alert, HostFinding, HostKey, HostRecord, NextHops, SignatureSet, Verdict};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

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
    given_up: u64,
}

/// Whether there is evidence, what it adds up to, and when there was some last.
type Standing = (bool, Reverse<Option<Verdict>>, Timestamp);

/// One of them.
#[derive(Debug, Default)]
struct Known {
    /// From earlier runs, and what a ledger had no more room for.
    before: Option<Box<HostRecord>>,
    /// What the ledger of each interface holds, by interface. Nearly always of one.
    now: Vec<(u32, HostRecord)>,
    verdict: Option<Verdict>,
    /// The first evidence of it that anybody knows of.
    since: Option<Timestamp>,
    /// The latest alert and its interface, as long as the verdict can rise.
    alert: Option<(Box<Alert>, u32)>,
    /// Bytes when a summary told of the host last.
    bytes_told: u64,
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
    /// Takes up what is known from earlier runs.
    pub fn begin_with(&mut self, records: impl IntoIterator<Item = (HostKey, HostRecord)>, signatures: &SignatureSet) {
        for (host, record) in records {
            self.lines += record.line_count();
            let known = self.known(host);
            known.bytes_told = record.bytes();
            known.since = Some(record.first_seen());
            known.before = Some(Box::new(record));
            known.verdict = known.verdict(signatures);
        }
    }

    /// Notes the latest alert of a host. Says whether the host showed the same, as closely, before this run.
    pub fn note(&mut self, host: HostKey, alert: &Alert, interface: u32) -> bool {
        let known = self.known(host);
        known.since = known.since.or(Some(alert.at));
        if known.verdict != Some(Verdict::Confirmed) {
            known.alert = Some((Box::new(alert.clone()), interface));
        }
        known.before.as_ref().is_some_and(|before| before.shows(alert.indicator, alert.seen_as))
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
            Some(before) => before.merge(record, signatures),
            None => known.before = Some(Box::new(record)),
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

    /// Hosts that changed since the last call, each with all that is known of it.
    pub fn take_unsaved(&mut self, signatures: &SignatureSet) -> Vec<(HostKey, HostRecord)> {
        let hosts = std::mem::take(&mut self.unsaved);
        hosts.into_iter().filter_map(|host| Some((host, self.hosts.get(&host)?.merged(signatures)?))).collect()
    }

    /// All hosts, for a file that has none of them.
    pub fn take_all(&mut self, signatures: &SignatureSet) -> Vec<(HostKey, HostRecord)> {
        self.unsaved.extend(self.hosts.keys());
        self.take_unsaved(signatures)
    }

    /// Notes that hosts that were taken have not been saved.
    pub fn not_saved(&mut self, hosts: impl IntoIterator<Item = HostKey>) {
        self.unsaved.extend(hosts);
    }

    /// Hosts with evidence.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.hosts.values().filter(|known| known.verdict.is_some()).count() as u64
    }

    /// Hosts that were forgotten, since there were too many.
    #[must_use]
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// The hosts with evidence: strongest verdict first, then by address, then by tenant.
    #[must_use]
    pub fn findings(&self, signatures: &SignatureSet) -> Vec<HostFinding> {
        let links = self
            .hosts
            .iter()
            .flat_map(|(host, known)| known.records().flat_map(HostRecord::link_addresses).map(|link| (*host, link)));
        let hops = NextHops::among(links);
        let finding =
            |(host, known): (&HostKey, &Known)| known.merged(signatures)?.finding_among(*host, signatures, &hops);
        let mut all: Vec<_> = self.hosts.iter().filter_map(finding).collect();
        all.sort_by_key(|finding| (finding.verdict, finding.host));
        all
    }

    /// Forgets the eighth with the weakest verdicts, and of those the ones that showed nothing for longest. What a state file has of them
    /// stays there until they show themselves again.
    fn forget(&mut self) {
        for (_, host) in self.weakest_first().into_iter().take(HOSTS_MAX / 8) {
            if let Some(known) = self.hosts.remove(&host) {
                self.lines -= known.line_count();
            }
            self.unsaved.remove(&host);
            self.given_up += 1;
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

    /// Has the weakest hosts give up lines once there are too many.
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
        self.hosts.entry(host).or_default()
    }
}

impl Known {
    fn put(&mut self, interface: u32, record: HostRecord) {
        match self.now.binary_search_by_key(&interface, |&(number, _)| number) {
            Ok(at) => {
                if let Some((_, known)) = self.now.get_mut(at) {
                    *known = record;
                }
            }
            Err(at) => {
                self.now.reserve_exact(1);
                self.now.insert(at, (interface, record));
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
        self.before.as_deref_mut().into_iter().chain(self.now.iter_mut().map(|(_, record)| record))
    }

    fn records(&self) -> impl Iterator<Item = &HostRecord> {
        self.before.as_deref().into_iter().chain(self.now.iter().map(|(_, record)| record))
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
    use crate::decode::Zone;
    use crate::matching::SeenAs;
    use crate::sink::samples;
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
        assert_eq!(hosts.findings(&signatures)[0].evidence.len(), 2, "both interfaces");
    }

    #[test]
    fn what_an_earlier_run_knew_is_no_first_sight() {
        let signatures = SignatureSet::builtin();
        let mut hosts = Hosts::default();
        let (lookup, known) = record(1, SeenAs::Lookup, 5, &signatures);
        hosts.begin_with([(host(1), known)], &signatures);
        let later = |alert: &Alert| Alert { at: Timestamp(99), ..alert.clone() };
        assert!(hosts.note(host(1), &later(&lookup), 0));
        let (contact, _) = record(1, SeenAs::Contact, 9, &signatures);
        assert!(!hosts.note(host(1), &later(&contact), 0), "closer than before");
        assert_eq!(hosts.known_since(&host(1)), Some(Timestamp(5)));
        let (other, _) = record(2, SeenAs::Lookup, 7, &signatures);
        assert!(!hosts.note(host(2), &other, 0));
        assert!(!hosts.note(host(2), &later(&other), 0), "of this run");
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
        let found = hosts.findings(&signatures);
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
        assert_eq!(hosts.given_up(), (HOSTS_MAX / 8) as u64);
        assert!(hosts.hosts.contains_key(&host(0)), "old, and confirmed");
        assert!(hosts.hosts.contains_key(&host(u32::MAX >> 8)));
    }
}
