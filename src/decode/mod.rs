//! Turns captured frames into transport segments.
//!
//! In:    [`Frame`], possibly cut by the snap length.
//! Out:   [`Segment`], borrowing the frame's bytes, or an [`Outcome`] that says why there is none.
//! Never: reads past the transport header. Only [`FragmentPool`] keeps state.

mod announcement;
mod carried;
mod extensions;
mod fast;
mod fragment;
mod link;
mod lookalike;
mod network;
mod outcome;
#[cfg(test)]
mod sample;
mod segment;
mod transport;
mod tunnel;
mod tunnel_ports;

use crate::capture::{Frame, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use announcement::{Announcement, AnnouncementKind, announcement};
pub use fragment::{Datagram, Fragment, FragmentKey, FragmentPool, Whole};
pub use lookalike::looks_like_tunnel;
pub use outcome::{Outcome, OutcomeCounters};
pub use segment::{FiveTuple, MacAddress, Segment, Transport, Tunnel, TunnelKind, Zone, tcp_flags};
pub use tunnel_ports::{NoTunnelPort, OWN_TUNNEL_PORTS_MAX, TunnelPort, TunnelPorts};

/// Headers of all layers together that are followed in one packet.
pub const HEADERS_MAX: u8 = 32;
/// IP headers within each other that are followed.
pub const IP_HEADERS_MAX: u8 = 8;

/// What the headers of one packet say.
#[derive(Clone, Copy, Debug)]
pub enum Dissected<'a> {
    /// A whole TCP segment or UDP datagram.
    Segment(Segment<'a>),
    /// A part of an IP datagram.
    Fragment(Fragment<'a>),
    /// Neither, and why.
    Other(Outcome),
}

/// What the layers passed so far leave for the inner ones.
#[derive(Clone, Copy, Debug)]
struct Context {
    at: Timestamp,
    zone: Zone,
    macs: Option<(MacAddress, MacAddress)>,
    tunnel: Option<Tunnel>,
    headers: u8,
    ip_headers: u8,
    /// VLAN tags of the Ethernet header at hand.
    tags: u8,
    /// Hop limit of the IP header at hand.
    hop_limit: u8,
    /// Whether the snap length cut the frame, so that a short header is no contradiction.
    cut: bool,
    /// How many bytes it cut off.
    missing: u32,
    /// Where the site has tunnels of its own.
    own_tunnels: tunnel_ports::OwnPorts,
}

/// A header still to be read, and the bytes from its first on.
#[derive(Clone, Copy, Debug)]
enum Layer<'a> {
    Ethernet(&'a [u8]),
    EtherType(u16, &'a [u8]),
    /// IPv4 or IPv6, by the version in its first nibble.
    Ip(&'a [u8]),
    /// Point-to-point protocol, from its protocol field on.
    Ppp(&'a [u8]),
    /// What an IP header carries.
    Carried(carried::Carried<'a>),
}

/// What reading one header leads to.
type Step<'a> = Result<Next<'a>, Outcome>;

/// Where to go on, or the end of the journey.
#[derive(Clone, Copy, Debug)]
enum Next<'a> {
    Layer(Layer<'a>),
    Segment(Segment<'a>),
    Fragment(Fragment<'a>),
}

/// Reads the headers of one frame.
#[inline]
#[must_use]
pub fn dissect<'a>(frame: &Frame<'a>) -> Dissected<'a> {
    let mut place = Dissected::Other(Outcome::NotIp);
    dissect_into(frame, &tunnel_ports::ASSIGNED, &mut place);
    place
}

/// The same, with tunnels at `ports`, into a place that is there already.
#[inline(always)]
pub fn dissect_into<'a>(frame: &Frame<'a>, ports: &TunnelPorts, place: &mut Dissected<'a>) {
    if fast::dissect_into(frame, ports, place).is_none() {
        *place = dissect_general(frame, ports);
    }
}

/// The same without the short cut for the common shape.
#[must_use]
pub fn dissect_general<'a>(frame: &Frame<'a>, ports: &TunnelPorts) -> Dissected<'a> {
    let mut context = Context {
        at: frame.at,
        zone: Zone::default(),
        macs: None,
        tunnel: None,
        headers: 0,
        ip_headers: 0,
        tags: 0,
        hop_limit: 0,
        cut: (frame.wire_len as usize) > frame.bytes.len(),
        missing: frame.wire_len.saturating_sub(u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX)),
        own_tunnels: ports.own(),
    };
    match link::first(frame.link_type, frame.bytes, &mut context) {
        Ok(layer) => walk(layer, context),
        Err(outcome) => Dissected::Other(outcome),
    }
}

/// Goes on with what was put together from fragments.
#[must_use]
pub fn dissect_datagram<'p>(datagram: &Datagram<'p>) -> Dissected<'p> {
    walk(Layer::Carried(datagram.carried()), datagram.whole.context)
}

fn walk<'a>(mut layer: Layer<'a>, mut context: Context) -> Dissected<'a> {
    loop {
        context.headers += 1;
        if context.headers > HEADERS_MAX {
            return Dissected::Other(Outcome::NestedTooDeep);
        }
        let step = match layer {
            Layer::Ethernet(bytes) => link::ethernet(bytes, &mut context),
            Layer::EtherType(kind, bytes) => link::ether_type(kind, bytes, &mut context),
            Layer::Ip(bytes) => network::ip(bytes, &mut context),
            Layer::Ppp(bytes) => link::ppp(bytes, &context),
            Layer::Carried(carried) => transport::carried(carried, &mut context),
        };
        match step {
            Ok(Next::Layer(next)) => layer = next,
            Ok(Next::Segment(segment)) => return Dissected::Segment(segment),
            Ok(Next::Fragment(fragment)) => return Dissected::Fragment(fragment),
            Err(outcome) => return Dissected::Other(outcome),
        }
    }
}

impl Context {
    /// What a header that ends too early is: cut by the snap length, or malformed.
    const fn short(&self, malformed: Outcome) -> Outcome {
        if self.cut { Outcome::Truncated } else { malformed }
    }

    /// Notes that a tunnel was opened.
    fn enter(&mut self, kind: TunnelKind, src: std::net::IpAddr, dst: std::net::IpAddr, ports: Option<(u16, u16)>) {
        let depth = self.tunnel.map_or(0, |tunnel| tunnel.depth).saturating_add(1);
        self.tunnel = Some(match self.tunnel {
            Some(outermost) => Tunnel { depth, ..outermost },
            None => Tunnel { kind, src, dst, ports, depth },
        });
    }
}

/// Decodes frames one at a time, and keeps the fragments that belong together.
#[derive(Debug, Default)]
pub struct Decoder {
    /// `None`: the assigned ones.
    ports: Option<Arc<TunnelPorts>>,
    fragments: FragmentPool,
    /// Memory of the datagram that was put together last.
    whole: Vec<u8>,
}

impl Decoder {
    /// A decoder that opens tunnels at `ports`.
    #[must_use]
    pub fn with_tunnels(ports: &Arc<TunnelPorts>) -> Self {
        Self { ports: Some(Arc::clone(ports)), ..Self::default() }
    }

    /// Where tunnels are opened.
    #[inline(always)]
    #[must_use]
    pub fn ports(&self) -> &TunnelPorts {
        self.ports.as_deref().unwrap_or(&tunnel_ports::ASSIGNED)
    }

    /// The segment that `frame` brings, or completes.
    ///
    /// # Errors
    /// The packet's outcome when there is none.
    pub fn decode<'d>(&'d mut self, frame: &Frame<'d>) -> Result<Segment<'d>, Outcome> {
        let mut dissected = Dissected::Other(Outcome::NotIp);
        dissect_into(frame, self.ports(), &mut dissected);
        match dissected {
            Dissected::Segment(segment) => Ok(segment),
            Dissected::Other(outcome) => Err(outcome),
            Dissected::Fragment(fragment) => self.resume(&fragment),
        }
    }

    /// The segment that a fragment completes.
    ///
    /// # Errors
    /// The packet's outcome when there is none.
    pub fn resume(&mut self, fragment: &Fragment<'_>) -> Result<Segment<'_>, Outcome> {
        let mut whole = self.fragments.accept(fragment, &mut self.whole)?;
        // A whole datagram may carry a tunnel with a fragment inside, and so on.
        for _ in 0..IP_HEADERS_MAX {
            let bytes = std::mem::take(&mut self.whole);
            match dissect_datagram(&Datagram { bytes: &bytes, whole }) {
                // The memory goes to the inner datagram; this one is rare enough to take new memory.
                Dissected::Fragment(inner) => whole = self.fragments.accept(&inner, &mut self.whole)?,
                Dissected::Other(outcome) => {
                    self.whole = bytes;
                    return Err(outcome);
                }
                Dissected::Segment(_) => {
                    self.whole = bytes;
                    // Once more, so that the segment borrows the memory that stays.
                    return match dissect_datagram(&Datagram { bytes: &self.whole, whole }) {
                        Dissected::Segment(segment) => Ok(segment),
                        _ => Err(Outcome::MalformedTransport),
                    };
                }
            }
        }
        Err(Outcome::NestedTooDeep)
    }

    /// What was dropped at a bound, under the bound's name.
    pub fn add_dropped(&self, total: &mut BTreeMap<&'static str, u64>) {
        self.fragments.add_dropped(total);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::sample::*;
    use super::*;
    use crate::capture::LinkType;
    use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    /// What etherparse reads in a frame, in the words of [`said`], with VLAN tags before.
    fn by_etherparse(frame: &[u8]) -> String {
        let sliced = SlicedPacket::from_ethernet(frame).unwrap();
        let tags: Vec<_> = sliced.vlan_ids().iter().map(|id| id.value()).collect();
        let (src, dst) = match sliced.net.as_ref().unwrap() {
            NetSlice::Ipv4(ip) => (ip.header().source_addr().to_string(), ip.header().destination_addr().to_string()),
            NetSlice::Ipv6(ip) => (ip.header().source_addr().to_string(), ip.header().destination_addr().to_string()),
            NetSlice::Arp(_) => panic!("not IP"),
        };
        let (ports, protocol, rest, payload) = match sliced.transport.as_ref().unwrap() {
            TransportSlice::Tcp(tcp) => (
                (tcp.source_port(), tcp.destination_port()),
                6,
                format!("{} {}", tcp.sequence_number(), tcp.acknowledgment_number()),
                tcp.payload().to_vec(),
            ),
            TransportSlice::Udp(udp) => {
                ((udp.source_port(), udp.destination_port()), 17, String::new(), udp.payload().to_vec())
            }
            other => panic!("{other:?}"),
        };
        format!("{tags:?} {src}:{}>{dst}:{}/{protocol} {rest} {payload:?}", ports.0, ports.1)
    }

    fn by_us(frame_bytes: &[u8]) -> String {
        let Dissected::Segment(segment) = agrees(&frame(LinkType::ETHERNET, frame_bytes)) else { panic!() };
        let tags: Vec<_> = segment.zone.vlan.into_iter().chain(segment.zone.inner_vlan).collect();
        let five = segment.five_tuple;
        let rest = match segment.transport {
            Transport::Tcp { seq, ack, .. } => format!("{seq} {ack}"),
            Transport::Udp => String::new(),
        };
        assert_eq!(segment.payload_len as usize, segment.payload.len());
        format!(
            "{tags:?} {}:{}>{}:{}/{} {rest} {:?}",
            five.src, five.src_port, five.dst, five.dst_port, five.protocol, segment.payload
        )
    }

    proptest! {
        #[test]
        fn etherparse_reads_the_same(
            tags in prop::collection::vec(1_u16..4095, 0..3),
            version in 0..3,
            ip_options in 0_usize..11,
            tcp_options in 0_usize..11,
            is_tcp: bool,
            ports: (u16, u16),
            numbers: (u32, u32),
            addresses: ([u8; 16], [u8; 16]),
            payload in prop::collection::vec(any::<u8>(), 0..200),
            padding in 0_usize..20,
        ) {
            // A tunnel's port: etherparse does not look into those, and we must.
            prop_assume!(!tunnel_ports::assigned::ALL.iter().any(|port| [ports.0, ports.1].contains(port)));
            let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
            let (src, dst) = addresses;
            let id = |at: usize| tags[at].try_into().unwrap();
            let headers = if version == 0 {
                let mut ip = etherparse::Ipv4Header::new(0, 64, etherparse::IpNumber::UDP, src[..4].try_into().unwrap(), dst[..4].try_into().unwrap()).unwrap();
                ip.options = vec![1; 4 * ip_options].as_slice().try_into().unwrap();
                etherparse::IpHeaders::Ipv4(ip, Default::default())
            } else {
                let ip = etherparse::Ipv6Header { hop_limit: 9, source: src, destination: dst, ..Default::default() };
                let mut extensions = etherparse::Ipv6Extensions::default();
                if version == 2 {
                    let raw = etherparse::Ipv6RawExtHeader::new_raw(etherparse::IpNumber::UDP, &[1, 4, 0, 0, 0, 0]).unwrap();
                    extensions.hop_by_hop_options = Some(raw.clone());
                    extensions.destination_options = Some(raw);
                }
                etherparse::IpHeaders::Ipv6(ip, extensions)
            };
            let builder = match tags.len() {
                0 => link.ip(headers),
                1 => link.single_vlan(id(0)).ip(headers),
                _ => link.double_vlan(id(0), id(1)).ip(headers),
            };
            let mut bytes = Vec::new();
            if is_tcp {
                let options = vec![1; 4 * tcp_options];
                let tcp = builder.tcp(ports.0, ports.1, numbers.0, 1024).ack(numbers.1).options_raw(&options).unwrap();
                tcp.write(&mut bytes, &payload).unwrap();
            } else {
                builder.udp(ports.0, ports.1).write(&mut bytes, &payload).unwrap();
            }
            bytes.resize(bytes.len() + padding, 0);
            prop_assert_eq!(by_us(&bytes), by_etherparse(&bytes));
        }

        #[test]
        fn no_bytes_panic_on_any_link_type(
            link_type in prop::sample::select((0..=300).chain([9999]).collect::<Vec<u16>>()),
            bytes in prop::collection::vec(any::<u8>(), 0..120),
            missing in 0_u32..3,
        ) {
            let frame = Frame { wire_len: bytes.len() as u32 + missing, ..frame(LinkType(link_type), &bytes) };
            agrees(&frame);
        }
    }

    #[test]
    fn nested_headers_end_somewhere() {
        let mut packet = tcp4();
        for _ in 0..7 {
            packet = ipv4(4, &packet);
        }
        assert_eq!(segment(LinkType::RAW, &packet).tunnel.unwrap().depth, 7);
        assert_eq!(outcome(LinkType::RAW, &ipv4(4, &packet)), Outcome::NestedTooDeep);
        let mut body = tcp4();
        let mut kind = 0x0800;
        for _ in 0..40 {
            body = tag(5, kind, &body);
            kind = 0x8100;
        }
        assert_eq!(outcome(LinkType::ETHERNET, &ethernet(0x8100, &body)), Outcome::NestedTooDeep);
    }

    #[test]
    fn the_decoder_goes_on_behind_fragments_within_fragments() {
        // An IPv4 packet in two fragments, and the first of them in two fragments of an outer packet.
        let fragment = |protocol: u8, id: u8, word: u16, body: &[u8]| {
            let mut packet = ipv4(protocol, body);
            packet[5] = id;
            packet[6..8].copy_from_slice(&word.to_be_bytes());
            packet
        };
        let datagram = udp(5, 6, b"0123456789abcdef");
        let (first, second) = datagram.split_at(16);
        let inner = fragment(17, 1, 0x2000, first);
        let mut decoder = Decoder::default();
        for packet in [fragment(4, 2, 0x2000, &inner[..24]), fragment(4, 2, 3, &inner[24..])] {
            assert_eq!(decoder.decode(&frame(LinkType::RAW, &packet)).unwrap_err(), Outcome::FragmentHeld);
        }
        let last = fragment(17, 1, 2, second);
        let segment = decoder.decode(&frame(LinkType::RAW, &last)).unwrap();
        assert_eq!(said(&segment), "10.0.0.1:5>10.0.0.2:6/17 0123456789abcdef");
        assert_eq!(segment.tunnel.unwrap().depth, 1);
    }
}
