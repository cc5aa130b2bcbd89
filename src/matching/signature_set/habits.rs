//! Habits in time and order, as signature files write them: what must follow what, and within which time.

use super::ports::{self, PortRange};
use crate::matching::{Indicator, IndicatorIndex, MatchKind};
use std::net::IpAddr;

/// Most connections that a beat may ask for, and most resolvers in an order.
pub const STEPS_MAX: usize = 8;
/// Longest time that a habit may span, in seconds.
const SPAN_MAX_S: u64 = 7 * 24 * 3600;

const SECOND_NS: u64 = 1_000_000_000;

/// Connections of one client to one server at a steady interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// What it is evidence for.
    pub indicator: IndicatorIndex,
    /// The server's ports.
    pub ports: Vec<PortRange>,
    /// From one connection to the next.
    pub period_ns: u64,
    /// How much the interval may vary either way.
    pub tolerance_ns: u64,
    /// How many connections make a beat.
    pub connections: usize,
}

/// A datagram that asks a host to connect back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeUp {
    /// What it is evidence for.
    pub indicator: IndicatorIndex,
    /// Where the datagram goes.
    pub call: PortRange,
    /// Where the host that was called then connects, to the caller.
    pub then: Vec<PortRange>,
    /// How soon.
    pub within_ns: u64,
}

/// Ports whose server signs its certificate itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfSigned {
    /// What it is evidence for.
    pub indicator: IndicatorIndex,
    /// The server's ports.
    pub ports: Vec<PortRange>,
}

/// Resolvers that are asked one after the other when the usual one fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverOrder {
    /// What it is evidence for.
    pub indicator: IndicatorIndex,
    /// In this order.
    pub resolvers: Vec<IpAddr>,
    /// How many of them must be asked.
    pub at_least: usize,
    /// From the question that failed to the last.
    pub within_ns: u64,
}

/// All habits of a set.
#[derive(Debug, Default)]
pub struct Habits {
    /// Beats.
    pub beacons: Vec<Beacon>,
    /// Calls to connect back.
    pub wake_ups: Vec<WakeUp>,
    /// Ports with certificates of the server's own making.
    pub self_signed: Vec<SelfSigned>,
    /// Orders of resolvers.
    pub resolver_orders: Vec<ResolverOrder>,
}

impl Habits {
    /// Compiles the habits among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)]) -> Self {
        let mut habits = Self::default();
        for &(index, one) in indicators {
            match one.kind {
                MatchKind::Beacon => habits.beacons.extend(beacon(index, &one.value)),
                MatchKind::WakeUp => habits.wake_ups.extend(wake_up(index, &one.value)),
                MatchKind::SelfSigned => habits.self_signed.extend(self_signed(index, &one.value)),
                MatchKind::ResolverOrder => habits.resolver_orders.extend(resolver_order(index, &one.value)),
                _ => {}
            }
        }
        habits
    }

    /// Ports that some habit is followed at.
    pub fn ports(&self) -> impl Iterator<Item = PortRange> {
        let beacons = self.beacons.iter().flat_map(|beacon| beacon.ports.iter());
        let calls = self.wake_ups.iter().flat_map(|wake| std::iter::once(&wake.call).chain(&wake.then));
        let signed = self.self_signed.iter().flat_map(|one| one.ports.iter());
        beacons.chain(calls).chain(signed).copied()
    }
}

/// What is wrong with the value of a habit, if anything is.
pub fn check(kind: MatchKind, value: &str) -> Result<(), String> {
    let index = IndicatorIndex(0);
    match kind {
        MatchKind::Beacon => beacon(index, value).map(|_| ()),
        MatchKind::WakeUp => wake_up(index, value).map(|_| ()),
        MatchKind::SelfSigned => self_signed(index, value).map(|_| ()),
        MatchKind::ResolverOrder => resolver_order(index, value).map(|_| ()),
        _ => Ok(()),
    }
}

fn beacon(indicator: IndicatorIndex, value: &str) -> Result<Beacon, String> {
    let wrong = || {
        format!(
            "bad beat {value:?}; expected the form \"tcp/13000 tcp/14000; every 900 s; give or take 45 s; 3 times\", \
             with 3 to {STEPS_MAX} times and less than half the period to give or take"
        )
    };
    let [at, every, tolerance, times] = parts(value).ok_or_else(wrong)?;
    let period_ns = seconds(every, "every ").ok_or_else(wrong)?;
    let tolerance_ns = seconds(tolerance, "give or take ").ok_or_else(wrong)?;
    let connections = times.strip_suffix(" times").and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    if !(3..=STEPS_MAX).contains(&connections) || tolerance_ns * 2 >= period_ns {
        return Err(wrong());
    }
    Ok(Beacon { indicator, ports: port_list(at)?, period_ns, tolerance_ns, connections })
}

fn wake_up(indicator: IndicatorIndex, value: &str) -> Result<WakeUp, String> {
    let wrong =
        || format!("bad wake-up {value:?}; expected the form \"udp/15000; then tcp/13000 tcp/14000; within 15 s\"");
    let [call, then, within] = parts(value).ok_or_else(wrong)?;
    let then = port_list(then.strip_prefix("then ").ok_or_else(wrong)?)?;
    let within_ns = seconds(within, "within ").ok_or_else(wrong)?;
    Ok(WakeUp { indicator, call: ports::parse(call)?, then, within_ns })
}

fn self_signed(indicator: IndicatorIndex, value: &str) -> Result<SelfSigned, String> {
    Ok(SelfSigned { indicator, ports: port_list(value)? })
}

fn resolver_order(indicator: IndicatorIndex, value: &str) -> Result<ResolverOrder, String> {
    let wrong = || {
        format!(
            "bad order of resolvers {value:?}; expected the form \"8.8.8.8 1.1.1.1; at least 2; within 60 s\", \
             with 2 to {STEPS_MAX} addresses"
        )
    };
    let [list, at_least, within] = parts(value).ok_or_else(wrong)?;
    let resolvers: Vec<IpAddr> = list.split(' ').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let at_least = at_least.strip_prefix("at least ").and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let within_ns = seconds(within, "within ").ok_or_else(wrong)?;
    if !(2..=resolvers.len()).contains(&at_least) || resolvers.len() > STEPS_MAX {
        return Err(wrong());
    }
    Ok(ResolverOrder { indicator, resolvers, at_least, within_ns })
}

/// The parts of a value, between semicolons.
fn parts<const N: usize>(value: &str) -> Option<[&str; N]> {
    value.split("; ").collect::<Vec<_>>().try_into().ok()
}

fn port_list(text: &str) -> Result<Vec<PortRange>, String> {
    text.split(' ').map(ports::parse).collect()
}

/// Reads `every 900 s`, whose words are `before`, in nanoseconds.
fn seconds(text: &str, before: &str) -> Option<u64> {
    let number: u64 = text.strip_prefix(before)?.strip_suffix(" s")?.parse().ok()?;
    (1..=SPAN_MAX_S).contains(&number).then(|| number * SECOND_NS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::matching::SignatureSet;

    #[test]
    fn the_habits_of_the_builtin_set_are_followed() {
        let set = SignatureSet::builtin();
        let habits = set.habits();
        assert_eq!(habits.beacons[0].period_ns, 900 * SECOND_NS);
        assert!(habits.beacons[0].ports.iter().any(|range| range.contains(13000, 6)));
        assert!(habits.wake_ups[0].call.contains(15000, 17));
        assert!(habits.self_signed[0].ports.iter().any(|range| range.contains(13299, 6)));
        assert_eq!(habits.resolver_orders[0].resolvers.len(), 5);
    }

    #[test]
    fn what_cannot_be_followed_is_refused_in_words() {
        for (kind, value) in [
            (MatchKind::Beacon, "tcp/13000; every 900 s"),
            (MatchKind::Beacon, "tcp/13000; every 900 s; give or take 450 s; 3 times"),
            (MatchKind::Beacon, "tcp/13000; every 900 s; give or take 45 s; 2 times"),
            (MatchKind::Beacon, "tcp/13000; every 900 s; give or take 45 s; 9 times"),
            (MatchKind::Beacon, "13000; every 900 s; give or take 45 s; 3 times"),
            (MatchKind::Beacon, "tcp/13000; every 18446744073709551615 s; give or take 45 s; 3 times"),
            (MatchKind::WakeUp, "udp/15000; tcp/13000; within 15 s"),
            (MatchKind::WakeUp, "udp/15000; then tcp/13000; within 15"),
            (MatchKind::SelfSigned, "tcp/13000, tcp/13291"),
            (MatchKind::ResolverOrder, "8.8.8.8 dns.example; at least 2; within 60 s"),
            (MatchKind::ResolverOrder, "8.8.8.8 1.1.1.1; at least 3; within 60 s"),
            (MatchKind::ResolverOrder, "8.8.8.8 1.1.1.1; at least 1; within 60 s"),
            (MatchKind::ResolverOrder, ""),
        ] {
            assert!(check(kind, value).unwrap_err().contains("expected the form"), "{value}");
        }
    }
}
