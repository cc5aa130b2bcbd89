//! `kaspector hosts`.

use super::answer::AnswerPlace;
use super::{Exit, Usage, load, of_state};
use crate::cli::{HostsArguments, HostsFormat};
use crate::process::output_file::Claims;
use crate::state::{HostFilter, State};
use kaspector::capture::Timestamp;
use kaspector::matching::Verdict;
use kaspector_report::{write_hosts_csv, write_hosts_json, write_hosts_table};

/// Lists the hosts of an inventory.
pub fn hosts(arguments: &HostsArguments) -> anyhow::Result<Exit> {
    let signatures = load(&arguments.signatures)?;
    let now = jiff::Timestamp::now();
    let since = arguments.since.as_deref().map(|text| moment(text, now).ok_or_else(|| no_moment(text))).transpose()?;
    let filter = HostFilter {
        verdict: arguments.verdict.map(Verdict::from),
        since,
        categories: arguments.categories.clone(),
        products: arguments.products.clone(),
        addresses: arguments.addresses.clone(),
        roles: arguments.roles.clone(),
        vlans: arguments.vlans.clone(),
    };
    let mut claims = Claims::default();
    claims.add_database(&arguments.state);
    let place = AnswerPlace::new(arguments.output.as_deref(), &claims, arguments.force)?;
    let state = State::open_to_read(&arguments.state).map_err(of_state)?;
    let report = state.listing(&signatures, &filter).map_err(of_state)?;
    place.write(|mut out, style| match arguments.format {
        HostsFormat::Json => write_hosts_json(&mut out, &report, &signatures),
        HostsFormat::Csv => write_hosts_csv(&mut out, &report, &signatures),
        HostsFormat::Table => write_hosts_table(&mut out, &report, &signatures, style),
    })?;
    Ok(Exit::Ran)
}

fn no_moment(text: &str) -> Usage {
    let forms = "write 30m, 12h, 7d or 4w for so long ago, or 2026-11-01, or 2026-11-01T08:00:00Z";
    Usage(format!("--since {text}: neither a span nor a date; {forms}"))
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
