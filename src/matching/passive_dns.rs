//! Passive DNS: which client got which address for a name that we know. What one client learned says nothing about another: the address
//! of a content network serves many names.

use super::{HostKey, IndicatorIndex, Resolved, ResolvedAddresses, SignatureSet, Strength};
use crate::capture::Timestamp;
use foldhash::fast::FixedState;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

/// Bindings of a client and an address that are remembered; then an eighth goes.
pub const BINDINGS_MAX: usize = 1 << 18;
/// Names that are remembered for one client and one address; the oldest goes first.
pub const NAMES_PER_BINDING_MAX: usize = 4;
/// Longest time to live that is believed (RFC 8767 section 4 suggests 7 days as a cap).
pub(super) const LIFETIME_MAX_S: u32 = 7 * 24 * 3600;
/// A lifetime counts from the answer, a connection from its first packet: the client's own delay in between, and a lifetime of zero,
/// which is good for the one connection that it was asked for.
const GRACE_S: u64 = 2;

/// A name that a client got an address for.
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

/// Addresses that clients got from DNS, with bounds on everything.
#[derive(Debug)]
pub struct PassiveDns {
    bindings: HashMap<(HostKey, IpAddr), Binding, FixedState>,
    resolved: ResolvedAddresses,
    /// Bindings that are kept.
    most: usize,
    /// Number of the next binding, in the order in which they came.
    next: u64,
    dropped: u64,
}

impl Default for PassiveDns {
    fn default() -> Self {
        Self {
            bindings: HashMap::default(),
            resolved: ResolvedAddresses::default(),
            most: BINDINGS_MAX,
            next: 0,
            dropped: 0,
        }
    }
}

/// What a client learned from DNS about one address.
#[derive(Debug)]
struct Binding {
    number: u64,
    /// Several only if one address serves several of our names.
    names: Vec<LearnedName>,
}

impl PassiveDns {
    /// Remembers that a client got `address`, good for `ttl_s` seconds from `at`.
    pub fn learn(
        &mut self,
        resolved: &Resolved,
        address: IpAddr,
        at: Timestamp,
        ttl_s: u32,
        signatures: &SignatureSet,
    ) {
        let Resolved { client, indicator, name, chain, .. } = resolved;
        let lifetime = (u64::from(ttl_s.min(LIFETIME_MAX_S)) + GRACE_S) * 1_000_000_000;
        let until = Timestamp(at.0.saturating_add(lifetime));
        let key = (*client, address);
        self.resolved.insert(address, at);
        if self.bindings.len() >= self.most && !self.bindings.contains_key(&key) {
            self.make_room(at, signatures);
        }
        let next = &mut self.next;
        let Binding { names, .. } = self.bindings.entry(key).or_insert_with(|| {
            let number = *next;
            *next += 1;
            Binding { number, names: Vec::with_capacity(1) }
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
    }

    /// Evicts the eighth that matters least: what is no longer good, or was taken back; then names that prove less; then those of
    /// clients that got very many, so that one alone pushes out its own; then the oldest.
    fn make_room(&mut self, at: Timestamp, signatures: &SignatureSet) {
        let mut latest: Vec<_> = self.bindings.iter().map(|(key, binding)| (Reverse(binding.number), *key)).collect();
        latest.sort_unstable();
        let mut of_client: HashMap<HostKey, usize, FixedState> = HashMap::default();
        let mut ranked: Vec<_> = latest
            .into_iter()
            .filter_map(|(Reverse(number), key)| {
                let (client, _) = key;
                let Binding { names, .. } = self.bindings.get(&key)?;
                let later = of_client.entry(client).or_default();
                *later += 1;
                let good = names.iter().filter(|name| at <= name.until);
                let strength: Option<Strength> = good.map(|name| signatures.get(name.indicator).strength).min();
                // What is worth keeping sorts first.
                Some((strength.is_none(), strength, later.ilog2(), Reverse(number), key))
            })
            .collect();
        let kept = self.most - self.most / 8;
        if ranked.len() <= kept {
            return;
        }
        ranked.select_nth_unstable(kept);
        for (is_over, .., key) in ranked.into_iter().skip(kept) {
            self.bindings.remove(&key);
            self.dropped += u64::from(!is_over);
        }
    }

    /// Notes that `client` got `address` for a name, given by its hash, that does not concern us. From then on nobody can say which
    /// of the two names a flow to it is for; unless the one is an alias of the other, and the client asked for both.
    pub fn forget(&mut self, client: HostKey, address: IpAddr, name: u64) {
        // Nearly every answer is about addresses that nobody was told for our names.
        if !self.may_know(address) {
            return;
        }
        if let Some(Binding { names, .. }) = self.bindings.get_mut(&(client, address)) {
            names.retain(|known| known.chain.contains(&name));
        }
    }

    /// Holds each name against another set of signatures: `find` gives the indicator that it matches now, if any.
    pub fn match_anew(&mut self, find: impl Fn(&str) -> Option<IndicatorIndex>) {
        for Binding { names, .. } in self.bindings.values_mut() {
            names.retain_mut(|known| {
                let found = find(&known.name);
                known.indicator = found.unwrap_or(known.indicator);
                found.is_some()
            });
        }
    }

    /// Whether some client may have got `address`; false for sure when it says no.
    #[inline]
    #[must_use]
    pub fn may_know(&self, address: IpAddr) -> bool {
        self.resolved.may_contain(address)
    }

    /// The name that `client` last got `address` for, if that answer still held at `at`.
    #[must_use]
    pub fn name_of(&self, client: HostKey, address: IpAddr, at: Timestamp) -> Option<&LearnedName> {
        if self.bindings.is_empty() {
            return None;
        }
        self.bindings.get(&(client, address))?.names.iter().rev().find(|name| name.from <= at && at <= name.until)
    }

    /// Bindings that had to go before their time.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
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
        let mut learned = PassiveDns::default();
        learned.learn(
            &answer("10.0.0.1", "s07.upd.kaspersky.com", 3),
            cdn,
            Timestamp(10 * SECOND),
            60,
            &SignatureSet::default(),
        );
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
        let mut learned = PassiveDns::default();
        let learn = |learned: &mut PassiveDns, who| {
            learned.learn(&answer(who, "s07.upd.kaspersky.com", 3), cdn, Timestamp(0), 60, &SignatureSet::default());
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
        assert_eq!(learned.bindings.len(), 2);
    }

    #[test]
    fn the_latest_name_wins_and_all_is_bounded() {
        let cdn: IpAddr = "203.0.113.9".parse().unwrap();
        let (mut learned, signatures) = (PassiveDns::default(), SignatureSet::default());
        for number in 0..10u16 {
            let at = Timestamp(u64::from(number) * SECOND);
            learned.learn(&answer("10.0.0.1", &format!("n{number}"), number.into()), cdn, at, 60, &signatures);
        }
        let name = learned.name_of(client("10.0.0.1"), cdn, Timestamp(10 * SECOND)).unwrap();
        assert_eq!(&*name.name, "n9");
        assert_eq!(learned.bindings.values().next().unwrap().names.len(), NAMES_PER_BINDING_MAX);
    }

    /// A client that gets very many addresses, then very many clients that get one; before, in between and behind, one that matters.
    #[test]
    fn no_flood_of_answers_makes_a_client_forget_what_it_was_just_told() {
        let signatures = SignatureSet::builtin();
        let of = |name: &str| signatures.match_name(name).unwrap();
        let (vendor, browsed) = (of("s07.upd.kaspersky.com"), of("www.kaspersky.com"));
        let resolved = |who: String, indicator: IndicatorIndex| Resolved { indicator, ..answer(&who, "n", 0) };
        let cdn: IpAddr = "203.0.113.9".parse().unwrap();
        let most = 4_096_u32;
        let mut learned = PassiveDns { most: most as usize, ..PassiveDns::default() };
        let knows = |learned: &PassiveDns, who: &str| learned.name_of(client(who), cdn, Timestamp(SECOND)).is_some();
        learned.learn(&resolved("10.9.0.1".into(), vendor), cdn, Timestamp(0), 60, &signatures);
        for number in 0..most + 10 {
            let address = std::net::Ipv4Addr::from(number).into();
            learned.learn(&resolved("10.0.0.1".into(), vendor), address, Timestamp(0), 60, &signatures);
        }
        assert!(knows(&learned, "10.9.0.1"), "one client pushed out its own");
        assert_eq!(learned.dropped() + learned.bindings.len() as u64, u64::from(most) + 11);
        for number in 0..most + 10 {
            let who = std::net::Ipv4Addr::from(0x0b00_0000 + number).to_string();
            learned.learn(&resolved(who, browsed), cdn, Timestamp(0), 60, &signatures);
        }
        assert!(knows(&learned, "10.9.0.1"), "what proves less goes first");
        assert!(
            knows(&learned, &std::net::Ipv4Addr::from(0x0b00_0000 + most + 9).to_string()),
            "of equals, the oldest"
        );
        assert!(learned.bindings.len() <= most as usize);
    }
}
