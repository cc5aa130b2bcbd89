//! Traffic with a server of the vendor's make inside the network: what a port, a certificate, a beacon interval and a wake-up datagram prove
//! together. One of them alone proves little, since anybody may use a port.

use super::lru_map::{LruMap, Worth};
use super::private_address::is_private;
use super::signature_set::{Beacon, PortRange, STEPS_MAX, certificate_attributes};
use super::{
    Category, ConnectionOutcome, Ended, Field, FlowSummary, HostKey, IndicatorIndex, Opened, SeenAs, SignatureSet,
};
use crate::capture::Timestamp;
use crate::decode::FiveTuple;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Clients and servers whose beacon interval is followed.
pub const BEACON_PAIRS_MAX: usize = 1 << 16;
/// Wake-up datagrams that are remembered.
pub const WAKE_UPS_MAX: usize = 1 << 16;
/// Clients of management ports whose servers are counted.
pub const CLIENTS_MAX: usize = 1 << 16;
/// Servers that one client may try at management ports before it is taken for a scanner: agents know a server, a stand-in, some
/// distribution points.
pub const SERVERS_TRIED_MAX: usize = 16;
/// Lowest port that a client of datagrams has by itself, on any system of the last fifteen years (RFC 6335 section 6 begins at 49152, Linux
/// at 32768). Both ends of a telephone call have lower ones, among them the management ports.
const EPHEMERAL_MIN: u16 = 32_768;
/// Connections of one client to one server that are remembered: those of the longest beacon, each with another in between.
pub const STARTS_MAX: usize = 2 * STEPS_MAX;

/// What a flow to a port of interest said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolEvidence {
    /// Its hello, or its request, was for somebody else; or it was in a protocol that the products do not use there.
    Unrelated,
    /// Its hello was for a name that matches this.
    Vendor(IndicatorIndex),
    /// Its server showed a certificate that it, or the vendor, signed; the subject.
    OwnCertificate(Box<str>),
    /// Its server showed a certificate that bears the vendor's name; the subject. It says whose the server is, whatever it is called.
    NamedCertificate(Box<str>),
}

/// A flow to a port of interest, until it ends.
#[derive(Clone, Debug, Default)]
pub struct PortFlow {
    is_unrelated: bool,
    vendor: Option<IndicatorIndex>,
    own_certificate: Option<Box<str>>,
    /// Whether that bears the vendor's name.
    is_named: bool,
    /// What the wake-up datagram that it answers is evidence for, and the port that was called.
    called: Option<(IndicatorIndex, PortRange)>,
}

impl PortFlow {
    /// Whether it is more than a packet to a port.
    pub const fn has_shown_something(&self) -> bool {
        self.vendor.is_some() || self.own_certificate.is_some() || self.called.is_some()
    }

    /// Takes what the flow said.
    pub fn observe(&mut self, evidence: ProtocolEvidence) {
        match evidence {
            ProtocolEvidence::Unrelated => self.is_unrelated = true,
            ProtocolEvidence::Vendor(indicator) => self.vendor = Some(indicator),
            ProtocolEvidence::OwnCertificate(subject) => self.own_certificate = Some(subject),
            ProtocolEvidence::NamedCertificate(subject) => {
                self.own_certificate = Some(subject);
                self.is_named = true;
            }
        }
    }
}

/// What a flow proves of its ends.
#[derive(Clone, Debug)]
pub struct Proof {
    /// What matched.
    pub indicator: IndicatorIndex,
    /// How close.
    pub seen_as: SeenAs,
    /// Where in the traffic.
    pub field: Field,
    /// The value.
    pub observed: Box<str>,
    /// Whether it is proved of the client.
    pub of_client: bool,
    /// Whether it is proved of the server.
    pub of_server: bool,
    /// The flow.
    pub flow: FlowSummary,
}

impl Proof {
    /// A contact between both ends of `flow`.
    fn contact(indicator: IndicatorIndex, field: Field, observed: String, flow: FlowSummary) -> Self {
        let observed = observed.into();
        Self { indicator, seen_as: SeenAs::Contact, field, observed, of_client: true, of_server: true, flow }
    }
}

/// Client, server, and the server's port.
type Pair = (HostKey, IpAddr, u16);

/// The beginning of a connection whose beacon interval is followed.
#[derive(Debug)]
struct Start {
    at: Timestamp,
    flow: u64,
    state: State,
}

/// What is known of a connection.
#[derive(Debug)]
enum State {
    /// It goes on.
    Open,
    /// It is over, but one that began before it is not; the flow, if it counts.
    Over(Option<Box<FlowSummary>>),
    /// It is over, and so are all that began before it; whether it counts: it came about, and was not somebody else's.
    Settled(bool),
}

/// Connections of a pair, in the order of their beginnings.
#[derive(Debug, Default)]
struct BeaconHistory {
    starts: VecDeque<Start>,
}

impl Worth for BeaconHistory {
    /// Connections that may belong to a beacon: those of a flood never come about.
    fn worth(&self) -> u64 {
        let counts = |start: &&Start| matches!(start.state, State::Over(Some(_)) | State::Settled(true));
        self.starts.iter().filter(counts).count() as u64
    }
}

/// Servers that a client tried.
#[derive(Debug, Default)]
struct Tried(Vec<IpAddr>);

impl Worth for Tried {
    /// What is known of a scanner took it some time to show.
    fn worth(&self) -> u64 {
        self.0.len() as u64
    }
}

/// What has to be remembered from flow to flow.
#[derive(Debug)]
pub struct Management {
    histories: LruMap<Pair, BeaconHistory>,
    /// By the host that was called, and the caller.
    wake_ups: LruMap<(HostKey, IpAddr), Timestamp>,
    /// Servers that each client tried; one more than it may, at most.
    tried: LruMap<HostKey, Tried>,
}

impl Default for Management {
    fn default() -> Self {
        Self {
            histories: LruMap::with_limit(BEACON_PAIRS_MAX),
            wake_ups: LruMap::with_limit(WAKE_UPS_MAX),
            tried: LruMap::with_limit(CLIENTS_MAX),
        }
    }
}

impl Management {
    /// Takes the beginning of a flow; what to keep of it if one of its ports is of interest.
    pub fn opened(
        &mut self,
        packet: u64,
        at: Timestamp,
        opened: &Opened,
        signatures: &SignatureSet,
    ) -> Option<PortFlow> {
        let FiveTuple { src, dst, src_port, dst_port, protocol } = opened.five_tuple;
        if !signatures.is_port_of_interest(dst_port, protocol) {
            // When the capture began midway, the first packet may be the server's.
            return signatures.is_port_of_interest(src_port, protocol).then(PortFlow::default);
        }
        let mut flow = PortFlow::default();
        let (sender, receiver) =
            (HostKey { address: src, zone: opened.zone }, HostKey { address: dst, zone: opened.zone });
        let habits = signatures.habits();
        for wake in &habits.wake_ups {
            if wake.call.contains(dst_port, protocol) && !dst.is_multicast() {
                *self.wake_ups.get_or_insert_with((receiver, src), || at) = at;
            }
            if wake.then.iter().any(|range| range.contains(dst_port, protocol))
                && let Some(&mut called) = self.wake_ups.get_mut(&(sender, dst))
                && called <= at
                && at.0 - called.0 <= wake.within_ns
            {
                flow.called = Some((wake.indicator, wake.call));
            }
        }
        if protocol == FiveTuple::TCP {
            let Tried(tried) = self.tried.get_or_insert_with(sender, Tried::default);
            if tried.len() <= SERVERS_TRIED_MAX && !tried.contains(&dst) {
                tried.push(dst);
            }
        }
        if habits.beacons.iter().any(|beacon| is_at(beacon, dst_port, protocol)) {
            let history = self.histories.get_or_insert_with((sender, dst, dst_port), BeaconHistory::default);
            if history.starts.len() >= STARTS_MAX {
                history.starts.pop_front();
            }
            history.starts.push_back(Start { at, flow: packet, state: State::Open });
        }
        Some(flow)
    }

    /// Takes the end of a flow that [`Self::opened`] wanted; what it proves, and what others prove that ended before it.
    pub fn ended(
        &mut self,
        flow: &PortFlow,
        summary: &FlowSummary,
        ended: &Ended,
        signatures: &SignatureSet,
    ) -> Vec<Proof> {
        // Their own name counts for more than what else the flow showed: the vendor's servers have other certificates, too.
        let is_unrelated = flow.is_unrelated && flow.vendor.is_none() && !flow.is_named;
        let beacons = self.history(summary, !is_unrelated && ended.connection_outcome.came_about(), signatures);
        let mut proofs = self.proofs_of(flow, is_unrelated, summary, ended, signatures);
        proofs.extend(beacons);
        proofs
    }

    /// What a flow proves by itself, or with the wake-up datagram that it answers.
    fn proofs_of(
        &mut self,
        flow: &PortFlow,
        is_unrelated: bool,
        summary: &FlowSummary,
        ended: &Ended,
        signatures: &SignatureSet,
    ) -> Vec<Proof> {
        let FlowSummary { server, server_port, protocol, .. } = *summary;
        let mut proofs = Vec::new();
        let port = format!("{}/{server_port}", if protocol == FiveTuple::TCP { "tcp" } else { "udp" });
        let contact = |indicator, field, observed| Proof::contact(indicator, field, observed, *summary);
        if let Some((indicator, PortRange { low: called, .. })) = flow.called.filter(|_| ended.opener_is_client) {
            proofs.push(contact(indicator, Field::WakeUp, format!("udp/{called}, then {port}")));
        }
        if is_unrelated {
            return proofs;
        }
        let client = HostKey { address: summary.client, zone: summary.zone };
        let scans = self.tried.get_mut(&client).is_some_and(|Tried(tried)| tried.len() > SERVERS_TRIED_MAX);
        if let Some(subject) = &flow.own_certificate {
            let at = |ports: &[PortRange]| ports.iter().any(|range| range.contains(server_port, protocol));
            let signed = signatures.habits().self_signed.iter().find(|one| at(&one.ports));
            // A scanner sees the certificate, too: it is the server's.
            proofs.extend(signed.map(|one| Proof {
                of_client: !scans,
                ..contact(one.indicator, Field::TlsCertificate, subject.to_string())
            }));
        }
        let Some(indicator) = signatures.match_port(server_port, protocol) else { return proofs };
        let of_port = |seen_as, of_server| Proof {
            indicator,
            seen_as,
            field: Field::ServerPort,
            observed: port.as_str().into(),
            of_client: true,
            of_server,
            flow: *summary,
        };
        if signatures.get(indicator).category == Category::CloudConsole {
            // The vendor's own servers: the port tells an agent from a person's browser, once the name is theirs.
            if flow.vendor.is_some_and(|name| signatures.get(name).category == Category::CloudConsole) {
                proofs.push(of_port(SeenAs::Contact, false));
            }
        } else if proofs.is_empty()
            && !scans
            && ended.connection_outcome == ConnectionOutcome::DataExchanged
            && if protocol == FiveTuple::UDP { summary.client_port >= EPHEMERAL_MIN } else { ended.opening_seen }
            && is_private(server)
            // Who is called to connect back is no server.
            && !signatures.habits().wake_ups.iter().any(|wake| wake.call.contains(server_port, protocol))
        {
            proofs.push(of_port(SeenAs::Hint, true));
        }
        proofs
    }

    /// What was dropped at a bound, under the bound's name.
    pub const fn dropped(&self) -> [(&'static str, u64); 3] {
        [
            ("connection_paces", self.histories.dropped()),
            ("wake_up_calls", self.wake_ups.dropped()),
            ("management_clients", self.tried.dropped()),
        ]
    }

    /// Notes whether a connection counts for its pair's beacon; the beacons that are complete by it, each with its last flow.
    fn history(&mut self, flow: &FlowSummary, counts: bool, signatures: &SignatureSet) -> Vec<Proof> {
        let pair = (HostKey { address: flow.client, zone: flow.zone }, flow.server, flow.server_port);
        let Some(beacon) =
            signatures.habits().beacons.iter().find(|beacon| is_at(beacon, flow.server_port, flow.protocol))
        else {
            return Vec::new();
        };
        let Some(history) = self.histories.get_mut(&pair) else { return Vec::new() };
        if let Some(start) = history.starts.iter_mut().find(|start| start.flow == flow.first_packet) {
            start.state = State::Over(counts.then(|| Box::new(*flow)));
            // Whoever knocks at every door must not push out what is remembered of others.
            if !counts && history.starts.len() == 1 {
                self.histories.remove(&pair);
                return Vec::new();
            }
        }
        let observed = format!("tcp/{} every {} s", flow.server_port, beacon.period_ns / 1_000_000_000);
        let proof = |flow| Proof::contact(beacon.indicator, Field::Beacon, observed.clone(), flow);
        history.settle(beacon).into_iter().map(proof).collect()
    }
}

impl BeaconHistory {
    /// Settles what can be, in the order of the beginnings, whatever the order of the ends; the last flows of the beats that are complete
    /// by it.
    fn settle(&mut self, beacon: &Beacon) -> Vec<FlowSummary> {
        let mut found = Vec::new();
        for at in 0..self.starts.len() {
            let Some(start) = self.starts.get_mut(at) else { break };
            let flow = match &mut start.state {
                State::Open => break,
                State::Settled(_) => continue,
                State::Over(flow) => flow.take(),
            };
            start.state = State::Settled(flow.is_some());
            if let Some(flow) = flow
                && self.completes_beacon(at, beacon)
            {
                found.push(*flow);
            }
        }
        found
    }

    /// Whether a beat ends with the connection at this place. There may be no more other connections in between than the beat has
    /// gaps: among many, some are always as far apart as one likes.
    fn completes_beacon(&self, place: usize, beacon: &Beacon) -> bool {
        // For each start, how many of a beat lead to it, and where the first of them stands.
        let mut chains: Vec<(usize, usize)> = Vec::with_capacity(place + 1);
        for (at, start) in self.starts.iter().enumerate().take(place + 1) {
            let counts = matches!(start.state, State::Settled(true));
            let mut chain = (usize::from(counts), at);
            for (earlier, &(length, first)) in self.starts.iter().zip(&chains) {
                let gap = start.at.0.saturating_sub(earlier.at.0);
                if counts
                    && length > 0
                    && gap.abs_diff(beacon.period_ns) <= beacon.tolerance_ns
                    && at - first <= 2 * length
                    && length + 1 > chain.0
                {
                    chain = (length + 1, first);
                }
            }
            chains.push(chain);
        }
        chains.last().is_some_and(|&(length, _)| length >= beacon.connections)
    }
}

fn is_at(beacon: &Beacon, port: u16, protocol: u8) -> bool {
    beacon.ports.iter().any(|range| range.contains(port, protocol))
}

/// Whether an organisation or a common name of a certificate has the vendor's name in it as a word. Part of a host's name is none.
pub fn bears_vendors_name(name: &str) -> bool {
    certificate_attributes(name)
        .filter_map(|attribute| attribute.strip_prefix("O=").or_else(|| attribute.strip_prefix("CN=")))
        .any(|value| value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("kaspersky")))
}

/// Whether a name can only be somebody's own: a single label, or below one of the top-level names that networks use for themselves
/// (RFC 6762 appendix G, RFC 8375, and `internal`, which is set aside for this). An address in the place of a name is nobody's.
pub fn is_private_name(name: &str) -> bool {
    const PRIVATE: [&str; 10] =
        ["local", "localdomain", "lan", "internal", "intranet", "private", "corp", "home", "localhost", "arpa"];
    let is_own = |last: &str| PRIVATE.contains(&last) || last.bytes().all(|byte| byte.is_ascii_digit());
    name.rsplit('.').next().is_some_and(is_own) || !name.contains('.')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::decode::Zone;
    use crate::matching::{Event, EventKind, FlowCounts, HostRecord, Ledger, Role, Spoke, Verdict};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const SECOND: u64 = 1_000_000_000;
    const AGENT: &str = "10.0.0.7";
    const SERVER: &str = "10.0.0.2";

    /// A flow: when it began, in seconds, and between whom.
    #[derive(Clone, Debug)]
    struct Flow {
        at_s: u64,
        src: (&'static str, u16),
        dst: (&'static str, u16),
        protocol: u8,
        evidence: Vec<ProtocolEvidence>,
        connection_outcome: ConnectionOutcome,
        opening_seen: bool,
    }

    /// For each host its verdict, its role, and the field and value of its evidence.
    type Answer = BTreeMap<String, (Verdict, Role, Vec<(&'static str, String)>)>;

    fn tcp(at_s: u64, dst_port: u16) -> Flow {
        let (src, dst) = ((AGENT, 40000), (SERVER, dst_port));
        Flow {
            at_s,
            src,
            dst,
            protocol: 6,
            evidence: Vec::new(),
            connection_outcome: ConnectionOutcome::DataExchanged,
            opening_seen: true,
        }
    }

    fn call(at_s: u64) -> Flow {
        let (src, dst) = ((SERVER, 50000), (AGENT, 15000));
        Flow { src, dst, protocol: 17, connection_outcome: ConnectionOutcome::Attempted, ..tcp(at_s, 0) }
    }

    /// What is found when these flows begin in this order, and end in that of `ends`.
    fn found_when_ending(flows: &[Flow], ends: &[usize]) -> Answer {
        let signatures = Arc::new(SignatureSet::builtin());
        let mut ledger = Ledger::new(&signatures, 0);
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        for (packet, flow) in (1..).zip(flows) {
            let at = Timestamp(flow.at_s * SECOND);
            let (src, dst) = (address(flow.src.0), address(flow.dst.0));
            let five_tuple =
                FiveTuple { src, dst, src_port: flow.src.1, dst_port: flow.dst.1, protocol: flow.protocol };
            let zone = Zone::default();
            let opened = Opened {
                five_tuple,
                zone,
                macs: None,
                tunnel: None,
                src_range: None,
                dst_range: None,
                of_interest: true,
            };
            ledger.record(Event { packet, at, kind: EventKind::Opened(opened) });
            for evidence in &flow.evidence {
                let spoke = Spoke { flow: packet, evidence: evidence.clone() };
                ledger.record(Event { packet, at, kind: EventKind::Spoke(Box::new(spoke)) });
            }
        }
        for &number in ends {
            let flow = &flows[number];
            let ended = Ended {
                flow: number as u64 + 1,
                opener_is_client: true,
                named: !flow.evidence.is_empty(),
                matters: true,
                opening_seen: flow.opening_seen,
                connection_outcome: flow.connection_outcome,
                counts: FlowCounts::default(),
            };
            ledger.record(Event { packet: 1000, at: Timestamp(u64::MAX), kind: EventKind::Ended(ended) });
        }
        let finding = |(host, record): (HostKey, HostRecord)| {
            let finding = record.finding(host, &signatures)?;
            let lines = finding.evidence.iter().map(|line| (line.field.name(), line.observed.to_string())).collect();
            Some((host.address.to_string(), (finding.verdict, finding.role, lines)))
        };
        ledger.into_hosts().filter_map(finding).collect()
    }

    fn found(flows: &[Flow]) -> Answer {
        found_when_ending(flows, &(0..flows.len()).collect::<Vec<_>>())
    }

    /// Both ends are found with this and nothing else.
    fn both(verdict: Verdict, lines: &[(&'static str, &str)]) -> Answer {
        let lines: Vec<_> = lines.iter().map(|&(field, observed)| (field, observed.to_owned())).collect();
        [
            (AGENT.to_owned(), (verdict, Role::Endpoint, lines.clone())),
            (SERVER.to_owned(), (verdict, Role::Server, lines)),
        ]
        .into()
    }

    #[test]
    fn a_port_alone_is_a_hint_where_the_network_itself_answers() {
        assert_eq!(found(&[tcp(0, 13000)]), both(Verdict::Suspected, &[("flow.server_port", "tcp/13000")]));
        let outside = Flow { dst: ("198.51.100.7", 13000), ..tcp(0, 13000) };
        assert!(found(&[outside]).is_empty(), "not inside the network");
        for connection_outcome in
            [ConnectionOutcome::Attempted, ConnectionOutcome::Refused, ConnectionOutcome::Established]
        {
            assert!(
                found(&[Flow { connection_outcome, ..tcp(0, 13000) }]).is_empty(),
                "a scan: {connection_outcome:?}"
            );
        }
        assert!(found(&[Flow { opening_seen: false, ..tcp(0, 13000) }]).is_empty(), "who opened it is not known");
        assert!(found(&[Flow { src: (AGENT, 13000), ..tcp(0, 443) }]).is_empty(), "the client's port");
        assert!(found(&[tcp(0, 443)]).is_empty());
        let datagrams = Flow { protocol: 17, opening_seen: false, ..tcp(0, 15111) };
        let call = Flow { src: (AGENT, 15110), ..datagrams.clone() };
        assert!(found(&[call]).is_empty(), "a telephone call");
        assert_eq!(found(&[datagrams]), both(Verdict::Suspected, &[("flow.server_port", "udp/15111")]));
    }

    #[test]
    fn a_flow_for_somebody_else_is_none_of_ours() {
        let evidence = vec![ProtocolEvidence::Unrelated];
        assert!(found(&[Flow { evidence: evidence.clone(), ..tcp(0, 13000) }]).is_empty());
        let beacons: Vec<_> =
            (0..9).map(|beacon| Flow { evidence: evidence.clone(), ..tcp(beacon * 900, 13000) }).collect();
        assert!(found(&beacons).is_empty());
    }

    #[test]
    fn a_certificate_of_the_servers_own_raises_the_port() {
        let evidence = vec![ProtocolEvidence::OwnCertificate("CN=ksc.corp.example".into())];
        let flow = Flow { evidence, ..tcp(0, 13000) };
        let expected = both(Verdict::Suspected, &[("tls.certificate", "CN=ksc.corp.example")]);
        assert_eq!(found(std::slice::from_ref(&flow)), expected);
        let stranger_first =
            Flow { evidence: vec![ProtocolEvidence::Unrelated, flow.evidence[0].clone()], ..flow.clone() };
        assert!(found(&[stranger_first]).is_empty());
        let named = ProtocolEvidence::NamedCertificate("CN=ksc.corp.example".into());
        assert_eq!(found(&[Flow { evidence: vec![ProtocolEvidence::Unrelated, named], ..flow.clone() }]), expected);
        let other_port = Flow { dst: (SERVER, 14000), ..flow };
        assert_eq!(found(&[other_port]), both(Verdict::Suspected, &[("flow.server_port", "tcp/14000")]));
    }

    #[test]
    fn a_scanner_finds_the_server_and_is_none_itself() {
        const SERVERS: [&str; 17] = [
            SERVER,
            "10.1.0.1",
            "10.1.0.2",
            "10.1.0.3",
            "10.1.0.4",
            "10.1.0.5",
            "10.1.0.6",
            "10.1.0.7",
            "10.1.0.8",
            "10.1.0.9",
            "10.1.0.10",
            "10.1.0.11",
            "10.1.0.12",
            "10.1.0.13",
            "10.1.0.14",
            "10.1.0.15",
            "10.1.0.16",
        ];
        let mut flows: Vec<_> = SERVERS.iter().map(|&server| Flow { dst: (server, 13000), ..tcp(0, 13000) }).collect();
        flows[0].evidence = vec![ProtocolEvidence::OwnCertificate("CN=ksc".into())];
        let scanned = found(&flows);
        assert_eq!(scanned.len(), 1);
        assert_eq!(scanned[SERVER].1, Role::Server);
        flows.pop();
        assert_eq!(found(&flows).len(), 17, "an agent may know some");
    }

    #[test]
    fn a_call_and_the_connection_back_prove_both() {
        let lines = [("flow.wake_up", "udp/15000, then tcp/13000")];
        assert_eq!(found(&[call(100), tcp(103, 13000)]), both(Verdict::Confirmed, &lines));
        let hint = both(Verdict::Suspected, &[("flow.server_port", "tcp/13000")]);
        assert_eq!(found(&[call(100), tcp(116, 13000)]), hint, "too late");
        assert_eq!(found(&[tcp(100, 13000), call(101)]), hint, "the wrong way round");
        let elsewhere = Flow { dst: ("10.0.0.3", 13000), ..tcp(101, 13000) };
        assert!(found(&[call(100), elsewhere]).values().all(|(verdict, ..)| *verdict == Verdict::Suspected));
        assert!(found(&[call(100)]).is_empty(), "a call alone");
        let refused = found(&[call(100), Flow { connection_outcome: ConnectionOutcome::Refused, ..tcp(101, 13000) }]);
        assert_eq!(refused[AGENT].0, Verdict::Confirmed, "an attempt counts");
    }

    #[test]
    fn a_steady_pace_proves_both() {
        let beacon = [("flow.beat", "tcp/13000 every 900 s"), ("flow.server_port", "tcp/13000")];
        assert_eq!(found(&[tcp(0, 13000), tcp(930, 13000), tcp(1801, 13000)]), both(Verdict::Confirmed, &beacon));
        let with_events = [0, 400, 900, 1500, 1800].map(|at| tcp(at, 13000));
        assert_eq!(found(&with_events), both(Verdict::Confirmed, &beacon));
        let hint = both(Verdict::Suspected, &[("flow.server_port", "tcp/13000")]);
        assert_eq!(found(&[tcp(0, 13000), tcp(900, 13000)]), hint, "two are no pace");
        assert_eq!(found(&[tcp(0, 13000), tcp(950, 13000), tcp(1850, 13000)]), hint, "too slow");
        let busy: Vec<_> = (0..200).map(|minute| tcp(minute * 60, 13000)).collect();
        assert_eq!(found(&busy), hint, "among many, some are always 900 seconds apart");
        let mut refused = [0, 900, 1800].map(|at| tcp(at, 13000));
        refused[1].connection_outcome = ConnectionOutcome::Refused;
        assert_eq!(found(&refused), hint);
    }

    #[test]
    fn the_order_in_which_flows_end_does_not_matter() {
        let flows = [0, 400, 900, 1500, 1800, 2700].map(|at| tcp(at, 13000));
        let proved = |ends: &[usize]| found_when_ending(&flows, ends)[AGENT].0;
        for ends in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [4, 0, 5, 2, 1, 3]] {
            assert_eq!(proved(&ends), Verdict::Confirmed);
        }
        // Of many, the few that end first must not look like all there are.
        let busy: Vec<_> = (0..7).map(|number| tcp(number * 300, 13000)).collect();
        assert_eq!(found_when_ending(&busy, &[0, 3, 6, 1, 2, 4, 5])[AGENT].0, Verdict::Suspected);
    }

    #[test]
    fn the_port_of_a_hosted_console_counts_with_its_name() {
        let signatures = SignatureSet::builtin();
        let name = signatures.match_name("a1.ksc.kaspersky.com").unwrap();
        let flow = Flow {
            dst: ("198.51.100.7", 23150),
            evidence: vec![ProtocolEvidence::Vendor(name), ProtocolEvidence::Unrelated],
            ..tcp(0, 0)
        };
        let one = found(std::slice::from_ref(&flow));
        assert_eq!(one[AGENT].2, [("flow.server_port", "tcp/23150".to_owned())]);
        assert_eq!(one.len(), 1, "the vendor's server is no host of ours");
        assert!(found(&[Flow { evidence: Vec::new(), ..flow }]).is_empty());
    }

    #[test]
    fn the_vendors_name_is_a_word_of_a_certificate() {
        for vendor in ["CN=Kaspersky Security Center CA", "C=CH, O=AO Kaspersky Lab, CN=ksc01", "O=KASPERSKY"] {
            assert!(bears_vendors_name(vendor), "{vendor}");
        }
        for other in [
            "",
            "CN=kaspersky01.corp.example",
            "O=Corp, CN=notkaspersky",
            "OU=Kaspersky team, CN=wiki",
            "CN=kaspersky-lab",
        ] {
            assert!(!bears_vendors_name(other), "{other}");
        }
    }

    #[test]
    fn names_that_anybody_may_use_are_told_from_others() {
        for own in ["ksc", "ksc.corp.local", "ksc.lan", "10.0.0.2", "server.home.arpa"] {
            assert!(is_private_name(own), "{own}");
        }
        for other in ["www.shop.example", "local.example.com", "ksc.company.com"] {
            assert!(!is_private_name(other), "{other}");
        }
    }

    #[test]
    fn knocking_at_every_door_leaves_nothing_behind() {
        let signatures = SignatureSet::builtin();
        let mut management = Management::default();
        let flow = tcp(0, 13000);
        let src = AGENT.parse().unwrap();
        for number in 0..1000_u32 {
            let dst = std::net::Ipv4Addr::from(0x0a00_0000 + number).into();
            let five_tuple = FiveTuple { src, dst, src_port: 1, dst_port: 13000, protocol: 6 };
            let zone = Zone::default();
            let opened = Opened {
                five_tuple,
                zone,
                macs: None,
                tunnel: None,
                src_range: None,
                dst_range: None,
                of_interest: true,
            };
            let port = management.opened(number.into(), Timestamp(0), &opened, &signatures).unwrap();
            let ended = Ended {
                flow: number.into(),
                opener_is_client: true,
                named: false,
                matters: true,
                opening_seen: true,
                connection_outcome: ConnectionOutcome::Attempted,
                counts: FlowCounts::default(),
            };
            let summary = opened.summary(Timestamp(flow.at_s), &ended);
            assert!(management.ended(&port, &summary, &ended, &signatures).is_empty());
            assert!(management.histories.get_mut(&(HostKey { address: src, zone }, dst, 13000)).is_none());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_order_of_flows_makes_it_stumble(
            steps in prop::collection::vec((0_u64..4000, 0_usize..6, 0_usize..4, 0_usize..4), 0..60),
        ) {
            let flows: Vec<Flow> = steps.iter().map(|&(at_s, port, connection_outcome, evidence)| {
                let connection_outcome =
                    [ConnectionOutcome::Attempted, ConnectionOutcome::Refused, ConnectionOutcome::Established, ConnectionOutcome::DataExchanged][connection_outcome];
                let evidence = [vec![], vec![ProtocolEvidence::Unrelated], vec![ProtocolEvidence::OwnCertificate("CN=x".into())], vec![]][evidence].clone();
                let base = if port == 0 { call(at_s) } else { tcp(at_s, [0, 13000, 14000, 13111, 443, 13000][port]) };
                Flow { connection_outcome, evidence, ..base }
            }).collect();
            let found = found(&flows);
            // What is held against the agent is held against the server, and the other way round.
            let fields = |host: &str| found.get(host).map(|(_, _, lines)| lines.clone());
            prop_assert_eq!(fields(AGENT), fields(SERVER));
        }
    }
}
