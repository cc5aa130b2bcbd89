//! Hosts that show nothing for long, and those that show themselves again.

use super::{Hosts, Known};
use kaspector::capture::Timestamp;
use kaspector::matching::{Alert, HostFinding, HostKey, Role, SignatureSet, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// A host that has shown nothing for long.
#[derive(Clone, Debug)]
pub struct Silence {
    /// What is known of it.
    pub finding: HostFinding,
    /// Its first evidence, in whichever run.
    pub known_since: Option<Timestamp>,
}

/// Hosts with evidence, by what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCounts {
    /// By verdict and role; those that no host has are absent.
    pub by_standing: BTreeMap<(Verdict, Role), u64>,
    /// Hosts whose silence was told, and that have not shown themselves since.
    pub silent: u64,
}

impl Hosts {
    /// Hosts whose last evidence is older than `after` at `now` and whose silence has not been told: the first `most`, by address. From now on it
    /// has been.
    pub fn fall_silent(
        &mut self,
        now: Timestamp,
        after: Duration,
        most: usize,
        signatures: &SignatureSet,
    ) -> Vec<Silence> {
        let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        let is_silent = |known: &Known| {
            // One that is being recalled may have shown more than is known here.
            known.verdict.is_some()
                && known.recall.is_none()
                && known.silence_told.is_none()
                && now.0.saturating_sub(known.last_seen().0) >= after
        };
        let mut silent: Vec<HostKey> =
            self.hosts.iter().filter(|(_, known)| is_silent(known)).map(|(host, _)| *host).collect();
        if silent.len() > most {
            silent.select_nth_unstable(most);
            silent.truncate(most);
        }
        silent.sort_unstable();
        let mut told = Vec::new();
        for host in silent {
            let Some(known) = self.hosts.get_mut(&host) else { continue };
            let Some(finding) = known.merged(signatures).and_then(|record| record.finding(host, signatures)) else {
                continue;
            };
            known.silence_told = Some(finding.last_seen);
            self.silences.insert(host, known.silence_told);
            told.push(Silence { finding, known_since: known.since });
        }
        told
    }

    /// Notes that a host shows itself. Gives the time of its last evidence before, if its silence has been told.
    pub fn end_silence(&mut self, host: &HostKey, alert: &Alert) -> Option<Timestamp> {
        let known = self.hosts.get_mut(host)?;
        // What was seen before that, and comes late, ends nothing.
        let since = known.silence_told.take_if(|since| alert.at > *since)?;
        self.silences.insert(*host, None);
        Some(since)
    }

    /// What is to be noted in the state file of silences since the last call.
    pub fn take_silences(&mut self) -> Vec<(HostKey, Option<Timestamp>)> {
        std::mem::take(&mut self.silences).into_iter().collect()
    }

    /// All that is to be noted there, for a file that has none of it.
    pub fn take_all_silences(&mut self) -> Vec<(HostKey, Option<Timestamp>)> {
        let told = self.hosts.iter().filter(|(_, known)| known.silence_told.is_some());
        self.silences.extend(told.map(|(host, known)| (*host, known.silence_told)));
        self.take_silences()
    }

    /// Notes that what was taken has not been noted there.
    pub fn silences_not_noted(&mut self, refused: Vec<(HostKey, Option<Timestamp>)>) {
        for (host, told) in refused {
            self.silences.entry(host).or_insert(told);
        }
    }

    /// How many hosts there are, by what they are.
    #[must_use]
    pub fn counts(&self) -> HostCounts {
        let mut counts = HostCounts::default();
        for known in self.hosts.values() {
            let Some(standing) = known.verdict.zip(known.role) else { continue };
            *counts.by_standing.entry(standing).or_default() += 1;
            counts.silent += u64::from(known.silence_told.is_some());
        }
        counts
    }
}
