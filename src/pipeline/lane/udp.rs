//! Datagrams: DNS, the beginning of a QUIC connection, or something that we do not know.

use super::counters::ELSEWHERE;
use super::inspection::Inspection;
use super::observer::{Current, FlowObserver};
use crate::decode::{FiveTuple, Segment, looks_like_tunnel};
use crate::flow::{Origin, Side, Slot};
use crate::inspect::{
    Bound, DatagramProtocol, IdentityProtocol, InitialConversation, Observation, Statement, quic, read_identity,
    read_llmnr, read_mdns, recognise_datagram, recognise_identity, syslog,
};
use crate::matching::{Event, EventKind, Identified};
use crate::pipeline::EventSink;
use crate::pipeline::flow_record::{Begun, FlowRecord, Phase};
use crate::pipeline::pool::Handle;

/// Datagrams of one flow that may be in no protocol that we know before the flow is left alone.
const UNKNOWN_DATAGRAMS_MAX: u8 = 8;

/// Bytes before the first name of a DNS message.
const DNS_HEADER: usize = 12;
/// Length of each name of NetBIOS, whose messages have the form of DNS (RFC 1002 section 4.1).
const NETBIOS_LABEL: u8 = 32;

/// Multicast DNS has the form of DNS, and so has LLMNR; only the port tells them apart (RFC 6762, RFC 4795).
const MDNS_PORT: u16 = 5353;
const LLMNR_PORT: u16 = 5355;

/// The beginning of a QUIC connection, and the last packet that was part of it.
#[derive(Debug, Default)]
pub(super) struct QuicOpening {
    pub(super) initials: InitialConversation,
    pub(super) last: Origin,
    held_bytes: usize,
}

impl Inspection {
    pub(super) fn udp(
        &mut self,
        record: &mut FlowRecord,
        slot: Slot,
        current: Current<'_>,
        side: Side,
        datagram: &[u8],
        sink: &mut impl EventSink,
    ) -> [Option<Slot>; 2] {
        let origin = Origin { packet: current.packet, at: current.at };
        let mut displaced = None;
        let handle = match record.phase {
            Phase::Initials(handle) => handle,
            Phase::Datagrams(unknown) => match recognise_datagram(datagram) {
                DatagramProtocol::Dns => {
                    identify_by_dns(datagram, current, sink);
                    if self.message.parse(datagram).is_ok() {
                        record.phase = Phase::Datagrams(0);
                        let client = if self.message.is_response { side.other() } else { side };
                        let mut observer = FlowObserver::new(
                            &self.signatures,
                            &mut self.counters.read_counters,
                            record,
                            current,
                            sink,
                        );
                        observer.observe(origin, client, &Observation::Dns(&self.message));
                        if self.message.over_bound {
                            observer.observe(origin, client, &Observation::BoundReached(Bound::DnsMessage));
                        }
                    }
                    return [None; 2];
                }
                DatagramProtocol::GoogleQuic => {
                    record.phase = Phase::Settled;
                    if let Some((version, hello)) = quic::google_client_hello(datagram) {
                        let mut observer = FlowObserver::new(
                            &self.signatures,
                            &mut self.counters.read_counters,
                            record,
                            current,
                            sink,
                        );
                        observer.observe(origin, side, &Observation::QuicClientHello { version, hello: &hello });
                    }
                    return [None; 2];
                }
                DatagramProtocol::Syslog => {
                    record.phase = after_datagram(unknown);
                    if let Some(originator) = syslog::originator(datagram) {
                        let mut observer = FlowObserver::new(
                            &self.signatures,
                            &mut self.counters.read_counters,
                            record,
                            current,
                            sink,
                        );
                        observer.observe(origin, side, &Observation::SyslogOriginator(&originator));
                    }
                    return [None; 2];
                }
                DatagramProtocol::Identity(protocol) => {
                    // Many clients share the addresses and ports of DHCP.
                    if !matches!(protocol, IdentityProtocol::Dhcp | IdentityProtocol::DhcpV6) {
                        record.phase = after_datagram(unknown);
                    }
                    identify(protocol, datagram, current, sink);
                    return [None; 2];
                }
                DatagramProtocol::QuicInitial => {
                    let handle;
                    (handle, displaced) = self.claim_opening(slot);
                    record.phase = Phase::Initials(handle);
                    handle
                }
                DatagramProtocol::Unknown => {
                    if unknown == 0
                        && let Some(version) = quic::unknown_version(datagram)
                    {
                        self.counters.unknown_quic_versions += 1;
                        self.counters.quic_versions.bump(version);
                    }
                    if let Some((segment, _)) = current.link {
                        self.note_tunnel(segment);
                    }
                    if unknown == 0 && self.signatures.may_match_stream(datagram) {
                        let start = datagram.get(..16).unwrap_or(datagram);
                        let mut observer = FlowObserver::new(
                            &self.signatures,
                            &mut self.counters.read_counters,
                            record,
                            current,
                            sink,
                        );
                        observer.observe(origin, side, &Observation::UnknownStart(start));
                    }
                    record.phase = after_datagram(unknown);
                    return [None; 2];
                }
            },
            // A connection may follow another between the same ports; its first packet says so.
            Phase::Settled if quic::recognise(datagram) => {
                let is_clients = record.client() == side;
                if let (Begun::Quic(known), Some(ends)) = (&mut record.begun, quic::ends(datagram))
                    && known.takes(is_clients, ends)
                {
                    return [None; 2];
                }
                if quic::connection_begun(datagram).is_none() {
                    return [None; 2];
                }
                let handle;
                (handle, displaced) = self.claim_opening(slot);
                record.phase = Phase::Initials(handle);
                handle
            }
            _ => return [None; 2],
        };
        let opening = self.openings.get(handle);
        let mut observer = FlowObserver::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
        opening.last = origin;
        opening.initials.accept(side, datagram, |client, observation| observer.observe(origin, client, observation));
        if opening.initials.is_settled() {
            record.phase = Phase::Settled;
            record.begun = opening.initials.connection().map_or(Begun::Nothing, Begun::Quic);
            self.release_opening(handle);
            return [displaced, None];
        }
        let now = opening.initials.held_bytes();
        self.held_bytes = self.held_bytes + now - std::mem::replace(&mut opening.held_bytes, now);
        self.openings.weigh(handle, now);
        [displaced, self.relieve()]
    }

    /// Counts a datagram in no protocol that we know if it looks like a tunnel's: then whatever it carries was not seen.
    fn note_tunnel(&mut self, segment: &Segment<'_>) {
        let kind = looks_like_tunnel(segment.payload, segment.payload_len);
        let places = self.counters.tunnels_elsewhere.iter_mut().zip(ELSEWHERE);
        for (count, _) in places.filter(|(_, (known, _))| Some(*known) == kind) {
            *count += 1;
        }
    }

    /// Room for the beginning of a QUIC connection, and the slot of the flow that had to make it.
    fn claim_opening(&mut self, slot: Slot) -> (Handle, Option<Slot>) {
        let (handle, victim) = self.openings.claim(slot);
        self.counters.conversations_evicted += u64::from(victim.is_some());
        self.clear_opening(handle);
        (handle, victim)
    }

    fn clear_opening(&mut self, handle: Handle) {
        let opening = self.openings.get(handle);
        self.held_bytes -= std::mem::replace(&mut opening.held_bytes, 0);
        opening.initials.clear();
        self.openings.weigh(handle, 0);
    }

    pub(super) fn release_opening(&mut self, handle: Handle) {
        self.clear_opening(handle);
        self.openings.release(handle);
    }
}

/// Tells what a datagram says of machines inside.
fn identify(protocol: IdentityProtocol, datagram: &[u8], current: Current<'_>, sink: &mut impl EventSink) {
    let Some((segment, _)) = current.link else { return };
    read_identity(protocol, datagram, &mut |statement| tell_statement(&statement, segment, current, sink));
}

/// Tells what a datagram in the form of DNS says of machines inside, if it is one of neighbours among themselves.
fn identify_by_dns(datagram: &[u8], current: Current<'_>, sink: &mut impl EventSink) {
    let Some((segment, _)) = current.link else { return };
    let mut tell = |statement: Statement<'_>| tell_statement(&statement, segment, current, sink);
    match segment.five_tuple {
        FiveTuple { src_port: MDNS_PORT, .. } | FiveTuple { dst_port: MDNS_PORT, .. } => read_mdns(datagram, &mut tell),
        FiveTuple { src_port: LLMNR_PORT, .. } => read_llmnr(datagram, &mut tell),
        _ if datagram.get(DNS_HEADER) == Some(&NETBIOS_LABEL) => {
            if let Some(protocol) = recognise_identity(datagram) {
                read_identity(protocol, datagram, &mut tell);
            }
        }
        _ => {}
    }
}

/// Tells what somebody said of a machine inside in this segment.
fn tell_statement(
    statement: &Statement<'_>,
    segment: &Segment<'_>,
    Current { packet, at, .. }: Current<'_>,
    sink: &mut impl EventSink,
) {
    let FiveTuple { src, dst, .. } = segment.five_tuple;
    let mac = segment.macs.map(|(sender, _)| sender);
    if let Some(said) = Identified::of(statement, (src, dst), segment.zone, mac) {
        sink.event(Event { packet, at, kind: EventKind::Identified(Box::new(said)) });
    }
}

/// What a flow is after one more datagram that its protocol does not need, behind `unknown` others.
const fn after_datagram(unknown: u8) -> Phase {
    let unknown = unknown + 1;
    if unknown < UNKNOWN_DATAGRAMS_MAX { Phase::Datagrams(unknown) } else { Phase::Settled }
}
