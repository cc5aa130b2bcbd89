//! Where every packet ends: exactly one outcome each, so that a blind spot is a number.

use serde::{Serialize, Serializer};
use std::fmt;

/// What became of one captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Outcome {
    /// TCP or UDP, decoded and handed on.
    Inspected,
    /// ARP, LLDP, spanning tree and other frames without IP.
    NotIp,
    /// IP, but neither TCP nor UDP nor a tunnel that we open: ICMP, OSPF, SCTP and so on.
    OtherTransport,
    /// IPsec ESP, MACsec with encryption, or encrypted 802.11: nobody on the path can read it.
    Encrypted,
    /// An IP fragment kept until its datagram is complete.
    FragmentHeld,
    /// An IP fragment that says nothing new.
    FragmentDuplicate,
    /// An IP fragment that cannot be: beyond 65,535 bytes, or of zero length.
    FragmentMalformed,
    /// An IP fragment dropped because too many datagrams or bytes were waiting.
    FragmentOverBound,
    /// The snap length cut the packet inside a header.
    Truncated,
    /// A link-layer header that contradicts itself.
    MalformedLink,
    /// An IPv4 or IPv6 header, or extension header, that contradicts itself.
    MalformedNetwork,
    /// A tunnel header that contradicts itself.
    MalformedTunnel,
    /// A TCP or UDP header that contradicts itself.
    MalformedTransport,
    /// More nested headers than we follow.
    NestedTooDeep,
    /// A link type that we do not read, or a fragment of an 802.11 frame.
    UnsupportedLinkType,
    /// Not selected by the user's capture filter.
    Filtered,
}

impl Outcome {
    /// Every outcome, in the order in which reports list them.
    pub const ALL: [Self; 16] = [
        Self::Inspected,
        Self::NotIp,
        Self::OtherTransport,
        Self::Encrypted,
        Self::FragmentHeld,
        Self::FragmentDuplicate,
        Self::FragmentMalformed,
        Self::FragmentOverBound,
        Self::Truncated,
        Self::MalformedLink,
        Self::MalformedNetwork,
        Self::MalformedTunnel,
        Self::MalformedTransport,
        Self::NestedTooDeep,
        Self::UnsupportedLinkType,
        Self::Filtered,
    ];

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// The name used in JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inspected => "inspected",
            Self::NotIp => "not_ip",
            Self::OtherTransport => "other_transport",
            Self::Encrypted => "encrypted",
            Self::FragmentHeld => "fragment_held",
            Self::FragmentDuplicate => "fragment_duplicate",
            Self::FragmentMalformed => "fragment_malformed",
            Self::FragmentOverBound => "fragment_over_bound",
            Self::Truncated => "truncated",
            Self::MalformedLink => "malformed_link",
            Self::MalformedNetwork => "malformed_network",
            Self::MalformedTunnel => "malformed_tunnel",
            Self::MalformedTransport => "malformed_transport",
            Self::NestedTooDeep => "nested_too_deep",
            Self::UnsupportedLinkType => "unsupported_link_type",
            Self::Filtered => "filtered",
        }
    }
}

/// Its name.
impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// Its name.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How many packets ended in each [`Outcome`]; the sum is the number of packets read. Serialized, a map of those that occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounters([u64; Outcome::ALL.len()]);

impl OutcomeCounters {
    /// Counts one packet.
    pub fn bump(&mut self, outcome: Outcome) {
        if let Some(counter) = self.0.get_mut(outcome as usize) {
            *counter += 1;
        }
    }

    /// Counts so many packets.
    pub fn bump_by(&mut self, outcome: Outcome, count: u64) {
        if let Some(counter) = self.0.get_mut(outcome as usize) {
            *counter = counter.saturating_add(count);
        }
    }

    /// Packets that ended in `outcome`.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize).copied().unwrap_or(0)
    }

    /// Packets in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Each outcome that occurred, with its count, in report order.
    pub fn non_zero(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().map(|outcome| (outcome, self.count(outcome))).filter(|&(_, count)| count > 0)
    }
}

impl Serialize for OutcomeCounters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.non_zero())
    }
}
