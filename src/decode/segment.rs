//! What leaves this room: a TCP segment or a UDP datagram, with what separates its tenant from others.

use crate::capture::Timestamp;
use serde::{Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

/// Source and destination of one packet, as on the wire; the flow's key is the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
}

impl FiveTuple {
    /// TCP's IP protocol number.
    pub const TCP: u8 = 6;
    /// UDP's IP protocol number.
    pub const UDP: u8 = 17;
}

/// What separates one tenant's addresses from another's: the VLAN tags and the virtual network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Zone {
    /// Outermost 802.1Q or 802.1ad tag, 12 bits. Priority-tagged frames (tag 0) count as untagged.
    pub vlan: Option<u16>,
    /// Second tag, when there is one.
    pub inner_vlan: Option<u16>,
    /// VXLAN or GENEVE network identifier, or NVGRE subnet identifier, 24 bits; the innermost one.
    pub vni: Option<u32>,
}

/// In one word, since hosts and flows are looked up by it all the time: no two zones have the same.
impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let tag = |tag: Option<u16>| tag.map_or(0, |tag| u64::from(tag) + 1);
        let vni = self.vni.map_or(0, |vni| u64::from(vni) + 1);
        state.write_u64(tag(self.vlan) | tag(self.inner_vlan) << 17 | vni.rotate_right(30));
    }
}

/// A link-layer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

/// Lower case, with colons.
impl fmt::Display for MacAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// As text, as [`Display`](fmt::Display) writes it.
impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is no link-layer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected six bytes in hexadecimal, separated by colons")]
pub struct NoMacAddress;

impl FromStr for MacAddress {
    type Err = NoMacAddress;

    fn from_str(text: &str) -> Result<Self, NoMacAddress> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            *byte = parts.next().and_then(|part| u8::from_str_radix(part, 16).ok()).ok_or(NoMacAddress)?;
        }
        if parts.next().is_some() { Err(NoMacAddress) } else { Ok(Self(bytes)) }
    }
}

/// Encapsulations that we open. Serialized, words such as `vxlan`, `ip-in-ip`, `gtp-u`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TunnelKind {
    /// RFC 2784, 2890 and NVGRE (RFC 7637), also in UDP (RFC 8086).
    Gre,
    /// Cisco ERSPAN I, II, III.
    Erspan,
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
    /// IPv4 or IPv6 in IPv4 or IPv6 (RFC 2003, 2473, 4213).
    IpInIp,
    /// GTPv1-U (3GPP TS 29.281).
    GtpU,
    /// RFC 4380.
    Teredo,
    /// RFC 2661.
    L2tp,
    /// The Tazmen sniffer protocol, in which access points and routers mirror frames.
    Tzsp,
}

/// The outermost tunnel that a packet arrived in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Tunnel {
    /// Kind of the outermost tunnel.
    pub kind: TunnelKind,
    /// Outer source address.
    pub src: IpAddr,
    /// Outer destination address.
    pub dst: IpAddr,
    /// Outer ports, for tunnels over UDP.
    pub ports: Option<(u16, u16)>,
    /// How many tunnels were opened, from 1.
    pub depth: u8,
}

/// TCP control bits (RFC 9293 section 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// Acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// Urgent pointer is significant.
    pub const URG: u8 = 0x20;
}

/// What the transport header says beyond ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Sequence number of the first payload byte (of the SYN itself when it is set), acknowledgement, control bits.
    Tcp {
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Control bits, see [`tcp_flags`].
        flags: u8,
    },
    /// Nothing more.
    Udp,
}

/// A TCP segment or a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// When it was captured; for a datagram put together from fragments, when the last of them was.
    pub at: Timestamp,
    /// Source and destination, as on the wire, of the innermost IP header.
    pub five_tuple: FiveTuple,
    /// Tenant.
    pub zone: Zone,
    /// What the transport header says.
    pub transport: Transport,
    /// Bytes that the headers promise; more than `payload.len()` when the snap length cut the packet.
    pub payload_len: u32,
    /// The TCP header with its options, as far as captured; empty for UDP.
    pub header: &'a [u8],
    /// Application bytes, without link-layer padding.
    pub payload: &'a [u8],
    /// Source and destination of the innermost link header that has addresses.
    pub macs: Option<(MacAddress, MacAddress)>,
    /// The tunnel it came in.
    pub tunnel: Option<Tunnel>,
    /// Hop limit, or time to live, that was left in the innermost IP header.
    pub hop_limit: u8,
}
