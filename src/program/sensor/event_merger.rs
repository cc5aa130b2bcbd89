//! Where the workers of one interface report to: their events, in the order of time, go into one ledger.

use super::snapshot::{Latest, Snapshot};
use arc_swap::ArcSwap;
use kaspector::capture::Timestamp;
use kaspector::matching::{Alert, Event, HostKey, HostRecord, Ledger, Machines, ResolvedAddresses, SignatureSet};
use kaspector::pipeline::{END, Report, was_set_back};
use kaspector_live::Choice;
use rtrb::Consumer;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Reports taken from one worker at one look, so that a flood leaves time for the rest.
const TAKEN_MAX: usize = 1 << 16;
/// Events of one worker that may wait for another to catch up.
const WAITING_MAX: usize = 1 << 18;

/// The event merger of one interface.
#[derive(Debug)]
pub struct EventMerger {
    ledger: Ledger,
    workers: Vec<WorkerQueue>,
    resolved: Arc<ResolvedAddresses>,
    snapshot: Snapshot,
    latest: Latest,
}

/// What one worker reported.
#[derive(Debug)]
struct WorkerQueue {
    queue: Consumer<Report>,
    /// Each with the time that it is taken at: its own, as long as nobody sets the clock back.
    events: VecDeque<(Timestamp, Event)>,
    /// The time until which its events are complete.
    watermark: Timestamp,
    /// Until when the addresses that it saw in DNS answers are complete.
    resolved_until: Timestamp,
}

impl EventMerger {
    /// The event merger of the interface with index `interface`, whose workers report by `queues`.
    #[must_use]
    pub fn new(
        interface: u32,
        signatures: &Arc<SignatureSet>,
        choice: &Arc<Choice>,
        queues: Vec<Consumer<Report>>,
    ) -> Self {
        let (signatures_shared, choice) = (Arc::clone(signatures), Arc::clone(choice));
        let snapshot =
            Snapshot { signatures: signatures_shared, choice, resolved: Arc::default(), resolved_until: Timestamp(0) };
        let worker = |queue| WorkerQueue {
            queue,
            events: VecDeque::new(),
            watermark: Timestamp(0),
            resolved_until: Timestamp(0),
        };
        Self {
            ledger: Ledger::new(signatures, interface).noting_changes(),
            workers: queues.into_iter().map(worker).collect(),
            resolved: Arc::default(),
            latest: Arc::new(ArcSwap::from_pointee(snapshot.clone())),
            snapshot,
        }
    }

    /// Where the workers read what they need to know.
    #[must_use]
    pub const fn latest(&self) -> &Latest {
        &self.latest
    }

    /// Changes what is looked for, and in which frames. The ledger knows the new set before any worker does, so it can name whatever they
    /// report.
    pub fn set(&mut self, signatures: &Arc<SignatureSet>, choice: &Arc<Choice>) {
        self.ledger.set_signatures(signatures);
        self.snapshot.signatures = Arc::clone(signatures);
        self.snapshot.choice = Arc::clone(choice);
        self.latest.store(Arc::new(self.snapshot.clone()));
    }

    /// Takes what the workers reported since the last call.
    pub fn take_reports(&mut self) {
        for worker in &mut self.workers {
            worker.take(&mut self.resolved, &mut self.ledger);
        }
        self.ledger.catch_up();
    }

    /// Lets the workers know what clients got from DNS with any of them, and until when that is all.
    pub fn publish_snapshot(&mut self) {
        let resolved_until = self.lowest(|worker| worker.resolved_until);
        if resolved_until != self.snapshot.resolved_until || !Arc::ptr_eq(&self.resolved, &self.snapshot.resolved) {
            self.snapshot.resolved = Arc::clone(&self.resolved);
            self.snapshot.resolved_until = resolved_until;
            self.latest.store(Arc::new(self.snapshot.clone()));
        }
    }

    /// Gives the ledger the events up to the lowest watermark, in the order of time.
    pub fn record_events(&mut self) {
        // Never so long that memory runs out: a worker that hangs costs order, not the sensor.
        let is_crowded = self.workers.iter().any(|worker| worker.events.len() > WAITING_MAX);
        let watermark = if is_crowded { END } else { self.lowest(|worker| worker.watermark) };
        while let Some(event) = self.next_event(watermark) {
            self.ledger.record(event);
        }
        self.ledger.catch_up();
    }

    /// Takes the alerts that the ledger raised.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        self.ledger.take_alerts()
    }

    /// All steps, one after the other.
    #[cfg(test)]
    pub fn look(&mut self) -> Vec<Alert> {
        self.take_reports();
        self.publish_snapshot();
        self.record_events();
        self.take_alerts()
    }

    fn lowest(&self, of: fn(&WorkerQueue) -> Timestamp) -> Timestamp {
        self.workers.iter().map(of).min().unwrap_or(END)
    }

    /// The earliest event, if it lies not after `watermark`.
    fn next_event(&mut self, watermark: Timestamp) -> Option<Event> {
        let first = |worker: &WorkerQueue| worker.events.front().map(|(at, event)| (*at, event.packet));
        let earliest =
            self.workers.iter_mut().filter(|worker| first(worker).is_some()).min_by_key(|worker| first(worker))?;
        let (_, event) = earliest.events.pop_front_if(|(at, _)| *at <= watermark)?;
        Some(event)
    }

    /// Copies of the records of hosts that changed since the last call.
    pub fn take_changed(&mut self) -> Vec<(HostKey, HostRecord)> {
        self.ledger.take_changed()
    }

    /// Whether so many records had to leave the ledger that [`Self::make_room`] should not wait.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.ledger.is_crowded()
    }

    /// Records that had to leave the ledger so that there is room for others.
    pub fn make_room(&mut self) -> Vec<(HostKey, HostRecord)> {
        self.ledger.make_room()
    }

    /// Lets the ledger begin a host's record anew, which is kept elsewhere; see [`Ledger::let_go`].
    pub fn let_go(&mut self, host: &HostKey) {
        self.ledger.let_go(host);
    }

    /// Machines that were seen so far.
    #[must_use]
    pub const fn machines(&self) -> &Machines {
        self.ledger.machines()
    }

    /// What was dropped at a bound, under the bound's name.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.ledger.dropped()
    }
}

impl WorkerQueue {
    fn take(&mut self, resolved: &mut Arc<ResolvedAddresses>, ledger: &mut Ledger) {
        // Asked first: what comes before the end is then in the queue.
        let is_over = self.queue.is_abandoned();
        for _ in 0..TAKEN_MAX {
            match self.queue.pop() {
                Ok(Report::Event(event)) => self.events.push_back((event.at, event)),
                // Whoever was seen was, whatever else comes to light.
                Ok(Report::Machine(event)) => ledger.record(event),
                Ok(Report::Watermark(until)) => {
                    if was_set_back(self.watermark, until) {
                        // What came before lies in what is the future again, and would wait for it.
                        self.events.iter_mut().for_each(|(at, _)| *at = until.min(*at));
                    }
                    self.watermark = until;
                }
                Ok(Report::Resolved(address, at)) => Arc::make_mut(resolved).insert(address, at),
                Ok(Report::ResolvedUntil(until)) => self.resolved_until = until,
                Err(_) if is_over => {
                    // Others need not wait for one that is gone, however it ended.
                    (self.watermark, self.resolved_until) = (END, END);
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kaspector::matching::{EventKind, LEDGER_FLOWS_MAX as FLOWS_MAX};
    use kaspector_live::RingOptions;
    use kaspector_report::samples;
    use rtrb::{Producer, RingBuffer};

    const SECOND: u64 = 1_000_000_000;

    fn merger<const N: usize>() -> ([Producer<Report>; N], EventMerger) {
        let mut queues = Vec::new();
        let producers = std::array::from_fn(|_| {
            let (producer, queue) = RingBuffer::new(1 << 10);
            queues.push(queue);
            producer
        });
        (
            producers,
            EventMerger::new(0, &Arc::new(SignatureSet::builtin()), &Arc::new(RingOptions::default().choice()), queues),
        )
    }

    /// Evidence in packet number `packet`, of the flow that it opened.
    fn evidence(sample: &Alert, packet: u64, at: Timestamp) -> Report {
        let mut alert = sample.clone();
        (alert.at, alert.packet) = (at, packet);
        alert.flow.first_packet = packet;
        Report::Event(Event { packet, at, kind: EventKind::Evidence(Box::new(alert)) })
    }

    fn say(producer: &mut Producer<Report>, reports: impl IntoIterator<Item = Report>) {
        reports.into_iter().for_each(|report| producer.push(report).unwrap());
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_back() {
        let ([mut one, mut other], mut merger) = merger();
        let at = |seconds: u64| Timestamp(seconds * SECOND);
        say(&mut one, [evidence(&samples::tls(), 1, at(3600)), Report::Watermark(at(3600))]);
        say(&mut other, [Report::Watermark(at(10))]);
        assert!(merger.look().is_empty(), "the other may have something from before");
        say(&mut one, [evidence(&samples::tls(), 2, at(11)), Report::Watermark(at(11))]);
        say(&mut other, [Report::Watermark(at(11))]);
        let order: Vec<u64> = merger.look().iter().map(|alert| alert.packet).collect();
        assert_eq!(order, [1, 2]);
    }

    #[test]
    fn ends_that_were_lost_do_not_silence_the_sensor() {
        let ([mut worker], mut merger) = merger();
        let most = FLOWS_MAX as u64 + 1000;
        let (sample, mut raised) = (samples::tls(), 0);
        for packet in 0..most {
            say(&mut worker, [evidence(&sample, packet, Timestamp(packet)), Report::Watermark(Timestamp(packet))]);
            if packet % 256 == 255 || packet == most - 1 {
                raised += merger.look().len() as u64;
            }
        }
        assert_eq!(raised, most);
        assert_eq!(merger.dropped().get("pending_flows"), Some(&(FLOWS_MAX as u64 / 4)));
    }
}
