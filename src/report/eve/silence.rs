//! The record of a host that has shown nothing for long, in EVE's own spellings.
//!
//! It is an alert without a flow, as Suricata writes for what has no addresses: nothing was seen, and that is the message.

use super::record::cut;
use super::{EveCompat, address, signature, time, underscored};
use crate::uid::{finding_id, silence_uid};
use kaspector::capture::Timestamp;
use kaspector::matching::{HostFinding, SignatureSet};
use serde::Serialize;
use std::borrow::Cow;
use ulid::Ulid;

/// A host that has shown nothing since its last evidence.
#[derive(Clone, Copy, Debug)]
pub struct EveSilence<'a> {
    /// What was known of it.
    pub finding: &'a HostFinding,
    /// Its first evidence.
    pub known_since: Option<Timestamp>,
    /// Since when the sensor has listened, and would have heard it.
    pub listening_since: Timestamp,
}

impl EveSilence<'_> {
    /// The ULID of the record, which `run` and the host's last evidence identify.
    #[must_use]
    pub fn uid(&self, at: Timestamp, run: &[u8; 32]) -> Ulid {
        silence_uid(&self.finding.host, self.finding.last_seen, at, run)
    }

    /// The record as one line, without its end.
    ///
    /// # Panics
    /// Never: it has only texts and numbers.
    #[must_use]
    pub fn line(&self, at: Timestamp, run: &[u8; 32], signatures: &SignatureSet, compat: EveCompat) -> String {
        let finding = self.finding;
        let zone = finding.host.zone;
        let products: Vec<String> = finding.products.all.iter().cloned().collect();
        let mut affected = underscored(&products);
        affected.iter_mut().for_each(|product| cut(product, PRODUCT_BYTES_MAX));
        affected.truncate(PRODUCTS_MAX);
        let ip = address(finding.host.address);
        let record = Record {
            timestamp: time(at),
            event_type: "alert",
            vlan: zone.vlan.into_iter().chain(zone.inner_vlan).collect(),
            src_ip: ip.clone(),
            ip_v: (compat == EveCompat::V8).then_some(if finding.host.address.is_ipv4() { 4 } else { 6 }),
            alert: AlertRecord {
                action: "allowed",
                gid: 1,
                signature_id: signature::SILENCE,
                rev: 1,
                signature: "KASPECTOR silence: host shows nothing any more",
                category: "Potential Corporate Privacy Violation",
                severity: 3,
                target: Target { ip },
                metadata: Metadata {
                    affected_product: affected,
                    signature_severity: ["Informational"],
                    kaspector_uid: [self.uid(at, run).to_string()],
                    kaspector_finding: [finding_id(&finding.host)],
                    kaspector_service: finding.categories.iter().map(|category| category.name()).collect(),
                    kaspector_signature_set: [signatures.version()],
                    kaspector_verdict: [finding.verdict.name()],
                    kaspector_known_since: self.known_since.map(|since| [time(since)]),
                    kaspector_silent_since: [time(finding.last_seen)],
                    kaspector_listening_since: [time(self.listening_since)],
                },
            },
        };
        serde_json::to_string(&record).expect("numbers and texts can be written")
    }
}

/// Products that a record names, and bytes of each: no set makes a line longer than the others are.
const PRODUCTS_MAX: usize = 64;
const PRODUCT_BYTES_MAX: usize = 128;

#[derive(Serialize)]
struct Record<'a> {
    timestamp: String,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vlan: Vec<u16>,
    src_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_v: Option<u8>,
    alert: AlertRecord<'a>,
}

#[derive(Serialize)]
struct AlertRecord<'a> {
    action: &'static str,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: &'static str,
    category: &'static str,
    severity: u8,
    target: Target,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Target {
    ip: String,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    affected_product: Vec<Cow<'a, str>>,
    signature_severity: [&'static str; 1],
    kaspector_uid: [String; 1],
    kaspector_finding: [String; 1],
    kaspector_service: Vec<&'static str>,
    kaspector_signature_set: [&'a str; 1],
    kaspector_verdict: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    kaspector_known_since: Option<[String; 1]>,
    kaspector_silent_since: [String; 1],
    kaspector_listening_since: [String; 1],
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::samples;
    use serde_json::{Value, json};

    #[test]
    fn a_silence_says_since_when_and_who_listened() {
        let signatures = SignatureSet::builtin();
        let finding = &samples::report().hosts[1];
        let since = |seconds: u64| Timestamp(samples::AT.0 + seconds * 1_000_000_000);
        let silence = EveSilence { finding, known_since: Some(samples::AT), listening_since: since(100) };
        let line = |run| silence.line(since(86_400), &[run; 32], &signatures, EveCompat::V7);
        let record: Value = serde_json::from_str(&line(1)).unwrap();
        assert_eq!(record["timestamp"], "2026-11-24T15:43:54.449556+0000");
        assert_eq!((&record["src_ip"], &record["vlan"]), (&json!("10.20.0.53"), &json!([120, 7])));
        let metadata = &record["alert"]["metadata"];
        assert_eq!(metadata["kaspector_verdict"], json!(["suspected"]));
        assert_eq!(metadata["kaspector_known_since"], json!(["2026-11-23T15:43:54.449556+0000"]));
        assert_eq!(metadata["kaspector_silent_since"], json!(["2026-11-23T15:44:59.449556+0000"]));
        assert_eq!(metadata["kaspector_listening_since"], json!(["2026-11-23T15:45:34.449556+0000"]));
        assert_eq!(metadata["kaspector_finding"], json!([finding_id(&finding.host)]));
        assert_eq!((line(1), line(1) == line(2)), (line(1), false));
    }
}
