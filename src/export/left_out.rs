//! What a format cannot say: counted, with the reason.

use kaspector::matching::{Indicator, MatchKind, Strength};
use std::collections::{BTreeMap, BTreeSet};

/// Why an indicator is in no file of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nobody asked for it.
    Browse,
    /// It is knowledge to read, which Kaspector does not match either.
    NotMatched,
    /// One packet does not show it.
    Sequence,
    /// It proves nothing by itself.
    PortAlone,
    /// It counts beside a second match alone.
    Companion,
    /// Where it stands in a message decides what it means.
    Place,
    /// Bytes of a protocol that the other program does not read.
    Bytes,
    /// The format has no word for it.
    NoWord,
    /// One rule may hold no more.
    NoRoom,
}

impl Reason {
    /// In words, to stand behind a number of indicators.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Browse => "strength browse, web sites that say nothing about a product: --browse adds them",
            Self::NotMatched => "knowledge to read, which Kaspector does not match either",
            Self::Sequence => "habits and sequences: they show in several packets or flows together",
            Self::PortAlone => "ports: they prove nothing by themselves",
            Self::Companion => "ambiguous paths, user agents and bodies: they count beside a second match alone",
            Self::Place => "mail header fields: they count above the trace of others alone",
            Self::Bytes => "first bytes, uploads, syslog and protocols of the vendor's own",
            Self::NoWord => "kinds of match that this format has no word for",
            Self::NoRoom => "more than one rule can hold",
        }
    }
}

/// What is missing from a pack, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut(BTreeMap<Reason, BTreeSet<String>>);

impl LeftOut {
    /// Leaves an indicator out.
    pub(crate) fn add(&mut self, reason: Reason, indicator: &Indicator) {
        self.0.entry(reason).or_default().insert(indicator.id.clone());
    }

    /// The reasons that there are, and the identifiers of what each keeps out.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, &BTreeSet<String>)> {
        self.0.iter().map(|(reason, ids)| (*reason, ids))
    }

    /// Lines such as `19 ports: they prove nothing by themselves`, for a header or a terminal.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.iter().map(|(reason, ids)| format!("{} left out: {}", ids.len(), reason.words())).collect()
    }
}

/// Why no format but a list of all indicators takes this one, if that is so.
pub(crate) fn never(indicator: &Indicator, browse: bool) -> Option<Reason> {
    if !indicator.kind.is_matched() {
        return Some(Reason::NotMatched);
    }
    if indicator.strength == Strength::Browse && !browse {
        return Some(Reason::Browse);
    }
    match indicator.kind {
        MatchKind::Port => Some(Reason::PortAlone),
        MatchKind::Beacon | MatchKind::WakeUp | MatchKind::SelfSigned | MatchKind::ResolverOrder => {
            Some(Reason::Sequence)
        }
        MatchKind::MailHeader => Some(Reason::Place),
        MatchKind::StreamPrefix | MatchKind::UploadContains | MatchKind::Protocol | MatchKind::Syslog => {
            Some(Reason::Bytes)
        }
        MatchKind::PathPrefix
        | MatchKind::PathSuffix
        | MatchKind::PathContains
        | MatchKind::PathRegex
        | MatchKind::UserAgentPrefix
        | MatchKind::UserAgentRegex
        | MatchKind::BodyPrefix
            if indicator.strength != Strength::Installed =>
        {
            Some(Reason::Companion)
        }
        _ => None,
    }
}
