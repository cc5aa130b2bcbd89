//! Writes a capture: pcapng as the IETF draft has it (draft-ietf-opsawg-pcapng), three kinds of blocks of it.

use kaspector::capture::{LinkType, Timestamp};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

const OPT_COMMENT: u16 = 1;
const SHB_HARDWARE: u16 = 2;
const SHB_OS: u16 = 3;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_FILTER: u16 = 11;
/// Nanoseconds.
const RESOLUTION: u8 = 9;

/// Where packets were captured.
#[derive(Debug)]
pub struct Interface<'a> {
    /// What it is called.
    pub name: String,
    /// How its packets begin.
    pub link_type: LinkType,
    /// The filter that chose them.
    pub filter: Option<&'a str>,
}

/// A packet.
#[derive(Debug)]
pub struct Packet<'a> {
    /// Place of its interface in the list.
    pub interface: u32,
    /// When it was captured.
    pub at: Timestamp,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Those that were captured.
    pub bytes: &'a [u8],
    /// What is to be said of it.
    pub comments: Vec<String>,
}

/// The capture, in little-endian whatever the machine, so that it is the same everywhere.
#[must_use]
pub fn write_capture(interfaces: &[Interface<'_>], packets: &[Packet<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let application = concat!("Kaspector ", env!("CARGO_PKG_VERSION"));
    block(&mut out, SECTION, |body| {
        body.extend(BYTE_ORDER.to_le_bytes());
        // Version 1.0; the length of the section is not said.
        body.extend([1, 0, 0, 0]);
        body.extend([0xff; 8]);
        option(body, SHB_HARDWARE, std::env::consts::ARCH.as_bytes());
        option(body, SHB_OS, std::env::consts::OS.as_bytes());
        option(body, SHB_USERAPPL, application.as_bytes());
        end_of_options(body);
    });
    for interface in interfaces {
        block(&mut out, INTERFACE, |body| {
            body.extend(interface.link_type.0.to_le_bytes());
            body.extend([0; 2]);
            // No snap length.
            body.extend([0; 4]);
            option(body, IF_NAME, interface.name.as_bytes());
            option(body, IF_TSRESOL, &[RESOLUTION]);
            if let Some(filter) = interface.filter {
                // Zero: an expression of libpcap.
                let coded: Vec<u8> = std::iter::once(0).chain(filter.bytes()).collect();
                option(body, IF_FILTER, &coded);
            }
            end_of_options(body);
        });
    }
    for packet in packets {
        block(&mut out, ENHANCED_PACKET, |body| {
            let Timestamp(at) = packet.at;
            body.extend(packet.interface.to_le_bytes());
            body.extend(u32::try_from(at >> 32).unwrap_or(u32::MAX).to_le_bytes());
            body.extend(u32::try_from(at & u64::from(u32::MAX)).unwrap_or(u32::MAX).to_le_bytes());
            body.extend(length(packet.bytes).to_le_bytes());
            body.extend(packet.wire_len.to_le_bytes());
            body.extend(packet.bytes);
            pad(body);
            for comment in &packet.comments {
                option(body, OPT_COMMENT, comment.as_bytes());
            }
            if !packet.comments.is_empty() {
                end_of_options(body);
            }
        });
    }
    out
}

/// A block: its kind and length before the body, and the length again behind it.
fn block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    fill(&mut body);
    let length = length(&body).saturating_add(12).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    out.extend(body);
    out.extend(length);
}

/// An option; what does not fit its 16 bits of length is cut off.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let most = usize::from(u16::MAX - 3);
    let value = value.get(..most).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

/// Bodies begin at a multiple of four, so that their own length says how much is missing.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use kaspector::capture::CaptureFile;

    #[test]
    fn what_is_written_is_read_again() {
        let interface = |name: &str, link_type| Interface { name: name.to_owned(), link_type, filter: Some("tcp") };
        let interfaces = [interface("a.pcap", LinkType::ETHERNET), interface("b.pcap", LinkType::RAW)];
        let packet = |interface, at, bytes: &'static [u8], comments: &[&str]| Packet {
            interface,
            at: Timestamp(at),
            wire_len: 99,
            bytes,
            comments: comments.iter().map(|text| (*text).to_owned()).collect(),
        };
        let packets = [
            packet(0, 1_795_491_549_279_629_123, b"12345", &["one", "other"]),
            packet(1, u64::MAX, b"", &[]),
            packet(1, 0, b"1234", &["x"]),
        ];
        let bytes = write_capture(&interfaces, &packets);
        assert_eq!(bytes.len() % 4, 0);
        let mut file = CaptureFile::from_reader("memory", std::io::Cursor::new(bytes)).unwrap();
        let blocks: Vec<_> = file.blocks().map(Result::unwrap).collect();
        let frames: Vec<_> = blocks.iter().flat_map(|block| block.frames()).collect();
        assert_eq!(frames.len(), packets.len());
        for (frame, packet) in frames.iter().zip(&packets) {
            let link_type = interfaces[packet.interface as usize].link_type;
            assert_eq!((frame.at, frame.wire_len, frame.link_type), (packet.at, 99, link_type));
            assert_eq!(frame.bytes, packet.bytes);
        }
    }
}
