//! One row for each machine, whatever addresses it had; and two for an address that two machines had in turn.

use super::identity::{Label, Lease};
use super::{LabelKind, MachineFlows, Machines, Seen};
use crate::capture::Timestamp;
use crate::decode::{MacAddress, Zone};
use crate::matching::{HostKey, LinkAddress, NextHops};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One machine inside, as far as the traffic tells machines apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// Its tenant.
    pub zone: Zone,
    /// Its own link-layer address, where the capture point saw it or DHCP told it.
    pub mac: Option<MacAddress>,
    /// The addresses that it sent from, by address.
    pub addresses: Vec<MachineAddress>,
    /// What to call it by: of each kind, the best source first, of one source the latest.
    pub labels: Vec<Label>,
    /// Addresses that it was given, by time.
    pub leases: Vec<Lease>,
    /// When it sent something first.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
    /// The flows that it began.
    pub flows: MachineFlows,
    /// Whether others asked it for names: it hides who wants what.
    pub is_resolver: bool,
    /// Whether others asked it to pass them on.
    pub is_proxy: bool,
}

/// An address of a machine, and when it had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct MachineAddress {
    /// The address.
    pub address: IpAddr,
    /// When it was first used.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
}

impl Machine {
    /// Its name, as the best source says.
    #[must_use]
    pub fn name(&self) -> Option<&Label> {
        self.label(LabelKind::Name)
    }

    /// What the best source says of this kind.
    #[must_use]
    pub fn label(&self, kind: LabelKind) -> Option<&Label> {
        self.labels.iter().find(|label| label.kind == kind)
    }

    fn absorb(&mut self, address: MachineAddress, seen: Option<&Seen>) {
        let is_first = self.addresses.is_empty();
        self.addresses.push(address);
        self.first_seen = if is_first { address.first_seen } else { self.first_seen.min(address.first_seen) };
        self.last_seen = self.last_seen.max(address.last_seen);
        if let Some(seen) = seen {
            self.is_resolver |= seen.is_resolver;
            self.is_proxy |= seen.is_proxy;
        }
    }
}

/// What makes several addresses one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    Link(Zone, MacAddress),
    Address(HostKey),
}

impl Machines {
    /// Link-layer addresses that machines were seen with, to tell next hops by ([`NextHops::among`]).
    pub fn link_addresses(&self) -> impl Iterator<Item = (HostKey, LinkAddress)> + '_ {
        self.addresses.iter().flat_map(|(&host, seen)| seen.links.iter().map(move |link| (host, link)))
    }

    /// One row for each machine that sent anything, by tenant and address.
    #[must_use]
    pub fn rows(&self, hops: &NextHops) -> Vec<Machine> {
        let mut leased: BTreeMap<(Zone, IpAddr), Vec<(Lease, MacAddress)>> = BTreeMap::new();
        for (&(zone, mac), identity) in &self.links {
            for &lease in &identity.leases {
                leased.entry((zone, lease.address)).or_default().push((lease, mac));
            }
        }
        let mut machines: BTreeMap<Bond, Machine> = BTreeMap::new();
        let mut hosts: Vec<_> =
            self.addresses.iter().filter_map(|(&host, seen)| Some((host, seen, seen.span?))).collect();
        hosts.sort_unstable_by_key(|&(host, ..)| host);
        for (host, seen, (first_seen, last_seen)) in hosts {
            let whole = MachineAddress { address: host.address, first_seen, last_seen };
            let mut own = seen.links.link_layer(host, hops).all;
            own.retain(|link| !link.is_next_hop);
            // One after the other they are two machines; by turns, they are one with two cards.
            let in_turn = own.windows(2).all(|pair| matches!(pair, [one, next] if one.last_seen < next.first_seen));
            if own.len() > 1 && in_turn {
                for (number, link) in own.iter().enumerate() {
                    let is_last = number + 1 == own.len();
                    let held = MachineAddress {
                        address: host.address,
                        first_seen: if number == 0 { first_seen } else { link.first_seen },
                        last_seen: if is_last { last_seen } else { link.last_seen },
                    };
                    let machine = machines.entry(Bond::Link(host.zone, link.mac)).or_default();
                    machine.absorb(held, is_last.then_some(seen));
                    let of_link = seen.by_link.iter().find(|(mac, _)| *mac == link.mac);
                    machine.flows.add(of_link.map_or_else(MachineFlows::default, |&(_, flows)| flows));
                    let of_time =
                        |label: &&Label| label.last_seen >= held.first_seen && label.first_seen <= held.last_seen;
                    machine.labels.extend(seen.identity.labels.iter().filter(of_time).cloned());
                }
                continue;
            }
            let by_lease = || {
                let leases = leased.get(&(host.zone, host.address))?;
                let overlaps = |(lease, _): &&(Lease, MacAddress)| lease.from <= last_seen && first_seen <= lease.until;
                let mut holders = leases.iter().filter(overlaps).map(|&(_, mac)| mac);
                let holder = holders.next()?;
                holders.all(|other| other == holder).then_some(holder)
            };
            let mac = own.last().map(|link| link.mac).or_else(by_lease);
            let bond = mac.map_or(Bond::Address(host), |mac| Bond::Link(host.zone, mac));
            let machine = machines.entry(bond).or_default();
            machine.absorb(whole, Some(seen));
            machine.flows.add(seen.flows);
            machine.labels.extend(seen.identity.labels.iter().cloned());
        }
        let mut rows: Vec<Machine> = machines.into_iter().map(|(bond, machine)| self.row(bond, machine)).collect();
        rows.sort_by(|a, b| (a.zone, &a.addresses, a.mac).cmp(&(b.zone, &b.addresses, b.mac)));
        rows
    }

    fn row(&self, bond: Bond, mut machine: Machine) -> Machine {
        match bond {
            Bond::Link(zone, mac) => {
                (machine.zone, machine.mac) = (zone, Some(mac));
                if let Some(identity) = self.links.get(&(zone, mac)) {
                    machine.labels.extend(identity.labels.iter().cloned());
                    machine.leases.clone_from(&identity.leases);
                }
            }
            Bond::Address(host) => machine.zone = host.zone,
        }
        machine.leases.sort_unstable_by_key(|lease| (lease.from, lease.address));
        machine.labels = merged(std::mem::take(&mut machine.labels));
        machine
    }
}

/// Each label once; of each kind, the best source first, of one source the latest.
fn merged(mut labels: Vec<Label>) -> Vec<Label> {
    labels.sort_unstable_by(|a, b| (a.kind, a.source, &a.text).cmp(&(b.kind, b.source, &b.text)));
    labels.dedup_by(|later, kept| {
        let same = (later.kind, later.source) == (kept.kind, kept.source) && later.text == kept.text;
        if same {
            kept.first_seen = kept.first_seen.min(later.first_seen);
            kept.last_seen = kept.last_seen.max(later.last_seen);
        }
        same
    });
    labels.sort_by(|a, b| {
        (a.kind, a.source.rank(), Reverse(a.last_seen), &a.text).cmp(&(
            b.kind,
            b.source.rank(),
            Reverse(b.last_seen),
            &b.text,
        ))
    });
    labels
}
