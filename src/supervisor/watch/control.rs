//! The control thread: takes what the workers report, keeps what it proves, and hands it on to the outputs.

use super::counters::WorkerCounters;
use super::desk::Desk;
use super::health::Health;
use super::hosts::{Hosts, Rise};
use super::keeper::Keeper;
use super::repeats::{Repeats, Sighting};
use super::signals::{Signals, Wish};
use super::{Notice, Reload, Renewed, Settings, Tell, WatchError, WatchOptions, Watched, now, random};
use crate::capture::{LiveError, Timestamp};
use crate::decode::{Outcome, OutcomeCounters};
use crate::matching::{HostKey, SignatureSet};
use crate::pipeline::SeenInPart;
use crate::sink::{Drained, EveOrigin, EveStats, EveWriter, Message, Occasion, Outputs, Weight, alert_uid};
use crate::supervisor::web::{HostSnapshot, Web};
use crate::supervisor::{InterfaceStatus, Notify, Status};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use ulid::Ulid;

/// How often the control thread looks at the queues.
const LOOK: Duration = Duration::from_millis(5);
/// How often it looks at the hosts that changed.
const LOOK_AT_HOSTS: Duration = Duration::from_secs(1);
/// How often what changed of the hosts is saved.
const SAVE: Duration = Duration::from_secs(5);
/// Messages that wait while the outputs' queue is full.
const BACKLOG_MAX: usize = 1 << 14;
/// Share of packets dropped in an interval above which a warning is due: one in so many.
const WARN_ABOVE_ONE_IN: u64 = 1000;

/// The threads of all rings.
pub type Workers<'scope> = Vec<ScopedJoinHandle<'scope, Result<(), LiveError>>>;

/// The control thread.
pub struct Control<'w> {
    pub options: &'w WatchOptions,
    pub settings: Settings,
    /// Random: what identifies this run in every identifier.
    pub run: [u8; 32],
    pub started: Instant,
    began: Timestamp,
    /// By interface.
    pub desks: Vec<Desk>,
    /// By interface, then by worker.
    pub counters: &'w [Vec<WorkerCounters>],
    pub outputs: Outputs,
    repeats: Repeats,
    hosts: Hosts,
    keeper: Option<Keeper>,
    /// Names of what evidence points into.
    inputs: Vec<String>,
    web: Option<Web>,
    notify: Notify,
    /// Alerts by service and strength.
    detections: BTreeMap<(&'static str, &'static str), u64>,
    backlog: VecDeque<Message>,
    alerts: u64,
    lost: u64,
    /// What was known of each interface when a warning was last considered.
    before: Vec<InterfaceStatus>,
    health: Vec<Health>,
}

type Reloading = JoinHandle<Result<(Settings, Vec<String>), String>>;

impl<'w> Control<'w> {
    /// The control thread of a watch that is about to begin.
    pub fn new(
        options: &'w WatchOptions,
        settings: Settings,
        run: [u8; 32],
        desks: Vec<Desk>,
        counters: &'w [Vec<WorkerCounters>],
        outputs: Outputs,
        (hosts, keeper): (Hosts, Option<(Keeper, Vec<String>)>),
        web: Option<Web>,
    ) -> Self {
        let (keeper, inputs) =
            keeper.map_or_else(|| (None, options.interfaces.clone()), |(keeper, inputs)| (Some(keeper), inputs));
        Self {
            options,
            repeats: Repeats::every(settings.summary_interval_s),
            settings,
            run,
            started: Instant::now(),
            began: now(),
            desks,
            counters,
            outputs,
            hosts,
            keeper,
            inputs,
            web,
            notify: Notify::from_environment(),
            detections: BTreeMap::new(),
            backlog: VecDeque::new(),
            alerts: 0,
            lost: 0,
            health: options.interfaces.iter().map(|name| Health::of(name)).collect(),
            before: options
                .interfaces
                .iter()
                .map(|_| InterfaceStatus { is_up: true, ..InterfaceStatus::default() })
                .collect(),
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
        for advice in self.health.iter().flat_map(|health| health.advice(self.options)) {
            tell(Notice::Warning(&advice));
        }
        self.notify.ready();
        let mut look = every(LOOK);
        let mut hosts = every(LOOK_AT_HOSTS);
        let mut save = every(SAVE);
        let mut stats_at = Instant::now() + self.stats_interval();
        let (mut reloading, mut reloads_again): (Option<Reloading>, bool) = (None, false);
        while !workers.iter().all(ScopedJoinHandle::is_finished) {
            tokio::select! {
                _ = look.tick() => self.look(),
                _ = hosts.tick() => {
                    self.look_at_hosts();
                    self.publish();
                    self.notify.pulse(Instant::now());
                }
                _ = save.tick() => self.save(),
                () = tokio::time::sleep_until(stats_at.into()) => {
                    stats_at = Instant::now() + self.stats_interval();
                    self.report(tell);
                }
                wish = signals.next() => match wish {
                    Wish::End => end(stop),
                    Wish::Reload => {
                        self.outputs.reopen();
                        // What is being read now may be older than the wish.
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
            if self.outputs.are_closed() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        self.look();
        let finished = self.finish(workers, tell);
        tokio::pin!(finished);
        loop {
            tokio::select! {
                watched = &mut finished => return watched,
                // Files that are about to be closed need not be opened anew.
                wish = signals.next() => if wish == Wish::End { end(stop) },
            }
        }
    }

    fn stats_interval(&self) -> Duration {
        Duration::from_secs(self.settings.stats_interval_s.max(1))
    }

    /// Begins to read configuration and signatures again, beside the work.
    fn begin_reload(&self) -> Option<Reloading> {
        let reload: Reload = self.options.reload.clone()?;
        let current = Arc::clone(&self.settings.signatures);
        Some(tokio::task::spawn_blocking(move || {
            let Renewed { signatures, summary_interval_s, stats_interval_s, stale_after, remarks } = (reload.0)()?;
            let signatures = match signatures.sha256() == current.sha256() {
                true => current,
                false => Arc::new(signatures.succeed(&current).map_err(|error| error.to_string())?),
            };
            Ok((Settings { signatures, summary_interval_s, stats_interval_s, stale_after }, remarks))
        }))
    }

    /// Takes up what was read again, or says why everything stays as it was.
    fn renew(&mut self, renewed: Result<(Settings, Vec<String>), String>, tell: Tell<'_>) {
        let (settings, remarks) = match renewed {
            Ok(renewed) => renewed,
            Err(error) => {
                tell(Notice::Warning(&format!("not reloaded, everything stays as it was: {error}")));
                return;
            }
        };
        remarks.iter().for_each(|remark| tell(Notice::Warning(remark)));
        let signatures = &settings.signatures;
        for desk in &mut self.desks {
            desk.set_signatures(signatures);
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
        self.settings = settings;
    }

    /// Takes what the workers found, and hands on what the outputs have room for.
    fn look(&mut self) {
        for interface in 0..self.desks.len() {
            let alerts = self.desks.get_mut(interface).map(Desk::look).unwrap_or_default();
            let interface = u32::try_from(interface).unwrap_or(u32::MAX);
            for alert in alerts {
                self.alerts += 1;
                let indicator = self.settings.signatures.get(alert.indicator);
                let kind = (indicator.category.name(), indicator.strength.name());
                *self.detections.entry(kind).or_default() += 1;
                let sighting = Sighting { alert, interface };
                self.hosts.note(sighting.host(), &sighting.alert, interface);
                if let Some(sighting) = self.repeats.take(sighting) {
                    self.tell_of(&sighting, Occasion::FirstSight);
                }
            }
        }
        let due = self.repeats.summaries(now());
        self.summarise(&due);
        self.hand_on();
    }

    fn hand_on(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            if !self.outputs.offer(message.clone()) {
                self.backlog.push_front(message);
                return;
            }
        }
    }

    fn summarise(&mut self, due: &[(Sighting, u64)]) {
        // One figure for each host, in all its summaries.
        let mut carried: HashMap<HostKey, u64> = HashMap::new();
        for (sighting, count) in due {
            let host = sighting.host();
            let bytes = *carried.entry(host).or_insert_with(|| self.hosts.bytes_since(&host));
            self.tell_of(sighting, Occasion::Summary { count: *count, bytes });
        }
    }

    /// Takes the records of hosts that changed, and tells of those whose evidence adds up to more.
    fn look_at_hosts(&mut self) {
        let signatures = Arc::clone(&self.settings.signatures);
        let mut rises = Vec::new();
        for (interface, desk) in (0..).zip(&mut self.desks) {
            for (host, record) in desk.take_changed() {
                rises.extend(self.hosts.update(host, record, interface, &signatures));
            }
            for (host, record) in desk.make_room() {
                self.hosts.retire(host, record, interface, &signatures);
            }
        }
        for Rise { alert, interface, from, to } in rises {
            self.tell_of(&Sighting { alert, interface }, Occasion::VerdictRise { from, to });
        }
    }

    /// Puts up what the web server shows.
    fn publish(&mut self) {
        let Some(web) = self.web.clone() else { return };
        let interfaces = self.interfaces();
        let signatures = &self.settings.signatures;
        let (mut outcomes, mut seen, mut flows_active) = (OutcomeCounters::default(), SeenInPart::default(), 0);
        for worker in self.workers() {
            let detail = worker.detail();
            outcomes.add(&detail.outcomes);
            seen.add(detail.seen_in_part);
            flows_active += detail.flows_active;
        }
        let given_up = self.given_up();
        let bound = |names: &[&str]| names.iter().filter_map(|name| given_up.get(name)).sum();
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
            inspection_gaps: vec![
                ("midstream", seen.midstream),
                ("one_sided", seen.one_sided),
                ("reassembly_limit", bound(&["conversations", "held_bytes", "stream_gaps", "segments_out_of_window"])),
                ("snaplen", outcomes.count(Outcome::Truncated)),
            ],
            detections: self
                .detections
                .iter()
                .map(|(&(service, strength), &count)| (service, strength, count))
                .collect(),
            endpoints_with_findings: self.hosts.count(),
            outputs: self.outputs.status(),
            flow_memory_bytes: 0,
        });
        if web.wants_hosts() {
            web.publish_hosts(HostSnapshot {
                findings: self.hosts.findings(signatures),
                inputs: self.inputs.clone(),
                signatures: Arc::clone(signatures),
            });
        }
    }

    /// Hands the hosts that changed to the state file.
    fn save(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        let unsaved = self.hosts.take_unsaved(&self.settings.signatures);
        if unsaved.is_empty() {
            return;
        }
        if let Err(refused) = keeper.save(&self.settings.signatures, unsaved) {
            self.hosts.not_saved(refused.into_iter().map(|(host, _)| host));
        }
    }

    fn tell_of(&mut self, sighting: &Sighting, occasion: Occasion) {
        let Sighting { alert, interface } = sighting;
        let name = self.options.interfaces.get(*interface as usize).map_or("", String::as_str);
        // Packets are numbered by interface, and one packet may both be news and make a verdict rise.
        let mut run = self.run;
        let is_rise = matches!(occasion, Occasion::VerdictRise { .. });
        for (byte, number) in run.iter_mut().zip(interface.to_be_bytes().into_iter().chain([u8::from(is_rise)])) {
            *byte ^= number;
        }
        let signatures: &SignatureSet = &self.settings.signatures;
        let mut writer = EveWriter::new(Vec::new(), signatures, self.options.compat);
        writer.write(alert, EveOrigin::Interface { name, run: &run, occasion }).expect("memory takes every line");
        let line = String::from_utf8_lossy(writer.into_inner().trim_ascii_end()).into_owned();
        let uid = alert_uid(alert, &signatures.get(alert.indicator).id, &run);
        let weight = if matches!(occasion, Occasion::Summary { .. }) { Weight::Summary } else { Weight::Finding };
        self.push(uid, &sighting.host().address.to_string(), weight, &line);
    }

    /// Every interface, as it stands.
    fn interfaces(&mut self) -> Vec<InterfaceStatus> {
        let named = self.options.interfaces.iter().zip(self.counters);
        named
            .zip(&mut self.health)
            .map(|((name, workers), health)| InterfaceStatus::of(name, workers, health.dropped()))
            .collect()
    }

    /// Says what was counted, and warns of drops.
    fn report(&mut self, tell: Tell<'_>) {
        let interfaces = self.interfaces();
        for (interface, before) in interfaces.iter().zip(&self.before) {
            self.remark_on(interface, before, tell);
        }
        if let Some(trouble) = self.keeper.as_ref().and_then(Keeper::trouble) {
            tell(Notice::Warning(&format!("{trouble}; what was not saved is tried again")));
        }
        for (health, workers) in self.health.iter_mut().zip(self.counters) {
            if let Some(judgement) = health.judge(workers) {
                tell(Notice::Warning(&judgement));
            }
        }
        let sum = |of: fn(&InterfaceStatus) -> u64| interfaces.iter().map(of).sum();
        let stats = EveStats {
            uptime_s: self.started.elapsed().as_secs(),
            kernel_packets: sum(|interface| interface.kernel_packets),
            kernel_drops: sum(|interface| interface.kernel_drops),
            interface_drops: sum(|interface| interface.nic_drops),
            packets: sum(|interface| interface.packets),
            bytes: sum(|interface| interface.bytes),
            invalid: self.workers().map(|counters| counters.invalid.load(Ordering::Relaxed)).sum(),
            alerts: self.alerts,
        };
        self.before = interfaces;
        let at = now();
        let uid = Ulid::from_parts(at.0 / 1_000_000, u128::from_ne_bytes(random().unwrap_or_default()));
        self.push(uid, "", Weight::Stats, &stats.line(at));
    }

    /// Says what is to be said of an interface since it was last looked at.
    fn remark_on(&self, interface: &InterfaceStatus, before: &InterfaceStatus, tell: Tell<'_>) {
        let name = &interface.name;
        if interface.is_up != before.is_up {
            let now = if interface.is_up { "is up again" } else { "is down or gone: nothing can be seen there" };
            tell(Notice::Warning(&format!("{name} {now}")));
        }
        let more = |of: fn(&InterfaceStatus) -> u64| of(interface).saturating_sub(of(before));
        let seen = more(|interface| interface.kernel_packets);
        let ring = more(|interface| interface.kernel_drops);
        let nic = more(|interface| interface.nic_drops);
        let queue = more(|interface| interface.queue_drops);
        let freezes = more(|interface| interface.ring_freezes);
        tell(Notice::Detail(&format!(
            "{name}: {seen} packets since the last look; dropped: {ring} by the kernel, {nic} by the interface, {queue} events by a \
             queue of ours; ring full {freezes} times"
        )));
        let mut warn = |dropped: u64, text: String| {
            if dropped.saturating_mul(WARN_ABOVE_ONE_IN) > seen {
                tell(Notice::Warning(&format!("{name}: {text}")));
            }
        };
        warn(
            ring,
            format!(
                "the kernel dropped {ring} of {seen} packets since the last look, because the ring was full; a larger one may help: \
                 --ring-blocks {}",
                super::blocks(self.options, name, self.options.workers).saturating_mul(2)
            ),
        );
        warn(
            nic,
            format!(
                "the interface dropped {nic} packets since the last look, before the kernel saw them; its own ring may be too small: \
                 ethtool -g {name}"
            ),
        );
        warn(queue, format!("{queue} events were lost, because a queue of ours was full"));
    }

    fn workers(&self) -> impl Iterator<Item = &WorkerCounters> {
        self.counters.iter().flatten()
    }

    fn push(&mut self, uid: Ulid, host: &str, weight: Weight, line: &str) {
        if self.backlog.len() >= BACKLOG_MAX {
            self.lost += 1;
            return;
        }
        let message = Message { uid: uid.to_string().into(), host: host.into(), weight, line: line.into() };
        if let Some(web) = &self.web {
            web.alert(&message);
        }
        self.backlog.push_back(message);
    }

    /// What was given up at a bound anywhere, under the bound's name.
    fn given_up(&self) -> BTreeMap<&'static str, u64> {
        let mut total = BTreeMap::new();
        let workers = self.workers().map(|worker| worker.detail().given_up);
        for (bound, count) in workers.chain(self.desks.iter().map(Desk::given_up)).flatten() {
            *total.entry(bound).or_default() += count;
        }
        if self.hosts.given_up() > 0 {
            *total.entry("hosts").or_default() += self.hosts.given_up();
        }
        total
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
        self.save();
        let held = self.repeats.held();
        self.summarise(&held);
        self.report(tell);
        let deadline = Instant::now() + self.options.patience;
        while !self.backlog.is_empty() && Instant::now() < deadline {
            self.hand_on();
            tokio::time::sleep(LOOK).await;
        }
        let mut watched = Watched {
            interfaces: self.interfaces(),
            outputs: Vec::new(),
            behind: 0,
            outcomes: OutcomeCounters::default(),
            flows: 0,
            given_up: self.given_up(),
            hosts: self.hosts.findings(&self.settings.signatures),
            lost: self.lost + self.backlog.len() as u64,
        };
        for worker in self.counters.iter().flatten() {
            let detail = worker.detail();
            watched.outcomes.add(&detail.outcomes);
            watched.flows += detail.flows;
        }
        watched.outputs = self.outputs.status();
        let Drained { behind } = self.outputs.drain(self.options.patience).await;
        watched.behind = behind;
        if let Some(keeper) = self.keeper.take() {
            // The last look is not given back: whoever could not take it for so long will not take it now.
            let closed = tokio::task::spawn_blocking(|| keeper.close());
            if let Ok(Ok(Some(trouble))) = tokio::time::timeout(self.options.patience, closed).await {
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

/// The first wish to end is granted in good order, the second at once.
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

/// What a reload came to, once it is through; never, while none is under way.
async fn finished(reloading: &mut Option<Reloading>) -> Option<Result<(Settings, Vec<String>), String>> {
    match reloading {
        Some(task) => Some(task.await.unwrap_or_else(|error| Err(format!("the reload failed: {error}")))),
        None => std::future::pending().await,
    }
}
