//! What the control thread lets a worker know: one immutable value, read once for every block.

use arc_swap::ArcSwap;
use kaspector::capture::Timestamp;
use kaspector::matching::{ResolvedAddresses, SignatureSet};
use kaspector_live::Choice;
use std::sync::Arc;

/// What a worker needs to know of the rest of the sensor.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What to look for.
    pub signatures: Arc<SignatureSet>,
    /// Which frames to take.
    pub choice: Arc<Choice>,
    /// Addresses that clients got from DNS on this interface, whichever worker saw it.
    pub resolved: Arc<ResolvedAddresses>,
    /// The time until which `resolved` is complete.
    pub resolved_until: Timestamp,
}

/// The latest snapshot for the workers of one interface.
pub type Latest = Arc<ArcSwap<Snapshot>>;
