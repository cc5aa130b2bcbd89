//! Of which hosts the packets are kept: of each that shows something that it did not show before in this run.

use crate::evidence::{EvidenceCounts, LiveEvidence};
use crate::sensor::repeats::Sighting;
use kaspector::matching::{HostFinding, HostKey, IndicatorIndex, SeenAs, SignatureSet};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long after it showed something new what was found of a host is written: connections go on, and more may come to light.
const SETTLED: Duration = Duration::from_secs(5);
/// Hosts that wait for that; of others no packets are kept.
const WAITING_MAX: usize = 256;
/// Pairs of host and indicator whose evidence was kept; of others, none is.
const KNOWN_MAX: usize = 1 << 16;

/// The control thread's side of evidence.
#[derive(Debug)]
pub struct EvidenceDesk {
    live: LiveEvidence,
    counts: Arc<EvidenceCounts>,
    known: HashSet<(HostKey, IndicatorIndex, SeenAs)>,
    waiting: VecDeque<(Instant, HostKey)>,
}

impl EvidenceDesk {
    /// Hands over what is to be kept to `live`, which counts in `counts`.
    pub fn new(live: LiveEvidence, counts: Arc<EvidenceCounts>) -> Self {
        Self { live, counts, known: HashSet::new(), waiting: VecDeque::new() }
    }

    /// Takes an alert.
    pub fn note(&mut self, sighting: &Sighting) {
        let (host, alert) = (sighting.host(), &sighting.alert);
        let pair = (host, alert.indicator, alert.seen_as);
        if self.known.contains(&pair) {
            return;
        }
        let is_waiting = self.waiting.iter().any(|(_, other)| *other == host);
        let has_room = self.known.len() < KNOWN_MAX && (is_waiting || self.waiting.len() < WAITING_MAX);
        if !has_room || !self.live.look(host) {
            self.counts.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.known.insert(pair);
        if !is_waiting {
            self.waiting.push_back((Instant::now(), host));
        }
    }

    /// Has the evidence of hosts written that have waited for long enough, or of `all`. `finding` says what was found of one.
    pub fn hand_over(
        &mut self,
        all: bool,
        signatures: &Arc<SignatureSet>,
        finding: impl Fn(&HostKey) -> Option<HostFinding>,
    ) {
        while let Some((_, host)) = self.waiting.pop_front_if(|(since, _)| all || since.elapsed() >= SETTLED) {
            if let Some(finding) = finding(&host) {
                self.live.keep(finding, signatures);
            }
        }
    }

    /// What became of it.
    pub const fn counts(&self) -> &Arc<EvidenceCounts> {
        &self.counts
    }

    /// Waits until all is written.
    pub fn close(self) {
        self.live.close();
    }
}
