//! The live sensor as a process of its own, and what it says.

use std::ffi::OsStr;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// How long one waits for it to begin, to say something, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running sensor, gone with this value.
pub struct Sensor {
    pub child: Child,
    log: NamedTempFile,
    /// Bytes of the log that [`Self::next_line`] has gone past.
    read: usize,
}

impl Sensor {
    /// Starts one and waits until it captures.
    pub fn start(arguments: &[impl AsRef<OsStr>]) -> Self {
        let log = NamedTempFile::new().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kaspector"))
            .arg("watch")
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let mut sensor = Self { child, log, read: 0 };
        sensor.next_line("Watching ");
        sensor
    }

    /// All that it said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// The next line that says `what`; waits for it.
    pub fn next_line(&mut self, what: &str) -> String {
        let begun = Instant::now();
        loop {
            // Asked before the log is read: what it says with its last breath is there then.
            let ended = self.child.try_wait().unwrap();
            let said = self.said();
            for line in said[self.read..].split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                self.read += line.len();
                if line.contains(what) {
                    return line.to_owned();
                }
            }
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no word of {what}; {ended:?}: {said}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end; gives what it said since [`Self::next_line`].
    pub fn end(mut self) -> String {
        self.signal("TERM");
        let begun = Instant::now();
        while self.is_running() {
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        let said = self.said();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said[self.read..].to_owned()
    }

    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said()
    }

    /// Resident set, in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Descriptors that it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Sensor {
    /// A test that failed leaves none behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
