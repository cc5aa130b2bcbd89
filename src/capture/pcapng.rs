//! The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, each section with its byte order and interfaces.

use std::collections::BTreeSet;

use super::pcap::{Step, Stop};
use super::{LinkType, Record, Timestamp};

/// Longest block that is read, in bytes: the largest frame and 64 KiB for its options.
pub const MAX_BLOCK_BYTES: usize = super::MAX_FRAME_BYTES + (64 << 10);

/// Most interfaces that one section may describe.
pub const MAX_INTERFACES: usize = 65_536;

/// What the blocks of one pcapng file have said so far.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
    link_types: BTreeSet<LinkType>,
    /// Time of the latest frame that has one.
    latest: Timestamp,
    /// Packets that were lost before they could be written, in the sections before this one.
    lost_before: u64,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    /// Captured bytes at most; zero for no limit.
    snaplen: u32,
    clock: Clock,
    /// Packets that were lost before they could be written, as statistics said last.
    lost: u64,
    /// The same, as packets said, each since the one before.
    lost_between: u64,
}

impl Pcapng {
    /// Link types of the interfaces described so far, in all sections.
    pub(super) fn link_types(&self) -> &BTreeSet<LinkType> {
        &self.link_types
    }

    /// Packets that were lost before they could be written, as far as statistics of interfaces say so, or packets; both tell of the same.
    pub(super) fn lost(&self) -> u64 {
        let of = |interface: &Interface| interface.lost.max(interface.lost_between);
        self.interfaces.iter().fold(self.lost_before, |sum, interface| sum.saturating_add(of(interface)))
    }

    /// Notes where the frame of each whole packet block in `bytes` lies, the first block at `start`. Blocks without a frame change the
    /// state or are skipped.
    pub(super) fn walk(&mut self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Step {
        let mut at = start;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.block(rest, at, records) {
                Ok(Taken::Whole(len)) => at += len,
                Ok(Taken::Partial(len)) => return Step { end: at, stop: Stop::Partial(len) },
                Err(what) => return Step { end: at, stop: Stop::Damage(what) },
            }
        }
    }

    /// Takes the block at the start of `rest`, which lies at `at` in the memory that records point into.
    fn block(&mut self, rest: &[u8], at: usize, records: &mut Vec<Record>) -> Result<Taken, String> {
        // Every block has a type and its length twice (section 3.1), so none is shorter than this.
        let Some(&[t0, t1, t2, t3, l0, l1, l2, l3, o0, o1, o2, o3]) = rest.first_chunk::<12>() else {
            return Ok(Taken::Partial(12));
        };
        let starts_section = [t0, t1, t2, t3] == SECTION_HEADER;
        if starts_section {
            self.big_endian = match [o0, o1, o2, o3] {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                other => return Err(format!("the section header's byte-order mark is {other:02x?}; {REPAIR}")),
            };
        }
        let claimed = self.word([l0, l1, l2, l3]);
        let len = claimed as usize;
        if len < 12 || !len.is_multiple_of(4) {
            return Err(format!("a block claims a length of {len}, not a multiple of 4 from 12 up; {REPAIR}"));
        }
        if len > MAX_BLOCK_BYTES {
            return Err(format!("a block claims {len} bytes, more than the {MAX_BLOCK_BYTES} that are read; {REPAIR}"));
        }
        let Some(block) = rest.get(..len) else { return Ok(Taken::Partial(len)) };
        let trailer = block.last_chunk::<4>().map(|word| self.word(*word));
        if trailer != Some(claimed) {
            let trailer = trailer.unwrap_or_default();
            return Err(format!("a block begins with length {len} and ends with length {trailer}; {REPAIR}"));
        }
        let body = block.get(8..len - 4).unwrap_or_default();
        let record = if starts_section {
            self.begin_section(body)?;
            None
        } else {
            match self.word([t0, t1, t2, t3]) {
                INTERFACE_DESCRIPTION => {
                    self.describe_interface(body)?;
                    None
                }
                ENHANCED_PACKET => Some(self.enhanced_packet(body)?),
                SIMPLE_PACKET => Some(self.simple_packet(body)?),
                OBSOLETE_PACKET => Some(self.obsolete_packet(body)?),
                INTERFACE_STATISTICS => {
                    self.note_statistics(body);
                    None
                }
                _ => None,
            }
        };
        if let Some(record) = record {
            // `start` counts from the body so far.
            records.push(Record { start: record.start.saturating_add((at + 8) as u32), ..record });
        }
        Ok(Taken::Whole(len))
    }

    /// Section 4.1. The section length is not used: too many writers leave it at -1.
    fn begin_section(&mut self, body: &[u8]) -> Result<(), String> {
        let major = self.u16_at(body, 4).ok_or_else(|| short("section header"))?;
        let minor = self.u16_at(body, 6).ok_or_else(|| short("section header"))?;
        if major != 1 {
            return Err(format!("pcapng version {major}.{minor} is unknown; convert it with `editcap -F pcap IN OUT`"));
        }
        self.lost_before = self.lost();
        self.interfaces.clear();
        Ok(())
    }

    /// Section 4.2.
    fn describe_interface(&mut self, body: &[u8]) -> Result<(), String> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(format!(
                "the section describes more than {MAX_INTERFACES} interfaces; split it with `editcap -c`"
            ));
        }
        let link_type = LinkType(self.u16_at(body, 0).ok_or_else(|| short("interface description"))?);
        let snaplen = self.u32_at(body, 4).ok_or_else(|| short("interface description"))?;
        let clock = self.clock(body.get(8..).unwrap_or_default())?;
        self.interfaces.push(Interface { link_type, snaplen, clock, lost: 0, lost_between: 0 });
        self.link_types.insert(link_type);
        Ok(())
    }

    /// Reads `if_tsresol` and `if_tsoffset` from an interface's options (sections 3.5 and 4.2).
    fn clock(&self, mut options: &[u8]) -> Result<Clock, String> {
        let (mut resolution, mut offset_s) = (6, 0);
        // Each turn takes at least four bytes, so this ends. A list may end without the end-of-options mark.
        while !options.is_empty() {
            let (Some(code), Some(len)) = (self.u16_at(options, 0), self.u16_at(options, 2)) else {
                return Err(format!("an interface's option list ends within an option; {REPAIR}"));
            };
            if code == OPT_END_OF_OPTIONS {
                break;
            }
            let len = usize::from(len);
            let Some(value) = options.get(4..4 + len) else {
                return Err(format!(
                    "option {code} of an interface claims {len} bytes and runs out of its block; {REPAIR}"
                ));
            };
            match (code, value) {
                (OPT_IF_TSRESOL, &[value]) => resolution = value,
                (OPT_IF_TSOFFSET, value) if len == 8 => {
                    let word = value.first_chunk::<8>().copied().unwrap_or_default();
                    offset_s = if self.big_endian { i64::from_be_bytes(word) } else { i64::from_le_bytes(word) };
                }
                // Going on with a wrong clock would give every frame a wrong time.
                (OPT_IF_TSRESOL | OPT_IF_TSOFFSET, _) => {
                    return Err(format!("option {code} of an interface (its clock) has a length of {len}; {REPAIR}"));
                }
                _ => {}
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(Clock::new(resolution, offset_s))
    }

    /// Section 4.6: what an interface and the system dropped since the capture began, so the last of several counts. Statistics that
    /// cannot be read cost no packet.
    fn note_statistics(&mut self, body: &[u8]) {
        let number = self.u32_at(body, 0).and_then(|number| usize::try_from(number).ok());
        let lost = self.sum_of(body.get(12..).unwrap_or_default(), &[OPT_ISB_IFDROP, OPT_ISB_OSDROP]);
        if let Some(interface) = number.and_then(|number| self.interfaces.get_mut(number)) {
            interface.lost = interface.lost.max(lost);
        }
    }

    /// The sum of the 64-bit numbers that options with these codes hold. What cannot be read counts as none.
    fn sum_of(&self, mut options: &[u8], codes: &[u16]) -> u64 {
        let mut sum = 0_u64;
        // Each turn takes at least four bytes.
        while let (Some(code), Some(len)) = (self.u16_at(options, 0), self.u16_at(options, 2)) {
            let len = usize::from(len);
            if let (true, Some(&word)) =
                (codes.contains(&code), options.get(4..4 + len).unwrap_or_default().first_chunk::<8>())
            {
                sum = sum.saturating_add(if self.big_endian {
                    u64::from_be_bytes(word)
                } else {
                    u64::from_le_bytes(word)
                });
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        sum
    }

    /// Notes what was lost between a packet and the one before from its interface.
    fn note_lost(&mut self, interface: u32, lost: u64) {
        let interface = usize::try_from(interface).ok().and_then(|number| self.interfaces.get_mut(number));
        if let Some(interface) = interface {
            interface.lost_between = interface.lost_between.saturating_add(lost);
        }
    }

    /// Section 4.3.
    fn enhanced_packet(&mut self, body: &[u8]) -> Result<Record, String> {
        let Some(header) = body.first_chunk::<20>() else { return Err(short("enhanced packet")) };
        let word = |at| self.u32_at(header, at).unwrap_or_default();
        let ticks = u64::from(word(4)) << 32 | u64::from(word(8));
        let (interface, len, wire_len) = (word(0), word(12), word(16));
        // Most have no options.
        let options = body.get(20 + (len as usize).next_multiple_of(4)..).unwrap_or_default();
        if !options.is_empty() {
            let lost = self.sum_of(options, &[OPT_EPB_DROPCOUNT]);
            self.note_lost(interface, lost);
        }
        self.timed_packet(interface, ticks, len, wire_len, body)
    }

    /// Appendix A: as enhanced packets, with a shorter interface number that leaves room for a drop count.
    fn obsolete_packet(&mut self, body: &[u8]) -> Result<Record, String> {
        let Some(header) = body.first_chunk::<20>() else { return Err(short("packet")) };
        let word = |at| self.u32_at(header, at).unwrap_or_default();
        let ticks = u64::from(word(4)) << 32 | u64::from(word(8));
        let (len, wire_len) = (word(12), word(16));
        let interface = self.u16_at(header, 0).unwrap_or_default();
        // All bits set: nobody knows.
        let lost = self.u16_at(header, 2).filter(|&lost| lost != u16::MAX);
        self.note_lost(interface.into(), lost.unwrap_or(0).into());
        self.timed_packet(u32::from(interface), ticks, len, wire_len, body)
    }

    fn timed_packet(
        &mut self,
        interface: u32,
        ticks: u64,
        len: u32,
        wire_len: u32,
        body: &[u8],
    ) -> Result<Record, String> {
        let room = body.len().saturating_sub(20);
        if len as usize > room {
            return Err(format!("a packet claims {len} captured bytes in a block with room for {room}; {REPAIR}"));
        }
        let Some(&Interface { link_type, clock, .. }) = self.interfaces.get(interface as usize) else {
            let known = self.interfaces.len();
            return Err(format!(
                "a packet names interface {interface}, but the section describes {known} so far; {REPAIR}"
            ));
        };
        self.latest = clock.at(ticks);
        Ok(Record { at: self.latest, start: 20, len, wire_len: wire_len.max(len), link_type })
    }

    /// Section 4.4: from the first interface, without a time, so it gets that of the frame before (zero if there is none).
    fn simple_packet(&mut self, body: &[u8]) -> Result<Record, String> {
        let wire_len = self.u32_at(body, 0).ok_or_else(|| short("simple packet"))?;
        let Some(&Interface { link_type, snaplen, .. }) = self.interfaces.first() else {
            return Err(format!("a simple packet comes before any interface description; {REPAIR}"));
        };
        let limit = if snaplen == 0 { wire_len } else { snaplen.min(wire_len) };
        let room = body.len().saturating_sub(4);
        // Some writers cut frames but leave the interface's snap length at zero: then the block's length tells.
        let len = limit.min(u32::try_from(room).unwrap_or(u32::MAX));
        Ok(Record { at: self.latest, start: 4, len, wire_len, link_type })
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn u32_at(&self, bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..)?.first_chunk::<4>().map(|word| self.word(*word))
    }

    fn u16_at(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let half = *bytes.get(at..)?.first_chunk::<2>()?;
        Some(if self.big_endian { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) })
    }
}

/// What [`Pcapng::block`] found: bytes of a whole block, or bytes that the block has at least.
enum Taken {
    Whole(usize),
    Partial(usize),
}

/// Turns an interface's ticks into nanoseconds since the epoch.
#[derive(Clone, Copy, Debug)]
struct Clock {
    scale: Scale,
    offset_ns: i128,
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    /// Nanoseconds in a tick.
    Multiply(u64),
    /// Ticks in a nanosecond.
    Divide(u64),
    /// A tick is so many halvings of a second.
    Halve(u32),
    /// So fine a tick that 64 bits of them are less than a nanosecond.
    Nothing,
}

impl Clock {
    /// `resolution`: as `if_tsresol` has it: the top bit chooses powers of 2 or of 10, the rest is the negative exponent.
    fn new(resolution: u8, offset_s: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let scale = match exponent {
            _ if resolution & 0x80 != 0 => Scale::Halve(exponent),
            0..=9 => Scale::Multiply(10_u64.pow(9 - exponent)),
            _ => 10_u64.checked_pow(exponent - 9).map_or(Scale::Nothing, Scale::Divide),
        };
        Self { scale, offset_ns: i128::from(offset_s) * 1_000_000_000 }
    }

    /// The nearest time that a [`Timestamp`] can say: what lies before 1970 becomes 1970, what lies after 2554 becomes that.
    fn at(self, ticks: u64) -> Timestamp {
        // Nothing here overflows: 64-bit ticks times 2^30, plus a 64-bit offset times 2^30, stays below 2^95.
        let ns = match self.scale {
            Scale::Multiply(factor) => i128::from(ticks) * i128::from(factor),
            Scale::Divide(divisor) => i128::from(ticks / divisor),
            Scale::Halve(exponent) => (i128::from(ticks) * 1_000_000_000) >> exponent,
            Scale::Nothing => 0,
        };
        Timestamp(u64::try_from((ns + self.offset_ns).max(0)).unwrap_or(u64::MAX))
    }
}

fn short(block: &str) -> String {
    format!("a block is too short to be the {block} it claims to be; {REPAIR}")
}

const REPAIR: &str = "the file lost or gained bytes here; copy it again, or save what is left with `editcap IN OUT`";

const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const OPT_END_OF_OPTIONS: u16 = 0;
const OPT_IF_TSRESOL: u16 = 9;
const OPT_IF_TSOFFSET: u16 = 14;
const OPT_EPB_DROPCOUNT: u16 = 4;
const OPT_ISB_IFDROP: u16 = 5;
const OPT_ISB_OSDROP: u16 = 7;
