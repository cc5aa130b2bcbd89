//! Takes the records of logs to the matcher and the ledger.
//!
//! A record is an observation that somebody else made, so it goes the way that observations of packets go: the same matcher, the same
//! ledger. What a record does not say is not assumed:
//!
//! - A query of version 2 does not say whether recursion was desired. If its name matches it waits for its answer, which does; should none
//!   come, it counts as a client's.
//! - A certificate whose other names were not logged, as before Suricata 8, may be that of a content network: its common name alone is a hint.
//! - How far a connection came is known by the server's hello, a response, or the control bits of the flow record.
//! - Which end of an alert's packet is the client is said since Suricata 7; before that, alerts are left out.

mod origins;

use super::flows::{Flow, Flows, Source};
use super::format::{Context, LineParser};
use super::held::{HeldFlow, HeldFlows};
use super::observer::{self, Ends};
use super::record::Record;
use super::skim::{Key, Skim, Skimmer, What};
use super::watch::Watch;
use kaspector::capture::Timestamp;
use kaspector::decode::{FiveTuple, OutcomeCounters};
use kaspector::inspect::DnsMessage;
use kaspector::matching::{
    Alert, Ended, Event, EventKind, FlowCounts, FlowProtocol, Ledger, Opened, Position, SignatureSet,
};
use kaspector::pipeline::{Coverage, Findings};
use origins::Origins;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest line that is read, in bytes without its newline.
pub const LINE_MAX: usize = 64 << 10;
/// Alerts that wait to be taken.
const ALERTS_MAX: usize = 1 << 17;

/// Why a line could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is longer than [`LINE_MAX`].
    #[error("longer than {LINE_MAX} bytes")]
    Overlong,
    /// It is no JSON object as the format has it: a field that must be there is missing, or one that is read has another type.
    #[error("not a record of this format: {0}")]
    Json(Box<str>),
    /// It is no line as the format has it.
    #[error("not a line of this format: {0}")]
    Line(&'static str),
    /// It is no text in UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// It has no time, or none that can be read.
    #[error("no time")]
    Time,
    /// It has no addresses and ports, or none that can be read.
    #[error("no addresses")]
    Addresses,
}

/// What became of lines. Each is counted once.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogCounters {
    /// Lines, without empty ones.
    pub lines: u64,
    /// Records that were read.
    pub read: u64,
    /// Lines that tell of nothing that is looked at: headers, records of other types, or of other protocols than TCP and UDP.
    pub others: u64,
    /// Alerts that do not say which end is the client.
    pub undirected: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first of those: its number within its input, from 1, and why.
    pub first_malformed: Option<(u64, Malformed)>,
}

impl LogCounters {
    const NONE: Self = Self { lines: 0, read: 0, others: 0, undirected: 0, malformed: 0, first_malformed: None };
}

/// What the engine calls a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowName {
    /// Number of the line that first told of it.
    pub first_line: u64,
    /// The engine's number for it.
    pub flow_id: Option<u64>,
    /// Its Community ID, where the engine logs that.
    pub community_id: Option<Box<str>>,
}

/// An alert, and what the engine that wrote the log calls the flow.
#[derive(Clone, Debug)]
pub struct LoggedAlert {
    /// The alert. Its packet number is the number of the line.
    pub alert: Alert,
    /// The input with that line.
    pub input: u32,
    /// Its flow.
    pub flow: FlowName,
}

/// Reads the logs of one engine, a line at a time.
///
/// ```
/// use kaspector::matching::SignatureSet;
/// use kaspector_logs::{LineParser, LogReader};
/// use std::sync::Arc;
///
/// let signatures = Arc::new(SignatureSet::builtin());
/// let mut reader = LogReader::new(&signatures);
/// reader.line(
///     &mut LineParser::eve(),
///     br#"{"timestamp":"2026-11-24T03:39:09.282434+0000","flow_id":1,"event_type":"tls","src_ip":"10.20.0.5","src_port":55400,
///     "dest_ip":"198.51.100.10","dest_port":443,"proto":"TCP","tls":{"sni":"s07.upd.kaspersky.com","version":"TLS 1.3"}}"#,
/// );
/// assert_eq!(reader.take_alerts().len(), 1);
/// assert_eq!(reader.finish().host_findings(&signatures).len(), 1);
/// ```
#[derive(Debug)]
pub struct LogReader {
    pub(crate) signatures: Arc<SignatureSet>,
    pub(crate) ledger: Ledger,
    flows: Flows,
    held: HeldFlows,
    /// The latest time of a record.
    now: Timestamp,
    /// That of the line at hand.
    at: Option<Timestamp>,
    pub(crate) origins: Origins,
    context: Context,
    /// What lines may have in common with those that mattered.
    pub(crate) watch: Watch,
    /// Looks at single lines; made when there is one.
    skimmer: Option<Box<(Skimmer, Skim)>>,
    flows_seen: u64,
    /// Whether the line at hand told of a connection that no other line tells of.
    tells_of_one: bool,
    flows_given_up: u64,
    pub(crate) queries_hurried: u64,
    /// Flows that the line at hand may raise alerts of.
    names: Vec<FlowName>,
    alerts: Vec<LoggedAlert>,
    alerts_dropped: u64,
    /// Reused from record to record.
    pub(crate) message: DnsMessage,
    pub(crate) head: Vec<u8>,
}

/// A record as far as all kinds have the same.
pub(crate) struct Common<'a> {
    pub record: &'a Record<'a>,
    pub at: Timestamp,
    pub ends: Ends,
    pub counts: FlowCounts,
}

/// Lines that are passed over.
#[derive(Default)]
struct Passed {
    lines: u64,
    empty: u64,
    others: u64,
    /// Those that told that a connection is over.
    ended: u64,
}

impl Passed {
    fn count(&mut self, what: What) {
        self.lines += 1;
        self.empty += u64::from(what == What::Empty);
        self.others += u64::from(what == What::Other);
        self.ended += u64::from(matches!(what, What::PassedEnd | What::PassedTick));
    }
}

/// What a record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Was {
    Other,
    Undirected,
    Read,
}

impl LogReader {
    /// A reader that matches against `signatures`.
    #[must_use]
    pub fn new(signatures: &Arc<SignatureSet>) -> Self {
        Self::of_input(signatures, 0)
    }

    /// The same for the input with this index; evidence names it.
    #[must_use]
    pub fn of_input(signatures: &Arc<SignatureSet>, input: u32) -> Self {
        Self {
            signatures: Arc::clone(signatures),
            ledger: Ledger::new(signatures, input),
            origins: Origins::new(input),
            context: Context::new(signatures),
            watch: Watch::default(),
            skimmer: None,
            flows: Flows::default(),
            held: HeldFlows::default(),
            now: Timestamp(0),
            at: None,
            flows_seen: 0,
            tells_of_one: false,
            flows_given_up: 0,
            queries_hurried: 0,
            names: Vec::new(),
            alerts: Vec::new(),
            alerts_dropped: 0,
            message: DnsMessage::default(),
            head: Vec::new(),
        }
    }

    /// Says that the lines that follow are those of this input, from where it was left on.
    pub fn select_input(&mut self, input: u32) {
        self.origins.select(input);
    }

    /// Takes the next line, with or without its newline, and puts it in the words of its format unless nothing in it can matter. Gives the time
    /// of what it tells, if it tells of anything that is looked at.
    pub fn line(&mut self, parser: &mut LineParser, line: &[u8]) -> Option<Timestamp> {
        let line = line.trim_ascii_end();
        if line.contains(&b'\n') {
            return self.read_line(parser, line);
        }
        let mut looks =
            self.skimmer.take().unwrap_or_else(|| Box::new((Skimmer::new(parser, &self.signatures), Skim::default())));
        let (skimmer, skim) = &mut *looks;
        skimmer.follow(parser);
        // An empty line is one, too.
        skimmer.skim(if line.is_empty() { b"\n" } else { line }, skim);
        let mut at = skim.times().last().map(|(_, last)| last);
        self.lines(parser, line, skim, &mut 0, Timestamp(u64::MAX), &mut |time| at = Some(time));
        // Whoever waits for time to pass is told.
        self.release_held(at.unwrap_or_default());
        self.collect();
        self.skimmer = Some(looks);
        at
    }

    /// Takes the lines of a block that were looked at, from `next` on and as far as they were written by `until`; `next` is then the first that was
    /// not taken. Gives the times of those that had to be read; [`Skim::times`] has the others.
    pub fn lines(
        &mut self,
        parser: &mut LineParser,
        block: &[u8],
        skim: &Skim,
        next: &mut usize,
        until: Timestamp,
        take_time: &mut dyn FnMut(Timestamp),
    ) {
        let before = next.checked_sub(1).and_then(|before| skim.lines.get(before));
        let (mut from, mut keys_from) = before.map_or((0, 0), |seen| (seen.end as usize, seen.keys_end as usize));
        // Lines that are passed over are counted at once.
        let mut passed = Passed::default();
        while let Some(seen) = skim.lines.get(*next).filter(|seen| seen.written <= until) {
            *next += 1;
            let keys = skim.keys.get(keys_from..seen.keys_end as usize).unwrap_or_default();
            let text = from..seen.end as usize;
            (from, keys_from) = (seen.end as usize, seen.keys_end as usize);
            let is_read = match seen.what {
                What::Read => true,
                What::Passed | What::PassedEnd | What::PassedTick => keys.iter().any(|&key| self.watch.may_hold(key)),
                What::Other | What::Empty => false,
            };
            if !is_read {
                passed.count(seen.what);
                if seen.what == What::PassedTick
                    && let Some(at) = block.get(text).and_then(|line| parser.time(line))
                {
                    take_time(at);
                }
                continue;
            }
            self.pass(std::mem::take(&mut passed));
            if let Some(at) = self.read_line(parser, block.get(text).unwrap_or_default()) {
                take_time(at);
            }
        }
        self.pass(passed);
    }

    /// Counts lines that are passed over.
    fn pass(&mut self, passed: Passed) {
        let Passed { lines, empty, others, ended } = passed;
        self.flows_seen += ended;
        self.origins.count_lines(lines);
        self.origins.count(|counters, _| {
            counters.lines += lines - empty;
            counters.others += others;
            counters.read += lines - empty - others;
        });
    }

    /// Reads the next line, with or without its newline, whatever is in it. Gives the time of what it tells, if it tells of anything that is
    /// looked at.
    pub fn read_line(&mut self, parser: &mut LineParser, line: &[u8]) -> Option<Timestamp> {
        self.origins.count_lines(1);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return None;
        }
        (self.at, self.tells_of_one) = (None, false);
        let mut was = Was::Other;
        let result = if line.len() > LINE_MAX {
            Err(Malformed::Overlong)
        } else {
            let mut context = std::mem::take(&mut self.context);
            let result = parser.parse(line, &mut context, &mut |record| {
                was = was.max(self.record(record)?);
                Ok(())
            });
            self.context = context;
            while let Some(key) = self.context.take_key() {
                self.watch.add(key);
            }
            result
        };
        self.origins.count(|counters, number| {
            counters.lines += 1;
            match (result, was) {
                (Err(why), _) => {
                    counters.malformed += 1;
                    counters.first_malformed.get_or_insert((number, why));
                }
                (Ok(()), Was::Read) => counters.read += 1,
                (Ok(()), Was::Undirected) => counters.undirected += 1,
                (Ok(()), Was::Other) => counters.others += 1,
            }
        });
        self.collect();
        self.at
    }

    /// Takes the alerts raised so far.
    pub fn take_alerts(&mut self) -> Vec<LoggedAlert> {
        std::mem::take(&mut self.alerts)
    }

    /// What became of the lines of the input at hand so far.
    #[must_use]
    pub fn counters(&self) -> &LogCounters {
        self.origins.counters()
    }

    /// The latest time of a record.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Makes room in a reader that goes on for months, once nearly as many hosts are known as are kept: the quarter that was silent for
    /// longest goes. Should such a host show itself again, it begins anew.
    pub fn make_room(&mut self) {
        self.ledger.make_room();
    }

    /// Ends every flow and gives the result. Alerts that this raises are there for [`Self::take_alerts`]. The reader is then as new.
    pub fn finish(&mut self) -> Findings {
        for (number, flow) in self.flows.drain() {
            self.give_up(Some(number), flow);
        }
        while let Some((started, flow)) = self.held.next() {
            self.tell_held(started, flow);
        }
        self.collect();
        let dropped = [
            ("log_flows", self.flows_given_up),
            ("log_port_flows", self.held.hurried()),
            ("log_queries", self.queries_hurried),
            ("log_alerts", self.alerts_dropped),
        ];
        let dropped: BTreeMap<_, _> = dropped.into_iter().filter(|&(_, count)| count > 0).collect();
        let fresh = Self::new(&self.signatures);
        let alerts = self.take_alerts();
        let Self { ledger, flows_seen, origins, .. } = std::mem::replace(self, fresh);
        self.alerts = alerts;
        let mut findings =
            Findings::close(ledger, OutcomeCounters::default(), flows_seen, Coverage::default(), dropped);
        for record in findings.hosts.values_mut() {
            record.move_examples(|example| origins.position(example.packet));
        }
        findings
    }

    /// Keeps a flow until its next record. Others may have to go for it.
    fn keep(&mut self, number: u64, flow: Flow) {
        if !flow.is_worth_keeping() {
            return;
        }
        self.watch.add(Key::connection(number));
        if self.watch.is_crowded() {
            self.watch.keep_connections(self.flows.numbers().map(Key::connection));
            self.watch.add(Key::connection(number));
        }
        for (number, flow) in self.flows.put(number, flow) {
            self.flows_given_up += 1;
            self.give_up(Some(number), flow);
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<Was, Malformed> {
        let of_type = record.event_type.as_str();
        let protocol = match record.proto.as_ref().map_or("", |proto| proto.as_str()) {
            "TCP" => FiveTuple::TCP,
            "UDP" => FiveTuple::UDP,
            _ => 0,
        };
        if !matches!(of_type, "dns" | "tls" | "quic" | "http" | "ftp" | "alert" | "flow") || protocol == 0 {
            return Ok(Was::Other);
        }
        let at = record.at.ok_or(Malformed::Time)?;
        let ends = Ends::read(record, protocol).ok_or(Malformed::Addresses)?;
        let Some(ends) = ends.with_client(observer::client_is_source(record)) else {
            // Of QUIC only the client's hello is of interest.
            return Ok(if of_type == "alert" { Was::Undirected } else { Was::Read });
        };
        self.release_held(at);
        self.at = Some(at);
        let counts = ends.counts(record.flow.as_ref());
        let common = Common { record, at, ends, counts };
        let mut flow = self.flow_of(&common);
        let name = FlowName {
            first_line: flow.first_line,
            flow_id: record.flow_id.filter(|_| !record.is_flow_id_made),
            community_id: record.community_id.as_ref().map(|id| id.as_str().into()),
        };
        self.names.push(name.clone());
        match of_type {
            "dns" => self.dns(&common, &mut flow, record.dns.as_ref(), Source::Transaction),
            "tls" => self.tls(&common, &mut flow, record.tls.as_ref(), Source::Transaction),
            "quic" => self.quic(&common, &mut flow, record.quic.as_ref(), Source::Transaction),
            "http" => self.http(&common, &mut flow, record.http.as_ref(), Source::Transaction),
            "ftp" => self.ftp(&common, &mut flow, record.ftp.as_ref()),
            "alert" => {
                self.dns(&common, &mut flow, record.dns.as_ref(), Source::Alert);
                self.tls(&common, &mut flow, record.tls.as_ref(), Source::Alert);
                self.quic(&common, &mut flow, record.quic.as_ref(), Source::Alert);
                self.http(&common, &mut flow, record.http.as_ref(), Source::Alert);
            }
            _ => {}
        }
        match record.flow_id {
            Some(number) if of_type != "flow" => self.keep(number, flow),
            _ => {
                let (outcome, opening_seen) = common.ends.outcome(record, &flow);
                flow.reach(outcome);
                self.over(name, flow, counts, opening_seen, at);
                // A query and its answer in one line are one lookup.
                if record.flow_id.is_none() && std::mem::replace(&mut self.tells_of_one, true) {
                    self.flows_seen -= 1;
                }
            }
        }
        Ok(Was::Read)
    }

    /// The flow of a record; if this is its first, its beginning is told.
    fn flow_of(&mut self, common: &Common<'_>) -> Flow {
        let Common { record, at, ends, .. } = common;
        let ends_hash = ends.hash();
        if let Some(number) = record.flow_id
            && let Some(flow) = self.flows.take(number)
        {
            if flow.ends == ends_hash {
                return flow;
            }
            self.give_up(Some(number), flow);
        }
        let started = record.flow.as_ref().and_then(|flow| flow.start).unwrap_or(*at);
        let mut flow = Flow::new(ends_hash, self.origins.number(), started);
        let five_tuple = ends.five_tuple();
        let FiveTuple { src, dst, src_port, dst_port, protocol } = five_tuple;
        let signatures = &*self.signatures;
        let (src_range, dst_range) = (signatures.match_address(src), signatures.match_address(dst));
        let is_port =
            signatures.is_port_of_interest(src_port, protocol) || signatures.is_port_of_interest(dst_port, protocol);
        let of_interest = is_port || src_range.is_some() || dst_range.is_some();
        if !of_interest && !self.ledger.may_matter(&five_tuple) {
            return flow;
        }
        let opened =
            Opened { five_tuple, zone: ends.zone, macs: None, tunnel: None, src_range, dst_range, of_interest };
        if is_port {
            flow.more().opened = Some(opened);
        } else {
            flow.is_remembered = true;
            self.ledger.record(Event { packet: flow.first_line, at: started, kind: EventKind::Opened(opened) });
        }
        flow
    }

    /// Ends a flow of which no flow record came.
    fn give_up(&mut self, flow_id: Option<u64>, flow: Flow) {
        let name = FlowName { first_line: flow.first_line, flow_id, community_id: None };
        self.names.push(name.clone());
        self.over(name, flow, FlowCounts::default(), false, self.now);
    }

    fn over(&mut self, name: FlowName, mut flow: Flow, counts: FlowCounts, opening_seen: bool, at: Timestamp) {
        // Flows are counted where they are over: of those in which nothing matters nothing else is kept.
        self.flows_seen += 1;
        self.tell_waiting(&mut flow, |_| true, true);
        let ended = Ended {
            flow: flow.first_line,
            opener_is_client: true,
            named: flow.is_named,
            matters: true,
            opening_seen,
            connection_outcome: flow.connection_outcome,
            counts,
        };
        // The log's own time when its record came.
        let told = self.at.unwrap_or(self.now);
        let (opened, protocol) = flow.more.map_or((None, Vec::new()), |more| (more.opened, more.protocol));
        if let Some(opened) = opened {
            self.held.hold(flow.started, HeldFlow { name, opened, protocol, ended, over: at, told });
        } else if flow.is_remembered || flow.has_matched {
            self.ledger.record(Event { packet: self.origins.number(), at, kind: EventKind::Ended(ended) });
        }
    }

    /// Lets go of what was held for long enough by now.
    fn release_held(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some((started, flow)) = self.held.next_due(self.now) {
            self.tell_held(started, flow);
        }
    }

    fn tell_held(&mut self, started: Timestamp, flow: HeldFlow) {
        let HeldFlow { name, opened, protocol, ended, over, .. } = flow;
        let packet = ended.flow;
        self.ledger.record(Event { packet, at: started, kind: EventKind::Opened(opened) });
        for evidence in protocol {
            let protocol = EventKind::Protocol(Box::new(FlowProtocol { flow: packet, evidence }));
            self.ledger.record(Event { packet, at: started, kind: protocol });
        }
        self.ledger.record(Event { packet, at: over, kind: EventKind::Ended(ended) });
        self.names.push(name);
    }

    /// Names the flows of the alerts that the line at hand raised.
    fn collect(&mut self) {
        for mut alert in self.ledger.take_alerts() {
            if self.alerts.len() >= ALERTS_MAX {
                self.alerts_dropped += 1;
                continue;
            }
            let first_line = alert.flow.first_packet;
            let name = self.names.iter().rev().find(|name| name.first_line == first_line);
            let mut flow = name.cloned().unwrap_or_default();
            flow.first_line = self.origins.position(first_line).packet;
            let Position { input, packet } = self.origins.position(alert.packet);
            (alert.packet, alert.flow.first_packet) = (packet, flow.first_line);
            self.alerts.push(LoggedAlert { alert, input, flow });
        }
        self.names.clear();
    }
}

#[cfg(test)]
pub(crate) mod tests;
