//! The shape of a line, in EVE's own spellings and roughly in Suricata's order.

use super::application::ApplicationRecord;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Serialize)]
pub(super) struct Record<'a> {
    pub timestamp: String,
    pub flow_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcap_cnt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_iface: Option<Cow<'a, str>>,
    pub event_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlan: Vec<u16>,
    pub src_ip: String,
    pub src_port: u16,
    pub dest_ip: String,
    pub dest_port: u16,
    pub proto: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_v: Option<u8>,
    pub pkt_src: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelRecord>,
    pub community_id: String,
    pub tx_id: u32,
    pub alert: AlertRecord<'a>,
    #[serde(flatten)]
    pub application: Option<ApplicationRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_proto: Option<&'static str>,
    pub direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcap_filename: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
pub(super) struct TunnelRecord {
    pub src_ip: String,
    pub dest_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<&'static str>,
    pub depth: u8,
}

#[derive(Serialize)]
pub(super) struct AlertRecord<'a> {
    pub action: &'static str,
    pub gid: u32,
    pub signature_id: u32,
    pub rev: u32,
    pub signature: String,
    pub category: &'static str,
    pub severity: u8,
    pub source: End,
    pub target: End,
    pub metadata: Metadata<'a>,
}

#[derive(Serialize)]
pub(super) struct End {
    pub ip: String,
    pub port: u16,
}

/// Arrays of strings, all of them: some readers know nothing else here.
#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affected_product: Vec<Cow<'a, str>>,
    pub confidence: [&'static str; 1],
    pub signature_severity: [&'static str; 1],
    pub created_at: [Cow<'a, str>; 1],
    pub updated_at: [Cow<'a, str>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_product_basis: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kaspector_engine_in: Vec<Cow<'a, str>>,
    pub kaspector_uid: [String; 1],
    pub kaspector_finding: [String; 1],
    pub kaspector_service: [&'static str; 1],
    pub kaspector_strength: [&'static str; 1],
    pub kaspector_indicator: [Cow<'a, str>; 1],
    pub kaspector_seen_as: [&'static str; 1],
    pub kaspector_reached: [&'static str; 1],
    pub kaspector_field: [&'static str; 1],
    pub kaspector_observed: [Cow<'a, str>; 1],
    pub kaspector_signature_set: [Cow<'a, str>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_count: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_bytes: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_verdict: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_verdict_before: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_known_since: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_host_name: Option<[Cow<'a, str>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_silent_since: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_log: Option<[Cow<'a, str>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_line: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kaspector_truncated: Option<[&'static str; 1]>,
}

#[derive(Serialize)]
pub(super) struct FlowRecord {
    pub pkts_toserver: u64,
    pub pkts_toclient: u64,
    pub bytes_toserver: u64,
    pub bytes_toclient: u64,
    pub start: String,
    pub src_ip: String,
    pub dest_ip: String,
    pub src_port: u16,
    pub dest_port: u16,
}

/// Products that a line keeps when it has to be cut.
const PRODUCTS_MAX: usize = 16;

impl Record<'_> {
    /// Cuts every value of free length to `limit` bytes, and says so.
    pub fn shorten(&mut self, limit: usize) {
        let metadata = &mut self.alert.metadata;
        metadata.affected_product.truncate(PRODUCTS_MAX);
        metadata.kaspector_engine_in.truncate(PRODUCTS_MAX);
        metadata.kaspector_truncated = Some(["true"]);
        let texts = metadata
            .affected_product
            .iter_mut()
            .chain(&mut metadata.kaspector_engine_in)
            .chain(&mut metadata.created_at)
            .chain(&mut metadata.updated_at)
            .chain(&mut metadata.kaspector_indicator)
            .chain(&mut metadata.kaspector_observed)
            .chain(&mut metadata.kaspector_signature_set)
            .chain(metadata.kaspector_log.iter_mut().flatten())
            .chain(metadata.kaspector_host_name.iter_mut().flatten())
            .chain(&mut self.pcap_filename)
            .chain(self.application.iter_mut().flat_map(ApplicationRecord::texts));
        for text in texts {
            cut(text, limit);
        }
    }
}

pub(super) fn cut(text: &mut Cow<'_, str>, limit: usize) {
    let end = text.floor_char_boundary(limit);
    match text {
        Cow::Borrowed(text) => *text = text.get(..end).unwrap_or_default(),
        Cow::Owned(text) => text.truncate(end),
    }
}
