//! Traffic with a server of the vendor's make inside the network: what a port, a certificate, a beacon interval and a wake-up datagram prove
//! together. One of them alone proves little, since anybody may use a port.

mod beacon_history;
mod names;
#[cfg(test)]
mod tests;

pub use names::{bears_vendors_name, is_private_name};

use super::lru_map::{LruMap, RetentionPriority};
use super::private_address::is_private;
use super::signature_set::PortRange;
use super::{
    Category, ConnectionOutcome, Ended, Field, FlowSummary, HostKey, IndicatorIndex, Opened, SeenAs, SignatureSet,
};
use crate::capture::Timestamp;
use crate::decode::FiveTuple;
use beacon_history::{BeaconHistory, is_at};
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

/// Servers that a client tried.
#[derive(Debug, Default)]
struct Tried(Vec<IpAddr>);

impl RetentionPriority for Tried {
    /// What is known of a scanner took it some time to show.
    fn retention_priority(&self) -> u64 {
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
            history.begin(packet, at);
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
        if history.end(flow, counts) {
            // Whoever knocks at every door must not push out what is remembered of others.
            self.histories.remove(&pair);
            return Vec::new();
        }
        let observed = format!("tcp/{} every {} s", flow.server_port, beacon.period_ns / 1_000_000_000);
        let proof = |flow| Proof::contact(beacon.indicator, Field::Beacon, observed.clone(), flow);
        history.settle(beacon).into_iter().map(proof).collect()
    }
}
