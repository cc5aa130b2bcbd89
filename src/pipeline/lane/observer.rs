//! One flow's bytes on their way through inspection and matching: what they say, with the flow as it is at that packet.

use super::ReadCounters;
use crate::capture::Timestamp;
use crate::decode::{FiveTuple, Segment, Zone};
use crate::flow::{FlowKey, Origin, Side};
use crate::inspect::{Conversation, Observation};
use crate::matching::{Event, EventKind, FlowSummary, Learned, Place, SignatureSet, identify, observe};
use crate::pipeline::EventSink;
use crate::pipeline::flow_record::{FlowRecord, Marks};

/// The packet at hand.
#[derive(Clone, Copy)]
pub(super) struct Current<'a> {
    pub(super) packet: u64,
    pub(super) at: Timestamp,
    pub(super) key: &'a FlowKey,
    /// Source and destination addresses of the link layer, for the side that sent it.
    pub(super) link: Option<(&'a Segment<'a>, Side)>,
}

/// One flow's bytes on their way through inspection and matching.
pub(super) struct FlowObserver<'a, 's, O> {
    signatures: &'s SignatureSet,
    read_counters: &'a mut ReadCounters,
    record: &'a mut FlowRecord,
    current: Current<'a>,
    sink: &'a mut O,
}

impl<'a, 's, O: EventSink> FlowObserver<'a, 's, O> {
    pub(super) fn new(
        signatures: &'s SignatureSet,
        read_counters: &'a mut ReadCounters,
        record: &'a mut FlowRecord,
        current: Current<'a>,
        sink: &'a mut O,
    ) -> Self {
        Self { signatures, read_counters, record, current, sink }
    }

    pub(super) fn read(
        &mut self,
        conversation: &mut Conversation,
        from: Side,
        origin: Origin,
        offset: u64,
        bytes: &[u8],
    ) {
        conversation.accept(from, offset, bytes, |client, observation| self.observe(origin, client, observation));
    }

    pub(super) fn observe(&mut self, origin: Origin, client: Side, observation: &Observation<'_>) {
        match observation {
            Observation::BoundReached(bound) => return self.read_counters.dropped.bump(*bound),
            Observation::PassedOnFor(source) => {
                let sender = self.address_of(client);
                return self.record.marks.put(Marks::PASSED_ON, *source != sender);
            }
            // What a client uses to connect is a program of many: it names no system.
            Observation::SshGreeting(_) if client == self.record.client() => return,
            _ => {}
        }
        // Bytes of no known protocol do not tell who sent them, and both sides of SSH say the same.
        if !matches!(observation, Observation::UnknownStart(_) | Observation::SshGreeting(_)) {
            self.record.set_client(client);
        }
        let flow = self.summary();
        let marks = &self.record.marks;
        let (named, proxied) = (marks.has(Marks::NAMED), marks.has(Marks::PROXIED));
        let passed_on = marks.has(Marks::PASSED_ON);
        let place = Place { packet: origin.packet, at: origin.at, flow: &flow, named, proxied, passed_on };
        let Self { record, sink, current, read_counters, .. } = self;
        sink.observation(&place, observation);
        let learned = observe(self.signatures, observation, &place, |kind| {
            if !matches!(kind, EventKind::ResolvedOther(_)) {
                record.marks.set(Marks::MATCHED);
            }
            sink.event(Event { packet: current.packet, at: current.at, kind });
        });
        identify(observation, &place, |said| {
            let kind = EventKind::Identified(Box::new(said));
            sink.event(Event { packet: current.packet, at: current.at, kind });
        });
        if learned == Learned::Name {
            record.marks.set(Marks::NAMED);
        }
        match observation {
            Observation::ProxyRequest(_) => record.marks.set(Marks::PROXIED),
            Observation::TlsClientHello(hello) | Observation::QuicClientHello { hello, .. } if hello.ech => {
                read_counters.encrypted_hellos += 1;
            }
            _ => {}
        }
    }

    fn address_of(&self, side: Side) -> std::net::IpAddr {
        let (FiveTuple { src, dst, .. }, _) = self.current.key.endpoints();
        if side == Side::Low { src } else { dst }
    }

    fn summary(&self) -> FlowSummary {
        let record = &*self.record;
        let (FiveTuple { src, dst, src_port, dst_port, protocol }, zone): (FiveTuple, Zone) =
            self.current.key.endpoints();
        let (low_mac, high_mac) = match self.current.link {
            Some((segment, Side::Low)) => segment.macs.unzip(),
            Some((segment, Side::High)) => {
                let (high, low) = segment.macs.unzip();
                (low, high)
            }
            None => (None, None),
        };
        let low = (src, src_port, low_mac);
        let high = (dst, dst_port, high_mac);
        let (client, server) = if record.client() == Side::Low { (low, high) } else { (high, low) };
        FlowSummary {
            first_packet: record.first_packet,
            started: record.started,
            client: client.0,
            client_port: client.1,
            server: server.0,
            server_port: server.1,
            protocol,
            zone,
            client_mac: client.2,
            client_hop_limit: self
                .current
                .link
                .and_then(|(segment, side)| (side == record.client()).then_some(segment.hop_limit)),
            server_mac: server.2,
            tunnel: self.current.link.and_then(|(segment, _)| segment.tunnel),
            counts: record.counts(),
            connection_outcome: record.connection_outcome(),
        }
    }
}
