//! How often each version of QUIC was met that cannot be opened.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Versions that are told apart; all further ones are counted together. Anybody can make up versions.
const VERSIONS_MAX: usize = 16;

/// Flows by version.
#[derive(Clone, Debug, Default)]
pub struct VersionCounters {
    known: Vec<(u32, u64)>,
    others: u64,
}

impl VersionCounters {
    /// Counts a flow.
    pub fn bump(&mut self, version: u32) {
        if let Some((_, count)) = self.known.iter_mut().find(|(known, _)| *known == version) {
            *count += 1;
        } else if self.known.len() < VERSIONS_MAX {
            self.known.push((version, 1));
        } else {
            self.others += 1;
        }
    }

    /// The name of each that was met, and how often.
    pub fn non_zero(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let known = self.known.iter().map(|&(version, count)| (version_name(version), count));
        known.chain(std::iter::once(("quic_version_other", self.others)).filter(|&(_, count)| count > 0))
    }
}

/// The name under which flows of a version are counted: its number, in hexadecimal. Names live as long as the program, and there are a few
/// for each lane at most.
#[must_use]
pub fn version_name(version: u32) -> &'static str {
    static NAMES: Mutex<BTreeMap<u32, &'static str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    names.entry(version).or_insert_with(|| format!("quic_version_{version:08x}").leak())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_versions_are_counted_together() {
        let mut counters = VersionCounters::default();
        (0..100).for_each(|version| counters.bump(version));
        counters.bump(3);
        let counts: BTreeMap<_, _> = counters.non_zero().collect();
        assert_eq!(counts.len(), VERSIONS_MAX + 1);
        assert_eq!((counts.get("quic_version_00000003"), counts.get("quic_version_other")), (Some(&2), Some(&84)));
    }
}
