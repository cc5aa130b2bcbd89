//! Signals that ask something of the sensor.

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To end: SIGTERM, SIGINT.
    End,
    /// To read configuration and signatures again and open files anew: SIGHUP.
    Reload,
    /// To say what was counted so far: SIGUSR1.
    Count,
}

/// Listens for SIGHUP and SIGUSR1, which would end the process, before anything else is done: what is asked for while the sensor starts
/// is done once it runs. The other signals may end it until then.
#[derive(Debug)]
pub struct Attention {
    pub(super) runtime: Runtime,
    pub(super) hang_up: Signal,
    pub(super) user: Signal,
}

impl Attention {
    /// Listens from now on. Starts no thread.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn begin() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listen = |kind| runtime.block_on(async { signal(kind) });
        let (hang_up, user) = (listen(SignalKind::hangup())?, listen(SignalKind::user_defined1())?);
        Ok(Self { runtime, hang_up, user })
    }
}

/// Listens for signals.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    /// Listens for the others from now on, too; within a runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(hang_up: Signal, user: Signal) -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hang_up, user })
    }

    /// The next request. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::End,
            _ = self.interrupt.recv() => Request::End,
            _ = self.hang_up.recv() => Request::Reload,
            _ = self.user.recv() => Request::Count,
        }
    }
}
