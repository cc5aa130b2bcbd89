//! What is known of machines in parts that can be written out and read back.

use super::identity::Identity;
use super::{Label, Lease, MachineFlows, Machines, More};
use crate::capture::Timestamp;
use crate::decode::{MacAddress, Zone};
use crate::matching::link_addresses::LinkAddresses;
use crate::matching::{HostKey, LinkAddress};

/// All that [`Machines`] hold: in the order of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredMachines {
    /// What was seen of each address.
    pub addresses: Vec<StoredAddress>,
    /// Who has which link-layer address.
    pub links: Vec<StoredLink>,
    /// Machines that were dropped at a bound.
    pub dropped: u64,
    /// Labels and leases that were dropped at a bound.
    pub statements_dropped: u64,
}

/// What was seen of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAddress {
    /// The address, and its tenant.
    pub host: HostKey,
    /// When it sent something first and last; `None` if others spoke of it, but it never did.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The flows that it began.
    pub flows: MachineFlows,
    /// Whether others asked it for names.
    pub is_resolver: bool,
    /// Whether others asked it to pass them on.
    pub is_proxy: bool,
    /// Whether there is evidence of it.
    pub has_evidence: bool,
    /// Link-layer addresses that it was seen with, in the order in which they came.
    pub links: Vec<LinkAddress>,
    /// Link-layer addresses that were dropped.
    pub links_dropped: u32,
    /// The flows by the link-layer address that they came from, if there were several.
    pub flows_by_link: Vec<(MacAddress, MachineFlows)>,
    /// What it is called.
    pub identity: StoredIdentity,
}

/// Who has a link-layer address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLink {
    /// Its tenant.
    pub zone: Zone,
    /// The address.
    pub mac: MacAddress,
    /// What is known of who that is.
    pub identity: StoredIdentity,
}

/// What a machine is called, and which addresses it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredIdentity {
    /// Names and the like.
    pub labels: Vec<Label>,
    /// Addresses that it was given.
    pub leases: Vec<Lease>,
    /// When something was said of it last.
    pub last_said: Timestamp,
}

impl StoredIdentity {
    fn of(identity: &Identity) -> Self {
        Self { labels: identity.labels.clone(), leases: identity.leases.clone(), last_said: identity.last_seen }
    }

    fn into_identity(self) -> Identity {
        Identity { labels: self.labels, leases: self.leases, last_seen: self.last_said }
    }
}

impl Machines {
    /// All of it in parts.
    #[must_use]
    pub fn to_stored(&self) -> StoredMachines {
        debug_assert!(self.waiting.is_empty(), "whoever reads catches up before");
        let mut addresses: Vec<_> = self
            .addresses
            .iter()
            .map(|(&host, seen)| StoredAddress {
                host,
                span: seen.span,
                flows: seen.flows,
                is_resolver: seen.is_resolver,
                is_proxy: seen.is_proxy,
                has_evidence: seen.has_evidence,
                links: seen.links.iter().collect(),
                links_dropped: seen.links.dropped(),
                flows_by_link: seen.more().by_link.clone(),
                identity: StoredIdentity::of(seen.identity()),
            })
            .collect();
        addresses.sort_unstable_by_key(|address| address.host);
        let mut links: Vec<_> = self
            .links
            .iter()
            .map(|(&(zone, mac), identity)| StoredLink { zone, mac, identity: StoredIdentity::of(identity) })
            .collect();
        links.sort_unstable_by_key(|link| (link.zone, link.mac));
        StoredMachines { addresses, links, dropped: self.dropped, statements_dropped: self.statements_dropped }
    }

    /// Machines of those parts, within the bounds of a capture.
    #[must_use]
    pub fn from_stored(stored: StoredMachines) -> Self {
        let mut machines =
            Self { dropped: stored.dropped, statements_dropped: stored.statements_dropped, ..Self::default() };
        for stored in stored.addresses {
            let identity = stored.identity.into_identity();
            machines.statements += identity.statements();
            let seen = machines.seen(stored.host);
            seen.span = stored.span;
            seen.flows = stored.flows;
            seen.is_resolver = stored.is_resolver;
            seen.is_proxy = stored.is_proxy;
            seen.has_evidence = stored.has_evidence;
            seen.links = LinkAddresses::of(stored.links, stored.links_dropped);
            if !stored.flows_by_link.is_empty() || !identity.is_unknown() {
                seen.more = Some(Box::new(More { by_link: stored.flows_by_link, identity }));
            }
        }
        for StoredLink { zone, mac, identity } in stored.links {
            let identity = identity.into_identity();
            machines.statements += identity.statements();
            *machines.link((zone, mac)) = identity;
        }
        machines
    }
}
