//! The `stats` record that drop dashboards read, in EVE's own spellings.

use super::time;
use kaspector::capture::Timestamp;
use serde::Serialize;

/// Counters of a live sensor since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EveStats {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Packets that the kernel handed over or dropped.
    pub kernel_packets: u64,
    /// Packets that the kernel dropped because a ring was full.
    pub kernel_drops: u64,
    /// Packets that the interfaces dropped before anybody could take them.
    pub interface_drops: u64,
    /// Packets taken.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets with a malformed header.
    pub invalid: u64,
    /// Alerts raised.
    pub alerts: u64,
}

impl EveStats {
    /// The record as one line, without its end.
    #[must_use]
    pub fn line(&self, at: Timestamp) -> String {
        let Self { uptime_s, kernel_packets, kernel_drops, interface_drops, packets, bytes, invalid, alerts } = *self;
        let record = Record {
            timestamp: time(at),
            event_type: "stats",
            stats: Stats {
                uptime: uptime_s,
                capture: Capture { kernel_packets, kernel_drops, kernel_ifdrops: interface_drops },
                decoder: Decoder { pkts: packets, bytes, invalid },
                detect: Detect { alert: alerts },
            },
        };
        serde_json::to_string(&record).expect("numbers and texts can be written")
    }
}

#[derive(Serialize)]
struct Record {
    timestamp: String,
    event_type: &'static str,
    stats: Stats,
}

#[derive(Serialize)]
struct Stats {
    uptime: u64,
    capture: Capture,
    decoder: Decoder,
    detect: Detect,
}

#[derive(Serialize)]
struct Capture {
    kernel_packets: u64,
    kernel_drops: u64,
    kernel_ifdrops: u64,
}

#[derive(Serialize)]
struct Decoder {
    pkts: u64,
    bytes: u64,
    invalid: u64,
}

#[derive(Serialize)]
struct Detect {
    alert: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use serde_json::Value;

    #[test]
    fn counters_stand_where_suricata_has_them() {
        let stats = EveStats {
            uptime_s: 8,
            kernel_packets: 100,
            kernel_drops: 3,
            packets: 97,
            alerts: 2,
            ..EveStats::default()
        };
        let record: Value = serde_json::from_str(&stats.line(Timestamp(1_767_225_600_000_000_000))).unwrap();
        assert_eq!(record["timestamp"], "2026-01-01T00:00:00.000000+0000");
        assert_eq!(record["event_type"], "stats");
        assert_eq!(record["stats"]["uptime"], 8);
        assert_eq!(record["stats"]["capture"]["kernel_drops"], 3);
        assert_eq!(record["stats"]["decoder"]["pkts"], 97);
        assert_eq!(record["stats"]["detect"]["alert"], 2);
    }
}
