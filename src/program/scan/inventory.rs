//! Every host met, out of whichever inputs: inputs are deposited in their order, and beyond a bound the weakest hosts are evicted first.

use dashmap::DashMap;
use foldhash::fast::FixedState;
use kaspector::matching::{HostFinding, HostKey, HostRecord, LinkAddress, NextHops, Position, SignatureSet};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

/// Hosts that all inputs together may show.
pub const HOSTS_MAX: usize = 1 << 18;

/// What one input showed of a host, by the input's number.
type Shown = (u32, HostRecord);

/// Hosts by address and tenant, with what each input showed of them, in the order of the inputs.
#[derive(Debug, Default)]
pub struct Inventory {
    hosts: DashMap<HostKey, Vec<Shown>, FixedState>,
    dropped: AtomicU64,
}

impl Inventory {
    /// Adds what input number `input` showed; inputs come in their order, so that the same hosts are evicted whatever the number of
    /// threads.
    pub fn deposit(
        &self,
        input: u32,
        hosts: impl IntoIterator<Item = (HostKey, HostRecord)>,
        signatures: &SignatureSet,
    ) {
        self.deposit_within(HOSTS_MAX, input, hosts, signatures);
    }

    fn deposit_within(
        &self,
        hosts_max: usize,
        input: u32,
        hosts: impl IntoIterator<Item = (HostKey, HostRecord)>,
        signatures: &SignatureSet,
    ) {
        for (host, record) in hosts {
            let mut shown = self.hosts.entry(host).or_default();
            // Most hosts are in one input only.
            let fresh = usize::from(shown.is_empty());
            shown.reserve_exact(fresh);
            shown.push((input, record));
        }
        self.evict_beyond(hosts_max, signatures);
    }

    /// Evicts the hosts that stand weakest by the strongest of what each input showed.
    fn evict_beyond(&self, hosts_max: usize, signatures: &SignatureSet) {
        if self.hosts.len() <= hosts_max {
            return;
        }
        let mut ranked: Vec<_> = self
            .hosts
            .iter()
            .map(|host| {
                let strongest = host.value().iter().filter_map(|(_, record)| record.standing(signatures)).min();
                (strongest.is_none(), strongest, *host.key())
            })
            .collect();
        ranked.select_nth_unstable(hosts_max);
        for (is_bare, _, host) in ranked.iter().skip(hosts_max) {
            self.hosts.remove(host);
            self.dropped.fetch_add(u64::from(!is_bare), Ordering::Relaxed);
        }
    }

    /// Hosts with evidence that were evicted.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Gives inputs other numbers, in the same order: `numbers` by the earlier ones; what is not there stays.
    pub(super) fn renumber_inputs(&mut self, numbers: &HashMap<u32, u32>) {
        let number = |input: u32| numbers.get(&input).copied().unwrap_or(input);
        for mut host in self.hosts.iter_mut() {
            for (input, record) in host.value_mut() {
                record.move_examples(|example| Position { input: number(example.input), ..example });
                *input = number(*input);
            }
        }
    }

    /// What each input showed: hosts in the order of their addresses.
    #[must_use]
    pub fn into_inputs(self) -> BTreeMap<u32, BTreeMap<HostKey, HostRecord>> {
        let mut inputs: BTreeMap<u32, BTreeMap<_, _>> = BTreeMap::new();
        for (host, records) in self.hosts {
            for (input, record) in records {
                inputs.entry(input).or_default().insert(host, record);
            }
        }
        inputs
    }

    /// Link-layer addresses that hosts were seen with.
    pub fn link_addresses(&self) -> Vec<(HostKey, LinkAddress)> {
        let mut links = Vec::new();
        for host in &self.hosts {
            let of_host = host.value().iter().flat_map(|(_, record)| record.link_addresses());
            links.extend(of_host.map(|link| (*host.key(), link)));
        }
        links
    }

    /// The hosts with evidence: strongest verdict first, then by address, then by tenant. `hops`: routers on the way.
    #[must_use]
    pub fn findings(&self, signatures: &SignatureSet, hops: &NextHops) -> Vec<HostFinding> {
        let mut findings: Vec<_> = self
            .hosts
            .iter()
            .filter_map(|host| {
                let merged = host.value().iter().map(|(_, record)| record.clone()).reduce(|mut earlier, later| {
                    earlier.merge(later, signatures);
                    earlier
                })?;
                merged.finding_among(*host.key(), signatures, hops)
            })
            .collect();
        findings.sort_by_key(|finding| (finding.verdict, finding.host));
        findings
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kaspector::capture::Timestamp;
    use kaspector::matching::{LINES_MAX, SeenAs, Verdict};
    use kaspector_report::samples;
    use std::net::Ipv4Addr;

    /// Hosts of these numbers, each with one piece of evidence at that time.
    fn hosts(numbers: std::ops::Range<u32>, seen_as: SeenAs, at: u64) -> Vec<(HostKey, HostRecord)> {
        let signatures = SignatureSet::builtin();
        let of = |number: u32| {
            let mut alert = samples::tls();
            (alert.at, alert.seen_as) = (Timestamp(at), seen_as);
            alert.flow.client = Ipv4Addr::from(0x0a00_0000 + number).into();
            let mut record = HostRecord::default();
            record.add(&alert, 0, LINES_MAX, &signatures);
            (alert.host(), record)
        };
        numbers.map(of).collect()
    }

    #[test]
    fn whatever_the_inputs_the_strongest_hosts_are_kept() {
        let signatures = SignatureSet::builtin();
        let inventory = Inventory::default();
        inventory.deposit_within(50, 0, hosts(0..40, SeenAs::Lookup, 1), &signatures);
        inventory.deposit_within(50, 1, hosts(40..90, SeenAs::Lookup, 2), &signatures);
        inventory.deposit_within(50, 2, hosts(90..120, SeenAs::Contact, 3), &signatures);
        inventory.deposit_within(50, 3, hosts(120..200, SeenAs::Lookup, 4), &signatures);
        let found = inventory.findings(&signatures, &NextHops::default());
        let of = |verdict| found.iter().filter(|host| host.verdict == verdict).count();
        assert_eq!((of(Verdict::Confirmed), of(Verdict::Suspected), inventory.dropped()), (30, 20, 150));
        assert_eq!(found.last().unwrap().first_seen, Timestamp(1), "of equals, those that were seen first");
        assert_eq!(inventory.into_inputs().keys().copied().collect::<Vec<_>>(), [0, 2]);
    }
}
