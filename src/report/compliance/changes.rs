//! What became of the endpoints of an earlier inventory: are they gone?

use crate::spelling::rfc3339;
use crate::{HostChange, HostPart, HostsDiff, host_label};
use serde::Serialize;

/// What is different from an earlier inventory.
#[derive(Clone, Debug, Serialize)]
pub struct Changes {
    /// The earlier inventory.
    pub compared_with: String,
    /// Endpoints in it.
    pub endpoints_before: usize,
    /// Its last evidence.
    pub last_seen_before: Option<String>,
    /// Whether there is later evidence of any endpoint. Otherwise nobody may have listened, and silence says nothing.
    pub has_later_evidence: bool,
    /// Endpoints that the earlier one does not have.
    pub appeared: usize,
    /// Endpoints of which there is no later evidence.
    pub silent: usize,
    /// Endpoints with a stronger verdict.
    pub risen: usize,
    /// Endpoints of which something else is different.
    pub changed: usize,
    /// Endpoints that are as they were.
    pub unchanged: usize,
    /// Each endpoint that is different, by change, then strongest verdict first, then by address.
    pub endpoints: Vec<ChangedEndpoint>,
}

/// One endpoint that is different.
#[derive(Clone, Debug, Serialize)]
pub struct ChangedEndpoint {
    /// What happened.
    pub change: &'static str,
    /// Its address, with its tenant.
    pub endpoint: String,
    /// What is different, where both have it.
    pub differs: Vec<&'static str>,
    /// Its verdict before.
    pub verdict_before: Option<&'static str>,
    /// Its verdict now; null where there is no evidence any more.
    pub verdict: Option<&'static str>,
    /// Its last evidence, wherever it stands.
    pub last_seen: String,
}

impl Changes {
    /// Those of a comparison.
    #[must_use]
    pub fn of(diff: &HostsDiff<'_>) -> Self {
        let endpoints = diff.entries.iter().filter_map(|entry| {
            let latest = entry.latest()?;
            Some(ChangedEndpoint {
                change: entry.change.name(),
                endpoint: host_label(latest),
                differs: entry.differs.iter().copied().map(HostPart::name).collect(),
                verdict_before: entry.old.map(|host| host.verdict.name()),
                verdict: entry.new.map(|host| host.verdict.name()),
                last_seen: rfc3339(latest.last_seen),
            })
        });
        Self {
            compared_with: diff.old.path.to_owned(),
            endpoints_before: diff.old.report.hosts.len(),
            last_seen_before: diff.old.last_seen.map(rfc3339),
            has_later_evidence: diff.is_heard(),
            appeared: diff.count(HostChange::Appeared),
            silent: diff.count(HostChange::Silent),
            risen: diff.count(HostChange::Risen),
            changed: diff.count(HostChange::Changed),
            unchanged: diff.unchanged(),
            endpoints: endpoints.collect(),
        }
    }
}
