//! UDP ports whose datagrams may be tunnels: those that are assigned, and those of the site's own.

use super::TunnelKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// UDP ports of tunnels, by assignment or custom.
pub(super) mod assigned {
    pub const L2TP: u16 = 1701;
    pub const GTP_U: u16 = 2152;
    pub const TEREDO: u16 = 3544;
    pub const GRE_IN_UDP: u16 = 4754;
    pub const VXLAN: [u16; 2] = [4789, 8472];
    pub const VXLAN_GPE: u16 = 4790;
    pub const GENEVE: u16 = 6081;
    pub const MPLS_IN_UDP: u16 = 6635;
    pub const TZSP: u16 = 37_008;
    /// All of them.
    pub const ALL: [u16; 10] =
        [L2TP, GTP_U, TEREDO, GRE_IN_UDP, VXLAN[0], VXLAN[1], VXLAN_GPE, GENEVE, MPLS_IN_UDP, TZSP];
}

/// Ports of its own that a site may name.
pub const OWN_TUNNEL_PORTS_MAX: usize = 8;

/// A port where the site has a kind of tunnel, besides the assigned ones. Written as `vxlan:14789`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelPort {
    /// VXLAN, GENEVE, GTP-U or GRE.
    pub kind: TunnelKind,
    /// UDP port, not zero.
    pub port: u16,
}

/// Kinds that may be at ports of the site's own, with their names.
const KINDS: [(&str, TunnelKind); 4] = [
    ("vxlan", TunnelKind::Vxlan),
    ("geneve", TunnelKind::Geneve),
    ("gtp-u", TunnelKind::GtpU),
    ("gre", TunnelKind::Gre),
];

/// Why a text is no [`TunnelPort`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\": expected KIND:PORT, such as vxlan:14789; there are vxlan, geneve, gtp-u and gre")]
pub struct NoTunnelPort(String);

impl FromStr for TunnelPort {
    type Err = NoTunnelPort;

    fn from_str(text: &str) -> Result<Self, NoTunnelPort> {
        let read = || {
            let (name, port) = text.split_once(':')?;
            let (_, kind) = KINDS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            let port = port.parse().ok().filter(|&port| port != 0)?;
            Some(Self { kind, port })
        };
        read().ok_or_else(|| NoTunnelPort(text.to_owned()))
    }
}

/// As text.
impl<'de> Deserialize<'de> for TunnelPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = TunnelPort;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("KIND:PORT, such as \"vxlan:14789\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TunnelPort, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Serialize for TunnelPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for TunnelPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name);
        write!(out, "{name}:{}", self.port)
    }
}

/// The ports of the site's own, for those who look into a datagram.
pub(super) type OwnPorts = [Option<TunnelPort>; OWN_TUNNEL_PORTS_MAX];

/// Which UDP ports are looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelPorts {
    /// A bit for each port, so that a datagram's two are looked up, not searched.
    may_be: [u64; 1024],
    own: OwnPorts,
}

impl TunnelPorts {
    /// The assigned ones alone.
    pub const ASSIGNED: Self = Self { may_be: bits_of(&assigned::ALL), own: [None; OWN_TUNNEL_PORTS_MAX] };

    /// The assigned ones, and `own`: of those, the first [`OWN_TUNNEL_PORTS_MAX`].
    #[must_use]
    pub fn with_own(own: &[TunnelPort]) -> Self {
        let mut ports = Self::ASSIGNED;
        for (place, &port) in ports.own.iter_mut().zip(own) {
            *place = Some(port);
            if let Some(word) = ports.may_be.get_mut(usize::from(port.port >> 6)) {
                *word |= 1 << (port.port & 63);
            }
        }
        ports
    }

    /// What is wrong with so many ports, if anything is.
    #[must_use]
    pub fn complaint(own: &[TunnelPort]) -> Option<String> {
        let too_many = own.len() > OWN_TUNNEL_PORTS_MAX;
        too_many.then(|| format!("tunnel: {} ports are named; at most {OWN_TUNNEL_PORTS_MAX} can be", own.len()))
    }

    /// Whether a datagram between these ports may be a tunnel's.
    #[inline(always)]
    pub(super) fn may_be(&self, src_port: u16, dst_port: u16) -> bool {
        // No port is beyond the table.
        let bit = |port: u16| self.may_be.get(usize::from(port >> 6)).map_or(0, |word| word >> (port & 63) & 1);
        bit(src_port) | bit(dst_port) != 0
    }

    pub(super) const fn own(&self) -> OwnPorts {
        self.own
    }
}

/// The assigned ones, for those who have none of their own.
pub(super) static ASSIGNED: TunnelPorts = TunnelPorts::ASSIGNED;

#[allow(clippy::indexing_slicing)] // At compile time.
const fn bits_of(ports: &[u16]) -> [u64; 1024] {
    let mut bits = [0; 1024];
    let mut at = 0;
    while at < ports.len() {
        bits[(ports[at] >> 6) as usize] |= 1 << (ports[at] & 63);
        at += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_port_is_written_with_its_kind() {
        for text in ["vxlan:14789", "geneve:1", "gtp-u:65535", "gre:4800"] {
            assert_eq!(text.parse::<TunnelPort>().unwrap().to_string(), text);
        }
        assert_eq!("VXLAN:9".parse(), Ok(TunnelPort { kind: TunnelKind::Vxlan, port: 9 }));
        for text in ["", "vxlan", "vxlan:", "vxlan:0", "vxlan:65536", "l2tp:9", "vxlan:9:9", ":9", "vxlan: 9"] {
            let said = text.parse::<TunnelPort>().unwrap_err().to_string();
            assert!(said.contains("expected KIND:PORT"), "{said}");
        }
    }

    #[test]
    fn the_table_has_the_assigned_ports_and_those_that_were_named() {
        let own: Vec<TunnelPort> = ["vxlan:14789", "gre:65535"].iter().map(|text| text.parse().unwrap()).collect();
        let ports = TunnelPorts::with_own(&own);
        for port in 0..=u16::MAX {
            let is_assigned = assigned::ALL.contains(&port);
            assert_eq!(TunnelPorts::ASSIGNED.may_be(port, 9), is_assigned, "{port}");
            assert_eq!(TunnelPorts::ASSIGNED.may_be(9, port), is_assigned, "{port}");
            assert_eq!(ports.may_be(port, 9), is_assigned || [14789, 65535].contains(&port), "{port}");
        }
    }
}
