//! One number for what a set says.

use crate::matching::Indicator;
use sha2::{Digest, Sha256};

/// SHA-256 over all fields of all indicators, by id; the field separators cannot stand in an id, and lengths keep the rest apart.
pub(super) fn digest<'a>(indicators: impl IntoIterator<Item = &'a Indicator>) -> String {
    let mut sorted: Vec<&Indicator> = indicators.into_iter().collect();
    sorted.sort_by(|left, right| left.id.cmp(&right.id));
    let mut hash = Sha256::new();
    // Many small updates would cost more than the hash.
    let mut fields = Vec::new();
    for one in sorted {
        fields.clear();
        let mut field = |text: &str| {
            fields.extend_from_slice(&(text.len() as u64).to_be_bytes());
            fields.extend_from_slice(text.as_bytes());
        };
        for text in [&one.id, one.kind.name(), &one.value, one.literal.as_deref().unwrap_or_default()] {
            field(text);
        }
        for list in [&one.also, &one.ports, &one.products, &one.engine_in, &one.sources] {
            field(&list.len().to_string());
            for text in list {
                field(text);
            }
        }
        for text in [
            one.category.name(),
            one.strength.name(),
            &one.era,
            &one.date,
            &one.note,
            &one.tls_version.unwrap_or_default().to_string(),
            &one.rev.to_string(),
        ] {
            field(text);
        }
        hash.update(&fields);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
