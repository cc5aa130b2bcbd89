//! Gives a frame's clients other addresses, so that a capture can be sent again as the traffic of other machines; checksums stay right.

#![allow(dead_code, clippy::indexing_slicing, clippy::cast_possible_truncation)]

/// A shift from one pass to the next: clients of one /16 meet none of their former addresses for 256 passes.
pub const NEXT: u32 = 0x1_0001;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where the parts of a frame stand that carry addresses; `None` for frames that have none.
struct Layout {
    /// Start of the IP header.
    network: usize,
    is_v6: bool,
    /// Protocol and start of the transport header, unless this is a later fragment.
    transport: Option<(u8, usize)>,
}

fn layout(frame: &[u8]) -> Option<Layout> {
    let mut at = 12;
    let kind = loop {
        let kind = u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]);
        match kind {
            // Tags of IEEE 802.1Q and 802.1ad.
            0x8100 | 0x88a8 => at += 4,
            _ => break kind,
        }
    };
    let network = at + 2;
    match kind {
        0x0800 if frame.len() >= network + 20 => {
            let header = usize::from(frame[network] & 15) * 4;
            let is_first = u16::from_be_bytes([frame[network + 6], frame[network + 7]]) & 0x1fff == 0;
            Some(Layout {
                network,
                is_v6: false,
                transport: is_first.then_some((frame[network + 9], network + header)),
            })
        }
        // Extension headers are left alone: their frames keep their old checksum.
        0x86dd if frame.len() >= network + 40 => {
            Some(Layout { network, is_v6: true, transport: Some((frame[network + 6], network + 40)) })
        }
        _ => None,
    }
}

/// Place of the transport checksum, if it covers the addresses and is there.
fn transport_checksum(frame: &[u8], layout: &Layout) -> Option<usize> {
    let (protocol, start) = layout.transport?;
    let at = match protocol {
        TCP => start + 16,
        UDP => start + 6,
        // ICMPv6 covers the addresses, ICMP does not.
        58 if layout.is_v6 => start + 2,
        _ => return None,
    };
    let is_used = frame.len() >= at + 2 && (protocol != UDP || frame[at..at + 2] != [0, 0]);
    is_used.then_some(at)
}

/// Adds `shift` to each private IPv4 address (RFC 1918), within its range, and to the subnet of each IPv6 address of ours
/// (RFC 4193 and RFC 3849). Other addresses, so those of public servers, stay.
pub fn readdress(frame: &mut [u8], shift: u32) {
    let Some(layout) = layout(frame) else { return };
    let checksums = [(!layout.is_v6).then_some(layout.network + 10), transport_checksum(frame, &layout)];
    let places = if layout.is_v6 {
        [layout.network + 8, layout.network + 24]
    } else {
        [layout.network + 12, layout.network + 16]
    };
    for place in places {
        if layout.is_v6 {
            let prefix = &frame[place..place + 4];
            if prefix[0] & 0xfe == 0xfc || prefix == [0x20, 0x01, 0x0d, 0xb8] {
                let subnet = u16::from_be_bytes([frame[place + 6], frame[place + 7]]).wrapping_add(shift as u16);
                replace(frame, place + 6, subnet, &checksums);
            }
            continue;
        }
        let address = u32::from_be_bytes([frame[place], frame[place + 1], frame[place + 2], frame[place + 3]]);
        let host_bits = match address >> 16 {
            0x0a00..=0x0aff => 0x00ff_ffff,
            0xac10..=0xac1f => 0x000f_ffff,
            0xc0a8 => 0x0000_ffff,
            _ => continue,
        };
        let other = address & !host_bits | address.wrapping_add(shift) & host_bits;
        replace(frame, place, (other >> 16) as u16, &checksums);
        replace(frame, place + 2, other as u16, &checksums);
    }
}

/// Puts `word` at `at` and brings the checksums up to date (RFC 1624 section 3).
fn replace(frame: &mut [u8], at: usize, word: u16, checksums: &[Option<usize>; 2]) {
    let old = u16::from_be_bytes([frame[at], frame[at + 1]]);
    frame[at..at + 2].copy_from_slice(&word.to_be_bytes());
    for place in checksums.iter().flatten().copied() {
        let checksum = u16::from_be_bytes([frame[place], frame[place + 1]]);
        let sum = folded(u32::from(!checksum) + u32::from(!old) + u32::from(word));
        frame[place..place + 2].copy_from_slice(&(!sum).to_be_bytes());
    }
}

/// Computes the checksums of a frame that has none.
pub fn checksum(frame: &mut [u8]) {
    let Some(layout) = layout(frame) else { return };
    let network = layout.network;
    let header = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let end = network + header(network + if layout.is_v6 { 4 } else { 2 }) as usize + if layout.is_v6 { 40 } else { 0 };
    if let Some((protocol @ (TCP | UDP), start)) = layout.transport {
        let at = start + if protocol == TCP { 16 } else { 6 };
        if end > frame.len() || end < at + 2 {
            return;
        }
        frame[at..at + 2].fill(0);
        let addresses = if layout.is_v6 { network + 8..network + 40 } else { network + 12..network + 20 };
        let length = (end - start) as u32;
        let total = sum(&frame[addresses]) + u32::from(protocol) + length + sum(&frame[start..end]);
        let checksum = match !folded(total) {
            // Zero means that there is none (RFC 768).
            0 if protocol == UDP => 0xffff,
            other => other,
        };
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    if !layout.is_v6 {
        frame[network + 10..network + 12].fill(0);
        let length = usize::from(frame[network] & 15) * 4;
        let checksum = !folded(sum(&frame[network..network + length]));
        frame[network + 10..network + 12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Whether the checksums of a frame fit, as far as it has any.
pub fn fits(frame: &[u8]) -> bool {
    let mut anew = frame.to_vec();
    checksum(&mut anew);
    anew == frame
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))).sum()
}

fn folded(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
