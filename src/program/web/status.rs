//! `/api/status` and `/api/history`: the sensor's own numbers as JSON.

use super::readiness::unready;
use super::shown::Shown;
use crate::process::clock::now;
use crate::status::{InterfaceStatus, MessageCounts, SAMPLE_INTERVAL};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use kaspector::capture::Timestamp;
use kaspector_delivery::OutputStatus;
use kaspector_report::{MachineCounts, rfc3339};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct Answer<'a> {
    sensor: &'a str,
    version: &'static str,
    now: String,
    started: String,
    ready: bool,
    /// Why not, if not.
    reasons: Vec<String>,
    signatures: Signatures<'a>,
    interfaces: Vec<Interface<'a>>,
    outcomes: BTreeMap<&'a str, u64>,
    flows_active: u64,
    flow_evictions: BTreeMap<&'a str, u64>,
    flow_memory_bytes: u64,
    connections_ended: u64,
    inspection_gaps: BTreeMap<&'a str, u64>,
    detections: Vec<Detection<'a>>,
    endpoints_with_findings: u64,
    /// The machines that were seen, by how much of each could be judged.
    machines: MachineCounts,
    /// What was dropped of them, by reason.
    machine_drops: BTreeMap<&'a str, u64>,
    /// What became of evidence, by result, and the bytes in its folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<BTreeMap<&'a str, u64>>,
    outputs: Vec<Output<'a>>,
    spool: Spool,
    /// Messages that were made for the outputs.
    messages: Messages,
    /// Of these, those that no output had room for.
    no_room: Messages,
    /// What is wrong with spool and outputs.
    troubles: Vec<String>,
}

#[derive(Serialize)]
struct Spool {
    used_bytes: u64,
    limit_bytes: u64,
    trouble: Option<String>,
}

#[derive(Serialize)]
struct Messages {
    alerts: u64,
    counters: u64,
}

#[derive(Serialize)]
struct Loss {
    reason: &'static str,
    alerts: u64,
    counters: u64,
}

#[derive(Serialize)]
struct Signatures<'a> {
    version: &'a str,
    indicators: usize,
}

#[derive(Serialize)]
struct Interface<'a> {
    name: &'a str,
    is_up: bool,
    packets: u64,
    bytes: u64,
    kernel_drops: u64,
    ring_freezes: u64,
    nic_drops: u64,
    queue_drops: u64,
    last_packet: Option<String>,
    /// Age of that packet in seconds.
    silent_s: Option<f64>,
}

#[derive(Serialize)]
struct Detection<'a> {
    service: &'a str,
    strength: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    delivered: u64,
    retried: u64,
    rejected: u64,
    lost: u64,
    /// Reasons of which there were any.
    losses: Vec<Loss>,
    waiting: u64,
    spool_bytes: u64,
    oldest_unacked_s: f64,
    trouble: Option<&'a str>,
}

pub(super) async fn status(State(shown): State<Arc<Shown>>) -> Response {
    let status = shown.web.status();
    let at = now();
    let reasons = unready(&status, at, shown.web.stale_after());
    let answer = Answer {
        sensor: &shown.web.options().sensor,
        version: env!("CARGO_PKG_VERSION"),
        now: rfc3339(at),
        started: rfc3339(status.started),
        ready: reasons.is_empty(),
        reasons,
        signatures: Signatures { version: &status.signatures_version, indicators: status.indicators },
        interfaces: status.interfaces.iter().map(|interface| Interface::of(interface, at)).collect(),
        outcomes: status.outcomes.iter().copied().collect(),
        flows_active: status.flows_active,
        flow_evictions: status.flow_evictions.iter().copied().collect(),
        flow_memory_bytes: status.flow_memory_bytes,
        connections_ended: status.connections_ended,
        inspection_gaps: status.inspection_gaps.iter().copied().collect(),
        detections: status
            .detections
            .iter()
            .map(|&(service, strength, count)| Detection { service, strength, count })
            .collect(),
        endpoints_with_findings: status.endpoints_with_findings,
        machines: status.machines,
        machine_drops: status.machine_drops.iter().copied().collect(),
        evidence: status
            .evidence
            .as_ref()
            .map(|(results, used_bytes)| results.iter().copied().chain([("used_bytes", *used_bytes)]).collect()),
        outputs: status.outputs.iter().map(Output::of).collect(),
        spool: Spool {
            used_bytes: status.spool.used_bytes,
            limit_bytes: status.spool.limit_bytes,
            trouble: status.spool.trouble.clone(),
        },
        messages: Messages::of(status.messages),
        no_room: Messages::of(status.no_room),
        troubles: status.troubles(),
    };
    Json(answer).into_response()
}

impl<'a> Interface<'a> {
    #[allow(clippy::cast_precision_loss)]
    fn of(interface: &'a InterfaceStatus, at: Timestamp) -> Self {
        Self {
            name: &interface.name,
            is_up: interface.is_up,
            packets: interface.packets,
            bytes: interface.bytes,
            kernel_drops: interface.kernel_drops,
            ring_freezes: interface.ring_freezes,
            nic_drops: interface.nic_drops,
            queue_drops: interface.queue_drops,
            last_packet: interface.last_packet.map(rfc3339),
            silent_s: interface.last_packet.map(|last| (at.since(last) / 1_000_000) as f64 / 1e3),
        }
    }
}

impl Messages {
    const fn of(MessageCounts { alerts, counters }: MessageCounts) -> Self {
        Self { alerts, counters }
    }
}

impl<'a> Output<'a> {
    fn of(output: &'a OutputStatus) -> Self {
        let losses = output.losses.iter().filter(|lost| lost.alerts + lost.counters > 0);
        Self {
            name: &output.name,
            delivered: output.delivered,
            retried: output.retried,
            rejected: output.rejected,
            lost: output.lost,
            losses: losses
                .map(|lost| Loss { reason: lost.loss.name(), alerts: lost.alerts, counters: lost.counters })
                .collect(),
            waiting: output.waiting,
            spool_bytes: output.spool_bytes,
            oldest_unacked_s: output.oldest_unacked_s,
            trouble: output.trouble.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Sample {
    at: String,
    packets_per_s: f64,
    bits_per_s: f64,
    drops_per_s: f64,
}

pub(super) async fn history(State(shown): State<Arc<Shown>>) -> Response {
    let written = |sample: &crate::status::Sample| Sample {
        at: rfc3339(sample.at),
        packets_per_s: sample.packets_per_s,
        bits_per_s: sample.bits_per_s,
        drops_per_s: sample.drops_per_s,
    };
    let samples: Vec<Sample> = shown.web.with_history(|history| history.samples().map(written).collect());
    Json(serde_json::json!({ "interval_s": SAMPLE_INTERVAL.as_secs(), "samples": samples })).into_response()
}
