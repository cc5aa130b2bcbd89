//! Times of log records.

use kaspector::capture::Timestamp;

/// Reads a time as EVE has it, `2026-11-23T15:43:54.449556+0000`; the offset may also be `Z` or `+00:00`, and the fraction may have up to
/// nine digits or be missing. `None` for anything else, and for what lies before 1970.
///
/// ```
/// use kaspector_logs::timestamp;
/// let at = timestamp("2026-11-23T15:43:54.449556+0000").unwrap();
/// assert_eq!(at.0, 1_795_448_634_449_556_000);
/// assert_eq!(timestamp("2026-11-23T17:43:54.449556+02:00"), Some(at));
/// assert_eq!(timestamp("yesterday"), None);
/// ```
#[must_use]
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.as_bytes().split_at_checked(10)?;
    let (year, month, day) = (digits(date, 0, 4)?, digits(date, 5, 2)?, digits(date, 8, 2)?);
    let (clock, rest) = rest.split_at_checked(9)?;
    let (hour, minute, second) = (digits(clock, 1, 2)?, digits(clock, 4, 2)?, digits(clock, 7, 2)?);
    let separators = [date.get(4)?, date.get(7)?, clock.first()?, clock.get(3)?, clock.get(6)?];
    // A leap second counts for the one after it.
    if separators != [&b'-', &b'-', &b'T', &b':', &b':'] || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    let Timestamp(midnight) = Timestamp::of_day(year, month, day)?;
    let seconds = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    let local = midnight.checked_add(seconds * 1_000_000_000 + fraction)?;
    let offset = offset_s(zone)? * 1_000_000_000;
    local.checked_add_signed(-offset).map(Timestamp)
}

/// Reads times of EVE records one after the other: most are of the same minute as the one before.
#[derive(Clone, Debug, Default)]
pub(crate) struct MinuteClock {
    /// `2026-11-23T15:43:` and the zone that a time ended with.
    minute: [u8; MINUTE],
    zone: [u8; ZONE],
    /// When that minute began.
    began: u64,
}

const MINUTE: usize = "2026-11-23T15:43:".len();
const ZONE: usize = "+0000".len();

impl MinuteClock {
    /// The same as [`timestamp`] gives.
    pub fn time(&mut self, text: &[u8]) -> Option<Timestamp> {
        // `2026-11-23T15:43:54.449556+0000`
        let whole = std::str::from_utf8(text).ok();
        let (Some((minute, rest)), Some(zone)) = (text.split_first_chunk::<MINUTE>(), text.last_chunk::<ZONE>()) else {
            return timestamp(whole?);
        };
        let seconds = rest.get(..rest.len().checked_sub(ZONE)?).unwrap_or_default();
        let [tens, ones, b'.', fraction @ ..] = seconds else { return timestamp(whole?) };
        let digits = [tens, ones].into_iter().chain(fraction);
        let value = digits.into_iter().try_fold(0_u64, |sum, byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 { sum.checked_mul(10)?.checked_add(u64::from(digit)) } else { None }
        });
        let (Some(value), 6) = (value, fraction.len()) else { return timestamp(whole?) };
        if self.minute != *minute || self.zone != *zone || value >= 60_000_000 {
            let at = timestamp(whole?)?;
            if value < 60_000_000 {
                (self.minute, self.zone) = (*minute, *zone);
                self.began = at.0.checked_sub(value * 1_000)?;
            }
            return Some(at);
        }
        self.began.checked_add(value * 1_000).map(Timestamp)
    }
}

/// The number that `count` digits from `at` on make.
fn digits(bytes: &[u8], at: usize, count: usize) -> Option<u16> {
    bytes
        .get(at..at + count)?
        .iter()
        .try_fold(0_u16, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u16::from(byte - b'0')))
}

/// Nanoseconds of a fraction, and what follows it.
fn fraction(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    let nanoseconds =
        (0..9).fold(0, |number, at| number * 10 + digits.get(at).map_or(0, |&byte| u64::from(byte - b'0')));
    Some((nanoseconds, rest))
}

/// Seconds that a zone is ahead of UTC.
fn offset_s(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone {
        b"Z" | b"z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.len() {
        4 => (digits(rest, 0, 2)?, digits(rest, 2, 2)?),
        5 if rest.get(2) == Some(&b':') => (digits(rest, 0, 2)?, digits(rest, 3, 2)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn forms_and_zones() {
        let second = |text| timestamp(text).map(|at| at.0 / 1_000_000_000);
        assert_eq!(second("1970-01-01T00:00:01Z"), Some(1));
        assert_eq!(second("1970-01-01T01:30:00.5+0130"), Some(0));
        assert_eq!(timestamp("2026-11-23T15:43:54.123456789Z").unwrap().0 % 1_000_000_000, 123_456_789);
        let mut clock = MinuteClock::default();
        for text in [
            "2026-11-23T15:43:54.449556+0000",
            "2026-11-23T15:43:07.000001+0000",
            "2026-11-23T15:43:07.000001+0100",
            "2026-11-23T15:43:60.000001+0100",
            "2026-11-23T15:44:07.00001+0100",
            "2026-11-23T15:44:07.000001Z",
            "2026-11-23T15:44:x7.000001+0100",
            "1970-01-01T00:00:00.000000+0100",
        ] {
            assert_eq!(clock.time(text.as_bytes()), timestamp(text), "{text}");
        }
        for bad in [
            "",
            "2026-11-23",
            "2026-11-23T15:43:54",
            "2026-11-23 15:43:54Z",
            "2026-02-30T15:43:54Z",
            "2026-11-23T24:43:54Z",
            "2026-11-23T15:43:54.Z",
            "2026-11-23T15:43:54.1234567890Z",
            "2026-11-23T15:43:54+00",
            "2026-11-23T15:43:54é",
            "1970-01-01T00:00:00+0100",
        ] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }
}
