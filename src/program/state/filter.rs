//! Which hosts of an inventory are asked for.

use kaspector::capture::Timestamp;
use kaspector::matching::{Category, HostFinding, Role, Verdict};
use kaspector_report::AddressRange;

/// What a host must be to be listed. Of a list that has several entries one must hold; an empty list asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct HostFilter {
    /// This verdict, or a stronger one.
    pub verdict: Option<Verdict>,
    /// Evidence at this time or later.
    pub since: Option<Timestamp>,
    /// No evidence at this time or later.
    pub not_since: Option<Timestamp>,
    /// Evidence at this time or earlier.
    pub until: Option<Timestamp>,
    /// Evidence of one of these services.
    pub categories: Vec<Category>,
    /// A product, of the vendor's own or with the engine inside, whose name has this in it, whatever its case.
    pub products: Vec<String>,
    /// Its address is one of these.
    pub addresses: Vec<AddressRange>,
    /// What it is to the traffic.
    pub roles: Vec<Role>,
    /// Its outer VLAN tag.
    pub vlans: Vec<u16>,
}

impl HostFilter {
    /// Whether a host is asked for.
    #[must_use]
    pub fn accepts(&self, host: &HostFinding) -> bool {
        let names_product = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            host.products.all.iter().chain(&host.engine_in.all).any(|product| product.to_lowercase().contains(&wanted))
        };
        self.verdict.is_none_or(|verdict| host.verdict <= verdict)
            && self.since.is_none_or(|since| host.last_seen >= since)
            && self.not_since.is_none_or(|since| host.last_seen < since)
            && self.until.is_none_or(|until| host.first_seen <= until)
            && one_of(&self.categories, |category| host.categories.contains(category))
            && one_of(&self.products, names_product)
            && one_of(&self.addresses, |range| range.contains(host.host.address))
            && one_of(&self.roles, |&role| host.role == role)
            && one_of(&self.vlans, |&vlan| host.host.zone.vlan == Some(vlan))
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { verdict, since, not_since, until, categories, products, addresses, roles, vlans } = self;
        verdict.is_none()
            && since.is_none()
            && not_since.is_none()
            && until.is_none()
            && categories.is_empty()
            && products.is_empty()
            && addresses.is_empty()
            && roles.is_empty()
            && vlans.is_empty()
    }
}

fn one_of<T>(wanted: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(holds)
}
