//! Findings as JSON: the answer of a scan, and alerts with their EVE lines.

use kaspector::matching::{Alert, SignatureSet};
use kaspector::pipeline::Findings;
use kaspector_report::{EveCompat, EveOrigin, EveWriter, InputReport, ScanReport, rfc3339, write_json};
use serde::Serialize;
use std::net::IpAddr;

/// What Python gets: the answer, its alerts, why reading ended early, and whether nothing was read at all.
pub type Answer = (String, String, Option<String>, bool);

/// Where alerts come from.
#[derive(Debug)]
pub enum Origin<'a> {
    /// Packets that were fed.
    Fed {
        /// Their name.
        source: &'a str,
        /// What tells this run from others.
        run: &'a [u8; 32],
    },
    /// A capture.
    File(&'a InputReport),
}

impl Origin<'_> {
    fn of_eve(&self) -> EveOrigin<'_> {
        match *self {
            Self::Fed { source, run } => {
                EveOrigin::Interface { name: source, run, occasion: kaspector_report::Occasion::FirstSight }
            }
            Self::File(input) => EveOrigin::File { path: &input.path, digest: &input.digest },
        }
    }
}

/// The answer for one input.
pub fn answer(input: InputReport, mut findings: Findings, signatures: &SignatureSet, fed: Option<&[u8; 32]>) -> Answer {
    let origin = match fed {
        Some(run) => Origin::Fed { source: &input.path, run },
        None => Origin::File(&input),
    };
    let alerts = alerts(&std::mem::take(&mut findings.alerts), &origin, signatures);
    let (error, unreadable) = (input.error.clone(), input.unreadable);
    let mut json = Vec::new();
    write_json(&mut json, &ScanReport::of(input, &findings, signatures), signatures).expect("memory takes all");
    (text(json), alerts, error, unreadable)
}

/// Alerts as one JSON list.
pub fn alerts(alerts: &[Alert], origin: &Origin<'_>, signatures: &SignatureSet) -> String {
    let mut line = Vec::new();
    let records: Vec<Record<'_>> = alerts
        .iter()
        .map(|alert| {
            line.clear();
            let mut writer = EveWriter::new(&mut line, signatures, EveCompat::default());
            writer.write(alert, origin.of_eve()).expect("memory takes every line");
            Record::of(alert, signatures, String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
        })
        .collect();
    serde_json::to_string(&records).expect("texts and numbers are JSON")
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).expect("JSON is UTF-8")
}

#[derive(Serialize)]
struct Record<'a> {
    time: String,
    time_ns: u64,
    packet: u64,
    address: IpAddr,
    vlan: Option<u16>,
    inner_vlan: Option<u16>,
    vni: Option<u32>,
    host_is_server: bool,
    client: IpAddr,
    client_port: u16,
    server: IpAddr,
    server_port: u16,
    protocol: u8,
    indicator: &'a str,
    category: &'static str,
    strength: &'static str,
    seen_as: &'static str,
    reached: &'static str,
    field: &'static str,
    observed: &'a str,
    eve: String,
}

impl<'a> Record<'a> {
    fn of(alert: &'a Alert, signatures: &'a SignatureSet, eve: String) -> Self {
        let (indicator, host) = (signatures.get(alert.indicator), alert.host());
        Self {
            time: rfc3339(alert.at),
            time_ns: alert.at.0,
            packet: alert.packet,
            address: host.address,
            vlan: host.zone.vlan,
            inner_vlan: host.zone.inner_vlan,
            vni: host.zone.vni,
            host_is_server: alert.host_is_server,
            client: alert.flow.client,
            client_port: alert.flow.client_port,
            server: alert.flow.server,
            server_port: alert.flow.server_port,
            protocol: alert.flow.protocol,
            indicator: &indicator.id,
            category: indicator.category.name(),
            strength: indicator.strength.name(),
            seen_as: alert.seen_as.name(),
            reached: alert.connection_outcome.name(),
            field: alert.field.name(),
            observed: &alert.observed,
            eve,
        }
    }
}
