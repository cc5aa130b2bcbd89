//! What the people of a site know of it: names and owners of subnets and machines, addresses behind which others stand, and exceptions.
//!
//! All of it is text that stands beside what the traffic says. It moves no verdict; an exception keeps a host from tripping `--fail-on`
//! while it lasts.

mod particulars;
mod ranges;
mod read;

pub use particulars::{FindingState, ForReport, PARTICULARS};
pub use read::{SiteError, SiteFault};

use super::AddressRange;
use jiff::civil::Date;
use kaspector::capture::Timestamp;
use kaspector::decode::MacAddress;
use kaspector::matching::{HostFinding, LabelKind, Machine};
use ranges::Ranges;
use serde::{Serialize, Serializer};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// A site, as its file describes it. Empty by default: it then says nothing of anybody.
#[derive(Clone, Debug, Default)]
pub struct Site {
    subnets: Ranges<SiteSubnet>,
    machines: Vec<SiteMachine>,
    by_address: HashMap<IpAddr, usize>,
    by_mac: HashMap<MacAddress, usize>,
    by_hostname: HashMap<String, usize>,
    shared: Ranges<SharedAddress>,
    exceptions: Ranges<SiteException>,
    excepted_macs: HashMap<MacAddress, SiteException>,
    for_report: ForReport,
}

/// A subnet that somebody gave a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteSubnet {
    /// Its addresses.
    #[serde(serialize_with = "as_text")]
    pub range: AddressRange,
    /// What it is called.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
}

/// A machine that somebody gave a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteMachine {
    /// What it is called.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// How it is known.
    #[serde(skip)]
    pub known_by: KnownBy,
}

/// How a machine of the site file is known in the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// It has this address.
    Address(IpAddr),
    /// It has this link-layer address, as far as the capture point or DHCP shows it.
    Mac(MacAddress),
    /// It is called so in the traffic; a name without a dot is the part before the first one. Whatever its case.
    Hostname(String),
}

/// Why others stand behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedKind {
    /// It asks for names on behalf of others.
    Resolver,
    /// It passes on what others ask for.
    Proxy,
    /// It is what others are translated to.
    Nat,
}

impl SharedKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Resolver, Self::Proxy, Self::Nat];

    /// `resolver`, `proxy` or `nat`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolver => "resolver",
            Self::Proxy => "proxy",
            Self::Nat => "nat",
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Resolver => "a resolver",
            Self::Proxy => "a proxy",
            Self::Nat => "an address that others are translated to",
        }
    }
}

/// An address, or a range of them, behind which others stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedAddress {
    /// The addresses.
    #[serde(serialize_with = "as_text")]
    pub range: AddressRange,
    /// Why; at least one.
    pub kinds: BTreeSet<SharedKind>,
    /// What it is called.
    pub name: Option<String>,
}

/// Machines of which somebody knows and which may stay for some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteException {
    /// Why.
    pub reason: String,
    /// The last day on which it holds, in UTC.
    #[serde(serialize_with = "as_text")]
    pub until: Date,
}

impl SiteException {
    /// Whether it holds for what was seen last then.
    #[must_use]
    pub fn holds_at(&self, at: Timestamp) -> bool {
        let day = |at: Timestamp| {
            let at = jiff::Timestamp::from_nanosecond(i128::from(at.0)).ok()?;
            Some(at.to_zoned(jiff::tz::TimeZone::UTC).date())
        };
        day(at).is_some_and(|day| day <= self.until)
    }
}

/// What a site file says of one host or machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SiteEntry<'a> {
    /// The machine itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<&'a SiteMachine>,
    /// The most specific subnet that it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<&'a SiteSubnet>,
    /// Why others stand behind its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<&'a SharedAddress>,
    /// The exception for it, and whether it holds for what was seen of it last.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exception")]
    pub exception: Option<(&'a SiteException, bool)>,
}

impl SiteEntry<'_> {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == SiteEntry::default()
    }

    /// Whether an exception keeps it from tripping anything.
    #[must_use]
    pub fn is_excepted(&self) -> bool {
        self.exception.is_some_and(|(_, holds)| holds)
    }

    /// Names and owners on one line, as they stand in the file; `None` when there are none.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        let owned = |name: &str, owner: &Option<String>| match owner {
            Some(owner) => format!("{name} ({owner})"),
            None => name.to_owned(),
        };
        let machine = self.machine.map(|machine| owned(&machine.name, &machine.owner));
        let subnet = self.subnet.map(|subnet| owned(&subnet.name, &subnet.owner));
        let parts: Vec<String> = machine.into_iter().chain(subnet).collect();
        (!parts.is_empty()).then(|| parts.join(", in "))
    }

    /// The exception in words.
    #[must_use]
    pub fn exception_line(&self) -> Option<String> {
        let (SiteException { reason, until }, holds) = self.exception?;
        Some(if holds {
            format!("excepted until {until}: {reason}")
        } else {
            format!("the exception ended on {until}: {reason}")
        })
    }

    /// Why its address may stand for many, in words.
    #[must_use]
    pub fn shared_line(&self) -> Option<String> {
        let SharedAddress { kinds, name, .. } = self.shared?;
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.in_words()).collect();
        let name = name.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
        let kinds = kinds.join(" and ");
        Some(format!("one address, possibly many endpoints: the site file says that it is {kinds}{name}"))
    }
}

impl Site {
    /// Whether it says nothing of anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { subnets, machines, by_address: _, by_mac: _, by_hostname: _, shared, exceptions, .. } = self;
        let Self { excepted_macs, for_report, .. } = self;
        subnets.is_empty()
            && machines.is_empty()
            && shared.is_empty()
            && exceptions.is_empty()
            && excepted_macs.is_empty()
            && for_report.is_empty()
    }

    /// The most specific subnet that an address lies in.
    #[must_use]
    pub fn subnet(&self, address: IpAddr) -> Option<&SiteSubnet> {
        self.subnets.find(address)
    }

    /// All subnets, in the order of the file.
    pub fn subnets(&self) -> impl Iterator<Item = &SiteSubnet> {
        self.subnets.iter()
    }

    /// What only a report asks for.
    #[must_use]
    pub const fn for_report(&self) -> &ForReport {
        &self.for_report
    }

    /// Why others stand behind an address, if the file says so.
    #[must_use]
    pub fn shared(&self, address: IpAddr) -> Option<&SharedAddress> {
        self.shared.find(address)
    }

    /// All addresses behind which others stand, in the order of the file.
    pub fn all_shared(&self) -> impl Iterator<Item = &SharedAddress> {
        self.shared.iter()
    }

    /// What the file says of the host of a finding; `names` are those that the traffic gives it.
    #[must_use]
    pub fn of_finding<'n>(&self, finding: &HostFinding, names: impl IntoIterator<Item = &'n str>) -> SiteEntry<'_> {
        let address = finding.host.address;
        let by_mac = finding.mac.and_then(|mac| self.excepted_macs.get(&mac));
        let exception = by_mac.or_else(|| self.exceptions.find(address));
        SiteEntry {
            machine: self.machine(finding.mac, [address], names),
            subnet: self.subnet(address),
            shared: self.shared(address),
            exception: exception.map(|exception| (exception, exception.holds_at(finding.last_seen))),
        }
    }

    /// What the file says of a machine that was seen.
    #[must_use]
    pub fn of_machine(&self, machine: &Machine) -> SiteEntry<'_> {
        let addresses = || machine.addresses.iter().map(|held| held.address);
        let names = machine.labels.iter().filter(|label| label.kind == LabelKind::Name).map(|label| &*label.text);
        let by_mac = machine.mac.and_then(|mac| self.excepted_macs.get(&mac));
        let exception = by_mac.or_else(|| addresses().find_map(|address| self.exceptions.find(address)));
        SiteEntry {
            machine: self.machine(machine.mac, addresses(), names),
            subnet: addresses().find_map(|address| self.subnet(address)),
            shared: addresses().find_map(|address| self.shared(address)),
            exception: exception.map(|exception| (exception, exception.holds_at(machine.last_seen))),
        }
    }

    /// A link-layer address is one machine's; an address may have been another's before; a name is what somebody said.
    fn machine<'n>(
        &self,
        mac: Option<MacAddress>,
        addresses: impl IntoIterator<Item = IpAddr>,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<&SiteMachine> {
        let by_mac = mac.and_then(|mac| self.by_mac.get(&mac));
        let by_address = || addresses.into_iter().find_map(|address| self.by_address.get(&address));
        let by_name = || {
            let known = |name: &str| {
                let name = name.to_lowercase();
                let first = name.split('.').next().unwrap_or_default();
                self.by_hostname.get(&name).or_else(|| self.by_hostname.get(first))
            };
            if self.by_hostname.is_empty() { None } else { names.into_iter().find_map(known) }
        };
        self.machines.get(*by_mac.or_else(by_address).or_else(by_name)?)
    }
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[expect(clippy::ref_option, reason = "serde asks so")]
fn exception<S: Serializer>(value: &Option<(&SiteException, bool)>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Excepted<'a> {
        #[serde(flatten)]
        exception: &'a SiteException,
        holds: bool,
    }
    value.map(|(exception, holds)| Excepted { exception, holds }).serialize(serializer)
}

#[cfg(test)]
mod tests;
