//! Takes events in packet order and keeps, per host, what they prove.
//!
//! The one place where flows meet: a DNS answer here, a connection to its address there. It sees only what workers could not settle by
//! themselves, so it may be sequential without holding them up.

mod alerts;
mod known_hosts;

use super::event::{Answered, Ended, Event, EventKind, Opened, Resolved};
use super::host_record::HostRecord;
use super::link_addresses::is_of_one;
use super::management::{Management, PortFlow, Proof};
use super::passive_dns::PassiveDns;
use super::resolver_fallback::ResolverFallback;
use super::{
    Alert, Application, Field, FlowCounts, HostKey, IndicatorIndex, LinkAddress, Machines, NextHops, ProtocolEvidence,
    SeenAs, Sighting, SignatureSet, Strength,
};
use crate::capture::Timestamp;
use crate::decode::FiveTuple;
use alerts::Alerts;
use foldhash::fast::FixedState;
use known_hosts::KnownHosts;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Flows that are remembered because they may yet turn out to matter, and flows with evidence; then the quarter that is worth least is
/// forgotten. An end may have been lost on the way here, and what waits for it would take a place for good.
pub const FLOWS_MAX: usize = 1 << 18;

/// What the address of a flow's other end suggests, until the flow says for itself.
#[derive(Debug)]
enum Suspicion {
    /// The client's own DNS answer bound the address to a name.
    Learned { indicator: IndicatorIndex, name: Box<str> },
    /// The address lies in a published range.
    Range(IndicatorIndex),
}

impl Suspicion {
    /// What another set says in its place.
    fn match_anew(self, server: IpAddr, signatures: &SignatureSet) -> Option<Self> {
        match self {
            Self::Learned { name, .. } => {
                let indicator = signatures.match_name(&name)?;
                Some(Self::Learned { indicator, name })
            }
            Self::Range(_) => signatures.match_address(server).map(Self::Range),
        }
    }
}

#[derive(Debug)]
struct PendingFlow {
    at: Timestamp,
    opened: Opened,
    /// What the server's address suggests, and the end that this is held against.
    suspicion: Option<(IpAddr, Suspicion)>,
    /// What is known of a flow to a port of interest.
    port: Option<PortFlow>,
}

impl PendingFlow {
    /// How much its end may prove: anybody can send a packet to a range or a port.
    fn retention_priority(&self, signatures: &SignatureSet) -> u8 {
        let strength = |indicator: IndicatorIndex| signatures.get(indicator).strength;
        match &self.suspicion {
            Some((_, Suspicion::Learned { indicator, .. })) if strength(*indicator) == Strength::Installed => 3,
            Some((_, Suspicion::Learned { .. })) => 2,
            _ => u8::from(self.port.as_ref().is_some_and(PortFlow::has_shown_something)),
        }
    }
}

/// A flow with evidence.
#[derive(Debug)]
struct MatchedFlow {
    /// When it gave its first evidence.
    at: Timestamp,
    server: IpAddr,
    server_port: u16,
    /// For each host and indicator that raised an alert, whether the host is the server.
    raised: Vec<(HostKey, IndicatorIndex, bool)>,
}

/// Evidence by host, and the alerts that it raised.
#[derive(Debug)]
pub struct Ledger {
    signatures: Arc<SignatureSet>,
    input: u32,
    hosts: KnownHosts,
    learned: PassiveDns,
    management: Management,
    fallback: ResolverFallback,
    hops: NextHops,
    machines: Machines,
    pending: HashMap<u64, PendingFlow, FixedState>,
    /// By first packet.
    matched: HashMap<u64, MatchedFlow, FixedState>,
    alerts: Alerts,
    flows_dropped: u64,
    /// Whether what is known is asked for while events come.
    is_live: bool,
}

impl Ledger {
    /// An empty ledger for the capture with index `input`.
    #[must_use]
    pub fn new(signatures: &Arc<SignatureSet>, input: u32) -> Self {
        Self {
            signatures: Arc::clone(signatures),
            input,
            hosts: KnownHosts::default(),
            learned: PassiveDns::default(),
            management: Management::default(),
            fallback: ResolverFallback::default(),
            hops: NextHops::default(),
            machines: Machines::default(),
            pending: HashMap::default(),
            matched: HashMap::default(),
            alerts: Alerts::default(),
            flows_dropped: 0,
            is_live: false,
        }
    }

    /// Keeps no alerts: nobody will take them, and they would only take memory. What they prove is kept all the same.
    #[must_use]
    pub fn without_alerts(mut self) -> Self {
        self.alerts.discard();
        self
    }

    /// Notes from now on whose record changes, for [`Self::take_changed`], and keeps those that have to go for [`Self::make_room`].
    #[must_use]
    pub fn noting_changes(mut self) -> Self {
        self.hosts.note_changes();
        self.machines = Machines::of_sensor();
        self.is_live = true;
        self
    }

    /// Matches what is recorded from now on against another set, in which indicators of the set before keep their indices
    /// ([`SignatureSet::succeed`]).
    pub fn set_signatures(&mut self, signatures: &Arc<SignatureSet>) {
        self.signatures = Arc::clone(signatures);
        // What was learned before, and what still waits for the end of its flow, must not speak for indicators that are gone.
        self.learned.match_anew(|name| signatures.match_name(name));
        self.pending.retain(|_, pending| {
            pending.suspicion = pending.suspicion.take().and_then(|(client, suspicion)| {
                let FiveTuple { src, dst, .. } = pending.opened.five_tuple;
                let server = if client == src { dst } else { src };
                Some((client, suspicion.match_anew(server, signatures)?))
            });
            pending.suspicion.is_some() || pending.port.is_some()
        });
    }

    /// Copies of the records that changed since the last call, by host.
    pub fn take_changed(&mut self) -> Vec<(HostKey, HostRecord)> {
        self.hosts.take_changed()
    }

    /// Whether so many records had to go that [`Self::make_room`] should not wait.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.hosts.is_crowded()
    }

    /// Takes the records that had to go since the last call; and once nearly as many hosts are kept as may be, the quarter that showed
    /// nothing for longest: without this, a sensor that runs for months would have no room for new ones. What is taken is to be kept
    /// elsewhere; should a host show itself again, it begins anew here.
    pub fn make_room(&mut self) -> Vec<(HostKey, HostRecord)> {
        self.hosts.make_room()
    }

    /// Lets go of the record of a host that is kept elsewhere; should it show itself again, it begins anew here. For hosts of which nothing
    /// waits for [`Self::make_room`].
    pub fn let_go(&mut self, host: &HostKey) {
        self.hosts.let_go(host);
    }

    /// Takes the next event. Events must come in packet order.
    pub fn record(&mut self, event: Event) {
        match event.kind {
            EventKind::Opened(opened) => self.opened(event.packet, event.at, opened),
            EventKind::Evidence(alert) => self.evidence(*alert),
            EventKind::Answered(answered) => self.answered(&answered),
            EventKind::Resolved(resolved) => self.resolved(event.at, &resolved),
            EventKind::ResolvedOther(other) => self.learned.forget(other.client, other.address, other.name),
            EventKind::Protocol(protocol) => {
                if let Some(PendingFlow { port: Some(port), .. }) = self.pending.get_mut(&protocol.flow) {
                    port.observe(protocol.evidence);
                }
            }
            EventKind::Ended(ended) => self.ended(&ended),
            EventKind::Sighted(sighting) => self.machines.sight_soon(sighting),
            EventKind::Identified(said) => self.machines.identify(*said, event.at),
        }
    }

    /// Whether a flow between these ends may matter for what clients got from DNS about its addresses, so that its opening and its end are to
    /// be recorded; false for sure when it says no.
    #[inline]
    #[must_use]
    pub fn may_matter(&self, ends: &FiveTuple) -> bool {
        self.learned.may_know(ends.src) || self.learned.may_know(ends.dst)
    }

    /// Takes the alerts raised so far, in the order in which they were raised.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        self.alerts.take(&self.hosts, &self.signatures)
    }

    /// Says that no event comes any more: what is then over a bound is dropped.
    pub fn close(&mut self) {
        self.hosts.settle(&self.signatures);
        self.machines.settle();
    }

    /// Takes the sightings of machines that [`Self::record`] let wait, to be called before [`Self::machines`] and [`Self::dropped`].
    pub fn catch_up(&mut self) {
        self.machines.catch_up();
    }

    /// Machines that were seen so far.
    #[must_use]
    pub const fn machines(&self) -> &Machines {
        &self.machines
    }

    /// What is known of each host, in no order, and all machines that were seen.
    pub fn into_hosts(self) -> (impl Iterator<Item = (HostKey, HostRecord)>, Machines) {
        (self.hosts.into_hosts(), self.machines)
    }

    /// What was dropped at a bound so far, under the bound's name.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<&'static str, u64> {
        [
            ("pending_flows", self.flows_dropped),
            ("alerts", self.alerts.dropped()),
            ("learned_names", self.learned.dropped()),
            ("next_hops", self.hops.dropped()),
            ("resolver_orders", self.fallback.dropped()),
        ]
        .into_iter()
        .chain(self.hosts.dropped())
        .chain(self.management.dropped())
        .chain(self.machines.dropped())
        .filter(|&(_, count)| count > 0)
        .collect()
    }

    fn opened(&mut self, packet: u64, at: Timestamp, opened: Opened) {
        let FiveTuple { src, dst, .. } = opened.five_tuple;
        let learned = |client: IpAddr, server: IpAddr| {
            let name = self.learned.name_of(HostKey { address: client, zone: opened.zone }, server, at)?;
            Some((client, Suspicion::Learned { indicator: name.indicator, name: name.name.clone() }))
        };
        // Whoever sent the first packet is usually the client. When the capture began midway it may be the server, so both are asked.
        let suspicion =
            learned(src, dst).or_else(|| learned(dst, src)).or(match (opened.src_range, opened.dst_range) {
                (None, Some(range)) => Some((src, Suspicion::Range(range))),
                (Some(range), None) => Some((dst, Suspicion::Range(range))),
                // With both ends inside, the vendor's own network talks to itself.
                _ => None,
            });
        let port = self.management.opened(packet, at, &opened, &self.signatures);
        if suspicion.is_none() && port.is_none() {
            return;
        }
        if self.pending.len() >= FLOWS_MAX {
            let signatures = Arc::clone(&self.signatures);
            self.flows_dropped +=
                forget_flows(&mut self.pending, at, |pending| (pending.retention_priority(&signatures), pending.at));
        }
        self.pending.insert(packet, PendingFlow { at, opened, suspicion, port });
    }

    fn resolved(&mut self, at: Timestamp, resolved: &Resolved) {
        for &(address, ttl_s) in &resolved.addresses {
            self.learned.learn(resolved, address, at, ttl_s, &self.signatures);
        }
    }

    fn answered(&mut self, answered: &Answered) {
        self.fallback.answered(answered.client, answered.server, &answered.name, answered.connection_outcome);
        if let Some(record) = self.hosts.known(&answered.client) {
            record.reach(answered.connection_outcome, |line| {
                let is_lookup = (line.indicator, line.seen_as) == (answered.indicator, SeenAs::Lookup);
                (is_lookup || line.field == Field::ResolverOrder)
                    && line.server == answered.server
                    && line.observed == answered.name
            });
        }
    }

    fn ended(&mut self, ended: &Ended) {
        if let Some(pending) = self.pending.remove(&ended.flow) {
            self.settle(pending, ended);
        }
        let Some(MatchedFlow { server, server_port, raised: mut hosts, .. }) = self.matched.remove(&ended.flow) else {
            return;
        };
        for (host, indicator, _) in &hosts {
            if let Some(record) = self.hosts.known(host) {
                record.reach(ended.connection_outcome, |line| {
                    (line.indicator, line.server, line.server_port) == (*indicator, server, server_port)
                        && line.seen_as != SeenAs::Lookup
                        && line.field != Field::ResolverOrder
                });
            }
        }
        hosts.sort_unstable();
        hosts.dedup_by_key(|(host, ..)| *host);
        let FlowCounts { bytes_to_server, bytes_to_client, .. } = ended.counts;
        for (host, _, is_server) in hosts {
            let (sent, received) =
                if is_server { (bytes_to_client, bytes_to_server) } else { (bytes_to_server, bytes_to_client) };
            if let Some(record) = self.hosts.known(&host) {
                record.add_flow(sent, received);
            }
        }
    }

    /// The flow is over: what its address suggested counts if it never said whom it was for, and its port may prove something.
    fn settle(&mut self, pending: PendingFlow, ended: &Ended) {
        let flow = pending.opened.summary(pending.at, ended);
        let alert = |proof: Proof, host_is_server: bool| Alert {
            at: proof.flow.started,
            packet: proof.flow.first_packet,
            indicator: proof.indicator,
            seen_as: proof.seen_as,
            connection_outcome: proof.flow.connection_outcome,
            field: proof.field,
            observed: proof.observed,
            host_is_server,
            on_behalf: false,
            asks_server: false,
            flow: proof.flow,
            application: Application::Unknown,
        };
        let mut port = pending.port;
        if let Some((client, suspicion)) = pending.suspicion
            && client == flow.client
            && !ended.named
        {
            let (indicator, seen_as, field, observed) = match suspicion {
                Suspicion::Learned { indicator, name } => {
                    if let Some(port) = &mut port {
                        port.observe(ProtocolEvidence::Vendor(indicator));
                    }
                    (indicator, SeenAs::Contact, Field::ResolvedAddress, name)
                }
                Suspicion::Range(indicator) => {
                    (indicator, SeenAs::Hint, Field::Address, flow.server.to_string().into())
                }
            };
            let proof = Proof { indicator, seen_as, field, observed, of_client: true, of_server: false, flow };
            self.evidence(alert(proof, false));
        }
        let Some(port) = port else { return };
        for proof in self.management.ended(&port, &flow, ended, &self.signatures) {
            if !self.signatures.is_in_force(proof.indicator) {
                continue;
            }
            let first_packet = proof.flow.first_packet;
            if proof.of_server {
                self.evidence(alert(proof.clone(), true));
            }
            if proof.of_client {
                self.evidence(alert(proof, false));
            }
            // A flow that ended before was counted then.
            if first_packet != ended.flow {
                self.matched.remove(&first_packet);
            }
        }
    }

    fn evidence(&mut self, alert: Alert) {
        let flow = &alert.flow;
        let client = HostKey { address: flow.client, zone: flow.zone };
        // A resolver that asks for others goes from one to the next by itself.
        if alert.field == Field::DnsQuery
            && !alert.on_behalf
            && let Some(indicator) =
                self.fallback.asked(alert.at, client, flow.server, &alert.observed, &self.signatures)
        {
            self.evidence(Alert {
                indicator,
                seen_as: SeenAs::Hint,
                field: Field::ResolverOrder,
                asks_server: false,
                ..alert.clone()
            });
        }
        let host = alert.host();
        let signatures = Arc::clone(&self.signatures);
        let mac = if alert.host_is_server { flow.server_mac } else { flow.client_mac };
        let link = mac.filter(|&mac| is_of_one(mac)).map(|mac| {
            let is_next_hop = self.hops.note(host, mac, alert.at);
            LinkAddress { mac, first_seen: alert.at, last_seen: alert.at, is_next_hop }
        });
        self.hosts.add(host, &alert, link, self.input, &signatures);
        self.machines.note_evidence(host);
        // The lane tells of a machine now and then, and who has evidence is asked for at once.
        if self.is_live
            && let Some(mut sighting) = Sighting::of(host.address, host.zone, None, alert.at)
        {
            sighting.link = link;
            self.machines.sight(&sighting);
        }
        if alert.asks_server {
            let server = HostKey { address: flow.server, zone: flow.zone };
            self.hosts.asked_by_others(server, alert.field, &alert.observed, &signatures);
        }
        if self.matched.len() >= FLOWS_MAX && !self.matched.contains_key(&flow.first_packet) {
            let worth = |matched: &MatchedFlow| {
                let strength = matched.raised.iter().map(|&(_, indicator, _)| signatures.get(indicator).strength).min();
                u8::from(strength == Some(Strength::Installed))
            };
            self.flows_dropped += forget_flows(&mut self.matched, alert.at, |matched| (worth(matched), matched.at));
        }
        let matched = self.matched.entry(flow.first_packet).or_insert_with(|| MatchedFlow {
            at: alert.at,
            server: flow.server,
            server_port: flow.server_port,
            raised: Vec::new(),
        });
        let raised = &mut matched.raised;
        let this = (host, alert.indicator, alert.host_is_server);
        if raised.contains(&this) {
            return;
        }
        // Most flows raise one.
        raised.reserve_exact(usize::from(raised.is_empty()));
        raised.push(this);
        self.alerts.push(alert, &self.hosts, &signatures);
    }
}

/// Forgets the quarter of the flows that is worth least, the oldest of equals, and says how many that were; `rank` gives worth and
/// beginning. The end of a flow that began a day before may have been lost, so that counts for nothing any more.
fn forget_flows<F>(
    flows: &mut HashMap<u64, F, FixedState>,
    now: Timestamp,
    rank: impl Fn(&F) -> (u8, Timestamp),
) -> u64 {
    const DAY_NS: u64 = 86_400_000_000_000;
    let mut ranked: Vec<_> = flows
        .iter()
        .map(|(&packet, flow)| {
            let (worth, at) = rank(flow);
            (if now.since(at) > DAY_NS { 0 } else { worth }, at, packet)
        })
        .collect();
    let going = ranked.len().div_ceil(4);
    if going < ranked.len() {
        ranked.select_nth_unstable(going);
    }
    for (.., packet) in ranked.iter().take(going) {
        flows.remove(packet);
    }
    going as u64
}

#[cfg(test)]
mod tests;
