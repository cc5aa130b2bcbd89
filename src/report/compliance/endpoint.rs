//! One endpoint and its findings, in a form that takes little memory: there may be very many.

use super::product::{ProductGroup, ProductGroups, place};
use super::regime::Facts;
use crate::{SeenMachines, Site, SiteEntry};
use kaspector::capture::Timestamp;
use kaspector::decode::MacAddress;
use kaspector::matching::{
    Category, Confidence, ConnectionOutcome, EvidenceLine, HostFinding, HostKey, Label, LabelKind, Role, SeenAs,
    SignatureSet, Strength, Verdict, judge,
};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Lines of evidence that a report shows of one finding, the strongest; the others are counted.
pub const EVIDENCE_MAX: usize = 8;
/// Nanoseconds of a day.
pub(super) const DAY: u64 = 86_400_000_000_000;

/// A host with evidence, and one finding for each product that its evidence names.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) host: HostKey,
    pub(super) mac: Option<MacAddress>,
    pub(super) next_hop_mac: Option<MacAddress>,
    pub(super) role: Role,
    pub(super) verdict: Verdict,
    pub(super) notes: Box<[String]>,
    pub(super) labels: Box<[Label]>,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
    pub(super) bytes_out: u64,
    pub(super) bytes_in: u64,
    pub(super) site: Option<Box<SiteOf>>,
    pub(super) findings: Box<[ProductFinding]>,
}

/// What a site file says of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteOf {
    /// The name of the machine.
    pub machine: Option<String>,
    /// Who answers for it.
    pub machine_owner: Option<String>,
    /// The name of the subnet.
    pub subnet: Option<String>,
    /// Who answers for that.
    pub subnet_owner: Option<String>,
    /// The exception for it, in words.
    pub exception: Option<String>,
    /// Names and owners on one line.
    #[serde(skip)]
    pub(super) line: Option<String>,
}

impl SiteOf {
    fn of(entry: &SiteEntry<'_>) -> Option<Box<Self>> {
        if entry.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            machine: entry.machine.map(|machine| machine.name.clone()),
            machine_owner: entry.machine.and_then(|machine| machine.owner.clone()),
            subnet: entry.subnet.map(|subnet| subnet.name.clone()),
            subnet_owner: entry.subnet.and_then(|subnet| subnet.owner.clone()),
            exception: entry.exception_line(),
            line: entry.line(),
        }))
    }
}

/// What is known of one product on one endpoint.
#[derive(Clone, Debug)]
pub(super) struct ProductFinding {
    pub product: Arc<ProductGroup>,
    pub services: Services,
    pub verdict: Verdict,
    pub confidence: Confidence,
    pub strength: Strength,
    pub closest: SeenAs,
    pub reached: ConnectionOutcome,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub days_seen: u32,
    pub contacts: u64,
    pub times_seen: u64,
    pub evidence: Box<[EvidenceLine]>,
    pub evidence_left_out: u32,
}

/// Services, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Services(u32);

impl Services {
    fn add(&mut self, service: Category) {
        self.0 |= 1 << service.number();
    }

    pub fn has(self, service: Category) -> bool {
        self.0 & 1 << service.number() != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Category> {
        Category::ALL.into_iter().filter(move |service| self.has(*service))
    }

    /// Whether it is this one and no other.
    pub fn is_only(self, service: Category) -> bool {
        self.0 == 1 << service.number()
    }
}

impl Endpoint {
    /// The endpoint of a finding, with what the machine is called where that is known.
    ///
    /// Each line of evidence counts for each product that its indicator may stand for. What names none counts for the first of the vendor's
    /// own products, or is a finding by itself where there is none.
    #[must_use]
    pub fn of(
        finding: &HostFinding,
        machines: Option<&SeenMachines>,
        site: &Site,
        signatures: &SignatureSet,
        groups: &ProductGroups,
    ) -> Self {
        let mut products = groups.of(&finding.products, &finding.engine_in);
        let mut lines: Vec<Vec<&EvidenceLine>> = vec![Vec::new(); products.len()];
        let mut rest = Vec::new();
        for line in &finding.evidence {
            let mut is_placed = false;
            for place in place(&products, signatures.get(line.indicator)) {
                if let Some(of_product) = lines.get_mut(place) {
                    of_product.push(line);
                    is_placed = true;
                }
            }
            if !is_placed {
                rest.push(line);
            }
        }
        if !rest.is_empty() {
            let is_own = |product: &Arc<ProductGroup>| product.embedding == super::Embedding::VendorProduct;
            let own = products.iter().position(is_own);
            match own.and_then(|own| lines.get_mut(own)) {
                Some(of_product) => of_product.extend(rest),
                None => {
                    products.push(groups.shared(ProductGroup::not_named()));
                    lines.push(rest);
                }
            }
        }
        let findings = products.into_iter().zip(lines);
        let findings =
            findings.filter_map(|(product, lines)| ProductFinding::of(product, &lines, signatures)).collect();
        let labels = machines.map_or_else(Vec::new, |known| known.labels(finding));
        let names = labels.iter().filter(|label| label.kind == LabelKind::Name).map(|label| &*label.text);
        let entry = if site.is_empty() { SiteEntry::default() } else { site.of_finding(finding, names) };
        let of_site = entry.shared_line().filter(|line| !finding.notes.contains(line));
        Self {
            host: finding.host,
            mac: finding.mac,
            next_hop_mac: finding.next_hop_mac,
            role: finding.role,
            verdict: finding.verdict,
            notes: finding.notes.iter().cloned().chain(of_site).collect(),
            labels: labels.iter().map(|label| (*label).clone()).collect(),
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            bytes_out: finding.bytes_sent,
            bytes_in: finding.bytes_received,
            site: SiteOf::of(&entry),
            findings,
        }
    }

    /// The order of a report: strongest verdict first, then by address and tenant.
    #[must_use]
    pub const fn order(&self) -> (Verdict, HostKey) {
        (self.verdict, self.host)
    }

    /// Whether something other than a look at web pages was seen.
    pub(super) fn shows_product(&self) -> bool {
        self.verdict != Verdict::Browsing
    }

    /// Services of all its findings.
    pub(super) fn services(&self) -> impl Iterator<Item = Category> {
        let all = self.findings.iter().fold(0, |all, finding| all | finding.services.0);
        Services(all).iter()
    }
}

impl ProductFinding {
    /// What the rules ask of it.
    pub fn facts(&self, role: Role) -> Facts {
        Facts {
            embedding: self.product.embedding,
            kind: Facts::kind(self.verdict, self.services),
            verdict: self.verdict,
            role,
            is_mobile: self.services.has(Category::Mobile),
        }
    }

    fn of(product: Arc<ProductGroup>, lines: &[&EvidenceLine], signatures: &SignatureSet) -> Option<Self> {
        // In the order of the host: what supports most first.
        let own: Vec<EvidenceLine> = lines.iter().map(|line| (*line).clone()).collect();
        let strength_of = |indicator| signatures.get(indicator).strength;
        let (verdict, confidence) = judge(&own, strength_of)?;
        let mut services = Services::default();
        own.iter().for_each(|line| services.add(signatures.get(line.indicator).category));
        let days: BTreeSet<u64> =
            own.iter().flat_map(|line| [line.first_seen.0 / DAY, line.last_seen.0 / DAY]).collect();
        let contacts = || own.iter().filter(|line| line.seen_as == SeenAs::Contact);
        let total = |lines: &mut dyn Iterator<Item = &EvidenceLine>| {
            lines.fold(0_u64, |total, line| total.saturating_add(line.count))
        };
        // How far a lookup came says nothing of a contact.
        let reached =
            own.iter().filter(|line| line.seen_as != SeenAs::Lookup).map(|line| line.connection_outcome).max();
        Some(Self {
            services,
            verdict,
            confidence,
            strength: own.iter().map(|line| strength_of(line.indicator)).min()?,
            closest: own.iter().map(|line| line.seen_as).min()?,
            reached: reached.unwrap_or_default(),
            first_seen: own.iter().map(|line| line.first_seen).min()?,
            last_seen: own.iter().map(|line| line.last_seen).max()?,
            days_seen: u32::try_from(days.len()).unwrap_or(u32::MAX),
            contacts: total(&mut contacts()),
            times_seen: total(&mut own.iter()),
            evidence_left_out: u32::try_from(own.len().saturating_sub(EVIDENCE_MAX)).unwrap_or(u32::MAX),
            evidence: own.into_iter().take(EVIDENCE_MAX).collect(),
            product,
        })
    }
}
