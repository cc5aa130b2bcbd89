//! Which packets of a host are kept, where not all of them can be.

use super::EvidenceOptions;
use super::follow::{Flows, Kept, episode};
use super::trace::{Clue, Mark};
use kaspector::flow::FlowKey;
use kaspector::matching::{Field, HostFinding};
use std::collections::{BTreeMap, HashMap};

/// Why a packet is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It shows the evidence.
    Evidence,
    /// It opens the connection.
    Handshake,
    /// It brings what came before in the connection.
    Before,
    /// It brings what came then in the connection.
    After,
    /// It belongs to the lookup that gave the address.
    Lookup,
    /// It belongs to another connection that the evidence leans on.
    Other,
}

impl Part {
    /// The word used in JSON and in comments.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Handshake => "handshake",
            Self::Before => "before",
            Self::After => "after",
            Self::Lookup => "lookup",
            Self::Other => "other",
        }
    }
}

/// What of a packet's payload stays when payload is zeroed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it: something that matched comes later, or it is a lookup.
    Keep,
    /// What stands behind the matched fields of these lines goes.
    Behind(Vec<usize>),
    /// All of it goes.
    All,
}

/// A packet that is kept.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The input.
    pub input: u32,
    /// Its number there.
    pub packet: u64,
    /// For which lines of evidence, and why.
    pub reasons: Vec<(usize, Part)>,
    /// What stays of it.
    pub cut: Cut,
}

/// What is kept of one host.
#[derive(Debug)]
pub struct Choice<'f> {
    /// The finding.
    pub finding: &'f HostFinding,
    /// By input and number.
    pub packets: Vec<Chosen>,
    /// Lines of evidence of which something was left out at a bound, or is not there.
    pub partial: Vec<usize>,
    bytes: u64,
}

impl Choice<'_> {
    /// Captured bytes of the packets.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Chooses the packets of a finding: of each line of evidence what it takes to see it, the strongest line first; then what came after.
pub fn choose<'f>(
    finding: &'f HostFinding,
    clues: &[&Clue<'_>],
    followed: &BTreeMap<u32, Flows>,
    options: &EvidenceOptions,
) -> Choice<'f> {
    let mut chooser = Chooser { options, cuts: cuts(clues), chosen: BTreeMap::new(), bytes: 0 };
    let mut partial = Vec::new();
    for clue in clues {
        let Some(flows) = followed.get(&clue.evidence.example.input) else { continue };
        if !chooser.add_needed(clue, flows) {
            partial.push(clue.line);
        }
    }
    for clue in clues {
        let Some(flows) = followed.get(&clue.evidence.example.input) else { continue };
        chooser.add_rest(clue, flows);
    }
    let packets = chooser.chosen.into_values().collect();
    Choice { finding, packets, partial, bytes: chooser.bytes }
}

/// The last packet of each flow that something matched in, and the lines that did; none for lookups, of which all is kept.
type Cuts = HashMap<(u32, FlowKey), Option<(u64, Vec<usize>)>>;

fn cuts(clues: &[&Clue<'_>]) -> Cuts {
    let mut cuts = Cuts::new();
    for clue in clues {
        let input = clue.evidence.example.input;
        for mark in clue.answer.iter().chain(&clue.others) {
            cuts.insert((input, mark.flow), None);
        }
        if let Some(mark) = clue.own
            && matches!(clue.evidence.field, Field::DnsQuery | Field::DnsAnswer | Field::ResolverOrder)
        {
            cuts.insert((input, mark.flow), None);
        }
    }
    for clue in clues {
        let Some(mark) = clue.own else { continue };
        let last = cuts.entry((clue.evidence.example.input, mark.flow)).or_insert_with(|| Some((0, Vec::new())));
        let Some((last, lines)) = last else { continue };
        if mark.packet > *last {
            (*last, *lines) = (mark.packet, Vec::new());
        }
        if mark.packet == *last {
            lines.push(clue.line);
        }
    }
    cuts
}

struct Chooser<'o> {
    options: &'o EvidenceOptions,
    cuts: Cuts,
    chosen: BTreeMap<(u32, u64), Chosen>,
    bytes: u64,
}

impl Chooser<'_> {
    /// What it takes to see a line. Says whether all of it is there.
    fn add_needed(&mut self, clue: &Clue<'_>, flows: &Flows) -> bool {
        let Some(own) = &clue.own else { return false };
        let mut is_whole = self.add_until(clue, flows, own, Part::Evidence);
        if let Some(answer) = &clue.answer {
            is_whole &= self.add_until(clue, flows, answer, Part::Lookup);
        }
        for other in &clue.others {
            is_whole &= self.add_until(clue, flows, other, Part::Other);
        }
        is_whole
    }

    /// The marked packet, the handshake of its connection, and the payload before it.
    fn add_until(&mut self, clue: &Clue<'_>, flows: &Flows, mark: &Mark, part: Part) -> bool {
        let Some(episode) = episode(flows, mark) else { return false };
        let own = |kept: &&Kept| kept.packet == mark.packet;
        let before = |kept: &&Kept| kept.packet < mark.packet;
        let as_part = |otherwise| if part == Part::Evidence { otherwise } else { part };
        let mut is_whole = true;
        for kept in episode.kept.iter().filter(own) {
            is_whole &= self.add(clue, mark.flow, kept, part);
        }
        // What only a whole connection shows is said of its first packet.
        for kept in episode.kept.iter().filter(|kept| kept.is_handshake && kept.packet != mark.packet) {
            is_whole &= self.add(clue, mark.flow, kept, as_part(Part::Handshake));
        }
        for kept in episode.kept.iter().filter(before).filter(|kept| kept.has_payload) {
            is_whole &= self.add(clue, mark.flow, kept, as_part(Part::Before));
        }
        is_whole
    }

    /// What else is known of the connections.
    fn add_rest(&mut self, clue: &Clue<'_>, flows: &Flows) {
        let own = clue.own.iter().map(|mark| (mark, Part::After));
        let answer = clue.answer.iter().map(|mark| (mark, Part::Lookup));
        let others = clue.others.iter().map(|mark| (mark, Part::Other));
        for (mark, part) in own.chain(answer).chain(others) {
            let Some(episode) = episode(flows, mark) else { continue };
            for kept in &episode.kept {
                let part = if part == Part::After && kept.packet < mark.packet { Part::Before } else { part };
                // What is behind a packet that finds no room would be understood wrongly.
                if !self.add(clue, mark.flow, kept, part) {
                    break;
                }
            }
        }
    }

    /// Adds all frames of a packet, if there is room. Says whether it is there.
    fn add(&mut self, clue: &Clue<'_>, flow: FlowKey, kept: &Kept, part: Part) -> bool {
        let input = clue.evidence.example.input;
        let fresh = || kept.frames.iter().filter(|(number, _)| !self.chosen.contains_key(&(input, *number)));
        let (count, bytes) = (fresh().count(), fresh().map(|&(_, len)| u64::from(len)).sum::<u64>());
        let has_room =
            self.chosen.len() + count <= self.options.packets && self.bytes.saturating_add(bytes) <= self.options.bytes;
        if count > 0 && !has_room {
            return false;
        }
        self.bytes += bytes;
        let cut = match self.cuts.get(&(input, flow)) {
            Some(Some((last, _))) if kept.packet > *last => Cut::All,
            Some(Some((last, lines))) if kept.packet == *last => Cut::Behind(lines.clone()),
            _ => Cut::Keep,
        };
        for &(number, _) in &kept.frames {
            let chosen = self.chosen.entry((input, number)).or_insert_with(|| Chosen {
                input,
                packet: number,
                reasons: Vec::new(),
                cut: cut.clone(),
            });
            if !chosen.reasons.iter().any(|&(line, _)| line == clue.line) {
                chosen.reasons.push((clue.line, part));
            }
        }
        true
    }
}
