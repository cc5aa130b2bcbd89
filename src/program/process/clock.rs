//! The wall clock of the control plane.
//!
//! Only what a program says of itself depends on it: when it started, how old the last packet is, when a source was saved. Alerts and
//! evidence carry the time of their packets.

use kaspector::capture::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now; 1970 where the clock stands before.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}
