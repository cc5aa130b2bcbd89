//! Hosts in memory, and on their way to the state file and back.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::known::Known;
use super::*;
use kaspector::decode::Zone;
use kaspector::matching::{Field, Role, SeenAs};
use kaspector_report::samples;
use std::net::Ipv4Addr;
use std::time::Duration;

fn host(number: u32) -> HostKey {
    HostKey { address: Ipv4Addr::from(0x0a00_0000 + number).into(), zone: Zone::default() }
}

/// A record with one piece of evidence, seen so closely at that time.
fn record(number: u32, seen_as: SeenAs, at: u64, signatures: &SignatureSet) -> (Alert, HostRecord) {
    let mut alert = samples::tls();
    (alert.at, alert.seen_as) = (Timestamp(at), seen_as);
    alert.flow.client = host(number).address;
    let mut record = HostRecord::default();
    record.add(&alert, 0, 64, signatures);
    (alert, record)
}

#[test]
fn a_verdict_that_rises_is_told_once_and_a_first_one_is_not() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    let (alert, lookup) = record(1, SeenAs::Lookup, 1, &signatures);
    hosts.note(host(1), &alert, 0);
    assert!(hosts.update(host(1), lookup, 0, &signatures).is_none());
    let (alert, contact) = record(1, SeenAs::Contact, 2, &signatures);
    hosts.note(host(1), &alert, 1);
    let rise = hosts.update(host(1), contact.clone(), 1, &signatures).unwrap();
    assert_eq!((rise.from, rise.to, rise.interface), (Verdict::Suspected, Verdict::Confirmed, 1));
    assert!(hosts.update(host(1), contact, 1, &signatures).is_none());
    assert_eq!(hosts.first_findings(9, &signatures)[0].evidence.len(), 2, "both interfaces");
}

#[test]
fn what_an_earlier_run_knew_is_no_first_sight() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    let (lookup, known) = record(1, SeenAs::Lookup, 5, &signatures);
    hosts.begin_with(host(1), known, None, &signatures);
    let later = |alert: &Alert| {
        let mut alert = alert.clone();
        alert.at = Timestamp(99);
        alert
    };
    assert_eq!(hosts.note(host(1), &later(&lookup), 0), Novelty::Known);
    let (contact, _) = record(1, SeenAs::Contact, 9, &signatures);
    assert_eq!(hosts.note(host(1), &later(&contact), 0), Novelty::New, "closer than before");
    assert_eq!(hosts.known_since(&host(1)), Some(Timestamp(5)));
    let (other, _) = record(2, SeenAs::Lookup, 7, &signatures);
    assert_eq!(hosts.note(host(2), &other, 0), Novelty::New);
    assert_eq!(hosts.note(host(2), &later(&other), 0), Novelty::New, "of this run");
    assert_eq!(hosts.known_since(&host(2)), Some(Timestamp(7)));
}

#[test]
fn what_left_a_ledger_is_still_known() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    hosts.rely_on_file();
    let (_, contact) = record(1, SeenAs::Contact, 1, &signatures);
    hosts.update(host(1), contact.clone(), 0, &signatures);
    hosts.retire(host(1), contact, 0, &signatures);
    let (_, lookup) = record(1, SeenAs::Lookup, 2, &signatures);
    assert!(hosts.update(host(1), lookup, 0, &signatures).is_none());
    let found = hosts.first_findings(9, &signatures);
    assert_eq!((found[0].verdict, found[0].evidence.len()), (Verdict::Confirmed, 2));
    assert_eq!(hosts.take_unsaved(&signatures).len(), 1);
    assert!(hosts.take_unsaved(&signatures).is_empty());
}

#[test]
fn nothing_is_kept_for_a_file_that_is_not_there() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    fill(&mut hosts, &signatures);
    let (_, strong) = record(0, SeenAs::Contact, 9, &signatures);
    hosts.update(host(0), strong.clone(), 0, &signatures);
    hosts.retire(host(0), strong, 0, &signatures);
    hosts.leave(&signatures);
    assert!(hosts.dropped() > 0 && hosts.finding(&host(0), &signatures).is_some());
    assert!(hosts.take_last_unsaved(&signatures).is_empty());
}

#[test]
fn the_weakest_and_oldest_make_room() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    let (_, strong) = record(0, SeenAs::Contact, 0, &signatures);
    let (_, weak) = record(0, SeenAs::Lookup, 9, &signatures);
    hosts.update(host(0), strong, 0, &signatures);
    for number in 1..=u32::try_from(HOSTS_MAX).unwrap() {
        let known = Known { verdict: Some(Verdict::Suspected), ..Known::default() };
        hosts.hosts.insert(host(number), Box::new(known));
    }
    hosts.update(host(u32::MAX >> 8), weak, 0, &signatures);
    hosts.leave(&signatures);
    assert_eq!(hosts.dropped(), (HOSTS_MAX / 8) as u64);
    assert!(hosts.hosts.contains_key(&host(0)), "old, and confirmed");
    assert!(hosts.hosts.contains_key(&host(u32::MAX >> 8)));
}

/// As many hosts as make room for one more, each weaker than a confirmed one.
fn fill(hosts: &mut Hosts, signatures: &SignatureSet) {
    let (_, weak) = record(0, SeenAs::Lookup, 9, signatures);
    for number in 1_000..1_000 + u32::try_from(HOSTS_MAX).unwrap() {
        hosts.update(host(number), weak.clone(), 0, signatures);
    }
    hosts.leave(signatures);
}

#[test]
fn a_host_that_left_is_recalled_and_nothing_of_it_is_saved_over() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    hosts.rely_on_file();
    let (lookup, first) = record(1, SeenAs::Lookup, 5, &signatures);
    assert_eq!(hosts.note(host(1), &lookup, 0), Novelty::New);
    hosts.update(host(1), first, 0, &signatures);
    fill(&mut hosts, &signatures);
    let left = hosts.take_unsaved(&signatures);
    let stored = left.iter().find(|unsaved| unsaved.host == host(1)).unwrap();
    assert!(stored.is_whole && !hosts.hosts.contains_key(&host(1)), "it left, and is saved all the same");
    // The same again, and something that the file does not have.
    let (lookup, later) = record(1, SeenAs::Lookup, 50, &signatures);
    assert_eq!(hosts.note(host(1), &lookup, 0), Novelty::Unclear);
    let (contact, _) = record(1, SeenAs::Contact, 51, &signatures);
    hosts.note(host(1), &contact, 0);
    hosts.update(host(1), later, 0, &signatures);
    assert!(hosts.take_unsaved(&signatures).is_empty(), "it would take the place of what the file has");
    let asked = hosts.take_to_recall();
    assert_eq!(asked.iter().map(|(host, _)| *host).collect::<Vec<_>>(), [host(1)]);
    let question = asked[0].1;
    assert!(hosts.recalled(&host(1), question + 1, Some(stored.record.clone()), &signatures).is_none());
    assert_eq!(hosts.novelty(&host(1), &lookup), Novelty::Unclear, "the answer to another question");
    hosts.recalled(&host(1), question, Some(stored.record.clone()), &signatures);
    assert_eq!(hosts.novelty(&host(1), &lookup), Novelty::Known);
    assert_eq!(hosts.novelty(&host(1), &contact), Novelty::New);
    assert_eq!(hosts.known_since(&host(1)), Some(Timestamp(5)));
    let saved = hosts.take_unsaved(&signatures);
    let counts: Vec<_> = saved.iter().map(|unsaved| (unsaved.host, unsaved.is_whole)).collect();
    assert_eq!(counts, [(host(1), true)]);
    assert_eq!(saved[0].record.to_stored(&signatures).lines[0].count, 2, "both times");
}

#[test]
fn what_nobody_could_recall_is_added_to_the_file_at_the_end() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    hosts.rely_on_file();
    fill(&mut hosts, &signatures);
    hosts.update(host(999_999), record(0, SeenAs::Lookup, 9, &signatures).1, 0, &signatures);
    hosts.leave(&signatures);
    assert!(hosts.dropped() > 0);
    hosts.take_unsaved(&signatures);
    hosts.update(host(1), record(1, SeenAs::Contact, 10, &signatures).1, 0, &signatures);
    let last = hosts.take_last_unsaved(&signatures);
    assert_eq!(last.iter().map(|one| (one.host, one.is_whole)).collect::<Vec<_>>(), [(host(1), false)]);
}

#[test]
fn one_that_comes_again_while_it_leaves_keeps_what_was_known() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    hosts.rely_on_file();
    let (lookup, first) = record(1, SeenAs::Lookup, 5, &signatures);
    hosts.note(host(1), &lookup, 0);
    hosts.update(host(1), first, 0, &signatures);
    let (_, weak) = record(0, SeenAs::Lookup, 9, &signatures);
    for number in 1_000..1_000 + u32::try_from(HOSTS_MAX).unwrap() {
        hosts.update(host(number), weak.clone(), 0, &signatures);
    }
    assert!(hosts.leaving().contains(&host(1)));
    hosts.note(host(1), &lookup, 0);
    assert!(!hosts.leaving().contains(&host(1)) && hosts.take_to_recall().is_empty());
    assert_eq!(hosts.known_since(&host(1)), Some(Timestamp(5)));
}

#[test]
fn what_hosts_are_sorted_by_is_what_their_findings_say() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    for number in 1..=9 {
        let seen_as = if number % 2 == 0 { SeenAs::Contact } else { SeenAs::Lookup };
        let (alert, mut found) = record(number, seen_as, u64::from(number) + 5, &signatures);
        found.add_flow(u64::from(number), 1);
        if number % 3 == 0 {
            found.asked_by_others(alert.field, &alert.observed, 9);
            found.asked_by_others(Field::DnsQuery, &alert.observed, 9);
        }
        hosts.update(host(number), found, 0, &signatures);
        let (_, before) = record(number, SeenAs::Contact, 3, &signatures);
        if number > 6 {
            hosts.retire(host(number), before, 1, &signatures);
        }
    }
    let listed = hosts.listed();
    let briefs = listed.briefs(&signatures);
    assert_eq!(briefs.len(), 9);
    for brief in &briefs {
        let found = listed.finding(brief.at, &signatures).unwrap();
        let said = (found.host, found.verdict, found.confidence, found.first_seen, found.last_seen);
        assert_eq!((brief.host, brief.verdict, brief.confidence, brief.first_seen, brief.last_seen), said);
        assert_eq!(brief.role, found.role);
        assert_eq!(brief.bytes, found.bytes_sent + found.bytes_received);
    }
    let order: Vec<_> = hosts.first_findings(9, &signatures).iter().map(|found| (found.verdict, found.host)).collect();
    assert!(order.is_sorted() && order.first().unwrap().0 < order.last().unwrap().0);
}

#[test]
fn a_list_stays_as_it_was_when_a_host_goes_on() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    hosts.retire(host(1), record(1, SeenAs::Lookup, 1, &signatures).1, 0, &signatures);
    let listed = hosts.listed();
    hosts.retire(host(1), record(1, SeenAs::Contact, 2, &signatures).1, 0, &signatures);
    let lines = |listed: &Listed| listed.finding(0, &signatures).unwrap().evidence.len();
    assert_eq!((lines(&listed), lines(&hosts.listed())), (1, 2));
}

#[test]
fn a_silence_is_told_once_and_its_end_too() {
    let signatures = SignatureSet::builtin();
    let second = 1_000_000_000;
    let mut hosts = Hosts::default();
    for number in [1, 2, 3] {
        let (alert, found) = record(number, SeenAs::Contact, u64::from(number) * second, &signatures);
        hosts.note(host(number), &alert, 0);
        hosts.update(host(number), found, 0, &signatures);
    }
    let addresses = |told: Vec<Silence>| told.iter().map(|silence| silence.finding.host).collect::<Vec<_>>();
    let after = Duration::from_secs(10);
    assert_eq!(addresses(hosts.fall_silent(Timestamp(11 * second - 1), after, 9, &signatures)), []);
    assert_eq!(
        addresses(hosts.fall_silent(Timestamp(99 * second), after, 2, &signatures)),
        [host(1), host(2)],
        "at most"
    );
    assert_eq!(addresses(hosts.fall_silent(Timestamp(99 * second), after, 2, &signatures)), [host(3)]);
    assert_eq!(addresses(hosts.fall_silent(Timestamp(199 * second), after, 9, &signatures)), []);
    assert_eq!(hosts.counts().silent, 3);
    assert_eq!(hosts.counts().by_standing, [((Verdict::Confirmed, Role::Endpoint), 3)].into());
    let marks = hosts.take_silences();
    assert_eq!(marks, [1, 2, 3].map(|number| (host(number), Some(Timestamp(u64::from(number) * second)))));
    let (late, _) = record(1, SeenAs::Contact, second, &signatures);
    assert_eq!(hosts.end_silence(&host(1), &late), None, "it was seen before");
    let (alert, found) = record(1, SeenAs::Contact, 200 * second, &signatures);
    hosts.note(host(1), &alert, 0);
    assert_eq!(hosts.end_silence(&host(1), &alert), Some(Timestamp(second)));
    assert_eq!(hosts.end_silence(&host(1), &alert), None);
    hosts.update(host(1), found, 0, &signatures);
    assert_eq!(hosts.take_silences(), [(host(1), None)]);
    assert_eq!(addresses(hosts.fall_silent(Timestamp(299 * second), after, 9, &signatures)), [host(1)], "once more");
    assert_eq!(hosts.take_all_silences().len(), 3);
}

#[test]
fn a_silence_that_an_earlier_run_told_is_not_told_again() {
    let signatures = SignatureSet::builtin();
    let mut hosts = Hosts::default();
    let (alert, known) = record(1, SeenAs::Contact, 5, &signatures);
    hosts.begin_with(host(1), known, Some(Timestamp(5)), &signatures);
    assert!(hosts.fall_silent(Timestamp(u64::MAX), Duration::from_secs(1), 9, &signatures).is_empty());
    let mut again = alert;
    again.at = Timestamp(77);
    hosts.note(host(1), &again, 0);
    assert_eq!(hosts.end_silence(&host(1), &again), Some(Timestamp(5)));
}
