//! Tells the service manager how the sensor is (`sd_notify(3)`); without one, every call does nothing.

use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// The line to the service manager.
#[derive(Debug)]
pub struct Notify {
    /// How often to say that we are alive: half of what the manager allows.
    pulse: Option<Duration>,
    last_pulse: Option<Instant>,
}

impl Notify {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` of the environment say.
    #[must_use]
    pub fn from_environment() -> Self {
        Self { pulse: sd_notify::watchdog_enabled().map(|allowed| allowed / 2), last_pulse: None }
    }

    /// Capturing has begun, or a reload is done.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// A reload has begun; [`Notify::ready`] ends it, whether it succeeded or the old configuration stayed.
    pub fn reloading(&self) {
        // `Type=notify-reload` takes the two only together.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The sensor is about to end.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        // A line break would begin another assignment.
        tell(&[NotifyState::Status(&line.replace(['\n', '\r'], " "))]);
    }

    /// Says that the sensor is alive, if it is time to; call it at least every [`Notify::interval`], and only while the workers move.
    pub fn pulse(&mut self, now: Instant) {
        let Some(interval) = self.pulse else { return };
        let is_due = self.last_pulse.is_none_or(|last| now.saturating_duration_since(last) >= interval);
        if is_due {
            tell(&[NotifyState::Watchdog]);
            self.last_pulse = Some(now);
        }
    }

    /// Half of the manager's patience; `None` when it does not watch.
    #[must_use]
    pub const fn interval(&self) -> Option<Duration> {
        self.pulse
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("the service manager could not be notified: {error}");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    /// Runs in a process of its own, whose environment names a service manager.
    #[test]
    #[ignore = "the other half of a_service_manager_hears_everything"]
    fn a_service() {
        let mut notify = Notify::from_environment();
        notify.ready();
        notify.reloading();
        notify.status("two\nlines");
        let start = Instant::now();
        for half_seconds in 0..5 {
            notify.pulse(start + Duration::from_millis(500 * half_seconds));
        }
        notify.stopping();
    }

    #[test]
    fn a_service_manager_hears_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let service = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sensor::notify::tests::a_service", "--ignored"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "2000000")
            .output()
            .unwrap();
        assert!(service.status.success(), "{service:?}");
        let mut heard = Vec::new();
        while heard.last().is_none_or(|line| line != "STOPPING=1") {
            let mut bytes = [0; 1024];
            let length = manager.recv(&mut bytes).unwrap();
            heard.extend(String::from_utf8_lossy(bytes.get(..length).unwrap()).lines().map(str::to_owned));
        }
        let at = heard.iter().position(|line| line.starts_with("MONOTONIC_USEC=")).unwrap();
        assert!(heard.remove(at).trim_start_matches("MONOTONIC_USEC=").parse::<u64>().unwrap() > 0);
        // Every second, which is half of the two that the manager allows.
        let pulse = "WATCHDOG=1";
        assert_eq!(heard, ["READY=1", "RELOADING=1", "STATUS=two lines", pulse, pulse, pulse, "STOPPING=1"]);
    }
}
