//! What is seen of a machine inside, whether or not it shows anything: it is what findings are counted against.

use crate::capture::Timestamp;
use crate::decode::{MacAddress, Zone};
use crate::inspect::{IdentityFact, IdentitySource, Statement, Subject};
use crate::matching::found::cut;
use crate::matching::private_address::is_private;
use crate::matching::{HostKey, LinkAddress};
use serde::Serialize;
use std::net::IpAddr;

/// The flows with payload that a machine began, by how much of them could be judged. Each counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MachineFlows {
    /// Its bytes said whom it was for.
    pub named: u64,
    /// Only one direction was seen.
    pub one_sided: u64,
    /// Its beginning was not seen, and what was seen names nobody.
    pub midstream: u64,
    /// It was seen whole and names nobody: another protocol, an encrypted one, or cut short.
    pub unnamed: u64,
}

impl MachineFlows {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.named.saturating_add(self.one_sided).saturating_add(self.midstream).saturating_add(self.unnamed)
    }

    /// Adds others.
    pub const fn add(&mut self, other: Self) {
        self.named = self.named.saturating_add(other.named);
        self.one_sided = self.one_sided.saturating_add(other.one_sided);
        self.midstream = self.midstream.saturating_add(other.midstream);
        self.unnamed = self.unnamed.saturating_add(other.unnamed);
    }
}

/// What was seen of a machine inside since it was told of last.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// The machine.
    pub host: HostKey,
    /// The link-layer address that it sent from, or that of a router before it, and when.
    pub link: Option<LinkAddress>,
    /// When it sent something first.
    pub first_seen: Timestamp,
    /// When last, as far as is known: a long flow tells at its beginning and at its end.
    pub last_seen: Timestamp,
    /// Flows that it began and that are over.
    pub flows: MachineFlows,
    /// Whether others asked it for names: it hides who wants what.
    pub is_resolver: bool,
    /// Whether others asked it to pass them on.
    pub is_proxy: bool,
}

impl Sighting {
    /// Of a machine that sent something then. `None` when the address is not one of somebody's own network, or of no machine yet.
    #[inline]
    #[must_use]
    pub fn of(address: IpAddr, zone: Zone, mac: Option<MacAddress>, at: Timestamp) -> Option<Self> {
        is_private(address).then(|| Self {
            host: HostKey { address, zone },
            link: mac.map(|mac| LinkAddress { mac, first_seen: at, last_seen: at, is_next_hop: false }),
            first_seen: at,
            last_seen: at,
            flows: MachineFlows::default(),
            is_resolver: false,
            is_proxy: false,
        })
    }

    /// Whether a later one can be added: it is of the same machine, and not with another link-layer address.
    #[inline]
    #[must_use]
    pub fn takes(&self, later: &Self) -> bool {
        let is_same = |(one, other): (LinkAddress, LinkAddress)| one.mac == other.mac;
        self.host == later.host && self.link.zip(later.link).is_none_or(is_same)
    }

    /// Adds a later one that it [takes](Self::takes).
    #[inline]
    pub fn add(&mut self, later: &Self) {
        self.first_seen = self.first_seen.min(later.first_seen);
        self.last_seen = self.last_seen.max(later.last_seen);
        if let Some(link) = later.link {
            let first_seen = self.link.map_or(link.first_seen, |known| known.first_seen.min(link.first_seen));
            self.link = Some(LinkAddress { first_seen, ..link });
        }
        self.flows.add(later.flows);
        self.is_resolver |= later.is_resolver;
        self.is_proxy |= later.is_proxy;
    }
}

/// Whose identity a statement tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// That of whoever has an address.
    Address(HostKey),
    /// That of whoever has a link-layer address.
    Link(Zone, MacAddress),
}

/// What a statement says, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// Something to call it by.
    Label(LabelKind, Box<str>),
    /// It may use this address for so many seconds.
    Lease(IpAddr, u32),
}

/// What a label of a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LabelKind {
    /// Its name.
    Name,
    /// The domain, workgroup or realm that it belongs to.
    Domain,
    /// Somebody who uses it.
    User,
    /// Its operating system or firmware.
    System,
    /// Its maker, model or kind.
    Device,
}

impl LabelKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Name, Self::Domain, Self::User, Self::System, Self::Device];

    /// The word used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Domain => "domain",
            Self::User => "user",
            Self::System => "system",
            Self::Device => "device",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A statement about a machine inside.
#[derive(Clone, Debug)]
pub struct Identified {
    /// Which machine.
    pub holder: Holder,
    /// The protocol that it was made in.
    pub source: IdentitySource,
    /// What it says.
    pub stated: Stated,
}

impl Identified {
    /// Takes a statement that was sent from `sender` to `receiver`, out of link-layer address `mac`. `None` when it is about nobody inside.
    #[must_use]
    pub fn of(
        statement: &Statement<'_>,
        (sender, receiver): (IpAddr, IpAddr),
        zone: Zone,
        mac: Option<MacAddress>,
    ) -> Option<Self> {
        let of_address = |address: IpAddr| is_private(address).then_some(Holder::Address(HostKey { address, zone }));
        let of_link = |mac: MacAddress| Holder::Link(zone, mac);
        let holder = match statement.about {
            // Who has no address yet speaks for its link-layer address.
            Subject::Sender if sender.is_unspecified() => mac.map(of_link),
            Subject::Sender => of_address(sender),
            Subject::Receiver => of_address(receiver),
            Subject::Address(address) => of_address(address),
            Subject::Link(mac) => Some(of_link(mac)),
        }?;
        let label = |kind, text: &str| {
            let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
            (!text.is_empty()).then(|| Stated::Label(kind, cut(text)))
        };
        let stated = match statement.fact {
            IdentityFact::HostName(text) => label(LabelKind::Name, text),
            IdentityFact::Domain(text) => label(LabelKind::Domain, text),
            IdentityFact::User(text) => label(LabelKind::User, text),
            IdentityFact::System(text) => label(LabelKind::System, text),
            IdentityFact::Device(text) => label(LabelKind::Device, text),
            IdentityFact::Lease { address, seconds } => Some(Stated::Lease(address, seconds)),
        }?;
        Some(Self { holder, source: statement.source, stated })
    }
}
