//! A sensor of the screen's own: `kaspector watch`, which ends with the screen.
//!
//! It is another process since a sensor gives up its privileges and locks itself in before it starts a thread, and what is left then is of no
//! use to a screen.

use super::Sensor;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often is asked whether it listens.
const LOOK: Duration = Duration::from_millis(20);
/// Lines kept of what it says: the latest.
const LINES_MAX: usize = 100;

/// The sensor. It ends with this value.
#[derive(Debug)]
pub struct OwnSensor {
    child: Child,
    address: SocketAddr,
    /// What it says, which would spoil the screen.
    said: Option<JoinHandle<VecDeque<String>>>,
}

impl OwnSensor {
    /// Starts one that watches these interfaces.
    ///
    /// # Errors
    /// When the program cannot be started again.
    pub fn start(interfaces: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = address.context("no port is free on the loopback address")?;
        let mut child = std::env::current_exe()
            .and_then(|program| {
                Command::new(program)
                    .args(["watch", "--quiet", "--output", "stdout", "--http", &address.to_string()])
                    .args(interfaces.into_iter().flat_map(|interface| ["--interface".to_owned(), interface]))
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
            })
            .context("the sensor cannot be started")?;
        // Its alerts come over HTTP. A pipe, since it ends when nobody reads what it prints, whatever becomes of this process.
        if let Some(mut alerts) = child.stdout.take() {
            std::thread::spawn(move || io::copy(&mut alerts, &mut io::sink()));
        }
        let said = child.stderr.take().map(|stderr| std::thread::spawn(move || latest_lines(BufReader::new(stderr))));
        Ok(Self { child, address, said })
    }

    /// Waits until it can be asked; `None` when it ended before.
    ///
    /// # Errors
    /// When the system does not say whether it runs.
    pub fn listening(&mut self) -> io::Result<Option<Sensor>> {
        loop {
            if self.child.try_wait()?.is_some() {
                return Ok(None);
            }
            if TcpStream::connect(self.address).is_ok() {
                return Ok(Some(Sensor { address: self.address.to_string(), token: None }));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Has it end, and gives what it said, the latest lines; and how it ended if that was of its own accord.
    ///
    /// # Errors
    /// When the system does not say whether it runs.
    pub fn end(mut self) -> io::Result<(VecDeque<String>, Option<ExitStatus>)> {
        let ended = self.child.try_wait()?;
        if ended.is_none() {
            // One that has just gone need not be told.
            _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            self.child.wait()?;
        }
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        Ok((said, ended))
    }
}

impl Drop for OwnSensor {
    fn drop(&mut self) {
        // Once it was waited for, its number may be somebody else's, and this does nothing.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn latest_lines(said: impl BufRead) -> VecDeque<String> {
    let mut lines = VecDeque::new();
    for line in said.lines().map_while(Result::ok) {
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    lines
}
