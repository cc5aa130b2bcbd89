#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
use super::super::sample::*;
use super::super::{Decoder, Segment};
use super::*;
use crate::capture::{Frame, LinkType};
use proptest::prelude::*;

const RAW: LinkType = LinkType::RAW;

/// An IPv4 fragment: identification, offset in bytes, whether more follow.
fn part4(id: u16, offset: usize, more: bool, body: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(17, body);
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    let word = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
    packet[6..8].copy_from_slice(&word.to_be_bytes());
    packet
}

/// An IPv6 fragment of a datagram whose first header is `next`.
fn part6(id: u32, next: u8, offset: usize, more: bool, body: &[u8]) -> Vec<u8> {
    let word = offset as u16 | u16::from(more);
    ipv6(44, &glue(&[&[next, 0], &word.to_be_bytes(), &id.to_be_bytes(), body]))
}

fn parts(is_v4: bool, datagram: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % datagram.len() / 8 * 8).collect();
    bounds.extend([0, datagram.len()]);
    bounds.sort_unstable();
    bounds.dedup();
    let part = |pair: &[usize]| {
        let (body, more) = (&datagram[pair[0]..pair[1]], pair[1] < datagram.len());
        if is_v4 { part4(7, pair[0], more, body) } else { part6(7, 17, pair[0], more, body) }
    };
    bounds.windows(2).map(part).collect()
}

fn at(seconds: u64, bytes: &[u8]) -> Frame<'_> {
    Frame { at: Timestamp(seconds * 1_000_000_000), ..frame(RAW, bytes) }
}

fn held(decoder: &mut Decoder, seconds: u64, bytes: &[u8]) {
    assert_eq!(decoder.decode(&at(seconds, bytes)).unwrap_err(), Outcome::FragmentHeld);
}

fn dropped(decoder: &Decoder) -> BTreeMap<&'static str, u64> {
    let mut total = BTreeMap::new();
    decoder.add_dropped(&mut total);
    total
}

proptest! {
    #[test]
    fn any_order_and_duplicates_give_the_whole_datagram(
        is_v4: bool,
        payload in prop::collection::vec(any::<u8>(), 8..400),
        cuts in prop::collection::vec(any::<usize>(), 1..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let datagram = udp(5, 6, &payload);
        let parts = parts(is_v4, &datagram, &cuts);
        prop_assume!(parts.len() > 1);
        let whole_bytes = if is_v4 { ipv4(17, &datagram) } else { ipv6(17, &datagram) };
        let whole = segment(RAW, &whole_bytes);
        let mut decoder = Decoder::default();
        let mut seen = vec![false; parts.len()];
        // Some at random, with repetitions; then all, from anywhere on.
        let all = (0..parts.len()).map(|at| (at + shuffle.index(parts.len())) % parts.len());
        let sequence = order.iter().map(|index| index.index(parts.len())).chain(all);
        for index in sequence {
            let was_seen = std::mem::replace(&mut seen[index], true);
            let result = decoder.decode(&frame(RAW, &parts[index]));
            if seen.iter().all(|&seen| seen) {
                prop_assert_eq!(result.unwrap(), whole);
                prop_assert_eq!(dropped(&decoder), BTreeMap::new());
                return Ok(());
            }
            let expected = if was_seen { Outcome::FragmentDuplicate } else { Outcome::FragmentHeld };
            prop_assert_eq!(result.unwrap_err(), expected);
        }
    }

    #[test]
    fn the_pool_keeps_its_bounds(
        fragments in prop::collection::vec((0_u16..40, 0_usize..8000, any::<bool>(), 1_usize..12, 0_u64..3), 1..300),
    ) {
        let mut decoder = Decoder::default();
        let mut seconds = 0;
        for (id, offset, more, words, pause) in fragments {
            seconds += pause;
            let packet = part4(id, offset * 8, more, &vec![id as u8; words * 8]);
            let _ = decoder.decode(&at(seconds, &packet));
            let pool = &decoder.fragments;
            prop_assert_eq!(pool.held, pool.waiting.values().map(|partial| partial.bytes.len()).sum::<usize>());
            prop_assert!(pool.held <= BYTES_MAX && pool.waiting.len() <= DATAGRAMS_MAX);
            for partial in pool.waiting.values() {
                prop_assert!(partial.runs.windows(2).all(|pair| pair[0].1 < pair[1].0), "apart, in order");
            }
        }
    }
}

#[test]
fn the_first_copy_of_a_byte_wins_and_overlaps_are_counted() {
    let datagram = udp(5, 6, b"0123456789abcdef");
    let mut decoder = Decoder::default();
    held(&mut decoder, 0, &part4(1, 0, true, &datagram[..16]));
    let other = glue(&[b"XXXXXXXX", &datagram[16..]]);
    let last = part4(1, 8, false, &other);
    let segment = decoder.decode(&at(1, &last)).unwrap();
    assert_eq!(said(&segment), "10.0.0.1:5>10.0.0.2:6/17 0123456789abcdef");
    assert_eq!(segment.at, Timestamp(1_000_000_000), "as late as the last of them");
    assert_eq!(dropped(&decoder), BTreeMap::from([("overlapping_fragments", 1)]));
}

#[test]
fn extension_headers_behind_the_fragment_header_are_followed() {
    // Destination options are a part of what is fragmented.
    let datagram = glue(&[&[17, 0, 1, 4, 0, 0, 0, 0], &udp(5, 6, b"0123456789abcdef")]);
    let mut decoder = Decoder::default();
    held(&mut decoder, 0, &part6(1, 60, 0, true, &datagram[..16]));
    let last = part6(1, 60, 16, false, &datagram[16..]);
    assert_eq!(said(&decoder.decode(&at(0, &last)).unwrap()), "fd00::1:5>fd00::2:6/17 0123456789abcdef");
}

#[test]
fn what_the_snap_length_cut_is_missing_from_the_whole() {
    let datagram = udp(5, 6, b"0123456789abcdef");
    let mut decoder = Decoder::default();
    let first = part4(1, 0, true, &datagram[..16]);
    let cut = Frame { wire_len: first.len() as u32, ..at(0, &first[..first.len() - 3]) };
    assert_eq!(decoder.decode(&cut).unwrap_err(), Outcome::FragmentHeld);
    let last = part4(1, 16, false, &datagram[16..]);
    assert_eq!(said(&decoder.decode(&at(0, &last)).unwrap()), "10.0.0.1:5>10.0.0.2:6/17 01234+11");
}

#[test]
fn fragments_that_cannot_be() {
    let outcome = |decoder: &mut Decoder, packet: &[u8]| decoder.decode(&at(0, packet)).unwrap_err();
    let mut decoder = Decoder::default();
    assert_eq!(outcome(&mut decoder, &part4(1, 8, true, &[])), Outcome::FragmentMalformed);
    assert_eq!(outcome(&mut decoder, &part4(1, 8, true, &[0; 12])), Outcome::FragmentMalformed);
    assert_eq!(outcome(&mut decoder, &part4(1, 65_528, false, &[0; 8])), Outcome::FragmentMalformed);
    // Beyond the end that the last fragment has set, and an end before what is there.
    held(&mut decoder, 0, &part4(2, 16, false, &[0; 8]));
    assert_eq!(outcome(&mut decoder, &part4(2, 24, true, &[0; 8])), Outcome::FragmentMalformed);
    assert_eq!(outcome(&mut decoder, &part4(2, 16, false, &[0; 16])), Outcome::FragmentMalformed);
    assert_eq!(outcome(&mut decoder, &part4(2, 8, false, &[0; 8])), Outcome::FragmentMalformed);
    held(&mut decoder, 0, &part4(3, 16, true, &[0; 8]));
    assert_eq!(outcome(&mut decoder, &part4(3, 8, false, &[0; 8])), Outcome::FragmentMalformed);
}

#[test]
fn a_datagram_is_told_by_all_of_its_key() {
    let datagram = udp(5, 6, b"0123456789abcdef");
    let mut decoder = Decoder::default();
    held(&mut decoder, 0, &part4(1, 0, true, &datagram[..16]));
    held(&mut decoder, 0, &part4(2, 16, false, &datagram[16..]));
    let mut other = part4(1, 16, false, &datagram[16..]);
    other[15] = 9;
    held(&mut decoder, 0, &other);
    let tagged = ethernet(0x8100, &tag(5, 0x0800, &part4(1, 16, false, &datagram[16..])));
    assert_eq!(decoder.decode(&frame(LinkType::ETHERNET, &tagged)).unwrap_err(), Outcome::FragmentHeld);
    assert_eq!(dropped(&decoder), BTreeMap::from([("incomplete_datagrams", 4)]));
}

#[test]
fn waiting_ends() {
    let mut decoder = Decoder::default();
    let datagram = udp(5, 6, b"0123456789abcdef");
    held(&mut decoder, 100, &part4(1, 0, true, &datagram[..16]));
    // A clock that jumps back lets nothing expire; 31 seconds do.
    held(&mut decoder, 50, &part4(2, 0, true, &datagram[..16]));
    held(&mut decoder, 131, &part4(1, 16, false, &datagram[16..]));
    assert_eq!(decoder.fragments.waiting.len(), 1);
    assert_eq!(dropped(&decoder), BTreeMap::from([("incomplete_datagrams", 3)]));
}

#[test]
fn too_many_datagrams_runs_or_bytes_are_given_up() {
    let mut decoder = Decoder::default();
    for id in 0..=DATAGRAMS_MAX as u16 {
        held(&mut decoder, 0, &part4(id, 0, true, &[0; 8]));
    }
    assert_eq!(decoder.fragments.waiting.len(), DATAGRAMS_MAX / 8 * 7 + 1);
    assert_eq!(dropped(&decoder)["fragmented_datagrams"], DATAGRAMS_MAX as u64 / 8);

    let mut decoder = Decoder::default();
    let last = (0..=RUNS_MAX)
        .map(|run| decoder.decode(&at(0, &part4(1, run * 16, true, &[0; 8]))).map(|_| ()).unwrap_err())
        .last();
    assert_eq!(last, Some(Outcome::FragmentOverBound));
    assert!(decoder.fragments.waiting.is_empty() && decoder.fragments.held == 0);

    // Each claims 64 kB with a few bytes.
    let mut decoder = Decoder::default();
    for id in 0..1000 {
        held(&mut decoder, 0, &part4(id, 65_000, true, &[0; 8]));
        assert!(decoder.fragments.held <= BYTES_MAX);
    }
}

#[test]
fn a_source_that_never_sends_the_rest_pushes_out_its_own() {
    let datagram = udp(5, 6, &[7; 2000]);
    let halves = |id| [part4(id, 0, true, &datagram[..1000]), part4(id, 1000, false, &datagram[1000..])];
    let from = |src: u8, mut packet: Vec<u8>| {
        packet[15] = src;
        packet
    };
    // Datagrams by the thousand, and bytes by the million.
    for (body, flood) in [(8, 20_000), (64_000, 1_000)] {
        let mut decoder = Decoder::default();
        let others: Vec<_> = (0..100).map(|id| halves(id).map(|part| from(id as u8, part))).collect();
        others.iter().for_each(|[first, _]| held(&mut decoder, 0, first));
        for id in 0..flood {
            held(&mut decoder, 1, &from(200, part4(id, 0, true, &vec![0; body])));
        }
        assert!(dropped(&decoder)["fragmented_datagrams"] > 500);
        for [_, last] in &others {
            assert!(decoder.decode(&at(2, last)).is_ok());
        }
    }
}

#[test]
fn the_addresses_of_an_ipv6_network_are_one_source() {
    let mut decoder = Decoder::default();
    let part = |network: u8, host: u16, offset, more| {
        let mut packet = part6(7, 17, offset, more, &udp(5, 6, &[7; 8]));
        packet[15] = network;
        packet[22..24].copy_from_slice(&host.to_be_bytes());
        packet
    };
    held(&mut decoder, 0, &part(1, 1, 0, true));
    for host in 0..10_000 {
        held(&mut decoder, 0, &part(2, host, 0, true));
    }
    assert!(decoder.decode(&at(0, &part(1, 1, 16, false))).is_ok());
}

#[test]
fn complete_datagrams_leave_nothing_behind_one_that_waits() {
    let mut decoder = Decoder::default();
    let datagram = udp(5, 6, b"0123456789abcdef");
    held(&mut decoder, 0, &part4(0, 0, true, &datagram[..16]));
    for id in 1..20_000 {
        held(&mut decoder, 0, &part4(id, 0, true, &datagram[..16]));
        let last = part4(id, 16, false, &datagram[16..]);
        let whole: Result<Segment<'_>, Outcome> = decoder.decode(&at(0, &last));
        assert!(whole.is_ok());
    }
    assert!(decoder.fragments.order.len() <= 2 * DATAGRAMS_MAX);
    assert_eq!(decoder.fragments.waiting.len(), 1);
}
