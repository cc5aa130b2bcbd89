//! A detector with what was fed to it, what it found, and what the caller was shown of that.

use crate::handle::Failure;
use crate::options::Settings;
use crate::packets::Packets;
use crate::types::{Alert, Counter, Evidence, Host, Status};
use crate::views::{HostView, Texts, alert, counters};
use kaspector::capture::{CaptureFile, FrameSequence};
use kaspector::matching::{self, HostFinding, SignatureSet};
use kaspector::pipeline::{Detector, Findings};
use kaspector_report::{EveCompat, EveOrigin, EveWriter, Occasion, host_json, scan_capture};
use std::path::Path;
use std::sync::Arc;

/// Alerts that wait to be taken after the end of an input; beyond they are dropped and counted. As many as a detector keeps.
const WAITING_MAX: usize = 1 << 17;

/// Where alerts come from.
#[derive(Debug)]
enum Origin {
    Fed,
    File { path: String, digest: [u8; 32] },
}

/// The result of an input.
#[derive(Debug)]
struct Answer {
    input: String,
    findings: Findings,
    bytes: u64,
    hosts: Vec<HostFinding>,
    views: Vec<HostView>,
    _texts: Texts,
}

/// What a handle is for.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    detector: Detector,
    /// Packets and bytes fed since the last end.
    packets: u64,
    bytes: u64,
    /// Alerts of inputs that have ended, which nobody has taken.
    waiting: Vec<(matching::Alert, Arc<Origin>)>,
    waiting_dropped: u64,
    taken: Vec<(matching::Alert, Arc<Origin>)>,
    alerts: (Vec<Alert>, Texts),
    answer: Option<Answer>,
    counters: (Vec<Counter>, Texts),
    line: Vec<u8>,
    fed: Arc<Origin>,
}

impl Session {
    /// One that is as `settings` say.
    pub fn new(settings: Settings) -> Self {
        let detector = settings.detector();
        Self {
            settings,
            detector,
            packets: 0,
            bytes: 0,
            waiting: Vec::new(),
            waiting_dropped: 0,
            taken: Vec::new(),
            alerts: Default::default(),
            answer: None,
            counters: Default::default(),
            line: Vec::new(),
            fed: Arc::new(Origin::Fed),
        }
    }

    /// The signatures in use.
    pub fn signatures(&self) -> &Arc<SignatureSet> {
        &self.settings.signatures
    }

    /// How many packets were fed since the last end.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Takes packets, numbered from behind those before.
    #[inline]
    pub fn feed(&mut self, packets: Packets<'_>) {
        self.packets += packets.len() as u64;
        self.bytes += packets.captured_bytes();
        self.detector.feed_block(packets, |_| true);
    }

    /// Ends what was fed.
    pub fn finish(&mut self) {
        let findings = self.detector.finish();
        let (bytes, input) = (std::mem::take(&mut self.bytes), self.settings.source.clone());
        self.packets = 0;
        let fed = Arc::clone(&self.fed);
        self.conclude(input, bytes, findings, &fed);
    }

    /// Reads a capture file to its end.
    pub fn scan(&mut self, path: &Path) -> Result<(), Failure> {
        if self.packets > 0 {
            let what = format!(
                "{} packets were fed and not ended; call kaspector_finish before kaspector_scan, or use another detector",
                self.packets
            );
            return Err(Failure::new(Status::KASPECTOR_ERROR_ORDER, what));
        }
        let unreadable = |what: &dyn std::fmt::Display| Failure::new(Status::KASPECTOR_ERROR_CAPTURE, what);
        self.answer = None;
        let file = CaptureFile::open(path).map_err(|error| unreadable(&error))?;
        let (report, findings) = scan_capture(&mut self.detector, 0, file);
        let origin = Arc::new(Origin::File { path: report.path.clone(), digest: report.digest });
        self.conclude(report.path, report.bytes, findings, &origin);
        match report.error {
            Some(error) => Err(unreadable(&error)),
            None => Ok(()),
        }
    }

    fn conclude(&mut self, input: String, bytes: u64, mut findings: Findings, origin: &Arc<Origin>) {
        let room = WAITING_MAX.saturating_sub(self.waiting.len());
        let new = std::mem::take(&mut findings.alerts);
        self.waiting_dropped += new.len().saturating_sub(room) as u64;
        self.waiting.extend(new.into_iter().take(room).map(|alert| (alert, Arc::clone(origin))));
        let mut texts = Texts::default();
        let hosts = findings.host_findings(self.signatures());
        let views = hosts.iter().map(|host| HostView::of(host, self.signatures(), &mut texts)).collect();
        self.answer = Some(Answer { input, findings, bytes, hosts, views, _texts: texts });
    }

    /// Takes the alerts that are there, and says how many.
    pub fn take_alerts(&mut self) -> usize {
        self.taken = std::mem::take(&mut self.waiting);
        let live = self.detector.take_alerts();
        self.taken.extend(live.into_iter().map(|alert| (alert, Arc::clone(&self.fed))));
        let mut texts = Texts::default();
        let views = self.taken.iter().map(|(one, _)| alert(one, &self.settings.signatures, &mut texts)).collect();
        self.alerts = (views, texts);
        self.taken.len()
    }

    /// One of those that were taken last.
    pub fn alert(&self, index: usize) -> Option<&Alert> {
        self.alerts.0.get(index)
    }

    /// The same as an EVE line, without a newline but with a zero byte behind it.
    pub fn alert_eve(&mut self, index: usize) -> Result<&[u8], Failure> {
        let Some((alert, origin)) = self.taken.get(index) else { return Err(beyond(index, self.taken.len(), "alert")) };
        let origin = match &**origin {
            Origin::Fed => EveOrigin::Interface {
                name: &self.settings.source,
                run: &self.settings.run,
                occasion: Occasion::FirstSight,
            },
            Origin::File { path, digest } => EveOrigin::File { path, digest },
        };
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let mut writer = EveWriter::new(&mut line, &self.settings.signatures, self.settings.eve);
        // Memory takes every line.
        let written = writer.write(alert, origin);
        self.line = line;
        written.map_err(|error| Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, error))?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        self.line.push(0);
        Ok(&self.line)
    }

    /// Hosts of the input that ended last.
    pub fn host_count(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.views.len())
    }

    /// One of them.
    pub fn host(&self, index: usize) -> Option<&Host> {
        self.answer.as_ref()?.views.get(index).map(|view| &view.host)
    }

    /// A piece of its evidence.
    pub fn evidence(&self, host: usize, index: usize) -> Option<&Evidence> {
        self.answer.as_ref()?.views.get(host)?.evidence.get(index)
    }

    /// A host as JSON, with a zero byte behind it.
    pub fn host_json(&mut self, index: usize) -> Result<&[u8], Failure> {
        let json = self.answer.as_ref().and_then(|answer| {
            let finding = answer.hosts.get(index)?;
            Some(host_json(finding, std::slice::from_ref(&answer.input), &self.settings.signatures))
        });
        self.line = json.ok_or_else(|| beyond(index, self.host_count(), "host"))?.into_bytes();
        self.line.push(0);
        Ok(&self.line)
    }

    /// Reads the counters of what was fed, or, if nothing was, of the input that ended last. Says how many there are.
    pub fn read_counters(&mut self) -> usize {
        let mut texts = Texts::default();
        let dropped_alerts = |mut dropped: std::collections::BTreeMap<&'static str, u64>| {
            if self.waiting_dropped > 0 {
                *dropped.entry("alerts").or_default() += self.waiting_dropped;
            }
            dropped
        };
        let read = match &self.answer {
            Some(Answer { findings, bytes, .. }) if self.packets == 0 => {
                let totals = [("packets", findings.outcomes.total()), ("bytes", *bytes), ("flows", findings.flows)];
                counters(totals, &findings.outcomes, &dropped_alerts(findings.dropped.clone()), &mut texts)
            }
            _ => {
                let totals = [("packets", self.packets), ("bytes", self.bytes), ("flows", self.detector.flows())];
                let dropped = dropped_alerts(self.detector.dropped());
                counters(totals, self.detector.outcomes(), &dropped, &mut texts)
            }
        };
        self.counters = (read, texts);
        self.counters.0.len()
    }

    /// One of those that were read last.
    pub fn counter(&self, index: usize) -> Option<&Counter> {
        self.counters.0.get(index)
    }
}

fn beyond(index: usize, count: usize, what: &str) -> Failure {
    Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, format!("there is no {what} {index}; there are {count}, from 0"))
}

/// The form of EVE lines that a version of Suricata reads.
pub fn eve_form(version: u8) -> Result<EveCompat, Failure> {
    match version {
        0 | 7 => Ok(EveCompat::V7),
        8 => Ok(EveCompat::V8),
        other => {
            let what = format!("options: eve_version is {other}; it is 7 or 8, or 0 for 7");
            Err(Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, what))
        }
    }
}
