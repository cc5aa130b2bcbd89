//! The journey of one frame through the rooms.
//!
//! ```text
//! frame -> decode -> lane: flow -> inspect -> matching::observe -> events -> ledger -> hosts, alerts
//! ```
//!
//! Flows are spread over a fixed number of [`Lane`]s by the hash of their key. A lane owns everything that its flows need, so lanes may
//! run on any number of threads: as long as each sees its packets in order, and the ledger sees all events in order, the answer is the
//! same to the byte. [`Detector`] runs the whole journey on one thread.

mod announcements;
mod bounds;
mod builder;
mod flow_record;
mod lane;
mod lanes;
mod packet_summary;
mod parallel;
mod plan;
mod pool;
mod report_queue;
mod round;
mod versions;

use crate::capture::{Frame, FrameSequence};
use crate::decode::{Outcome, OutcomeCounters, Segment};
use crate::flow::{FlowKey, Side};
use crate::inspect::Observation;
use crate::matching::{
    Alert, Event, EventKind, HostFinding, HostKey, HostRecord, IndicatorIndex, Ledger, Machine, Machines, NextHops,
    Opened, Place, SignatureSet,
};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use bounds::Bounds;
pub use builder::DetectorBuilder;
pub use lane::{FastPath, Lane, LaneCounters};
pub use lanes::{Coverage, Lanes, Numbering};
pub use packet_summary::{PacketKind, PacketSummary};
pub use parallel::{RoundLane, RoundLedger};
pub use plan::Plan;
pub use report_queue::{END, Report, ReportQueue, was_set_back};
pub use round::RoundEvents;
pub use versions::{VersionCounters, version_name};

/// Lanes that flows are spread over, whatever the number of threads: the answer must not depend on it.
pub const LANES: usize = 8;
/// Frames that are prefetched together (HOTPATH: 16 to 64 is fine).
const BATCH: usize = 32;
/// How many frames ahead of its turn a frame's headers are prefetched.
const FRAMES_AHEAD: usize = 16;

/// A packet's flow: its key, the sender's side, and the hash that picks lane and bucket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    /// Key of the flow.
    pub key: FlowKey,
    /// Which end sent the packet.
    pub side: Side,
    /// Keyed hash of `key`.
    pub hash: u64,
}

impl Route {
    /// The route of a segment. `seed` keys the hash: constant offline, random on a sensor.
    #[inline(always)]
    #[must_use]
    pub fn of(segment: &Segment<'_>, seed: u64) -> Self {
        let (key, side) = FlowKey::of(&segment.five_tuple, &segment.zone);
        Self { key, side, hash: key.hash(seed) }
    }

    /// The route of the flow that began so.
    #[must_use]
    pub fn of_opened(opened: &Opened, seed: u64) -> Self {
        let (key, side) = FlowKey::of(&opened.five_tuple, &opened.zone);
        Self { key, side, hash: key.hash(seed) }
    }

    /// Which of so many lanes the flow belongs to, a power of two and at most [`LANES`], chosen by bits that choose neither bucket nor
    /// tag.
    #[inline]
    #[must_use]
    pub const fn lane(&self, lanes: usize) -> usize {
        // No division: this is asked three times for every packet.
        (self.hash >> 61) as usize & lanes.wrapping_sub(1)
    }
}

/// Key of the flow hash where nobody can aim at a bucket: offline, where the answer must be the same every time. Not zero: the upper
/// words of IPv4 addresses are, and a product of zero and zero keyed would forget both addresses.
pub const OFFLINE_SEED: u64 = 0x6b61_7370_6563_746f;

/// Takes what lanes bring about.
pub trait EventSink {
    /// Something for the ledger.
    fn event(&mut self, event: Event);
    /// A flow began. Says whether the ledger remembers it, so that its end is to be told, too.
    fn opened(&mut self, opening: &Opening<'_>) -> bool;
    /// Whether it is still open if the ledger remembers the flow that began with this packet.
    fn is_undecided(&self, first_packet: u64) -> bool {
        let _ = first_packet;
        false
    }
    /// A packet was looked into that is among the first of its flow: for whoever keeps packets.
    fn looked_into(&mut self, packet: u64, flow: &FlowKey) {
        let _ = (packet, flow);
    }
    /// A fact read from payload, whether or not it matches anything.
    fn observation(&mut self, place: &Place<'_>, observation: &Observation<'_>) {
        let _ = (place, observation);
    }
}

/// The first packet of a flow.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opening<'a> {
    /// Its number in the input, from 1.
    pub packet: u64,
    /// What it carries.
    pub segment: &'a Segment<'a>,
    /// Published range that its source lies in.
    pub src_range: Option<IndicatorIndex>,
    /// Published range that its destination lies in.
    pub dst_range: Option<IndicatorIndex>,
    /// Whether the signatures alone make the flow matter, by a range or a port, whoever its ends are.
    pub of_interest: bool,
}

impl Opening<'_> {
    /// What the ledger is told.
    #[must_use]
    pub fn event(&self) -> Event {
        let Self { packet, segment, src_range, dst_range, of_interest } = *self;
        let &Segment { at, five_tuple, zone, macs, tunnel, .. } = segment;
        let opened = Opened { five_tuple, zone, macs, tunnel: tunnel.map(Box::new), src_range, dst_range, of_interest };
        Event { packet, at, kind: EventKind::Opened(opened) }
    }
}

/// The ledger itself, where packets are taken one after the other.
impl EventSink for Ledger {
    fn event(&mut self, event: Event) {
        self.record(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        let matters = opening.of_interest || self.may_matter(&opening.segment.five_tuple);
        if matters {
            self.record(opening.event());
        }
        matters
    }
}

/// The ledger, and a caller who wants to see observations.
struct Observed<'a, F> {
    ledger: &'a mut Ledger,
    observer: F,
}

impl<F: FnMut(&Place<'_>, &Observation<'_>)> EventSink for Observed<'_, F> {
    fn event(&mut self, event: Event) {
        self.ledger.event(event);
    }

    fn opened(&mut self, opening: &Opening<'_>) -> bool {
        self.ledger.opened(opening)
    }

    fn observation(&mut self, place: &Place<'_>, observation: &Observation<'_>) {
        (self.observer)(place, observation);
    }
}

/// The result of one capture, or of one period of live traffic.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Findings {
    /// What is known of each host, by address. Serialized, a list of `host` and `record`.
    #[serde(serialize_with = "in_order")]
    pub hosts: BTreeMap<HostKey, HostRecord>,
    /// All machines inside that were seen.
    #[serde(skip)]
    pub machines: Machines,
    /// Alerts in the order in which they were raised, as far as they were not taken before.
    pub alerts: Vec<Alert>,
    /// Where every packet ended.
    pub outcomes: OutcomeCounters,
    /// Flows seen, whether they matter or not.
    pub flows: u64,
    /// How much was seen of the connections, and what could not be read.
    pub coverage: Coverage,
    /// What was dropped at a bound, under the bound's name.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Findings {
    /// What a ledger holds once its last event is in; `outcomes`, `flows`, `coverage` and `dropped` are those of the lanes before it.
    #[must_use]
    pub fn close(
        mut ledger: Ledger,
        outcomes: OutcomeCounters,
        flows: u64,
        coverage: Coverage,
        mut dropped: BTreeMap<&'static str, u64>,
    ) -> Self {
        let alerts = ledger.take_alerts();
        ledger.close();
        dropped.extend(ledger.dropped());
        let (hosts, machines) = ledger.into_hosts();
        Self { alerts, hosts: hosts.collect(), machines, outcomes, flows, coverage, dropped }
    }

    /// One row for each machine inside that was seen, by tenant and address.
    #[must_use]
    pub fn machines(&self) -> Vec<Machine> {
        self.machines.rows(&self.next_hops())
    }

    /// The hosts with evidence: strongest verdict first, then by address.
    #[must_use]
    pub fn host_findings(&self, signatures: &SignatureSet) -> Vec<HostFinding> {
        let hops = self.next_hops();
        let mut found: Vec<_> =
            self.hosts.iter().filter_map(|(host, record)| record.finding_among(*host, signatures, &hops)).collect();
        found.sort_by_key(|finding| (finding.verdict, finding.host));
        found
    }

    /// Of the routers on the way, what hosts and machines show together.
    fn next_hops(&self) -> NextHops {
        let of_hosts = self.hosts.iter().flat_map(|(host, record)| record.link_addresses().map(|link| (*host, link)));
        NextHops::among(of_hosts.chain(self.machines.link_addresses()))
    }
}

/// A list, since keys that are no text make no map in JSON.
fn in_order<S: Serializer>(hosts: &BTreeMap<HostKey, HostRecord>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Host<'a> {
        host: &'a HostKey,
        record: &'a HostRecord,
    }
    serializer.collect_seq(hosts.iter().map(|(host, record)| Host { host, record }))
}

/// The whole detector on one thread: frames in, alerts and findings out.
///
/// ```
/// use kaspector::capture::{Frame, LinkType, Timestamp};
/// use kaspector::matching::SignatureSet;
/// use kaspector::pipeline::Detector;
/// use std::sync::Arc;
///
/// let signatures = Arc::new(SignatureSet::builtin());
/// let mut detector = Detector::new(&signatures);
/// let bytes = [0; 60]; // from a ring, a file, a test
/// detector.feed(&Frame::new(1, Timestamp(0), LinkType::ETHERNET, &bytes));
/// let findings = detector.finish();
/// assert_eq!(findings.outcomes.total(), 1);
/// assert!(findings.host_findings(&signatures).is_empty());
/// ```
#[derive(Debug)]
pub struct Detector {
    signatures: Arc<SignatureSet>,
    input: u32,
    discards_alerts: bool,
    lanes: Lanes,
    ledger: Ledger,
}

impl Detector {
    /// A detector for captures. Live traffic wants a random [`seed`](DetectorBuilder::seed).
    #[must_use]
    pub fn new(signatures: &Arc<SignatureSet>) -> Self {
        Self::builder().signatures(signatures).build()
    }

    /// Says how the detector is to be: signatures, seed, bounds, ports of tunnels.
    ///
    /// ```
    /// use kaspector::pipeline::Detector;
    ///
    /// let mut detector = Detector::builder().seed(0x9e37_79b9_7f4a_7c15).without_alerts().build();
    /// assert_eq!(detector.finish().flows, 0);
    /// ```
    pub fn builder() -> DetectorBuilder {
        DetectorBuilder::default()
    }

    /// Says which input the frames to come belong to; evidence names it.
    pub fn begin_input(&mut self, input: u32) {
        self.input = input;
        self.ledger = self.empty_ledger();
    }

    /// Takes the next frame.
    pub fn feed(&mut self, frame: &Frame<'_>) -> Outcome {
        let outcome = self.lanes.feed(frame, &mut self.ledger);
        self.ledger.catch_up();
        outcome
    }

    /// Takes the next frame, and shows `observer` every fact that it completes.
    pub fn feed_observed(&mut self, frame: &Frame<'_>, observer: impl FnMut(&Place<'_>, &Observation<'_>)) -> Outcome {
        let outcome = self.lanes.feed(frame, &mut Observed { ledger: &mut self.ledger, observer });
        self.ledger.catch_up();
        outcome
    }

    /// Takes the next block of frames, those that `accepts` chooses: of a file, of a ring, or a slice of frames that lie anywhere. The same as
    /// [`Self::feed`] for each, and faster.
    pub fn feed_block<'a>(&mut self, frames: impl FrameSequence<'a>, accepts: impl FnMut(&Frame<'_>) -> bool) {
        self.lanes.feed_block(frames, accepts, &mut self.ledger);
        self.ledger.catch_up();
    }

    /// Takes the alerts raised so far.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        self.ledger.take_alerts()
    }

    /// Where the packets since the last [`Self::finish`] ended.
    #[must_use]
    pub const fn outcomes(&self) -> &OutcomeCounters {
        self.lanes.outcomes()
    }

    /// Flows seen since the last [`Self::finish`].
    #[must_use]
    pub fn flows(&self) -> u64 {
        self.lanes.flows()
    }

    /// What was dropped at a bound since the last [`Self::finish`], under the bound's name.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let mut dropped = self.ledger.dropped();
        self.lanes.add_dropped(&mut dropped);
        dropped
    }

    /// Ends every flow and gives the result. The detector is then as new.
    pub fn finish(&mut self) -> Findings {
        self.lanes.finish(&mut self.ledger);
        let empty = self.empty_ledger();
        let ledger = std::mem::replace(&mut self.ledger, empty);
        let mut dropped = BTreeMap::new();
        self.lanes.add_dropped(&mut dropped);
        let (outcomes, coverage) = (self.lanes.outcomes().clone(), self.lanes.coverage());
        let findings = Findings::close(ledger, outcomes, self.lanes.flows(), coverage, dropped);
        self.lanes.reset();
        findings
    }

    fn empty_ledger(&self) -> Ledger {
        let ledger = Ledger::new(&self.signatures, self.input);
        if self.discards_alerts { ledger.without_alerts() } else { ledger }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Block, CaptureFile};
    use crate::decode::{FiveTuple, Zone};
    use std::collections::HashSet;
    use std::path::Path;

    /// Clients that use the same port with the same server: only the address tells their flows apart.
    #[test]
    fn the_address_alone_moves_a_flow_to_another_lane_and_bucket() {
        let hashes: Vec<u64> = (0..4096_u32)
            .map(|client| {
                let src = std::net::Ipv4Addr::from(0x0a00_0000 + client).into();
                let dst = std::net::Ipv4Addr::new(198, 51, 100, 7).into();
                let tuple = FiveTuple { src, dst, src_port: 40_000, dst_port: 443, protocol: FiveTuple::TCP };
                FlowKey::of(&tuple, &Zone::default()).0.hash(OFFLINE_SEED)
            })
            .collect();
        let count = |part: fn(u64) -> u64| hashes.iter().map(|&hash| part(hash)).collect::<HashSet<_>>().len();
        assert_eq!(count(|hash| hash), 4096);
        assert_eq!(count(|hash| hash >> 61), LANES);
        // Thrown at random, 4096 balls meet about 3600 of 16384 bins, and all of 256.
        assert!(count(|hash| hash & 0x3fff) > 3400);
        assert_eq!(count(|hash| hash >> 48 & 0xff), 256);
    }
    #[test]
    fn blocks_and_slices_of_any_length_give_what_single_frames_give() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/dns-then-tls.pcap");
        let (mut file, mut block) = (CaptureFile::open(path).unwrap(), Block::default());
        assert!(file.next_block(&mut block).unwrap());
        let frames: Vec<Frame<'_>> = block.frames().collect();
        let found = |feed: &dyn Fn(&mut Detector)| {
            let mut detector = Detector::builder().build();
            feed(&mut detector);
            let live = (detector.flows(), detector.dropped());
            let findings = detector.finish();
            assert_eq!(live, (findings.flows, findings.dropped));
            format!("{:?} {:?} {:?}", findings.hosts, findings.alerts, findings.outcomes)
        };
        let expected = found(&|detector| frames.iter().for_each(|frame| _ = detector.feed(frame)));
        assert!(expected.contains("upd.kaspersky.com"));
        assert_eq!(found(&|detector| detector.feed_block(block.view(), |_| true)), expected);
        for length in [1, 7, frames.len()] {
            let feed = |detector: &mut Detector| {
                frames.chunks(length).for_each(|slice| detector.feed_block(slice, |_| true));
            };
            assert_eq!(found(&feed), expected, "{length}");
        }
    }
}
