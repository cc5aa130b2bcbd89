//! The key of a flow: the same for both directions, and apart for tenants that reuse addresses.

use crate::decode::{FiveTuple, Zone};
use std::net::IpAddr;

/// Which end of a [`FlowKey`] sent a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// The endpoint that sorts first.
    #[default]
    Low,
    /// The endpoint that sorts last.
    High,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// Both endpoints in a fixed order, the protocol and the tenant.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct FlowKey([u64; 6]);

impl std::hash::Hash for FlowKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for FlowKey {
    /// Without a branch for each word: keys that are compared are nearly always equal.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

const _: () = assert!(size_of::<FlowKey>() == 48);

impl FlowKey {
    /// The key of a packet's flow, and which end of it sent the packet.
    #[inline(always)]
    #[must_use]
    pub fn of(tuple: &FiveTuple, zone: &Zone) -> (Self, Side) {
        match (tuple.src, tuple.dst) {
            // By far the most. Address and port are one number there, so that comparing them takes one step.
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let endpoint = |address, port| u64::from(u32::from(address)) << 16 | u64::from(port);
                let (src, dst) = (endpoint(src, tuple.src_port), endpoint(dst, tuple.dst_port));
                let (low, high) = (src.min(dst), src.max(dst));
                let ports = (low & 0xffff) << 48 | (high & 0xffff) << 32;
                let key = Self::assemble([0, low >> 16], [0, high >> 16], ports, 4, tuple.protocol, zone);
                (key, if src <= dst { Side::Low } else { Side::High })
            }
            (src, dst) => {
                let ((src, version), (dst, _)) = (words(src), words(dst));
                let forward = (src, tuple.src_port) <= (dst, tuple.dst_port);
                let (low, low_port, high, high_port) = if forward {
                    (src, tuple.src_port, dst, tuple.dst_port)
                } else {
                    (dst, tuple.dst_port, src, tuple.src_port)
                };
                let ports = u64::from(low_port) << 48 | u64::from(high_port) << 32;
                let key = Self::assemble(low, high, ports, version, tuple.protocol, zone);
                (key, if forward { Side::Low } else { Side::High })
            }
        }
    }

    #[inline]
    fn assemble(low: [u64; 2], high: [u64; 2], ports: u64, version: u8, protocol: u8, zone: &Zone) -> Self {
        // Tags are 12 bits, so all ones stands for "none"; a VNI is 24 bits.
        let vlan = zone.vlan.unwrap_or(u16::MAX);
        let inner_vlan = zone.inner_vlan.unwrap_or(u16::MAX);
        let vni = zone.vni.unwrap_or(u32::MAX);
        let tail = ports | u64::from(protocol) << 24 | u64::from(version) << 16 | u64::from(vlan);
        Self([low[0], low[1], high[0], high[1], tail, u64::from(inner_vlan) << 32 | u64::from(vni)])
    }

    /// The endpoints, lower one as the source, and the tenant: the inverse of [`Self::of`].
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn endpoints(&self) -> (FiveTuple, Zone) {
        let [a, b, c, d, tail, zone] = self.0;
        let version = (tail >> 16) as u8;
        let tuple = FiveTuple {
            src: address([a, b], version),
            dst: address([c, d], version),
            src_port: (tail >> 48) as u16,
            dst_port: (tail >> 32) as u16,
            protocol: (tail >> 24) as u8,
        };
        let tag = |tag: u16| (tag != u16::MAX).then_some(tag);
        let vni = zone as u32;
        let zone = Zone {
            vlan: tag(tail as u16),
            inner_vlan: tag((zone >> 32) as u16),
            vni: (vni != u32::MAX).then_some(vni),
        };
        (tuple, zone)
    }

    /// A keyed hash. `seed` is random on a live sensor, so that nobody can aim at one bucket.
    #[inline]
    #[must_use]
    pub fn hash(&self, seed: u64) -> u64 {
        // Folded multiply over pairs of words, as foldhash and wyhash do: each product mixes 128 bits into 64.
        const A: u64 = 0x9e37_79b9_7f4a_7c15;
        const B: u64 = 0xe703_7ed1_a0b4_28db;
        let [a, b, c, d, e, f] = self.0;
        // Each factor is masked: a factor of zero, as the upper half of an IPv4 address is, would wipe out the other.
        let first = folded_multiply(a ^ seed ^ A, b ^ B);
        let second = folded_multiply(c ^ first ^ B, d ^ A);
        let third = folded_multiply(e ^ second ^ A, f ^ seed.rotate_left(32) ^ B);
        // Once more, since ports that count up reach only part of one product.
        folded_multiply(third ^ B, A)
    }
}

fn folded_multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[allow(clippy::cast_possible_truncation)]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

fn words(address: IpAddr) -> ([u64; 2], u8) {
    match address {
        IpAddr::V4(address) => ([0, u64::from(u32::from(address))], 4),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            #[allow(clippy::cast_possible_truncation)]
            let low = bits as u64;
            ([(bits >> 64) as u64, low], 6)
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn address([high, low]: [u64; 2], version: u8) -> IpAddr {
    if version == 4 {
        IpAddr::V4((low as u32).into())
    } else {
        IpAddr::V6((u128::from(high) << 64 | u128::from(low)).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tuple(src: &str, src_port: u16, dst: &str, dst_port: u16) -> FiveTuple {
        FiveTuple { src: src.parse().unwrap(), dst: dst.parse().unwrap(), src_port, dst_port, protocol: 6 }
    }

    #[test]
    fn both_directions_share_a_key_and_name_opposite_sides() {
        for (a, b) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2"), ("10.0.0.1", "10.0.0.1")] {
            let (there, one) = FlowKey::of(&tuple(a, 40000, b, 443), &Zone::default());
            let (back, other) = FlowKey::of(&tuple(b, 443, a, 40000), &Zone::default());
            assert_eq!(there, back);
            assert_eq!(one, other.other());
            assert_eq!(there.hash(7), back.hash(7));
        }
    }

    #[test]
    fn everything_that_tells_flows_apart_changes_the_key() {
        let base = tuple("10.0.0.1", 40000, "10.0.0.2", 443);
        let (key, _) = FlowKey::of(&base, &Zone::default());
        let zones = [
            Zone { vlan: Some(1), ..Zone::default() },
            Zone { inner_vlan: Some(1), ..Zone::default() },
            Zone { vni: Some(1), ..Zone::default() },
            Zone { vlan: Some(0xfff), ..Zone::default() },
        ];
        for zone in zones {
            assert_ne!(FlowKey::of(&base, &zone).0, key);
        }
        assert_ne!(FlowKey::of(&FiveTuple { protocol: 17, ..base }, &Zone::default()).0, key);
        assert_ne!(FlowKey::of(&FiveTuple { src_port: 443, dst_port: 40000, ..base }, &Zone::default()).0, key);
        let mapped = tuple("::10.0.0.1", 40000, "::10.0.0.2", 443);
        assert_ne!(FlowKey::of(&mapped, &Zone::default()).0, key, "IPv6 that embeds the same bits is another flow");
    }

    #[test]
    fn the_endpoints_come_back_out_of_the_key() {
        let zones = [
            Zone::default(),
            Zone { vlan: Some(0xfff), inner_vlan: Some(0), vni: Some(0xff_ffff) },
            Zone { vlan: None, inner_vlan: None, vni: Some(0) },
        ];
        for zone in zones {
            for original in [tuple("10.0.0.1", 40000, "10.0.0.2", 443), tuple("2001:db8::1", 9, "2001:db8::2", 65535)] {
                let (key, side) = FlowKey::of(&original, &zone);
                assert_eq!(key.endpoints(), (original, zone));
                assert_eq!(side, Side::Low);
            }
        }
    }

    #[test]
    fn the_seed_moves_keys_apart() {
        let (key, _) = FlowKey::of(&tuple("10.0.0.1", 40000, "10.0.0.2", 443), &Zone::default());
        assert_ne!(key.hash(1), key.hash(2));
    }

    /// The bits that choose lane, bucket and tag are spread evenly over flows that differ in one field only.
    #[test]
    fn hashes_spread_whatever_differs() {
        let number = |bits: u32, family: bool| -> IpAddr {
            if family {
                std::net::Ipv4Addr::from(bits).into()
            } else {
                std::net::Ipv6Addr::from(u128::from(bits) << 64).into()
            }
        };
        const FLOWS: u32 = 1 << 14;
        for (seed, family) in [(0, true), (0, false), (u64::MAX, true), (0x1234_5678_9abc_def0, false)] {
            let client = |at: u32| FiveTuple {
                src: number(0x0a00_0000 + at, family),
                ..tuple("10.0.0.1", 40000, "192.0.2.1", 443)
            };
            let server = |at: u32| FiveTuple {
                dst: number(0x0a00_0000 + at, family),
                ..tuple("10.0.0.1", 40000, "192.0.2.1", 443)
            };
            let ports =
                |at: u32| FiveTuple { src_port: u16::try_from(at).unwrap(), ..tuple("10.0.0.1", 0, "192.0.2.1", 443) };
            let kinds: [&dyn Fn(u32) -> FiveTuple; 3] = [&client, &server, &ports];
            for (kind, tuple) in kinds.iter().enumerate() {
                for (name, shift, bits) in [("lane", 61, 3), ("bucket", 0, 10), ("tag", 48, 8)] {
                    let mut counts = vec![0u32; 1 << bits];
                    for at in 0..FLOWS {
                        let mut tuple = tuple(at);
                        // Both ends of one family, as on the wire.
                        if kind < 2 && !family {
                            let other = number(7, false);
                            if kind == 0 { tuple.dst = other } else { tuple.src = other }
                        }
                        let hash = FlowKey::of(&tuple, &Zone::default()).0.hash(seed);
                        counts[usize::try_from(hash >> shift & ((1 << bits) - 1)).unwrap()] += 1;
                    }
                    let mean = f64::from(FLOWS >> bits);
                    let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
                    // Six standard deviations of a fair choice.
                    let bound = 6.0 * mean.sqrt();
                    assert!(f64::from(*most) < mean + bound, "{name} of kind {kind}, seed {seed}: {most} of {mean}");
                    assert!(f64::from(*least) > mean - bound, "{name} of kind {kind}, seed {seed}: {least} of {mean}");
                }
            }
        }
    }
}
