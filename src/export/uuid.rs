//! Identifiers that follow from names (RFC 9562 section 5.5, version 5), so that the same thing has the same one in every export.

use sha1::{Digest, Sha1};

/// The namespace of Kaspector's identifiers, chosen once: another one would give every object a new identifier.
const NAMESPACE: [u8; 16] =
    [0x7b, 0x0e, 0x6c, 0x1d, 0x3f, 0x52, 0x5a, 0x1e, 0x9c, 0x47, 0x61, 0x8a, 0x20, 0xd5, 0xb4, 0xf3];

/// The identifier of a name, in lower case with dashes.
pub fn uuid(name: &str) -> String {
    let digest = Sha1::new().chain_update(NAMESPACE).chain_update(name).finalize();
    let mut hex = String::with_capacity(36);
    for (at, byte) in digest.iter().take(16).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            hex.push('-');
        }
        let byte = match at {
            6 => byte & 0x0f | 0x50,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_follow_from_names() {
        let one = uuid("KL-UPD-0001");
        assert_eq!(one, uuid("KL-UPD-0001"));
        assert_ne!(one, uuid("KL-UPD-0002"));
        assert_eq!((one.len(), one.get(14..15)), (36, Some("5")));
        assert!(matches!(one.get(19..20), Some("8" | "9" | "a" | "b")));
    }
}
