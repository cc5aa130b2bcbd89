//! Puts what a record tells where an observation of packets would go.

use super::flows::{Flow, WaitingQuery};
use super::record::{self, Record, Text};
use kaspector::capture::Timestamp;
use kaspector::decode::{FiveTuple, Zone};
use kaspector::flow::FlowKey;
use kaspector::inspect::Observation;
use kaspector::matching::{
    ConnectionOutcome, Event, EventKind, FlowCounts, FlowSummary, Learned, Ledger, Place, SignatureSet, observe,
};
use std::net::IpAddr;

/// Ports up to this are those of servers, where nothing else tells.
const WELL_KNOWN_MAX: u16 = 1023;
/// Keys the hash of a flow's ends, which nobody outside sees.
const ENDS_SEED: u64 = 0x6c6f_6773;

/// Matches one observation.
pub(crate) trait Observe: FnOnce(&SignatureSet, &Place<'_>, &mut dyn FnMut(EventKind)) -> Learned {}

impl<F: FnOnce(&SignatureSet, &Place<'_>, &mut dyn FnMut(EventKind)) -> Learned> Observe for F {}

/// Both ends of a flow, the client first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    protocol: u8,
    pub zone: Zone,
    /// Whether the record has the server as its source.
    is_turned: bool,
}

impl Ends {
    /// Source and destination of a record, the source as the client. `None` when the record lacks one of them.
    pub fn read(record: &Record<'_>, protocol: u8) -> Option<Self> {
        let client = (record.src_ip?, record.src_port?);
        let server = (record.dest_ip?, record.dest_port?);
        // Tag 0 is none (IEEE 802.1Q).
        let mut tags = record.vlan.iter().copied().filter(|&tag| tag != 0);
        let zone = Zone { vlan: tags.next(), inner_vlan: tags.next(), vni: None };
        Some(Self { client, server, protocol, zone, is_turned: false })
    }

    /// The same with the client where it is; `None` where that is not known.
    pub fn with_client(self, client_is_source: Option<bool>) -> Option<Self> {
        let Self { client, server, is_turned, .. } = self;
        Some(if client_is_source? {
            self
        } else {
            Self { client: server, server: client, is_turned: !is_turned, ..self }
        })
    }

    pub fn five_tuple(&self) -> FiveTuple {
        let Self { client: (src, src_port), server: (dst, dst_port), protocol, .. } = *self;
        FiveTuple { src, dst, src_port, dst_port, protocol }
    }

    /// Stands for both ends, whichever is the client, and the tenant.
    pub fn hash(&self) -> u64 {
        FlowKey::of(&self.five_tuple(), &self.zone).0.hash(ENDS_SEED)
    }

    /// What the engine counted, if the record says.
    pub fn counts(&self, flow: Option<&record::Flow>) -> FlowCounts {
        let Some(flow) = flow else { return FlowCounts::default() };
        let to_server = (flow.pkts_toserver, flow.bytes_toserver);
        let to_client = (flow.pkts_toclient, flow.bytes_toclient);
        let turned = self.is_turned && flow.src_ip.is_none();
        let (to_server, to_client) = if turned { (to_client, to_server) } else { (to_server, to_client) };
        FlowCounts {
            packets_to_server: to_server.0,
            packets_to_client: to_client.0,
            bytes_to_server: to_server.1,
            bytes_to_client: to_client.1,
        }
    }

    /// How far a lookup came that was answered, if it was seen itself.
    pub const fn answered(&self, was_asked: bool) -> ConnectionOutcome {
        match (self.protocol, was_asked) {
            (_, true) => ConnectionOutcome::DataExchanged,
            (FiveTuple::TCP, false) => ConnectionOutcome::Established,
            _ => ConnectionOutcome::Attempted,
        }
    }

    /// How far a flow came by its record, and whether its opening was seen. What its transactions said may be more.
    pub fn outcome(&self, record: &Record<'_>, flow: &Flow) -> (ConnectionOutcome, bool) {
        let counts = self.counts(record.flow.as_ref());
        if self.protocol == FiveTuple::UDP {
            return (ConnectionOutcome::of_udp(counts.packets_to_server > 0, counts.packets_to_client > 0), false);
        }
        let bits = |text: &Option<Text<'_>>| u8::from_str_radix(text.as_ref()?.as_str(), 16).ok();
        let sides = record.tcp.as_ref().map(|tcp| (bits(&tcp.tcp_flags_ts), bits(&tcp.tcp_flags_tc)));
        let Some((Some(source), Some(destination))) = sides else {
            let is_answered = counts.packets_to_client > 0 && counts.packets_to_server > 0;
            let outcome = if is_answered { ConnectionOutcome::Established } else { ConnectionOutcome::Attempted };
            return (outcome, false);
        };
        let (client, server) = if self.is_turned { (destination, source) } else { (source, destination) };
        let has = |side: u8, bit: u8| side & bit != 0;
        // A server may push no more than an alert that ends the handshake; had it sent its hello, there would be a record of that.
        let is_tls = record.app_proto.as_ref().is_some_and(|name| name.as_str() == "tls");
        let outcome = if flow.connection_outcome == ConnectionOutcome::DataExchanged
            || !is_tls && has(server, PSH) && has(client, PSH)
        {
            ConnectionOutcome::DataExchanged
        } else if has(server, RST) {
            ConnectionOutcome::Refused
        } else if has(server, SYN | PSH) || has(client, ACK) {
            ConnectionOutcome::Established
        } else {
            ConnectionOutcome::Attempted
        };
        (outcome, has(client | server, SYN))
    }

    /// The flow as far as it is known.
    pub fn summary(&self, flow: &Flow, mut counts: FlowCounts) -> FlowSummary {
        // Somebody sent what was logged.
        counts.packets_to_server = counts.packets_to_server.max(u64::from(flow.was_asked));
        let Self { client, server, protocol, zone, .. } = *self;
        let mut summary = FlowSummary::new(client, server, protocol);
        (summary.first_packet, summary.started) = (flow.first_line, flow.started);
        summary.zone = zone;
        summary.counts = counts;
        summary.connection_outcome = flow.connection_outcome;
        summary
    }
}

/// Control bits (RFC 9293 section 3.1).
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// Whether the source of a record is the client; `None` where nothing tells. The engine takes whoever sent the first packet that it saw
/// for the client, so where it saw one side only, ports have to tell.
pub(crate) fn client_is_source(record: &Record<'_>) -> Option<bool> {
    let (source, destination) = (record.src_port?, record.dest_port?);
    let is_turned = source <= WELL_KNOWN_MAX && destination > WELL_KNOWN_MAX;
    match record.event_type.as_str() {
        "dns" => {
            let kind = record.dns.as_ref()?.kind.as_ref().map_or("", |kind| kind.as_str());
            Some(match kind {
                "answer" => !is_turned,
                // In version 3 an answer comes from the responder.
                "response" => destination <= WELL_KNOWN_MAX && source > WELL_KNOWN_MAX,
                _ => true,
            })
        }
        "tls" => {
            let tls = record.tls.as_ref()?;
            let has_hello = tls.sni.is_some() || tls.ja3.is_some() || tls.ja4.is_some();
            Some(has_hello || !is_turned)
        }
        "quic" => {
            let quic = record.quic.as_ref()?;
            (quic.sni.is_some() || quic.ja3.is_some() || quic.ja4.is_some()).then_some(true)
        }
        "flow" => {
            let bits = |text: &Option<Text<'_>>| u8::from_str_radix(text.as_ref()?.as_str(), 16).ok();
            let opened =
                record.tcp.as_ref().and_then(|tcp| bits(&tcp.tcp_flags_ts)).is_some_and(|bits| bits & SYN != 0);
            Some(opened || !is_turned)
        }
        "alert" => match record.direction.as_ref().map(Text::as_str) {
            Some("to_server") => Some(true),
            Some("to_client") => Some(false),
            _ => {
                let flow = record.flow.as_ref()?;
                let is_client = flow.src_ip == record.src_ip && flow.src_port == record.src_port;
                flow.src_ip.is_some().then_some(is_client)
            }
        },
        _ => Some(true),
    }
}

/// QUIC's version in the words of the detector.
pub(crate) fn quic_version(name: &str) -> &'static str {
    const NAMES: [&str; 11] =
        ["1", "2", "draft-34", "draft-29", "draft-27", "draft-22", "T050", "T051", "Q043", "Q046", "Q050"];
    NAMES.into_iter().find(|known| *known == name).unwrap_or("unknown")
}

/// One flow's record on its way through matching.
pub(crate) struct LogObserver<'a> {
    pub signatures: &'a SignatureSet,
    pub ledger: &'a mut Ledger,
    pub flow: &'a mut Flow,
    pub ends: &'a Ends,
    pub line: u64,
    pub at: Timestamp,
    pub counts: FlowCounts,
}

impl LogObserver<'_> {
    /// Tells an observation. Says whether it matched anything.
    pub fn tell(self, observe: impl Observe) -> bool {
        let Self { signatures, ledger, flow, ends, line, at, counts } = self;
        let summary = ends.summary(flow, counts);
        tell(signatures, ledger, flow, &summary, line, at, observe)
    }
}

impl WaitingQuery {
    /// Tells the query, as of the time that it was made.
    pub fn tell(&self, signatures: &SignatureSet, ledger: &mut Ledger, flow: &mut Flow) {
        let Self { line, at, message, place } = self;
        let observation = Observation::Dns(message);
        tell(signatures, ledger, flow, place, *line, *at, |set, place, emit| observe(set, &observation, place, emit));
    }
}

fn tell(
    signatures: &SignatureSet,
    ledger: &mut Ledger,
    flow: &mut Flow,
    summary: &FlowSummary,
    line: u64,
    at: Timestamp,
    observe: impl Observe,
) -> bool {
    let mut place = Place::new(line, at, summary);
    (place.named, place.proxied) = (flow.is_named, flow.is_proxied);
    let mut has_matched = false;
    let more = &mut flow.more;
    let learned = observe(signatures, &place, &mut |kind| match (kind, &mut *more) {
        // Its beginning was not told yet.
        (EventKind::Protocol(protocol), Some(more)) if more.opened.is_some() => more.say(protocol.evidence),
        (kind, _) => {
            has_matched |= !matches!(kind, EventKind::ResolvedOther(_));
            ledger.record(Event { packet: line, at, kind });
        }
    });
    flow.has_matched |= has_matched;
    flow.is_named |= learned == Learned::Name;
    has_matched
}
