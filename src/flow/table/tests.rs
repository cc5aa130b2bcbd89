//! The table held against a plain map, and under pressure.

#![allow(clippy::unwrap_used)]
use super::store::Entry;
use super::*;
use crate::decode::{FiveTuple, Zone};
use proptest::prelude::*;
use std::collections::HashMap;

/// Its number, and when it was last heard of.
#[derive(Clone, Copy, Debug, PartialEq)]
struct State(u32, u32);

impl FlowState for State {
    fn idle_timeout_s(&self) -> u32 {
        1_000
    }
    fn value(&self) -> u8 {
        u8::from(self.0.is_multiple_of(7))
    }
    fn last_seen_s(&self) -> u32 {
        self.1
    }
    fn touch(&mut self, seconds: u32) {
        self.1 = seconds;
    }
}

const SEED: u64 = 3;

fn table(kept: usize) -> FlowTable<State> {
    FlowTable::new(Capacities { kept, half_open: 8, datagrams: 4, lookups: 4 }, SEED)
}

fn at(seconds: u32) -> Timestamp {
    Timestamp(u64::from(seconds) * 1_000_000_000)
}

/// Finds or opens flow `number` among those that are kept.
fn meet(table: &mut FlowTable<State>, number: u32, now: u32, ended: impl FnMut(&FlowKey, State)) -> Found {
    let hash = table.hash(&key(number));
    table.find_or_open(&key(number), hash, at(now), Tier::Kept, || State(number, now), ended)
}

fn key(number: u32) -> FlowKey {
    let tuple = FiveTuple {
        src: std::net::Ipv4Addr::from(number).into(),
        dst: "192.0.2.1".parse().unwrap(),
        src_port: 1,
        dst_port: 2,
        protocol: 6,
    };
    FlowKey::of(&tuple, &Zone::default()).0
}

proptest! {
    /// Held against a plain map: as long as nothing is evicted, the table is one.
    #[test]
    fn agrees_with_a_hash_map(operations in prop::collection::vec((0u32..300, 0u32..200, any::<bool>()), 1..2000)) {
        let mut table = FlowTable::<State>::new(Capacities { kept: 2048, half_open: 512, datagrams: 512, lookups: 512 }, SEED);
        let mut model: HashMap<u32, (u32, u32)> = HashMap::new();
        let mut now = 0;
        for (serial, (number, step, is_passing)) in operations.into_iter().enumerate() {
            let serial = u32::try_from(serial).unwrap();
            now += step;
            let mut ended = Vec::new();
            let hash = table.hash(&key(number));
            let tier = if is_passing { Tier::HalfOpen } else { Tier::Datagrams };
            let known = model.get(&number).copied().filter(|&(_, seen)| now - seen <= 1_000);
            if let Some((slot, state)) = table.fast_path(&key(number), hash, at(now)) {
                prop_assert_eq!((state.0, state.1), (known.unwrap().0, now));
                prop_assert_eq!(table.find(&key(number), hash), Some(slot));
            }
            let found = table.find_or_open(&key(number), hash, at(now), tier, || State(serial, now), |_, s| ended.push(s.0));
            let slot = match (found, known) {
                (Found::Known(slot), Some((state, _))) => {
                    prop_assert_eq!(table.state(slot).0, state);
                    slot
                }
                (Found::Opened(slot), None) => {
                    prop_assert_eq!(table.state(slot).0, serial);
                    let old = model.get(&number).map(|&(state, _)| state);
                    prop_assert_eq!(ended, old.into_iter().collect::<Vec<_>>());
                    slot
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            if number.is_multiple_of(3) {
                let kept = table.keep(slot, hash, |_, _| {});
                prop_assert_eq!(kept.tier(), Tier::Kept);
                prop_assert_eq!(table.find(&key(number), hash), Some(kept));
            }
            let state = known.map_or(serial, |(state, _)| state);
            model.insert(number, (state, now));
        }
        prop_assert_eq!(table.len(), model.len());
        prop_assert_eq!(Tier::ALL.map(|tier| table.evicted(tier)), [0; 4]);
        let mut rest = Vec::new();
        table.show(|_, _, state| rest.extend(state.take().map(|state| state.0)));
        table.clear();
        let mut expected: Vec<_> = model.values().map(|&(state, _)| state).collect();
        rest.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(rest, expected);
        prop_assert!(table.is_empty());
        for &number in model.keys() {
            prop_assert_eq!(table.find(&key(number), table.hash(&key(number))), None);
        }
    }

    /// However many flows come, no more than the capacity stay, each that goes is reported once, and what is found is right.
    #[test]
    fn stays_within_its_capacity(count in 1u32..3000, capacity in 1usize..200) {
        let mut table = table(capacity);
        let mut ended = 0;
        for number in 0..count {
            let Found::Opened(slot) = meet(&mut table, number, 0, |_, _| ended += 1) else { panic!("never seen before") };
            prop_assert_eq!(table.state(slot).0, number);
            prop_assert!(table.len() <= capacity);
        }
        prop_assert_eq!(table.len() + ended, count as usize);
        prop_assert_eq!(table.evicted(Tier::Kept), ended as u64);
        for number in 0..count {
            if let Some(slot) = table.find(&key(number), table.hash(&key(number))) {
                prop_assert_eq!(table.state(slot).0, number);
            }
        }
    }
}

#[test]
fn the_first_look_finds_nearly_all_that_are_not_idle() {
    let mut table = table(4_000);
    for number in 0..4_000 {
        meet(&mut table, number, 0, |_, _| {});
    }
    let found = |table: &mut FlowTable<State>, now| {
        let look = |&number: &u32| table.fast_path(&key(number), table.hash(&key(number)), at(now)).is_some();
        (0..4_000).filter(look).count()
    };
    assert!(found(&mut table, 1_000) > 3_800);
    assert_eq!(found(&mut table, 2_001), 0);
}

#[test]
fn an_entry_of_eighty_bytes_of_state_takes_two_lines() {
    assert_eq!(size_of::<Entry<[u64; 9]>>(), 128);
    assert_eq!(align_of::<Entry<State>>(), 64);
}

#[test]
fn the_sweep_ends_idle_flows_only() {
    let mut table = table(64);
    for number in 0..10 {
        meet(&mut table, number, number * 200, |_, _| {});
    }
    let mut ended = Vec::new();
    table.sweep(at(2_000), 100, |_, state| ended.push(state.0));
    assert_eq!(ended, [0, 1, 2, 3, 4]);
    assert_eq!(table.len(), 5);
}

#[test]
fn the_more_valuable_flow_survives_pressure() {
    let mut table = table(16);
    meet(&mut table, 7, 0, |_, _| {});
    for number in (0..2_000).filter(|number| number % 7 != 0) {
        meet(&mut table, number, 1, |_, _| {});
    }
    assert!(table.find(&key(7), table.hash(&key(7))).is_some());
}

#[test]
fn a_flood_of_one_kind_pushes_out_its_own_kind() {
    let mut table = table(16);
    for number in 0..16 {
        meet(&mut table, number, 0, |_, _| panic!("there is room"));
    }
    let mut ended = Vec::new();
    for number in 100..1_100 {
        let hash = table.hash(&key(number));
        table.find_or_open(&key(number), hash, at(0), Tier::HalfOpen, || State(number, 0), |_, s| ended.push(s.0));
    }
    assert_eq!(ended, (100..1_092).collect::<Vec<_>>(), "first in, first out");
    assert_eq!((table.evicted(Tier::Kept), table.evicted(Tier::HalfOpen)), (0, 992));
    assert!((0..16).all(|number| table.find(&key(number), table.hash(&key(number))).is_some()));
}

#[test]
fn a_full_pair_of_buckets_gives_up_a_passing_flow_first() {
    let mut table = FlowTable::new(Capacities { kept: 4, half_open: 20, datagrams: 4, lookups: 4 }, SEED);
    // Of a mask so small, hashes are tried until all fall on one pair of buckets.
    let target = table.hash(&key(0)) & table.mask;
    let pair = [target, table.second(table.hash(&key(0))) as u64];
    let same: Vec<u32> = (0..100_000)
        .filter(|&number| {
            let hash = table.hash(&key(number));
            hash & table.mask == target && table.second(hash) as u64 == pair[1]
        })
        .take(25)
        .collect();
    let (&kept, passing) = same.split_first().unwrap();
    meet(&mut table, kept, 0, |_, _| {});
    let mut ended = Vec::new();
    for &number in passing {
        let hash = table.hash(&key(number));
        table.find_or_open(&key(number), hash, at(1), Tier::HalfOpen, || State(number, 1), |_, s| ended.push(s.0));
    }
    assert!(!ended.is_empty() && !ended.contains(&kept));
    assert!(table.find(&key(kept), table.hash(&key(kept))).is_some());
}
