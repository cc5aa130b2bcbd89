//! The live sensor, and what it says of itself over HTTP.

use crate::cable::Cable;
use crate::http::exchange;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Sensor {
    pub child: Child,
    log: PathBuf,
    address: SocketAddr,
}

impl Sensor {
    /// Starts one and waits until it captures. It tells no counters and no summaries of its own.
    pub fn start(folder: &Path, cable: &Cable, arguments: &[&str]) -> Self {
        let address = free_address();
        let log = folder.join(format!("sensor-{}.log", address.port()));
        let child = Command::new(env!("CARGO_BIN_EXE_kaspector"))
            .args(["watch", "-i", &cable.far, "--stats-interval", "1d", "--summary-interval", "7d"])
            .args(["--drain-timeout", "2s", "--http", &address.to_string()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut sensor = Self { child, log, address };
        let begun = Instant::now();
        while !sensor.said().contains("Watching ") {
            let ended = sensor.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(30), "{ended:?}: {}", sensor.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        sensor.until("numbers are shown", |sensor| sensor.metrics().contains("kaspector_start_time_seconds 1"));
        sensor
    }

    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
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

    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said()
    }

    /// Asks it to end; gives what it said.
    pub fn end(mut self) -> String {
        assert!(Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status().unwrap().success());
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
        self.said()
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this machine that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
