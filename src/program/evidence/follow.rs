//! Second reading: which packets of the flows lie around the marked ones.

use super::trace::{Clue, Mark};
use kaspector::capture::Frame;
use kaspector::decode::{Decoder, Dissected, FragmentKey, Outcome, Transport, dissect_into, tcp_flags};
use kaspector::flow::FlowKey;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Packets at the beginning of a connection that are kept.
const HEAD: usize = 8;
/// Frames behind the last mark after which nobody waits for an answer any more.
const PATIENCE: u64 = 100_000;
/// Fragments that are remembered until their datagram is complete.
const FRAGMENTS_MAX: usize = 1024;

/// How many packets of a flow are kept around a mark.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    before: usize,
    after: usize,
}

impl Window {
    /// Where a capture may hold so many packets.
    pub fn within(packets: usize) -> Self {
        Self { before: packets.clamp(32, 1024), after: (packets / 8).clamp(8, 512) }
    }
}

/// A packet that may prove something.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its number; for a datagram in fragments, that of the fragment that completes it.
    pub packet: u64,
    /// Frames that bring it: number, captured bytes.
    pub frames: Vec<(u64, u32)>,
    /// Whether it stands before the first payload of its connection.
    pub is_handshake: bool,
    /// Whether it brings payload.
    pub has_payload: bool,
}

/// One connection of a flow: ports are used again.
#[derive(Debug, Default)]
pub struct Episode {
    /// What is kept of it, in order.
    pub kept: Vec<Kept>,
    window: VecDeque<Kept>,
    seen: usize,
    has_payload: bool,
    after: usize,
}

/// The flows that were followed.
pub type Flows = HashMap<FlowKey, Vec<Episode>>;

/// Finds the connection of a flow that a marked packet stands in.
pub fn episode<'e>(flows: &'e Flows, mark: &Mark) -> Option<&'e Episode> {
    flows.get(&mark.flow)?.iter().find(|episode| episode.kept.iter().any(|kept| kept.packet == mark.packet))
}

/// Follows the flows of clues.
pub struct Follower {
    marks: HashMap<FlowKey, BTreeSet<u64>>,
    last: u64,
    window: Window,
    flows: Flows,
    fragments: VecDeque<(FragmentKey, u64, u32)>,
}

impl Follower {
    /// Follows those that the clues name.
    pub fn new(clues: &[Clue<'_>], window: Window) -> Self {
        let mut marks: HashMap<FlowKey, BTreeSet<u64>> = HashMap::new();
        for mark in clues.iter().flat_map(|clue| clue.own.iter().chain(&clue.answer).chain(&clue.others)) {
            marks.entry(mark.flow).or_default().insert(mark.packet);
        }
        let last = marks.values().filter_map(BTreeSet::last).copied().max().unwrap_or(0);
        Self { marks, last, window, flows: HashMap::new(), fragments: VecDeque::new() }
    }

    /// Takes the next frame; says whether there may be more to come.
    pub fn take(&mut self, frame: &Frame<'_>, decoder: &mut Decoder) -> bool {
        let mut dissected = Dissected::Other(Outcome::NotIp);
        dissect_into(frame, decoder.ports(), &mut dissected);
        let own = (frame.number, u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX));
        match dissected {
            Dissected::Segment(segment) => self.segment(frame.number, &segment, || vec![own]),
            Dissected::Fragment(fragment) => {
                let key = fragment.key;
                let fragments = &mut self.fragments;
                if fragments.len() >= FRAGMENTS_MAX {
                    fragments.pop_front();
                }
                fragments.push_back((key, own.0, own.1));
                if let Ok(segment) = decoder.resume(&fragment) {
                    let is_part = |&&(of, ..): &&(FragmentKey, u64, u32)| of == key;
                    let parts: Vec<_> =
                        self.fragments.iter().filter(is_part).map(|&(_, number, len)| (number, len)).collect();
                    self.fragments.retain(|(of, ..)| *of != key);
                    self.segment(frame.number, &segment, || parts);
                }
            }
            Dissected::Other(_) => {}
        }
        frame.number < self.last.saturating_add(PATIENCE)
    }

    fn segment(
        &mut self,
        number: u64,
        segment: &kaspector::decode::Segment<'_>,
        frames: impl FnOnce() -> Vec<(u64, u32)>,
    ) {
        let (flow, _) = FlowKey::of(&segment.five_tuple, &segment.zone);
        let Some(marks) = self.marks.get(&flow) else { return };
        let opens = match segment.transport {
            Transport::Tcp { flags, .. } => flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN,
            Transport::Udp => false,
        };
        let episodes = self.flows.entry(flow).or_default();
        // The port is used again: what came before counts only if it proves something. A SYN that is sent again begins nothing.
        if opens && episodes.last().is_some_and(|episode| episode.has_payload) {
            let is_marked = |episode: &Episode| episode.kept.iter().any(|kept| marks.contains(&kept.packet));
            episodes.retain(is_marked);
            episodes.push(Episode::default());
        }
        if episodes.is_empty() {
            episodes.push(Episode::default());
        }
        let Some(episode) = episodes.last_mut() else { return };
        let is_handshake = !episode.has_payload && segment.payload_len == 0;
        episode.has_payload |= segment.payload_len > 0;
        episode.seen += 1;
        let kept = || Kept { packet: number, frames: frames(), is_handshake, has_payload: segment.payload_len > 0 };
        if marks.contains(&number) {
            episode.kept.extend(episode.window.drain(..));
            episode.kept.push(kept());
            episode.after = self.window.after;
        } else if episode.seen <= HEAD {
            episode.kept.push(kept());
        } else if episode.after > 0 {
            episode.after -= 1;
            episode.kept.push(kept());
        } else {
            if episode.window.len() >= self.window.before {
                episode.window.pop_front();
            }
            if marks.range(number..).next().is_some() {
                episode.window.push_back(kept());
            }
        }
    }

    /// What was kept.
    pub fn into_flows(self) -> Flows {
        self.flows
    }
}
