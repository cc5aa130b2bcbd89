//! Routers: link-layer addresses that carry several hosts at a time, so that they are nobody's own.

use super::HostKey;
use super::link_addresses::LinkAddress;
use crate::capture::Timestamp;
use crate::decode::{MacAddress, Zone};
use foldhash::fast::FixedState;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Link-layer addresses whose hosts a ledger follows; then the quarter that was seen longest ago is forgotten.
const FOLLOWED_MAX: usize = 1 << 14;
/// Addresses of one link-layer address that are looked at together; more than the rule below needs.
const RECENT_MAX: usize = 8;
/// A machine does not give up one IPv4 address, get another and use it in less time: a lease is offered, asked for and probed first
/// (RFC 2131 section 3.1, RFC 5227 section 2.1).
const AT_ONCE_NS: u64 = 60_000_000_000;
/// Within which time so many addresses are more than a machine has.
const TOGETHER_NS: u64 = 3_600_000_000_000;
/// IPv4 addresses of a machine that goes from network to network.
const IPV4_OF_ONE_MAX: usize = 2;
/// IPv6 addresses of a machine: a stable one and some temporary ones, of which a new one comes every day (RFC 8981).
const IPV6_OF_ONE_MAX: usize = 4;
/// IPv6 networks of a machine, of global and of local ones each: an old and a new one while a network is renumbered (RFC 4192).
const NETWORKS_OF_ONE_MAX: usize = 2;

/// Link-layer addresses of routers: which carry several hosts.
#[derive(Debug)]
pub struct NextHops {
    followed: HashMap<(Zone, MacAddress), Carried, FixedState>,
    most: usize,
    dropped: u64,
}

/// What one link-layer address carries.
#[derive(Debug, Default)]
struct Carried {
    /// Addresses, each with the time at which it was last seen; none any more once they are known to be too many.
    recent: Vec<(IpAddr, Timestamp)>,
    last_seen: Timestamp,
    is_next_hop: bool,
}

impl Default for NextHops {
    /// None so far, and a bound on how many are followed.
    fn default() -> Self {
        Self { followed: HashMap::default(), most: FOLLOWED_MAX, dropped: 0 }
    }
}

impl NextHops {
    /// Those that these records show together, as many as there are. A host may come several times, out of several inputs.
    #[must_use]
    pub fn among(records: impl IntoIterator<Item = (HostKey, LinkAddress)>) -> Self {
        let mut hops = Self { most: usize::MAX, ..Self::default() };
        // One row for each time rather than trees of trees: there may be very many hosts.
        let mut rows: Vec<(Zone, MacAddress, Timestamp, HostKey)> = Vec::new();
        for (host, LinkAddress { mac, first_seen, last_seen, is_next_hop }) in records {
            if is_next_hop {
                hops.followed.entry((host.zone, mac)).or_default().is_next_hop = true;
            }
            rows.push((host.zone, mac, first_seen, host));
            if last_seen != first_seen {
                rows.push((host.zone, mac, last_seen, host));
            }
        }
        rows.sort_unstable();
        rows.dedup();
        for carried in rows.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            // Whoever carries one shows nothing.
            let Some(&(.., only)) = carried.first() else { continue };
            if carried.iter().all(|&(.., host)| host == only) {
                continue;
            }
            for &(_, mac, at, host) in carried {
                if hops.note(host, mac, at) {
                    break;
                }
            }
        }
        hops
    }

    /// Takes a sighting of a host with a link-layer address. Says whether that is known for a next hop now.
    pub fn note(&mut self, host: HostKey, mac: MacAddress, at: Timestamp) -> bool {
        match embedded_mac(host.address) {
            Some(embedded) if embedded == mac => return false,
            Some(_) => return true,
            None if is_of_link(host.address) => return false,
            None => {}
        }
        if is_virtual_router(mac) {
            return true;
        }
        let key = (host.zone, mac);
        if self.followed.len() >= self.most && !self.followed.contains_key(&key) {
            self.forget_oldest();
        }
        let carried = self.followed.entry(key).or_default();
        carried.last_seen = carried.last_seen.max(at);
        if !carried.is_next_hop {
            carried.note(host.address, at);
            carried.is_next_hop = carries_several(&carried.recent, at);
            if carried.is_next_hop {
                carried.recent = Vec::new();
            }
        }
        carried.is_next_hop
    }

    /// How many were forgotten at the bound, though they might have turned out to be next hops.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn has(&self, host: HostKey, mac: MacAddress) -> bool {
        match embedded_mac(host.address) {
            Some(embedded) => embedded != mac,
            None if is_of_link(host.address) => false,
            None => is_virtual_router(mac) || self.followed.get(&(host.zone, mac)).is_some_and(|hop| hop.is_next_hop),
        }
    }

    fn forget_oldest(&mut self) {
        let mut by_age: Vec<_> = self.followed.iter().map(|(key, carried)| (carried.last_seen, *key)).collect();
        by_age.sort_unstable();
        by_age.truncate(by_age.len().div_ceil(4));
        for (_, key) in by_age {
            self.followed.remove(&key);
            self.dropped += 1;
        }
    }
}

impl Carried {
    fn note(&mut self, address: IpAddr, at: Timestamp) {
        if let Some((_, seen)) = self.recent.iter_mut().find(|(known, _)| *known == address) {
            *seen = (*seen).max(at);
            return;
        }
        if self.recent.len() >= RECENT_MAX {
            let oldest = self.recent.iter().enumerate().min_by_key(|(_, (_, seen))| *seen).map(|(at, _)| at);
            oldest.map(|oldest| self.recent.remove(oldest));
        }
        self.recent.reserve_exact(1);
        self.recent.push((address, at));
    }
}

/// Whether so many addresses were seen about that time that no single machine has them.
fn carries_several(recent: &[(IpAddr, Timestamp)], at: Timestamp) -> bool {
    let within =
        |ns: u64| recent.iter().filter(move |(_, seen)| seen.0.abs_diff(at.0) <= ns).map(|(address, _)| *address);
    let ipv4 = |ns: u64| within(ns).filter(IpAddr::is_ipv4).count();
    if ipv4(AT_ONCE_NS) > 1 || ipv4(TOGETHER_NS) > IPV4_OF_ONE_MAX {
        return true;
    }
    let ipv6 = || {
        within(TOGETHER_NS).filter_map(|address| match address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
    };
    let networks = |local: bool| -> usize {
        let of_kind = ipv6().filter(|address| address.is_unique_local() == local);
        of_kind.map(|address| address.to_bits() >> 64).collect::<HashSet<_, FixedState>>().len()
    };
    ipv6().count() > IPV6_OF_ONE_MAX || networks(false) > NETWORKS_OF_ONE_MAX || networks(true) > NETWORKS_OF_ONE_MAX
}

/// Whether no router passes the address on, so that whoever is seen with it is on this very link (RFC 3927, RFC 4291 section 2.5.6).
const fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
    }
}

/// The link-layer address that an IPv6 address was made of (RFC 4291 appendix A).
const fn embedded_mac(address: IpAddr) -> Option<MacAddress> {
    match address {
        IpAddr::V6(address) => match address.octets() {
            [.., a, b, c, 0xff, 0xfe, d, e, f] => Some(MacAddress([a ^ 2, b, c, d, e, f])),
            _ => None,
        },
        IpAddr::V4(_) => None,
    }
}

/// Whether the address is set aside for routers that stand in for each other: VRRP (RFC 9568 section 7.3) and HSRP (RFC 2281 section 5.3).
const fn is_virtual_router(mac: MacAddress) -> bool {
    matches!(mac.0, [0, 0, 0x5e, 0, 1 | 2, _] | [0, 0, 0x0c, 0x07, 0xac, _])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3600;
    const ROUTER: MacAddress = MacAddress([2, 0xaa, 0, 0, 0, 1]);

    fn key(address: &str) -> HostKey {
        HostKey { address: address.parse().unwrap(), zone: Zone::default() }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp(second * SECOND)
    }

    fn span(mac: u8, first: u64, last: u64) -> LinkAddress {
        let mac = MacAddress([2, 0, 0, 0, 0, mac]);
        LinkAddress { mac, first_seen: at(first), last_seen: at(last), is_next_hop: false }
    }

    /// Whether these sightings of one link-layer address make it a next hop.
    fn is_next_hop(sightings: &[(&str, u64)]) -> bool {
        let mut hops = NextHops::default();
        for &(address, second) in sightings {
            hops.note(key(address), ROUTER, at(second));
        }
        hops.has(key("192.0.2.1"), ROUTER)
    }

    #[test]
    fn a_router_carries_several_hosts() {
        assert!(is_next_hop(&[("10.8.0.5", 0), ("10.8.0.6", 1)]));
        assert!(is_next_hop(&[("10.8.0.5", 0), ("10.8.0.6", 60)]));
        assert!(is_next_hop(&[("10.8.0.5", 0), ("10.8.0.6", 1200), ("10.8.0.7", 2400)]), "three within an hour");
        assert!(is_next_hop(&[("10.8.0.5", 0), ("10.8.0.6", 2 * HOUR), ("10.8.0.5", 2 * HOUR + 5)]), "by turns");
        let many = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"].map(|a| (a, 0));
        assert!(is_next_hop(&many));
        assert!(is_next_hop(&[("2001:db8:0:1::1", 0), ("2001:db8:0:2::1", 1), ("2001:db8:0:3::1", 2)]));
        let (vrrp, hsrp) = (MacAddress([0, 0, 0x5e, 0, 1, 7]), MacAddress([0, 0, 0x0c, 7, 0xac, 1]));
        assert!([vrrp, hsrp].into_iter().all(|mac| NextHops::default().note(key("10.0.0.1"), mac, at(0))));
    }

    #[test]
    fn a_machine_has_few_addresses() {
        assert!(!is_next_hop(&[("10.8.0.5", 0), ("10.8.0.5", 1)]));
        assert!(!is_next_hop(&[("10.8.0.5", 0), ("10.8.0.6", 61)]), "another lease");
        assert!(!is_next_hop(&[("10.8.0.5", 0), ("10.8.0.6", HOUR), ("10.8.0.5", 3 * HOUR), ("10.8.0.7", 5 * HOUR)]));
        assert!(!is_next_hop(&[("169.254.1.1", 0), ("10.8.0.5", 2)]), "none was given at first");
        assert!(!is_next_hop(&[
            ("10.8.0.5", 0),
            ("fe80::1", 0),
            ("2001:db8::1", 1),
            ("2001:db8::abcd", 2),
            ("fd00::1", 3)
        ]));
        let daily: Vec<String> = (0..30).map(|day| format!("2001:db8::{day}")).collect();
        let daily: Vec<(&str, u64)> =
            daily.iter().zip(0..).map(|(text, day)| (text.as_str(), day * 24 * HOUR)).collect();
        assert!(!is_next_hop(&daily), "a temporary address every day");
    }

    #[test]
    fn an_address_made_of_another_link_layer_address_came_over_a_router() {
        let mut hops = NextHops::default();
        let host = key("2001:db8::ff:fe00:1");
        assert!(!hops.note(host, MacAddress([2, 0, 0, 0, 0, 1]), at(0)));
        assert!(hops.note(host, ROUTER, at(0)));
        assert!(!hops.has(key("10.0.0.1"), MacAddress([2, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn tenants_are_apart() {
        let mut hops = NextHops::default();
        let tenant = |vlan| HostKey { zone: Zone { vlan: Some(vlan), ..Zone::default() }, ..key("10.0.0.5") };
        hops.note(tenant(1), ROUTER, at(0));
        assert!(!hops.note(HostKey { address: "10.0.0.6".parse().unwrap(), ..tenant(2) }, ROUTER, at(0)));
    }

    #[test]
    fn inputs_show_together_what_each_alone_does_not() {
        let seen = |mac: u8, first, last| LinkAddress { mac: ROUTER, ..span(mac, first, last) };
        let hops = NextHops::among([(key("10.8.0.5"), seen(0, 0, 100)), (key("10.8.0.6"), seen(0, 130, 900))]);
        assert!(hops.has(key("10.8.0.5"), ROUTER) && hops.has(key("10.8.0.6"), ROUTER));
        let leases = [(key("10.8.0.5"), seen(0, 0, 100)), (key("10.8.0.6"), seen(0, HOUR, 9 * HOUR))];
        assert!(!NextHops::among(leases).has(key("10.8.0.6"), ROUTER));
        let mut leases = leases;
        leases[0].1.is_next_hop = true;
        assert!(NextHops::among(leases).has(key("10.8.0.6"), ROUTER), "one record knew");
    }

    #[test]
    fn what_is_followed_has_a_bound() {
        let mut hops = NextHops::default();
        let most = u32::try_from(FOLLOWED_MAX).unwrap();
        for number in 0..=most {
            let [a, b, c, d] = number.to_be_bytes();
            hops.note(key("10.0.0.1"), MacAddress([2, 0, a, b, c, d]), at(u64::from(number)));
        }
        assert_eq!(hops.dropped(), u64::from(most) / 4);
        assert_eq!(hops.followed.len(), FOLLOWED_MAX / 4 * 3 + 1);
    }
}
