//! Which client was told which address for a name that we know. What one client learned says nothing about another: the address
//! of a content network serves many names.

use super::{HostKey, IndicatorIndex, Resolved, ToldAddresses};
use crate::capture::Timestamp;
use foldhash::fast::FixedState;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Bindings of a client and an address that are remembered; the oldest goes first.
pub const BINDINGS_MAX: usize = 1 << 18;
/// Names that are remembered for one client and one address; the oldest goes first.
pub const NAMES_PER_BINDING_MAX: usize = 4;
/// Longest time to live that is believed (RFC 8767 section 4 suggests 7 days as a cap).
pub(super) const LIFETIME_MAX_S: u32 = 7 * 24 * 3600;
/// A lifetime counts from the answer, a connection from its first packet: the client's own delay in between, and a lifetime of zero,
/// which is good for the one connection that it was asked for.
const GRACE_S: u64 = 2;

/// A name that a client was told an address for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedName {
    /// What the name matched.
    pub indicator: IndicatorIndex,
    /// The name.
    pub name: Box<str>,
    /// Hashes of all names that the answer led through.
    chain: Box<[u64]>,
    /// When the answer came.
    pub from: Timestamp,
    /// When it stopped being good.
    pub until: Timestamp,
}

/// Addresses that clients were told, with bounds on everything.
#[derive(Debug, Default)]
pub struct LearnedNames {
    bindings: HashMap<(HostKey, IpAddr), Vec<LearnedName>, FixedState>,
    order: VecDeque<(HostKey, IpAddr)>,
    told: ToldAddresses,
    given_up: u64,
}

impl LearnedNames {
    /// Remembers that a client was told `address`, good for `ttl_s` seconds from `at`.
    pub fn learn(&mut self, resolved: &Resolved, address: IpAddr, at: Timestamp, ttl_s: u32) {
        let Resolved { client, indicator, name, chain, .. } = resolved;
        let lifetime = (u64::from(ttl_s.min(LIFETIME_MAX_S)) + GRACE_S) * 1_000_000_000;
        let until = Timestamp(at.0.saturating_add(lifetime));
        let key = (*client, address);
        self.told.insert(address, at);
        let names = self.bindings.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Vec::new()
        });
        names.retain(|known| known.name != *name);
        if names.len() >= NAMES_PER_BINDING_MAX {
            names.remove(0);
        }
        names.push(LearnedName {
            indicator: *indicator,
            name: name.clone(),
            chain: chain.as_slice().into(),
            from: at,
            until,
        });
        if self.order.len() > BINDINGS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.bindings.remove(&oldest);
            self.given_up += 1;
        }
    }

    /// Notes that `client` was told `address` for a name, given by its hash, that does not concern us. From then on nobody can say which
    /// of the two names a flow to it is for; unless the one is an alias of the other, and the client asked for both.
    pub fn forget(&mut self, client: HostKey, address: IpAddr, name: u64) {
        if self.bindings.is_empty() {
            return;
        }
        // The binding stays, empty, so that each has one place in the order.
        if let Some(names) = self.bindings.get_mut(&(client, address)) {
            names.retain(|known| known.chain.contains(&name));
        }
    }

    /// Holds each name against another set of signatures: `find` gives the indicator that it matches now, if any.
    pub fn match_anew(&mut self, find: impl Fn(&str) -> Option<IndicatorIndex>) {
        for names in self.bindings.values_mut() {
            names.retain_mut(|known| {
                let found = find(&known.name);
                known.indicator = found.unwrap_or(known.indicator);
                found.is_some()
            });
        }
    }

    /// Whether some client may have been told `address`; false for sure when it says no.
    #[inline]
    #[must_use]
    pub fn may_know(&self, address: IpAddr) -> bool {
        self.told.may_contain(address)
    }

    /// The name that `client` was last told `address` for, if that answer still held at `at`.
    #[must_use]
    pub fn name_of(&self, client: HostKey, address: IpAddr, at: Timestamp) -> Option<&LearnedName> {
        if self.bindings.is_empty() {
            return None;
        }
        self.bindings.get(&(client, address))?.iter().rev().find(|name| name.from <= at && at <= name.until)
    }

    /// Bindings that had to go before their time.
    #[must_use]
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::Zone;

    const SECOND: u64 = 1_000_000_000;

    fn client(address: &str) -> HostKey {
        HostKey { address: address.parse().unwrap(), zone: Zone::default() }
    }

    /// An answer to a client about a name, by way of an alias with the hash 7.
    fn answer(who: &str, name: &str, indicator: u32) -> Resolved {
        Resolved {
            client: client(who),
            indicator: IndicatorIndex(indicator),
            name: name.into(),
            chain: vec![7],
            addresses: Vec::new(),
        }
    }

    #[test]
    fn an_answer_binds_its_own_client_for_its_lifetime() {
        let cdn: IpAddr = "203.0.113.9".parse().unwrap();
        let mut learned = LearnedNames::default();
        learned.learn(&answer("10.0.0.1", "s07.upd.kaspersky.com", 3), cdn, Timestamp(10 * SECOND), 60);
        let found =
            |who: &str, at: u64| learned.name_of(client(who), cdn, Timestamp(at * SECOND)).map(|name| name.indicator);
        assert_eq!(found("10.0.0.1", 10), Some(IndicatorIndex(3)));
        assert_eq!(found("10.0.0.1", 70), Some(IndicatorIndex(3)));
        assert_eq!(found("10.0.0.1", 73), None, "expired");
        assert_eq!(found("10.0.0.1", 9), None, "not told yet");
        assert_eq!(found("10.0.0.2", 20), None, "another client");
        let other_tenant = HostKey { zone: Zone { vlan: Some(7), ..Zone::default() }, ..client("10.0.0.1") };
        assert!(learned.name_of(other_tenant, cdn, Timestamp(20 * SECOND)).is_none());
    }

    #[test]
    fn an_address_that_also_serves_another_name_is_forgotten() {
        let cdn: IpAddr = "203.0.113.9".parse().unwrap();
        let mut learned = LearnedNames::default();
        let learn = |learned: &mut LearnedNames, who| {
            learned.learn(&answer(who, "s07.upd.kaspersky.com", 3), cdn, Timestamp(0), 60);
        };
        learn(&mut learned, "10.0.0.1");
        learn(&mut learned, "10.0.0.2");
        learned.forget(client("10.0.0.1"), cdn, 7);
        assert!(learned.name_of(client("10.0.0.1"), cdn, Timestamp(SECOND)).is_some(), "an alias of it");
        learned.forget(client("10.0.0.1"), cdn, 8);
        assert!(learned.name_of(client("10.0.0.1"), cdn, Timestamp(SECOND)).is_none());
        assert!(learned.name_of(client("10.0.0.2"), cdn, Timestamp(SECOND)).is_some(), "another client");
        learn(&mut learned, "10.0.0.1");
        assert!(learned.name_of(client("10.0.0.1"), cdn, Timestamp(SECOND)).is_some(), "asked for again");
        assert_eq!(learned.order.len(), 2);
    }

    #[test]
    fn the_latest_name_wins_and_all_is_bounded() {
        let cdn: IpAddr = "203.0.113.9".parse().unwrap();
        let mut learned = LearnedNames::default();
        for number in 0..10u16 {
            let at = Timestamp(u64::from(number) * SECOND);
            learned.learn(&answer("10.0.0.1", &format!("n{number}"), number.into()), cdn, at, 60);
        }
        let name = learned.name_of(client("10.0.0.1"), cdn, Timestamp(10 * SECOND)).unwrap();
        assert_eq!(&*name.name, "n9");
        assert_eq!(learned.bindings.values().next().unwrap().len(), NAMES_PER_BINDING_MAX);
        for number in 0..u32::try_from(BINDINGS_MAX).unwrap() {
            let address = std::net::Ipv4Addr::from(number).into();
            learned.learn(&answer("10.0.0.1", "n", 0), address, Timestamp(0), 60);
        }
        assert_eq!(learned.bindings.len(), BINDINGS_MAX);
        assert_eq!(learned.given_up(), 1);
    }
}
