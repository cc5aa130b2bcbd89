//! First reading: which flow each piece of evidence stands in, and which other packets it leans on.

use super::captures::Captures;
use super::{EvidenceError, ScanReport};
use kaspector::capture::{Frame, Timestamp};
use kaspector::decode::{Decoder, Dissected, FiveTuple, Segment, Transport, dissect_into, tcp_flags};
use kaspector::flow::FlowKey;
use kaspector::inspect::{DnsMessage, HttpTarget, Observation};
use kaspector::matching::{Event, EvidenceLine, Field, FlowSummary, HostKey, Place, SignatureSet};
use kaspector::pipeline::{EventSink, Lanes, Opening};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// Other packets that one piece of evidence leans on: the connections of a beacon before the last, questions to several resolvers.
const OTHERS_MAX: usize = 8;
/// Packets that are remembered in case a later one makes them matter: beginnings of connections for each beacon, calls to wake up.
const REMEMBERED_MAX: usize = 64;

/// A packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The flow.
    pub flow: FlowKey,
    /// The packet's number.
    pub packet: u64,
}

/// A piece of evidence, and where the packets stand that prove it.
#[derive(Clone, Debug)]
pub struct Clue<'f> {
    /// Number of the finding.
    pub finding: usize,
    /// Number of the line in it.
    pub line: usize,
    /// The host.
    pub host: HostKey,
    /// What was found.
    pub evidence: &'f EvidenceLine,
    /// The packet itself.
    pub own: Option<Mark>,
    /// The DNS answer that gave the host the server's address.
    pub answer: Option<Mark>,
    /// Other packets that it leans on.
    pub others: Vec<Mark>,
    /// Connections to the server that a beacon may consist of.
    starts: VecDeque<(Timestamp, IpAddr, Mark)>,
}

impl<'f> Clue<'f> {
    /// Of which nothing else is known.
    pub fn new(finding: usize, line: usize, host: HostKey, evidence: &'f EvidenceLine) -> Self {
        let (others, starts) = (Vec::new(), VecDeque::new());
        Self { finding, line, host, evidence, own: None, answer: None, others, starts }
    }

    const fn packet(&self) -> u64 {
        self.evidence.example.packet
    }

    fn lean_on(&mut self, mark: Mark) {
        if self.others.len() < OTHERS_MAX && !self.others.contains(&mark) {
            self.others.push(mark);
        }
    }

    /// Whether somebody else asking the host for `name` is why this counts as done for others.
    fn is_asked_by(&self, name: &str) -> bool {
        self.evidence.relayed
            && self.others.is_empty()
            && name.strip_suffix(&*self.evidence.observed).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// Fills in where the proof of the clues of one input stands.
///
/// # Errors
/// As [`Captures::read`].
pub fn trace(
    clues: &mut [Clue<'_>],
    input: u32,
    signatures: &Arc<SignatureSet>,
    report: &ScanReport,
    captures: &Captures<'_>,
) -> Result<(), EvidenceError> {
    let last = clues.iter().map(Clue::packet).max().unwrap_or(0);
    let mut tracer = Tracer::new(clues, signatures, captures);
    captures.read(input, report, |frame| {
        tracer.take(frame);
        frame.number < last
    })
}

/// Looks at what concerns the hosts of the clues, and at nothing else.
struct Tracer<'c, 'f> {
    decoder: Decoder,
    lanes: Lanes,
    hosts: HashSet<IpAddr>,
    examples: BTreeMap<u64, Vec<usize>>,
    /// Clues that are beacons, by server and port.
    beacons: HashMap<(IpAddr, u16), Vec<usize>>,
    /// Datagrams that may have called a host to connect back, by the port where the signatures say that they go.
    calls: VecDeque<(IpAddr, IpAddr, Mark)>,
    notes: Notes<'c, 'f>,
    signatures: Arc<SignatureSet>,
}

impl<'c, 'f> Tracer<'c, 'f> {
    fn new(clues: &'c mut [Clue<'f>], signatures: &Arc<SignatureSet>, captures: &Captures<'_>) -> Self {
        let (mut examples, mut beacons, mut by_host) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        for (number, clue) in clues.iter().enumerate() {
            let &EvidenceLine { server, server_port, field, .. } = clue.evidence;
            examples.entry(clue.packet()).or_insert_with(Vec::new).push(number);
            by_host.entry(clue.host).or_insert_with(Vec::new).push(number);
            if field == Field::Beacon {
                beacons.entry((server, server_port)).or_insert_with(Vec::new).push(number);
            }
        }
        Self {
            decoder: captures.decoder(),
            lanes: captures.lanes(signatures),
            hosts: clues.iter().map(|clue| clue.host.address).collect(),
            examples,
            beacons,
            calls: VecDeque::new(),
            notes: Notes { clues, by_host },
            signatures: Arc::clone(signatures),
        }
    }

    fn take(&mut self, frame: &Frame<'_>) {
        let mut dissected = Dissected::Other(kaspector::decode::Outcome::NotIp);
        dissect_into(frame, self.decoder.ports(), &mut dissected);
        let concerns = |tuple: &FiveTuple| self.hosts.contains(&tuple.src) || self.hosts.contains(&tuple.dst);
        let is_wanted = match &dissected {
            Dissected::Segment(segment) => concerns(&segment.five_tuple),
            // Whom a tunnel in it concerns shows only once it is whole.
            Dissected::Fragment(_) => true,
            Dissected::Other(_) => false,
        };
        // What an example is in may be carried by somebody else, such as the ends of a tunnel.
        if !is_wanted && !self.examples.contains_key(&frame.number) {
            return;
        }
        if let Ok(segment) = self.decoder.decode(frame) {
            let (flow, _) = FlowKey::of(&segment.five_tuple, &segment.zone);
            let mark = Mark { flow, packet: frame.number };
            let Self { examples, beacons, calls, notes, signatures, .. } = self;
            note_segment(&segment, mark, beacons, calls, &mut *notes.clues, signatures);
            for &number in examples.get(&frame.number).into_iter().flatten() {
                let Some(clue) = notes.clues.get_mut(number) else { continue };
                clue.own = Some(mark);
                lean_on_earlier(clue, &segment, calls, signatures);
            }
        }
        self.lanes.feed(frame, &mut self.notes);
    }
}

/// Remembers what a beacon or a wake-up may consist of.
fn note_segment(
    segment: &Segment<'_>,
    mark: Mark,
    beacons: &HashMap<(IpAddr, u16), Vec<usize>>,
    calls: &mut VecDeque<(IpAddr, IpAddr, Mark)>,
    clues: &mut [Clue<'_>],
    signatures: &SignatureSet,
) {
    let FiveTuple { src, dst, dst_port, protocol, .. } = segment.five_tuple;
    let opens = match segment.transport {
        Transport::Tcp { flags, .. } => flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN,
        Transport::Udp => false,
    };
    if opens {
        for &number in beacons.get(&(dst, dst_port)).into_iter().flatten() {
            if let Some(clue) = clues.get_mut(number) {
                push_bounded(&mut clue.starts, (segment.at, src, mark));
            }
        }
    }
    if signatures.habits().wake_ups.iter().any(|wake| wake.call.contains(dst_port, protocol)) {
        push_bounded(calls, (src, dst, mark));
    }
}

/// Once the packet of a clue is there: which earlier ones it leans on.
fn lean_on_earlier(
    clue: &mut Clue<'_>,
    segment: &Segment<'_>,
    calls: &VecDeque<(IpAddr, IpAddr, Mark)>,
    signatures: &SignatureSet,
) {
    let FiveTuple { src, dst, .. } = segment.five_tuple;
    if clue.evidence.field == Field::WakeUp {
        // Who was called connects to the caller.
        let called = calls.iter().rev().find(|(caller, receiver, _)| (*caller, *receiver) == (dst, src));
        if let Some(&(.., mark)) = called {
            clue.lean_on(mark);
        }
    }
    let Some(beacon) = signatures.habits().beacons.iter().find(|beacon| beacon.indicator == clue.evidence.indicator)
    else {
        return;
    };
    let mut next = segment.at;
    let starts = std::mem::take(&mut clue.starts);
    for (at, client, mark) in starts.into_iter().rev() {
        if client == src && next.since(at).abs_diff(beacon.period_ns) <= beacon.tolerance_ns {
            clue.lean_on(mark);
            next = at;
        }
        if clue.others.len() + 1 >= beacon.connections {
            break;
        }
    }
}

fn push_bounded<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() >= REMEMBERED_MAX {
        list.pop_front();
    }
    list.push_back(one);
}

/// Takes what the bytes say, for the clues that lean on it.
struct Notes<'c, 'f> {
    clues: &'c mut [Clue<'f>],
    by_host: HashMap<HostKey, Vec<usize>>,
}

impl<'f> Notes<'_, 'f> {
    fn each(&mut self, host: HostKey, mut look: impl FnMut(&mut Clue<'f>)) {
        for &number in self.by_host.get(&host).into_iter().flatten() {
            if let Some(clue) = self.clues.get_mut(number) {
                look(clue);
            }
        }
    }

    fn dns(&mut self, mark: Mark, flow: &FlowSummary, message: &DnsMessage) {
        let is_about = |name: &str| message.question.iter().any(|(asked, _)| asked.as_str() == name);
        let client = HostKey { address: flow.client, zone: flow.zone };
        self.each(client, |clue| {
            let &EvidenceLine { server, field, ref observed, .. } = clue.evidence;
            let binds = message.addresses.iter().any(|resolved| resolved.address == server);
            if message.is_response && binds && mark.packet < clue.packet() {
                clue.answer = Some(mark);
            }
            if field == Field::ResolverOrder && is_about(observed) {
                clue.lean_on(mark);
            }
        });
        if !message.is_response
            && let Some((name, _)) = &message.question
        {
            self.asked(mark, flow, name.as_str());
        }
    }

    /// Somebody asked the flow's server for `name`.
    fn asked(&mut self, mark: Mark, flow: &FlowSummary, name: &str) {
        self.each(HostKey { address: flow.server, zone: flow.zone }, |clue| {
            if clue.is_asked_by(name) {
                clue.lean_on(mark);
            }
        });
    }
}

impl EventSink for Notes<'_, '_> {
    fn event(&mut self, _: Event) {}

    fn opened(&mut self, _: &Opening<'_>) -> bool {
        false
    }

    fn observation(&mut self, place: &Place<'_>, observation: &Observation<'_>) {
        let flow = place.flow;
        let mark = Mark { flow: flow.key(), packet: place.packet };
        match observation {
            Observation::Dns(message) => self.dns(mark, flow, message),
            Observation::HttpRequest(request)
                if place.proxied || matches!(request.target_form, HttpTarget::Absolute | HttpTarget::Authority) =>
            {
                if let Some(name) = &request.host {
                    self.asked(mark, flow, name.as_str());
                }
            }
            Observation::ProxyRequest(request) => {
                if let Some(name) = request.name {
                    self.asked(mark, flow, name.as_str());
                }
            }
            // What is said inside a tunnel was asked of the proxy, too.
            Observation::TlsClientHello(hello) if place.proxied => {
                if let Some(name) = &hello.sni {
                    self.asked(mark, flow, name.as_str());
                }
            }
            _ => {}
        }
    }
}
