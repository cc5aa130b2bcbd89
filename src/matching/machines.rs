//! Every machine inside that was seen at all, and who it is as far as the traffic says: what findings are counted against.
//!
//! Identity is kept where it was stated: with an address, or with a link-layer address. Which of these are one machine is told at the end,
//! by [`Machines::rows`], when it is known which link-layer addresses are those of routers.

mod addresses;
mod holding;
mod identity;
mod joined;
mod observed;
mod rows;
mod sighting;
mod stored;

pub use identity::{Label, Lease};
pub use joined::{JoinedMachines, MachineTally};
pub use observed::identify;
pub use rows::{Machine, MachineAddress};
pub use sighting::{Holder, Identified, LabelKind, MachineFlows, Sighting, Stated};
pub use stored::{StoredAddress, StoredIdentity, StoredLink, StoredMachines};

use super::HostKey;
use super::bound::weakest_beyond;
use super::link_addresses::{LINK_ADDRESSES_MAX, LinkAddresses, is_of_one};
use super::private_address::is_private;
use crate::capture::Timestamp;
use crate::decode::{MacAddress, Zone};
use addresses::{Addresses, ROWS_MAX};
use foldhash::fast::FixedState;
use identity::Identity;
use std::cmp::Reverse;
use std::collections::HashMap;

/// How much is kept of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// Addresses.
    addresses: usize,
    /// Link-layer addresses with something to call them by.
    links: usize,
    /// Labels and leases of all.
    statements: usize,
}

/// Of a capture: what is kept is for a while.
const OF_CAPTURE: Bounds = Bounds { addresses: 1 << 16, links: 1 << 16, statements: usize::MAX };
/// Of an interface that is watched for months, where anybody may invent senders and names.
/// With a quarter more than that, the table of addresses is as full as it gets before it grows to twice its size.
const OF_SENSOR: Bounds = Bounds { addresses: 22 << 10, links: 11 << 10, statements: 1 << 16 };
/// How far each may grow until the weakest go, all at once: one by one, each would cost a look at all others.
const CROWDED_BY: usize = 4;

const _: () = assert!(OF_CAPTURE.addresses + OF_CAPTURE.addresses / CROWDED_BY < ROWS_MAX);

/// Sightings that wait until there are so many, so that the memory of all is asked for before the first is taken.
const WAITING: usize = 64;

/// Whether there is evidence of it, whether it began flows, whether it has a name; and when it was seen last.
type Standing = (bool, bool, bool, Timestamp);

/// What was seen of one address.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// First and last; `None` if others spoke of it, but it never sent anything.
    span: Option<(Timestamp, Timestamp)>,
    flows: MachineFlows,
    is_resolver: bool,
    is_proxy: bool,
    has_evidence: bool,
    links: LinkAddresses,
    more: Option<Box<More>>,
}

/// What most have nothing of.
#[derive(Clone, Debug, Default)]
struct More {
    /// The flows by the link-layer address that they came from, once there were several.
    by_link: Vec<(MacAddress, MachineFlows)>,
    identity: Identity,
}

static NO_MORE: More = More { by_link: Vec::new(), identity: Identity::UNKNOWN };

impl Seen {
    fn more(&self) -> &More {
        self.more.as_deref().unwrap_or(&NO_MORE)
    }

    fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn identity(&self) -> &Identity {
        &self.more().identity
    }

    /// Adds flows that came from a link-layer address, or as far as is known from the one seen last.
    fn add_flows(&mut self, flows: MachineFlows, mac: Option<MacAddress>) {
        let before = self.flows;
        self.flows.add(flows);
        let latest = self.links.latest();
        let Some(mac) = mac.or(latest) else { return };
        if self.more().by_link.is_empty() {
            let Some(first) = latest.filter(|&first| first != mac) else { return };
            self.more_mut().by_link.push((first, before));
        }
        let by_link = &mut self.more_mut().by_link;
        if let Some((_, known)) = by_link.iter_mut().find(|(known, _)| *known == mac) {
            known.add(flows);
        } else if by_link.len() < LINK_ADDRESSES_MAX {
            by_link.push((mac, flows));
        }
    }

    /// Takes what was seen of it elsewhere, and gives back what is known of who it is.
    fn merge(&mut self, theirs: Self) -> Identity {
        self.has_evidence |= theirs.has_evidence;
        self.span = match (self.span, theirs.span) {
            (Some((first, last)), Some((from, until))) => Some((first.min(from), last.max(until))),
            (mine, theirs) => mine.or(theirs),
        };
        if theirs.more().by_link.is_empty() {
            self.add_flows(theirs.flows, theirs.links.iter().next().map(|link| link.mac));
        }
        theirs.more().by_link.iter().for_each(|&(mac, flows)| self.add_flows(flows, Some(mac)));
        self.is_resolver |= theirs.is_resolver;
        self.is_proxy |= theirs.is_proxy;
        self.links.merge(theirs.links);
        theirs.more.map(|more| more.identity).unwrap_or_default()
    }

    /// What a flood of invented senders does not have comes before what it has.
    fn standing(&self) -> Standing {
        let last = self.span.map_or(self.identity().last_seen, |(_, last)| last);
        (self.has_evidence, self.flows.total() > 0, !self.identity().labels.is_empty(), last)
    }
}

/// All machines that were seen.
#[derive(Clone, Debug)]
pub struct Machines {
    addresses: Addresses,
    /// Sightings that were not taken yet, in the order in which they came.
    waiting: Vec<Sighting>,
    links: HashMap<(Zone, MacAddress), Identity, FixedState>,
    bounds: Bounds,
    /// Labels and leases of all.
    statements: usize,
    dropped: u64,
    statements_dropped: u64,
}

impl Default for Machines {
    fn default() -> Self {
        Self::within(OF_CAPTURE)
    }
}

impl Machines {
    /// None yet, of an interface that is watched for as long as it may be.
    pub(super) fn of_sensor() -> Self {
        Self::within(OF_SENSOR)
    }

    fn within(bounds: Bounds) -> Self {
        Self {
            addresses: Addresses::default(),
            waiting: Vec::new(),
            links: HashMap::default(),
            bounds,
            statements: 0,
            dropped: 0,
            statements_dropped: 0,
        }
    }

    /// Takes a sighting, now or a little later: whoever reads calls [`Self::catch_up`] before.
    pub fn sight_soon(&mut self, sighting: Sighting) {
        self.waiting.push(sighting);
        if self.waiting.len() >= WAITING {
            self.catch_up();
        }
    }

    /// Takes the sightings that wait.
    pub fn catch_up(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.waiting.iter().for_each(|sighting| self.addresses.prefetch_cell(&sighting.host));
        self.waiting.iter().for_each(|sighting| self.addresses.prefetch_row(&sighting.host));
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.drain(..).for_each(|sighting| self.take(&sighting));
        self.waiting = waiting;
    }

    /// Takes a sighting.
    pub fn sight(&mut self, sighting: &Sighting) {
        self.catch_up();
        self.take(sighting);
    }

    fn take(&mut self, sighting: &Sighting) {
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
        self.catch_up();
        match said.holder {
            Holder::Link(_, mac) if !is_of_one(mac) => {}
            holder => self.change(holder, |identity| identity.note(said, at)),
        }
    }

    /// Notes that there is evidence of a machine: it is what the others are counted for, and goes last.
    pub(super) fn note_evidence(&mut self, host: HostKey) {
        if is_private(host.address) {
            self.catch_up();
            self.seen(host).has_evidence = true;
        }
    }

    /// Adds those of another input.
    pub fn merge(&mut self, mut other: Self) {
        self.catch_up();
        other.catch_up();
        self.dropped += other.dropped;
        self.statements_dropped += other.statements_dropped;
        // In the order of their keys, so that the same go at a bound whatever the order of the map.
        let mut addresses: Vec<_> = other.addresses.into_iter().collect();
        addresses.sort_unstable_by_key(|&(host, _)| host);
        for (host, theirs) in addresses {
            let identity = self.seen(host).merge(theirs);
            if !identity.is_unknown() {
                self.change(Holder::Address(host), |mine| mine.merge(identity));
            }
        }
        let mut links: Vec<_> = other.links.into_iter().collect();
        links.sort_unstable_by_key(|&(link, _)| link);
        for ((zone, mac), theirs) in links {
            self.change(Holder::Link(zone, mac), |mine| mine.merge(theirs));
        }
    }

    /// Drops what is over the bounds, for the last time.
    pub(super) fn settle(&mut self) {
        self.catch_up();
        self.trim_addresses();
        self.trim_links();
    }

    /// What was dropped at a bound, under the bound's name.
    #[must_use]
    pub const fn dropped(&self) -> [(&'static str, u64); 2] {
        [("machines", self.dropped), ("identity_statements", self.statements_dropped)]
    }

    /// Changes what is known of an identity; `change` says how much had to go for it.
    fn change(&mut self, holder: Holder, change: impl FnOnce(&mut Identity) -> u64) {
        let identity = match holder {
            Holder::Address(host) => &mut self.seen(host).more_mut().identity,
            Holder::Link(zone, mac) => self.link((zone, mac)),
        };
        let before = identity.statements();
        let dropped = change(identity);
        let after = identity.statements();
        self.statements = self.statements + after - before;
        self.statements_dropped += dropped;
        let most = self.bounds.statements;
        if self.statements > most.saturating_add(most / CROWDED_BY) {
            self.trim_statements();
        }
    }

    fn seen(&mut self, host: HostKey) -> &mut Seen {
        let most = self.bounds.addresses;
        if self.addresses.len() >= most + most / CROWDED_BY && self.addresses.get(&host).is_none() {
            self.trim_addresses();
        }
        self.addresses.entry(host)
    }

    fn link(&mut self, link: (Zone, MacAddress)) -> &mut Identity {
        let most = self.bounds.links;
        if self.links.len() >= most + most / CROWDED_BY && !self.links.contains_key(&link) {
            self.trim_links();
        }
        self.links.entry(link).or_default()
    }

    fn trim_addresses(&mut self) {
        if self.addresses.len() <= self.bounds.addresses {
            return;
        }
        let rows = self.addresses.numbered();
        let mut ranked: Vec<_> = rows.map(|(number, _, seen)| (Reverse(seen.standing()), number)).collect();
        let by_standing = |one: &(Reverse<Standing>, u32), other: &(Reverse<Standing>, u32)| {
            let hosts = || self.addresses.host(one.1).cmp(&self.addresses.host(other.1));
            one.0.cmp(&other.0).then_with(hosts)
        };
        ranked.select_nth_unstable_by(self.bounds.addresses, by_standing);
        let weakest = ranked.get(self.bounds.addresses..).unwrap_or_default();
        let mut weakest: Vec<u32> = weakest.iter().map(|&(_, number)| number).collect();
        // In the order in which they lie in memory.
        weakest.sort_unstable();
        self.addresses.drop_rows(&weakest, |seen| self.statements -= seen.identity().statements());
        self.dropped += weakest.len() as u64;
    }

    fn trim_links(&mut self) {
        if self.links.len() <= self.bounds.links {
            return;
        }
        let mut ranked: Vec<_> = self.link_standings().map(|(standing, link)| (Reverse(standing), link)).collect();
        for (_, link) in weakest_beyond(&mut ranked, self.bounds.links) {
            self.statements -= self.links.remove(link).map_or(0, |identity| identity.statements());
            self.dropped += 1;
        }
    }

    /// Drops what the weakest are called, until what is left is within the bound.
    fn trim_statements(&mut self) {
        let says = |(_, seen): &(&HostKey, &Seen)| seen.identity().statements() > 0;
        let of_addresses =
            self.addresses.iter().filter(says).map(|(&host, seen)| (seen.standing(), Holder::Address(host)));
        let of_links = self.link_standings().map(|(standing, (zone, mac))| (standing, Holder::Link(zone, mac)));
        let mut ranked: Vec<_> = of_addresses.chain(of_links).collect();
        ranked.sort_unstable();
        for (_, holder) in ranked {
            if self.statements <= self.bounds.statements {
                return;
            }
            let dropped = match holder {
                Holder::Address(host) => self.addresses.get_mut(&host).map(|seen| &mut seen.more_mut().identity),
                Holder::Link(zone, mac) => self.links.get_mut(&(zone, mac)),
            }
            .map_or(0, Identity::forget);
            self.statements -= dropped;
            self.statements_dropped += dropped as u64;
        }
    }

    /// A link-layer address stands as the best of the addresses that were used with it.
    fn link_standings(&self) -> impl Iterator<Item = (Standing, (Zone, MacAddress))> + use<'_> {
        let mut used: HashMap<(Zone, MacAddress), (bool, bool), FixedState> = HashMap::default();
        for (host, seen) in self.addresses.iter() {
            let (has_evidence, has_flows, ..) = seen.standing();
            if has_evidence || has_flows {
                for link in seen.links.iter() {
                    let best = used.entry((host.zone, link.mac)).or_default();
                    *best = (best.0 | has_evidence, best.1 | has_flows);
                }
            }
        }
        self.links.iter().map(move |(&link, identity)| {
            let (has_evidence, has_flows) = used.get(&link).copied().unwrap_or_default();
            ((has_evidence, has_flows, !identity.labels.is_empty(), identity.last_seen), link)
        })
    }
}

#[cfg(test)]
mod tests;
