//! When hosts showed themselves first: counts for a plot.

use super::filter::VERDICTS;
use super::hosts::HostBrief;
use kaspector::capture::Timestamp;
use kaspector_report::rfc3339;
use serde::Serialize;

/// Spans of time at most.
const SPANS_MAX: u64 = 60;
const SECOND_NS: u64 = 1_000_000_000;
/// Lengths of a span in seconds: what people count time in. Beyond, whole multiples of the last.
const LENGTHS_S: [u64; 10] = [60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200];

/// Hosts by the span of time in which they were first seen, without a gap between spans.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct OverTime {
    /// When the first span begins.
    from: Option<String>,
    /// How long each is.
    span_s: u64,
    /// Hosts first seen in each, by verdict: confirmed, suspected, browsing.
    counts: Vec<[u64; VERDICTS.len()]>,
}

impl OverTime {
    /// Of these hosts.
    pub fn of(hosts: &[&HostBrief]) -> Self {
        let second = |host: &&HostBrief| host.first_seen.0 / SECOND_NS;
        let (Some(first), Some(last)) = (hosts.iter().map(second).min(), hosts.iter().map(second).max()) else {
            return Self { from: None, span_s: 0, counts: Vec::new() };
        };
        // Spans begin at whole lengths, so both ends may need one of their own.
        let fits = |span: u64| last / span - first / span < SPANS_MAX;
        let [.., longest] = LENGTHS_S;
        let beyond = || longest.saturating_mul(((last - first) / (SPANS_MAX - 1) / longest).saturating_add(1));
        let span = LENGTHS_S.into_iter().find(|&span| fits(span)).unwrap_or_else(beyond);
        let from = first / span;
        let spans = usize::try_from(last / span - from + 1).unwrap_or(1);
        let mut counts = vec![[0; VERDICTS.len()]; spans];
        for host in hosts {
            let at = usize::try_from(second(host) / span - from).unwrap_or(usize::MAX);
            let verdict = VERDICTS.iter().position(|&verdict| verdict == host.verdict);
            let count = counts.get_mut(at).zip(verdict).and_then(|(counts, verdict)| counts.get_mut(verdict));
            count.into_iter().for_each(|count| *count += 1);
        }
        let from = Timestamp((from * span).saturating_mul(SECOND_NS));
        Self { from: Some(rfc3339(from)), span_s: span, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kaspector::decode::Zone;
    use kaspector::matching::{Confidence, HostKey, Role, Verdict};

    fn host(verdict: Verdict, second: u64) -> HostBrief {
        HostBrief {
            at: 0,
            host: HostKey { address: [10, 0, 0, 1].into(), zone: Zone::default() },
            verdict,
            confidence: Confidence(50),
            role: Role::Endpoint,
            first_seen: Timestamp(second * SECOND_NS),
            last_seen: Timestamp(second * SECOND_NS),
            bytes: 0,
        }
    }

    fn of(hosts: &[(Verdict, u64)]) -> OverTime {
        let hosts: Vec<_> = hosts.iter().map(|&(verdict, second)| host(verdict, second)).collect();
        OverTime::of(&hosts.iter().collect::<Vec<_>>())
    }

    #[test]
    fn hosts_are_counted_where_they_began() {
        let counted = of(&[(Verdict::Confirmed, 119), (Verdict::Browsing, 120), (Verdict::Confirmed, 61)]);
        let counts = vec![[2, 0, 0], [0, 0, 1]];
        assert_eq!(counted, OverTime { from: Some("1970-01-01T00:01:00.000000Z".to_owned()), span_s: 60, counts });
        assert_eq!(of(&[]), OverTime { from: None, span_s: 0, counts: Vec::new() });
    }

    #[test]
    fn no_time_is_too_long_to_plot() {
        for last in [0, 59, 3_599, 3_600, 86_400 * 59, 86_400 * 400, 86_400 * 36_500, u64::MAX / SECOND_NS] {
            let counted = of(&[(Verdict::Suspected, 0), (Verdict::Suspected, last)]);
            assert!(
                counted.counts.len() as u64 <= SPANS_MAX,
                "{last}: {} of {} s",
                counted.counts.len(),
                counted.span_s
            );
            assert_eq!(counted.counts.iter().map(|counts| counts[1]).sum::<u64>(), 2, "{last}");
        }
    }
}
