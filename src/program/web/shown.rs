//! What the handlers of all paths see.

use super::Web;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// The server at work.
pub(super) struct Shown {
    pub web: Web,
    /// Whether only this machine can reach us.
    pub is_loopback: bool,
    /// Room for readers of events.
    pub streams: Arc<Semaphore>,
    /// Whether the server ends.
    pub stopped: watch::Receiver<bool>,
}
