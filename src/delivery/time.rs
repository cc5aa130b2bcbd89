//! Times of alerts, as collectors want them.

/// The moment of an EVE time; `None` when it is none.
pub fn from_eve(text: &str) -> Option<jiff::Timestamp> {
    jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()
}

/// RFC 3339 in UTC, with six digits behind the point.
pub fn rfc3339(at: jiff::Timestamp) -> String {
    jiff::fmt::temporal::DateTimePrinter::new().precision(Some(6)).timestamp_to_string(&at)
}
