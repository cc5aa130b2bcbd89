//! One row for each machine, whatever addresses it had; and two for an address that two machines had in turn.

use super::holding::{Bond, Leases, holdings};
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

    /// A machine of which nothing is known but what it was called, whenever it had its address.
    #[must_use]
    pub fn called(host: HostKey, labels: Vec<Label>) -> Self {
        let held = MachineAddress { address: host.address, first_seen: Timestamp(0), last_seen: Timestamp(u64::MAX) };
        Self { zone: host.zone, addresses: vec![held], labels: merged(labels), ..Self::default() }
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

impl Machines {
    /// Link-layer addresses that machines were seen with, to tell next hops by ([`NextHops::among`]).
    pub fn link_addresses(&self) -> impl Iterator<Item = (HostKey, LinkAddress)> + '_ {
        self.addresses.iter().flat_map(|(&host, seen)| seen.links.iter().map(move |link| (host, link)))
    }

    /// One row for each machine that sent anything, by tenant and address.
    #[must_use]
    pub fn rows(&self, hops: &NextHops) -> Vec<Machine> {
        let leases = Leases::of([self]);
        let mut machines: BTreeMap<Bond, Machine> = BTreeMap::new();
        let mut hosts: Vec<_> = self.addresses.iter().filter(|(_, seen)| seen.span.is_some()).collect();
        hosts.sort_unstable_by_key(|&(host, _)| host);
        for (&host, seen) in hosts {
            for holding in holdings(host, seen, hops, &leases) {
                let machine = machines.entry(holding.bond).or_default();
                let (whole, held) = (!holding.is_turn, holding.address);
                machine.absorb(held, holding.is_last.then_some(seen));
                machine.flows.add(holding.flows);
                let of_time = |label: &&Label| {
                    whole || (label.last_seen >= held.first_seen && label.first_seen <= held.last_seen)
                };
                machine.labels.extend(seen.identity().labels.iter().filter(of_time).cloned());
            }
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
