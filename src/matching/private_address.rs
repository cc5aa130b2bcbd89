//! Addresses of somebody's own network.

use std::net::{IpAddr, Ipv4Addr};

/// Whether an address is of somebody's own network: private (RFC 1918, RFC 4193), shared by a provider (RFC 6598) or of the link
/// (RFC 3927, RFC 4291 section 2.5.6).
pub fn is_private(address: IpAddr) -> bool {
    let v4 = |address: Ipv4Addr| {
        address.is_private() || address.is_link_local() || matches!(address.octets(), [100, 64..=127, ..])
    };
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.to_ipv4_mapped().is_some_and(v4)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_inside_is_private_shared_or_local() {
        for address in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "169.254.1.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        for address in [
            "198.51.100.10",
            "172.32.0.1",
            "100.128.0.1",
            "100.63.0.1",
            "2001:db8::1",
            "::ffff:198.51.100.1",
            "8.8.8.8",
        ] {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
    }
}
