//! What the names in a hello and in a certificate say of whose a server is.

use crate::matching::signature_set::certificate_attributes;

/// Whether an organisation or a common name of a certificate has the vendor's name in it as a word. Part of a host's name is none.
pub fn bears_vendors_name(name: &str) -> bool {
    certificate_attributes(name)
        .filter_map(|attribute| attribute.strip_prefix("O=").or_else(|| attribute.strip_prefix("CN=")))
        .any(|value| value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("kaspersky")))
}

/// Whether a name can only be somebody's own: a single label, or below one of the top-level names that networks use for themselves
/// (RFC 6762 appendix G, RFC 8375, and `internal`, which is set aside for this). An address in the place of a name is nobody's.
pub fn is_private_name(name: &str) -> bool {
    const PRIVATE: [&str; 10] =
        ["local", "localdomain", "lan", "internal", "intranet", "private", "corp", "home", "localhost", "arpa"];
    let is_own = |last: &str| PRIVATE.contains(&last) || last.bytes().all(|byte| byte.is_ascii_digit());
    name.rsplit('.').next().is_some_and(is_own) || !name.contains('.')
}
