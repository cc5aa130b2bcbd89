//! Findings as the structs that C reads, beside the texts that they point to.

use crate::types::{Address, Alert, Counter, CounterKind, Evidence, Host, HostId, Text, VerdictCode};
use kaspector::decode::OutcomeCounters;
use kaspector::matching::{self, EvidenceLine, HostFinding, HostKey, SignatureSet, Verdict};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Texts that stay where they are while structs point to them.
#[derive(Debug, Default)]
pub struct Texts(Vec<Box<[u8]>>);

impl Texts {
    /// Keeps a text, with a zero byte behind it.
    pub fn keep(&mut self, text: &str) -> Text {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        let bytes = bytes.into_boxed_slice();
        let kept = Text { data: bytes.as_ptr().cast(), len: text.len() };
        self.0.push(bytes);
        kept
    }

    fn address(&mut self, address: IpAddr) -> Address {
        let (version, bytes) = match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                (4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
            IpAddr::V6(address) => (6, address.octets()),
        };
        Address { version, bytes, text: self.keep(&address.to_string()) }
    }

    fn host(&mut self, host: HostKey) -> HostId {
        let HostKey { address, zone } = host;
        HostId {
            address: self.address(address),
            vlan: zone.vlan.map_or(-1, i32::from),
            inner_vlan: zone.inner_vlan.map_or(-1, i32::from),
            // 24 bits.
            vni: zone.vni.and_then(|vni| i32::try_from(vni).ok()).unwrap_or(-1),
        }
    }
}

/// An alert.
pub fn alert(alert: &matching::Alert, signatures: &SignatureSet, texts: &mut Texts) -> Alert {
    let indicator = signatures.get(alert.indicator);
    Alert {
        ts_ns: alert.at.0,
        packet: alert.packet,
        host: texts.host(alert.host()),
        host_is_server: alert.host_is_server,
        client: texts.address(alert.flow.client),
        client_port: alert.flow.client_port,
        server: texts.address(alert.flow.server),
        server_port: alert.flow.server_port,
        protocol: alert.flow.protocol,
        indicator: texts.keep(&indicator.id),
        category: texts.keep(indicator.category.name()),
        strength: texts.keep(indicator.strength.name()),
        seen_as: texts.keep(alert.seen_as.name()),
        reached: texts.keep(alert.connection_outcome.name()),
        field: texts.keep(alert.field.name()),
        observed: texts.keep(&alert.observed),
    }
}

/// A host, its products and its evidence.
#[derive(Debug)]
pub struct HostView {
    /// What C reads; points into `products`.
    pub host: Host,
    /// Its evidence.
    pub evidence: Vec<Evidence>,
    _products: Box<[Text]>,
}

impl HostView {
    /// That of a finding.
    pub fn of(finding: &HostFinding, signatures: &SignatureSet, texts: &mut Texts) -> Self {
        let products: Box<[Text]> = finding.products.all.iter().map(|product| texts.keep(product)).collect();
        let mac = finding.mac.map(|mac| mac.to_string()).unwrap_or_default();
        let host = Host {
            id: texts.host(finding.host),
            verdict: match finding.verdict {
                Verdict::Confirmed => VerdictCode::KASPECTOR_CONFIRMED,
                Verdict::Suspected => VerdictCode::KASPECTOR_SUSPECTED,
                Verdict::Browsing => VerdictCode::KASPECTOR_BROWSING,
            },
            verdict_name: texts.keep(finding.verdict.name()),
            confidence: finding.confidence.0,
            role: texts.keep(finding.role.name()),
            mac: texts.keep(&mac),
            first_seen_ns: finding.first_seen.0,
            last_seen_ns: finding.last_seen.0,
            flows: finding.flows,
            bytes_sent: finding.bytes_sent,
            bytes_received: finding.bytes_received,
            products: products.as_ptr(),
            products_count: products.len(),
            evidence_count: finding.evidence.len(),
        };
        let evidence = finding.evidence.iter().map(|line| evidence(line, signatures, texts)).collect();
        Self { host, evidence, _products: products }
    }
}

fn evidence(line: &EvidenceLine, signatures: &SignatureSet, texts: &mut Texts) -> Evidence {
    let indicator = signatures.get(line.indicator);
    Evidence {
        indicator: texts.keep(&indicator.id),
        category: texts.keep(indicator.category.name()),
        strength: texts.keep(indicator.strength.name()),
        seen_as: texts.keep(line.seen_as.name()),
        reached: texts.keep(line.connection_outcome.name()),
        field: texts.keep(line.field.name()),
        observed: texts.keep(&line.observed),
        count: line.count,
        first_seen_ns: line.first_seen.0,
        last_seen_ns: line.last_seen.0,
        server: texts.address(line.server),
        server_port: line.server_port,
        packet: line.example.packet,
    }
}

/// Counters by kind and name, zeros left out where names are many.
pub fn counters(
    totals: [(&str, u64); 3],
    outcomes: &OutcomeCounters,
    dropped: &BTreeMap<&'static str, u64>,
    texts: &mut Texts,
) -> Vec<Counter> {
    let totals = totals.into_iter().map(|(name, value)| (CounterKind::KASPECTOR_COUNTER_TOTAL, name, value));
    let outcomes =
        outcomes.non_zero().map(|(outcome, value)| (CounterKind::KASPECTOR_COUNTER_OUTCOME, outcome.name(), value));
    let dropped = dropped.iter().map(|(name, value)| (CounterKind::KASPECTOR_COUNTER_DROPPED, *name, *value));
    totals
        .chain(outcomes)
        .chain(dropped)
        .map(|(kind, name, value)| Counter { kind, name: texts.keep(name), value })
        .collect()
}
