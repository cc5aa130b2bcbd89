//! What is different between two inventories of hosts.
//!
//! A host is its address in its tenant. Which of the changes it has is decided in this order: it is only in the later inventory
//! (*appeared*); the later one has no later evidence of it (*silent*); its verdict is stronger (*risen*); anything else is different
//! (*changed*). Every host of both inventories has one of these, or is unchanged.

mod csv;
mod json;
mod table;

pub use csv::write_diff_csv;
pub use json::write_diff_json;
pub use table::write_diff_table;

use super::HostsReport;
use kaspector::capture::Timestamp;
use kaspector::matching::{HostFinding, HostKey};
use std::collections::BTreeMap;

/// What happened to a host from one inventory to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostChange {
    /// The earlier inventory does not have it.
    Appeared,
    /// The later one has no evidence of it that is later than the earlier one's last.
    Silent,
    /// Its verdict is stronger.
    Risen,
    /// Something else is different: see [`HostPart`].
    Changed,
}

impl HostChange {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Appeared, Self::Silent, Self::Risen, Self::Changed];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Silent => "silent",
            Self::Risen => "risen",
            Self::Changed => "changed",
        }
    }

    /// The change of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.name() == name)
    }
}

/// What of a host may be different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPart {
    /// Its verdict, up or down.
    Verdict,
    /// Its role.
    Role,
    /// Services that it used.
    Services,
    /// Products that its evidence names, also those of other vendors.
    Products,
    /// Its own link-layer address, where both inventories know it: perhaps another machine has the address now.
    Mac,
}

impl HostPart {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Role => "role",
            Self::Services => "services",
            Self::Products => "products",
            Self::Mac => "mac",
        }
    }

    fn all_of(old: &HostFinding, new: &HostFinding) -> Vec<Self> {
        let has_other_mac = old.mac.is_some_and(|old| new.mac.is_some_and(|new| old != new));
        [
            (Self::Verdict, old.verdict != new.verdict),
            (Self::Role, old.role != new.role),
            (Self::Services, old.categories != new.categories),
            (Self::Products, old.products != new.products || old.engine_in != new.engine_in),
            (Self::Mac, has_other_mac),
        ]
        .into_iter()
        .filter_map(|(part, is_different)| is_different.then_some(part))
        .collect()
    }
}

/// One inventory of the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    /// The file, in a form that can be shown.
    pub path: &'a str,
    /// What it holds.
    pub report: &'a HostsReport,
    /// Its last evidence.
    pub last_seen: Option<Timestamp>,
}

impl<'a> Side<'a> {
    fn of((path, report): (&'a str, &'a HostsReport)) -> Self {
        Self { path, report, last_seen: report.hosts.iter().map(|host| host.last_seen).max() }
    }
}

/// A host that is different, as each inventory has it.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub change: HostChange,
    pub host: HostKey,
    pub old: Option<&'a HostFinding>,
    pub new: Option<&'a HostFinding>,
    /// What is different where both have it.
    pub differs: Vec<HostPart>,
}

impl Entry<'_> {
    /// As the later inventory has it, or as the earlier one does.
    pub fn latest(&self) -> Option<&HostFinding> {
        self.new.or(self.old)
    }
}

/// Two inventories, compared.
#[derive(Clone, Debug)]
pub struct HostsDiff<'a> {
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    /// By change, then strongest verdict first, then by address, then by tenant.
    pub(super) entries: Vec<Entry<'a>>,
    unchanged: usize,
}

impl<'a> HostsDiff<'a> {
    /// Compares two inventories, each with the name of its file.
    #[must_use]
    pub fn of(old: (&'a str, &'a HostsReport), new: (&'a str, &'a HostsReport)) -> Self {
        let (old, new) = (Side::of(old), Side::of(new));
        let mut hosts: BTreeMap<HostKey, (Option<&HostFinding>, Option<&HostFinding>)> = BTreeMap::new();
        for host in &old.report.hosts {
            hosts.entry(host.host).or_default().0 = Some(host);
        }
        for host in &new.report.hosts {
            hosts.entry(host.host).or_default().1 = Some(host);
        }
        let mut entries = Vec::new();
        let mut unchanged = 0;
        for (host, (old, new)) in hosts {
            let differs = old.zip(new).map(|(old, new)| HostPart::all_of(old, new)).unwrap_or_default();
            let change = match (old, new) {
                (None, _) => HostChange::Appeared,
                (Some(_), None) => HostChange::Silent,
                (Some(old), Some(new)) if new.last_seen <= old.last_seen => HostChange::Silent,
                (Some(old), Some(new)) if new.verdict < old.verdict => HostChange::Risen,
                _ if !differs.is_empty() => HostChange::Changed,
                _ => {
                    unchanged += 1;
                    continue;
                }
            };
            entries.push(Entry { change, host, old, new, differs });
        }
        entries.sort_by_key(|entry| (entry.change, entry.latest().map(|host| host.verdict), entry.host));
        Self { old, new, entries, unchanged }
    }

    /// Hosts with this change.
    #[must_use]
    pub fn count(&self, change: HostChange) -> usize {
        self.entries.iter().filter(|entry| entry.change == change).count()
    }

    /// Hosts that both have alike, with later evidence in the later one.
    #[must_use]
    pub const fn unchanged(&self) -> usize {
        self.unchanged
    }

    /// The last evidence of the earlier and of the later inventory.
    #[must_use]
    pub const fn last_seen(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.old.last_seen, self.new.last_seen)
    }

    /// Whether the later inventory has evidence of any host that is later than the last of the earlier one. Otherwise nobody may have
    /// listened, and silence says nothing.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.new.last_seen > self.old.last_seen
    }
}

#[cfg(test)]
mod tests;
