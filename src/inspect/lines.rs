//! Line protocols that may turn into TLS: SMTP (RFC 3207), IMAP and POP3 (RFC 2595), FTP (RFC 4217), XMPP and their like.
//!
//! Which command asked for it does not matter, nor whether the server agreed: a line of text never begins with the bytes that a
//! handshake begins with, so where a line should begin and something else does, the text is over.

use super::recognition::Match;

/// Longest line (RFC 5321 section 4.5.3.1.5 asks for 1,000; IMAP literals and certificates in text are longer).
const LINE_MAX: usize = 8 << 10;
/// Lines that are followed: a negotiation takes a handful, a mail would take thousands.
const LINES_MAX: u16 = 256;

/// Whether a stream begins with a line of text. A zero byte among the first four is in no text, though a letter may stand before it.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    let start = bytes.get(..4).unwrap_or(bytes);
    let is_text = start.first().is_none_or(|&byte| is_opening(byte)) && !start.contains(&0);
    match start {
        _ if !is_text => Match::No,
        [_, _, _, _, ..] => Match::Yes,
        _ if start.contains(&b'\n') => Match::Yes,
        _ => Match::NeedMore,
    }
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More lines.
    More,
    /// Something else, from these bytes on.
    Over(&'a [u8]),
    /// More text than any negotiation takes.
    Endless,
}

/// One direction of a line protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineStream {
    /// Bytes of the line at hand.
    line: usize,
    lines: u16,
}

impl LineStream {
    /// Takes the next bytes.
    pub fn accept<'b>(&mut self, mut bytes: &'b [u8]) -> Progress<'b> {
        while let Some(&first) = bytes.first() {
            if self.line == 0 && !is_opening(first) {
                return Progress::Over(bytes);
            }
            match memchr::memchr(b'\n', bytes) {
                // As long a line in several pieces would have been dropped before its end.
                Some(end) if self.line.saturating_add(end) > LINE_MAX => return Progress::Endless,
                Some(end) => {
                    bytes = bytes.get(end + 1..).unwrap_or(&[]);
                    self.line = 0;
                    self.lines = self.lines.saturating_add(1);
                }
                None => {
                    self.line = self.line.saturating_add(bytes.len());
                    bytes = &[];
                }
            }
            if self.lines >= LINES_MAX || self.line > LINE_MAX {
                return Progress::Endless;
            }
        }
        Progress::More
    }
}

/// Printable ASCII, or the end of an empty line.
pub(super) const fn is_opening(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | b'\r' | b'\n' | b'\t')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_ends_where_a_handshake_begins() {
        let stream = b"EHLO client.example\r\nSTARTTLS\r\n\x16\x03\x01rest";
        for step in 1..stream.len() {
            let mut lines = LineStream::default();
            let over = stream.chunks(step).find_map(|piece| match lines.accept(piece) {
                Progress::Over(rest) => Some(rest.first().copied().unwrap()),
                _ => None,
            });
            assert_eq!(over, Some(0x16), "{step}");
        }
    }

    #[test]
    fn endless_text_is_left_alone() {
        let mut lines = LineStream::default();
        assert_eq!(lines.accept("line\r\n".repeat(300).as_bytes()), Progress::Endless);
        let mut lines = LineStream::default();
        assert_eq!(lines.accept(&[b'x'; 9_000]), Progress::Endless);
        let mut lines = LineStream::default();
        assert_eq!(lines.accept(&[&[b'x'; 9_000][..], b"\r\n\x16\x03\x01"].concat()), Progress::Endless);
    }
}
