//! Every host met, out of whichever inputs: file workers deposit at the same time, the answer comes out in input order.

use crate::matching::{HostFinding, HostKey, HostRecord, SignatureSet};
use dashmap::DashMap;
use foldhash::fast::FixedState;
use std::collections::BTreeMap;

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

    /// The hosts with evidence: strongest verdict first, then by address, then by tenant.
    #[must_use]
    pub fn into_findings(self, signatures: &SignatureSet) -> Vec<HostFinding> {
        let mut findings: Vec<_> = self
            .hosts
            .into_iter()
            .filter_map(|(host, records)| {
                let merged = records.into_values().reduce(|mut earlier, later| {
                    earlier.merge(later, signatures);
                    earlier
                })?;
                merged.finding(host, signatures)
            })
            .collect();
        findings.sort_by_key(|finding| (finding.verdict, finding.host));
        findings
    }
}
