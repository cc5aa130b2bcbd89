//! What the sensor says of itself while it runs: on the page, in the log, in the counters, and to whoever asks.

use super::control::Control;
use super::counters::Detail;
use super::{HOSTS_TOLD, Notice, Tell, Watched};
use crate::status::Status;
use crate::web::HostSnapshot;
use kaspector::decode::Outcome;
use kaspector::matching::{Role, Verdict};
use kaspector_report::EveStats;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Control<'_> {
    /// Puts up what the web server shows.
    pub fn publish(&mut self) {
        let machines = self.alerts.count_machines();
        let Some(web) = self.web.clone() else { return };
        let interfaces = self.interfaces.status();
        let signatures = &self.settings.signatures;
        let Detail { outcomes, flows_active, memory_bytes, coverage: seen, dropped, .. } = self.interfaces.detail();
        let dropped = self.dropped(dropped);
        let bound = |names: &[&str]| names.iter().filter_map(|name| dropped.get(name)).sum();
        let machine_drops = vec![
            ("queue", interfaces.iter().map(|interface| interface.machine_reports_lost).sum()),
            ("machines", bound(&["machines"])),
            ("identity_statements", bound(&["identity_statements"])),
        ];
        let (outputs, spool) = self.alerts.publisher().outputs().watcher().status();
        let counts = self.alerts.hosts().counts();
        let verdicts = [Verdict::Confirmed, Verdict::Suspected, Verdict::Browsing];
        // All of them from the start: of a series that begins with its first host, nobody sees that it rose.
        let standings = verdicts.into_iter().flat_map(|verdict| Role::ALL.map(|role| (verdict, role)));
        let hosts = standings.map(|standing| {
            let count = counts.by_standing.get(&standing).copied().unwrap_or(0);
            (standing.0.name(), standing.1.name(), count)
        });
        web.publish(Status {
            started: self.began,
            signatures_version: signatures.version().to_owned(),
            indicators: signatures.len(),
            interfaces,
            outcomes: Outcome::ALL.iter().map(|&outcome| (outcome.name(), outcomes.count(outcome))).collect(),
            flows_active,
            flow_evictions: vec![
                ("memory", bound(&["flows"])),
                ("flood", bound(&["half_open_flows", "datagram_flows"])),
            ],
            connections_ended: seen.ended,
            inspection_gaps: vec![
                ("midstream", seen.midstream),
                ("one_sided", seen.one_sided),
                ("reassembly_limit", bound(&["conversations", "held_bytes", "stream_gaps", "segments_out_of_window"])),
                ("snaplen", outcomes.count(Outcome::Truncated)),
                ("encrypted_hello", seen.encrypted_hellos),
                ("unknown_quic_version", seen.unknown_quic_versions),
                (
                    "unknown_tunnel_port",
                    bound(&["unknown_port_vxlan", "unknown_port_geneve", "unknown_port_gtp_u", "unknown_port_gre"]),
                ),
            ],
            detections: self
                .alerts
                .detections()
                .iter()
                .map(|(&(service, strength), &count)| (service, strength, count))
                .collect(),
            endpoints_with_findings: counts.by_standing.values().sum(),
            hosts: hosts.collect(),
            hosts_silent: counts.silent,
            machines,
            machine_drops,
            evidence: self
                .alerts
                .evidence_counts()
                .map(|counts| (counts.by_result(), counts.used_bytes.load(Ordering::Relaxed))),
            outputs,
            spool,
            messages: self.alerts.publisher().made(),
            no_room: self.alerts.publisher().lost(),
            flow_memory_bytes: memory_bytes,
        });
        if web.wants_hosts() {
            web.publish_hosts(HostSnapshot {
                hosts: Arc::new(self.alerts.hosts().listed()),
                inputs: self.inputs.clone(),
                signatures: Arc::clone(signatures),
                site: Arc::clone(&self.settings.site),
            });
        }
    }

    /// Tells what was counted, and says what the log should have of it.
    pub fn report(&mut self, tell: Tell<'_>) {
        self.interfaces.remark(tell);
        if let Some(trouble) = self.alerts.save_trouble() {
            tell(Notice::Warning(&format!("{trouble}; what was not saved is tried again")));
        }
        let lost = self.alerts.publisher().lost().sum();
        if lost > self.lost_told {
            let more = lost - std::mem::replace(&mut self.lost_told, lost);
            tell(Notice::Warning(&format!("{more} messages were lost, because no output had room for them")));
        }
        let uptime_s = self.started.elapsed().as_secs();
        let stats = EveStats { uptime_s, alerts: self.alerts.alerts(), ..self.interfaces.stats() };
        self.alerts.publisher_mut().tell_counters(&stats);
    }

    /// What was dropped at any bound, under the bound's name: by workers, `of_workers`, and behind them.
    fn dropped(&self, of_workers: BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
        let mut total = of_workers;
        for (bound, count) in self.alerts.dropped() {
            *total.entry(bound).or_default() += count;
        }
        total
    }

    /// What the watch has come to.
    pub fn so_far(&mut self) -> Watched {
        let Detail { outcomes, flows, dropped, .. } = self.interfaces.detail();
        Watched {
            interfaces: self.interfaces.status(),
            outputs: self.alerts.publisher().outputs().status(),
            behind: 0,
            outcomes,
            flows,
            dropped: self.dropped(dropped),
            hosts: self.alerts.hosts().first_findings(HOSTS_TOLD, &self.settings.signatures),
            hosts_in_all: self.alerts.hosts().count(),
            no_room: self.alerts.publisher().lost(),
        }
    }
}
