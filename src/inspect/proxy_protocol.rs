//! The PROXY protocol of HAProxy (`proxy-protocol.txt`, versions 1 and 2): a header before the first byte of a connection, in which a proxy
//! says whose connection it passes on.

use super::Reader;
use super::recognition::Match;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest header of version 1, line end included (section 2.1).
const LINE_MAX: usize = 107;
/// What a header of version 2 begins with (section 2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What a header of version 1 begins with, up to where addresses may follow.
const LINES: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];
/// Length of the fixed part of version 2, and of the addresses of IPv6 behind it.
const FIXED: usize = 16;
const ADDRESSES_MAX: usize = 36;

/// Whether a client's stream begins with a header.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    let begins = |opening: &[u8]| {
        let length = opening.len().min(bytes.len());
        (bytes.get(..length) == opening.get(..length)).then_some(length == opening.len())
    };
    match begins(SIGNATURE) {
        // Version 2; the command is LOCAL or PROXY, and receivers drop any other.
        Some(true) => match bytes.get(SIGNATURE.len()) {
            None => Match::NeedMore,
            Some(0x20 | 0x21) => Match::Yes,
            Some(_) => Match::No,
        },
        Some(false) => Match::NeedMore,
        None => match LINES.iter().filter_map(|line| begins(line)).max() {
            Some(true) => Match::Yes,
            Some(false) => Match::NeedMore,
            None => Match::No,
        },
    }
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More of the header.
    More,
    /// The connection itself, from these bytes on.
    Over(&'a [u8]),
}

/// The header at the beginning of one direction.
#[derive(Debug, Default)]
pub struct HeaderStream {
    held: Vec<u8>,
    /// Bytes of the header that say nothing we want.
    skip: usize,
}

impl HeaderStream {
    /// Takes the next bytes, and gives the address of whom the connection is passed on for, when they complete it. A proxy that speaks for
    /// itself, or does not know, names nobody.
    pub fn accept<'b>(&mut self, mut bytes: &'b [u8], mut emit: impl FnMut(IpAddr)) -> Progress<'b> {
        while self.skip == 0 {
            let wanted = match self.wanted() {
                Wanted::More(wanted) => wanted,
                Wanted::Nothing { source, skip } => {
                    if let Some(source) = source {
                        emit(source);
                    }
                    self.held.clear();
                    self.skip = skip;
                    break;
                }
            };
            let (taken, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            if taken.is_empty() {
                return Progress::More;
            }
            self.held.extend_from_slice(taken);
            bytes = rest;
        }
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        if self.skip > 0 { Progress::More } else { Progress::Over(bytes.get(skipped..).unwrap_or(&[])) }
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.held.clear();
        self.skip = 0;
    }

    /// What is missing of the header.
    fn wanted(&self) -> Wanted {
        let held = self.held.as_slice();
        if held.first() != SIGNATURE.first() {
            // A line, taken byte by byte: it is short, and there is one in a connection.
            return if held.ends_with(b"\r\n") || held.len() >= LINE_MAX {
                Wanted::Nothing { source: line_source(held), skip: 0 }
            } else {
                Wanted::More(1)
            };
        }
        let Some(&[command, family, high, low]) = held.get(SIGNATURE.len()..).and_then(<[u8]>::first_chunk) else {
            return Wanted::More(FIXED.saturating_sub(held.len()).max(1));
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let kept = FIXED + length.min(ADDRESSES_MAX);
        if held.len() < kept {
            return Wanted::More(kept - held.len());
        }
        let source = (command == 0x21).then(|| source(family, held.get(FIXED..).unwrap_or(&[]))).flatten();
        Wanted::Nothing { source, skip: length.saturating_sub(ADDRESSES_MAX) }
    }
}

enum Wanted {
    /// So many bytes at least.
    More(usize),
    /// The header is read but for some bytes.
    Nothing { source: Option<IpAddr>, skip: usize },
}

/// The source address of version 2: its family, and the addresses.
fn source(family: u8, addresses: &[u8]) -> Option<IpAddr> {
    let mut reader = Reader::new(addresses);
    let address = match family >> 4 {
        1 if addresses.len() >= 12 => reader.array::<4>()?.into(),
        2 if addresses.len() >= ADDRESSES_MAX => reader.array::<16>()?.into(),
        _ => return None,
    };
    Some(address)
}

/// The source address of version 1.
fn line_source(line: &[u8]) -> Option<IpAddr> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut parts = line.split(' ').skip(1);
    match (parts.next()?, parts.next()?) {
        ("TCP4", source) => source.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        ("TCP6", source) => source.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, body].concat()
    }

    /// Who is named, and what follows, with the stream cut every `step` bytes.
    fn run(stream: &[u8], step: usize) -> (Option<IpAddr>, Option<Vec<u8>>) {
        let mut header = HeaderStream::default();
        let mut source = None;
        let mut at = 0;
        for piece in stream.chunks(step) {
            at += piece.len();
            if let Progress::Over(rest) = header.accept(piece, |address| source = Some(address)) {
                return (source, Some([rest, stream.get(at..).unwrap()].concat()));
            }
        }
        (source, None)
    }

    #[test]
    fn every_kind_of_header_ends_where_the_connection_begins() {
        let four = [10, 0, 0, 9, 192, 0, 2, 1, 0, 80, 1, 187];
        let mut six = [0; 36];
        six[..2].copy_from_slice(&[0x20, 1]);
        let with_extras = [&four[..], &[4, 0, 60], &[7; 60]].concat();
        let cases: [(Vec<u8>, Option<&str>); 10] = [
            (b"PROXY TCP4 10.0.0.9 192.0.2.1 80 443\r\n".to_vec(), Some("10.0.0.9")),
            (b"PROXY TCP6 2001:: 2001:db8::1 80 443\r\n".to_vec(), Some("2001::")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), None),
            (version_2(0x21, 0x11, &four), Some("10.0.0.9")),
            (version_2(0x21, 0x11, &with_extras), Some("10.0.0.9")),
            (version_2(0x21, 0x21, &six), Some("2001::")),
            (version_2(0x21, 0x31, &[0; 216]), None),
            (version_2(0x21, 0x00, &[]), None),
            (version_2(0x20, 0x11, &four), None),
        ];
        for (mut stream, source) in cases {
            assert_eq!(recognise(&stream), Match::Yes);
            for end in 0..stream.len() {
                assert_ne!(recognise(stream.get(..end).unwrap()), Match::No, "{end}");
            }
            let source = source.map(|source| source.parse().unwrap());
            stream.extend(b"\x16\x03\x01");
            for step in 1..=stream.len() {
                assert_eq!(run(&stream, step), (source, Some(b"\x16\x03\x01".to_vec())), "{step}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_header_is_none() {
        for bytes in
            [&b"PROXY TCP5 "[..], b"\r\n\r\nGET", b"PROXIES", b"\r\n\r\n\0\r\nQUIT\n\x11", b"\r\n\r\n\0\r\nQUIT\n\x22"]
        {
            assert_eq!(recognise(bytes), Match::No, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_hold_little(
            start in prop::sample::select(vec![&b""[..], b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11"]),
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..20),
        ) {
            let mut header = HeaderStream::default();
            let _ = header.accept(start, |_| {});
            for piece in pieces {
                let _ = recognise(&piece);
                let _ = header.accept(&piece, |_| {});
                prop_assert!(header.held_bytes() <= LINE_MAX);
            }
        }
    }
}
