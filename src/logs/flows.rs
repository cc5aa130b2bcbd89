//! What is remembered of each flow between its records, within a bound.

use foldhash::fast::FixedState;
use kaspector::capture::Timestamp;
use kaspector::inspect::DnsMessage;
use kaspector::inspect::ftp::ClientStream;
use kaspector::matching::{ConnectionOutcome, Opened, ProtocolEvidence};
use std::collections::HashMap;

/// Flows that are followed. Then those that had no record for longest are given up, half of them at once.
pub const FLOWS_MAX: usize = 1 << 17;
/// Queries of one flow that wait for their answers.
pub(crate) const QUERIES_MAX: usize = 16;
/// Facts of one flow that are remembered, because an alert and a record may both tell them.
const FACTS_MAX: usize = 16;
/// What a flow to a port of interest says of itself.
const PROTOCOL_EVIDENCE_MAX: usize = 8;

/// A flow between its records.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Stands for ends and tenant: an engine that begins anew may give the same number to another flow.
    pub ends: u64,
    /// Number of its first record, and the time that it began at, as far as is known.
    pub first_line: u64,
    pub started: Timestamp,
    pub connection_outcome: ConnectionOutcome,
    /// The ledger was told of its beginning, and waits for its end.
    pub is_remembered: bool,
    /// It gave evidence.
    pub has_matched: bool,
    /// It said whom it is for.
    pub is_named: bool,
    /// Its server was asked to carry it to another.
    pub is_proxied: bool,
    /// A query of it was logged, and not only the answer.
    pub was_asked: bool,
    pub more: Option<Box<More>>,
}

/// What few flows have.
#[derive(Debug, Default)]
pub(crate) struct More {
    /// A flow to a port of interest: its beginning, which is told when it is over, and what it said.
    pub opened: Option<Opened>,
    pub protocol: Vec<ProtocolEvidence>,
    pub queries: Vec<WaitingQuery>,
    facts: Vec<(u64, Source)>,
    pub ftp: Option<ClientStream>,
}

/// A query with a name that matches. Only its answer says whether it came from a client or from a resolver on its way.
#[derive(Debug)]
pub(crate) struct WaitingQuery {
    pub line: u64,
    pub at: Timestamp,
    pub message: DnsMessage,
    pub place: kaspector::matching::FlowSummary,
}

/// Which kind of record told a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Transaction,
    Alert,
}

impl Flow {
    pub fn new(ends: u64, first_line: u64, started: Timestamp) -> Self {
        Self {
            ends,
            first_line,
            started,
            connection_outcome: ConnectionOutcome::Attempted,
            is_remembered: false,
            has_matched: false,
            is_named: false,
            is_proxied: false,
            was_asked: false,
            more: None,
        }
    }

    pub fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Whether somebody waits for its end.
    pub fn has_more_to_say(&self) -> bool {
        self.is_remembered
            || self.has_matched
            || self.more.as_ref().is_some_and(|more| more.opened.is_some() || !more.queries.is_empty())
    }

    /// Whether records of it that are still to come mean more because of what it said.
    pub fn is_worth_keeping(&self) -> bool {
        self.has_more_to_say() || self.is_proxied || self.more.as_ref().is_some_and(|more| more.ftp.is_some())
    }

    /// Takes note that it came so far.
    pub fn reach(&mut self, outcome: ConnectionOutcome) {
        self.connection_outcome = self.connection_outcome.max(outcome);
    }

    /// Whether the other kind of record told this fact already. It is then told once more for each of them, and no oftener.
    pub fn take_known(&mut self, fact: u64, source: Source) -> bool {
        let Some(more) = &mut self.more else { return false };
        let at = more.facts.iter().position(|&(known, by)| known == fact && by != source);
        at.map(|at| more.facts.swap_remove(at)).is_some()
    }

    /// Remembers a fact that matched.
    pub fn remember(&mut self, fact: u64, source: Source) {
        let facts = &mut self.more().facts;
        if facts.len() >= FACTS_MAX {
            facts.remove(0);
        }
        facts.push((fact, source));
    }
}

impl More {
    pub fn say(&mut self, evidence: ProtocolEvidence) {
        if self.protocol.len() < PROTOCOL_EVIDENCE_MAX {
            self.protocol.push(evidence);
        }
    }
}

/// Flows by the engine's number: those with a record lately, and those of before.
#[derive(Debug)]
pub(crate) struct Flows {
    recent: HashMap<u64, Flow, FixedState>,
    earlier: HashMap<u64, Flow, FixedState>,
    most: usize,
}

impl Default for Flows {
    fn default() -> Self {
        Self::with_limit(FLOWS_MAX)
    }
}

impl Flows {
    pub fn with_limit(most: usize) -> Self {
        Self { recent: HashMap::default(), earlier: HashMap::default(), most: most.max(2) }
    }

    /// The numbers of all, in no order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.recent.keys().chain(self.earlier.keys()).copied()
    }

    /// Takes a flow out, to be put back with [`Self::put`] unless it is over.
    pub fn take(&mut self, number: u64) -> Option<Flow> {
        self.recent
            .remove(&number)
            .or_else(|| if self.earlier.is_empty() { None } else { self.earlier.remove(&number) })
    }

    /// Puts a flow in. Gives those that had to go for it, in the order in which they began.
    pub fn put(&mut self, number: u64, flow: Flow) -> Vec<(u64, Flow)> {
        let mut given_up = Vec::new();
        if self.recent.len() >= self.most / 2 {
            given_up = sorted(std::mem::take(&mut self.earlier));
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.insert(number, flow);
        given_up
    }

    /// Takes all, in the order in which they began.
    pub fn drain(&mut self) -> Vec<(u64, Flow)> {
        let mut all = std::mem::take(&mut self.earlier);
        all.extend(self.recent.drain());
        sorted(all)
    }
}

fn sorted(flows: HashMap<u64, Flow, FixedState>) -> Vec<(u64, Flow)> {
    let mut flows: Vec<_> = flows.into_iter().filter(|(_, flow)| flow.has_more_to_say()).collect();
    flows.sort_unstable_by_key(|(_, flow)| flow.first_line);
    flows
}
