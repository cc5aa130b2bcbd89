//! Whether one address stands for several machines. Systems begin with different hop limits, and routers count each down alike: packets
//! that began with 64 and with 128 come from two systems, behind address translation for instance.

use crate::capture::Timestamp;

/// Hop limits that systems begin with: Linux, Android and Apple's 64, Windows 128, some network equipment 255. Lower ones are not told
/// apart from packets that came a long way.
const BEGINNINGS: [u8; 3] = [64, 128, 255];
/// Fewest hops that are left of the lowest beginning: more than 32 routers on one way are unheard of.
const LEAST: u8 = 32;
/// Within which time two systems must have been seen, so that one that took over another's address does not count.
const TOGETHER_NS: u64 = 3_600_000_000_000;

/// When packets of each beginning were last seen from an address.
#[derive(Clone, Copy, Debug, Default)]
pub struct HopLimits {
    last: [Option<Timestamp>; BEGINNINGS.len()],
    /// Which of them were seen together.
    together: [bool; BEGINNINGS.len()],
}

impl HopLimits {
    /// Takes the hop limit of a packet that came from the address.
    pub fn note(&mut self, hop_limit: u8, at: Timestamp) {
        if hop_limit <= LEAST {
            return;
        }
        if let Some(class) = BEGINNINGS.iter().position(|&beginning| hop_limit <= beginning) {
            self.note_class(class, at);
        }
    }

    /// Takes what was seen of the same address elsewhere.
    pub fn merge(&mut self, other: Self) {
        for (class, (at, together)) in other.last.into_iter().zip(other.together).enumerate() {
            if let Some(at) = at {
                self.note_class(class, at);
            }
            if let Some(mine) = self.together.get_mut(class) {
                *mine |= together;
            }
        }
    }

    /// The parts: of each beginning when it was seen last, and whether it was seen together with another.
    #[must_use]
    pub fn to_parts(self) -> [(Option<Timestamp>, bool); BEGINNINGS.len()] {
        let mut parts = [(None, false); BEGINNINGS.len()];
        for (part, seen) in parts.iter_mut().zip(self.last.into_iter().zip(self.together)) {
            *part = seen;
        }
        parts
    }

    /// What [`HopLimits::to_parts`] took apart.
    #[must_use]
    pub fn from_parts(parts: [(Option<Timestamp>, bool); BEGINNINGS.len()]) -> Self {
        Self { last: parts.map(|(last, _)| last), together: parts.map(|(_, together)| together) }
    }

    /// What a reader should know of the address, if it stands for several systems.
    #[must_use]
    pub fn remark(self) -> Option<String> {
        let seen: Vec<String> = BEGINNINGS
            .iter()
            .zip(self.together)
            .filter(|(_, seen)| *seen)
            .map(|(limit, _)| limit.to_string())
            .collect();
        (seen.len() > 1).then(|| {
            format!(
                "one address, possibly many endpoints: within an hour it sent packets whose hop limits began at {}",
                seen.join(" and at ")
            )
        })
    }

    fn note_class(&mut self, class: usize, at: Timestamp) {
        let mut meets = false;
        for (other, (last, together)) in self.last.iter().zip(&mut self.together).enumerate() {
            if other != class
                && let Some(last) = last
                && last.0.abs_diff(at.0) <= TOGETHER_NS
            {
                *together = true;
                meets = true;
            }
        }
        if let Some(mine) = self.together.get_mut(class) {
            *mine |= meets;
        }
        if let Some(last) = self.last.get_mut(class) {
            *last = (*last).max(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(seen: &[(u8, u64)]) -> Option<String> {
        let mut limits = HopLimits::default();
        for &(limit, minute) in seen {
            limits.note(limit, Timestamp(minute * 60_000_000_000));
        }
        limits.remark()
    }

    #[test]
    fn two_systems_within_an_hour_are_told() {
        let two = remark(&[(63, 0), (127, 59)]);
        assert!(two.is_some_and(|text| text.contains("began at 64 and at 128")));
        assert!(remark(&[(254, 0), (127, 10), (64, 20)]).is_some_and(|text| text.contains("64 and at 128 and at 255")));
    }

    #[test]
    fn one_system_is_not() {
        assert_eq!(remark(&[(64, 0), (63, 1), (50, 2)]), None, "other ways");
        assert_eq!(remark(&[(63, 0), (127, 61)]), None, "one after the other");
        assert_eq!(remark(&[(127, 0), (1, 1), (32, 2), (0, 3)]), None, "nearly spent, or meant for neighbours");
        assert_eq!(remark(&[]), None);
    }

    #[test]
    fn parts_add_up() {
        let (mut first, mut second) = (HopLimits::default(), HopLimits::default());
        first.note(64, Timestamp(0));
        second.note(128, Timestamp(1));
        first.merge(second);
        assert!(first.remark().is_some());
    }
}
