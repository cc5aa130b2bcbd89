//! What the endpoints of a report add up to: by verdict, product, service, subnet and time.

use super::endpoint::{DAY, Endpoint, ProductFinding};
use super::product::{Embedding, ProductBasis, ProductGroup};
use super::regime::{InScope, Regime};
use crate::scan_table::key_label;
use crate::spelling::{formatted, rfc3339};
use crate::{AddressRange, Site};
use kaspector::capture::Timestamp;
use kaspector::decode::Zone;
use kaspector::matching::{Category, ConnectionOutcome, HostKey, SeenAs, Verdict};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Intervals of the plot over time, at most.
const INTERVALS_MAX: u64 = 60;
/// Subnets that are named; the others are one row.
const SUBNETS_MAX: usize = 15;
const HOUR: u64 = 3_600_000_000_000;

/// Endpoints by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByVerdict {
    /// All.
    pub endpoints: usize,
    /// A product was in contact with its service.
    pub confirmed: usize,
    /// Names looked up, ambiguous names, hints.
    pub suspected: usize,
    /// Web pages alone; no product.
    pub browsing: usize,
}

impl ByVerdict {
    pub(super) fn add(&mut self, verdict: Verdict) {
        self.endpoints += 1;
        *match verdict {
            Verdict::Confirmed => &mut self.confirmed,
            Verdict::Suspected => &mut self.suspected,
            Verdict::Browsing => &mut self.browsing,
        } += 1;
    }

    /// Those that may run a product.
    #[must_use]
    pub const fn with_product(&self) -> usize {
        self.confirmed + self.suspected
    }
}

/// Endpoints of one product: the number that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductFigures {
    /// As people read it.
    pub product: String,
    /// How certain it is which one is meant.
    pub product_basis: ProductBasis,
    /// Whose.
    pub embedding: Embedding,
    /// Findings of it, each of another endpoint, by their own verdict.
    #[serde(flatten)]
    pub endpoints: ByVerdict,
}

/// Endpoints of one row of a plot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The service or subnet.
    pub name: String,
    /// How many.
    #[serde(flatten)]
    pub endpoints: ByVerdict,
}

/// One interval of the plot over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// When it begins.
    pub from: String,
    /// The same, as short as the interval's length allows.
    #[serde(skip)]
    pub label: String,
    /// Endpoints whose first evidence is in it.
    pub first_seen: usize,
    /// Endpoints whose time from first to last evidence touches it.
    pub present: usize,
}

/// Endpoints by how long before the end of the period their last evidence is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LastSeen {
    /// At most a day.
    pub within_1_day: usize,
    /// At most 7 days, more than a day.
    pub within_7_days: usize,
    /// At most 30 days, more than 7.
    pub within_30_days: usize,
    /// Longer.
    pub longer: usize,
}

/// What the endpoints of a report add up to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Endpoints by verdict.
    pub endpoints: ByVerdict,
    /// Findings: one for each endpoint and product.
    pub findings: usize,
    /// By product: vendor's own first, most endpoints first.
    pub products: Vec<ProductFigures>,
    /// By service, most endpoints first.
    pub by_service: Vec<Row>,
    /// By subnet, most endpoints first; those beyond a bound are one row, the last.
    pub by_subnet: Vec<Row>,
    /// Endpoints by the closest that their evidence comes: contact, lookup, hint.
    pub by_closeness: Closeness,
    /// Findings by how far their contacts came. Web pages alone do not count.
    pub by_reached: ByReached,
    /// Findings by whether each rule is about them.
    pub by_regime: Vec<RegimeFigures>,
    /// Over time, without gaps.
    pub over_time: Vec<Interval>,
    /// By the age of the last evidence. Web pages alone do not count.
    pub last_seen: LastSeen,
}

/// Findings by how far their contacts came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByReached {
    /// Nobody answered, or a name was looked up and no more.
    pub attempted: usize,
    /// The answer was no.
    pub refused: usize,
    /// A connection came about.
    pub established: usize,
    /// Data went both ways.
    pub data_exchanged: usize,
}

/// Findings by whether a rule is about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RegimeFigures {
    /// The rule.
    pub id: Regime,
    /// It is about so many.
    pub yes: usize,
    /// Somebody has to look at so many.
    pub review: usize,
    /// It is not about so many.
    pub no: usize,
}

/// Endpoints by the closest that their evidence comes to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Closeness {
    /// They talked to a service, or asked a proxy to.
    pub contact: usize,
    /// They looked up its name, no more.
    pub lookup: usize,
    /// They showed something that other software may show, too.
    pub hint: usize,
}

impl Figures {
    /// Adds up; the period is from the first to the last evidence, unless what was read says otherwise.
    #[must_use]
    pub fn of(endpoints: &[Endpoint], until: Option<Timestamp>, site: &Site) -> Self {
        let by_regime = Regime::ALL.map(|id| RegimeFigures { id, yes: 0, review: 0, no: 0 }).into();
        let mut figures = Self { by_regime, ..Self::default() };
        let mut products: BTreeMap<&Arc<ProductGroup>, ByVerdict> = BTreeMap::new();
        let mut services: BTreeMap<Category, ByVerdict> = BTreeMap::new();
        let mut subnets: BTreeMap<Network, ByVerdict> = BTreeMap::new();
        let last = until.or_else(|| endpoints.iter().map(|endpoint| endpoint.last_seen).max()).unwrap_or_default();
        for endpoint in endpoints {
            figures.endpoints.add(endpoint.verdict);
            figures.findings += endpoint.findings.len();
            for finding in &endpoint.findings {
                products.entry(&finding.product).or_default().add(finding.verdict);
                figures.by_reached.add(finding);
                let facts = finding.facts(endpoint.role);
                figures.by_regime.iter_mut().for_each(|row| row.add(facts.scope(row.id).0));
            }
            endpoint.services().for_each(|service| services.entry(service).or_default().add(endpoint.verdict));
            subnets.entry(Network::of(endpoint, site)).or_default().add(endpoint.verdict);
            figures.by_closeness.add(endpoint);
            if endpoint.shows_product() {
                figures.last_seen.add(last.0.saturating_sub(endpoint.last_seen.0));
            }
        }
        figures.products = products.into_iter().map(|(product, endpoints)| of_product(product, endpoints)).collect();
        figures.products.sort_by_key(|row| (row.embedding, Reverse(row.endpoints.endpoints)));
        figures.by_service = services.into_iter().map(|(service, endpoints)| row(service.name(), endpoints)).collect();
        figures.by_service.sort_by_key(|row| Reverse(row.endpoints.endpoints));
        figures.by_subnet = of_subnets(subnets, site);
        figures.over_time = over_time(endpoints);
        figures
    }
}

impl ByReached {
    fn add(&mut self, finding: &ProductFinding) {
        if finding.verdict == Verdict::Browsing {
            return;
        }
        *match finding.reached {
            ConnectionOutcome::Attempted => &mut self.attempted,
            ConnectionOutcome::Refused => &mut self.refused,
            ConnectionOutcome::Established => &mut self.established,
            ConnectionOutcome::DataExchanged => &mut self.data_exchanged,
        } += 1;
    }
}

impl RegimeFigures {
    fn add(&mut self, in_scope: InScope) {
        *match in_scope {
            InScope::Yes => &mut self.yes,
            InScope::Review => &mut self.review,
            InScope::No => &mut self.no,
        } += 1;
    }
}

impl Closeness {
    fn add(&mut self, endpoint: &Endpoint) {
        match endpoint.findings.iter().map(|finding| finding.closest).min() {
            Some(SeenAs::Contact) => self.contact += 1,
            Some(SeenAs::Lookup) => self.lookup += 1,
            Some(SeenAs::Hint) => self.hint += 1,
            None => {}
        }
    }
}

impl LastSeen {
    fn add(&mut self, age: u64) {
        *match age {
            0..=DAY => &mut self.within_1_day,
            _ if age <= 7 * DAY => &mut self.within_7_days,
            _ if age <= 30 * DAY => &mut self.within_30_days,
            _ => &mut self.longer,
        } += 1;
    }
}

fn row(name: &str, endpoints: ByVerdict) -> Row {
    Row { name: name.to_owned(), endpoints }
}

fn of_product(product: &ProductGroup, endpoints: ByVerdict) -> ProductFigures {
    let (product_basis, embedding) = (product.basis(), product.embedding);
    ProductFigures { product: product.text(), product_basis, embedding, endpoints }
}

/// What an endpoint is counted with: the subnet that the site file names, whichever its tenant; else the /24 or /64 in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    first: IpAddr,
    bits: u8,
    zone: Zone,
    is_named: bool,
}

impl Network {
    fn of(endpoint: &Endpoint, site: &Site) -> Self {
        let address = endpoint.host.address;
        let named = site.subnet(address);
        let bits = if address.is_ipv4() { 24 } else { 64 };
        let range = named.map_or_else(|| AddressRange::around(address, bits), |named| named.range);
        let zone = if named.is_some() { Zone::default() } else { endpoint.host.zone };
        Self { first: range.ends().0, bits: range.bits(), zone, is_named: named.is_some() }
    }

    /// `Berlin, 10.20.0.0/16`, `10.20.0.0/24 vlan 120`.
    fn text(&self, site: &Site) -> String {
        let range = format!("{}/{}", self.first, self.bits);
        let named =
            || site.subnets().find(|named| named.range.ends().0 == self.first && named.range.bits() == self.bits);
        if let Some(named) = self.is_named.then(named).flatten() {
            return format!("{}, {range}", named.name);
        }
        let label = key_label(&HostKey { address: self.first, zone: self.zone });
        label.split_once(' ').map_or_else(|| range.clone(), |(_, tenant)| format!("{range} {tenant}"))
    }
}

fn of_subnets(subnets: BTreeMap<Network, ByVerdict>, site: &Site) -> Vec<Row> {
    let mut rows: Vec<_> = subnets.into_iter().collect();
    rows.sort_by_key(|(network, endpoints)| (Reverse(endpoints.endpoints), *network));
    let others = rows.split_off(rows.len().min(SUBNETS_MAX));
    let mut rows: Vec<Row> =
        rows.into_iter().map(|(network, endpoints)| Row { name: network.text(site), endpoints }).collect();
    if !others.is_empty() {
        let name = format!("{} others", others.len());
        let endpoints = others.into_iter().fold(ByVerdict::default(), |all, (_, one)| sum(all, one));
        rows.push(Row { name, endpoints });
    }
    rows
}

const fn sum(a: ByVerdict, b: ByVerdict) -> ByVerdict {
    ByVerdict {
        endpoints: a.endpoints + b.endpoints,
        confirmed: a.confirmed + b.confirmed,
        suspected: a.suspected + b.suspected,
        browsing: a.browsing + b.browsing,
    }
}

/// Intervals from the first to the last evidence: as short as can be without being too many.
fn over_time(endpoints: &[Endpoint]) -> Vec<Interval> {
    let Some(first) = endpoints.iter().map(|endpoint| endpoint.first_seen.0).min() else { return Vec::new() };
    let last = endpoints.iter().map(|endpoint| endpoint.last_seen.0).max().unwrap_or(first);
    // Weeks begin on Mondays, and the epoch was a Thursday.
    let lengths = [(HOUR, 0), (6 * HOUR, 0), (DAY, 0), (7 * DAY, 4 * DAY), (28 * DAY, 4 * DAY), (364 * DAY, 4 * DAY)];
    let start =
        |length: u64, shift: u64| first.saturating_sub(shift) / length * length + if first < shift { 0 } else { shift };
    let (length, from) = lengths
        .into_iter()
        .map(|(length, shift)| (length, start(length, shift)))
        .find(|&(length, from)| (last - from) / length < INTERVALS_MAX)
        .unwrap_or((last - first + 1, first));
    let place = |at: Timestamp| usize::try_from(at.0.saturating_sub(from) / length).unwrap_or(usize::MAX);
    let count = place(Timestamp(last)) + 1;
    let (mut new, mut change) = (vec![0_usize; count], vec![0_isize; count + 1]);
    for endpoint in endpoints {
        let (begin, end) = (place(endpoint.first_seen), place(endpoint.last_seen));
        if let Some(new) = new.get_mut(begin) {
            *new += 1;
        }
        if let Some(change) = change.get_mut(begin) {
            *change += 1;
        }
        if let Some(change) = change.get_mut(end + 1) {
            *change -= 1;
        }
    }
    let form = if length < DAY { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    let mut present = 0_isize;
    (0_u64..)
        .zip(new.into_iter().zip(change))
        .map(|(number, (first_seen, change))| {
            present += change;
            let at = Timestamp(from + number * length);
            let present = usize::try_from(present).unwrap_or(0);
            Interval { from: rfc3339(at), label: formatted(at, form), first_seen, present }
        })
        .collect()
}
