//! Link-layer addresses that a host was seen with, and which of them are its own.
//!
//! Behind a router every host is seen with the router's link-layer address, and an address that is leased passes from one machine to the
//! next. So a record keeps each link-layer address with its times, and one that carries several hosts at a time is told for a next hop.
//! What is told follows from the records alone, however they were split over inputs.

use super::HostKey;
use super::next_hops::NextHops;
use crate::capture::Timestamp;
use crate::decode::MacAddress;
use serde::Serialize;

/// Link-layer addresses kept per host.
pub const LINK_ADDRESSES_MAX: usize = 8;

/// A link-layer address that a host was seen with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LinkAddress {
    /// The address.
    pub mac: MacAddress,
    /// When the host was first seen with it.
    pub first_seen: Timestamp,
    /// When it was last.
    pub last_seen: Timestamp,
    /// Whether it is that of a router on the way to the host, as far as this record tells.
    pub is_next_hop: bool,
}

/// Those of one host, in the order in which they came. Most hosts have one, which asks the heap for nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkAddresses {
    first: Option<LinkAddress>,
    further: Option<Box<Further>>,
}

/// What few hosts have.
#[derive(Clone, Debug, Default)]
struct Further {
    seen: Vec<LinkAddress>,
    dropped: u32,
}

impl LinkAddresses {
    /// Those, of which so many others were dropped.
    pub fn of(links: impl IntoIterator<Item = LinkAddress>, dropped: u32) -> Self {
        let mut all = Self::default();
        links.into_iter().for_each(|link| all.note(link));
        if dropped > 0 {
            all.further.get_or_insert_default().dropped += dropped;
        }
        all
    }

    /// Takes a sighting, or what was seen of the host elsewhere. At the bound the one that was seen for the shortest time goes, and of
    /// those the one that was seen longest ago: a flood of invented ones pushes out its own kind.
    pub fn note(&mut self, new: LinkAddress) {
        let further = self.further.as_deref_mut().map_or(&mut [][..], |further| &mut further.seen);
        if let Some(known) = self.first.iter_mut().chain(further).find(|known| known.mac == new.mac) {
            known.first_seen = known.first_seen.min(new.first_seen);
            known.last_seen = known.last_seen.max(new.last_seen);
            known.is_next_hop |= new.is_next_hop;
            return;
        }
        let Some(first) = &mut self.first else {
            self.first = Some(new);
            return;
        };
        let further = self.further.get_or_insert_default();
        if further.seen.len() + 1 >= LINK_ADDRESSES_MAX {
            let weakest = std::iter::once(&*first).chain(&further.seen).enumerate().min_by_key(|(_, known)| {
                (known.is_next_hop, known.last_seen.since(known.first_seen), known.last_seen, known.mac)
            });
            match weakest {
                Some((0, _)) => *first = further.seen.remove(0),
                Some((at, _)) => _ = further.seen.remove(at - 1),
                None => {}
            }
            further.dropped = further.dropped.saturating_add(1);
        }
        further.seen.push(new);
    }

    /// Adds those of the same host out of a later input.
    pub fn merge(&mut self, later: Self) {
        if let dropped @ 1.. = later.dropped() {
            let further = self.further.get_or_insert_default();
            further.dropped = further.dropped.saturating_add(dropped);
        }
        later.iter().for_each(|address| self.note(address));
    }

    /// Those that are kept.
    pub fn iter(&self) -> impl Iterator<Item = LinkAddress> + '_ {
        self.first.into_iter().chain(self.further.iter().flat_map(|further| further.seen.iter().copied()))
    }

    /// The one that was seen last.
    pub fn latest(&self) -> Option<MacAddress> {
        match (self.first, &self.further) {
            (first, None) => first.map(|link| link.mac),
            _ => self.iter().max_by_key(|link| (link.last_seen, link.mac)).map(|link| link.mac),
        }
    }

    /// How many were dropped.
    pub fn dropped(&self) -> u32 {
        self.further.as_ref().map_or(0, |further| further.dropped)
    }

    /// The host's own, once it is known which are next hops: by the time at which they were seen first.
    pub fn own(&self, host: HostKey, hops: &NextHops) -> Vec<LinkAddress> {
        let mut own = self.iter().collect::<Vec<_>>();
        own.retain(|address| !address.is_next_hop && !hops.has(host, address.mac));
        own.sort_by_key(|address| (address.first_seen, address.mac));
        own
    }

    /// What is told of them, once it is known which are next hops.
    pub fn link_layer(&self, host: HostKey, hops: &NextHops) -> LinkLayer {
        let mut all: Vec<LinkAddress> = self.iter().collect();
        for address in &mut all {
            address.is_next_hop |= hops.has(host, address.mac);
        }
        all.sort_by_key(|address| (address.first_seen, address.mac));
        let latest = |is_next_hop: bool| {
            let of_kind = all.iter().filter(|address| address.is_next_hop == is_next_hop);
            of_kind.max_by_key(|address| (address.last_seen, address.mac)).map(|address| address.mac)
        };
        LinkLayer { mac: latest(false), next_hop: latest(true), remark: remark(&all), all }
    }
}

/// What is told of a host's link-layer addresses.
#[derive(Debug)]
pub(super) struct LinkLayer {
    /// The host's own; the one seen last, if it had several.
    pub mac: Option<MacAddress>,
    /// The router on the way to it; the one seen last, if there were several.
    pub next_hop: Option<MacAddress>,
    /// What a reader should know.
    pub remark: Option<String>,
    /// All, by the time at which they were seen first.
    pub all: Vec<LinkAddress>,
}

/// Says so if several machines, or several cards of one, used the address.
fn remark(addresses: &[LinkAddress]) -> Option<String> {
    let own: Vec<&LinkAddress> = addresses.iter().filter(|address| !address.is_next_hop).collect();
    let (first, rest) = own.split_first().filter(|(_, rest)| !rest.is_empty())?;
    if own.windows(2).all(|pair| matches!(pair, [one, next] if one.last_seen < next.first_seen)) {
        let steps: Vec<String> = std::iter::once(format!("{} until {}", first.mac, first.last_seen))
            .chain(rest.iter().map(|next| format!("{} from {}", next.mac, next.first_seen)))
            .collect();
        return Some(format!("the address changed hands: {}", steps.join(", ")));
    }
    let spans: Vec<String> =
        own.iter().map(|own| format!("{} from {} until {}", own.mac, own.first_seen, own.last_seen)).collect();
    Some(format!("several link-layer addresses used this address by turns: {}", spans.join(", ")))
}

/// Whether a link-layer address can be that of one machine: no group (IEEE 802-2014 section 8.2), and not left out.
pub(super) fn is_of_one(mac: MacAddress) -> bool {
    let [first, ..] = mac.0;
    first & 1 == 0 && mac.0 != [0; 6]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::Zone;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SECOND: u64 = 1_000_000_000;

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

    fn link_layer(addresses: &[LinkAddress], hops: &NextHops) -> LinkLayer {
        let mut all = LinkAddresses::default();
        addresses.iter().for_each(|address| all.note(*address));
        all.link_layer(key("10.9.0.5"), hops)
    }

    #[test]
    fn an_address_that_changed_hands_says_so() {
        let link_layer = link_layer(&[span(2, 86_400, 86_500), span(1, 0, 60)], &NextHops::default());
        assert_eq!((link_layer.mac, link_layer.next_hop), (Some(span(2, 0, 0).mac), None));
        assert_eq!(
            link_layer.remark.unwrap(),
            "the address changed hands: 02:00:00:00:00:01 until 1970-01-01 00:01:00 UTC, \
             02:00:00:00:00:02 from 1970-01-02 00:00:00 UTC"
        );
        assert_eq!(link_layer.all, [span(1, 0, 60), span(2, 86_400, 86_500)]);
    }

    #[test]
    fn cards_that_take_turns_are_no_change_of_hands() {
        let link_layer = link_layer(&[span(1, 0, 60), span(2, 30, 90)], &NextHops::default());
        assert!(link_layer.remark.unwrap().starts_with("several link-layer addresses used this address by turns: 02:"));
    }

    #[test]
    fn a_next_hop_is_not_the_hosts_own() {
        let hop = LinkAddress { is_next_hop: true, ..span(9, 0, 100) };
        let alone = link_layer(&[hop], &NextHops::default());
        assert_eq!((alone.mac, alone.next_hop, alone.remark), (None, Some(hop.mac), None));
        let both = link_layer(&[hop, span(1, 50, 60)], &NextHops::default());
        assert_eq!((both.mac, both.next_hop, both.remark), (Some(span(1, 0, 0).mac), Some(hop.mac), None));
    }

    #[test]
    fn a_flood_of_invented_addresses_pushes_out_its_own_kind() {
        let mut all = LinkAddresses::default();
        all.note(span(1, 0, 10));
        for number in 0..100 {
            all.note(span(100 + number, u64::from(number), u64::from(number)));
        }
        assert_eq!((all.iter().count(), all.dropped()), (LINK_ADDRESSES_MAX, 93));
        assert!(all.iter().any(|known| known == span(1, 0, 10)));
        all.note(span(2, 200, 300));
        assert!(all.iter().any(|known| known == span(2, 200, 300)), "a new machine still finds room");
    }

    #[test]
    fn groups_and_blanks_are_nobodys() {
        let is = |mac| is_of_one(MacAddress(mac));
        assert!(is([2, 0, 0, 0, 0, 1]) && !is([0; 6]) && !is([0xff; 6]) && !is([1, 0, 0x5e, 0, 0, 1]));
    }

    proptest! {
        /// However a capture is cut in two, the same link-layer addresses are told for the same hosts.
        #[test]
        fn a_cut_in_time_changes_nothing(
            mut sightings in prop::collection::vec((0_u8..4, 0_u8..3, 0_u64..4000), 1..40),
            cut in 0_usize..40,
        ) {
            sightings.sort_by_key(|&(.., second)| second);
            let host = |number: u8| key(&format!("10.0.0.{number}"));
            let link_layer = |parts: &[&[(u8, u8, u64)]]| {
                let mut records = Vec::new();
                for part in parts {
                    let (mut hops, mut of_part) = (NextHops::default(), BTreeMap::<HostKey, LinkAddresses>::new());
                    for &(address, mac, second) in *part {
                        let seen = span(mac, second, second);
                        let is_next_hop = hops.note(host(address), seen.mac, seen.first_seen);
                        of_part.entry(host(address)).or_default().note(LinkAddress { is_next_hop, ..seen });
                    }
                    records.push(of_part);
                }
                let each = records.iter().flatten().flat_map(|(host, all)| all.iter().map(|address| (*host, address)));
                let hops = NextHops::among(each);
                let mut merged = BTreeMap::<HostKey, LinkAddresses>::new();
                for (host, all) in records.into_iter().flatten() {
                    merged.entry(host).or_default().merge(all);
                }
                merged.iter().map(|(host, all)| (*host, all.link_layer(*host, &hops).all)).collect::<Vec<_>>()
            };
            let (one, other) = sightings.split_at(cut.min(sightings.len()));
            // Two addresses within a minute show in any cut. That three came within an hour shows only while all three are remembered,
            // so a cut may know less, and never more.
            let (whole, parts) = (link_layer(&[&sightings]), link_layer(&[one, other]));
            prop_assert_eq!(whole.len(), parts.len());
            for ((host, whole), (other, parts)) in whole.iter().zip(&parts) {
                prop_assert_eq!(host, other);
                for (whole, part) in whole.iter().zip(parts) {
                    prop_assert_eq!((whole.mac, whole.first_seen, whole.last_seen), (part.mac, part.first_seen, part.last_seen));
                    prop_assert!(whole.is_next_hop || !part.is_next_hop);
                }
            }
        }
    }
}
