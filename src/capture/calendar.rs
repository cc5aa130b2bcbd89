//! The Gregorian calendar in UTC, before and after the epoch.

use super::Timestamp;
use std::fmt;

/// Days in 400 years, after which the calendar repeats itself.
const DAYS_OF_ERA: i64 = 146_097;
/// Days from the first of March in the year 0 to the epoch. Counted from March, a leap day is the last of its year.
const DAYS_BEFORE_EPOCH: i64 = 719_468;

/// Days from the epoch to a date of the years 1 to 9999; `None` when there is no such date.
pub(super) fn days(year: u16, month: u16, day: u16) -> Option<i64> {
    if !(1..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let wanted = (i64::from(year), i64::from(month), i64::from(day));
    let (year, month, day) = wanted;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - DAYS_BEFORE_EPOCH;
    // The 30th of February is the first or second of March.
    (date(days) == wanted).then_some(days)
}

/// Year, month and day so many days after the epoch.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_EPOCH;
    let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / (DAYS_OF_ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = 400 * era + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

impl Timestamp {
    /// The beginning of a day in UTC; `None` when there is no such day, or none of the years that a timestamp can tell.
    #[must_use]
    pub fn of_day(year: u16, month: u16, day: u16) -> Option<Self> {
        u64::try_from(days(year, month, day)?).ok()?.checked_mul(86_400_000_000_000).map(Self)
    }
}

/// In UTC, to the second: `2026-11-23 15:43:54 UTC`.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (year, month, day) = date(i64::try_from(seconds / 86_400).unwrap_or(i64::MAX / 2));
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_day_is_that_of_another_library() {
        for year in 1..=2_600 {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let other = jiff::civil::Date::new(year, month, day).ok();
                let other =
                    other.map(|date| date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second() / 86_400);
                assert_eq!(days(year as u16, month as u16, day as u16), other, "{year}-{month}-{day}");
            }
        }
        assert_eq!(Timestamp::of_day(1970, 1, 2), Some(Timestamp(86_400_000_000_000)));
        assert_eq!(
            [(1969, 12, 31), (2026, 2, 29), (9999, 1, 1)].map(|(y, m, d)| Timestamp::of_day(y, m, d)),
            [None; 3]
        );
        assert_eq!((days(0, 1, 1), days(10_000, 1, 1), days(u16::MAX, 1, 1)), (None, None, None));
    }

    proptest! {
        #[test]
        fn times_are_spelt_as_elsewhere(ns: u64) {
            let other = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            prop_assert_eq!(Timestamp(ns).to_string(), other.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
        }
    }
}
