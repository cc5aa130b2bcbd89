//! What a watch says while it runs, and its result.

use crate::process::output_file::OutputFileError;
use crate::sandbox::{PrivilegeError, SandboxError};
use crate::state::StateError;
use crate::status::{InterfaceStatus, MessageCounts};
use kaspector::decode::OutcomeCounters;
use kaspector::matching::HostFinding;
use kaspector_delivery::{OutputStatus, OutputsError};
use kaspector_live::{FilterError, LiveError};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Hosts that a summary names: all of them, in full, would take more memory than the watch itself.
pub const HOSTS_TOLD: usize = 20;

/// The result of a watch.
#[derive(Debug, Default)]
pub struct Watched {
    /// One entry per interface, in the order given.
    pub interfaces: Vec<InterfaceStatus>,
    /// One entry per output, in the order given.
    pub outputs: Vec<OutputStatus>,
    /// Outputs that had not taken everything at the end.
    pub behind: usize,
    /// Where the packets ended; they add up to those of all interfaces.
    pub outcomes: OutcomeCounters,
    /// Flows seen.
    pub flows: u64,
    /// What was dropped at a bound, under the bound's name.
    pub dropped: BTreeMap<&'static str, u64>,
    /// The first [`HOSTS_TOLD`] hosts with evidence: strongest verdict first, then by address.
    pub hosts: Vec<HostFinding>,
    /// How many there are in all.
    pub hosts_in_all: u64,
    /// Messages that no output was given, because none had room for them.
    pub no_room: MessageCounts,
}

/// What a watch says while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// From now on no packet is missed.
    Capturing,
    /// Something happened that whoever reads the log wants to know.
    Event(&'a str),
    /// The counters of an interval.
    Detail(&'a str),
    /// The result of the watch so far: somebody asked.
    SoFar(&'a Watched),
    /// Something is wrong, and the watch goes on.
    Warning(&'a str),
}

/// Takes notices.
pub type Tell<'a> = &'a mut dyn FnMut(Notice<'_>);

/// Why there is no watch, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The filter expression is not one.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// An interface cannot be read.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// An output cannot be used.
    #[error(transparent)]
    Outputs(#[from] OutputsError),
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Evidence cannot be kept.
    #[error("evidence")]
    Evidence(#[from] OutputFileError),
    /// Nothing can be served there.
    #[error("http {address}: {cause}; give another address with --http")]
    Http {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Privileges cannot be given up.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The sandbox cannot be entered.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Not as many threads as a watch needs.
    #[error("{0}")]
    Threads(String),
    /// The system refused a thread, a timer or random numbers.
    #[error("the system refused what a watch needs")]
    System(#[from] std::io::Error),
}
