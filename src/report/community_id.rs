//! Community ID v1: the same short name for a flow in every tool (<https://github.com/corelight/community-id-spec>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// The Community ID of a flow, with the seed 0 that everybody uses. Both directions give the same.
///
/// `protocol` is the IP protocol number; the ports are those of a protocol that has them.
///
/// ```
/// # use kaspector_report::community_id;
/// let (client, server) = ("10.20.1.15".parse()?, "10.20.0.53".parse()?);
/// assert_eq!(community_id(client, server, 53001, 53, 17), "1:Sx1goOmD44NVJyj/XqVfOn1ZNZ8=");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn community_id(src: IpAddr, dst: IpAddr, src_port: u16, dst_port: u16, protocol: u8) -> String {
    // Addresses of one family compare as their bytes do.
    let (low, high) = if (src, src_port) <= (dst, dst_port) {
        ((src, src_port), (dst, dst_port))
    } else {
        ((dst, dst_port), (src, src_port))
    };
    let mut hash = Sha1::new();
    hash.update(SEED.to_be_bytes());
    for address in [low.0, high.0] {
        match address {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(address.octets()),
        }
    }
    hash.update([protocol, 0]);
    hash.update(low.1.to_be_bytes());
    hash.update(high.1.to_be_bytes());
    format!("1:{}", STANDARD.encode(hash.finalize()))
}

const SEED: u16 = 0;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn agrees_with_suricata_in_both_directions() {
        for (src, src_port, dst, dst_port, protocol, expected) in [
            ("10.20.1.15", 53001, "10.20.0.53", 53, 17, "1:Sx1goOmD44NVJyj/XqVfOn1ZNZ8="),
            ("10.20.1.15", 49152, "203.0.113.10", 443, 6, "1:g9OcTNtQsRS3teaTth4CPcVodUk="),
            ("2001:db8:20::15", 49160, "2001:db8:ffff::5", 443, 6, "1:5DiMlqAxzAkedRunc3PSLcpsAvs="),
        ] {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            assert_eq!(community_id(src, dst, src_port, dst_port, protocol), expected);
            assert_eq!(community_id(dst, src, dst_port, src_port, protocol), expected);
        }
    }

    #[test]
    fn one_machine_talking_to_itself_is_ordered_by_port() {
        let host = "10.0.0.1".parse().unwrap();
        assert_eq!(community_id(host, host, 40000, 443, 6), community_id(host, host, 443, 40000, 6));
    }
}
