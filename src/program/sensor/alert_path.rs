//! The way of an alert through the sensor.
//!
//! ```text
//! worker -> report queue -> event merger: ledger -> hosts: is it news? -> repeats -> alert publisher -> outputs
//!                                   \-> records --> hosts: does the verdict rise? ------^
//!                                                        \-> state writer
//! ```
//!
//! [`AlertPath::look`] is one pass over all of it. The control thread makes one every few milliseconds, so no worker ever wakes anybody.

use super::alert_publisher::AlertPublisher;
use super::event_merger::EventMerger;
use super::evidence::EvidenceDesk;
use super::hosts::{Hosts, Novelty, Rise};
use super::known_machines::KnownMachines;
use super::now;
use super::reload::Reloaded;
use super::repeats::{Repeats, Sighting};
use super::state_writer::StateWriter;
use crate::evidence::EvidenceCounts;
use crate::web::Asked;
use kaspector::capture::Timestamp;
use kaspector::matching::{HostKey, SignatureSet};
use kaspector_report::{EveKnown, MachineCounts, Occasion, SeenMachines};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an alert waits until it is known whether the state file has the same of its host.
pub const UNCLEAR: Duration = Duration::from_secs(5);
/// How many may wait; others are told as first sights.
const UNCLEAR_MAX: usize = 1 << 14;

/// Silences that are told at once; there may be very many when a part of the network goes away.
const SILENCES_MAX: usize = 1 << 10;

/// All that an alert passes on the control thread, in that order.
pub struct AlertPath<'w> {
    /// By interface.
    mergers: Vec<EventMerger>,
    machines: KnownMachines,
    evidence: Option<EvidenceDesk>,
    hosts: Hosts,
    /// Alerts of hosts that are being recalled out of the state file.
    unclear: VecDeque<(Instant, Sighting)>,
    repeats: Repeats,
    /// Summaries whose turn has come.
    due: VecDeque<(Sighting, Occasion)>,
    publisher: AlertPublisher<'w>,
    state_writer: Option<StateWriter>,
    signatures: Arc<SignatureSet>,
    /// Alerts by service and strength.
    detections: BTreeMap<(&'static str, &'static str), u64>,
    alerts: u64,
}

impl<'w> AlertPath<'w> {
    /// The way from these mergers to this publisher, with summaries every `summary_interval_s` seconds.
    pub fn new(
        mergers: Vec<EventMerger>,
        hosts: Hosts,
        state_writer: Option<StateWriter>,
        publisher: AlertPublisher<'w>,
        signatures: Arc<SignatureSet>,
        summary_interval_s: u64,
    ) -> Self {
        Self {
            mergers,
            machines: KnownMachines::default(),
            evidence: None,
            hosts,
            unclear: VecDeque::new(),
            repeats: Repeats::every(summary_interval_s),
            due: VecDeque::new(),
            publisher,
            state_writer,
            signatures,
            detections: BTreeMap::new(),
            alerts: 0,
        }
    }

    /// From now on has the packets kept that prove something.
    #[must_use]
    pub fn keeping(self, evidence: Option<EvidenceDesk>) -> Self {
        Self { evidence, ..self }
    }

    /// Takes what the workers found all the way to the outputs, as far as these have room. Says whether there was anything.
    pub fn look(&mut self) -> bool {
        let before = self.alerts;
        for sighting in self.merge() {
            self.count(&sighting);
            if let Some(evidence) = &mut self.evidence {
                evidence.note(&sighting);
            }
            if let Some(silent_since) = self.hosts.end_silence(&sighting.host(), &sighting.alert) {
                self.tell_of(&sighting, Occasion::Return { silent_since });
            }
            match self.hosts.note(sighting.host(), &sighting.alert, sighting.interface) {
                Novelty::Unclear if self.unclear.len() < UNCLEAR_MAX => {
                    self.unclear.push_back((Instant::now(), sighting));
                }
                novelty => self.tell_once(sighting, novelty),
            }
        }
        if self.hosts.are_leaving() || self.mergers.iter().any(EventMerger::is_crowded) {
            self.take_records();
        }
        self.recall(UNCLEAR);
        self.summarise();
        self.hand_on();
        self.alerts > before || !self.due.is_empty() || !self.publisher.is_through()
    }

    /// Takes what the workers reported into the ledgers, in the order of time, and the alerts out of them.
    fn merge(&mut self) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        for (interface, merger) in (0..).zip(&mut self.mergers) {
            merger.take_reports();
            merger.publish_snapshot();
            merger.record_events();
            sightings.extend(merger.take_alerts().into_iter().map(|alert| Sighting { alert, interface }));
        }
        sightings
    }

    fn count(&mut self, sighting: &Sighting) {
        self.alerts += 1;
        let indicator = self.signatures.get(sighting.alert.indicator);
        let kind = (indicator.category.name(), indicator.strength.name());
        *self.detections.entry(kind).or_default() += 1;
    }

    /// Tells of an alert that is news; others wait for the next summary. What the state file has was told by an earlier run.
    fn tell_once(&mut self, sighting: Sighting, novelty: Novelty) {
        if novelty == Novelty::Known {
            self.repeats.take_known(sighting, &self.signatures);
        } else if let Some(sighting) = self.repeats.take(sighting, &self.signatures) {
            self.tell_of(&sighting, Occasion::FirstSight);
        }
    }

    /// Takes the records of hosts that changed, and tells of those whose evidence adds up to more.
    pub fn take_records(&mut self) {
        let mut rises = Vec::new();
        for (interface, merger) in (0..).zip(&mut self.mergers) {
            for (host, record) in merger.take_changed() {
                rises.extend(self.hosts.update(host, record, interface, &self.signatures));
            }
            for (host, record) in merger.make_room() {
                rises.extend(self.hosts.retire(host, record, interface, &self.signatures));
            }
        }
        // Now the ledgers hold nothing of these hosts that is not known here.
        for host in self.hosts.leaving() {
            self.mergers.iter_mut().for_each(|merger| merger.let_go(&host));
        }
        self.hosts.leave(&self.signatures);
        self.tell_rises(rises);
        self.keep_evidence(false);
        if self.hosts.is_crowded() {
            self.save();
        }
    }

    /// Has the evidence kept of hosts that have shown nothing new for a moment, or of all.
    fn keep_evidence(&mut self, all: bool) {
        if let Some(evidence) = &mut self.evidence {
            evidence.hand_over(all, &self.signatures, |host| self.hosts.finding(host, &self.signatures));
        }
    }

    /// Has the last evidence kept, and gives who does it, to be waited for.
    pub fn end_evidence(&mut self) -> Option<EvidenceDesk> {
        self.keep_evidence(true);
        self.evidence.take()
    }

    /// What became of evidence, where it is kept.
    #[must_use]
    pub fn evidence_counts(&self) -> Option<&EvidenceCounts> {
        self.evidence.as_ref().map(|evidence| &**evidence.counts())
    }

    /// Has hosts that left memory looked up in the state file, and tells what waited for that, or for longer than `patience`.
    pub fn recall(&mut self, patience: Duration) {
        let Some(state_writer) = &self.state_writer else { return };
        let hosts = self.hosts.take_to_recall();
        if !hosts.is_empty()
            && let Err(refused) = state_writer.recall(&self.signatures, hosts)
        {
            self.hosts.not_recalled(refused);
        }
        let recalled = state_writer.take_recalled().into_iter();
        let rises: Vec<Rise> = recalled
            .filter_map(|(host, question, record)| self.hosts.recalled(&host, question, record, &self.signatures))
            .collect();
        while let Some((_, sighting)) = self.unclear.pop_front_if(|(since, sighting)| {
            since.elapsed() >= patience || self.hosts.novelty(&sighting.host(), &sighting.alert) != Novelty::Unclear
        }) {
            let novelty = self.hosts.novelty(&sighting.host(), &sighting.alert);
            self.tell_once(sighting, novelty);
        }
        self.tell_rises(rises);
    }

    /// Has summaries wait for their turn once an interval has ended.
    fn summarise(&mut self) {
        // While summaries wait for outputs, the next ones add up where they are.
        if self.due.is_empty() {
            let summaries = self.repeats.summaries(now());
            self.await_turn(summaries);
        }
    }

    /// Has summaries of all that is held back wait for their turn, since nothing comes after them.
    pub fn summarise_last(&mut self) {
        let held = self.repeats.held();
        self.await_turn(held);
    }

    fn await_turn(&mut self, summaries: Vec<(Sighting, u64)>) {
        // One figure for each host, in all its summaries.
        let mut carried: HashMap<HostKey, u64> = HashMap::new();
        for (sighting, count) in summaries {
            let host = sighting.host();
            let bytes = *carried.entry(host).or_insert_with(|| self.hosts.bytes_since(&host));
            self.due.push_back((sighting, Occasion::Summary { count, bytes }));
        }
    }

    /// Hands on what the outputs have room for, and summaries as far as there is room behind that.
    pub fn hand_on(&mut self) {
        self.publisher.hand_on();
        while self.publisher.has_room()
            && let Some((sighting, occasion)) = self.due.pop_front()
        {
            self.tell_of(&sighting, occasion);
            self.publisher.hand_on();
        }
    }

    fn tell_rises(&mut self, rises: Vec<Rise>) {
        for Rise { alert, interface, from, to } in rises {
            self.tell_of(&Sighting { alert, interface }, Occasion::VerdictRise { from, to });
        }
    }

    /// Tells of hosts that have shown nothing for so long, as far as the outputs have room; the others are told of later.
    pub fn tell_silences(&mut self, after: Duration, listening_since: Timestamp) {
        if !self.publisher.has_room() {
            return;
        }
        for silence in self.hosts.fall_silent(now(), after, SILENCES_MAX, &self.signatures) {
            self.publisher.tell_silence(&silence, listening_since, &self.signatures);
        }
        self.publisher.hand_on();
    }

    fn tell_of(&mut self, sighting: &Sighting, occasion: Occasion) {
        let host = sighting.host();
        let known =
            EveKnown { since: self.hosts.known_since(&host), host_name: self.machines.name_of(&self.mergers, host) };
        self.publisher.tell_of(sighting, occasion, known, &self.signatures);
    }

    /// Hands the hosts that changed to the state writer.
    pub fn save(&mut self) {
        let Some(state_writer) = &self.state_writer else { return };
        let (mut unsaved, silences) = if state_writer.lacks_all() {
            (self.hosts.take_all(&self.signatures), self.hosts.take_all_silences())
        } else {
            (self.hosts.take_unsaved(&self.signatures), self.hosts.take_silences())
        };
        for unsaved in &mut unsaved {
            unsaved.labels = self.machines.labels_of(&self.mergers, unsaved.host);
        }
        if (!unsaved.is_empty() || !silences.is_empty())
            && let Err((unsaved, silences)) = state_writer.save(&self.signatures, unsaved, silences)
        {
            self.hosts.not_saved(unsaved);
            self.hosts.silences_not_noted(silences);
        }
    }

    /// Takes up what was read again.
    pub fn set(&mut self, Reloaded { settings, choice, .. }: &Reloaded) {
        for merger in &mut self.mergers {
            merger.set(&settings.signatures, choice);
        }
        self.repeats.set_interval(settings.summary_interval_s);
        self.signatures = Arc::clone(&settings.signatures);
    }

    /// Whether everything has been handed on.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.due.is_empty() && self.publisher.is_through()
    }

    /// Whether alerts wait for what the state file has of their hosts.
    #[must_use]
    pub fn is_unclear(&self) -> bool {
        !self.unclear.is_empty()
    }

    /// Counts as lost what nobody took.
    pub fn drop_rest(&mut self) {
        self.publisher.drop_rest(self.due.len());
    }

    /// Alerts so far.
    #[must_use]
    pub const fn alerts(&self) -> u64 {
        self.alerts
    }

    /// The same by service and strength.
    #[must_use]
    pub const fn detections(&self) -> &BTreeMap<(&'static str, &'static str), u64> {
        &self.detections
    }

    /// What is looked for.
    #[must_use]
    pub const fn signatures(&self) -> &Arc<SignatureSet> {
        &self.signatures
    }

    /// What is known of each host.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// How many machines were seen, a few seconds ago at most.
    pub fn count_machines(&mut self) -> MachineCounts {
        self.machines.count(&self.mergers)
    }

    /// The machines that are asked for.
    #[must_use]
    pub fn machines_of(&self, asked: &Asked) -> SeenMachines {
        self.machines.of(&self.mergers, asked)
    }

    /// What was wrong with the last save.
    #[must_use]
    pub fn save_trouble(&self) -> Option<String> {
        self.state_writer.as_ref()?.trouble()
    }

    /// Where alerts become messages.
    #[must_use]
    pub const fn publisher(&self) -> &AlertPublisher<'w> {
        &self.publisher
    }

    /// The same, to be changed.
    pub const fn publisher_mut(&mut self) -> &mut AlertPublisher<'w> {
        &mut self.publisher
    }

    /// What was dropped at bounds on the way, under each bound's name.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let mut total = BTreeMap::new();
        for (bound, count) in self.mergers.iter().flat_map(EventMerger::dropped) {
            *total.entry(bound).or_default() += count;
        }
        if self.hosts.dropped() > 0 {
            *total.entry("hosts").or_default() += self.hosts.dropped();
        }
        total
    }

    /// What is behind the way, to be ended.
    #[must_use]
    pub fn into_ends(self) -> (AlertPublisher<'w>, Hosts, Option<StateWriter>) {
        (self.publisher, self.hosts, self.state_writer)
    }
}
