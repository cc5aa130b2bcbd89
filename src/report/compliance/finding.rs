//! Findings, one for each endpoint and product, put together while they are written: there may be very many.

use super::endpoint::{Endpoint, ProductFinding, SiteOf};
use super::product::{Embedding, ProductBasis, ProductGroup};
use super::regime::{Facts, FindingKind, InScope, Reason, Regime};
use crate::spelling::rfc3339;
use crate::uid::{evidence_uid, finding_id};
use crate::{CardMaker, FindingState};
use kaspector::matching::{Category, EvidenceLine, Field, IndicatorIndex, Label, LabelKind, SignatureSet};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::net::IpAddr;

/// A file or interface that evidence points into.
#[derive(Clone, Debug, Default)]
pub struct EvidenceInput {
    /// Its name.
    pub name: String,
    /// SHA-256 of the file, in hexadecimal, where it could be read.
    pub sha256: Option<String>,
    /// What the identifiers of its alerts follow from.
    pub digest: Option<[u8; 32]>,
    /// Whether it is a log, of which lines are counted.
    pub is_log: bool,
}

/// Where a piece of evidence was seen: number of the input, of the packet, indicator and field.
pub type EvidencePlace = (u32, u64, IndicatorIndex, Field);

/// All findings of a report.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    pub(super) endpoints: &'a [Endpoint],
    pub(super) inputs: &'a [EvidenceInput],
    pub(super) community_ids: &'a HashMap<EvidencePlace, String>,
    pub(super) signatures: &'a SignatureSet,
    /// What somebody says of findings, by identifier.
    pub(super) said: &'a HashMap<String, (FindingState, Option<String>)>,
}

impl<'a> Findings<'a> {
    /// In the order of the endpoints; of one endpoint, the vendor's own products first.
    pub fn iter(self) -> impl Iterator<Item = Finding<'a>> {
        self.among(self.endpoints)
    }

    /// Those of some endpoints.
    pub(super) fn among(self, endpoints: &'a [Endpoint]) -> impl Iterator<Item = Finding<'a>> {
        endpoints.iter().flat_map(move |endpoint| endpoint.findings.iter().map(move |one| self.finding(endpoint, one)))
    }

    fn finding(self, endpoint: &'a Endpoint, finding: &'a ProductFinding) -> Finding<'a> {
        let facts = finding.facts(endpoint.role);
        let id = format!("{}-{}", finding_id(&endpoint.host), finding.product.code());
        let (state, said) = self.said.get(&id).map(|(state, note)| (*state, note.as_deref())).unwrap_or_default();
        let notes = endpoint
            .notes
            .iter()
            .map(String::as_str)
            .chain(endpoint.site.iter().filter_map(|site| site.exception.as_deref()));
        Finding {
            finding_id: id,
            endpoint: EndpointOf::of(endpoint),
            product: &finding.product,
            products: &finding.product.names,
            product_basis: finding.product.basis(),
            services: finding.services.iter().map(Category::name).collect(),
            verdict: finding.verdict.name(),
            strength: finding.strength.name(),
            confidence: finding.confidence.0,
            first_seen: rfc3339(finding.first_seen),
            last_seen: rfc3339(finding.last_seen),
            days_seen: finding.days_seen,
            contacts: finding.contacts,
            times_seen: finding.times_seen,
            bytes_out: endpoint.bytes_out,
            bytes_in: endpoint.bytes_in,
            reached: finding.reached.name(),
            evidence: finding.evidence.iter().map(|line| self.evidence(line)).collect(),
            evidence_left_out: finding.evidence_left_out,
            embedding: finding.product.embedding,
            product_kind: facts.kind,
            regimes: Regime::ALL.map(|regime| Scope::of(regime, facts)),
            state,
            note: notes.chain(said).collect::<Vec<_>>().join("; "),
        }
    }

    fn evidence(self, line: &'a EvidenceLine) -> Evidence<'a> {
        let indicator = self.signatures.get(line.indicator);
        let input = usize::try_from(line.example.input).ok().and_then(|at| self.inputs.get(at));
        let place = (line.example.input, line.example.packet, line.indicator, line.field);
        Evidence {
            indicator_id: &indicator.id,
            service: indicator.category.name(),
            strength: indicator.strength.name(),
            seen_as: line.seen_as.name(),
            reached: line.connection_outcome.name(),
            field: line.field.name(),
            observed: &line.observed,
            count: line.count,
            timestamp: rfc3339(line.first_seen),
            last_seen: rfc3339(line.last_seen),
            server: line.server,
            server_port: line.server_port,
            community_id: self.community_ids.get(&place).map(String::as_str),
            file: input.map(|input| input.name.as_str()).filter(|name| !name.is_empty()),
            input: input.and_then(|_| usize::try_from(line.example.input).ok()).map(|at| at + 1),
            packet_number: line.example.packet,
            is_line: input.is_some_and(|input| input.is_log),
            sha256_of_pcap: input.and_then(|input| input.sha256.as_deref()),
            uid: input
                .and_then(|input| input.digest)
                .map(|digest| evidence_uid(line, &indicator.id, &digest).to_string()),
        }
    }
}

impl Serialize for Findings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// One product on one endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Finding<'a> {
    /// The same in every report, for as long as evidence names the product alike. Its first 14 characters are the `kaspector_finding` of
    /// alerts.
    pub finding_id: String,
    /// The endpoint.
    pub endpoint: EndpointOf<'a>,
    /// The product, as people read it.
    pub product: &'a ProductGroup,
    /// Its name, or those of which one is meant.
    pub products: &'a [String],
    /// How certain it is which one.
    pub product_basis: ProductBasis,
    /// Services that the evidence belongs to.
    pub services: Vec<&'static str>,
    /// What the evidence of this product supports.
    pub verdict: &'static str,
    /// The strongest of its indicators.
    pub strength: &'static str,
    /// From 0 to 100.
    pub confidence: u8,
    /// First evidence.
    pub first_seen: String,
    /// Last evidence.
    pub last_seen: String,
    /// Days in UTC on which it is known to have been seen; at least so many.
    pub days_seen: u32,
    /// How often it was in contact with a service.
    pub contacts: u64,
    /// How often anything was seen.
    pub times_seen: u64,
    /// Bytes that the endpoint sent in flows with evidence, of whichever product.
    pub bytes_out: u64,
    /// Bytes that it received in them.
    pub bytes_in: u64,
    /// How far its contacts came; `attempted` where there are only lookups.
    pub reached: &'static str,
    /// The strongest evidence first.
    pub evidence: Vec<Evidence<'a>>,
    /// Lines of evidence that are not shown.
    pub evidence_left_out: u32,
    /// Whose product.
    pub embedding: Embedding,
    /// What it is.
    pub product_kind: FindingKind,
    /// Each rule, in one order.
    pub regimes: [Scope; Regime::ALL.len()],
    /// What became of it: `open` until somebody says otherwise.
    pub state: FindingState,
    /// What a reader should know besides.
    pub note: String,
}

/// Whether a rule is about a finding.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scope {
    /// The rule.
    pub id: Regime,
    /// Whether it is.
    pub in_scope: InScope,
    /// Why.
    #[serde(serialize_with = "in_words")]
    pub reason: Reason,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn in_words<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.text())
}

impl Scope {
    fn of(id: Regime, facts: Facts) -> Self {
        let (in_scope, reason) = facts.scope(id);
        Self { id, in_scope, reason }
    }
}

/// An endpoint, as far as the traffic says who it is.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointOf<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// Outer VLAN tag.
    pub vlan: Option<u16>,
    /// Inner VLAN tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_vlan: Option<u16>,
    /// Virtual network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// Its own link-layer address.
    pub mac: Option<String>,
    /// Who made its card, by that address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<&'a str>,
    /// The link-layer address of the router on the way to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop_mac: Option<String>,
    /// Its name, as the best source says.
    pub hostname: Option<&'a str>,
    /// Which protocol said so.
    pub first_name_source: Option<&'static str>,
    /// What tells it from others: its link-layer address, or its address alone.
    pub identity_basis: &'static str,
    /// What it is to the traffic.
    pub role: &'static str,
    /// The verdict of all that was seen of it.
    pub verdict: &'static str,
    /// All that it is called.
    pub names: Vec<NameOf<'a>>,
    /// What the site file says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<&'a SiteOf>,
    /// Its address with its network, for a reader.
    #[serde(skip)]
    pub label: String,
}

/// Something that an endpoint is called.
#[derive(Clone, Debug, Serialize)]
pub struct NameOf<'a> {
    /// Name, domain, user, system or device.
    pub kind: LabelKind,
    /// The text, as it was sent.
    pub text: &'a str,
    /// The protocol that said so.
    pub source: &'static str,
    /// When first.
    pub first_seen: String,
    /// When last.
    pub last_seen: String,
}

impl<'a> EndpointOf<'a> {
    fn of(endpoint: &'a Endpoint) -> Self {
        let zone = endpoint.host.zone;
        let name = endpoint.labels.iter().find(|label| label.kind == LabelKind::Name);
        let of_label = |label: &'a Label| NameOf {
            kind: label.kind,
            text: &label.text,
            source: label.source.name(),
            first_seen: rfc3339(label.first_seen),
            last_seen: rfc3339(label.last_seen),
        };
        Self {
            ip: endpoint.host.address,
            vlan: zone.vlan,
            inner_vlan: zone.inner_vlan,
            vni: zone.vni,
            mac: endpoint.mac.map(|mac| mac.to_string()),
            maker: endpoint.mac.and_then(|mac| CardMaker::of(mac).name()),
            next_hop_mac: endpoint.next_hop_mac.map(|mac| mac.to_string()),
            hostname: name.map(|label| &*label.text),
            first_name_source: name.map(|label| label.source.name()),
            identity_basis: if endpoint.mac.is_some() { "mac" } else { "address" },
            role: endpoint.role.name(),
            verdict: endpoint.verdict.name(),
            names: endpoint.labels.iter().map(of_label).collect(),
            site: endpoint.site.as_deref(),
            label: crate::scan_table::key_label(&endpoint.host),
        }
    }
}

/// A piece of evidence.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence<'a> {
    /// What matched.
    pub indicator_id: &'a str,
    /// The service that it belongs to.
    pub service: &'static str,
    /// What it proves by itself.
    pub strength: &'static str,
    /// How close it is to the endpoint.
    pub seen_as: &'static str,
    /// How far the contact or lookup came.
    pub reached: &'static str,
    /// Where in the traffic the value was.
    pub field: &'static str,
    /// The value.
    pub observed: &'a str,
    /// How often.
    pub count: u64,
    /// When first: the time of the packet.
    pub timestamp: String,
    /// When last.
    pub last_seen: String,
    /// The flow's server.
    pub server: IpAddr,
    /// Its port.
    pub server_port: u16,
    /// The flow's Community ID, where its packets were read.
    pub community_id: Option<&'a str>,
    /// The file, or the interface.
    pub file: Option<&'a str>,
    /// The number of the file among the inputs, from 1.
    #[serde(skip)]
    pub input: Option<usize>,
    /// The first packet that shows it.
    pub packet_number: u64,
    /// Whether that is a line of a log.
    #[serde(skip)]
    pub is_line: bool,
    /// SHA-256 of the file.
    pub sha256_of_pcap: Option<&'a str>,
    /// That of the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}
