//! The control thread: takes what the workers report, keeps what it proves, and hands it on to the outputs.

use super::alert_publisher::AlertPublisher;
use super::counters::Detail;
use super::event_merger::EventMerger;
use super::hosts::{Hosts, Novelty, Rise};
use super::interfaces::Interfaces;
use super::reload::{Current, Reloaded};
use super::repeats::{Repeats, Sighting};
use super::signals::{Request, Signals};
use super::state_writer::StateWriter;
use super::{HOSTS_TOLD, Notice, Settings, Tell, WatchError, WatchOptions, Watched, now};
use crate::sensor::Notify;
use crate::status::Status;
use crate::web::{HostSnapshot, Web};
use kaspector::capture::Timestamp;
use kaspector::decode::Outcome;
use kaspector::matching::HostKey;
use kaspector_delivery::Drained;
use kaspector_live::{Choice, LiveError};
use kaspector_report::{EveStats, Occasion};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often the control thread looks at the queues.
const LOOK: Duration = Duration::from_millis(5);
/// The same when there was nothing to tell for [`QUIET`] looks, where no workers wait for each other.
const LOOK_WHEN_QUIET: Duration = Duration::from_millis(20);
const QUIET: u32 = 200;
/// How often what the server shows is put up: a loss is to be seen within a second, and the spool takes its part of that to find it.
const PUBLISH: Duration = Duration::from_millis(250);
/// How often it looks at the hosts that changed.
const LOOK_AT_HOSTS: Duration = Duration::from_secs(1);
/// How often what changed of the hosts is saved.
const SAVE: Duration = Duration::from_secs(5);
/// How long an alert waits until it is known whether the state file has the same of its host, and how many may; others are told as first sights.
const UNCLEAR: Duration = Duration::from_secs(5);
const UNCLEAR_MAX: usize = 1 << 14;
/// The same at the end.
const LAST_RECALLS: Duration = Duration::from_secs(2);
/// The threads of all rings.
pub type Workers<'scope> = Vec<ScopedJoinHandle<'scope, Result<(), LiveError>>>;

/// The control thread.
pub struct Control<'w> {
    options: &'w WatchOptions,
    settings: Settings,
    choice: Arc<Choice>,
    /// Whether the kernel holds this process to the files of its sandbox.
    is_confined: bool,
    started: Instant,
    began: Timestamp,
    /// By interface.
    mergers: Vec<EventMerger>,
    interfaces: Interfaces<'w>,
    publisher: AlertPublisher<'w>,
    repeats: Repeats,
    /// Summaries whose turn has come.
    due: VecDeque<(Sighting, Occasion)>,
    hosts: Hosts,
    state_writer: Option<StateWriter>,
    /// Alerts of hosts that are being recalled out of the state file.
    unclear: VecDeque<(Instant, Sighting)>,
    /// Names of what evidence points into.
    inputs: Vec<String>,
    web: Option<Web>,
    notify: Notify,
    /// Alerts by service and strength.
    detections: BTreeMap<(&'static str, &'static str), u64>,
    alerts: u64,
    /// Messages whose loss was warned of.
    lost_told: u64,
}

type Reloading = JoinHandle<Result<Reloaded, String>>;

impl<'w> Control<'w> {
    /// The control thread of a watch that is about to begin.
    pub fn new(
        options: &'w WatchOptions,
        (settings, choice, is_confined): (Settings, Arc<Choice>, bool),
        mergers: Vec<EventMerger>,
        interfaces: Interfaces<'w>,
        publisher: AlertPublisher<'w>,
        (hosts, state_writer): (Hosts, Option<(StateWriter, Vec<String>)>),
        web: Option<Web>,
    ) -> Self {
        let (state_writer, inputs) = state_writer
            .map_or_else(|| (None, options.interfaces.clone()), |(state_writer, inputs)| (Some(state_writer), inputs));
        Self {
            options,
            repeats: Repeats::every(settings.summary_interval_s),
            settings,
            choice,
            is_confined,
            started: Instant::now(),
            began: now(),
            due: VecDeque::new(),
            lost_told: 0,
            mergers,
            interfaces,
            publisher,
            hosts,
            state_writer,
            unclear: VecDeque::new(),
            inputs,
            web,
            notify: Notify::from_environment(),
            detections: BTreeMap::new(),
            alerts: 0,
        }
    }

    /// Runs until the workers have ended.
    ///
    /// # Errors
    /// When an interface failed for good.
    pub async fn run(
        mut self,
        mut signals: Signals,
        stop: &AtomicBool,
        workers: Workers<'_>,
        tell: Tell<'_>,
    ) -> Result<Watched, WatchError> {
        self.interfaces.advise(tell);
        self.notify.ready();
        let mut quiet = 0_u32;
        let mut hosts = every(LOOK_AT_HOSTS);
        let (mut save, mut publish) = (every(SAVE), every(PUBLISH));
        let mut stats_at = Instant::now() + self.stats_interval();
        let mut ends: Option<Instant> = None;
        let (mut reloading, mut reloads_again): (Option<Reloading>, bool) = (None, false);
        while !workers.iter().all(ScopedJoinHandle::is_finished) {
            tokio::select! {
                () = tokio::time::sleep(self.pause(quiet)) => {
                    // At the end nothing hurries: what workers have is taken as the outputs have room for it, as long as they may take.
                    if stop.load(Ordering::Relaxed) && !self.publisher.has_room() {
                        let since = *ends.get_or_insert_with(Instant::now);
                        if since.elapsed() < self.options.patience {
                            self.hand_on();
                            continue;
                        }
                    }
                    quiet = if self.look() { 0 } else { quiet.saturating_add(1) };
                }
                _ = hosts.tick() => {
                    self.look_at_hosts();
                    let now = Instant::now();
                    if self.interfaces.all_move(now) {
                        self.notify.pulse(now);
                    }
                }
                _ = publish.tick() => self.publish(),
                _ = save.tick() => self.save(),
                () = tokio::time::sleep_until(stats_at.into()) => {
                    stats_at = Instant::now() + self.stats_interval();
                    self.report(tell);
                }
                request = signals.next() => match request {
                    Request::End => end(stop),
                    Request::Count => tell(Notice::SoFar(&self.so_far())),
                    Request::Reload => {
                        self.publisher.outputs().reopen();
                        // What is being read now may be older than the request.
                        reloads_again = reloading.is_some();
                        if reloading.is_none() {
                            self.notify.reloading();
                            reloading = self.begin_reload();
                        }
                    }
                },
                Some(renewed) = finished(&mut reloading) => {
                    self.renew(renewed, tell);
                    reloading = if std::mem::take(&mut reloads_again) { self.begin_reload() } else { None };
                    if reloading.is_none() {
                        self.notify.ready();
                    }
                }
            }
            if self.publisher.outputs().are_closed() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        self.look();
        let finished = self.finish(workers, tell);
        tokio::pin!(finished);
        loop {
            tokio::select! {
                watched = &mut finished => return watched,
                // Files that are about to be closed need not be opened anew, and the summary is about to come.
                request = signals.next() => if request == Request::End { end(stop) },
            }
        }
    }

    fn stats_interval(&self) -> Duration {
        Duration::from_secs(self.settings.stats_interval_s.max(1))
    }

    /// Begins to read configuration and signatures again, beside the work.
    fn begin_reload(&self) -> Option<Reloading> {
        let reload = self.options.reload.clone()?;
        let current = Current {
            settings: self.settings.clone(),
            choice: Arc::clone(&self.choice),
            sensor: Arc::clone(&self.options.output_options.sensor),
            confined: self.is_confined.then(|| self.options.sandbox.clone()),
        };
        let handle = self.publisher.outputs().handle();
        Some(handle.spawn_blocking(move || Reloaded::read(&reload, current)))
    }

    /// Takes up what was read again, or says why everything stays as it was.
    fn renew(&mut self, renewed: Result<Reloaded, String>, tell: Tell<'_>) {
        let Reloaded { settings, choice, outputs, remarks } = match renewed {
            Ok(renewal) => renewal,
            Err(error) => {
                tell(Notice::Warning(&format!("not reloaded, everything stays as it was: {error}")));
                return;
            }
        };
        remarks.iter().for_each(|remark| tell(Notice::Warning(remark)));
        let signatures = &settings.signatures;
        for merger in &mut self.mergers {
            merger.set(signatures, &choice);
        }
        self.repeats.set_interval(settings.summary_interval_s);
        if let Some(web) = &self.web {
            web.set_stale_after(settings.stale_after);
        }
        tell(Notice::Event(&format!(
            "reloaded: signature set {} with {} indicators{}",
            signatures.version(),
            signatures.len(),
            if Arc::ptr_eq(signatures, &self.settings.signatures) { ", as before" } else { "" },
        )));
        if choice != self.choice {
            let Choice { filter, snaplen } = &*choice;
            let filter = filter.as_deref().unwrap_or("none");
            tell(Notice::Event(&format!("reloaded: filter: {filter}; snap length: {snaplen}")));
        }
        if let Some(prepared) = outputs {
            self.publisher.outputs_mut().replace(prepared);
            let names: Vec<String> = settings.outputs.iter().map(ToString::to_string).collect();
            tell(Notice::Event(&format!("reloaded: outputs: {}", names.join(", "))));
        }
        (self.settings, self.choice) = (settings, choice);
    }

    /// How long until the next look, after so many without anything to tell.
    const fn pause(&self, quiet: u32) -> Duration {
        if quiet < QUIET || self.options.workers > 1 { LOOK } else { LOOK_WHEN_QUIET }
    }

    /// Takes what the workers found, and hands on what the outputs have room for. Says whether there was anything.
    fn look(&mut self) -> bool {
        let before = self.alerts;
        for interface in 0..self.mergers.len() {
            let alerts = self.mergers.get_mut(interface).map(EventMerger::look).unwrap_or_default();
            let interface = u32::try_from(interface).unwrap_or(u32::MAX);
            for alert in alerts {
                self.alerts += 1;
                let indicator = self.settings.signatures.get(alert.indicator);
                let kind = (indicator.category.name(), indicator.strength.name());
                *self.detections.entry(kind).or_default() += 1;
                let sighting = Sighting { alert, interface };
                match self.hosts.note(sighting.host(), &sighting.alert, interface) {
                    Novelty::Unclear if self.unclear.len() < UNCLEAR_MAX => {
                        self.unclear.push_back((Instant::now(), sighting));
                    }
                    novelty => self.tell_once(sighting, novelty),
                }
            }
        }
        if self.hosts.are_leaving() || self.mergers.iter().any(EventMerger::is_crowded) {
            self.look_at_hosts();
        }
        self.recall(UNCLEAR);
        // While summaries wait for outputs, the next ones add up where they are.
        if self.due.is_empty() {
            let due = self.repeats.summaries(now());
            self.summarise(due);
        }
        self.hand_on();
        self.alerts > before || !self.due.is_empty() || !self.publisher.is_through()
    }

    /// Hands on what the outputs have room for, and summaries as far as there is room behind that.
    fn hand_on(&mut self) {
        self.publisher.hand_on();
        while self.publisher.has_room()
            && let Some((sighting, occasion)) = self.due.pop_front()
        {
            self.tell_of(&sighting, occasion);
            self.publisher.hand_on();
        }
    }

    /// Tells of an alert that is news; others wait for the next summary. What the state file has was told by an earlier run.
    fn tell_once(&mut self, sighting: Sighting, novelty: Novelty) {
        let signatures = &self.settings.signatures;
        if novelty == Novelty::Known {
            self.repeats.take_known(sighting, signatures);
        } else if let Some(sighting) = self.repeats.take(sighting, signatures) {
            self.tell_of(&sighting, Occasion::FirstSight);
        }
    }

    /// Has hosts that left memory looked up in the state file, and tells what waited for that, or for longer than `patience`.
    fn recall(&mut self, patience: Duration) {
        let Some(state_writer) = &self.state_writer else { return };
        let signatures = Arc::clone(&self.settings.signatures);
        let hosts = self.hosts.take_to_recall();
        if !hosts.is_empty()
            && let Err(refused) = state_writer.recall(&signatures, hosts)
        {
            self.hosts.not_recalled(refused);
        }
        let recalled = state_writer.take_recalled().into_iter();
        let rises: Vec<Rise> = recalled
            .filter_map(|(host, question, record)| self.hosts.recalled(&host, question, record, &signatures))
            .collect();
        while let Some((_, sighting)) = self.unclear.pop_front_if(|(since, sighting)| {
            since.elapsed() >= patience || self.hosts.novelty(&sighting.host(), &sighting.alert) != Novelty::Unclear
        }) {
            let novelty = self.hosts.novelty(&sighting.host(), &sighting.alert);
            self.tell_once(sighting, novelty);
        }
        self.tell_rises(rises);
    }

    fn tell_rises(&mut self, rises: Vec<Rise>) {
        for Rise { alert, interface, from, to } in rises {
            self.tell_of(&Sighting { alert, interface }, Occasion::VerdictRise { from, to });
        }
    }

    fn tell_of(&mut self, sighting: &Sighting, occasion: Occasion) {
        let known_since = self.hosts.known_since(&sighting.host());
        self.publisher.tell_of(sighting, occasion, known_since, &self.settings.signatures);
    }

    fn summarise(&mut self, due: Vec<(Sighting, u64)>) {
        // One figure for each host, in all its summaries.
        let mut carried: HashMap<HostKey, u64> = HashMap::new();
        for (sighting, count) in due {
            let host = sighting.host();
            let bytes = *carried.entry(host).or_insert_with(|| self.hosts.bytes_since(&host));
            self.due.push_back((sighting, Occasion::Summary { count, bytes }));
        }
    }

    /// Takes the records of hosts that changed, and tells of those whose evidence adds up to more.
    fn look_at_hosts(&mut self) {
        let signatures = Arc::clone(&self.settings.signatures);
        let mut rises = Vec::new();
        for (interface, merger) in (0..).zip(&mut self.mergers) {
            for (host, record) in merger.take_changed() {
                rises.extend(self.hosts.update(host, record, interface, &signatures));
            }
            for (host, record) in merger.make_room() {
                rises.extend(self.hosts.retire(host, record, interface, &signatures));
            }
        }
        // Now the ledgers hold nothing of these hosts that is not known here.
        for host in self.hosts.leaving() {
            self.mergers.iter_mut().for_each(|merger| merger.let_go(&host));
        }
        self.hosts.leave(&signatures);
        self.tell_rises(rises);
        if self.hosts.is_crowded() {
            self.save();
        }
    }

    /// Puts up what the web server shows.
    fn publish(&mut self) {
        let Some(web) = self.web.clone() else { return };
        let interfaces = self.interfaces.status();
        let signatures = &self.settings.signatures;
        let Detail { outcomes, flows_active, memory_bytes, coverage: seen, dropped, .. } = self.interfaces.detail();
        let dropped = self.dropped(dropped);
        let bound = |names: &[&str]| names.iter().filter_map(|name| dropped.get(name)).sum();
        let (outputs, spool) = self.publisher.outputs().watcher().status();
        web.publish(Status {
            started: self.began,
            signatures_version: signatures.version().to_owned(),
            indicators: signatures.len(),
            interfaces,
            outcomes: Outcome::ALL.iter().map(|&outcome| (outcome.name(), outcomes.count(outcome))).collect(),
            flows_active,
            flow_evictions: vec![
                ("memory", bound(&["flows"])),
                ("flood", bound(&["half_open_flows", "datagram_flows"])),
            ],
            connections_ended: seen.ended,
            inspection_gaps: vec![
                ("midstream", seen.midstream),
                ("one_sided", seen.one_sided),
                ("reassembly_limit", bound(&["conversations", "held_bytes", "stream_gaps", "segments_out_of_window"])),
                ("snaplen", outcomes.count(Outcome::Truncated)),
                ("encrypted_hello", seen.encrypted_hellos),
                ("unknown_quic_version", seen.unknown_quic_versions),
                (
                    "unknown_tunnel_port",
                    bound(&["unknown_port_vxlan", "unknown_port_geneve", "unknown_port_gtp_u", "unknown_port_gre"]),
                ),
            ],
            detections: self
                .detections
                .iter()
                .map(|(&(service, strength), &count)| (service, strength, count))
                .collect(),
            endpoints_with_findings: self.hosts.count(),
            outputs,
            spool,
            messages: self.publisher.made(),
            no_room: self.publisher.lost(),
            flow_memory_bytes: memory_bytes,
        });
        if web.wants_hosts() {
            web.publish_hosts(HostSnapshot {
                hosts: Arc::new(self.hosts.listed()),
                inputs: self.inputs.clone(),
                signatures: Arc::clone(signatures),
            });
        }
    }

    /// Hands the hosts that changed to the state file.
    fn save(&mut self) {
        let Some(state_writer) = &self.state_writer else { return };
        let signatures = &self.settings.signatures;
        let unsaved = if state_writer.lacks_all() {
            self.hosts.take_all(signatures)
        } else {
            self.hosts.take_unsaved(signatures)
        };
        if !unsaved.is_empty()
            && let Err(refused) = state_writer.save(signatures, unsaved)
        {
            self.hosts.not_saved(refused);
        }
    }

    /// Tells what was counted, and says what the log should have of it.
    fn report(&mut self, tell: Tell<'_>) {
        self.interfaces.remark(tell);
        if let Some(trouble) = self.state_writer.as_ref().and_then(StateWriter::trouble) {
            tell(Notice::Warning(&format!("{trouble}; what was not saved is tried again")));
        }
        let lost = self.publisher.lost().sum();
        if lost > self.lost_told {
            let more = lost - std::mem::replace(&mut self.lost_told, lost);
            tell(Notice::Warning(&format!("{more} messages were lost, because no output had room for them")));
        }
        let uptime_s = self.started.elapsed().as_secs();
        let stats = EveStats { uptime_s, alerts: self.alerts, ..self.interfaces.stats() };
        self.publisher.tell_counters(&stats);
    }

    /// What was dropped at any bound, under the bound's name: by workers, `of_workers`, and by the ledgers behind them.
    fn dropped(&self, of_workers: BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
        let mut total = of_workers;
        for (bound, count) in self.mergers.iter().flat_map(EventMerger::dropped) {
            *total.entry(bound).or_default() += count;
        }
        if self.hosts.dropped() > 0 {
            *total.entry("hosts").or_default() += self.hosts.dropped();
        }
        total
    }

    /// What the watch has come to.
    fn so_far(&mut self) -> Watched {
        let Detail { outcomes, flows, dropped, .. } = self.interfaces.detail();
        Watched {
            interfaces: self.interfaces.status(),
            outputs: self.publisher.outputs().status(),
            behind: 0,
            outcomes,
            flows,
            dropped: self.dropped(dropped),
            hosts: self.hosts.first_findings(HOSTS_TOLD, &self.settings.signatures),
            hosts_in_all: self.hosts.count(),
            no_room: self.publisher.lost(),
        }
    }

    async fn finish(mut self, workers: Workers<'_>, tell: Tell<'_>) -> Result<Watched, WatchError> {
        self.notify.stopping();
        let (mut trouble, mut panicked) = (None, None);
        for worker in workers {
            match worker.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => trouble = Some(error),
                // Once what was found has been handed over.
                Err(panic) => panicked = Some(panic),
            }
        }
        self.look();
        self.look_at_hosts();
        let asked = Instant::now();
        self.recall(UNCLEAR);
        while !self.unclear.is_empty() && asked.elapsed() < LAST_RECALLS {
            tokio::time::sleep(LOOK).await;
            self.recall(UNCLEAR);
        }
        self.recall(Duration::ZERO);
        self.save();
        let held = self.repeats.held();
        self.summarise(held);
        self.report(tell);
        let patience = self.options.patience;
        let deadline = Instant::now() + patience;
        self.hand_on();
        let mut shown = Instant::now();
        while !(self.due.is_empty() && self.publisher.is_through()) && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            self.hand_on();
            if shown.elapsed() >= PUBLISH {
                self.publish();
                shown = Instant::now();
            }
        }
        self.publisher.drop_rest(self.due.len());
        self.publish();
        let mut watched = self.so_far();
        let handle = self.publisher.outputs().handle().clone();
        let watcher = self.publisher.outputs().watcher();
        let draining = self.publisher.into_outputs().drain(patience);
        tokio::pin!(draining);
        let mut publish = every(PUBLISH);
        let Drained { behind, outputs } = loop {
            tokio::select! {
                drained = &mut draining => break drained,
                _ = publish.tick() => if let Some(web) = &self.web {
                    let (outputs, spool) = watcher.status();
                    web.publish_outputs(outputs, spool);
                },
            }
        };
        (watched.behind, watched.outputs) = (behind, outputs);
        if let Some(state_writer) = self.state_writer.take() {
            let last = self.hosts.take_last_unsaved(&self.settings.signatures);
            let signatures = Arc::clone(&self.settings.signatures);
            let closed = handle.spawn_blocking(|| state_writer.close(signatures, last));
            if let Ok(Ok(Some(trouble))) = tokio::time::timeout(patience, closed).await {
                tell(Notice::Warning(&trouble));
            }
        }
        if let Some(panic) = panicked {
            std::panic::resume_unwind(panic);
        }
        match trouble {
            Some(error) => Err(error.into()),
            None => Ok(watched),
        }
    }
}

/// The first request to end is granted in good order, the second at once.
fn end(stop: &AtomicBool) {
    if stop.swap(true, Ordering::Relaxed) {
        std::process::exit(130);
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// The result of a reload, once it is through; never, while none is under way.
async fn finished(reloading: &mut Option<Reloading>) -> Option<Result<Reloaded, String>> {
    match reloading {
        Some(task) => Some(task.await.unwrap_or_else(|error| Err(format!("the reload failed: {error}")))),
        None => std::future::pending().await,
    }
}
