//! Protocols of the vendor's own, by what of them was seen.

use crate::inspect::Frames;
use crate::matching::{Indicator, IndicatorIndex, MatchKind};

/// What an indicator may name, and what stands for it in an observation.
const NAMES: [(&str, Frames); 2] = [("reputation", Frames::Answered), ("reputation-one-sided", Frames::OneSided)];

/// The matcher.
#[derive(Debug, Default)]
pub struct Protocols {
    answered: Option<IndicatorIndex>,
    one_sided: Option<IndicatorIndex>,
}

impl Protocols {
    /// Compiles the indicators of this kind among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)]) -> Self {
        let mut protocols = Self::default();
        for &(index, one) in indicators.iter().filter(|(_, one)| one.kind == MatchKind::Protocol) {
            match NAMES.iter().find(|(name, _)| *name == one.value) {
                Some((_, Frames::Answered)) => protocols.answered = Some(index),
                Some((_, Frames::OneSided)) => protocols.one_sided = Some(index),
                None => {}
            }
        }
        protocols
    }

    /// The indicator of what was seen.
    pub const fn find(&self, frames: Frames) -> Option<IndicatorIndex> {
        match frames {
            Frames::Answered => self.answered,
            Frames::OneSided => self.one_sided,
        }
    }
}

/// What is wrong with the value of an indicator of this kind.
///
/// # Errors
/// That, in words.
pub fn check(value: &str) -> Result<(), String> {
    if NAMES.iter().any(|(name, _)| *name == value) {
        return Ok(());
    }
    Err(format!("unknown protocol {value:?}; expected one of {}", NAMES.map(|(name, _)| name).join(", ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::matching::signature_set::tests::indicator;

    #[test]
    fn each_name_is_found_by_what_it_stands_for() {
        let (one, other) =
            (indicator(MatchKind::Protocol, "reputation-one-sided"), indicator(MatchKind::Exact, "reputation"));
        let protocols = Protocols::build(&[(IndicatorIndex(4), &one), (IndicatorIndex(5), &other)]);
        assert_eq!(protocols.find(Frames::OneSided), Some(IndicatorIndex(4)));
        assert_eq!(protocols.find(Frames::Answered), None);
        for (name, _) in NAMES {
            check(name).unwrap();
        }
        assert!(check("ksn").unwrap_err().contains("reputation-one-sided"));
    }
}
