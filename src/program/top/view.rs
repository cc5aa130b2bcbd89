//! What the screen shows at one moment.

use super::answers::{Hosts, Status};
use super::client::Sensor;
use super::screen;
use kaspector::capture::Timestamp;
use kaspector_delivery::alert_line;
use std::collections::VecDeque;

/// What is known of a sensor.
#[derive(Debug, Default)]
pub struct View {
    /// The latest answers.
    pub answers: Option<(Status, Hosts)>,
    /// Of each interface, since the answers before: packets, bits and lost packets a second. Empty at first.
    pub rates: Vec<Rate>,
    /// The latest alerts, the oldest first, in words.
    pub alerts: VecDeque<String>,
    /// Why the sensor does not answer, if it does not, and since when.
    pub trouble: Option<(Timestamp, String)>,
}

/// What an interface took in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    pub packets: f64,
    pub bits: f64,
    pub drops: f64,
}

impl View {
    /// Asks the sensor.
    pub async fn refresh(&mut self, sensor: &Sensor) -> anyhow::Result<()> {
        self.answers = Some(sensor.answers().await?);
        Ok(())
    }

    /// Takes what the sensor answered. What it said last stays while it does not answer.
    pub fn take(&mut self, answers: anyhow::Result<(Status, Hosts)>, at: Timestamp) {
        match answers {
            Ok((status, hosts)) => {
                self.rates = self.answers.as_ref().map(|(before, _)| rates(before, &status)).unwrap_or_default();
                self.answers = Some((status, hosts));
                self.trouble = None;
            }
            Err(error) => {
                let since = self.trouble.as_ref().map_or(at, |(since, _)| *since);
                self.trouble = Some((since, format!("{error:#}")));
            }
        }
    }

    /// Takes an alert. One that came before is known by its words.
    pub fn take_alert(&mut self, line: &str) {
        let Some(said) = alert_line(line).filter(|said| !self.alerts.contains(said)) else { return };
        self.alerts.push_back(said);
        if self.alerts.len() > screen::ALERTS_SHOWN {
            self.alerts.pop_front();
        }
    }

    /// How many hosts were read.
    pub fn hosts_read(&self) -> usize {
        self.answers.as_ref().map_or(0, |(_, hosts)| hosts.hosts.len())
    }

    /// Rows that show all of it.
    pub fn height(&self) -> u16 {
        let interfaces = self.answers.as_ref().map_or(0, |(status, _)| status.interfaces.len());
        let rows = screen::HEADER_ROWS + interfaces + self.hosts_read() + self.alerts.len() + screen::FRAMES;
        u16::try_from(rows).unwrap_or(u16::MAX)
    }
}

/// What came between two answers, for a second. Counters that went back belong to a sensor that began anew.
#[allow(clippy::cast_precision_loss)]
fn rates(before: &Status, now: &Status) -> Vec<Rate> {
    let seconds = now.now.duration_since(before.now).as_secs_f64();
    let rate = |before: u64, now: u64| if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
    let same = before.started == now.started;
    let each = now.interfaces.iter().map(|interface| {
        let earlier = before.interfaces.iter().find(|earlier| same && earlier.name == interface.name);
        earlier.map_or_else(Rate::default, |earlier| Rate {
            packets: rate(earlier.packets, interface.packets),
            bits: rate(earlier.bytes, interface.bytes) * 8.0,
            drops: rate(earlier.drops(), interface.drops()),
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn status(now: &str, packets: u64) -> Status {
        serde_json::from_value(json!({"sensor": "s", "version": "0", "now": now, "started": "2026-11-24T00:00:00Z",
            "ready": true, "reasons": [], "signatures": {"version": "v", "indicators": 1}, "flows_active": 0,
            "interfaces": [{"name": "eth0", "is_up": true, "packets": packets, "bytes": packets * 100, "kernel_drops": 0,
                "nic_drops": packets / 10, "queue_drops": 0, "silent_s": null}], "outputs": [], "troubles": []}))
        .unwrap()
    }

    #[test]
    fn rates_are_of_a_second_and_a_new_start_has_none() {
        let (before, now) = (status("2026-11-24T01:00:00Z", 1000), status("2026-11-24T01:00:02Z", 3000));
        assert_eq!(rates(&before, &now), [Rate { packets: 1000.0, bits: 800_000.0, drops: 100.0 }]);
        assert_eq!(rates(&now, &before), [Rate::default()]);
        let anew = Status { started: "2026-11-24T00:59:00Z".parse().unwrap(), ..status("2026-11-24T01:00:04Z", 9000) };
        assert_eq!(rates(&now, &anew), [Rate::default()]);
    }

    #[test]
    fn what_was_known_stays_while_the_sensor_is_away() {
        let mut view = View::default();
        let hosts: Hosts = serde_json::from_value(
            json!({"total": 0, "verdicts": {"confirmed": 0, "suspected": 0, "browsing": 0}, "hosts": []}),
        )
        .unwrap();
        view.take(Ok((status("2026-11-24T01:00:00Z", 1), hosts)), Timestamp(1));
        view.take(Err(anyhow::anyhow!("gone")), Timestamp(2));
        view.take(Err(anyhow::anyhow!("gone")), Timestamp(3));
        assert_eq!(view.trouble, Some((Timestamp(2), "gone".to_owned())));
        assert!(view.answers.is_some());
    }
}
