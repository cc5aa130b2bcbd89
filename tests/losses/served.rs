//! A sensor that is asked over HTTP for its numbers.

use crate::cable::Cable;
use crate::http::exchange;
use crate::sensor::Sensor;
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::time::{Duration, Instant};

pub struct Served {
    sensor: Sensor,
    address: SocketAddr,
}

impl Served {
    /// Starts one and waits until it captures. It tells no counters and no summaries of its own.
    pub fn start(cable: &Cable, arguments: &[&str]) -> Self {
        let address = free_address();
        let http = address.to_string();
        let own = ["-i", &cable.far, "--stats-interval", "1d", "--summary-interval", "7d"];
        let served = ["--drain-timeout", "2s", "--http", &http];
        let sensor = Self { sensor: Sensor::start(&[&own, &served[..], arguments].concat()), address };
        sensor.until("numbers are shown", |sensor| sensor.metrics().contains("kaspector_start_time_seconds 1"));
        sensor
    }

    fn get(&self, path: &str) -> String {
        exchange(self.address, &[&format!("GET {path} HTTP/1.1"), "Host: localhost"], "").body
    }

    pub fn metrics(&self) -> String {
        self.get("/metrics")
    }

    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/api/status")).unwrap()
    }

    /// The sum of the metric's series whose labels hold all of these texts.
    pub fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let metrics = self.metrics();
        let series = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let chosen = series.filter(|line| labels.iter().all(|label| line.contains(label)));
        chosen.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    }

    /// Alerts that an output was not given.
    pub fn lost(&self, output: &str) -> u64 {
        self.sum("kaspector_output_lost_total", &[&format!("output=\"{output}\""), "kind=\"alert\""])
    }

    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {}\n{}", self.said(), self.metrics());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(self) -> String {
        self.sensor.kill()
    }

    /// Asks it to end; gives what it said.
    pub fn end(self) -> String {
        self.sensor.end()
    }
}

impl Deref for Served {
    type Target = Sensor;

    fn deref(&self) -> &Sensor {
        &self.sensor
    }
}

/// An address of this machine that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
