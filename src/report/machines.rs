//! The machines that were seen: what findings are counted against, and what to call each.

use super::{AddressRange, Site, SiteSubnet};
use kaspector::capture::Timestamp;
use kaspector::matching::{HostFinding, Label, LabelKind, Machine, MachineAddress, MachineFlows, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// All machines that were seen, to be asked for by address.
#[derive(Clone, Debug, Default)]
pub struct SeenMachines {
    rows: Vec<Machine>,
    /// Which rows have an address.
    by_address: HashMap<IpAddr, Vec<usize>>,
}

/// How many machines were seen, and of how many the traffic could be judged. Each is in exactly one of the four classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MachineCounts {
    /// All.
    pub seen: usize,
    /// At least one flow that it began said whom it was for.
    pub judged: usize,
    /// Of its flows only one direction was seen.
    pub one_sided: usize,
    /// It began flows, and none said whom it was for: other protocols, encrypted ones, cut or joined midway.
    pub unnamed: usize,
    /// It began no flow that carried anything.
    pub silent: usize,
}

/// The machines of one subnet.
#[derive(Clone, Copy, Debug)]
pub struct SubnetMachines<'s> {
    /// Its addresses.
    pub range: AddressRange,
    /// What the site file says of it.
    pub named: Option<&'s SiteSubnet>,
    /// How many there are of which class.
    pub counts: MachineCounts,
    /// When one of them sent something first, and when one did last; `None` without machines.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl MachineCounts {
    /// Those of machines that began these flows.
    #[must_use]
    pub fn of(flows: impl IntoIterator<Item = MachineFlows>) -> Self {
        let mut counts = Self::default();
        flows.into_iter().for_each(|flows| counts.add(flows));
        counts
    }

    /// Counts a machine in its class.
    pub fn add(&mut self, flows: MachineFlows) {
        *self.class_mut(flows).1 += 1;
        self.seen += 1;
    }

    /// The class of a machine that began these flows.
    #[must_use]
    pub fn class_of(flows: MachineFlows) -> &'static str {
        Self::default().class_mut(flows).0
    }

    fn class_mut(&mut self, flows: MachineFlows) -> (&'static str, &mut usize) {
        if flows.named > 0 {
            ("judged", &mut self.judged)
        } else if flows.one_sided > 0 {
            ("one_sided", &mut self.one_sided)
        } else if flows.total() > 0 {
            ("unnamed", &mut self.unnamed)
        } else {
            ("silent", &mut self.silent)
        }
    }
}

impl SeenMachines {
    /// These machines.
    #[must_use]
    pub fn new(rows: Vec<Machine>) -> Self {
        let mut by_address: HashMap<IpAddr, Vec<usize>> = HashMap::new();
        for (number, machine) in rows.iter().enumerate() {
            for held in &machine.addresses {
                by_address.entry(held.address).or_default().push(number);
            }
        }
        Self { rows, by_address }
    }

    /// By tenant and address.
    #[must_use]
    pub fn rows(&self) -> &[Machine] {
        &self.rows
    }

    /// How many there are of which class.
    #[must_use]
    pub fn counts(&self) -> MachineCounts {
        MachineCounts::of(self.rows.iter().map(|machine| machine.flows))
    }

    /// The same by subnet, each machine in one: in the most specific subnet of the site that one of its addresses lies in, and else in the /24
    /// (IPv6: /64) of its first address. Subnets of the site are listed without machines, too. By range.
    #[must_use]
    pub fn by_subnet<'s>(&self, site: &'s Site) -> Vec<SubnetMachines<'s>> {
        let mut subnets: BTreeMap<_, SubnetMachines<'s>> = BTreeMap::new();
        let key = |range: AddressRange| (range.ends().0, range.bits());
        for named in site.subnets() {
            let empty =
                SubnetMachines { range: named.range, named: Some(named), counts: Default::default(), span: None };
            subnets.insert(key(named.range), empty);
        }
        for machine in &self.rows {
            let mut addresses = machine.addresses.iter().map(|held| held.address);
            let Some(first) = machine.addresses.first().map(|held| held.address) else { continue };
            let named = addresses.find_map(|address| site.subnet(address));
            let bits = if first.is_ipv4() { 24 } else { 64 };
            let range = named.map_or_else(|| AddressRange::around(first, bits), |named| named.range);
            let row = subnets.entry(key(range)).or_insert_with(|| SubnetMachines {
                range,
                named,
                counts: Default::default(),
                span: None,
            });
            row.counts.add(machine.flows);
            let (from, until) = row.span.unwrap_or((machine.first_seen, machine.last_seen));
            row.span = Some((from.min(machine.first_seen), until.max(machine.last_seen)));
        }
        subnets.into_values().collect()
    }

    /// How many of them these findings may be about.
    #[must_use]
    pub fn among<'f>(&self, findings: impl Iterator<Item = &'f HostFinding>) -> usize {
        findings.flat_map(|finding| self.numbers_of(finding)).collect::<HashSet<_>>().len()
    }

    /// The strongest verdict of the findings that may be about each of them, by its place in [`Self::rows`].
    #[must_use]
    pub fn verdicts(&self, findings: &[HostFinding]) -> BTreeMap<usize, Verdict> {
        let mut verdicts = BTreeMap::new();
        for finding in findings {
            for number in self.numbers_of(finding) {
                let known = verdicts.entry(number).or_insert(finding.verdict);
                *known = finding.verdict.min(*known);
            }
        }
        verdicts
    }

    /// The machines that a finding may be about: several, if its address changed hands while the evidence was seen.
    pub fn of<'a>(&'a self, finding: &HostFinding) -> impl Iterator<Item = &'a Machine> + use<'a> {
        self.numbers_of(finding).filter_map(|number| self.rows.get(number))
    }

    fn numbers_of<'a>(&'a self, finding: &HostFinding) -> impl Iterator<Item = usize> + use<'a> {
        let (host, first, last) = (finding.host, finding.first_seen, finding.last_seen);
        let held = move |held: &MachineAddress| {
            held.address == host.address && held.first_seen <= last && first <= held.last_seen
        };
        let numbers = self.by_address.get(&host.address).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().copied().filter(move |&number| {
            self.rows.get(number).is_some_and(|machine| machine.zone == host.zone && machine.addresses.iter().any(held))
        })
    }

    /// What to call the host of a finding: of each machine that it may be, in the order of [`Machine::labels`].
    #[must_use]
    pub fn labels(&self, finding: &HostFinding) -> Vec<&Label> {
        self.of(finding).flat_map(|machine| &machine.labels).collect()
    }

    /// What to call the host of a finding on one line: each label once, with where it comes from; `None` if nothing says.
    #[must_use]
    pub fn line(&self, finding: &HostFinding) -> Option<String> {
        let mut texts: Vec<String> = Vec::new();
        for kind in [LabelKind::Name, LabelKind::Domain, LabelKind::System, LabelKind::Device, LabelKind::User] {
            for label in self.of(finding).filter_map(|machine| machine.label(kind)) {
                let text = format!("{} ({})", label.text, label.source.name());
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        (!texts.is_empty()).then(|| texts.join(", "))
    }
}
