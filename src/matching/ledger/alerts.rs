//! The alerts of one ledger until they are taken, within a bound: repetitions are dropped first.

use super::known_hosts::KnownHosts;
use crate::matching::{Alert, SignatureSet, Verdict};
use foldhash::fast::FixedState;
use std::collections::HashSet;

/// Alerts that are kept until they are taken.
pub const ALERTS_MAX: usize = 1 << 17;
/// Alerts that may be there until those that matter least go, all at once.
const ALERTS_CROWDED: usize = ALERTS_MAX + ALERTS_MAX / 4;

/// Alerts in the order in which they were raised.
#[derive(Debug, Default)]
pub struct Alerts {
    kept: Vec<Alert>,
    dropped: u64,
    discards: bool,
}

impl Alerts {
    /// Keeps none from now on: nobody will take them, and they would only take memory.
    pub fn discard(&mut self) {
        self.discards = true;
    }

    /// Takes the next one.
    pub fn push(&mut self, alert: Alert, hosts: &KnownHosts, signatures: &SignatureSet) {
        if self.discards {
            return;
        }
        if self.kept.len() >= ALERTS_CROWDED {
            self.trim(hosts, signatures);
        }
        self.kept.push(alert);
    }

    /// Gives them out.
    pub fn take(&mut self, hosts: &KnownHosts, signatures: &SignatureSet) -> Vec<Alert> {
        self.trim(hosts, signatures);
        std::mem::take(&mut self.kept)
    }

    /// Alerts that were dropped.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Drops those that matter least of what is too much: repetitions before the first of a host and an indicator, seen as closely;
    /// of the first ones, those of the hosts with the weaker verdicts, as far as is known by now; then what says less; then the later ones.
    fn trim(&mut self, hosts: &KnownHosts, signatures: &SignatureSet) {
        if self.kept.len() <= ALERTS_MAX {
            return;
        }
        let mut seen: HashSet<_, FixedState> = HashSet::default();
        let mut ranked: Vec<_> = (0_u32..)
            .zip(&self.kept)
            .map(|(at, alert)| {
                let host = alert.host();
                let repeats = !seen.insert((host, alert.indicator, alert.seen_as));
                let says = Verdict::of(signatures.get(alert.indicator).strength, alert.seen_as, alert.on_behalf);
                let standing = if repeats { None } else { hosts.standing(&host, signatures) };
                (repeats, standing.map_or(says, |(verdict, ..)| verdict), says, at)
            })
            .collect();
        ranked.select_nth_unstable(ALERTS_MAX);
        let mut goes = vec![false; self.kept.len()];
        for &(.., at) in ranked.iter().skip(ALERTS_MAX) {
            if let Some(goes) = goes.get_mut(at as usize) {
                *goes = true;
            }
        }
        let mut goes = goes.into_iter();
        self.kept.retain(|_| !goes.next().unwrap_or(false));
        self.dropped += ranked.len().saturating_sub(ALERTS_MAX) as u64;
    }
}
