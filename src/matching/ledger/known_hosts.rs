//! The hosts of one ledger, within bounds: the weakest are evicted first.

use crate::matching::bound::weakest_beyond;
use crate::matching::host_record::{ASKED_NAMES_MAX, HostRecord, LINES_MAX, Standing};
use crate::matching::{Alert, Field, HostKey, LinkAddress, SignatureSet};
use foldhash::fast::FixedState;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Hosts with evidence that are kept.
pub const HOSTS_MAX: usize = 1 << 16;
/// Hosts without evidence that are kept because others asked them for something: what they do for others must not be taken for theirs.
pub const ASKED_MAX: usize = 1 << 13;
/// Hosts that may be there until the weakest go, all at once: one by one each would cost a look at all others, and a host that comes has
/// time to show more than the others.
const HOSTS_CROWDED: usize = HOSTS_MAX + HOSTS_MAX / 4;
/// Lines of evidence of all hosts together, above which the weakest hosts keep only a few.
const LINES_IN_ALL_MAX: usize = 1 << 18;
/// How many lines are left then.
const LINES_IN_ALL_LEFT: usize = LINES_IN_ALL_MAX / 4 * 3;
/// Lines that those hosts keep: at first, and should that not be enough.
const LINES_FEW: [usize; 2] = [4, 1];
/// Names that hosts were asked for, of all hosts together, above which each keeps only [`NAMES_FEW`].
const NAMES_IN_ALL_MAX: usize = 1 << 18;
/// Names kept per host from then on. A host that was asked for more is taken to do all of it for others.
const NAMES_FEW: usize = 16;
/// Hosts that wait to be taken elsewhere; see [`KnownHosts::make_room`].
const RETIRED_MAX: usize = HOSTS_MAX;

/// Records by host.
#[derive(Debug, Default)]
pub struct KnownHosts {
    hosts: HashMap<HostKey, HostRecord, FixedState>,
    /// Hosts whose record changed since they were last asked for, and those that had to go; only where somebody asks.
    noted: Option<Noted>,
    /// Lines of evidence that all hosts together have.
    lines: usize,
    /// Names that others asked them for.
    names: usize,
    dropped: u64,
    asked_dropped: u64,
    /// Hosts that were asked for more names than are kept.
    asked_too_much: u64,
    /// Lines that hosts had lost that are not here any more.
    lines_dropped: u64,
    /// Link-layer addresses likewise.
    links_dropped: u64,
}

#[derive(Debug, Default)]
struct Noted {
    changed: HashSet<HostKey, FixedState>,
    retired: Vec<(HostKey, HostRecord)>,
}

impl KnownHosts {
    /// Notes from now on whose record changes, and keeps records that have to go until they are taken.
    pub fn note_changes(&mut self) {
        self.noted = Some(Noted::default());
    }

    /// The record of a host that is known, to be changed.
    pub fn known(&mut self, host: &HostKey) -> Option<&mut HostRecord> {
        let record = self.hosts.get_mut(host)?;
        if let Some(noted) = &mut self.noted {
            noted.changed.insert(*host);
        }
        Some(record)
    }

    /// Adds a piece of evidence of `host`, which was seen with the link-layer address `link`.
    pub fn add(
        &mut self,
        host: HostKey,
        alert: &Alert,
        link: Option<LinkAddress>,
        input: u32,
        signatures: &SignatureSet,
    ) {
        if self.lines >= LINES_IN_ALL_MAX {
            self.trim_lines(signatures);
        }
        let record = self.record(host, signatures);
        if let Some(link) = link {
            record.note_link_address(link);
        }
        let before = record.line_count();
        record.add(alert, input, LINES_MAX, signatures);
        let after = record.line_count();
        self.lines = self.lines + after - before;
    }

    /// Notes that others asked `host` for `name`.
    pub fn asked_by_others(&mut self, host: HostKey, field: Field, name: &str, signatures: &SignatureSet) {
        let names_max = if self.names < NAMES_IN_ALL_MAX { ASKED_NAMES_MAX } else { NAMES_FEW };
        let record = self.record(host, signatures);
        let before = record.was_asked_too_much();
        let is_kept = record.asked_by_others(field, name, names_max);
        let after = record.was_asked_too_much();
        self.names += usize::from(is_kept);
        self.asked_too_much += u64::from(after && !before);
    }

    /// Copies of the records that changed since the last call, by host.
    pub fn take_changed(&mut self) -> Vec<(HostKey, HostRecord)> {
        let Some(noted) = &mut self.noted else { return Vec::new() };
        let changed = noted.changed.drain();
        let mut all: Vec<_> = changed.filter_map(|host| Some((host, self.hosts.get(&host)?.clone()))).collect();
        all.sort_unstable_by_key(|&(host, _)| host);
        all
    }

    /// Whether records wait for [`Self::make_room`], so many that it should not be put off.
    pub fn is_crowded(&self) -> bool {
        self.noted.as_ref().is_some_and(|noted| noted.retired.len() >= RETIRED_MAX / 4)
    }

    /// Takes the records that had to go; and once nearly as many hosts are kept as may be, the quarter that showed nothing for longest:
    /// without this, a sensor that runs for months would have no room for new ones. What is taken is to be kept elsewhere; should a host
    /// show itself again, it begins anew here.
    pub fn make_room(&mut self) -> Vec<(HostKey, HostRecord)> {
        if self.hosts.len() >= HOSTS_MAX / 8 * 7 {
            let mut by_age: Vec<_> = self.hosts.iter().map(|(host, record)| (record.last_seen(), *host)).collect();
            by_age.sort_unstable();
            by_age.truncate(HOSTS_MAX / 4);
            for (_, host) in by_age {
                self.remove(&host);
            }
        }
        self.noted.as_mut().map(|noted| std::mem::take(&mut noted.retired)).unwrap_or_default()
    }

    /// Drops what is over the bounds, for the last time.
    pub fn settle(&mut self, signatures: &SignatureSet) {
        self.trim_hosts(signatures);
    }

    /// What was dropped at a bound, under the bound's name.
    pub fn dropped(&self) -> [(&'static str, u64); 5] {
        let lines = self.hosts.values().map(HostRecord::dropped).sum::<u64>();
        let links = self.hosts.values().map(|record| u64::from(record.link_addresses_dropped())).sum::<u64>();
        [
            ("hosts", self.dropped),
            ("asked_hosts", self.asked_dropped),
            ("asked_names", self.asked_too_much),
            ("evidence_lines", self.lines_dropped + lines),
            ("link_addresses", self.links_dropped + links),
        ]
    }

    /// How `host` stands among others; `None` without evidence.
    pub fn standing(&self, host: &HostKey, signatures: &SignatureSet) -> Option<Standing> {
        self.hosts.get(host)?.standing(signatures)
    }

    /// All of them, in no order.
    pub fn into_hosts(self) -> impl Iterator<Item = (HostKey, HostRecord)> {
        self.hosts.into_iter()
    }

    /// The record of a host, made if there is none.
    fn record(&mut self, host: HostKey, signatures: &SignatureSet) -> &mut HostRecord {
        if self.hosts.len() >= HOSTS_CROWDED && !self.hosts.contains_key(&host) {
            self.trim_hosts(signatures);
        }
        if let Some(noted) = &mut self.noted {
            noted.changed.insert(host);
        }
        self.hosts.entry(host).or_default()
    }

    /// Evicts the weakest of the hosts that are too many. Of those that others asked for something, that much is kept.
    fn trim_hosts(&mut self, signatures: &SignatureSet) {
        let mut with_evidence: Vec<(Standing, HostKey)> = Vec::with_capacity(self.hosts.len());
        for (&host, record) in &self.hosts {
            with_evidence.extend(record.standing(signatures).map(|standing| (standing, host)));
        }
        for (_, host) in weakest_beyond(&mut with_evidence, HOSTS_MAX) {
            let Some(record) = self.remove(host) else { continue };
            if record.was_asked() {
                let record = record.without_evidence();
                self.names += record.asked_count();
                self.hosts.insert(*host, record);
            }
        }
        let without = self.hosts.iter().filter(|(_, record)| record.line_count() == 0);
        let mut asked: Vec<_> = without.map(|(&host, record)| (Reverse(record.asked_count()), host)).collect();
        for (_, host) in weakest_beyond(&mut asked, ASKED_MAX) {
            self.remove(host);
        }
    }

    /// Drops lines of the weakest hosts, those that stand for a host's verdict last.
    fn trim_lines(&mut self, signatures: &SignatureSet) {
        let standing = |(&host, record): (&HostKey, &HostRecord)| Some((record.standing(signatures)?, host));
        let mut ranked: Vec<_> = self.hosts.iter().filter_map(standing).collect();
        ranked.sort_unstable();
        for lines_max in LINES_FEW {
            for (_, host) in ranked.iter().rev() {
                if self.lines <= LINES_IN_ALL_LEFT {
                    return;
                }
                let Some(record) = self.hosts.get_mut(host) else { continue };
                let gone = record.trim(lines_max, signatures);
                self.lines -= gone;
                if let (Some(noted), 1..) = (&mut self.noted, gone) {
                    noted.changed.insert(*host);
                }
            }
        }
    }

    /// Takes out the record of a host that is kept elsewhere as it is here: should the host show itself again, it begins anew. What others
    /// asked it for stays.
    pub fn let_go(&mut self, host: &HostKey) {
        if let Some(record) = self.take_out(host)
            && record.was_asked()
        {
            self.names += record.asked_count();
            self.hosts.insert(*host, record.without_evidence());
        }
    }

    /// Takes a host out. Gives its record, unless that waits to be taken elsewhere.
    fn remove(&mut self, host: &HostKey) -> Option<HostRecord> {
        let record = self.take_out(host)?;
        if let Some(Noted { retired, .. }) = &mut self.noted
            && retired.len() < RETIRED_MAX
        {
            retired.push((*host, record));
            return None;
        }
        match record.line_count() {
            0 => self.asked_dropped += 1,
            _ => self.dropped += 1,
        }
        Some(record)
    }

    fn take_out(&mut self, host: &HostKey) -> Option<HostRecord> {
        let record = self.hosts.remove(host)?;
        self.lines -= record.line_count();
        self.names -= record.asked_count();
        self.lines_dropped += record.dropped();
        self.links_dropped += u64::from(record.link_addresses_dropped());
        if let Some(noted) = &mut self.noted {
            noted.changed.remove(host);
        }
        Some(record)
    }
}
