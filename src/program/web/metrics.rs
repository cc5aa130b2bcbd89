//! `/metrics`: the sensor's numbers for Prometheus, in its text format or as OpenMetrics, whichever is asked for.

use super::shown::Shown;
use crate::status::{MessageCounts, Status};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kaspector_report::MachineCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(State(shown): State<Arc<Shown>>, headers: HeaderMap) -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { status: shown.web.status() }));
    let wants_openmetrics = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.contains("application/openmetrics-text"));
    let mut body = String::new();
    let (written, kind) = if wants_openmetrics {
        (text::encode(&mut body, &registry), OPENMETRICS)
    } else {
        (prometheus_text::encode(&mut body, &registry), prometheus_text::CONTENT_TYPE)
    };
    match written {
        Ok(()) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n").into_response(),
    }
}

/// The numbers of one scrape.
#[derive(Debug)]
struct Scrape {
    status: Arc<Status>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Families(encoder);
        let status = &self.status;
        let version = [("version", env!("CARGO_PKG_VERSION")), ("signature_set", &status.signatures_version)];
        out.gauges("build_info", "Version of the program and of the signature set", [(version, 1.0)])?;
        out.gauges("start_time_seconds", "When capturing began", [(NONE, seconds(status.started.0))])?;
        self.capture(&mut out)?;
        let by = |key, counts: &[(&'static str, u64)]| -> Vec<_> {
            counts.iter().map(|&(name, count)| ([(key, name)], count)).collect()
        };
        out.counters("frames", "Packets by what became of them", by("outcome", &status.outcomes))?;
        out.gauges("flows_active", "Flows in the tables", [(NONE, float(status.flows_active))])?;
        out.gauges(
            "flow_memory_bytes",
            "Memory of flow tables and buffers",
            [(NONE, float(status.flow_memory_bytes))],
        )?;
        out.counters("flow_evictions", "Flows that left the tables", by("reason", &status.flow_evictions))?;
        let ended = [(NONE, status.connections_ended)];
        out.counters("connections_ended", "TCP connections that have ended", ended)?;
        let gaps = by("reason", &status.inspection_gaps);
        out.counters("inspection_gaps", "Traffic that could not be inspected although it was decoded", gaps)?;
        let detections = status.detections.iter();
        let detections =
            detections.map(|&(service, strength, count)| ([("service", service), ("strength", strength)], count));
        out.counters("detections", "Pieces of evidence", detections)?;
        let endpoints = float(status.endpoints_with_findings);
        out.gauges("endpoints_with_findings", "Hosts with evidence", [(NONE, endpoints)])?;
        let hosts = status.hosts.iter();
        let hosts = hosts.map(|&(verdict, role, count)| ([("verdict", verdict), ("role", role)], float(count)));
        out.gauges("hosts", "Hosts with evidence, by verdict and role", hosts)?;
        let silent = [(NONE, float(status.hosts_silent))];
        out.gauges("hosts_silent", "Hosts that were reported silent and have not shown themselves since", silent)?;
        let MachineCounts { judged, one_sided, unnamed, silent, .. } = status.machines;
        let classes = [("judged", judged), ("one_sided", one_sided), ("unnamed", unnamed), ("silent", silent)];
        let classes = classes.map(|(class, count)| ([("class", class)], float(count as u64)));
        out.gauges("machines_seen", "Machines inside that were seen, by how much of each could be judged", classes)?;
        let drops = by("reason", &status.machine_drops);
        out.counters(
            "machine_drops",
            "Machines, sightings of machines and names of machines that were dropped",
            drops,
        )?;
        if let Some((results, used_bytes)) = &status.evidence {
            out.counters("evidence", "Findings whose packets were to be kept, by result", by("result", results))?;
            let used = [(NONE, float(*used_bytes))];
            out.gauges("evidence_used_bytes", "Bytes in the folder of evidence", used)?;
        }
        self.outputs(&mut out)
    }
}

impl Scrape {
    fn capture(&self, out: &mut Families<'_>) -> fmt::Result {
        let interfaces = &self.status.interfaces;
        let label = |name| [("interface", name)];
        let packets = interfaces.iter().map(|interface| (label(interface.name.as_str()), interface.packets));
        out.counters("capture_packets", "Packets taken", packets)?;
        let bytes = interfaces.iter().map(|interface| (label(interface.name.as_str()), interface.bytes));
        out.counters("capture_bytes", "Bytes on the wire of the packets taken", bytes)?;
        let drops = interfaces.iter().flat_map(|interface| {
            let stages =
                [("nic", interface.nic_drops), ("kernel", interface.kernel_drops), ("queue", interface.queue_drops)];
            stages.map(|(stage, count)| ([("interface", interface.name.as_str()), ("stage", stage)], count))
        });
        out.counters("capture_drops", "Packets lost before they were taken, and findings lost in our queue", drops)?;
        let freezes = interfaces.iter().map(|interface| (label(interface.name.as_str()), interface.ring_freezes));
        out.counters("capture_ring_freezes", "Times that a ring was found full", freezes)?;
        let up = interfaces.iter().map(|interface| (label(interface.name.as_str()), flag(interface.is_up)));
        out.gauges("interface_up", "Whether the interface is up", up)?;
        // Zero for an interface that never gave one: then it is stale, as it should be.
        let last = interfaces
            .iter()
            .map(|interface| (label(interface.name.as_str()), interface.last_packet.map_or(0.0, |at| seconds(at.0))));
        out.gauges("last_packet_timestamp_seconds", "When the last packet was captured", last)
    }

    fn outputs(&self, out: &mut Families<'_>) -> fmt::Result {
        let outputs = &self.status.outputs;
        let events = outputs.iter().flat_map(|output| {
            let results = [
                ("delivered", output.delivered),
                ("retried", output.retried),
                ("rejected", output.rejected),
                ("lost", output.lost),
            ];
            results.map(|(result, count)| ([("output", output.name.as_str()), ("result", result)], count))
        });
        out.counters("output_events", "Messages by what became of them", events)?;
        // All of them from the start: of a series that begins with its first count, nobody sees that it rose.
        let losses = outputs.iter().flat_map(|output| {
            output.losses.iter().flat_map(move |lost| {
                let kinds = [("alert", lost.alerts), ("counters", lost.counters)];
                kinds.map(|(kind, count)| {
                    ([("output", output.name.as_str()), ("reason", lost.loss.name()), ("kind", kind)], count)
                })
            })
        });
        out.counters("output_lost", "Messages that the output was never given, by reason", losses)?;
        let label = |name| [("output", name)];
        let waiting = outputs.iter().map(|output| (label(output.name.as_str()), float(output.waiting)));
        out.gauges("output_waiting_messages", "Messages that wait for the output", waiting)?;
        let bytes = outputs.iter().map(|output| (label(output.name.as_str()), float(output.spool_bytes)));
        out.gauges("output_spool_bytes", "Bytes of messages that the output has not taken", bytes)?;
        let oldest = outputs.iter().map(|output| (label(output.name.as_str()), output.oldest_unacked_s));
        out.gauges("output_oldest_unacked_seconds", "Age of the oldest message not taken yet", oldest)?;
        let trouble = outputs.iter().map(|output| (label(output.name.as_str()), flag(output.trouble.is_some())));
        out.gauges("output_in_trouble", "Whether something is wrong with the output; /api/status says what", trouble)?;
        let kinds = |counts: MessageCounts| {
            [("alert", counts.alerts), ("counters", counts.counters)].map(|(kind, count)| ([("kind", kind)], count))
        };
        out.counters("messages", "Messages made for the outputs", kinds(self.status.messages))?;
        let no_room = kinds(self.status.no_room);
        out.counters("messages_no_room", "Messages that no output was given, because none had room", no_room)?;
        let spool = &self.status.spool;
        let used = [(NONE, float(spool.used_bytes))];
        out.gauges("spool_used_bytes", "Bytes that messages take on disk, or in memory without a spool", used)?;
        let limit = [(NONE, float(spool.limit_bytes))];
        out.gauges("spool_limit_bytes", "The most that they may take", limit)?;
        let trouble = [(NONE, flag(spool.trouble.is_some()))];
        out.gauges("spool_in_trouble", "Whether something is wrong with the spool; /api/status says what", trouble)
    }
}

const NONE: [(&str, &str); 0] = [];

struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    /// `name` without prefix and without `_total`, which the encoder adds as the format wants it.
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let name = format!("kaspector_{name}");
        let mut family = self.0.encode_descriptor(&name, help, None, MetricType::Counter)?;
        values
            .into_iter()
            .try_for_each(|(labels, value)| ConstCounter::new(value).encode(family.encode_family(&labels)?))
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let name = format!("kaspector_{name}");
        let mut family = self.0.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        values.into_iter().try_for_each(|(labels, value)| ConstGauge::new(value).encode(family.encode_family(&labels)?))
    }
}

#[allow(clippy::cast_precision_loss)]
const fn float(number: u64) -> f64 {
    number as f64
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

const fn seconds(nanoseconds: u64) -> f64 {
    float(nanoseconds / 1_000_000) / 1e3
}
