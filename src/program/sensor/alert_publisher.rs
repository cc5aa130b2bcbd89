//! Makes messages of what is to be told, and hands them on as the outputs have room.

use super::hosts::Silence;
use super::repeats::Sighting;
use super::{WatchOptions, now, random};
use crate::status::MessageCounts;
use crate::web::Web;
use kaspector::capture::Timestamp;
use kaspector::matching::{SignatureSet, Verdict};
use kaspector_delivery::{Message, Outputs, Weight};
use kaspector_report::{EveKnown, EveOrigin, EveSilence, EveStats, EveWriter, Occasion, alert_uid};
use std::collections::VecDeque;
use ulid::Ulid;

/// Messages that wait while the outputs' queue is full.
const BACKLOG_MAX: usize = 1 << 14;

/// The way from the control thread to the outputs, and to whoever looks at the page.
pub struct AlertPublisher<'w> {
    options: &'w WatchOptions,
    /// Random: what identifies this run in every identifier.
    run: [u8; 32],
    outputs: Outputs,
    web: Option<Web>,
    backlog: VecDeque<Message>,
    made: MessageCounts,
    lost: MessageCounts,
}

impl<'w> AlertPublisher<'w> {
    /// Tells by these outputs.
    pub fn new(options: &'w WatchOptions, run: [u8; 32], outputs: Outputs, web: Option<Web>) -> Self {
        Self {
            options,
            run,
            outputs,
            web,
            backlog: VecDeque::new(),
            made: MessageCounts::default(),
            lost: MessageCounts::default(),
        }
    }

    /// Tells of an alert, with what is known of its host.
    pub fn tell_of(&mut self, sighting: &Sighting, occasion: Occasion, known: EveKnown<'_>, signatures: &SignatureSet) {
        let Sighting { alert, interface } = sighting;
        let name = self.options.interfaces.get(*interface as usize).map_or("", String::as_str);
        // Packets are numbered by interface, and one packet may be news, make a verdict rise and end a silence.
        let mut run = of_interface(&self.run, *interface);
        let kind = match occasion {
            Occasion::VerdictRise { to: Verdict::Confirmed, .. } => 1,
            Occasion::VerdictRise { .. } => 2,
            Occasion::Return { .. } => 3,
            _ => 0,
        };
        if let Some(byte) = run.get_mut(size_of::<u32>()) {
            *byte ^= kind;
        }
        let mut writer = EveWriter::new(Vec::new(), signatures, self.options.compat);
        let origin = EveOrigin::Interface { name, run: &run, occasion };
        writer.write_known(alert, origin, known).expect("memory takes every line");
        let line = String::from_utf8_lossy(writer.into_inner().trim_ascii_end()).into_owned();
        let uid = alert_uid(alert, &signatures.get(alert.indicator).id, &run);
        let weight = if matches!(occasion, Occasion::Summary { .. }) { Weight::Summary } else { Weight::Finding };
        self.push(uid, &sighting.host().address.to_string(), weight, &line);
    }

    /// Tells that a host has shown nothing for long, although the sensor has listened since then.
    pub fn tell_silence(&mut self, silence: &Silence, listening_since: Timestamp, signatures: &SignatureSet) {
        let Silence { finding, known_since } = silence;
        let record = EveSilence { finding, known_since: *known_since, listening_since };
        let at = now();
        let line = record.line(at, &self.run, signatures, self.options.compat);
        self.push(record.uid(at, &self.run), &finding.host.address.to_string(), Weight::Finding, &line);
    }

    /// Tells what was counted.
    pub fn tell_counters(&mut self, stats: &EveStats) {
        let at = now();
        let uid = Ulid::from_parts(at.0 / 1_000_000, u128::from_ne_bytes(random().unwrap_or_default()));
        self.push(uid, "", Weight::Stats, &stats.line(at));
    }

    fn push(&mut self, uid: Ulid, host: &str, weight: Weight, line: &str) {
        self.made.add(weight, 1);
        if self.backlog.len() >= BACKLOG_MAX {
            self.lost.add(weight, 1);
            return;
        }
        let message = Message { uid: uid.to_string().into(), host: host.into(), weight, line: line.into() };
        if let Some(web) = &self.web {
            web.alert(&message);
        }
        self.backlog.push_back(message);
    }

    /// Whether there is room for what can wait a little: summaries, which come in thousands at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.backlog.len() < BACKLOG_MAX / 2
    }

    /// Hands on what the outputs have room for.
    pub fn hand_on(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            if !self.outputs.offer(message.clone()) {
                self.backlog.push_front(message);
                return;
            }
        }
    }

    /// Whether everything has been handed on.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Drops what nobody took, and so many summaries that never came here.
    pub fn drop_rest(&mut self, summaries: usize) {
        self.backlog.drain(..).for_each(|message| self.lost.add(message.weight, 1));
        self.made.add(Weight::Summary, summaries as u64);
        self.lost.add(Weight::Summary, summaries as u64);
    }

    /// Messages that were made for the outputs.
    #[must_use]
    pub const fn made(&self) -> MessageCounts {
        self.made
    }

    /// Of these, messages that were lost because no output had room.
    #[must_use]
    pub const fn lost(&self) -> MessageCounts {
        self.lost
    }

    /// The outputs.
    #[must_use]
    pub const fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// The outputs, to be replaced.
    pub const fn outputs_mut(&mut self) -> &mut Outputs {
        &mut self.outputs
    }

    /// The outputs, to be drained.
    pub fn into_outputs(self) -> Outputs {
        self.outputs
    }
}

/// What identifies an interface of this run: packets are numbered by interface.
pub fn of_interface(run: &[u8; 32], interface: u32) -> [u8; 32] {
    let mut digest = *run;
    for (byte, number) in digest.iter_mut().zip(interface.to_be_bytes()) {
        *byte ^= number;
    }
    digest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sandbox::{Sandbox, SandboxMode};
    use kaspector_delivery::OutputOptions;
    use kaspector_delivery::spool::SpoolLimits;
    use kaspector_live::{CaptureKind, RingOptions};
    use kaspector_report::EveCompat;
    use std::time::Duration;

    fn options() -> WatchOptions {
        WatchOptions {
            interfaces: vec!["span0".to_owned()],
            workers: 1,
            tunnels: Default::default(),
            capture: CaptureKind::Afpacket,
            ring: RingOptions::default(),
            ring_blocks: None,
            output_options: OutputOptions { spool: None, limits: SpoolLimits::default(), sensor: "sensor-01".into() },
            compat: EveCompat::V7,
            state: None,
            evidence: None,
            web: None,
            patience: Duration::from_secs(1),
            privileges: None,
            sandbox: Sandbox::default(),
            sandbox_mode: SandboxMode::Off,
            reload: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_finds_no_room_is_counted_by_kind() {
        let (options, folder) = (options(), tempfile::tempdir().unwrap());
        let spec = format!("file:{}", folder.path().join("eve.json").display()).parse().unwrap();
        let outputs = Outputs::start(&[spec], &options.output_options, &tokio::runtime::Handle::current()).unwrap();
        let mut publisher = AlertPublisher::new(&options, [0; 32], outputs, None);
        let tell = |publisher: &mut AlertPublisher<'_>, count: usize, weight| {
            (0..count).for_each(|_| publisher.push(Ulid::nil(), "10.0.0.1", weight, "{}"));
        };
        tell(&mut publisher, BACKLOG_MAX - 1, Weight::Finding);
        tell(&mut publisher, 6, Weight::Summary);
        tell(&mut publisher, 3, Weight::Stats);
        let most = BACKLOG_MAX as u64;
        assert_eq!(publisher.lost(), MessageCounts { alerts: 5, counters: 3 });
        assert_eq!(publisher.made(), MessageCounts { alerts: most + 5, counters: 3 });
        // Nobody takes any more, and summaries are due.
        publisher.drop_rest(7);
        assert_eq!(publisher.lost(), MessageCounts { alerts: most + 12, counters: 3 });
        assert_eq!(publisher.made(), publisher.lost());
    }
}
