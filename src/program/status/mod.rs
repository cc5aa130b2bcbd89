//! What the sensor says of itself at one moment: plain numbers, whoever counted them.
//!
//! In:    plain numbers, from whoever counts.
//! Out:   [`Status`], and its [`History`].
//! Never: counts anything itself.

mod history;

pub use history::{History, SAMPLE_INTERVAL, SAMPLES_MAX, Sample};

use kaspector::capture::Timestamp;
use kaspector_delivery::{OutputStatus, SpoolStatus, Weight};
use kaspector_report::MachineCounts;

/// The sensor at one moment. Counters count since the start.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// When the sensor began to capture.
    pub started: Timestamp,
    /// Version of the signature set in use.
    pub signatures_version: String,
    /// Indicators in it.
    pub indicators: usize,
    /// One entry per interface, in the order given.
    pub interfaces: Vec<InterfaceStatus>,
    /// Packets by outcome, all interfaces together; names as in `scan --format json`. Add up to the packets of all interfaces.
    pub outcomes: Vec<(&'static str, u64)>,
    /// Flows in the tables now.
    pub flows_active: u64,
    /// Flows that left the tables, by reason: `idle`, `memory`, `flood`.
    pub flow_evictions: Vec<(&'static str, u64)>,
    /// TCP connections that have ended.
    pub connections_ended: u64,
    /// Traffic that could not be inspected although it was decoded, by reason.
    pub inspection_gaps: Vec<(&'static str, u64)>,
    /// Pieces of evidence by service (category) and strength.
    pub detections: Vec<(&'static str, &'static str, u64)>,
    /// Hosts with evidence.
    pub endpoints_with_findings: u64,
    /// The same by verdict and role, each of them.
    pub hosts: Vec<(&'static str, &'static str, u64)>,
    /// Hosts whose silence was told, and that have not shown themselves since.
    pub hosts_silent: u64,
    /// The machines that were seen, by how much of each could be judged.
    pub machines: MachineCounts,
    /// What was dropped of machines that were seen, and of what was said of them, by the bound that it met.
    pub machine_drops: Vec<(&'static str, u64)>,
    /// What became of evidence, by result, and the bytes in its folder; `None` where none is kept.
    pub evidence: Option<(Vec<(&'static str, u64)>, u64)>,
    /// One entry per output, in the order given.
    pub outputs: Vec<OutputStatus>,
    /// Where messages for them wait.
    pub spool: SpoolStatus,
    /// Messages that were made for the outputs.
    pub messages: MessageCounts,
    /// Of these, messages that no output was given, because none had room for them.
    pub no_room: MessageCounts,
    /// Bytes of memory that flow tables and buffers take.
    pub flow_memory_bytes: u64,
}

/// How many messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// First sights, rises and summaries.
    pub alerts: u64,
    /// Records of the sensor's counters.
    pub counters: u64,
}

impl MessageCounts {
    /// Adds so many messages of this weight.
    pub fn add(&mut self, weight: Weight, count: u64) {
        let kind = if weight == Weight::Stats { &mut self.counters } else { &mut self.alerts };
        *kind += count;
    }

    /// All of them.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.alerts + self.counters
    }
}

impl Status {
    /// What is wrong with the spool and the outputs, in plain words.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let outputs =
            self.outputs.iter().filter_map(|output| Some(format!("{}: {}", output.name, output.trouble.as_ref()?)));
        self.spool.trouble.iter().cloned().chain(outputs).collect()
    }
}

/// One interface, since the sensor began to capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Whether it was last seen up.
    pub is_up: bool,
    /// Packets taken.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets that the kernel counted: those taken and those dropped.
    pub kernel_packets: u64,
    /// Packets that the kernel dropped because a ring was full.
    pub kernel_drops: u64,
    /// Times that a ring was found full.
    pub ring_freezes: u64,
    /// Packets that the interface dropped before anybody could take them.
    pub nic_drops: u64,
    /// Events that were lost because a queue of ours stayed full.
    pub queue_drops: u64,
    /// Sightings of machines, and what was said of them, that were lost because too many waited.
    pub machine_reports_lost: u64,
    /// When its last packet came.
    pub last_packet: Option<Timestamp>,
}
