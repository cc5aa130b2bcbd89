//! The thread that reads records: from the queue into the detector, alerts into the output.

use super::engine::{Engine, Level};
use super::instance::{Records, Shared};
use super::output::Output;
use kaspector::capture::Timestamp;
use kaspector::matching::SignatureSet;
use kaspector_logs::{LineParser, LogReader};
use kaspector_report::{EveCompat, EveLog, EveOrigin, EveWriter};
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Records that are read before alerts are written.
const BATCH: usize = 1024;
/// How long it sleeps once little waits. To wake for every few records would cost more than to read them, and the queue holds what an engine
/// writes in so short a time.
const PAUSE: Duration = Duration::from_millis(20);
/// How often what was dropped is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

pub struct Worker {
    signatures: Arc<SignatureSet>,
    reader: LogReader,
    output: Output,
    shared: Arc<Shared>,
    /// Identifies this run.
    run: [u8; 32],
    alerts: u64,
    /// What was told of last.
    told: [u64; 2],
    told_at: Instant,
}

impl Worker {
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(signatures: Arc<SignatureSet>, output: Output, shared: Arc<Shared>) -> Result<Self, String> {
        let mut run = [0; 32];
        getrandom::fill(&mut run).map_err(|why| format!("no random bytes: {why}"))?;
        let reader = LogReader::new(&signatures);
        Ok(Self { signatures, reader, output, shared, run, alerts: 0, told: [0; 2], told_at: Instant::now() })
    }

    /// Reads until the output is stopped and nothing waits. After a defect the output is quiet, and Suricata goes on.
    pub fn run(mut self, records: &Records) {
        let shared = Arc::clone(&self.shared);
        if catch_unwind(AssertUnwindSafe(|| self.read(records))).is_err() {
            shared.quiet.store(true, Ordering::Relaxed);
            Engine::running().log(Level::Error, "a defect in the plugin; this output is quiet from now on");
            while !shared.stopping.load(Ordering::Acquire) {
                while records.next(|_| {}) {}
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn read(&mut self, records: &Records) {
        loop {
            // Before the look at the queue, so that what came before it is read.
            let is_last = self.shared.stopping.load(Ordering::Acquire);
            let mut count = 0;
            while count < BATCH
                && records.next(|record| {
                    self.shared.waiting_bytes.fetch_sub(record.len() as u64, Ordering::Relaxed);
                    self.reader.line(&mut LineParser::eve(), record);
                })
            {
                count += 1;
            }
            self.write_alerts();
            if self.told_at.elapsed() >= TELL_EVERY {
                self.reader.make_room();
                self.tell_drops();
            }
            if is_last {
                if count == 0 {
                    break;
                }
            } else if count < BATCH {
                self.output.keep_up();
                std::thread::sleep(PAUSE);
            }
        }
        self.finish();
    }

    fn write_alerts(&mut self) {
        let alerts = self.reader.take_alerts();
        if alerts.is_empty() {
            return;
        }
        let mut writer = EveWriter::new(Vec::new(), &self.signatures, EveCompat::V7);
        for alert in &alerts {
            let log = EveLog {
                path: None,
                digest: &self.run,
                flow_id: alert.flow.flow_id,
                community_id: alert.flow.community_id.as_deref(),
            };
            // Into memory: that cannot fail.
            let _ = writer.write(&alert.alert, EveOrigin::Log(log));
        }
        self.alerts += alerts.len() as u64;
        self.output.write(&writer.into_inner());
    }

    fn finish(&mut self) {
        let counters = self.reader.counters().clone();
        let now = self.reader.now();
        let findings = self.reader.finish();
        self.write_alerts();
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let hosts = findings.host_findings(&self.signatures).len();
        self.write_stats(now);
        let first = counters.first_malformed.map(|(line, why)| format!(" (the first, record {line}: {why})"));
        Engine::running().log(
            Level::Notice,
            &format!(
                "{} records, {} read, {} that cannot be read{}, {dropped} dropped because the queue was full; {} alerts, {} lines not \
                 delivered; {hosts} hosts",
                counters.lines,
                counters.read,
                counters.malformed,
                first.unwrap_or_default(),
                self.alerts,
                self.output.lost(),
            ),
        );
    }

    /// Once a minute, if there is something new.
    fn tell_drops(&mut self) {
        self.told_at = Instant::now();
        let [dropped, lost] = [self.shared.dropped.load(Ordering::Relaxed), self.output.lost()];
        if self.told == [dropped, lost] {
            return;
        }
        self.told = [dropped, lost];
        let text = format!("{dropped} records dropped so far because the queue was full, {lost} lines not delivered");
        Engine::running().log(Level::Warning, &text);
        self.write_stats(self.reader.now());
    }

    /// A record of counts, as Suricata writes its own.
    fn write_stats(&mut self, at: Timestamp) {
        let counters = self.reader.counters();
        let record = json!({
            "timestamp": eve_time(at),
            "event_type": "stats",
            "stats": {"kaspector": {
                "records": counters.lines,
                "read": counters.read,
                "malformed": counters.malformed,
                "dropped": self.shared.dropped.load(Ordering::Relaxed),
                "alerts": self.alerts,
                "undelivered": self.output.lost(),
            }},
        });
        self.output.write(format!("{record}\n").as_bytes());
    }
}

/// The time of a record, as EVE has it.
fn eve_time(Timestamp(nanoseconds): Timestamp) -> String {
    let at = jiff::Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+0000").to_string()
}
