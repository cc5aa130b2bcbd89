//! What crosses the border: plain structs. Their fields only ever grow at the end, so nothing depends on their size but [`Packet`] and
//! [`Text`], which stay as they are, and [`Options`], which carries its size.

use crate::handle::Handle;
use std::ffi::c_char;

/// How a call ended. Below zero: an error, and kaspector_message says where, what, and what to do.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum Status {
    /// As it should.
    KASPECTOR_OK = 0,
    /// An argument cannot be what it is, for example NULL. Nothing was done.
    KASPECTOR_ERROR_ARGUMENT = -1,
    /// The signature files cannot be read or are wrong.
    KASPECTOR_ERROR_SIGNATURES = -2,
    /// A capture file cannot be read, or not to its end. What came before the damage was read, and its hosts and alerts are there.
    KASPECTOR_ERROR_CAPTURE = -3,
    /// The call comes out of turn. Nothing was done.
    KASPECTOR_ERROR_ORDER = -4,
    /// Another thread is in a call with the same detector. Nothing was done.
    KASPECTOR_ERROR_BUSY = -5,
    /// A defect of the library, or no memory for the table of flows. The detector answers nothing else any more: free it.
    KASPECTOR_ERROR_PANICKED = -6,
}

/// A text in UTF-8. A zero byte follows it; one may also stand in it, since observed values come from the network.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The first byte; never NULL.
    pub data: *const c_char,
    /// Bytes without the zero byte behind them.
    pub len: usize,
}

/// One captured packet. Its bytes are read during the call alone.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// When it was captured, in nanoseconds since 1970. The only clock that the detector knows.
    pub ts_ns: u64,
    /// How its first header is to be read: a LINKTYPE_ number, 1 for Ethernet. What pcap_datalink gives serves as well.
    pub link_type: u32,
    /// Bytes captured.
    pub caplen: u32,
    /// Bytes on the wire; less than caplen counts as caplen.
    pub wirelen: u32,
    /// The captured bytes; may be NULL if there are none.
    pub data: *const u8,
}

/// How a detector is to be. Fill it by kaspector_options_init, then set what is to differ.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of this struct, as the program was compiled with it.
    pub size: usize,
    /// Folder of signature files that take the place of the built-in ones; NULL: the built-in ones.
    pub signatures: *const c_char,
    /// Folder of signature files that are used besides; NULL: none.
    pub extra_signatures: *const c_char,
    /// A detector whose signatures are to be used; they are then loaded once for both. NULL: none. It may be freed before this one.
    pub share_signatures: *mut Handle,
    /// Where packets that are fed come from, as EVE lines and JSON name it; NULL: "packets".
    pub source: *const c_char,
    /// What tells this run from others. Identifiers of alerts follow from it, so with the same packets and the same run they are the same.
    pub run: [u8; 32],
    /// Key of the flow hash; 0: a constant one. Live traffic wants a random one, so that nobody can aim at one bucket.
    pub seed: u64,
    /// Keep no alerts, only hosts.
    pub without_alerts: bool,
    /// Whose readers the EVE lines are for: Suricata 7 or 8; 0: 7.
    pub eve_version: u8,
    /// Bounds of each of the 8 lanes; 0: the default. Flows that carry payload: 131072.
    pub flows: usize,
    /// TCP flows without payload: 16384.
    pub half_open_flows: usize,
    /// UDP flows in no known protocol: 65536; those of the port of DNS have 8192 of their own.
    pub datagram_flows: usize,
    /// TCP connections whose payload is read at once: 4096.
    pub conversations: usize,
    /// QUIC connections whose hello is incomplete: 2048.
    pub initials: usize,
    /// Bytes held back until others arrive: 8 MiB.
    pub held_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: size_of::<Self>(),
            signatures: std::ptr::null(),
            extra_signatures: std::ptr::null(),
            share_signatures: std::ptr::null_mut(),
            source: std::ptr::null(),
            run: [0; 32],
            seed: 0,
            without_alerts: false,
            eve_version: 0,
            flows: 0,
            half_open_flows: 0,
            datagram_flows: 0,
            conversations: 0,
            initials: 0,
            held_bytes: 0,
        }
    }
}

/// An IP address.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// 4 or 6.
    pub version: u8,
    /// 4 or 16 bytes in network order, then zeros.
    pub bytes: [u8; 16],
    /// The same as text.
    pub text: Text,
}

/// A machine: its address within its tenant.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HostId {
    /// The address.
    pub address: Address,
    /// Outermost VLAN tag; -1: none.
    pub vlan: i32,
    /// Second VLAN tag; -1: none.
    pub inner_vlan: i32,
    /// Identifier of the virtual network (VXLAN, GENEVE, NVGRE); -1: none.
    pub vni: i32,
}

/// Evidence at the moment when it was first seen: one for each host, indicator, field and flow.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Alert {
    /// Time of the packet that showed it.
    pub ts_ns: u64,
    /// Number of that packet, from 1.
    pub packet: u64,
    /// The machine that it is about.
    pub host: HostId,
    /// Whether that is the server of the flow.
    pub host_is_server: bool,
    /// Who opened the flow.
    pub client: Address,
    /// Its port.
    pub client_port: u16,
    /// The other side.
    pub server: Address,
    /// Its port.
    pub server_port: u16,
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
    /// Identifier of the indicator: KL-UPD-0001.
    pub indicator: Text,
    /// Its category: update, reputation, ...
    pub category: Text,
    /// What it proves: installed, ambiguous or browse.
    pub strength: Text,
    /// How close: contact, lookup or hint.
    pub seen_as: Text,
    /// How far it came: attempted, established, refused or data-exchanged.
    pub reached: Text,
    /// Where in the traffic: tls.sni, dns.query, ...
    pub field: Text,
    /// What stood there, at most 255 bytes.
    pub observed: Text,
}

/// What the evidence of a host adds up to.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum VerdictCode {
    /// The host contacted what only the software contacts.
    KASPECTOR_CONFIRMED = 1,
    /// It looked a name up, or there are other explanations.
    KASPECTOR_SUSPECTED = 2,
    /// Somebody visited the vendor's web pages.
    KASPECTOR_BROWSING = 3,
}

/// A host with evidence.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// The machine.
    pub id: HostId,
    /// Its verdict.
    pub verdict: VerdictCode,
    /// The same as text: confirmed, suspected or browsing.
    pub verdict_name: Text,
    /// How sure, in per cent.
    pub confidence: u8,
    /// What it is to this traffic: endpoint, relay, server or gateway.
    pub role: Text,
    /// Its own link-layer address as text; empty where none is known.
    pub mac: Text,
    /// Time of the first evidence.
    pub first_seen_ns: u64,
    /// Time of the last evidence.
    pub last_seen_ns: u64,
    /// Flows with evidence.
    pub flows: u64,
    /// Bytes on the wire that it sent in them.
    pub bytes_sent: u64,
    /// Bytes on the wire that it received in them.
    pub bytes_received: u64,
    /// Products that the evidence names. Where several fit, kaspector_host_json says which lists one is meant of.
    pub products: *const Text,
    /// How many.
    pub products_count: usize,
    /// Pieces of evidence, for kaspector_evidence_at.
    pub evidence_count: usize,
}

/// All evidence of one host with the same indicator, field, value and server.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Identifier of the indicator: KL-UPD-0001.
    pub indicator: Text,
    /// Its category: update, reputation, ...
    pub category: Text,
    /// What it proves: installed, ambiguous or browse.
    pub strength: Text,
    /// How close: contact, lookup or hint.
    pub seen_as: Text,
    /// How far it came: attempted, established, refused or data-exchanged.
    pub reached: Text,
    /// Where in the traffic: tls.sni, dns.query, ...
    pub field: Text,
    /// What stood there, at most 255 bytes.
    pub observed: Text,
    /// How often.
    pub count: u64,
    /// Time of the first.
    pub first_seen_ns: u64,
    /// Time of the last.
    pub last_seen_ns: u64,
    /// The server of the flow.
    pub server: Address,
    /// Its port.
    pub server_port: u16,
    /// Number of the first packet that showed it.
    pub packet: u64,
}

/// What a counter counts.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum CounterKind {
    /// Packets, bytes and flows in all.
    KASPECTOR_COUNTER_TOTAL = 1,
    /// Packets that ended so. Each packet has exactly one outcome.
    KASPECTOR_COUNTER_OUTCOME = 2,
    /// What was dropped at a bound of this name.
    KASPECTOR_COUNTER_DROPPED = 3,
}

/// One counter. Outcomes and bounds that count nothing are left out.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// What it counts.
    pub kind: CounterKind,
    /// Its name, as in the JSON of a scan.
    pub name: Text,
    /// How many.
    pub value: u64,
}
