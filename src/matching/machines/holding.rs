//! Who had an address: one machine, or several in turn.

use super::{MachineAddress, MachineFlows, Machines, Seen};
use crate::capture::Timestamp;
use crate::decode::{MacAddress, Zone};
use crate::matching::{HostKey, NextHops};
use std::net::IpAddr;

/// What makes several addresses one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Bond {
    Link(Zone, MacAddress),
    Address(HostKey),
}

/// An address in the hands of one machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    /// The machine.
    pub bond: Bond,
    /// The address, and when the machine had it.
    pub address: MachineAddress,
    /// The flows that began from it then.
    pub flows: MachineFlows,
    /// Whether others had the address, too.
    pub is_turn: bool,
    /// Whether it had the address last.
    pub is_last: bool,
}

/// Leases that were seen, by address and machine.
#[derive(Debug)]
pub(super) struct Leases(Vec<(Zone, IpAddr, MacAddress, Timestamp, Timestamp)>);

impl Leases {
    /// Those that these tell of.
    pub fn of<'m>(parts: impl IntoIterator<Item = &'m Machines>) -> Self {
        let of_links = parts.into_iter().flat_map(|part| &part.links);
        let rows = of_links.flat_map(|(&(zone, mac), identity)| {
            identity.leases.iter().map(move |lease| (zone, lease.address, mac, lease.from, lease.until))
        });
        let mut leases: Vec<_> = rows.collect();
        leases.sort_unstable();
        Self(leases)
    }

    /// Who had the address in that time, if it was one alone.
    pub fn holder(&self, host: HostKey, (first, last): (Timestamp, Timestamp)) -> Option<MacAddress> {
        let key = (host.zone, host.address);
        let begin = self.0.partition_point(|&(zone, address, ..)| (zone, address) < key);
        let of_address = self.0.iter().skip(begin).take_while(|&&(zone, address, ..)| (zone, address) == key);
        let mut holders =
            of_address.filter(|&&(.., from, until)| from <= last && first <= until).map(|&(_, _, mac, ..)| mac);
        let holder = holders.next()?;
        holders.all(|other| other == holder).then_some(holder)
    }
}

/// Who had an address that was seen, by time. None if it never sent anything.
pub(super) fn holdings(host: HostKey, seen: &Seen, hops: &NextHops, leases: &Leases) -> Vec<Holding> {
    let Some((first_seen, last_seen)) = seen.span else { return Vec::new() };
    let own = seen.links.own(host, hops);
    // One after the other they are two machines; by turns, they are one with two cards.
    let in_turn = own.windows(2).all(|pair| matches!(pair, [one, next] if one.last_seen < next.first_seen));
    if own.len() > 1 && in_turn {
        let of_turn = |(number, link): (usize, &crate::matching::LinkAddress)| {
            let is_last = number + 1 == own.len();
            let of_link = seen.more().by_link.iter().find(|(mac, _)| *mac == link.mac);
            Holding {
                bond: Bond::Link(host.zone, link.mac),
                address: MachineAddress {
                    address: host.address,
                    first_seen: if number == 0 { first_seen } else { link.first_seen },
                    last_seen: if is_last { last_seen } else { link.last_seen },
                },
                flows: of_link.map_or_else(MachineFlows::default, |&(_, flows)| flows),
                is_turn: true,
                is_last,
            }
        };
        return own.iter().enumerate().map(of_turn).collect();
    }
    let mac = own.last().map(|link| link.mac).or_else(|| leases.holder(host, (first_seen, last_seen)));
    vec![Holding {
        bond: mac.map_or(Bond::Address(host), |mac| Bond::Link(host.zone, mac)),
        address: MachineAddress { address: host.address, first_seen, last_seen },
        flows: seen.flows,
        is_turn: false,
        is_last: true,
    }]
}
