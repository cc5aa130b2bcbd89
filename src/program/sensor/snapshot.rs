//! What the control thread lets a worker know: one immutable value, read once for every block.

use arc_swap::ArcSwap;
use kaspector::capture::Timestamp;
use kaspector::matching::{SignatureSet, ToldAddresses};
use kaspector_live::Choice;
use std::sync::Arc;

/// What a worker needs to know of the rest of the sensor.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What to look for.
    pub signatures: Arc<SignatureSet>,
    /// Which frames to take.
    pub choice: Arc<Choice>,
    /// Addresses that clients were told on this interface, whichever worker saw it.
    pub told: Arc<ToldAddresses>,
    /// The time until which `told` is complete.
    pub told_until: Timestamp,
}

/// The latest snapshot for the workers of one interface.
pub type Latest = Arc<ArcSwap<Snapshot>>;
