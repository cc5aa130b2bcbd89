//! What a host's evidence adds up to, for whoever reads it.

use super::{
    Alternatives, Category, Confidence, EvidenceLine, HostKey, IndicatorIndex, LinkAddress, Role, SignatureSet, Verdict,
};
use crate::capture::Timestamp;
use crate::decode::MacAddress;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a host's evidence adds up to.
///
/// Serialized, its keys are these fields. Enums are the words that their `name()` gives, times are nanoseconds since the Unix epoch,
/// addresses are text. The report of `kaspector scan --format json` is another form, with civil times and with what the indicators say.
///
/// ```
/// # use kaspector::matching::{Confidence, EvidenceLine, Field, HostFinding, HostKey, SeenAs, SignatureSet, Verdict};
/// # use kaspector::{capture::Timestamp, decode::Zone};
/// let signatures = SignatureSet::builtin();
/// # let host = HostKey { address: [10, 0, 0, 5].into(), zone: Zone::default() };
/// # let (name, server) = ("s07.upd.kaspersky.com", ([203, 0, 113, 10].into(), 443));
/// # let indicator = signatures.match_name(name).expect("it is in the set");
/// # let mut finding = HostFinding::new(host, Verdict::Confirmed, Confidence(90));
/// # finding.evidence.push(EvidenceLine::new(indicator, SeenAs::Contact, Field::TlsSni, name, server, Timestamp(0)));
/// let json = serde_json::to_string(&finding.with_ids(&signatures))?;
/// assert!(json.contains(r#""verdict":"confirmed""#) && json.contains(r#""indicator":"KL-UPD-"#));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// `I` names the indicators of the evidence: by their index in the set in use, or ([`Self::with_ids`]) by their id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostFinding<I = IndicatorIndex> {
    /// The host.
    pub host: HostKey,
    /// Its own link-layer address, as the capture point saw it; the one seen last, if it had several.
    pub mac: Option<MacAddress>,
    /// The link-layer address of the router on the way to it; the one seen last, if there were several.
    pub next_hop_mac: Option<MacAddress>,
    /// All link-layer addresses that it was seen with, by the time at which they were seen first.
    pub macs: Vec<LinkAddress>,
    /// The strongest verdict that its evidence supports.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Confidence,
    /// What the host is to this traffic.
    pub role: Role,
    /// What a reader should know besides; it moves neither verdict nor confidence.
    pub notes: Vec<String>,
    /// Categories of its evidence.
    pub categories: BTreeSet<Category>,
    /// Products that its evidence names.
    #[serde(serialize_with = "shared")]
    pub products: Arc<Alternatives>,
    /// Products of other vendors with the engine inside, that its evidence names.
    #[serde(serialize_with = "shared")]
    pub engine_in: Arc<Alternatives>,
    /// First evidence.
    pub first_seen: Timestamp,
    /// Last evidence.
    pub last_seen: Timestamp,
    /// Flows with evidence.
    pub flows: u64,
    /// Bytes that the host sent in them, as on the wire.
    pub bytes_sent: u64,
    /// Bytes that it received in them, as on the wire.
    pub bytes_received: u64,
    /// Strongest first.
    pub evidence: Vec<EvidenceLine<I>>,
}

/// As what is shared is serialized by itself.
fn shared<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(serializer)
}

impl<I> HostFinding<I> {
    /// A finding without evidence; nothing more is known of the host.
    #[must_use]
    pub fn new(host: HostKey, verdict: Verdict, confidence: Confidence) -> Self {
        Self {
            host,
            mac: None,
            next_hop_mac: None,
            macs: Vec::new(),
            verdict,
            confidence,
            role: Role::Endpoint,
            notes: Vec::new(),
            categories: BTreeSet::new(),
            products: Arc::default(),
            engine_in: Arc::default(),
            first_seen: Timestamp(0),
            last_seen: Timestamp(0),
            flows: 0,
            bytes_sent: 0,
            bytes_received: 0,
            evidence: Vec::new(),
        }
    }
}

impl HostFinding {
    /// The same, with indicators by id (`KL-UPD-0001`), which means something outside of this process, too.
    ///
    /// # Panics
    /// When it was found with another set than `signatures` or one that it succeeds.
    #[must_use]
    pub fn with_ids<'s>(&self, signatures: &'s SignatureSet) -> HostFinding<&'s str> {
        let Self { host, mac, next_hop_mac, macs, verdict, confidence, role, notes, categories, .. } = self;
        let Self { products, engine_in, first_seen, last_seen, flows, bytes_sent, bytes_received, .. } = self;
        HostFinding {
            host: *host,
            mac: *mac,
            next_hop_mac: *next_hop_mac,
            macs: macs.clone(),
            verdict: *verdict,
            confidence: *confidence,
            role: *role,
            notes: notes.clone(),
            categories: categories.clone(),
            products: Arc::clone(products),
            engine_in: Arc::clone(engine_in),
            first_seen: *first_seen,
            last_seen: *last_seen,
            flows: *flows,
            bytes_sent: *bytes_sent,
            bytes_received: *bytes_received,
            evidence: self.evidence.iter().map(|line| line.with_ids(signatures)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::capture::CaptureFile;
    use crate::pipeline::Detector;
    use serde_json::json;
    use std::sync::Arc;

    /// What is written to disk by others has to stay: a key that is renamed or lost breaks who reads it.
    #[test]
    fn a_finding_as_json() {
        let signatures = Arc::new(SignatureSet::builtin());
        let mut detector = Detector::new(&signatures);
        let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/pcaps/dns-then-tls.pcap");
        for block in CaptureFile::open(capture).unwrap().blocks() {
            detector.feed_block(block.unwrap().view(), |_| true);
        }
        let findings = detector.finish();
        let host = &findings.host_findings(&signatures)[0];
        let mut json = serde_json::to_value(host.with_ids(&signatures)).unwrap();
        let products = json["products"].take();
        let (asked, hello, answered) =
            (1_795_491_549_279_629_000_u64, 1_795_491_549_282_012_000_u64, 1_795_491_549_279_680_000_u64);
        let expected = json!({
            "host": {"address": "10.20.0.5", "zone": {"vlan": null, "inner_vlan": null, "vni": null}},
            "mac": "1a:52:6c:ee:93:90",
            "next_hop_mac": null,
            "macs": [
                {"mac": "1a:52:6c:ee:93:90", "first_seen": asked, "last_seen": hello, "is_next_hop": false}
            ],
            "verdict": "confirmed",
            "confidence": 95,
            "role": "endpoint",
            "notes": [],
            "categories": ["update"],
            "products": null,
            "engine_in": {"all": [], "one_of": []},
            "first_seen": asked,
            "last_seen": hello,
            "flows": 2,
            "bytes_sent": 1426,
            "bytes_received": 2438,
            "evidence": [
                {
                    "indicator": "KL-UPD-0001",
                    "seen_as": "contact",
                    "connection_outcome": "data-exchanged",
                    "field": "tls.sni",
                    "observed": "s07.upd.kaspersky.com",
                    "count": 1,
                    "first_seen": hello,
                    "last_seen": hello,
                    "server": "198.51.100.10",
                    "server_port": 443,
                    "relayed": false,
                    "role": "endpoint",
                    "example": {"input": 0, "packet": 8}
                },
                {
                    "indicator": "KL-UPD-0001",
                    "seen_as": "lookup",
                    "connection_outcome": "data-exchanged",
                    "field": "dns.query",
                    "observed": "s07.upd.kaspersky.com",
                    "count": 2,
                    "first_seen": asked,
                    "last_seen": answered,
                    "server": "10.20.0.53",
                    "server_port": 53,
                    "relayed": false,
                    "role": "endpoint",
                    "example": {"input": 0, "packet": 1}
                }
            ]
        });
        assert_eq!(json, expected);
        assert_eq!(products["all"].as_array().unwrap().len(), products["one_of"][0].as_array().unwrap().len());
        let findings = serde_json::to_value(&findings).unwrap();
        assert_eq!((&findings["outcomes"], &findings["flows"]), (&json!({"inspected": 20}), &json!(2)));
        assert_eq!(findings["hosts"][0]["host"], expected["host"]);
        assert_eq!(findings["alerts"][0]["flow"]["client_mac"], "1a:52:6c:ee:93:90");
        assert_eq!(findings["alerts"][0]["application"]["protocol"], "dns");
    }
}
