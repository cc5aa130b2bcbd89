//! Events of a live thread on their way to the ledger, which another thread keeps.
//!
//! A thread that has its interface to itself knows every answer that a client was given, and drops at once what matters to nobody.
//! Threads that share an interface do not: an answer may be with one and the connection that follows it with another. Each then closes
//! rounds: it tells the addresses of a round, waits until it has heard those of all others up to the same time, and only then drops what
//! matters to nobody, as [`RoundEvents`] does offline.

use super::{Lanes, Opening, Outlet, RoundEvents};
use crate::capture::Timestamp;
use crate::matching::{Event, EventKind, SeenAs, ToldAddresses};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Reports that wait while nobody takes them; events beyond are lost, and counted.
pub const WAITING_MAX: usize = 1 << 16;

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
    Through(Timestamp),
    /// A client was told this address, then.
    Told(IpAddr, Timestamp),
    /// Every address that was told until then has been reported.
    ToldUntil(Timestamp),
}

/// A round that is over: its events wait until it is known what clients were told elsewhere.
#[derive(Debug)]
struct Closed {
    events: RoundEvents,
    until: Timestamp,
}

/// Takes the events of a thread's lanes, and gives reports.
#[derive(Debug)]
pub struct Outbox {
    /// What clients were told, for a thread that knows it all.
    told: Option<ToldAddresses>,
    open: RoundEvents,
    closed: Option<Closed>,
    /// A round that was settled: its memory serves the next.
    spare: RoundEvents,
    /// First packet of the oldest round that was not sifted yet.
    undecided_from: u64,
    /// First packet of the open round.
    open_from: u64,
    reports: VecDeque<Report>,
    /// Whether whoever puts in waits for room, so that nothing is lost.
    is_unhurried: bool,
    lost: u64,
    hurried: u64,
}

impl Outbox {
    /// For a thread that has its interface to itself.
    #[must_use]
    pub fn alone() -> Self {
        Self { told: Some(ToldAddresses::default()), ..Self::among_others() }
    }

    /// For a thread that shares its interface.
    #[must_use]
    pub fn among_others() -> Self {
        Self {
            told: None,
            open: RoundEvents::default(),
            closed: None,
            spare: RoundEvents::default(),
            undecided_from: 0,
            open_from: 0,
            reports: VecDeque::new(),
            is_unhurried: false,
            lost: 0,
            hurried: 0,
        }
    }

    /// Says that everything until `until` has been taken, the packet before number `next_packet` last.
    pub fn pass(&mut self, until: Timestamp, next_packet: u64) {
        if self.told.is_some() {
            self.mark(Report::Through(until));
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
        for (address, at) in events.drain_told() {
            self.reports.push_back(Report::Told(address, at));
        }
        self.closed = Some(Closed { events, until });
        self.open_from = next_packet;
        self.mark(Report::ToldUntil(until));
    }

    /// Reports the closed round, if `told` holds what clients were told until its end: all of that until `told_until`; or if so much
    /// has come since that it cannot wait.
    pub fn settle(&mut self, told: &ToldAddresses, told_until: Timestamp, lanes: &mut Lanes) {
        let cannot_wait = self.open.len() >= OPEN_MAX;
        let Some(Closed { mut events, until }) =
            self.closed.take_if(|closed| closed.until <= told_until || cannot_wait)
        else {
            return;
        };
        self.hurried += u64::from(until > told_until);
        events.sift(told, |opened, packet| lanes.remember(opened, packet));
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
            self.mark(Report::Through(until));
        }
    }

    /// Whether a round waits to be settled.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.closed.is_some()
    }

    /// From now on nothing needs to be waited for: every flow that matters is remembered, and no other will open.
    pub fn decide_at_once(&mut self) {
        self.told = Some(ToldAddresses::default());
    }

    /// From now on nothing is lost, because nothing comes any more that would have to wait: whoever puts in waits until
    /// [it is not crowded](Self::is_crowded). Or, after that, no longer.
    pub fn take_all(&mut self, takes_all: bool) {
        self.is_unhurried = takes_all;
    }

    /// Whether so many reports wait that no more should be put in, where there is time.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.reports.len() >= WAITING_MAX / 4
    }

    /// The report that has waited longest.
    pub fn pop(&mut self) -> Option<Report> {
        self.reports.pop_front()
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

    /// Rounds that were settled before it was known what clients were told elsewhere.
    #[must_use]
    pub const fn hurried(&self) -> u64 {
        self.hurried
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
        let has_room = self.is_unhurried || self.reports.len() < most;
        if has_room {
            self.reports.push_back(Report::Event(event));
        } else {
            self.lost += 1;
        }
        has_room
    }

    /// Adds a mark. One that directly follows another of its kind takes its place.
    fn mark(&mut self, mark: Report) {
        match (self.reports.back_mut(), &mark) {
            (Some(last @ Report::Through(_)), Report::Through(_))
            | (Some(last @ Report::ToldUntil(_)), Report::ToldUntil(_)) => *last = mark,
            _ => self.reports.push_back(mark),
        }
    }
}

impl Outlet for Outbox {
    fn event(&mut self, event: Event) {
        let Some(told) = &mut self.told else { return self.open.event(event) };
        if let EventKind::Resolved(resolved) = &event.kind {
            resolved.addresses.iter().for_each(|&(address, _)| told.insert(address, event.at));
        }
        let _ = self.put(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        let Some(told) = &self.told else { return self.open.opened(opening) };
        let ends = &opening.segment.five_tuple;
        let matters = opening.of_interest || told.may_contain(ends.src) || told.may_contain(ends.dst);
        matters && self.put(opening.event())
    }

    fn is_undecided(&self, first_packet: u64) -> bool {
        self.told.is_none() && first_packet >= self.undecided_from
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decode::Zone;
    use crate::matching::{
        Alert, Application, Ended, Field, FlowCounts, FlowSummary, HostKey, IndicatorIndex, Reached, ResolvedOther,
        SignatureSet,
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

    fn end(flow: u64) -> Event {
        let ended = Ended {
            flow,
            opener_is_client: true,
            named: false,
            matters: true,
            opening_seen: true,
            reached: Reached::default(),
            counts: FlowCounts::default(),
        };
        Event { packet: flow, at: Timestamp(flow), kind: EventKind::Ended(ended) }
    }

    fn events(outbox: &mut Outbox) -> usize {
        std::iter::from_fn(|| outbox.pop()).filter(|report| matches!(report, Report::Event(_))).count()
    }

    #[test]
    fn a_round_does_not_wait_for_a_clock_that_was_set_back() {
        let (mut outbox, mut lanes, told) = (Outbox::among_others(), lanes(), ToldAddresses::default());
        outbox.event(answer(1));
        outbox.pass(Timestamp(3600 * SECOND), 2);
        outbox.settle(&told, Timestamp(10 * SECOND), &mut lanes);
        assert!(outbox.is_waiting());
        outbox.pass(Timestamp(11 * SECOND), 2);
        outbox.settle(&told, Timestamp(10 * SECOND), &mut lanes);
        assert!(outbox.is_waiting(), "the others have not come so far");
        outbox.settle(&told, Timestamp(11 * SECOND), &mut lanes);
        assert_eq!((outbox.is_waiting(), events(&mut outbox), outbox.hurried()), (false, 1, 0));
    }

    #[test]
    fn a_round_waits_only_until_too_much_has_come() {
        let (mut outbox, mut lanes, told) = (Outbox::among_others(), lanes(), ToldAddresses::default());
        outbox.event(answer(1));
        outbox.pass(Timestamp(SECOND), 2);
        (0..OPEN_MAX as u64 - 1).for_each(|number| outbox.event(answer(2 + number)));
        outbox.settle(&told, Timestamp(0), &mut lanes);
        assert!(outbox.is_waiting());
        outbox.event(answer(0));
        outbox.settle(&told, Timestamp(0), &mut lanes);
        assert_eq!((outbox.is_waiting(), events(&mut outbox), outbox.hurried()), (false, 1, 1));
    }

    #[test]
    fn a_flood_of_flows_leaves_room_for_evidence() {
        let mut outbox = Outbox::alone();
        (0..WAITING_MAX as u64).for_each(|flow| outbox.event(end(flow)));
        assert_eq!(outbox.lost(), WAITING_MAX as u64 / 4);
        (0..1000).for_each(|packet| outbox.event(answer(packet)));
        assert_eq!(outbox.lost(), WAITING_MAX as u64 / 4);
        assert_eq!(events(&mut outbox), WAITING_MAX / 4 * 3 + 1000);
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
            reached: Reached::Established,
        };
        let evidence = |seen_as| {
            let alert = Alert {
                at: Timestamp(1),
                packet: 1,
                indicator: IndicatorIndex(0),
                seen_as,
                reached: Reached::Established,
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
        let mut outbox = Outbox::alone();
        (0..WAITING_MAX).for_each(|_| outbox.event(evidence(SeenAs::Lookup)));
        assert_eq!(outbox.lost(), WAITING_MAX as u64 / 8);
        (0..1000).for_each(|_| outbox.event(evidence(SeenAs::Contact)));
        assert_eq!(outbox.lost(), WAITING_MAX as u64 / 8);
    }
}
