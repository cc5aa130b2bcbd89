//! Traffic for the comparison: generated and golden frames, and everything that a network or an attacker may do to them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use super::traffic::blocks::vxlan;
use super::traffic::{ACK, Generator, Pair, Random, Receiver, client_hello, dns_message, http_request};
use kaspector::capture::{Block, CaptureFile, Frame, LinkType, Record, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// One frame with its memory.
#[derive(Clone, Debug)]
pub struct Owned {
    pub at: u64,
    pub link_type: LinkType,
    pub wire_len: u32,
    pub bytes: Vec<u8>,
}

impl Owned {
    fn ethernet(at: u64, bytes: Vec<u8>) -> Self {
        Self { at, link_type: LinkType::ETHERNET, wire_len: bytes.len() as u32, bytes }
    }

    /// The frame as number `index + 1` of its input.
    pub fn frame(&self, index: usize) -> Frame<'_> {
        let &Self { at, link_type, wire_len, ref bytes } = self;
        Frame { number: index as u64 + 1, at: Timestamp(at), link_type, wire_len, bytes }
    }
}

/// Takes what the generator makes.
struct Frames(Vec<Owned>);

impl Receiver for Frames {
    fn frame(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.push(Owned::ethernet(at, bytes.to_vec()));
        Ok(())
    }
}

/// All golden captures, in a stable order.
pub fn golden() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        walkdir::WalkDir::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps"))
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| path.to_str().unwrap().contains(".pcap"))
            .collect();
    found.sort();
    found
}

/// The frames of a capture, up to where it is damaged.
pub fn frames_of(path: &Path) -> Vec<Owned> {
    let mut frames = Vec::new();
    let Ok(mut file) = CaptureFile::open(path) else { return frames };
    let mut block = Block::default();
    while let Ok(true) = file.next_block(&mut block) {
        frames.extend(block.frames().map(|frame| Owned {
            at: frame.at.0,
            link_type: frame.link_type,
            wire_len: frame.wire_len,
            bytes: frame.bytes.to_vec(),
        }));
    }
    frames
}

/// Frames in blocks of `sizes`, again and again.
pub fn blocks(frames: &[Owned], sizes: &[usize]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = frames;
    let mut first_number = 1;
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (these, after) = rest.split_at(size.clamp(1, rest.len()));
        rest = after;
        let mut block = Block { first_number, ..Block::default() };
        for Owned { at, link_type, wire_len, bytes } in these {
            let start = block.bytes.len() as u32;
            block.bytes.extend_from_slice(bytes);
            block.records.push(Record {
                at: Timestamp(*at),
                start,
                len: bytes.len() as u32,
                wire_len: *wire_len,
                link_type: *link_type,
            });
        }
        first_number += these.len() as u64;
        blocks.push(block);
    }
    blocks
}

/// The frames as a pcapng file, which may hold any link types and times in nanoseconds.
pub fn pcapng(frames: &[Owned]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let len = (12 + body.len().next_multiple_of(4)) as u32;
        file.extend(kind.to_le_bytes());
        file.extend(len.to_le_bytes());
        file.extend(body);
        file.resize(file.len().next_multiple_of(4), 0);
        file.extend(len.to_le_bytes());
    };
    block(0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    let mut links: Vec<LinkType> = Vec::new();
    for Owned { at, link_type, wire_len, bytes } in frames {
        let interface = links.iter().position(|link| link == link_type).unwrap_or_else(|| {
            links.push(*link_type);
            let mut body = u32::from(link_type.0).to_le_bytes().to_vec();
            // No snap length; option 9: nanoseconds; end of options.
            body.extend([0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
            block(1, &body);
            links.len() - 1
        });
        let mut body = Vec::new();
        for word in [interface as u32, (at >> 32) as u32, *at as u32, bytes.len() as u32, *wire_len] {
            body.extend(word.to_le_bytes());
        }
        body.extend(bytes);
        block(6, &body);
    }
    file
}

/// Where frames come from.
#[derive(Clone, Debug)]
enum Source {
    Mix(u64),
    Small(u64, u64),
    Churn(u64),
    Flood(u64),
    Dns(u64),
    Hellos(u64),
    /// So many packets of a few flows with whole messages, parts of them and noise, in and out of order; and the seed.
    Sessions(u64, u64),
    Golden(Index),
}

/// What happens to one frame.
#[derive(Clone, Debug)]
enum Accident {
    Lost,
    Twice(Index),
    /// Comes this many frames later.
    Late(u8),
    /// One bit is wrong, behind the link-layer addresses: a host's address there is that of its first evidence, and evidence of
    /// flows that end together has no order.
    Flipped(Index),
    /// The snap length cut it.
    Snapped(Index),
    /// It ends too early, and says so.
    Cut(Index),
    /// Behind a VLAN tag.
    Tagged(u16),
    /// In VXLAN.
    Tunnelled,
    /// In IPv4 fragments of so many bytes, last or first of them first.
    Fragmented(u8, bool),
}

/// Traffic as it can be made smaller when something fails.
#[derive(Clone, Debug)]
pub struct Recipe {
    sources: Vec<(Source, u64)>,
    /// Whether the sources come one after the other.
    in_turn: bool,
    /// Flags that are changed: a connection is begun, ended or reset midway between the same ports.
    flags: Vec<(Index, u8)>,
    accidents: Vec<(Index, Accident)>,
    /// Silences before a frame.
    silences: Vec<Index>,
    seed: u64,
}

/// Long enough that UDP flows and closed connections are over, and open ones after the third. Multiples of it lie far from every
/// timeout, so that it makes no difference how finely time is kept.
const SILENCE_NS: u64 = 250_000_000_000;

/// Only generated frames: those of the captures, and all wrong bits, may leave a message unfinished that means something all the same,
/// and then it matters when a flow that was silent for too long is found to be over.
fn generated() -> impl Strategy<Value = Source> {
    prop_oneof![
        (1u64..40).prop_map(Source::Mix),
        (1u64..400, 1u64..100).prop_map(|(packets, flows)| Source::Small(packets, flows)),
        (1u64..150).prop_map(Source::Churn),
        (1u64..150).prop_map(Source::Flood),
        (1u64..100).prop_map(Source::Dns),
        (1u64..60).prop_map(Source::Hellos),
    ]
}

fn harmless() -> impl Strategy<Value = Accident> {
    prop_oneof![
        Just(Accident::Lost),
        any::<Index>().prop_map(Accident::Twice),
        any::<u8>().prop_map(Accident::Late),
        (0u16..6).prop_map(Accident::Tagged),
        Just(Accident::Tunnelled),
        (1u8..60, any::<bool>()).prop_map(|(size, reversed)| Accident::Fragmented(size, reversed)),
    ]
}

fn hostile() -> impl Strategy<Value = Accident> {
    prop_oneof![
        6 => harmless(),
        3 => any::<Index>().prop_map(Accident::Flipped),
        1 => any::<Index>().prop_map(Accident::Snapped),
        1 => any::<Index>().prop_map(Accident::Cut),
    ]
}

/// Hostile traffic within a few seconds.
pub fn hostile_traffic() -> impl Strategy<Value = Recipe> {
    let sessions = (1u64..200, any::<u64>()).prop_map(|(packets, seed)| Source::Sessions(packets, seed));
    let source = prop_oneof![2 => generated(), 2 => sessions, 3 => any::<Index>().prop_map(Source::Golden)];
    (
        prop::collection::vec((source, 0u64..3), 1..8),
        any::<bool>(),
        prop::collection::vec((any::<Index>(), any::<u8>()), 0..20),
        prop::collection::vec((any::<Index>(), hostile()), 0..150),
        any::<u64>(),
    )
        .prop_map(|(sources, in_turn, flags, accidents, seed)| Recipe {
            sources,
            in_turn,
            flags,
            accidents,
            silences: Vec::new(),
            seed,
        })
}

/// Traffic with silences in which flows end.
pub fn traffic_with_silences() -> impl Strategy<Value = Recipe> {
    (
        prop::collection::vec((generated(), 0u64..3), 1..8),
        any::<bool>(),
        prop::collection::vec((any::<Index>(), prop::sample::select(vec![0x02, 0x04, 0x11, 0x12])), 0..20),
        prop::collection::vec((any::<Index>(), harmless()), 0..60),
        prop::collection::vec(any::<Index>(), 1..8),
        any::<u64>(),
    )
        .prop_map(|(sources, in_turn, flags, accidents, silences, seed)| Recipe {
            sources,
            in_turn,
            flags,
            accidents,
            silences,
            seed,
        })
}

impl Recipe {
    /// The frames.
    pub fn frames(&self) -> Vec<Owned> {
        let mut random = Random::new(self.seed);
        let mut queues: VecDeque<VecDeque<Owned>> =
            self.sources.iter().map(|(source, seed)| source.frames(*seed).into()).collect();
        let mut frames = Vec::new();
        while let Some(queue) = queues.front_mut() {
            let run = if self.in_turn { usize::MAX } else { 1 + random.below(8) as usize };
            frames.extend(queue.drain(..run.min(queue.len())));
            if queue.is_empty() {
                queues.pop_front();
            }
            if !queues.is_empty() {
                let turn = random.below(queues.len() as u64) as usize;
                queues.rotate_left(if self.in_turn { 0 } else { turn });
            }
        }
        for (index, flags) in &self.flags {
            // The flags of a TCP header behind plain Ethernet and IPv4.
            if let Some(frame) = pick(&mut frames, index)
                && frame.bytes.get(23) == Some(&6)
                && let Some(place) = frame.bytes.get_mut(47)
            {
                *place = *flags;
            }
        }
        for (number, (index, accident)) in (1..).zip(&self.accidents) {
            if !frames.is_empty() {
                accident.happen(&mut frames, index, number);
            }
        }
        let mut at = 1_780_000_000_000_000_000;
        let silences: Vec<usize> =
            self.silences.iter().filter(|_| !frames.is_empty()).map(|index| index.index(frames.len())).collect();
        for (number, frame) in frames.iter_mut().enumerate() {
            at += 1 + random.below(1_000_000);
            at += SILENCE_NS * silences.iter().filter(|&&silence| silence == number).count() as u64;
            frame.at = at;
        }
        frames
    }
}

fn pick<'f>(frames: &'f mut [Owned], index: &Index) -> Option<&'f mut Owned> {
    if frames.is_empty() { None } else { frames.get_mut(index.index(frames.len())) }
}

impl Source {
    /// The same seed makes the same flows: two sources of one kind meet between the same ports.
    fn frames(&self, seed: u64) -> Vec<Owned> {
        let mut frames = Frames(Vec::new());
        let mut generator = Generator::new(&mut frames, seed, 1);
        match self {
            Self::Mix(flows) => generator.mix(*flows),
            Self::Small(packets, flows) => generator.small64(*packets, *flows),
            Self::Churn(flows) => generator.churn(*flows),
            Self::Flood(packets) => generator.syn_flood(*packets, Some(7)),
            Self::Dns(packets) => generator.dns(*packets),
            Self::Hellos(flows) => generator.tls_handshakes(*flows),
            Self::Sessions(packets, seed) => sessions(&mut generator, *packets, *seed),
            Self::Golden(index) => {
                let captures = golden();
                return frames_of(&captures[index.index(captures.len())]);
            }
        }
        .unwrap();
        frames.0
    }
}

/// Eight flows, three of them UDP, two at management ports. Most segments follow the one before; the rest come twice, early, or begin and end connections.
fn sessions(generator: &mut Generator<'_>, packets: u64, seed: u64) -> io::Result<()> {
    const PORTS: [u16; 8] = [443, 80, 53, 25, 13000, 53, 443, 15111];
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const PSH: u8 = 8;
    let mut random = Random::new(seed);
    let mut next = [[u32::MAX; 2]; PORTS.len()];
    for _ in 0..packets {
        let flow = random.below(PORTS.len() as u64) as usize;
        let mut pair = Pair::of(flow as u64, PORTS[flow]);
        if pair.server_port > 10_000 {
            // Management ports mean something inside the network.
            pair.server = 0x0a63_0001;
        }
        let to_server = random.below(3) > 0;
        let payload = message(&mut random);
        if flow >= 5 {
            generator.udp(pair, to_server, &payload)?;
            continue;
        }
        let [mine, theirs] = if to_server { [0, 1] } else { [1, 0] };
        let (sequence, ack) = (next[flow][mine], next[flow][theirs]);
        let jitter = random.below(64) as u32 * 7;
        let (sequence, flags) = match random.below(12) {
            0 => (sequence.wrapping_sub(jitter), ACK),
            1 => (sequence.wrapping_add(jitter), ACK),
            2 => (sequence, SYN),
            3 => (sequence, SYN | ACK),
            4 => (sequence, FIN | ACK),
            5 => (sequence.wrapping_add(jitter << 20), RST | ACK),
            _ => (sequence, PSH | ACK),
        };
        let payload = if flags & SYN != 0 && random.below(4) > 0 { Vec::new() } else { payload };
        generator.tcp(pair, to_server, flags, sequence, ack, &payload)?;
        let counted = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        next[flow][mine] = sequence.wrapping_add(payload.len() as u32 + counted);
    }
    Ok(())
}

/// A message, its beginning, its end, or nothing that anybody knows.
fn message(random: &mut Random) -> Vec<u8> {
    let names = ["s07.upd.kaspersky.com", "dc1-st.ksn.kaspersky-labs.com", "www.example.com", "www.kaspersky.com"];
    let name = names[random.below(4) as usize];
    let mut message = match random.below(7) {
        0 => client_hello(name, 517),
        1 => http_request(name),
        2 => format!("CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n").into_bytes(),
        3 => dns_message(7, name, random.below(2) == 0),
        4 => {
            let message = dns_message(7, name, random.below(2) == 0);
            [&(message.len() as u16).to_be_bytes()[..], &message].concat()
        }
        5 => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => vec![0xa5; 1 + random.below(60) as usize],
    };
    let at = random.below(message.len() as u64) as usize;
    match random.below(6) {
        0 => message.truncate(at),
        1 => drop(message.drain(..at)),
        _ => {}
    }
    message
}

impl Accident {
    fn happen(&self, frames: &mut Vec<Owned>, index: &Index, number: u16) {
        let at = index.index(frames.len());
        match self {
            Self::Lost => {
                frames.remove(at);
            }
            Self::Twice(to) => {
                let copy = frames[at].clone();
                frames.insert(to.index(frames.len() + 1), copy);
            }
            Self::Late(by) => {
                let to = (at + usize::from(*by)).min(frames.len() - 1);
                frames[at..=to].rotate_left(1);
            }
            Self::Flipped(bit) => {
                let Owned { link_type, bytes, .. } = &mut frames[at];
                let first = if *link_type == LinkType::ETHERNET { 12 } else { 0 };
                if bytes.len() > first {
                    let bit = 8 * first + bit.index(8 * (bytes.len() - first));
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            }
            Self::Snapped(len) => {
                let Owned { bytes, .. } = &mut frames[at];
                bytes.truncate(len.index(bytes.len() + 1));
            }
            Self::Cut(len) => {
                let Owned { bytes, wire_len, .. } = &mut frames[at];
                bytes.truncate(len.index(bytes.len() + 1));
                *wire_len = bytes.len() as u32;
            }
            Self::Tagged(tag) => {
                let Owned { link_type, bytes, wire_len, .. } = &mut frames[at];
                if *link_type == LinkType::ETHERNET && bytes.len() >= 12 {
                    let [high, low] = tag.to_be_bytes();
                    bytes.splice(12..12, [0x81, 0, high, low]);
                    *wire_len += 4;
                }
            }
            Self::Tunnelled => {
                let Owned { link_type, bytes, wire_len, .. } = &mut frames[at];
                if *link_type == LinkType::ETHERNET && *wire_len as usize == bytes.len() && bytes.len() < 9_000 {
                    let mut outer = vxlan();
                    outer.extend_from_slice(bytes);
                    for (place, skipped) in [(16, 14), (38, 34)] {
                        let length = (outer.len() - skipped) as u16;
                        outer[place..place + 2].copy_from_slice(&length.to_be_bytes());
                    }
                    *wire_len = outer.len() as u32;
                    *bytes = outer;
                }
            }
            Self::Fragmented(size, reversed) => {
                let Some(mut parts) = fragments(&frames[at], usize::from(*size) * 8, number) else { return };
                if *reversed {
                    parts.reverse();
                }
                frames.splice(at..=at, parts);
            }
        }
    }
}

/// A plain IPv4 packet in fragments of `size` bytes.
fn fragments(frame: &Owned, size: usize, id: u16) -> Option<Vec<Owned>> {
    let bytes = &frame.bytes;
    let is_plain = frame.link_type == LinkType::ETHERNET
        && bytes.len() > 34
        && bytes[12..15] == [8, 0, 0x45]
        && bytes[20..22] == [0x40, 0];
    if !is_plain {
        return None;
    }
    let end = 14 + usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    let body = bytes.get(34..end)?;
    let count = body.len().div_ceil(size);
    let parts = body.chunks(size).enumerate().map(|(index, chunk)| {
        let mut part = bytes[..34].to_vec();
        part[16..18].copy_from_slice(&(20 + chunk.len() as u16).to_be_bytes());
        part[18..20].copy_from_slice(&id.to_be_bytes());
        let more = if index + 1 < count { 0x2000 } else { 0 };
        part[20..22].copy_from_slice(&(more | (index * size / 8) as u16).to_be_bytes());
        part.extend_from_slice(chunk);
        Owned::ethernet(frame.at, part)
    });
    Some(parts.collect())
}

/// Thousands of flows of every kind, one kind after the other and among each other.
pub fn much() -> Vec<Owned> {
    let sources = [
        Source::Mix(400),
        Source::Small(8_000, 3_000),
        Source::Churn(3_000),
        Source::Flood(3_000),
        Source::Dns(3_000),
        Source::Hellos(1_000),
    ];
    let sources = sources.into_iter().map(|source| (source, 7)).collect();
    let recipe =
        Recipe { sources, in_turn: false, flags: Vec::new(), accidents: Vec::new(), silences: Vec::new(), seed: 7 };
    recipe.frames()
}

/// More clients than a ledger keeps, each with one lookup; in between and behind them, clients that talk to an update server.
pub fn crowd() -> Vec<Owned> {
    let mut frames = Frames(Vec::new());
    let mut generator = Generator::new(&mut frames, 7, 1_000);
    let query = dns_message(7, "s07.upd.kaspersky.com", false);
    let hello = client_hello("s07.upd.kaspersky.com", 517);
    for number in 0..90_000 {
        generator.udp(Pair { server: 0x0a63_0035, ..Pair::of(number, 53) }, true, &query).unwrap();
        if number % 10_000 == 9_999 {
            generator.tcp(Pair::of(0x0080_0000 + number, 443), true, ACK, 0, 0, &hello).unwrap();
        }
    }
    frames.0
}
