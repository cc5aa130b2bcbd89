//! How many hosts and lines of evidence are kept, and which go first.

use super::Hosts;
use super::known::Known;
use kaspector::capture::Timestamp;
use kaspector::matching::{HostKey, SignatureSet, Verdict};
use std::cmp::Reverse;

/// Hosts that are kept.
pub const HOSTS_MAX: usize = 3 << 15;

/// Lines of evidence of all hosts together, above which the weakest hosts keep only a few.
const LINES_MAX: usize = 1 << 19;
/// Lines that those keep: at first, and should that not be enough.
const LINES_FEW: [usize; 2] = [4, 1];

/// Whether there is evidence, what it adds up to, and when there was some last.
type Standing = (bool, Reverse<Option<Verdict>>, Timestamp);

impl Hosts {
    /// Has the eighth with the weakest verdicts leave, and of those the ones that showed nothing for longest.
    pub(super) fn forget(&mut self) {
        for (_, host) in self.weakest_first().into_iter().take(HOSTS_MAX / 8) {
            if let Some(known) = self.hosts.remove(&host) {
                self.lines -= known.line_count();
                self.leaving.insert(host, known);
            }
        }
    }

    /// All hosts: weaker verdicts first, and of those the ones that showed nothing for longest.
    fn weakest_first(&self) -> Vec<(Standing, HostKey)> {
        let rank = |known: &Known| (known.verdict.is_some(), Reverse(known.verdict), known.last_seen());
        let mut ranked: Vec<_> = self.hosts.iter().map(|(host, known)| (rank(known), *host)).collect();
        ranked.sort_unstable();
        ranked
    }

    /// Drops lines of the weakest hosts once there are too many.
    pub(super) fn trim_lines(&mut self, signatures: &SignatureSet) {
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
}
