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
        tracing::debug!("the service manager was not told: {error}");
    }
}
