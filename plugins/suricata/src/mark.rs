//! Which indicator a record matches by a name in it: a few lookups on the engine's own thread. What takes the ledger is told in alerts.

use kaspector::inspect::DomainName;
use kaspector::matching::SignatureSet;
use memchr::memmem;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a record that are looked at, and names in it.
const BYTES_MAX: usize = 16 << 10;
const NAMES_MAX: usize = 32;
/// Keys whose values are names of servers.
const KEYS: [&[u8]; 3] = [br#""rrname":""#, br#""sni":""#, br#""hostname":""#];

static OFF: AtomicBool = AtomicBool::new(false);

/// What a record matches.
#[derive(Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    pub indicator: &'a str,
    pub category: &'static str,
    pub strength: &'static str,
}

/// Leaves records alone from now on.
pub fn turn_off() {
    OFF.store(true, Ordering::Relaxed);
}

pub fn is_off() -> bool {
    OFF.load(Ordering::Relaxed)
}

/// The strongest indicator that a name in a record matches. The record may lack its end.
pub fn find<'a>(record: &[u8], signatures: &'a SignatureSet) -> Option<Mark<'a>> {
    let record = record.get(..BYTES_MAX).unwrap_or(record);
    let mut names = 0;
    let mut strongest = None;
    for key in KEYS {
        for at in memmem::find_iter(record, key) {
            names += 1;
            if names > NAMES_MAX {
                break;
            }
            let Some(rest) = record.get(at + key.len()..) else { continue };
            let Some(end) = rest.iter().take(DomainName::MAX + 2).position(|&byte| matches!(byte, b'"' | b'\\')) else {
                continue;
            };
            // What is escaped in JSON is in no name.
            let is_whole = rest.get(end) == Some(&b'"');
            let name = rest.get(..end).filter(|_| is_whole).and_then(DomainName::from_text);
            let Some(name) = name else { continue };
            let Some(index) = signatures.match_name(name.as_str()) else { continue };
            let indicator = signatures.get(index);
            if strongest.is_none_or(|(strength, _)| indicator.strength < strength) {
                strongest = Some((indicator.strength, indicator));
            }
        }
    }
    strongest.map(|(strength, indicator)| Mark {
        indicator: &indicator.id,
        category: indicator.category.name(),
        strength: strength.name(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_strongest_name_counts() {
        let signatures = SignatureSet::builtin();
        let strength = |record: &str| find(record.as_bytes(), &signatures).map(|mark| mark.strength);
        assert_eq!(strength(r#"{"event_type":"tls","tls":{"sni":"S07.upd.kaspersky.com""#), Some("installed"));
        assert_eq!(
            strength(
                r#"{"dns":{"queries":[{"rrname":"www.kaspersky.com"}],"answers":[{"rrname":"s07.upd.kaspersky.com""#
            ),
            Some("installed")
        );
        assert_eq!(strength(r#"{"http":{"hostname":"www.kaspersky.com","#), Some("browse"));
        for none in [
            "",
            r#""sni":""#,
            r#""sni":"s07.upd.kaspersky.co"#,
            r#""sni":"s07.upd.kaspersky.com\u0041""#,
            r#""sni":"a.example""#,
        ] {
            assert_eq!(strength(none), None, "{none}");
        }
        let many = format!("{}{}", r#""sni":"a.example","#.repeat(NAMES_MAX), r#""sni":"s07.upd.kaspersky.com""#);
        assert_eq!(strength(&many), None, "beyond the bound");
    }
}
