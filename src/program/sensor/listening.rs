//! Since when a sensor has listened: only then does a host's silence say anything.

use kaspector::capture::Timestamp;
use std::time::Duration;

/// For how long a sensor listens before it calls a host silent that it never heard itself: machines that are on show themselves several
/// times a day, and one that is off at night is on again by then.
const LISTENED_MIN: Duration = Duration::from_secs(86_400);

/// Since when packets have come without a break.
#[derive(Debug)]
pub struct Listening {
    since: Timestamp,
    looked: Timestamp,
}

impl Listening {
    /// Begins now.
    pub const fn since(now: Timestamp) -> Self {
        Self { since: now, looked: now }
    }

    /// Notes when the last packet came. After a break that is longer than an interface may be silent, listening begins anew.
    pub fn note(&mut self, last_packet: Option<Timestamp>, now: Timestamp, break_max: Duration) {
        let break_max = nanoseconds(break_max);
        let heard = last_packet.unwrap_or_default().max(self.since);
        // A clock that was set back makes nobody wait for ever.
        if now.0.saturating_sub(heard.0) > break_max || now < self.since {
            self.since = now;
        }
        self.looked = now;
    }

    /// Since when the sensor has listened, if that is long enough to call those silent that have shown nothing for `silent_after`.
    pub fn for_silences(&self, silent_after: Duration) -> Option<Timestamp> {
        let listened = self.looked.0.saturating_sub(self.since.0);
        (listened >= nanoseconds(silent_after.min(LISTENED_MIN))).then_some(self.since)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn a_break_begins_it_anew_and_a_day_is_enough() {
        let break_max = Duration::from_secs(120);
        let mut listening = Listening::since(Timestamp(HOUR));
        let at = |hours: u64| Timestamp(hours * HOUR);
        listening.note(Some(at(24)), at(24), break_max);
        assert_eq!(listening.for_silences(Duration::from_secs(14 * 86_400)), None, "23 hours");
        assert_eq!(listening.for_silences(Duration::from_secs(3600)), Some(at(1)));
        listening.note(Some(at(25)), at(25), break_max);
        assert_eq!(listening.for_silences(Duration::from_secs(14 * 86_400)), Some(at(1)));
        // The mirror port was off for an hour.
        listening.note(Some(at(25)), at(26), break_max);
        assert_eq!(listening.for_silences(Duration::from_secs(3600)), None);
        listening.note(Some(at(27)), at(27), break_max);
        assert_eq!(listening.for_silences(Duration::from_secs(3600)), Some(at(26)));
        // The clock was set back.
        listening.note(Some(at(3)), at(3), break_max);
        listening.note(Some(at(4)), at(4), break_max);
        assert_eq!(listening.for_silences(Duration::from_secs(3600)), Some(at(3)));
    }
}
