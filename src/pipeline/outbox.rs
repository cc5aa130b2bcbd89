//! Events of a live thread on their way to the ledger, which another thread keeps.
//!
//! A thread that has its interface to itself knows every answer that a client was given, and drops at once what matters to nobody.
//! Threads that share an interface do not: an answer may be with one and the connection that follows it with another. Each then closes
//! rounds: it tells the addresses of a round, waits until it has heard those of all others up to the same time, and only then drops what
//! matters to nobody, as [`RoundEvents`] does offline.

use super::{Lanes, Opening, Outlet, RoundEvents};
use crate::capture::Timestamp;
use crate::matching::{Event, EventKind, ToldAddresses};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Reports that wait while nobody takes them; events beyond are lost, and counted.
pub const WAITING_MAX: usize = 1 << 16;

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
    lost: u64,
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
            lost: 0,
        }
    }

    /// Says that everything until `until` has been taken, the packet before number `next_packet` last.
    pub fn pass(&mut self, until: Timestamp, next_packet: u64) {
        if self.told.is_some() {
            self.mark(Report::Through(until));
            return;
        }
        if self.closed.is_some() {
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

    /// Reports the closed round, if `told` holds what clients were told until its end: all of that until `told_until`.
    pub fn settle(&mut self, told: &ToldAddresses, told_until: Timestamp, lanes: &mut Lanes) {
        let Some(Closed { mut events, until }) = self.closed.take_if(|closed| closed.until <= told_until) else {
            return;
        };
        events.sift(told, |opened, packet| lanes.remember(opened, packet));
        // Flows of this round may have ended in the next, when nobody knew that they matter.
        self.open.remember_too(&events);
        for event in events.drain() {
            self.put(event);
        }
        self.undecided_from = self.open_from;
        events.begin(0);
        self.spare = events;
        self.mark(Report::Through(until));
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

    fn put(&mut self, event: Event) {
        if self.reports.len() < WAITING_MAX {
            self.reports.push_back(Report::Event(event));
        } else {
            self.lost += 1;
        }
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
        self.put(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        let Some(told) = &self.told else { return self.open.opened(opening) };
        let ends = &opening.segment.five_tuple;
        let matters = opening.of_interest || told.may_contain(ends.src) || told.may_contain(ends.dst);
        if matters {
            self.put(opening.event());
        }
        matters
    }

    fn is_undecided(&self, first_packet: u64) -> bool {
        self.told.is_none() && first_packet >= self.undecided_from
    }
}
