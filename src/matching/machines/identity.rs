//! What is known of who a machine is: labels and leases, each with where it comes from and when.

use super::sighting::{Identified, LabelKind, Stated};
use crate::capture::Timestamp;
use crate::inspect::IdentitySource;
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::net::IpAddr;

/// Labels kept per machine; of one kind and source the one that was told longest ago goes, and of these the one that says least.
pub const LABELS_MAX: usize = 16;
/// Leases kept per machine; the one that was given longest ago goes.
pub const LEASES_MAX: usize = 8;

/// Something to call a machine by. What a protocol says can be wrong, old or a lie: it moves no verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Label {
    /// What it is.
    pub kind: LabelKind,
    /// The protocol that said so. Serialized, its name.
    #[serde(serialize_with = "by_name")]
    pub source: IdentitySource,
    /// The text, as it was sent; at most 255 bytes.
    pub text: Box<str>,
    /// When it was said first.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
}

impl Label {
    /// What was said between these times.
    #[must_use]
    pub const fn said(
        kind: LabelKind,
        source: IdentitySource,
        text: Box<str>,
        first_seen: Timestamp,
        last_seen: Timestamp,
    ) -> Self {
        Self { kind, source, text, first_seen, last_seen }
    }
}

fn by_name<S: Serializer>(source: &IdentitySource, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(source.name())
}

/// An address that a machine was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// When it was given.
    pub from: Timestamp,
    /// Until when, unless it is given again.
    pub until: Timestamp,
}

impl Lease {
    /// An address that was given between these times.
    #[must_use]
    pub const fn given(address: IpAddr, from: Timestamp, until: Timestamp) -> Self {
        Self { address, from, until }
    }
}

/// What is known of one machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    pub(super) labels: Vec<Label>,
    pub(super) leases: Vec<Lease>,
    pub(super) last_seen: Timestamp,
}

impl Identity {
    /// Nothing is.
    pub const UNKNOWN: Self = Self { labels: Vec::new(), leases: Vec::new(), last_seen: Timestamp(0) };

    /// Whether nobody ever said anything of it.
    pub const fn is_unknown(&self) -> bool {
        self.statements() == 0 && self.last_seen.0 == 0
    }

    /// Takes what was said then. Says how much had to go for it.
    pub fn note(&mut self, said: Identified, at: Timestamp) -> u64 {
        self.last_seen = self.last_seen.max(at);
        match said.stated {
            Stated::Label(kind, text) => {
                self.note_label(Label { kind, source: said.source, text, first_seen: at, last_seen: at })
            }
            Stated::Lease(address, seconds) => {
                let until = Timestamp(at.0.saturating_add(u64::from(seconds).saturating_mul(1_000_000_000)));
                self.note_lease(Lease { address, from: at, until })
            }
        }
    }

    /// Takes what another input tells of the same machine. Says how much had to go for it.
    pub fn merge(&mut self, other: Self) -> u64 {
        self.last_seen = self.last_seen.max(other.last_seen);
        let labels: u64 = other.labels.into_iter().map(|label| self.note_label(label)).sum();
        let leases: u64 = other.leases.into_iter().map(|lease| self.note_lease(lease)).sum();
        labels + leases
    }

    /// How many labels and leases it has.
    pub const fn statements(&self) -> usize {
        self.labels.len() + self.leases.len()
    }

    /// Drops all of them, and says how many there were.
    pub fn forget(&mut self) -> usize {
        let count = self.statements();
        (self.labels, self.leases) = (Vec::new(), Vec::new());
        count
    }

    fn note_label(&mut self, new: Label) -> u64 {
        let same = |known: &&mut Label| (known.kind, known.source) == (new.kind, new.source) && known.text == new.text;
        if let Some(known) = self.labels.iter_mut().find(same) {
            known.first_seen = known.first_seen.min(new.first_seen);
            known.last_seen = known.last_seen.max(new.last_seen);
            return 0;
        }
        self.labels.reserve_exact(1);
        self.labels.push(new);
        if self.labels.len() <= LABELS_MAX {
            return 0;
        }
        let alike = |label: &Label| {
            self.labels.iter().filter(|other| (other.kind, other.source) == (label.kind, label.source)).count()
        };
        let weakest = self
            .labels
            .iter()
            .enumerate()
            .max_by_key(|(_, label)| (alike(label) > 1, Reverse(label.last_seen), label.kind, label.source));
        if let Some((weakest, _)) = weakest {
            self.labels.remove(weakest);
        }
        1
    }

    fn note_lease(&mut self, new: Lease) -> u64 {
        // Given again before it was over, it is the same lease.
        let same =
            |known: &&mut Lease| known.address == new.address && known.from <= new.until && new.from <= known.until;
        if let Some(known) = self.leases.iter_mut().find(same) {
            known.from = known.from.min(new.from);
            known.until = known.until.max(new.until);
            return 0;
        }
        self.leases.reserve_exact(1);
        self.leases.push(new);
        if self.leases.len() <= LEASES_MAX {
            return 0;
        }
        let oldest = self.leases.iter().enumerate().min_by_key(|(_, lease)| (lease.until, lease.address));
        if let Some((oldest, _)) = oldest {
            self.leases.remove(oldest);
        }
        1
    }
}
