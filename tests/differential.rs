//! The pipeline gives the answer of the simple order of work: one packet at a time, the general decoder, one plain map of flows.
//!
//! [`reference`] is that order of work. Golden captures, and random and hostile traffic, go through it, and through the detector packet
//! by packet, in blocks, and through whole scans with one, two and eight threads. Observations, hosts, verdicts, evidence, alerts, counters
//! and bounds must be the same. Inputs stay below the bounds at which something is given up for want of room.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::decode::Outcome;
use kaspector::matching::{Alert, HostFinding, HostKey, SignatureSet};
use kaspector::pipeline::{Detector, Findings};
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, ScanOptions, Takers, scan};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::{Arc, LazyLock, Mutex};

#[path = "../benches/traffic/mod.rs"]
mod traffic;

mod hostile;
mod reference;

use hostile::{Owned, blocks, frames_of, golden, hostile_traffic, pcapng, traffic_with_silences};
use reference::{Reference, spell};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

thread_local! {
    /// One for all inputs: it is as new after each.
    static DETECTOR: RefCell<Detector> = RefCell::new(Detector::new(&SIGNATURES));
}

/// What an input came to, in words.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    outcomes: Vec<(Outcome, u64)>,
    flows: u64,
    dropped: BTreeMap<&'static str, u64>,
    hosts: Vec<String>,
    alerts: Vec<String>,
}

/// What was dropped at a bound, but for machines without evidence, which the reference does not count.
fn without_machines(mut dropped: BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
    dropped.retain(|bound, _| !["machines", "identity_statements"].contains(bound));
    dropped
}

impl Answer {
    fn of(findings: &Findings) -> Self {
        Self {
            outcomes: findings.outcomes.non_zero().collect(),
            flows: findings.flows,
            dropped: without_machines(findings.dropped.clone()),
            hosts: hosts(findings.host_findings(&SIGNATURES), &findings.alerts),
            alerts: findings.alerts.iter().map(|alert| format!("{alert:?}")).collect(),
        }
    }

    /// Flows that are found to be over at the same time tell so in no order that matters.
    fn in_any_order(mut self) -> Self {
        self.alerts.sort_unstable();
        self
    }
}

/// Hosts in words. Which link-layer address a host has is decided by its first evidence: left out where that is not the same for all.
fn hosts(found: Vec<HostFinding>, alerts: &[Alert]) -> Vec<String> {
    let mut addresses: BTreeMap<HostKey, BTreeSet<String>> = BTreeMap::new();
    for alert in alerts {
        let flow = &alert.flow;
        let (address, mac) =
            if alert.host_is_server { (flow.server, flow.server_mac) } else { (flow.client, flow.client_mac) };
        addresses.entry(HostKey { address, zone: flow.zone }).or_default().insert(format!("{mac:?}"));
    }
    let words = |mut host: HostFinding| {
        if addresses.get(&host.host).is_none_or(|addresses| addresses.len() > 1) {
            host.mac = None;
        }
        format!("{host:?}")
    };
    found.into_iter().map(words).collect()
}

/// The answer of the simple order of work, and what it observed before the end of the input.
fn by_reference(frames: &[Owned]) -> (Answer, Vec<String>) {
    let mut reference = Reference::new(&SIGNATURES);
    for (index, frame) in frames.iter().enumerate() {
        reference.feed(&frame.frame(index));
    }
    let observations = reference.take_observations();
    (Answer::of(&reference.finish()), observations)
}

fn by_feed(frames: &[Owned]) -> (Answer, Vec<String>) {
    DETECTOR.with_borrow_mut(|detector| {
        let mut observations = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            detector.feed_observed(&frame.frame(index), |place, observation| {
                observations.push(spell(place, observation));
            });
        }
        (Answer::of(&detector.finish()), observations)
    })
}

fn by_blocks(frames: &[Owned], sizes: &[usize]) -> Answer {
    DETECTOR.with_borrow_mut(|detector| {
        for block in blocks(frames, sizes) {
            detector.feed_block(block.view(), |_| true);
        }
        Answer::of(&detector.finish())
    })
}

/// The answer of a whole scan. The capture comes through a pipe, since an input of unknown length is read by all threads together,
/// however short it turns out to be.
fn by_scan(capture: &[u8], threads: usize) -> Answer {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    let options = ScanOptions { inputs: expand([path]), threads, ..ScanOptions::default() };
    let alerts = Mutex::new(Vec::new());
    let take =
        |_: &kaspector_report::InputReport, some: &[Alert], _: &[_]| alerts.lock().unwrap().extend_from_slice(some);
    let report = std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(capture).unwrap());
        scan(&options, &SIGNATURES, &Progress::default(), Takers { alerts: Some(&take), ..Takers::default() })
            .unwrap()
            .report
    });
    assert_eq!(report.inputs.iter().find_map(|input| input.error.clone()), None);
    let alerts = alerts.into_inner().unwrap();
    Answer {
        outcomes: report.outcomes.non_zero().collect(),
        flows: report.flows,
        dropped: without_machines(report.dropped),
        hosts: hosts(report.hosts, &alerts),
        alerts: alerts.iter().map(|alert| format!("{alert:?}")).collect(),
    }
}

/// Says where two lists part, since whole answers are too long to read.
#[track_caller]
fn same(what: &str, one: &[String], other: &[String]) {
    let parting = one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(one.len().min(other.len()));
    assert!(
        one == other,
        "{what}: {} and {}, which part at {parting}:\n{:?}\n{:?}",
        one.len(),
        other.len(),
        one.get(parting),
        other.get(parting)
    );
}

#[track_caller]
fn same_answer(what: &str, one: &Answer, other: &Answer) {
    same(&format!("hosts, {what}"), &one.hosts, &other.hosts);
    same(&format!("alerts, {what}"), &one.alerts, &other.alerts);
    assert_eq!((one.flows, &one.outcomes, &one.dropped), (other.flows, &other.outcomes, &other.dropped), "{what}");
}

/// Every way through the pipeline gives one answer, and it is that of the reference. `observed`: whether to compare observations, too.
/// Those of flows that were silent for too long are made when the flow is found to be over, which has no fixed time.
fn agree(frames: &[Owned], sizes: &[usize], observed: bool) -> Answer {
    let (expected, wanted) = by_reference(frames);
    let (fed, seen) = by_feed(frames);
    if observed {
        same("observations of the reference and packet by packet", &wanted, &seen);
    }
    same_answer("packet by packet and in blocks", &fed, &by_blocks(frames, sizes));
    let capture = pcapng(frames);
    for threads in [1, 2, 8] {
        same_answer(&format!("packet by packet and scanned by {threads} threads"), &fed, &by_scan(&capture, threads));
    }
    let expected = expected.in_any_order();
    same_answer("of the reference and packet by packet", &expected, &fed.in_any_order());
    expected
}

#[test]
fn golden_captures() {
    let (mut hosts, mut alerts) = (0, 0);
    for path in golden() {
        println!("{}", path.display());
        let frames = frames_of(&path);
        if frames.is_empty() {
            continue;
        }
        let answer = agree(&frames, &[1, 40, 3], true);
        hosts += answer.hosts.len();
        alerts += answer.alerts.len();
    }
    assert!(hosts > 100 && alerts > 100, "{hosts} hosts, {alerts} alerts");
}

/// Enough of everything that flows share buckets and batches, and blocks are full.
#[test]
fn much_of_every_kind() {
    let frames = hostile::much();
    assert!(frames.len() > 20_000, "{}", frames.len());
    let answer = agree(&frames, &[1_500], true);
    assert!(answer.hosts.len() > 10, "{}", answer.hosts.len());
}

/// At the bounds of the ledger the same hosts and alerts are kept on every way, and those are the strong ones.
#[test]
fn more_hosts_than_are_kept() {
    let answer = agree(&hostile::crowd(), &[1_500], false);
    assert_eq!(answer.dropped.get("hosts"), Some(&(90_009 - (1 << 16))));
    assert_eq!(answer.hosts.len(), 1 << 16);
    assert_eq!(answer.hosts.iter().filter(|host| host.contains("verdict: Confirmed")).count(), 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hostile(recipe in hostile_traffic(), sizes in prop::collection::vec(1usize..200, 1..4)) {
        agree(&recipe.frames(), &sizes, true);
    }

    #[test]
    fn flows_that_end_in_silence(recipe in traffic_with_silences(), sizes in prop::collection::vec(1usize..200, 1..4)) {
        agree(&recipe.frames(), &sizes, false);
    }
}
