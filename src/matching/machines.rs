//! Every machine inside that was seen at all, and who it is as far as the traffic says: what findings are counted against.
//!
//! Identity is kept where it was stated: with an address, or with a link-layer address. Which of these are one machine is told at the end,
//! by [`Machines::rows`], when it is known which link-layer addresses are those of routers.

mod identity;
mod observed;
mod rows;
mod sighting;

pub use identity::{Label, Lease};
pub use observed::identify;
pub use rows::{Machine, MachineAddress};
pub use sighting::{Holder, Identified, LabelKind, MachineFlows, Sighting, Stated};

use super::HostKey;
use super::bound::weakest_beyond;
use super::link_addresses::{LINK_ADDRESSES_MAX, LinkAddresses, is_of_one};
use crate::capture::Timestamp;
use crate::decode::{MacAddress, Zone};
use foldhash::fast::FixedState;
use identity::Identity;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Addresses that are kept.
pub const ADDRESSES_MAX: usize = 1 << 16;
/// Link-layer addresses with something to call them by that are kept.
pub const LINKS_MAX: usize = 1 << 16;
/// How far both may grow until the weakest go, all at once: one by one, each would cost a look at all others.
const CROWDED_BY: usize = 4;

/// What was seen of one address.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// First and last; `None` if others spoke of it, but it never sent anything.
    span: Option<(Timestamp, Timestamp)>,
    flows: MachineFlows,
    /// The same by the link-layer address that they came from, once there were several.
    by_link: Vec<(MacAddress, MachineFlows)>,
    is_resolver: bool,
    is_proxy: bool,
    links: LinkAddresses,
    identity: Identity,
}

impl Seen {
    /// Adds flows that came from a link-layer address, or as far as is known from the one seen last.
    fn add_flows(&mut self, flows: MachineFlows, mac: Option<MacAddress>) {
        let before = self.flows;
        self.flows.add(flows);
        let latest = self.links.iter().max_by_key(|link| (link.last_seen, link.mac)).map(|link| link.mac);
        let Some(mac) = mac.or(latest) else { return };
        if self.by_link.is_empty() {
            let Some(first) = latest.filter(|&first| first != mac) else { return };
            self.by_link.push((first, before));
        }
        if let Some((_, known)) = self.by_link.iter_mut().find(|(known, _)| *known == mac) {
            known.add(flows);
        } else if self.by_link.len() < LINK_ADDRESSES_MAX {
            self.by_link.push((mac, flows));
        }
    }

    /// What a flood of invented senders does not have comes before what it has.
    fn standing(&self) -> (bool, bool, Timestamp) {
        let last = self.span.map_or(self.identity.last_seen, |(_, last)| last);
        (self.flows.total() > 0, !self.identity.labels.is_empty(), last)
    }
}

/// All machines that were seen.
#[derive(Clone, Debug, Default)]
pub struct Machines {
    addresses: HashMap<HostKey, Seen, FixedState>,
    links: HashMap<(Zone, MacAddress), Identity, FixedState>,
    dropped: u64,
    statements_dropped: u64,
}

impl Machines {
    /// Takes a sighting.
    pub fn sight(&mut self, sighting: &Sighting) {
        let seen = self.seen(sighting.host);
        let (first, last) = seen.span.unwrap_or((sighting.first_seen, sighting.last_seen));
        seen.span = Some((first.min(sighting.first_seen), last.max(sighting.last_seen)));
        let link = sighting.link.filter(|link| is_of_one(link.mac));
        seen.add_flows(sighting.flows, link.map(|link| link.mac));
        seen.is_resolver |= sighting.is_resolver;
        seen.is_proxy |= sighting.is_proxy;
        if let Some(link) = link {
            seen.links.note(link);
        }
    }

    /// Takes what somebody said of a machine then.
    pub fn identify(&mut self, said: Identified, at: Timestamp) {
        let identity = match said.holder {
            Holder::Address(host) => &mut self.seen(host).identity,
            Holder::Link(zone, mac) if is_of_one(mac) => self.link((zone, mac)),
            Holder::Link(..) => return,
        };
        let dropped = identity.note(said, at);
        self.statements_dropped += dropped;
    }

    /// Adds those of another input.
    pub fn merge(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.statements_dropped += other.statements_dropped;
        // In the order of their keys, so that the same go at a bound whatever the order of the map.
        let mut addresses: Vec<_> = other.addresses.into_iter().collect();
        addresses.sort_unstable_by_key(|&(host, _)| host);
        for (host, theirs) in addresses {
            let mine = self.seen(host);
            mine.span = match (mine.span, theirs.span) {
                (Some((first, last)), Some((from, until))) => Some((first.min(from), last.max(until))),
                (mine, theirs) => mine.or(theirs),
            };
            if theirs.by_link.is_empty() {
                mine.add_flows(theirs.flows, theirs.links.iter().next().map(|link| link.mac));
            }
            theirs.by_link.iter().for_each(|&(mac, flows)| mine.add_flows(flows, Some(mac)));
            mine.is_resolver |= theirs.is_resolver;
            mine.is_proxy |= theirs.is_proxy;
            mine.links.merge(theirs.links);
            let dropped = mine.identity.merge(theirs.identity);
            self.statements_dropped += dropped;
        }
        let mut links: Vec<_> = other.links.into_iter().collect();
        links.sort_unstable_by_key(|&(link, _)| link);
        for (link, theirs) in links {
            let dropped = self.link(link).merge(theirs);
            self.statements_dropped += dropped;
        }
    }

    /// Drops what is over the bounds, for the last time.
    pub(super) fn settle(&mut self) {
        self.trim_addresses();
        self.trim_links();
    }

    /// What was dropped at a bound, under the bound's name.
    #[must_use]
    pub const fn dropped(&self) -> [(&'static str, u64); 2] {
        [("machines", self.dropped), ("identity_statements", self.statements_dropped)]
    }

    fn seen(&mut self, host: HostKey) -> &mut Seen {
        if self.addresses.len() >= ADDRESSES_MAX + ADDRESSES_MAX / CROWDED_BY && !self.addresses.contains_key(&host) {
            self.trim_addresses();
        }
        self.addresses.entry(host).or_default()
    }

    fn link(&mut self, link: (Zone, MacAddress)) -> &mut Identity {
        if self.links.len() >= LINKS_MAX + LINKS_MAX / CROWDED_BY && !self.links.contains_key(&link) {
            self.trim_links();
        }
        self.links.entry(link).or_default()
    }

    fn trim_addresses(&mut self) {
        let mut ranked: Vec<_> = self.addresses.iter().map(|(&host, seen)| (Reverse(seen.standing()), host)).collect();
        for (_, host) in weakest_beyond(&mut ranked, ADDRESSES_MAX) {
            self.addresses.remove(host);
            self.dropped += 1;
        }
    }

    fn trim_links(&mut self) {
        let mut ranked: Vec<_> =
            self.links.iter().map(|(&link, identity)| (Reverse(identity.last_seen), link)).collect();
        for (_, link) in weakest_beyond(&mut ranked, LINKS_MAX) {
            self.links.remove(link);
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
