//! Who writes a syslog message (RFC 3164, RFC 5424), over UDP (RFC 5426) or TCP (RFC 6587).
//!
//! Log collectors get what products say of themselves: the device vendor, product and version of a CEF or LEEF header, or the name of
//! the structured data, which bears the enterprise number of whoever defined it (RFC 5424 section 7.2.2). The rest is not read.

use super::recognition::Match;

/// Bytes of a message that are read: header, structured data and CEF header stand at its beginning.
const MESSAGE_MAX: usize = 1024;
/// How far behind the priority a CEF header may begin: time, host and program stand before it.
const CEF_START_MAX: usize = 384;
/// Messages of one connection that are read: a product writes all of them.
const MESSAGES_MAX: u16 = 64;
/// Digits of a message's length before it: RFC 6587 section 3.4.1 has no limit, receivers end at 64 KiB.
const COUNT_DIGITS_MAX: usize = 6;
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What one message says of the program that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Originator<'a> {
    /// Vendor, product and version with the bars between them, of a CEF or LEEF header.
    pub device: Option<&'a [u8]>,
    /// Name of the first element of structured data, such as `event@32473`.
    pub structured_data: Option<&'a [u8]>,
}

/// Whether bytes begin with a message: its priority, alone or behind its length.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    let digits = count_digits(bytes);
    let at_priority = match digits {
        0 => bytes,
        1..=COUNT_DIGITS_MAX => match bytes.get(digits..) {
            Some([b' ', rest @ ..]) if bytes.first() != Some(&b'0') => rest,
            Some([]) => return Match::NeedMore,
            _ => return Match::No,
        },
        _ => return Match::No,
    };
    match at_priority {
        [] => Match::NeedMore,
        [b'<', rest @ ..] => {
            let digits = count_digits(rest);
            match rest.get(digits) {
                Some(b'>') if (1..=3).contains(&digits) => Match::Yes,
                None if digits <= 3 => Match::NeedMore,
                _ => Match::No,
            }
        }
        _ => Match::No,
    }
}

/// Whether a datagram is a message: its priority comes first (RFC 5426 section 3.1).
#[must_use]
pub fn recognise_datagram(datagram: &[u8]) -> bool {
    datagram.first() == Some(&b'<') && recognise(datagram) == Match::Yes
}

/// Reads one message, as a datagram carries it.
#[must_use]
pub fn originator(message: &[u8]) -> Option<Originator<'_>> {
    let message = message.get(..MESSAGE_MAX).unwrap_or(message);
    let (_, header) = split_at_byte(message.strip_prefix(b"<")?, b'>')?;
    let found = Originator { device: device(header), structured_data: structured_data(header) };
    (found.device.is_some() || found.structured_data.is_some()).then_some(found)
}

/// Vendor, product and version of the CEF or LEEF header, wherever the syslog header ends: senders differ.
fn device(header: &[u8]) -> Option<&[u8]> {
    let searched = header.get(..CEF_START_MAX).unwrap_or(header);
    let at = memchr::memmem::find_iter(searched, b"EF:").find_map(|at| {
        let start = [&b"C"[..], b"LE"].iter().find_map(|letters| {
            let start = at.checked_sub(letters.len())?;
            (header.get(start..at) == Some(*letters)).then_some(start)
        })?;
        let before = header.get(..start).unwrap_or(&[]);
        let begins_word = before.last().is_none_or(|&byte| byte == b' ') || before.ends_with(UTF8_MARK);
        begins_word.then_some(at + 3)
    })?;
    let (version, fields) = split_at_byte(header.get(at..)?, b'|')?;
    if version.is_empty() || !version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return None;
    }
    // A bar or a backslash within a field has a backslash before it.
    let mut bars = 0;
    let mut is_escaped = false;
    let end = fields.iter().position(|&byte| {
        bars += u8::from(byte == b'|' && !is_escaped);
        is_escaped = byte == b'\\' && !is_escaped;
        bars == 3
    })?;
    fields.get(..end)
}

/// Name of the first structured data element: RFC 5424 has it behind version, time, host, program, process and message id.
fn structured_data(header: &[u8]) -> Option<&[u8]> {
    let mut rest = header.strip_prefix(b"1 ")?;
    for _ in 0..5 {
        rest = split_at_byte(rest, b' ')?.1;
    }
    let element = rest.strip_prefix(b"[")?;
    // Its name has at most 32 characters (section 6.3.2).
    let end = element.iter().take(33).position(|byte| matches!(byte, b' ' | b']'))?;
    element.get(..end).filter(|name| !name.is_empty())
}

fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, bytes)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().take(COUNT_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count()
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More messages.
    More,
    /// Something else, from these bytes on.
    Over(&'a [u8]),
    /// More messages than are read: their writer is known.
    Enough,
}

/// The messages of one connection, each behind its length or up to a line feed (RFC 6587 section 3.4).
#[derive(Debug, Default)]
pub struct MessageStream {
    /// The beginning of the message at hand.
    message: Vec<u8>,
    framing: Framing,
    messages: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    /// A message begins, or its length.
    #[default]
    Unknown,
    /// So many bytes of it are to come.
    Counted(usize),
    /// It ends with a line feed.
    Delimited,
}

impl MessageStream {
    /// Takes the next bytes, and tells who wrote each message that they complete.
    pub fn accept<'b>(&mut self, mut bytes: &'b [u8], mut emit: impl FnMut(&Originator<'_>)) -> Progress<'b> {
        while let Some(&first) = bytes.first() {
            match self.framing {
                Framing::Unknown => {
                    // Empty lines between messages are some senders' habit.
                    if self.message.is_empty() && matches!(first, b'\n' | b'\r' | 0) {
                        bytes = bytes.get(1..).unwrap_or(&[]);
                        continue;
                    }
                    if first == b'<' && self.message.is_empty() {
                        self.framing = Framing::Delimited;
                    } else if first.is_ascii_digit() && self.message.len() < COUNT_DIGITS_MAX {
                        self.message.push(first);
                        bytes = bytes.get(1..).unwrap_or(&[]);
                    } else if first == b' ' && !self.message.is_empty() {
                        let count =
                            self.message.drain(..).fold(0, |count, digit| count * 10 + usize::from(digit - b'0'));
                        self.framing = Framing::Counted(count);
                        bytes = bytes.get(1..).unwrap_or(&[]);
                    } else {
                        self.clear();
                        return Progress::Over(bytes);
                    }
                }
                Framing::Counted(left) => {
                    let (piece, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
                    self.keep(piece);
                    bytes = rest;
                    self.framing = Framing::Counted(left - piece.len());
                    if left == piece.len() && self.complete(&mut emit) {
                        return Progress::Enough;
                    }
                }
                Framing::Delimited => {
                    let end = memchr::memchr2(b'\n', 0, bytes);
                    let (piece, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
                    self.keep(piece);
                    bytes = rest;
                    if end.is_some() && self.complete(&mut emit) {
                        return Progress::Enough;
                    }
                }
            }
        }
        Progress::More
    }

    /// The connection is over: what there is of the last message is read.
    pub fn finish(&mut self, mut emit: impl FnMut(&Originator<'_>)) {
        if self.framing != Framing::Unknown {
            self.complete(&mut emit);
        }
        self.clear();
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.message.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.message.clear();
        self.framing = Framing::Unknown;
        self.messages = 0;
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = MESSAGE_MAX.saturating_sub(self.message.len());
        self.message.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// Reads the message at hand. Says whether it was the last one to be read.
    fn complete(&mut self, emit: &mut impl FnMut(&Originator<'_>)) -> bool {
        if let Some(originator) = originator(&self.message) {
            emit(&originator);
        }
        self.message.clear();
        self.framing = Framing::Unknown;
        self.messages += 1;
        self.messages >= MESSAGES_MAX
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const CEF: &[u8] =
        b"<134>Nov  1 08:00:00 console CEF:0|Example Ltd|Console \\| Server|1.2.3|event|Started|1|rt=1 dhost=pc1";
    const STRUCTURED: &[u8] =
        b"<29>1 2026-11-01T08:00:00.000Z console PRODUCT|11.0 - EVENT [event@32473 p1=\"a b\"] text";

    fn device_of(message: &[u8]) -> Option<&[u8]> {
        originator(message).and_then(|originator| originator.device)
    }

    #[test]
    fn a_cef_or_leef_header_names_the_device_wherever_the_syslog_header_ends() {
        assert_eq!(device_of(CEF), Some(&b"Example Ltd|Console \\| Server|1.2.3"[..]));
        let messages: [&[u8]; 5] = [
            b"<1>CEF:0|A|B|C|x",
            b"<1>1 2026-11-01T08:00:00Z host CEF:0|A|B|C|x",
            b"<1>1 2026-11-01T08:00:00Z host app - - - \xef\xbb\xbfCEF:0|A|B|C|x",
            b"<1>Nov  1 08:00:00 host app: CEF:1|A|B|C|x",
            b"<1>Nov  1 08:00:00 host LEEF:2.0|A|B|C|x",
        ];
        for message in messages {
            assert_eq!(device_of(message), Some(&b"A|B|C"[..]), "{}", String::from_utf8_lossy(message));
        }
    }

    #[test]
    fn what_only_resembles_a_header_names_no_device() {
        let messages: [&[u8]; 7] = [
            b"CEF:0|A|B|C|x",
            b"<1>said \"CEF:0|A|B|C|x\"",
            b"<1>XCEF:0|A|B|C|x",
            b"<1>CEF:|A|B|C|x",
            b"<1>CEF:0|A|B",
            b"<1>CEF:0",
            b"<1>EF:0|A|B|C|",
        ];
        for message in messages {
            assert_eq!(device_of(message), None, "{}", String::from_utf8_lossy(message));
        }
        let late = [b"<1>".as_slice(), &[b' '; CEF_START_MAX], b"CEF:0|A|B|C|x"].concat();
        assert_eq!(device_of(&late), None);
    }

    #[test]
    fn structured_data_has_the_name_of_its_first_element() {
        let name = |message| originator(message).and_then(|originator| originator.structured_data);
        assert_eq!(name(STRUCTURED), Some(&b"event@32473"[..]));
        assert_eq!(name(b"<29>1 - - - - - [a@1][b@2]"), Some(&b"a@1"[..]));
        assert_eq!(name(b"<29>1 - - - - - - [a@1]"), None);
        assert_eq!(name(b"<29>2 - - - - - [a@1]"), None);
        assert_eq!(name(b"<29>1 - - - - - []"), None);
    }

    #[test]
    fn a_priority_is_recognised_alone_and_behind_a_length() {
        for (bytes, expected) in [
            (&b"<34>1 "[..], Match::Yes),
            (b"<1>", Match::Yes),
            (b"12 <191>", Match::Yes),
            (b"", Match::NeedMore),
            (b"<", Match::NeedMore),
            (b"<191", Match::NeedMore),
            (b"123456", Match::NeedMore),
            (b"12 ", Match::NeedMore),
            (b"<>", Match::No),
            (b"<1912", Match::No),
            (b"<a>", Match::No),
            (b"012 <1>", Match::No),
            (b"1234567", Match::No),
            (b"12\r\n", Match::No),
            (b"220 mail", Match::No),
            (b"<html>", Match::No),
        ] {
            assert_eq!(recognise(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    fn read(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut stream = MessageStream::default();
        let mut found = Vec::new();
        let mut take = |originator: &Originator<'_>| found.extend(originator.device.map(<[u8]>::to_vec));
        for piece in pieces {
            assert_eq!(stream.accept(piece, &mut take), Progress::More);
        }
        stream.finish(&mut take);
        found
    }

    #[test]
    fn messages_of_a_stream_are_told_apart_however_it_is_cut() {
        let counted = |message: &[u8]| [message.len().to_string().as_bytes(), b" ", message].concat();
        let framed = [
            [CEF, b"\n", STRUCTURED, b"\r\n\n", CEF, b"\n"].concat(),
            [CEF, b"\0", CEF].concat(),
            [counted(CEF), counted(STRUCTURED), counted(CEF)].concat(),
            [counted(CEF), b"\n".to_vec(), CEF.to_vec(), b"\n".to_vec()].concat(),
        ];
        for stream in framed {
            for step in 1..=stream.len() {
                let pieces: Vec<_> = stream.chunks(step).collect();
                assert_eq!(read(&pieces), vec![b"Example Ltd|Console \\| Server|1.2.3".to_vec(); 2], "{step}");
            }
        }
    }

    #[test]
    fn a_stream_ends_where_something_else_begins_and_after_enough_messages() {
        let mut stream = MessageStream::default();
        let bytes = [CEF, b"\n", b"\x16\x03\x01"].concat();
        assert_eq!(stream.accept(&bytes, |_| {}), Progress::Over(&b"\x16\x03\x01"[..]));
        let many = [CEF, b"\n"].concat().repeat(usize::from(MESSAGES_MAX));
        assert_eq!(stream.accept(&many, |_| {}), Progress::Enough);
        let mut long = MessageStream::default();
        assert_eq!(long.accept(&[b"<1>".as_slice(), &[b'x'; 100_000]].concat(), |_| {}), Progress::More);
        assert_eq!(long.held_bytes(), MESSAGE_MAX);
    }

    #[test]
    fn every_prefix_names_the_whole_device_or_none() {
        for message in [CEF, STRUCTURED] {
            let whole = originator(message);
            for end in 0..message.len() {
                let cut = originator(message.get(..end).unwrap());
                assert!(cut.is_none() || cut == whole, "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(pieces in prop::collection::vec("[<>0-9 |CLEF:\\[@\\]\n\\\\a]{0,40}", 0..20)) {
            let mut stream = MessageStream::default();
            for piece in &pieces {
                let _ = recognise(piece.as_bytes());
                let _ = originator(piece.as_bytes());
                let _ = stream.accept(piece.as_bytes(), |_| {});
            }
            stream.finish(|_| {});
        }
    }
}
