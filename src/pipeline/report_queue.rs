//! Events of a live thread on their way to the ledger, which another thread keeps.
//!
//! A thread that has its interface to itself knows every answer that a client was given, and drops at once what matters to nobody.
//! Threads that share an interface do not: an answer may be with one and the connection that follows it with another. Each then closes
//! rounds: it tells the addresses of a round, waits until it has heard those of all others up to the same time, and only then drops what
//! matters to nobody, as [`RoundEvents`] does offline.

use super::{EventSink, Lanes, Opening, RoundEvents};
use crate::capture::Timestamp;
use crate::flow::FlowKey;
use crate::matching::{Event, EventKind, ResolvedAddresses, SeenAs};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Reports that wait while nobody takes them; events beyond are lost, and counted.
pub const WAITING_MAX: usize = 1 << 16;

/// So many sightings of machines wait, and as many statements about them: beside the events, so that no flood of invented ones takes the place
/// of what is asked for.
pub const MACHINES_WAITING_MAX: usize = 1 << 12;

/// Events of the open round, above which the closed one is settled by what is known: a thread that hangs costs what it alone knew, not
/// the sensor's memory.
const OPEN_MAX: usize = 1 << 18;
/// A step back by more than this is a clock that was set. Less is the difference between the time of a packet and the time when none came.
const SET_BACK_NS: u64 = 1_000_000_000;
/// Time after all that is ever reported.
pub const END: Timestamp = Timestamp(u64::MAX);

/// Whether the clock was set back between these two times.
#[must_use]
pub const fn was_set_back(before: Timestamp, now: Timestamp) -> bool {
    now.0.saturating_add(SET_BACK_NS) < before.0
}

/// What a thread says to the one that keeps the ledger.
#[derive(Debug)]
pub enum Report {
    /// Something for the ledger.
    Event(Event),
    /// Everything until then has been reported.
    Watermark(Timestamp),
    /// A client got this address from DNS, then.
    Resolved(IpAddr, Timestamp),
    /// Every address that a client got until then has been reported.
    ResolvedUntil(Timestamp),
    /// A machine that was seen, or what was said of one; for the ledger, and not in the order of time.
    Machine(Event),
}

/// A round that is over: its events wait until it is known what clients got from DNS elsewhere.
#[derive(Debug)]
struct Closed {
    events: RoundEvents,
    until: Timestamp,
}

/// Takes the events of a thread's lanes, and gives reports.
#[derive(Debug)]
pub struct ReportQueue {
    /// What clients got from DNS, for a thread that knows it all.
    resolved: Option<ResolvedAddresses>,
    open: RoundEvents,
    closed: Option<Closed>,
    /// A round that was settled: its memory serves the next.
    spare: RoundEvents,
    /// First packet of the oldest round that was not sifted yet.
    undecided_from: u64,
    /// First packet of the open round.
    open_from: u64,
    reports: VecDeque<Report>,
    machines: VecDeque<Event>,
    /// Of these, sightings.
    sightings: usize,
    /// Whether whoever puts in waits for room, so that nothing is lost.
    is_unbounded: bool,
    lost: u64,
    machines_lost: u64,
    forced: u64,
    /// Packets that somebody may want to keep, each with its flow.
    noted: Option<Vec<(u64, FlowKey)>>,
}

impl ReportQueue {
    /// For a thread that has its interface to itself.
    #[must_use]
    pub fn alone() -> Self {
        Self { resolved: Some(ResolvedAddresses::default()), ..Self::among_others() }
    }

    /// For a thread that shares its interface.
    #[must_use]
    pub fn among_others() -> Self {
        Self {
            resolved: None,
            open: RoundEvents::default(),
            closed: None,
            spare: RoundEvents::default(),
            undecided_from: 0,
            open_from: 0,
            reports: VecDeque::new(),
            machines: VecDeque::new(),
            sightings: 0,
            is_unbounded: false,
            lost: 0,
            machines_lost: 0,
            forced: 0,
            noted: None,
        }
    }

    /// Says that everything until `until` has been taken, the packet before number `next_packet` last.
    pub fn pass(&mut self, until: Timestamp, next_packet: u64) {
        if self.resolved.is_some() {
            self.mark(Report::Watermark(until));
            return;
        }
        if let Some(closed) = &mut self.closed {
            // Others would come so far only when the clock has caught up.
            if was_set_back(closed.until, until) {
                closed.until = until;
            }
            return;
        }
        let mut events = std::mem::replace(&mut self.open, std::mem::take(&mut self.spare));
        for (address, at) in events.drain_resolved() {
            self.reports.push_back(Report::Resolved(address, at));
        }
        self.closed = Some(Closed { events, until });
        self.open_from = next_packet;
        self.mark(Report::ResolvedUntil(until));
    }

    /// Reports the closed round, if `resolved` holds what clients got from DNS until its end: all of that until `resolved_until`; or if so much
    /// has come since that it cannot wait.
    pub fn settle(&mut self, resolved: &ResolvedAddresses, resolved_until: Timestamp, lanes: &mut Lanes) {
        let cannot_wait = self.open.len() >= OPEN_MAX;
        let Some(Closed { mut events, until }) =
            self.closed.take_if(|closed| closed.until <= resolved_until || cannot_wait)
        else {
            return;
        };
        self.forced += u64::from(until > resolved_until);
        lanes.sift(&mut events, resolved);
        // Flows of this round may have ended in the next, when nobody knew that they matter.
        self.open.remember_too(&events);
        for event in events.drain() {
            let _ = self.put(event);
        }
        self.undecided_from = self.open_from;
        events.begin(0);
        self.spare = events;
        // The ends of all flows come after the last round.
        if until != END {
            self.mark(Report::Watermark(until));
        }
    }

    /// Whether a round waits to be settled.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.closed.is_some()
    }

    /// From now on nothing needs to be waited for: every flow that matters is remembered, and no other will open.
    pub fn decide_at_once(&mut self) {
        self.resolved = Some(ResolvedAddresses::default());
    }

    /// From now on nothing is lost, because nothing comes any more that would have to wait: whoever puts in waits until
    /// [it is not crowded](Self::is_crowded). Or, after that, no longer.
    pub fn take_all(&mut self, takes_all: bool) {
        self.is_unbounded = takes_all;
    }

    /// Whether so many reports wait that no more should be put in, where there is time.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.reports.len() >= WAITING_MAX / 4 || self.machines.len() >= MACHINES_WAITING_MAX
    }

    /// The report that has waited longest.
    pub fn pop(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// What has waited longest of machines: for when no report waits.
    pub fn pop_machine(&mut self) -> Option<Report> {
        let event = self.machines.pop_front()?;
        self.sightings -= usize::from(matches!(event.kind, EventKind::Sighted(_)));
        Some(Report::Machine(event))
    }

    /// From now on notes the packets that somebody may want to keep.
    #[must_use]
    pub fn noting_packets(mut self) -> Self {
        self.noted = Some(Vec::new());
        self
    }

    /// Takes the packets that were noted since the last call, each with its flow: the first of each flow, and those that show evidence.
    pub fn take_noted(&mut self) -> impl Iterator<Item = (u64, FlowKey)> + '_ {
        self.noted.iter_mut().flat_map(|noted| noted.drain(..))
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty() && self.machines.is_empty()
    }

    /// Puts a report back that nobody had room for.
    pub fn put_back(&mut self, report: Report) {
        self.reports.push_front(report);
    }

    /// Events that were lost because too many waited.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Sightings of machines, and what was said of them, that were lost because too many waited.
    #[must_use]
    pub const fn machines_lost(&self) -> u64 {
        self.machines_lost
    }

    /// Rounds that were settled before it was known what clients got from DNS elsewhere.
    #[must_use]
    pub const fn forced(&self) -> u64 {
        self.forced
    }

    /// Whether there was room for it. A flood of flows that may matter leaves room for evidence, which says that one does, and a flood of
    /// lookups for contacts.
    fn put(&mut self, event: Event) -> bool {
        let most = match event.kind {
            EventKind::Opened(_) => WAITING_MAX / 2,
            EventKind::Ended(_) => WAITING_MAX / 4 * 3,
            EventKind::Evidence(ref alert) if alert.seen_as == SeenAs::Contact => WAITING_MAX,
            EventKind::Evidence(_) | EventKind::Answered(_) | EventKind::ResolvedOther(_) => WAITING_MAX / 8 * 7,
            _ => WAITING_MAX,
        };
        let has_room = self.is_unbounded || self.reports.len() < most;
        if has_room {
            self.reports.push_back(Report::Event(event));
        } else {
            self.lost += 1;
        }
        has_room
    }

    /// Takes what is of a machine, if there is room for it.
    fn put_machine(&mut self, event: Event) {
        let is_sighting = matches!(event.kind, EventKind::Sighted(_));
        let alike = if is_sighting { self.sightings } else { self.machines.len() - self.sightings };
        if self.is_unbounded || alike < MACHINES_WAITING_MAX {
            self.sightings += usize::from(is_sighting);
            self.machines.push_back(event);
        } else {
            self.machines_lost += 1;
        }
    }

    /// Adds a mark. One that directly follows another of its kind takes its place.
    fn mark(&mut self, mark: Report) {
        match (self.reports.back_mut(), &mark) {
            (Some(last @ Report::Watermark(_)), Report::Watermark(_))
            | (Some(last @ Report::ResolvedUntil(_)), Report::ResolvedUntil(_)) => *last = mark,
            _ => self.reports.push_back(mark),
        }
    }
}

impl EventSink for ReportQueue {
    fn looked_into(&mut self, packet: u64, flow: &FlowKey) {
        if let Some(noted) = &mut self.noted {
            noted.push((packet, *flow));
        }
    }

    fn event(&mut self, event: Event) {
        if let (Some(noted), EventKind::Evidence(alert)) = (&mut self.noted, &event.kind)
            && noted.last().is_none_or(|&(packet, _)| packet != event.packet)
        {
            noted.push((event.packet, alert.flow.key()));
        }
        if matches!(event.kind, EventKind::Sighted(_) | EventKind::Identified(_)) {
            return self.put_machine(event);
        }
        let Some(resolved) = &mut self.resolved else { return self.open.event(event) };
        if let EventKind::Resolved(answer) = &event.kind {
            answer.addresses.iter().for_each(|&(address, _)| resolved.insert(address, event.at));
        }
        let _ = self.put(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        let Some(resolved) = &self.resolved else { return self.open.opened(opening) };
        let ends = &opening.segment.five_tuple;
        let matters = opening.of_interest || resolved.may_contain(ends.src) || resolved.may_contain(ends.dst);
        matters && self.put(opening.event())
    }

    fn is_undecided(&self, first_packet: u64) -> bool {
        self.resolved.is_none() && first_packet >= self.undecided_from
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::Zone;
    use crate::inspect::IdentitySource;
    use crate::matching::{
        Alert, Application, ConnectionOutcome, Ended, Field, FlowCounts, FlowSummary, Holder, HostKey, Identified,
        IndicatorIndex, LabelKind, ResolvedOther, Sighting, SignatureSet, Stated,
    };
    use crate::pipeline::Numbering;
    use std::sync::Arc;

    const SECOND: u64 = 1_000_000_000;

    fn lanes() -> Lanes {
        Lanes::new(&Arc::new(SignatureSet::default()), 0, 1, Numbering::ALONE)
    }

    fn answer(packet: u64) -> Event {
        let client = HostKey { address: [10, 0, 0, 1].into(), zone: Zone::default() };
        let other = ResolvedOther { client, name: packet, address: [192, 0, 2, 1].into() };
        Event { packet, at: Timestamp(packet), kind: EventKind::ResolvedOther(other) }
    }

    /// The address of [`answer`], which somebody got for a name of ours.
    fn resolved() -> ResolvedAddresses {
        let mut resolved = ResolvedAddresses::default();
        resolved.insert([192, 0, 2, 1].into(), Timestamp(0));
        resolved
    }

    fn end(flow: u64) -> Event {
        let ended = Ended {
            flow,
            opener_is_client: true,
            named: false,
            matters: true,
            opening_seen: true,
            connection_outcome: ConnectionOutcome::default(),
            counts: FlowCounts::default(),
        };
        Event { packet: flow, at: Timestamp(flow), kind: EventKind::Ended(ended) }
    }

    fn events(report_queue: &mut ReportQueue) -> usize {
        std::iter::from_fn(|| report_queue.pop()).filter(|report| matches!(report, Report::Event(_))).count()
    }

    #[test]
    fn a_round_does_not_wait_for_a_clock_that_was_set_back() {
        let (mut report_queue, mut lanes, resolved) = (ReportQueue::among_others(), lanes(), resolved());
        report_queue.event(answer(1));
        report_queue.pass(Timestamp(3600 * SECOND), 2);
        report_queue.settle(&resolved, Timestamp(10 * SECOND), &mut lanes);
        assert!(report_queue.is_waiting());
        report_queue.pass(Timestamp(11 * SECOND), 2);
        report_queue.settle(&resolved, Timestamp(10 * SECOND), &mut lanes);
        assert!(report_queue.is_waiting(), "the others have not come so far");
        report_queue.settle(&resolved, Timestamp(11 * SECOND), &mut lanes);
        assert_eq!((report_queue.is_waiting(), events(&mut report_queue), report_queue.forced()), (false, 1, 0));
    }

    #[test]
    fn a_round_waits_only_until_too_much_has_come() {
        let (mut report_queue, mut lanes, resolved) = (ReportQueue::among_others(), lanes(), resolved());
        report_queue.event(answer(1));
        report_queue.pass(Timestamp(SECOND), 2);
        (0..OPEN_MAX as u64 - 1).for_each(|number| report_queue.event(answer(2 + number)));
        report_queue.settle(&resolved, Timestamp(0), &mut lanes);
        assert!(report_queue.is_waiting());
        report_queue.event(answer(0));
        report_queue.settle(&resolved, Timestamp(0), &mut lanes);
        assert_eq!((report_queue.is_waiting(), events(&mut report_queue), report_queue.forced()), (false, 1, 1));
    }

    #[test]
    fn a_flood_of_flows_leaves_room_for_evidence() {
        let mut report_queue = ReportQueue::alone();
        (0..WAITING_MAX as u64).for_each(|flow| report_queue.event(end(flow)));
        assert_eq!(report_queue.lost(), WAITING_MAX as u64 / 4);
        (0..1000).for_each(|packet| report_queue.event(answer(packet)));
        assert_eq!(report_queue.lost(), WAITING_MAX as u64 / 4);
        assert_eq!(events(&mut report_queue), WAITING_MAX / 4 * 3 + 1000);
    }

    #[test]
    fn a_flood_of_machines_takes_the_room_of_nothing_else() {
        let mut report_queue = ReportQueue::alone();
        let sighting = Sighting::of([10, 0, 0, 1].into(), Zone::default(), None, Timestamp(1)).unwrap();
        let put =
            |report_queue: &mut ReportQueue, kind| report_queue.event(Event { packet: 1, at: Timestamp(1), kind });
        (0..WAITING_MAX).for_each(|_| put(&mut report_queue, EventKind::Sighted(sighting)));
        let most = MACHINES_WAITING_MAX as u64;
        assert_eq!((report_queue.lost(), report_queue.machines_lost()), (0, WAITING_MAX as u64 - most));
        let said = Identified {
            holder: Holder::Address(sighting.host),
            source: IdentitySource::Mdns,
            stated: Stated::Label(LabelKind::Name, "desk-7".into()),
        };
        put(&mut report_queue, EventKind::Identified(Box::new(said)));
        assert_eq!(report_queue.machines_lost(), WAITING_MAX as u64 - most, "what is said has room of its own");
        (0..WAITING_MAX as u64).for_each(|packet| report_queue.event(answer(packet)));
        assert_eq!(report_queue.lost(), WAITING_MAX as u64 / 8, "as without them");
        assert_eq!(events(&mut report_queue), WAITING_MAX / 8 * 7);
        let machines: Vec<Report> = std::iter::from_fn(|| report_queue.pop_machine()).collect();
        assert_eq!(machines.len() as u64, most + 1);
        assert!(matches!(machines.last(), Some(Report::Machine(Event { kind: EventKind::Identified(_), .. }))));
    }

    #[test]
    fn a_flood_of_lookups_leaves_room_for_contacts() {
        let flow = FlowSummary {
            first_packet: 1,
            started: Timestamp(1),
            client: [10, 0, 0, 1].into(),
            client_port: 49152,
            server: [203, 0, 113, 10].into(),
            server_port: 443,
            protocol: 6,
            zone: Zone::default(),
            client_mac: None,
            client_hop_limit: None,
            server_mac: None,
            tunnel: None,
            counts: FlowCounts::default(),
            connection_outcome: ConnectionOutcome::Established,
        };
        let evidence = |seen_as| {
            let alert = Alert {
                at: Timestamp(1),
                packet: 1,
                indicator: IndicatorIndex(0),
                seen_as,
                connection_outcome: ConnectionOutcome::Established,
                field: Field::TlsSni,
                observed: "update.example".into(),
                host_is_server: false,
                on_behalf: false,
                asks_server: false,
                flow,
                application: Application::Unknown,
            };
            Event { packet: 1, at: Timestamp(1), kind: EventKind::Evidence(Box::new(alert)) }
        };
        let mut report_queue = ReportQueue::alone();
        (0..WAITING_MAX).for_each(|_| report_queue.event(evidence(SeenAs::Lookup)));
        assert_eq!(report_queue.lost(), WAITING_MAX as u64 / 8);
        (0..1000).for_each(|_| report_queue.event(evidence(SeenAs::Contact)));
        assert_eq!(report_queue.lost(), WAITING_MAX as u64 / 8);
    }
}
