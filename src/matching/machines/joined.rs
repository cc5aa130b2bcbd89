//! The machines of several places at which one network is watched, asked for while they come and go.
//!
//! A row for each takes many times the memory of what is kept, so a sensor counts them without, and makes rows of those that are asked for.

use super::holding::{Bond, Leases, holdings};
use super::identity::Identity;
use super::{HostKey, Label, LabelKind, Machine, MachineFlows, Machines, Seen};
use crate::decode::{MacAddress, Zone};
use crate::matching::NextHops;
use foldhash::fast::FixedState;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// What was seen of machines, by place.
#[derive(Clone, Debug)]
pub struct JoinedMachines<'m>(Vec<&'m Machines>);

/// How many machines there are.
#[derive(Debug, Default)]
pub struct MachineTally {
    /// The flows of each, as in [`Machines::rows`].
    pub flows: Vec<MachineFlows>,
    /// Link-layer addresses that are of routers, as far as was seen by then.
    pub next_hops: NextHops,
}

impl<'m> JoinedMachines<'m> {
    /// Those of these places.
    pub fn new(parts: impl IntoIterator<Item = &'m Machines>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// Counts them.
    #[must_use]
    pub fn tally(&self) -> MachineTally {
        let next_hops = NextHops::among(self.0.iter().flat_map(|part| part.link_addresses()));
        let leases = Leases::of(self.0.iter().copied());
        let mut flows: HashMap<Bond, MachineFlows, FixedState> = HashMap::default();
        let mut count = |host: HostKey, seen: &Seen| {
            for holding in holdings(host, seen, &next_hops, &leases) {
                flows.entry(holding.bond).or_default().add(holding.flows);
            }
        };
        if let [only] = &*self.0 {
            only.addresses.iter().for_each(|(&host, seen)| count(host, seen));
        } else {
            self.whole().for_each(|(host, seen)| count(host, &seen));
        }
        MachineTally { flows: flows.into_values().collect(), next_hops }
    }

    /// What was seen of each address, wherever it was.
    fn whole(&self) -> impl Iterator<Item = (HostKey, Cow<'m, Seen>)> {
        let mut hosts: Vec<(HostKey, &Seen)> =
            self.0.iter().flat_map(|part| part.addresses.iter().map(|(&host, seen)| (host, seen))).collect();
        // One that is equal stays in the order of places.
        hosts.sort_by_key(|&(host, _)| host);
        let mut hosts = hosts.into_iter().peekable();
        std::iter::from_fn(move || {
            let (host, first) = hosts.next()?;
            let mut seen = Cow::Borrowed(first);
            while let Some((_, other)) = hosts.next_if(|&(other, _)| other == host) {
                seen.to_mut().merge(other.clone());
            }
            Some((host, seen))
        })
    }

    /// A row for each machine that has one of these addresses.
    #[must_use]
    pub fn rows_of(&self, hosts: &[HostKey], hops: &NextHops) -> Vec<Machine> {
        let asked: HashSet<HostKey, FixedState> = hosts.iter().copied().collect();
        // An address with something to tell may be another of the same machine.
        let mut links: HashSet<(Zone, MacAddress), FixedState> = HashSet::default();
        for part in &self.0 {
            for host in &asked {
                let own = part.addresses.get(host).map(|seen| seen.links.own(*host, hops)).unwrap_or_default();
                links.extend(own.iter().map(|link| (host.zone, link.mac)));
            }
            for (&(zone, mac), identity) in &part.links {
                let mut leased = identity.leases.iter().map(|lease| HostKey { address: lease.address, zone });
                if leased.any(|host| asked.contains(&host)) {
                    links.insert((zone, mac));
                }
            }
        }
        let concerned: HashSet<HostKey, FixedState> = {
            let is_with =
                |host: &HostKey, seen: &Seen| seen.links.iter().any(|link| links.contains(&(host.zone, link.mac)));
            let all = self.0.iter().flat_map(|part| part.addresses.iter());
            asked.iter().copied().chain(all.filter(|(host, seen)| is_with(host, seen)).map(|(&host, _)| host)).collect()
        };
        let mut found = Machines::default();
        for part in &self.0 {
            let addresses = concerned.iter().filter_map(|host| Some((*host, part.addresses.get(host)?.clone())));
            let links = links.iter().filter_map(|link| Some((*link, part.links.get(link)?.clone())));
            found.merge(Machines { addresses: addresses.collect(), links: links.collect(), ..Machines::default() });
        }
        let mut rows = found.rows(hops);
        rows.retain(|row| {
            row.addresses.iter().any(|held| asked.contains(&HostKey { address: held.address, zone: row.zone }))
        });
        rows
    }

    /// A row for each machine that is called something in which one of these words occurs. The words are in lower case.
    #[must_use]
    pub fn rows_called(&self, words: &[String], hops: &NextHops) -> Vec<Machine> {
        let is_called = |identity: &Identity| {
            identity.labels.iter().any(|label| {
                let text = label.text.to_lowercase();
                words.iter().any(|word| text.contains(word))
            })
        };
        let of_links = || self.0.iter().flat_map(|part| &part.links).filter(|(_, identity)| is_called(identity));
        let links: HashSet<(Zone, MacAddress), FixedState> = of_links().map(|(&link, _)| link).collect();
        let is_with =
            |host: &HostKey, seen: &Seen| seen.links.iter().any(|link| links.contains(&(host.zone, link.mac)));
        let all = self.0.iter().flat_map(|part| part.addresses.iter());
        let called = all.filter(|(host, seen)| is_called(seen.identity()) || is_with(host, seen));
        let leased = of_links().flat_map(|(&(zone, _), identity)| {
            identity.leases.iter().map(move |lease| HostKey { address: lease.address, zone })
        });
        let hosts: Vec<HostKey> = called.map(|(&host, _)| host).chain(leased).collect();
        self.rows_of(&hosts, hops)
    }

    /// The name of a host, as the best source says of this address and of the link-layer address that it was used with last.
    #[must_use]
    pub fn name_of(&self, host: HostKey, hops: &NextHops) -> Option<&'m Label> {
        let labels = self.labels_of(host, hops).into_iter();
        let names = labels.filter(|label| label.kind == LabelKind::Name);
        names.min_by_key(|label| (label.source.rank(), Reverse(label.last_seen), &label.text))
    }

    /// What is said of this address, and of the link-layer address that it was used with last.
    #[must_use]
    pub fn labels_of(&self, host: HostKey, hops: &NextHops) -> Vec<&'m Label> {
        let seen = || self.0.iter().filter_map(|part| part.addresses.get(&host));
        let own = seen().flat_map(|seen| seen.links.own(host, hops)).max_by_key(|link| (link.last_seen, link.mac));
        let of_link = own.iter().flat_map(|own| self.0.iter().filter_map(|part| part.links.get(&(host.zone, own.mac))));
        seen().map(|seen| seen.identity()).chain(of_link).flat_map(|identity| &identity.labels).collect()
    }
}
