//! The control thread: one loop that decides what is next, and does nothing of it itself.

use super::alert_path::AlertPath;
use super::interfaces::Interfaces;
use super::listening::Listening;
use super::reload::{Reloading, finished};
use super::signals::{Request, Signals};
use super::{Notice, Settings, Tell, WatchError, WatchOptions, Watched, now};
use crate::sensor::Notify;
use crate::web::{Web, WhoIs};
use kaspector::capture::Timestamp;
use kaspector_live::{Choice, LiveError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often the control thread looks at the queues.
pub const LOOK: Duration = Duration::from_millis(5);
/// The same when there was nothing to tell for [`QUIET`] looks, where no workers wait for each other.
const LOOK_WHEN_QUIET: Duration = Duration::from_millis(20);
const QUIET: u32 = 200;
/// How often what the server shows is put up: a loss is to be seen within a second, and the spool takes its part of that to find it.
pub const PUBLISH: Duration = Duration::from_millis(250);
/// How often the records of hosts that changed are taken.
const TAKE_RECORDS: Duration = Duration::from_secs(1);
/// How often what changed of the hosts is saved.
const SAVE: Duration = Duration::from_secs(5);
/// How often is looked who has fallen silent.
const LISTEN: Duration = Duration::from_secs(2);
/// The threads of all rings.
pub type Workers<'scope> = Vec<ScopedJoinHandle<'scope, Result<(), LiveError>>>;

/// The control thread.
pub struct Control<'w> {
    pub(super) options: &'w WatchOptions,
    pub(super) settings: Settings,
    pub(super) choice: Arc<Choice>,
    /// Whether the kernel holds this process to the files of its sandbox.
    pub(super) is_confined: bool,
    pub(super) started: Instant,
    pub(super) began: Timestamp,
    pub(super) interfaces: Interfaces<'w>,
    pub(super) alerts: AlertPath<'w>,
    /// Names of what evidence points into.
    pub(super) inputs: Vec<String>,
    pub(super) web: Option<Web>,
    questions: Option<mpsc::Receiver<WhoIs>>,
    pub(super) notify: Notify,
    pub(super) listening: Listening,
    /// Messages whose loss was warned of.
    pub(super) lost_told: u64,
}

impl<'w> Control<'w> {
    /// The control thread of a watch that is about to begin; `inputs` are the names of what evidence points into.
    pub fn new(
        options: &'w WatchOptions,
        (settings, choice, is_confined): (Settings, Arc<Choice>, bool),
        interfaces: Interfaces<'w>,
        alerts: AlertPath<'w>,
        inputs: Vec<String>,
        web: Option<Web>,
    ) -> Self {
        Self {
            options,
            settings,
            choice,
            is_confined,
            started: Instant::now(),
            began: now(),
            listening: Listening::since(now()),
            interfaces,
            alerts,
            inputs,
            questions: web.as_ref().map(Web::questions),
            web,
            notify: Notify::from_environment(),
            lost_told: 0,
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
        let mut records = every(TAKE_RECORDS);
        let (mut save, mut publish) = (every(SAVE), every(PUBLISH));
        let mut silences = every(LISTEN);
        let mut stats_at = Instant::now() + self.stats_interval();
        let mut ends: Option<Instant> = None;
        let (mut reloading, mut reloads_again): (Option<Reloading>, bool) = (None, false);
        while !workers.iter().all(ScopedJoinHandle::is_finished) {
            tokio::select! {
                () = tokio::time::sleep(self.pause(quiet)) => {
                    // At the end nothing hurries: what workers have is taken as the outputs have room for it, as long as they may take.
                    if stop.load(Ordering::Relaxed) && !self.alerts.publisher().has_room() {
                        let since = *ends.get_or_insert_with(Instant::now);
                        if since.elapsed() < self.options.patience {
                            self.alerts.hand_on();
                            continue;
                        }
                    }
                    quiet = if self.alerts.look() { 0 } else { quiet.saturating_add(1) };
                }
                _ = records.tick() => {
                    self.alerts.take_records();
                    let now = Instant::now();
                    if self.interfaces.all_move(now) {
                        self.notify.pulse(now);
                    }
                }
                _ = publish.tick() => self.publish(),
                Some(question) = asked(&mut self.questions) => {
                    let machines = self.alerts.machines_of(&question.asked);
                    question.answer(machines);
                }
                _ = silences.tick() => self.listen(),
                _ = save.tick() => self.alerts.save(),
                () = tokio::time::sleep_until(stats_at.into()) => {
                    stats_at = Instant::now() + self.stats_interval();
                    self.report(tell);
                }
                request = signals.next() => match request {
                    Request::End => end(stop),
                    Request::Count => tell(Notice::SoFar(&self.so_far())),
                    Request::Reload => {
                        self.alerts.publisher().outputs().reopen();
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
            if self.alerts.publisher().outputs().are_closed() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        self.alerts.look();
        let finishing = self.finish(workers, tell);
        tokio::pin!(finishing);
        loop {
            tokio::select! {
                watched = &mut finishing => return watched,
                // Files that are about to be closed need not be opened anew, and the summary is about to come.
                request = signals.next() => if request == Request::End { end(stop) },
            }
        }
    }

    /// Looks whether packets come, and tells of hosts that have shown nothing for too long.
    fn listen(&mut self) {
        let last_packet = self.interfaces.status().iter().filter_map(|interface| interface.last_packet).max();
        self.listening.note(last_packet, now(), self.settings.stale_after);
        if let Some(after) = self.settings.silent_after
            && let Some(since) = self.listening.for_silences(after)
        {
            self.alerts.tell_silences(after, since);
        }
    }

    fn stats_interval(&self) -> Duration {
        Duration::from_secs(self.settings.stats_interval_s.max(1))
    }

    /// How long until the next look, after so many without anything to tell.
    const fn pause(&self, quiet: u32) -> Duration {
        if quiet < QUIET || self.options.workers > 1 { LOOK } else { LOOK_WHEN_QUIET }
    }
}

/// The first request to end is granted in good order, the second at once.
fn end(stop: &AtomicBool) {
    if stop.swap(true, Ordering::Relaxed) {
        std::process::exit(130);
    }
}

/// The next question who hosts are; never, where nobody can ask.
async fn asked(questions: &mut Option<mpsc::Receiver<WhoIs>>) -> Option<WhoIs> {
    match questions {
        Some(questions) => questions.recv().await,
        None => std::future::pending().await,
    }
}

/// Ticks at this interval; one that is late delays the next.
pub fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
