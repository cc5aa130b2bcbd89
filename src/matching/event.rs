//! What the workers tell the ledger, in packet order.

use super::{
    Alert, ConnectionOutcome, FlowCounts, FlowSummary, HostKey, Identified, IndicatorIndex, ProtocolEvidence, Sighting,
};
use crate::capture::Timestamp;
use crate::decode::{FiveTuple, MacAddress, Tunnel, Zone};
use std::net::IpAddr;

/// Something that one packet brought about.
#[derive(Clone, Debug)]
pub struct Event {
    /// Number of the packet, from 1.
    pub packet: u64,
    /// Its time.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// Kinds of events. Those that ordinary traffic brings are small and hold no memory of their own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A flow began.
    Opened(Opened),
    /// An observation matched an indicator.
    Evidence(Box<Alert>),
    /// A lookup that is evidence was answered.
    Answered(Box<Answered>),
    /// A client got addresses from DNS for a name that matched.
    Resolved(Box<Resolved>),
    /// A client got an address from DNS for a name that matches nothing.
    ResolvedOther(ResolvedOther),
    /// A flow to a port of interest showed which protocol it speaks.
    Protocol(Box<FlowProtocol>),
    /// A flow is over, or was evicted.
    Ended(Ended),
    /// A machine inside sent something.
    Sighted(Sighting),
    /// Somebody said who a machine inside is.
    Identified(Box<Identified>),
}

/// The beginning of a flow.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Sender and receiver of the first packet.
    pub five_tuple: FiveTuple,
    /// Tenant.
    pub zone: Zone,
    /// Link-layer addresses of sender and receiver.
    pub macs: Option<(MacAddress, MacAddress)>,
    /// The tunnel it came in.
    pub tunnel: Option<Box<Tunnel>>,
    /// Published range that the sender's address lies in.
    pub src_range: Option<IndicatorIndex>,
    /// Published range that the receiver's address lies in.
    pub dst_range: Option<IndicatorIndex>,
    /// Whether the signatures alone make the flow matter, by a range or a port, whoever its ends are.
    pub of_interest: bool,
}

impl Opened {
    /// The flow with the roles and counts that are known now.
    #[must_use]
    pub fn summary(&self, started: Timestamp, ended: &Ended) -> FlowSummary {
        let FiveTuple { src, dst, src_port, dst_port, protocol } = self.five_tuple;
        let (src_mac, dst_mac) = self.macs.unzip();
        let src = (src, src_port, src_mac);
        let dst = (dst, dst_port, dst_mac);
        let (client, server) = if ended.opener_is_client { (src, dst) } else { (dst, src) };
        FlowSummary {
            first_packet: ended.flow,
            started,
            client: client.0,
            client_port: client.1,
            server: server.0,
            server_port: server.1,
            protocol,
            zone: self.zone,
            client_mac: client.2,
            client_hop_limit: None,
            server_mac: server.2,
            tunnel: self.tunnel.as_deref().copied(),
            counts: ended.counts,
            connection_outcome: ended.connection_outcome,
        }
    }
}

/// The answer to a lookup whose name matched.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Who asked.
    pub client: HostKey,
    /// Who was asked.
    pub server: IpAddr,
    /// What the name matched.
    pub indicator: IndicatorIndex,
    /// The name that was asked for.
    pub name: Box<str>,
    /// The outcome of the answer.
    pub connection_outcome: ConnectionOutcome,
}

/// An answer to a client.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Who asked.
    pub client: HostKey,
    /// What the name matched.
    pub indicator: IndicatorIndex,
    /// The name that matched.
    pub name: Box<str>,
    /// Hashes of all names on the way from the question to the addresses.
    pub chain: Vec<u64>,
    /// Addresses, each with its time to live in seconds.
    pub addresses: Vec<(IpAddr, u32)>,
}

/// An answer to a client about somebody else's name.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedOther {
    /// Who asked.
    pub client: HostKey,
    /// Hash of the name asked for.
    pub name: u64,
    /// The address.
    pub address: IpAddr,
}

/// Which protocol a flow to a port of interest speaks.
#[derive(Clone, Debug)]
pub struct FlowProtocol {
    /// Number of the flow's first packet.
    pub flow: u64,
    /// What its bytes say.
    pub evidence: ProtocolEvidence,
}

/// The end of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Number of the flow's first packet.
    pub flow: u64,
    /// Whether the sender of the first packet turned out to be the client.
    pub opener_is_client: bool,
    /// Whether the flow's own bytes said whom it was for: then its address proves nothing besides.
    pub named: bool,
    /// Whether it is known already that the flow matters: it gave evidence, or its opening was recorded.
    pub matters: bool,
    /// Whether the handshake was seen, so that it is certain which side opened the connection.
    pub opening_seen: bool,
    /// How far it came.
    pub connection_outcome: ConnectionOutcome,
    /// What was counted.
    pub counts: FlowCounts,
}
