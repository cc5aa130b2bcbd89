//! Every host met, out of whichever inputs: file workers deposit at the same time, the answer comes out in input order.

use crate::matching::{HostFinding, HostKey, HostRecord, NextHops, SignatureSet};
use dashmap::DashMap;
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};

/// Hosts by address and tenant, with what each input showed of them.
#[derive(Debug, Default)]
pub struct Inventory {
    hosts: DashMap<HostKey, BTreeMap<u32, HostRecord>, FixedState>,
}

impl Inventory {
    /// Adds what input number `input` showed.
    pub fn deposit(&self, input: u32, hosts: impl IntoIterator<Item = (HostKey, HostRecord)>) {
        for (host, record) in hosts {
            self.hosts.entry(host).or_default().insert(input, record);
        }
    }

    /// Gives inputs other numbers, in the same order: `numbers` by the earlier ones; what is not there stays.
    pub(super) fn renumber_inputs(&mut self, numbers: &HashMap<u32, u32>) {
        let number = |input: u32| numbers.get(&input).copied().unwrap_or(input);
        for mut host in self.hosts.iter_mut() {
            let records = std::mem::take(host.value_mut());
            *host.value_mut() = records
                .into_iter()
                .map(|(input, mut record)| {
                    record.renumber_inputs(number);
                    (number(input), record)
                })
                .collect();
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

    /// The hosts with evidence: strongest verdict first, then by address, then by tenant.
    #[must_use]
    pub fn findings(&self, signatures: &SignatureSet) -> Vec<HostFinding> {
        let mut links = Vec::new();
        for host in &self.hosts {
            let of_host = host.value().values().flat_map(HostRecord::link_addresses);
            links.extend(of_host.map(|link| (*host.key(), link)));
        }
        let hops = NextHops::among(links);
        let mut findings: Vec<_> = self
            .hosts
            .iter()
            .filter_map(|host| {
                let merged = host.value().values().cloned().reduce(|mut earlier, later| {
                    earlier.merge(later, signatures);
                    earlier
                })?;
                merged.finding_among(*host.key(), signatures, &hops)
            })
            .collect();
        findings.sort_by_key(|finding| (finding.verdict, finding.host));
        findings
    }
}
