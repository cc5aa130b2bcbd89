//! Products that cannot resolve the vendor's names with the system's resolver ask public ones, in a fixed order. Where the names are
//! blocked, this tells a product from a browser, which does not insist.

use super::lru_map::{LruMap, RetentionPriority};
use super::signature_set::ResolverOrder;
use super::{ConnectionOutcome, HostKey, IndicatorIndex, SignatureSet};
use crate::capture::Timestamp;
use std::net::IpAddr;

/// Clients and names whose lookups are followed.
pub const LOOKUPS_MAX: usize = 1 << 16;

/// A name that a client's usual resolver was asked for, and what came after.
#[derive(Debug)]
struct Lookup {
    since: Timestamp,
    /// The usual resolver.
    usual: IpAddr,
    /// Place in the order of the public resolver that was asked last.
    last: Option<usize>,
    /// One bit for each place in the order that was asked.
    asked: u8,
    reported: bool,
}

impl RetentionPriority for Lookup {
    /// One that got somewhere, before those that were only asked once.
    fn retention_priority(&self) -> u64 {
        self.asked.count_ones().into()
    }
}

/// Lookups of names that matched, by client and name.
#[derive(Debug)]
pub struct ResolverFallback {
    lookups: LruMap<(HostKey, Box<str>), Lookup>,
}

impl Default for ResolverFallback {
    fn default() -> Self {
        Self { lookups: LruMap::with_limit(LOOKUPS_MAX) }
    }
}

impl ResolverFallback {
    /// Takes a question; what it is evidence for, when it completes the order.
    pub fn asked(
        &mut self,
        at: Timestamp,
        client: HostKey,
        resolver: IpAddr,
        name: &str,
        signatures: &SignatureSet,
    ) -> Option<IndicatorIndex> {
        // More than one order would be followed by the first that has the resolver.
        let orders = &signatures.habits().resolver_orders;
        let found = orders.iter().find_map(|order| Some((order, place(order, resolver)?)));
        let key = (client, name.into());
        let Some((order, place)) = found else {
            if !orders.is_empty() && !resolver.is_multicast() {
                let fresh = || Lookup { since: at, usual: resolver, last: None, asked: 0, reported: false };
                let lookup = self.lookups.get_or_insert_with(key, fresh);
                let longest = orders.iter().map(|order| order.within_ns).max().unwrap_or(0);
                if lookup.last.is_some() || at.0.saturating_sub(lookup.since.0) > longest {
                    *lookup = fresh();
                }
            }
            return None;
        };
        let lookup = self.lookups.get_mut(&key)?;
        let in_time = at >= lookup.since && at.0 - lookup.since.0 <= order.within_ns;
        let bit = 1_u8.checked_shl(u32::try_from(place).ok()?)?;
        // Questions for several types run side by side, so one that was asked before may come again.
        let in_order = lookup.last.is_none_or(|last| last <= place) || lookup.asked & bit != 0;
        if !in_time || !in_order {
            self.lookups.remove(&key);
            return None;
        }
        lookup.last = lookup.last.max(Some(place));
        lookup.asked |= bit;
        let completes = lookup.asked.count_ones() as usize >= order.at_least && !lookup.reported;
        lookup.reported |= completes;
        completes.then_some(order.indicator)
    }

    /// Takes an answer: one of use, by the usual resolver, leaves no reason to ask others.
    pub fn answered(&mut self, client: HostKey, resolver: IpAddr, name: &str, connection_outcome: ConnectionOutcome) {
        if !connection_outcome.came_about() {
            return;
        }
        let key = (client, name.into());
        if self.lookups.get_mut(&key).is_some_and(|lookup| lookup.usual == resolver) {
            self.lookups.remove(&key);
        }
    }

    /// Lookups that were dropped at the bound.
    pub const fn dropped(&self) -> u64 {
        self.lookups.dropped()
    }
}

fn place(order: &ResolverOrder, resolver: IpAddr) -> Option<usize> {
    order.resolvers.iter().position(|&one| one == resolver)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::Zone;

    const NAME: &str = "s07.upd.kaspersky.com";
    const SECOND: u64 = 1_000_000_000;

    /// Which of the questions, each at its second to a resolver, complete an order.
    fn completing(questions: &[(u64, &str)], answer: Option<(&str, ConnectionOutcome)>) -> Vec<usize> {
        let signatures = SignatureSet::builtin();
        let client = HostKey { address: "10.0.0.1".parse().unwrap(), zone: Zone::default() };
        let mut fallback = ResolverFallback::default();
        let mut found = Vec::new();
        for (number, (second, resolver)) in questions.iter().enumerate() {
            let at = Timestamp(second * SECOND);
            if fallback.asked(at, client, resolver.parse().unwrap(), NAME, &signatures).is_some() {
                found.push(number);
            }
            if let (0, Some((resolver, connection_outcome))) = (number, answer) {
                fallback.answered(client, resolver.parse().unwrap(), NAME, connection_outcome);
            }
        }
        found
    }

    const USUAL: &str = "10.0.0.53";

    #[test]
    fn the_order_after_a_failure_is_told_once() {
        let all = [(0, USUAL), (5, "8.8.8.8"), (6, "1.1.1.1"), (7, "223.6.6.6"), (8, "9.9.9.9")];
        assert_eq!(completing(&all, None), [2]);
        assert_eq!(completing(&all, Some((USUAL, ConnectionOutcome::Refused))), [2]);
        let side_by_side = [(0, USUAL), (5, "8.8.8.8"), (6, "1.1.1.1"), (6, "8.8.8.8"), (7, "1.1.1.1")];
        assert_eq!(completing(&side_by_side, None), [2]);
        let with_repetition = [(0, USUAL), (0, USUAL), (5, "8.8.8.8"), (5, "8.8.8.8"), (6, "223.6.6.6")];
        assert_eq!(completing(&with_repetition, None), [4]);
    }

    #[test]
    fn anything_else_is_no_order() {
        assert_eq!(completing(&[(0, USUAL), (5, "8.8.8.8")], None), [0; 0], "one is not enough");
        assert_eq!(completing(&[(0, "8.8.8.8"), (5, "1.1.1.1"), (6, "9.9.9.9")], None), [0; 0], "no usual resolver");
        assert_eq!(completing(&[(0, USUAL), (5, "1.1.1.1"), (6, "8.8.8.8")], None), [0; 0], "not in order");
        assert_eq!(completing(&[(0, USUAL), (5, "8.8.8.8"), (61, "1.1.1.1")], None), [0; 0], "too late");
        let answered = [(0, USUAL), (5, "8.8.8.8"), (6, "1.1.1.1")];
        assert_eq!(completing(&answered, Some((USUAL, ConnectionOutcome::DataExchanged))), [0; 0], "no failure");
        assert_eq!(completing(&[(0, USUAL), (5, "8.8.8.8"), (5, USUAL), (6, "1.1.1.1")], None), [0; 0]);
    }

    #[test]
    fn a_later_failure_begins_anew() {
        let twice = [(0, USUAL), (1, "8.8.8.8"), (2, "1.1.1.1"), (900, USUAL), (901, "8.8.8.8"), (902, "1.1.1.1")];
        assert_eq!(completing(&twice, None), [2, 5]);
    }
}
