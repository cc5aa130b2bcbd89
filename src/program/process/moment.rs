//! Moments, as people write them: `14d` ago, a day, or a time.

use kaspector::capture::Timestamp;

/// The moment that the value of `option` means: so long before `now`, the beginning of a day in UTC, or itself.
///
/// # Errors
/// When it is none of these.
pub(crate) fn moment_of(option: &str, text: &str, now: jiff::Timestamp) -> Result<Timestamp, String> {
    moment(text, now).ok_or_else(|| no_moment(option, text))
}

/// As [`moment_of`], but of a day the last nanosecond.
///
/// # Errors
/// When it is none of these.
pub(crate) fn end_of(option: &str, text: &str, now: jiff::Timestamp) -> Result<Timestamp, String> {
    let moment = moment_of(option, text, now)?;
    let is_day = text.parse::<jiff::Timestamp>().is_err() && text.parse::<jiff::civil::Date>().is_ok();
    Ok(if is_day { Timestamp(moment.0.saturating_add(DAY - 1)) } else { moment })
}

/// Nanoseconds of a day in UTC, as POSIX counts them.
const DAY: u64 = 86_400_000_000_000;

fn no_moment(option: &str, text: &str) -> String {
    let forms = "write 30m, 12h, 7d or 4w for so long ago, or 2026-11-01, or 2026-11-01T08:00:00Z";
    format!("{option} {text}: neither a span nor a date; {forms}")
}

/// The moment that `text` means: so long before `now`, the beginning of a day in UTC, or itself.
fn moment(text: &str, now: jiff::Timestamp) -> Option<Timestamp> {
    let span = text.char_indices().last().and_then(|(at, unit)| {
        let seconds: u64 = match unit {
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        Some(text.get(..at)?.parse::<u64>().ok()?.saturating_mul(seconds))
    });
    let nanoseconds = match span {
        Some(seconds) => now.as_nanosecond() - i128::from(seconds) * 1_000_000_000,
        None => text
            .parse::<jiff::Timestamp>()
            .ok()
            .or_else(|| {
                text.parse::<jiff::civil::Date>()
                    .ok()?
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .ok()
                    .map(|day| day.timestamp())
            })?
            .as_nanosecond(),
    };
    // Whatever lies before the first moment that a packet can have is the same to every packet.
    Some(Timestamp(u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_day_ends_before_the_next_begins() {
        let now: jiff::Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let end = |text: &str| {
            let Timestamp(nanoseconds) = end_of("--until", text, now).unwrap();
            jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap().to_string()
        };
        assert_eq!(end("2026-11-01"), "2026-11-01T23:59:59.999999999Z");
        assert_eq!(end("2026-11-01T00:00:00Z"), "2026-11-01T00:00:00Z");
        assert_eq!(end("1d"), "2026-11-24T12:00:00Z");
        let said = end_of("--until", "soon", now).unwrap_err();
        assert!(said.starts_with("--until soon: neither a span nor a date; write 30m"), "{said}");
    }

    #[test]
    fn moments_are_spans_days_or_times() {
        let now: jiff::Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let at = |text: &str| {
            let Timestamp(nanoseconds) = moment(text, now)?;
            Some(jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap().to_string())
        };
        for (text, expected) in [
            ("30m", "2026-11-25T11:30:00Z"),
            ("12h", "2026-11-25T00:00:00Z"),
            ("7d", "2026-11-18T12:00:00Z"),
            ("1w", "2026-11-18T12:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T08:00:00+02:00", "2026-11-01T06:00:00Z"),
            ("99999999999999999999d", ""),
            ("18446744073709551615w", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(at(text).unwrap_or_default(), expected, "{text}");
        }
        for text in ["", "d", "-7d", "7", "7y", "yesterday", "2026-13-01", "é"] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
