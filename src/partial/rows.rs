//! What a row holds, as it is written. Times are nanoseconds since the Unix epoch; addresses and names of kinds are texts.

use serde::{Deserialize, Serialize};

/// One row: exactly one of these is there. What follows an input is what it showed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// [`super::schema::SCHEMA`], so that a file shows what it is at its beginning.
    pub schema: String,
    pub left_out: Option<LeftOutRow>,
    pub input: Option<InputRow>,
    pub host: Option<HostRow>,
    pub machine: Option<MachineRow>,
    pub link: Option<LinkRow>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LeftOutRow {
    pub kinds: Vec<Count>,
    pub scan: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Count {
    pub name: String,
    pub count: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct InputRow {
    pub path: String,
    pub digest: String,
    pub signatures: String,
    pub signatures_sha256: String,
    pub filter: Option<String>,
    pub packets: u64,
    pub bytes: u64,
    pub first_packet: Option<u64>,
    pub last_packet: Option<u64>,
    pub covered: Vec<Span>,
    pub cut: u64,
    pub lost: u64,
    pub link_types: Vec<u16>,
    pub error: Option<String>,
    pub unreadable: bool,
    pub defective: bool,
    pub log: Option<LogRow>,
    pub outcomes: Vec<Count>,
    pub flows: u64,
    pub connections_ended: u64,
    pub one_sided: u64,
    pub midstream: u64,
    pub encrypted_hellos: u64,
    pub unknown_quic_versions: u64,
    pub dropped: Vec<Count>,
    pub machines_dropped: u64,
    pub statements_dropped: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Span {
    pub first: u64,
    pub last: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LogRow {
    pub format: String,
    pub series: String,
    pub lines: u64,
    pub read: u64,
    pub others: u64,
    pub undirected: u64,
    pub malformed: u64,
    pub first_malformed: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ZoneRow {
    pub vlan: Option<u16>,
    pub inner_vlan: Option<u16>,
    pub vni: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct HostRow {
    pub address: String,
    pub zone: ZoneRow,
    pub links: Vec<LinkAddressRow>,
    pub evidence: Vec<EvidenceRow>,
    pub flows: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub resolves: Vec<String>,
    pub resolves_more: bool,
    pub connects: Vec<String>,
    pub connects_more: bool,
    pub hop_limits: Vec<HopLimitRow>,
    pub dropped: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct HopLimitRow {
    pub last_seen: Option<u64>,
    pub together: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LinkAddressRow {
    pub mac: String,
    pub first_seen: u64,
    pub last_seen: u64,
    pub is_next_hop: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct EvidenceRow {
    pub indicator: String,
    pub seen_as: String,
    pub connection_outcome: String,
    pub field: String,
    pub observed: String,
    pub count: u64,
    pub first_seen: u64,
    pub last_seen: u64,
    pub server: String,
    pub server_port: u16,
    pub relayed: bool,
    pub role: String,
    pub packet: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FlowsRow {
    pub named: u64,
    pub one_sided: u64,
    pub midstream: u64,
    pub unnamed: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct MachineRow {
    pub address: String,
    pub zone: ZoneRow,
    pub span: Option<Span>,
    pub flows: FlowsRow,
    pub is_resolver: bool,
    pub is_proxy: bool,
    pub has_evidence: bool,
    pub links: Vec<LinkAddressRow>,
    pub links_dropped: u32,
    pub flows_by_link: Vec<LinkFlowsRow>,
    pub identity: Option<IdentityRow>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LinkFlowsRow {
    pub mac: String,
    pub flows: FlowsRow,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LinkRow {
    pub mac: String,
    pub zone: ZoneRow,
    pub identity: Option<IdentityRow>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct IdentityRow {
    pub labels: Vec<LabelRow>,
    pub leases: Vec<LeaseRow>,
    pub last_said: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LabelRow {
    pub kind: String,
    pub source: String,
    pub text: String,
    pub first_seen: u64,
    pub last_seen: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LeaseRow {
    pub address: String,
    pub from: u64,
    pub until: u64,
}
