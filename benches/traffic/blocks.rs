//! Generated frames in memory, in blocks such as the file reader makes.

use std::io;

use kaspector::capture::{Block, Frame, LinkType, Record, Timestamp};

use super::{Generator, Receiver};

/// File bytes of one block, and the header of each record: as the reader of pcap files has them.
const BLOCK_BYTES: usize = 1 << 20;
const RECORD_HEADER: usize = 16;
/// First octets of every generated server's address.
const SERVERS: [u8; 2] = [198, 51];
/// Bytes from the start of an Ethernet frame to the source and to the destination of its IPv4 header.
const ADDRESSES: [usize; 2] = [26, 30];

/// A capture in memory, which can be fed again as the traffic of later times.
#[derive(Default)]
pub struct Blocks {
    pub blocks: Vec<Block>,
    /// Frames in all of them.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// What is put before each frame.
    before: Vec<u8>,
    /// Nanoseconds from the first frame to that of the next pass.
    span: u64,
    servers: u8,
}

impl Blocks {
    /// What `fill` generates with frames `step` nanoseconds apart, each behind the headers `before`.
    pub fn generate(step: u64, before: Vec<u8>, fill: impl FnOnce(&mut Generator<'_>) -> io::Result<()>) -> Self {
        let mut blocks = Self { before, servers: 100, ..Self::default() };
        fill(&mut Generator::new(&mut blocks, 7, step)).expect("memory takes every frame");
        blocks.span = blocks.frames * step;
        blocks
    }

    /// All frames.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.blocks.iter().flat_map(Block::frames)
    }

    /// Makes the same frames those of a later time.
    pub fn advance(&mut self) {
        for block in &mut self.blocks {
            block.first_number += self.frames;
            for record in &mut block.records {
                record.at.0 += self.span;
            }
        }
    }

    /// Makes the same frames those of a later time between the same clients and other servers: every flow is a new one. Servers come
    /// back after 256 times.
    pub fn renew(&mut self) {
        self.advance();
        self.servers = self.servers.wrapping_add(1);
        for block in &mut self.blocks {
            for record in &block.records {
                let inner = record.start as usize + self.before.len();
                for at in ADDRESSES.map(|at| inner + at) {
                    if block.bytes[at..at + 2] == SERVERS {
                        let before = std::mem::replace(&mut block.bytes[at + 2], self.servers);
                        renew_checksum(&mut block.bytes[inner..], before, self.servers);
                    }
                }
            }
        }
    }
}

/// Makes the checksum of a TCP segment that of another address, in which one even byte changed (RFC 1624 section 3).
fn renew_checksum(frame: &mut [u8], before: u8, after: u8) {
    const TCP: usize = 14 + 20;
    if frame[23] != 6 {
        return;
    }
    let field = u16::from_be_bytes([frame[TCP + 16], frame[TCP + 17]]);
    let mut sum = u32::from(!field) + u32::from(!(u16::from(before) << 8)) + (u32::from(after) << 8);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[TCP + 16..TCP + 18].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

impl Receiver for Blocks {
    fn frame(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let len = self.before.len() + bytes.len();
        let is_full = |block: &Block| block.bytes.len() + RECORD_HEADER + len > BLOCK_BYTES;
        if self.blocks.last().is_none_or(is_full) {
            let bytes = Vec::with_capacity(BLOCK_BYTES);
            self.blocks.push(Block { first_number: self.frames + 1, bytes, records: Vec::new() });
        }
        let Some(block) = self.blocks.last_mut() else { return Ok(()) };
        let start = block.bytes.len() + RECORD_HEADER;
        block.bytes.resize(start, 0);
        block.bytes.extend_from_slice(&self.before);
        if !self.before.is_empty() {
            // The lengths of the outer IPv4 and UDP headers.
            for (place, skipped) in [(16, 14), (38, 34)] {
                let length = ((len - skipped) as u16).to_be_bytes();
                block.bytes[start + place..][..2].copy_from_slice(&length);
            }
        }
        block.bytes.extend_from_slice(bytes);
        let (start, len) = (start as u32, len as u32);
        block.records.push(Record { at: Timestamp(at), start, len, wire_len: len, link_type: LinkType::ETHERNET });
        self.frames += 1;
        self.bytes += u64::from(len);
        Ok(())
    }
}

/// Ethernet, IPv4, UDP to port 4789, VXLAN: what is put before a frame to carry it through a tunnel.
pub fn vxlan() -> Vec<u8> {
    let mut headers = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4, 8, 0];
    headers.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    headers.extend([0xc0, 0, 0x12, 0xb5, 0, 0, 0, 0]);
    headers.extend([8, 0, 0, 0, 0, 0, 9, 0]);
    headers
}

/// Frames and bytes: what any loop over a block must at least do.
pub fn count(blocks: &Blocks) -> (u64, u64) {
    blocks.frames().fold((0, 0), |(frames, bytes), frame| (frames + 1, bytes + frame.bytes.len() as u64))
}

/// Also reads a byte of each cache line that the headers of a common frame lie in.
pub fn touch(blocks: &Blocks) -> (u64, u64) {
    let byte = |frame: &Frame<'_>, at: usize| u64::from(frame.bytes.get(at).copied().unwrap_or(0));
    blocks.frames().fold((0, 0), |(frames, sum), frame| (frames + 1, sum + byte(&frame, 12) + byte(&frame, 53)))
}
