//! TDS, which Microsoft's database server speaks ([MS-TDS]): its TLS handshake travels inside packets of its own (section 2.2.6.5).

use super::recognition::Match;

/// Types of a packet: pre-login of either side, and a server's answer (section 2.2.3.1.1).
const PRELOGIN: u8 = 0x12;
const RESPONSE: u8 = 0x04;
/// Status: the last packet of its message.
const END_OF_MESSAGE: u8 = 1;
const HEADER: usize = 8;
/// Longest packet of a pre-login, which comes before any other size is agreed on.
const PACKET_MAX: usize = 32 << 10;
/// What a handshake begins with; a pre-login's options begin with token 0, the version.
const HANDSHAKE: u8 = 22;

/// Whether a stream begins with a pre-login message of either side.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    let fits = |at: usize, byte: u8| match at {
        0 => matches!(byte, PRELOGIN | RESPONSE),
        1 => byte == END_OF_MESSAGE,
        2 => usize::from(byte) < PACKET_MAX >> 8,
        // Process, for a client; packet number and window come behind it.
        6 => byte <= 1,
        7 => byte == 0,
        // Token of the version, and where its value begins: behind a few tokens of five bytes each.
        8 | 9 => byte == 0,
        10 => (6..0x80).contains(&byte) && byte % 5 == 1,
        11 => byte == 0,
        12 => byte == 6,
        _ => true,
    };
    if !bytes.iter().take(13).enumerate().all(|(at, &byte)| fits(at, byte)) {
        Match::No
    } else if bytes.len() < 13 {
        Match::NeedMore
    } else {
        Match::Yes
    }
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More packets.
    More,
    /// Something else, from these bytes on.
    Over(&'a [u8]),
}

/// One direction up to its login.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketStream {
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes of the packet at hand still to come.
    left: usize,
    /// Whether the packet at hand is part of a handshake; `None` before its first byte.
    is_handshake: Option<bool>,
}

impl PacketStream {
    /// Takes the next bytes, and gives the parts of the TLS handshake among them. `give` says whether more of it is wanted.
    pub fn accept<'b>(&mut self, mut bytes: &'b [u8], mut give: impl FnMut(&[u8]) -> bool) -> Progress<'b> {
        while let Some(&first) = bytes.first() {
            if self.left > 0 {
                let (piece, rest) = bytes.split_at_checked(self.left).unwrap_or((bytes, &[]));
                let is_handshake = *self.is_handshake.get_or_insert(first == HANDSHAKE);
                self.left -= piece.len();
                bytes = rest;
                if is_handshake && !give(piece) {
                    return Progress::Over(&[]);
                }
                continue;
            }
            if self.header_len == 0 && !matches!(first, PRELOGIN | RESPONSE) {
                return Progress::Over(bytes);
            }
            if let Some(place) = self.header.get_mut(self.header_len) {
                *place = first;
            }
            self.header_len += 1;
            bytes = bytes.get(1..).unwrap_or(&[]);
            if self.header_len == HEADER {
                let [_, _, high, low, ..] = self.header;
                let length = usize::from(u16::from_be_bytes([high, low]));
                self.header_len = 0;
                let Some(left) = length.checked_sub(HEADER).filter(|_| length <= PACKET_MAX) else {
                    return Progress::Over(bytes);
                };
                self.left = left;
                // A record may go on in the next packet, so only the first byte of all that is no option tells.
                self.is_handshake = self.is_handshake.filter(|&is_handshake| is_handshake);
            }
        }
        Progress::More
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    pub fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER + body.len()).unwrap().to_be_bytes();
        [&[kind, 1], &length[..], &[0, 0, 1, 0], body].concat()
    }

    /// Version and encryption.
    const OPTIONS: &[u8] = b"\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\x10\0\0\0\0\0\x01";

    #[test]
    fn a_handshake_is_taken_out_of_its_packets() {
        let handshake: Vec<u8> = (0..200).map(|byte| byte + HANDSHAKE).collect();
        let (first, second) = handshake.split_at(77);
        for answer in [PRELOGIN, RESPONSE] {
            let stream =
                [packet(answer, OPTIONS), packet(PRELOGIN, first), packet(PRELOGIN, second), vec![0x17, 3, 3]].concat();
            assert_eq!(recognise(&stream), Match::Yes);
            for end in 0..13 {
                assert_eq!(recognise(stream.get(..end).unwrap()), Match::NeedMore);
            }
            for step in 1..stream.len() {
                let mut packets = PacketStream::default();
                let mut given = Vec::new();
                let over = stream.chunks(step).find_map(|piece| {
                    let progress = packets.accept(piece, |bytes| {
                        given.extend_from_slice(bytes);
                        true
                    });
                    match progress {
                        Progress::Over(rest) => rest.first().copied(),
                        Progress::More => None,
                    }
                });
                assert_eq!((over, &given), (Some(0x17), &handshake), "{step}");
            }
        }
    }

    #[test]
    fn other_bytes_are_no_packets() {
        for bytes in [&b"\x04\x01\0\x50\xc6\x33\x64\x07\0"[..], b"\x12\0\0\x10", b"\x16\x03", b"GET "] {
            assert_eq!(recognise(bytes), Match::No, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(pieces in prop::collection::vec(prop::collection::vec(0u8..24, 0..40), 0..20)) {
            let mut packets = PacketStream::default();
            for piece in pieces {
                let _ = recognise(&piece);
                let _ = packets.accept(&piece, |_| true);
            }
        }
    }
}
