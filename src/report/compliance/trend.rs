//! From inventory to inventory: are there fewer?

use super::{ByVerdict, Changes};
use crate::spelling::rfc3339;
use kaspector::matching::HostFinding;
use serde::Serialize;

/// What one of several inventories holds, and what became of the endpoints of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// The inventory, in a form that can be shown.
    pub inventory: String,
    /// Its last evidence.
    pub last_seen: Option<String>,
    /// What it holds.
    #[serde(flatten)]
    pub endpoints: ByVerdict,
    /// Endpoints of which there is evidence that the one before does not have.
    pub heard: usize,
    /// Of these, endpoints that the one before does not have at all; null for the first.
    pub appeared: Option<usize>,
    /// Endpoints of the one before of which there is no later evidence; null for the first.
    pub silent: Option<usize>,
}

impl Stage {
    /// What an inventory of these hosts holds; `since`: its changes from the one before, if there is one.
    #[must_use]
    pub fn of(inventory: &str, hosts: &[HostFinding], since: Option<&Changes>) -> Self {
        let mut endpoints = ByVerdict::default();
        hosts.iter().for_each(|host| endpoints.add(host.verdict));
        let heard = |changes: &Changes| changes.endpoints_before.saturating_sub(changes.silent) + changes.appeared;
        Self {
            inventory: inventory.to_owned(),
            last_seen: hosts.iter().map(|host| host.last_seen).max().map(rfc3339),
            endpoints,
            heard: since.map_or(endpoints.endpoints, heard),
            appeared: since.map(|changes| changes.appeared),
            silent: since.map(|changes| changes.silent),
        }
    }
}
