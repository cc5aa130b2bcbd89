//! What one lane counts beyond packets.

use crate::decode::TunnelKind;
use crate::flow::StreamCounters;
use crate::inspect::BoundCounters;
use crate::pipeline::VersionCounters;
use crate::pipeline::flow_record::{FlowRecord, Marks};
use std::collections::BTreeMap;

/// Kinds of tunnels that are looked for at ports without tunnels, and the names that their numbers have.
pub(super) const ELSEWHERE: [(TunnelKind, &str); 4] = [
    (TunnelKind::Vxlan, "unknown_port_vxlan"),
    (TunnelKind::Geneve, "unknown_port_geneve"),
    (TunnelKind::GtpU, "unknown_port_gtp_u"),
    (TunnelKind::Gre, "unknown_port_gre"),
];

/// What one lane counted beyond packets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LaneCounters {
    /// Flows opened.
    pub flows: u64,
    /// What became of TCP segments.
    pub streams: StreamCounters,
    /// Conversations that made room for others.
    pub conversations_evicted: u64,
    /// Conversations that held too many bytes.
    pub held_bytes_dropped: u64,
    /// TCP connections with payload that have ended.
    pub carried: u64,
    /// Those of them of which only one side was seen.
    pub one_sided: u64,
    /// Those of them whose beginning was not seen.
    pub midstream: u64,
    /// What was met while payload was read.
    pub read_counters: ReadCounters,
    /// Flows that began with a QUIC packet of a version that we cannot open.
    pub unknown_quic_versions: u64,
    /// The same by version.
    pub quic_versions: VersionCounters,
    /// Datagrams that look like a tunnel at a port without one, by kind, in the order of `ELSEWHERE`.
    pub tunnels_elsewhere: [u64; ELSEWHERE.len()],
}

/// What was met while payload was read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadCounters {
    /// Client hellos that may hide the name that is meant.
    pub encrypted_hellos: u64,
    /// Bounds within one message or connection.
    pub dropped: BoundCounters,
}

impl LaneCounters {
    /// Counts a flow that has ended, if it is a TCP connection that carried payload.
    pub(super) fn ended(&mut self, record: &FlowRecord) {
        if record.marks.has(Marks::TCP) && record.marks.has(Marks::PAYLOAD_SEEN) {
            self.carried += 1;
            self.one_sided += u64::from(!record.has_answer());
            self.midstream += u64::from(!record.sent.iter().any(|sent| sent.shook_hands()));
        }
    }

    /// What was dropped at a bound, under the bound's name.
    pub(super) fn add_dropped(&self, total: &mut BTreeMap<&'static str, u64>) {
        let of_lane = [
            ("conversations", self.conversations_evicted),
            ("held_bytes", self.held_bytes_dropped),
            ("stream_gaps", self.streams.gaps),
            ("segments_out_of_window", self.streams.out_of_window),
            ("overlapping_segments", self.streams.differing),
        ];
        let elsewhere = self.tunnels_elsewhere.iter().zip(ELSEWHERE).map(|(&count, (_, name))| (name, count));
        let all = of_lane.into_iter().chain(self.read_counters.dropped.non_zero()).chain(self.quic_versions.non_zero());
        for (name, count) in all.chain(elsewhere) {
            add(total, name, count);
        }
    }
}

/// Adds a count under its name, unless it is zero.
pub(super) fn add(total: &mut BTreeMap<&'static str, u64>, name: &'static str, count: u64) {
    if count > 0 {
        *total.entry(name).or_default() += count;
    }
}
