//! Times of lines that leave out year or zone, which the reader of the log has to say.

use crate::timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use kaspector::capture::Timestamp;

/// Farthest that a zone is ahead of UTC or behind it, in seconds.
const OFFSET_MAX_S: i32 = 18 * 3600;
/// How far a line's time may lie behind the time that its file was changed last: clocks, and zones that were said wrongly by a day.
const SLACK_NS: u64 = 86_400_000_000_000;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Forms of times with the name of a month, and that of the common log format.
const WORDED: [&str; 6] = [
    "%b %d %Y %H:%M:%S",
    "%b %d %Y %H:%M:%S %z",
    "%d %b %Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S",
];

/// What the times of a log leave out.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    year: Year,
}

#[derive(Clone, Debug)]
enum Year {
    /// No line is later than this.
    Until(Timestamp),
    /// That of the next line, and the month of the last.
    From(i16, i8),
}

impl Default for Clock {
    /// Times in UTC, none of them later than the last that can be told.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, year: Year::Until(Timestamp(u64::MAX)) }
    }
}

/// A zone: `UTC`, an offset such as `+02:00`, or a name of the system's time zone database, such as `Europe/Berlin`.
///
/// # Errors
/// What is wrong, in words.
pub fn time_zone(text: &str) -> Result<TimeZone, String> {
    if text.eq_ignore_ascii_case("utc") || text == "Z" {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = offset(text) {
        return Ok(offset.to_time_zone());
    }
    TimeZone::get(text).map_err(|_| {
        format!("'{text}' is no time zone: say UTC, an offset such as +02:00, or a name such as Europe/Berlin")
    })
}

/// An offset such as `+02:00` or `-0530`.
fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|&one| one != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    let is_number = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (is_number && minutes < 60 && hours * 3600 <= OFFSET_MAX_S)
        .then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())
        .flatten()
}

/// What a time at the beginning of a line leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leading {
    Nothing,
    Zone,
    ZoneAndYear,
}

impl Clock {
    /// Times in this zone; where they have no year either, none is later than `until`, which is when the file was changed last.
    #[must_use]
    pub const fn until(zone: TimeZone, until: Timestamp) -> Self {
        Self { zone, year: Year::Until(until) }
    }

    /// Times in this zone; where they have no year either, the first line is of `year`, and a January behind a December of the next.
    #[must_use]
    pub const fn from_year(zone: TimeZone, year: i16) -> Self {
        Self { zone, year: Year::From(year, 0) }
    }

    /// The time that a line begins with, in one of the forms that syslog and resolvers have, and what follows it and its blank:
    /// `2026-11-24T03:39:09.282+00:00`, the same without a zone, `24-Nov-2026 03:39:09.282`, `Nov 24 03:39:09`, `[1795448634]`, `1795448634.282`.
    pub(super) fn leading<'a>(&mut self, line: &'a str) -> Option<(Timestamp, &'a str)> {
        let line = line.trim_ascii_start();
        let first = *line.as_bytes().first()?;
        if first == b'[' {
            let (inner, rest) = line.get(1..)?.split_once(']')?;
            // Some write any of these in brackets.
            let at = epoch(inner).or_else(|| Some(self.leading(inner)?.0))?;
            return Some((at, rest.trim_ascii_start()));
        }
        let (word, rest) = line.split_once([' ', '\t'])?;
        if first.is_ascii_alphabetic() {
            // Month, day that may be set to two places, time.
            let (day, rest) = rest.trim_ascii_start().split_once(' ')?;
            let (clock, rest) = rest.trim_ascii_start().split_once(' ').unwrap_or((rest.trim_ascii_start(), ""));
            return Some((self.of_year(month(word)?, day.parse().ok()?, clock)?, rest.trim_ascii_start()));
        }
        if let Some(at) = epoch(word) {
            return Some((at, rest));
        }
        if word.contains('T') {
            let at = timestamp(word).or_else(|| self.local(word.parse().ok()?))?;
            return Some((at, rest));
        }
        let mut parts = word.split('-');
        let (day, name, year) = (parts.next()?, parts.next()?, parts.next()?);
        let (clock, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let date = format!("{year}-{:02}-{day:0>2}T{clock}", month(name)?);
        Some((self.local(date.parse().ok()?)?, rest))
    }

    /// A time in a form that is said (`strftime`), or in one of those that say themselves what they are: ISO 8601 with or without a zone, with a
    /// blank for its `T`, with slashes; `Nov 24 2026 03:39:09`; seconds since 1970, with a fraction, or as milli-, micro- or nanoseconds.
    pub(super) fn free(&self, text: &str, form: Option<&str>) -> Option<Timestamp> {
        let text = text.trim();
        let universal =
            [" GMT", " UTC"].iter().find_map(|zone| text.strip_suffix(zone)).map(|rest| format!("{rest} +0000"));
        let text = universal.as_deref().unwrap_or(text);
        let number = |at: jiff::Timestamp| u64::try_from(at.as_nanosecond()).ok().map(Timestamp);
        if let Some(form) = form {
            let parts = jiff::fmt::strtime::parse(form, text).ok()?;
            return match parts.to_timestamp() {
                Ok(at) => number(at),
                Err(_) => self.local(parts.to_datetime().ok()?),
            };
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() >= 12 {
            // Thirteen digits are milliseconds until the year 2286.
            let scale = match text.len() {
                12..=14 => 1_000_000,
                15..=17 => 1_000,
                _ => 1,
            };
            return text.parse::<u64>().ok()?.checked_mul(scale).map(Timestamp);
        }
        if let Some(at) = epoch(text).or_else(|| timestamp(text)) {
            return Some(at);
        }
        let iso = text.replacen(' ', "T", 1).replace('/', "-");
        timestamp(&iso).or_else(|| self.local(iso.parse().ok()?)).or_else(|| {
            WORDED.iter().find_map(|form| {
                let parts = jiff::fmt::strtime::parse(form, text).ok()?;
                parts.to_timestamp().ok().and_then(number).or_else(|| self.local(parts.to_datetime().ok()?))
            })
        })
    }

    /// Whether such a time says in which zone it is.
    pub(super) fn has_zone(text: &str, form: Option<&str>) -> bool {
        let [here, there] = [Offset::UTC, Offset::constant(5)].map(|offset| {
            let clock = Self { zone: offset.to_time_zone(), ..Self::default() };
            clock.free(text, form)
        });
        here == there
    }

    /// A time without a year.
    fn of_year(&mut self, month: i8, day: i8, clock: &str) -> Option<Timestamp> {
        let in_year =
            |clock_of: &Self, year: i16| clock_of.local(format!("{year:04}-{month:02}-{day:02}T{clock}").parse().ok()?);
        match self.year {
            Year::Until(until) => {
                let latest = until.0.saturating_add(SLACK_NS);
                let last = jiff::Timestamp::from_nanosecond(i128::from(latest)).ok()?;
                let year = self.zone.to_datetime(last).year();
                // The 29th of February may be eight years back.
                (0..9).find_map(|back| in_year(self, year - back).filter(|at| at.0 <= latest))
            }
            Year::From(year, last) => {
                let year = if last == 12 && month == 1 { year + 1 } else { year };
                let at = in_year(self, year)?;
                self.year = Year::From(year, month);
                Some(at)
            }
        }
    }

    fn local(&self, time: DateTime) -> Option<Timestamp> {
        let zoned = time.to_zoned(self.zone.clone()).ok()?;
        u64::try_from(zoned.timestamp().as_nanosecond()).ok().map(Timestamp)
    }
}

/// What the time that a line begins with leaves out; `None` if it begins with none.
pub(super) fn lacks(line: &str) -> Option<Leading> {
    Clock::default().leading(line)?;
    let word = line.trim_ascii_start().trim_start_matches('[').split([' ', ']']).next()?;
    Some(if word.starts_with(|first: char| first.is_ascii_alphabetic()) {
        Leading::ZoneAndYear
    } else if epoch(word).is_some() || timestamp(word).is_some() {
        Leading::Nothing
    } else {
        Leading::Zone
    })
}

/// Seconds since the epoch, with or without a fraction: `1795448634.282`.
pub(super) fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 11 || fraction.len() > 9 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let seconds: u64 = whole.parse().ok()?;
    let nanoseconds =
        (0..9).fold(0, |sum, at| sum * 10 + fraction.as_bytes().get(at).map_or(0, |&byte| u64::from(byte - b'0')));
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds).map(Timestamp)
}

fn month(name: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seconds(clock: &mut Clock, line: &str) -> Option<u64> {
        clock.leading(line).map(|(at, rest)| {
            assert_eq!(rest, "rest of it", "{line}");
            at.seconds()
        })
    }

    const AT: u64 = 1_795_491_549; // 2026-11-24T03:39:09Z

    #[test]
    fn each_form_gives_the_same_time() {
        let mut clock = Clock::from_year(TimeZone::UTC, 2026);
        for line in [
            "2026-11-24T03:39:09.282+00:00 rest of it",
            "2026-11-24T05:39:09.282+02:00 rest of it",
            "2026-11-24T03:39:09.282Z rest of it",
            "2026-11-24T03:39:09.282 rest of it",
            "24-Nov-2026 03:39:09.282 rest of it",
            "Nov 24 03:39:09 rest of it",
            "[1795491549] rest of it",
            "1795491549.282 rest of it",
        ] {
            assert_eq!(seconds(&mut clock, line), Some(AT), "{line}");
        }
        for line in [
            "",
            "x",
            "Nov 24",
            "Nov 31 03:39:09 rest of it",
            "24-Nov-2026",
            "99999999999999 rest of it",
            "[x] rest of it",
        ] {
            assert_eq!(clock.leading(line), None, "{line}");
        }
    }

    #[test]
    fn a_zone_may_be_an_offset_or_a_name() {
        for (text, hours) in [("UTC", 0), ("+02:00", 2), ("-0530", -5), ("Etc/GMT-3", 3)] {
            let Ok(zone) = time_zone(text) else { panic!("{text}") };
            let offset = zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds();
            assert_eq!(offset / 3600, hours, "{text}");
        }
        for text in ["", "+2", "+02:60", "+19:00", "Mars/Olympus"] {
            assert!(time_zone(text).unwrap_err().contains("is no time zone"), "{text}");
        }
        let mut berlin = Clock::from_year(time_zone("Europe/Berlin").unwrap(), 2026);
        assert_eq!(seconds(&mut berlin, "24-Nov-2026 04:39:09.000 rest of it"), Some(AT));
        assert_eq!(seconds(&mut berlin, "24-Jul-2026 05:39:09.000 rest of it"), Some(AT - 123 * 86_400));
    }

    #[test]
    fn a_year_follows_from_the_files_date_or_from_the_first_line() {
        let mut clock = Clock::until(TimeZone::UTC, Timestamp(AT * 1_000_000_000));
        assert_eq!(seconds(&mut clock, "Nov 24 03:39:09 rest of it"), Some(AT));
        assert_eq!(seconds(&mut clock, "Nov 26 03:39:09 rest of it"), Some(AT - 363 * 86_400), "of the year before");
        assert_eq!(seconds(&mut clock, "Feb 29 03:39:09 rest of it"), Some(1_709_177_949), "2024");
        let mut clock = Clock::from_year(TimeZone::UTC, 2025);
        assert_eq!(seconds(&mut clock, "Dec 31 23:59:59 rest of it"), Some(1_767_225_599));
        assert_eq!(seconds(&mut clock, "Jan  1 00:00:00 rest of it"), Some(1_767_225_600));
        assert_eq!(seconds(&mut clock, "Jan  2 00:00:00 rest of it"), Some(1_767_312_000));
    }

    #[test]
    fn what_is_left_out_shows_from_the_form() {
        assert_eq!(lacks("Nov 24 03:39:09 x"), Some(Leading::ZoneAndYear));
        assert_eq!(lacks("24-Nov-2026 03:39:09.282 x"), Some(Leading::Zone));
        assert_eq!(lacks("2026-11-24T03:39:09 x"), Some(Leading::Zone));
        assert_eq!(lacks("2026-11-24T03:39:09Z x"), Some(Leading::Nothing));
        assert_eq!(lacks("[1795491549] x"), Some(Leading::Nothing));
        assert_eq!(lacks("client 10.0.0.5"), None);
    }
}
