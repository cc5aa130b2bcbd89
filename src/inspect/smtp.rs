//! The header of each message that an SMTP client hands over (RFC 5321 and RFC 3030), and who put its fields there.
//!
//! Only the client's own bytes are read. When the server refuses DATA, the next command follows where the message would: it has no colon
//! where a field has one.

use super::lines::is_opening;
use super::recognition::{FirstLetters, Match, opens_with};

/// Longest command that is read.
const LINE_MAX: usize = 1 << 10;
/// Bytes of one message's header that are read; one that is longer is read as far as that.
const HEADER_MAX: usize = 32 << 10;
/// Commands that are followed, and bytes of message bodies: a connection that carries more mail than that was looked at enough.
const LINES_MAX: u16 = 256;
const BODIES_MAX: u64 = 256 << 10;
/// What a client begins with, when its greeting was captured or when it was not.
const OPENINGS: [&[u8]; 4] = [b"EHLO ", b"HELO ", b"LHLO ", b"MAIL FROM:"];
const FIRST_LETTERS: FirstLetters = FirstLetters::of(&OPENINGS);

/// Whether a stream begins with a command of SMTP.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    opens_with(bytes, &OPENINGS, FIRST_LETTERS)
}

/// The header of a message on its way.
#[derive(Clone, Copy, Debug)]
pub struct MailHeader<'a> {
    /// The name that the client greeted with.
    pub greeting: &'a [u8],
    /// The fields, one a line, unfolded (RFC 5322 section 2.2.3).
    lines: &'a [u8],
    /// Whether these are all.
    complete: bool,
}

/// How sure it is that the client itself put a field into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedBy {
    /// It was the client, or something on its machine.
    Client,
    /// The message has been nowhere outside the client's domain, but its author, or a server behind the client, may have put the field
    /// there.
    ClientOrAuthor,
}

impl<'a> MailHeader<'a> {
    /// The fields that the client itself put there, as lines `Name: value`.
    ///
    /// Every host that a message passes puts a line `Received` above all that was there before (RFC 5321 section 4.4). So what stands above
    /// the first one came last, from the client. What stands below may be of any host on the way; a filter may also write below, or at
    /// the end. Only if each of these lines was written by the host that the client greets as, and no other field shows that the
    /// message was handed on, has it been nowhere else. A field whose value begins with the client's own name speaks for itself.
    pub fn added_by_client(&self) -> impl Iterator<Item = (&'a [u8], AddedBy)> {
        let greeting = self.greeting;
        let is_client =
            move |name: &[u8]| memchr::memchr(b'.', greeting).is_some() && name.eq_ignore_ascii_case(greeting);
        let mut received = 0_usize;
        let mut by_neighbour = false;
        let mut elsewhere = !self.complete;
        for (name, value) in self.fields() {
            if name.eq_ignore_ascii_case(b"received") {
                let by = received_by(value).unwrap_or(&[]);
                if !is_client(by) {
                    // A gateway relays for the mail servers behind it.
                    by_neighbour = true;
                    elsewhere |= received == 0 || !is_neighbour(greeting, by);
                }
                received += 1;
            } else {
                elsewhere |= HANDED_ON.iter().any(|prefix| starts_with(name, prefix));
            }
        }
        let mut passed = 0;
        self.lines.split(|&byte| byte == b'\n').filter_map(move |line| {
            let (name, value) = field(line)?;
            passed += usize::from(name.eq_ignore_ascii_case(b"received"));
            let names_client =
                || is_client(value.split(|byte| matches!(byte, b',' | b';' | b' ')).next().unwrap_or(&[]));
            match (received > 0, passed == 0, elsewhere) {
                (true, true, _) | (false, _, false) => Some((line, AddedBy::Client)),
                _ if names_client() => Some((line, AddedBy::Client)),
                // Above a line of a neighbour's it may well be of a gateway on the way.
                (true, false, false) if !by_neighbour || passed == received => Some((line, AddedBy::ClientOrAuthor)),
                _ => None,
            }
        })
    }

    fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.lines.split(|&byte| byte == b'\n').filter_map(field)
    }
}

/// Beginnings of the names of fields that only a message bears which was handed on by somebody: a list, a forwarder, a mailbox.
const HANDED_ON: [&[u8]; 8] =
    [b"list-", b"resent-", b"arc-", b"delivered-to", b"return-path", b"x-original-", b"x-forwarded-", b"x-beenthere"];

/// Whether two hosts are of the same domain, itself below another one.
fn is_neighbour(one: &[u8], other: &[u8]) -> bool {
    let domain = |name| memchr::memchr(b'.', name).and_then(|dot| name.get(dot + 1..));
    let is_below = |domain: &[u8]| memchr::memchr(b'.', domain).is_some();
    domain(one).zip(domain(other)).is_some_and(|(one, other)| is_below(one) && one.eq_ignore_ascii_case(other))
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Name and value of a field. A name is printable, without blanks (RFC 5322 section 2.2).
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then_some((name, value.get(1..)?.trim_ascii()))
}

/// The host that wrote a `Received` field: the word behind `by`, outside of comments (RFC 5321 section 4.4).
fn received_by(value: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_u32;
    let mut next = false;
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if next && depth == 0 {
            return Some(word.split(|&byte| byte == b';' || byte == b'(').next().unwrap_or(word));
        }
        next = depth == 0 && word.eq_ignore_ascii_case(b"by");
        for byte in word {
            match byte {
                b'(' => depth = depth.saturating_add(1),
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    None
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More commands, or more of a message.
    More,
    /// Something else, from these bytes on: STARTTLS begins a handshake (RFC 3207).
    Over(&'a [u8]),
    /// More mail than is followed.
    Endless,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before or inside a command.
    #[default]
    Command,
    /// Inside a message that ends with a dot in a line of its own. Whether its header is over; how much of that line end was seen.
    Data(bool, u8),
    /// Inside a chunk of a message: bytes still to come, and whether the message's header is over.
    Chunk(u64, bool),
}

/// What a client says in one connection.
#[derive(Debug, Default)]
pub struct ClientStream {
    state: State,
    /// The command at hand, or the header.
    held: Vec<u8>,
    overlong: bool,
    greeting: Vec<u8>,
    /// Whether the message that the last chunk belonged to goes on, and whether its header was over.
    unfinished: Option<bool>,
    lines: u16,
    bodies: u64,
    /// Commands and headers that were longer than what is kept, since they were last asked for.
    overlong_commands: u32,
    overlong_headers: u32,
}

impl ClientStream {
    /// Commands, and headers, that were longer than what is kept, since this was last asked.
    pub const fn take_overlong(&mut self) -> (u32, u32) {
        (std::mem::replace(&mut self.overlong_commands, 0), std::mem::replace(&mut self.overlong_headers, 0))
    }

    /// Takes the next bytes, and gives each header that they complete.
    pub fn accept<'b>(&mut self, mut bytes: &'b [u8], mut emit: impl FnMut(&MailHeader<'_>)) -> Progress<'b> {
        while let Some(&first) = bytes.first() {
            match self.state {
                State::Command => {
                    if self.held.is_empty() && !self.overlong && !is_opening(first) {
                        return Progress::Over(bytes);
                    }
                    let end = memchr::memchr(b'\n', bytes);
                    bytes = self.hold(bytes, end.map_or(bytes.len(), |end| end + 1), LINE_MAX);
                    if end.is_some() {
                        if !self.overlong {
                            self.command(&mut emit);
                        }
                        self.held.clear();
                        self.overlong = false;
                        self.lines += 1;
                    }
                }
                State::Data(false, _) => {
                    let end = memchr::memchr(b'\n', bytes);
                    let line = self.line_start();
                    bytes = self.hold(bytes, end.map_or(bytes.len(), |end| end + 1), HEADER_MAX);
                    if end.is_some() || self.overlong {
                        self.header_line(line, end.is_some(), &mut emit);
                    }
                }
                State::Data(true, seen) => {
                    let (rest, seen) = skip_body(bytes, seen);
                    self.bodies += (bytes.len() - rest.len()) as u64;
                    bytes = rest;
                    self.state =
                        if usize::from(seen) == BODY_END.len() { State::Command } else { State::Data(true, seen) };
                }
                State::Chunk(left, over) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let mut chunk = bytes.get(..taken).unwrap_or(&[]);
                    bytes = bytes.get(taken..).unwrap_or(&[]);
                    let left = left - taken as u64;
                    self.state = State::Chunk(left, over);
                    while let (State::Chunk(left, false), false) = (self.state, chunk.is_empty()) {
                        let end = memchr::memchr(b'\n', chunk);
                        let line = self.line_start();
                        chunk = self.hold(chunk, end.map_or(chunk.len(), |end| end + 1), HEADER_MAX);
                        let whole = self.held.get(line..).unwrap_or(&[]);
                        if self.overlong || matches!(whole, b"\n" | b"\r\n") {
                            self.give(!self.overlong, &mut emit);
                            self.state = State::Chunk(left, true);
                        }
                    }
                    self.bodies += chunk.len() as u64;
                    if let State::Chunk(0, over) = self.state {
                        self.chunk_over(over, &mut emit);
                    }
                }
            }
            if self.lines >= LINES_MAX || self.bodies > BODIES_MAX {
                return Progress::Endless;
            }
        }
        Progress::More
    }

    /// Reads what there is of a header that will not be completed.
    pub fn finish(&mut self, mut emit: impl FnMut(&MailHeader<'_>)) {
        if matches!(self.state, State::Data(false, _) | State::Chunk(_, false)) {
            // The last line may be half a field.
            let end = self.line_start();
            self.held.truncate(end);
            self.give(false, &mut emit);
        }
        self.clear();
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len() + self.greeting.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.state = State::Command;
        self.held.clear();
        self.overlong = false;
        self.greeting.clear();
        self.unfinished = None;
        self.lines = 0;
        self.bodies = 0;
    }

    /// Keeps the first `length` of `bytes` as far as there is room for them, and gives the others.
    fn hold<'b>(&mut self, bytes: &'b [u8], length: usize, most: usize) -> &'b [u8] {
        let (piece, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        if !self.overlong && self.held.len() + piece.len() > most {
            self.overlong = true;
            *if most == LINE_MAX { &mut self.overlong_commands } else { &mut self.overlong_headers } += 1;
        }
        if self.overlong {
            self.bodies += piece.len() as u64;
        } else {
            self.held.extend_from_slice(piece);
        }
        rest
    }

    /// Where the line at hand begins in what is held.
    fn line_start(&self) -> usize {
        memchr::memrchr(b'\n', &self.held).map_or(0, |end| end + 1)
    }

    fn command(&mut self, emit: &mut impl FnMut(&MailHeader<'_>)) {
        let line = self.held.trim_ascii();
        if ["EHLO ", "HELO ", "LHLO "].iter().any(|verb| starts_with(line, verb.as_bytes())) {
            self.greeting.clear();
            let greeting = line.get(5..).unwrap_or(&[]).split(u8::is_ascii_whitespace).next().unwrap_or(&[]);
            self.greeting.extend(greeting.to_ascii_lowercase());
        } else if line.eq_ignore_ascii_case(b"DATA") {
            self.state = State::Data(false, 0);
        } else if starts_with(line, b"BDAT ") {
            let mut words = line.get(5..).unwrap_or(&[]).split(u8::is_ascii_whitespace);
            let size =
                words.next().and_then(|size| std::str::from_utf8(size).ok()).and_then(|size| size.parse::<u64>().ok());
            let Some(size) = size else { return };
            let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"LAST"));
            // Until the next command nobody needs to know more of the message than this.
            let over = self.unfinished.unwrap_or(false);
            self.unfinished = (!last).then_some(over);
            self.state = State::Chunk(size, over);
            if size == 0 {
                self.chunk_over(over, emit);
            }
        } else if starts_with(line, b"RSET") || starts_with(line, b"MAIL ") {
            self.unfinished = None;
        }
    }

    /// A chunk is over: a header in it is not, if the message goes on.
    fn chunk_over(&mut self, over: bool, emit: &mut impl FnMut(&MailHeader<'_>)) {
        // What a header lost at a border between chunks is a line at most; holding it over commands would take more than it is worth.
        if !over {
            self.give(false, emit);
        }
        self.unfinished = self.unfinished.map(|_| true);
        self.state = State::Command;
    }

    /// A line of a header is complete; it begins at `start` of what is held.
    fn header_line(&mut self, start: usize, ended: bool, emit: &mut impl FnMut(&MailHeader<'_>)) {
        let line = self.held.get(start..).unwrap_or(&[]).trim_ascii_end();
        let is_folded = self.held.get(start).is_some_and(|byte| matches!(byte, b' ' | b'\t')) && start > 0;
        if !self.overlong && line.is_empty() {
            self.give(true, emit);
            self.state = State::Data(true, 1);
        } else if !self.overlong && line == b"." {
            self.give(true, emit);
            self.state = State::Command;
        } else if self.overlong || !(is_folded || field(line).is_some()) {
            if start == 0 && !self.overlong {
                // No message: DATA was refused, and this is the next command.
                self.state = State::Command;
                self.command(emit);
                self.held.clear();
                self.lines += 1;
                return;
            }
            // A body without the empty line before it, or a header that is longer than we keep.
            self.give(!self.overlong, emit);
            self.state = State::Data(true, u8::from(ended));
        }
    }

    /// Gives the header that is held.
    fn give(&mut self, complete: bool, emit: &mut impl FnMut(&MailHeader<'_>)) {
        unfold(&mut self.held);
        if !self.held.is_empty() {
            emit(&MailHeader { greeting: &self.greeting, lines: &self.held, complete });
        }
        self.held.clear();
        self.overlong = false;
    }
}

/// What ends a message: a dot in a line of its own (RFC 5321 section 4.1.1.4). A bare line feed is taken for a line end.
const BODY_END: &[u8] = b"\n.\r\n";

/// Skips what belongs to a body. Gives the rest, and how many bytes of [`BODY_END`] were seen last.
fn skip_body(bytes: &[u8], mut seen: u8) -> (&[u8], u8) {
    let mut at = 0;
    // Every pass takes a byte, or all up to the next line feed.
    while let Some(&byte) = bytes.get(at) {
        seen = match (seen, byte) {
            (0, _) => {
                let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) else { return (&[], 0) };
                at += next;
                1
            }
            (1, b'.') => 2,
            (2, b'\r') => 3,
            (2 | 3, b'\n') => return (bytes.get(at + 1..).unwrap_or(&[]), 4),
            (_, b'\n') => 1,
            _ => 0,
        };
        at += 1;
    }
    (&[], seen)
}

/// Joins folded lines, and takes carriage returns and the empty line at the end away.
fn unfold(header: &mut Vec<u8>) {
    let mut written = 0;
    for at in 0..header.len() {
        let next = header.get(at + 1).copied();
        let Some(&byte) = header.get(at) else { break };
        let byte = match (byte, next) {
            (b'\r', _) => continue,
            (b'\n', Some(b' ' | b'\t')) => continue,
            (b'\t', _) => b' ',
            (byte, _) => byte,
        };
        if let Some(place) = header.get_mut(written) {
            *place = byte;
            written += 1;
        }
    }
    header.truncate(written);
    let end = header.trim_ascii_end().len();
    header.truncate(end);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const RULE: &str = "X-KSMG-Rule-ID: 1";

    /// Every field that the client added, and whether that is sure, when the stream comes in pieces of `step` bytes.
    fn added(stream: &[u8], step: usize) -> Vec<(String, bool)> {
        let mut smtp = ClientStream::default();
        let mut all = Vec::new();
        let mut see = |header: &MailHeader<'_>| {
            all.extend(
                header
                    .added_by_client()
                    .map(|(line, by)| (String::from_utf8_lossy(line).into_owned(), by == AddedBy::Client)),
            );
        };
        for piece in stream.chunks(step) {
            if smtp.accept(piece, &mut see) != Progress::More {
                break;
            }
        }
        smtp.finish(see);
        assert_eq!(smtp.held_bytes(), 0);
        all
    }

    fn session(header: &str) -> String {
        format!(
            "EHLO mx.corp.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n{header}\r\n\r\nhello\r\n.\r\nQUIT\r\n"
        )
    }

    /// What is said of the rule's header field, sure or not; `None` when nothing is.
    fn told(header: &str) -> Option<bool> {
        let stream = session(header);
        let of = |step| added(stream.as_bytes(), step).into_iter().find(|(line, _)| line == RULE).map(|(_, sure)| sure);
        let told = of(stream.len());
        for step in 1..40 {
            assert_eq!(of(step), told, "{step}");
        }
        told
    }

    #[test]
    fn what_stands_above_all_trace_was_added_last() {
        let elsewhere = "Received: from x by mx.other.example with ESMTP; Mon, 23 Nov 2026 15:43:54 +0000";
        assert_eq!(told(&format!("{RULE}\r\n{elsewhere}\r\nSubject: x")), Some(true));
        assert_eq!(told(&format!("{elsewhere}\r\n{RULE}\r\nSubject: x")), None);
        assert_eq!(told(&format!("{elsewhere}\r\nSubject: x\r\n{RULE}")), None);
        let own = "Received: from pc5 (pc5 [10.0.0.5] by x)\r\n\tby MX.corp.example (Postfix) with ESMTP id 1; Mon, 23 Nov 2026";
        assert_eq!(told(&format!("{own}\r\nReceived: from a by b.example; x\r\n{RULE}")), None);
        assert_eq!(told(&format!("{RULE}\r\n{own}\r\nReceived: from a by b.example; x")), Some(true));
    }

    #[test]
    fn a_message_that_was_nowhere_else_may_have_it_from_its_author() {
        let own = "Received: from pc5 (pc5 [10.0.0.5])\r\n\tby MX.corp.example (Postfix)\r\n\twith ESMTP id 1; Mon, 23 Nov 2026";
        assert_eq!(told(&format!("{own}\r\nSubject: x\r\n{RULE}")), Some(false));
        let behind = "Received: from pc5 by exchange.CORP.example with mapi id 15.1; Mon, 23 Nov 2026";
        assert_eq!(told(&format!("{own}\r\n{behind}\r\nSubject: x\r\n{RULE}")), Some(false));
        assert_eq!(told(&format!("{own}\r\n{RULE}\r\n{behind}\r\nSubject: x")), None);
        assert_eq!(told(&format!("{behind}\r\nSubject: x\r\n{RULE}")), None);
        for far in ["b.example", "corp.example", "mx.other.example", "a.b.corp.example"] {
            let far = format!("Received: from pc5 by {far} with ESMTP; x");
            assert_eq!(told(&format!("{own}\r\n{far}\r\nSubject: x\r\n{RULE}")), None, "{far}");
        }
        assert_eq!(told(&format!("{own}\r\nList-Id: <x>\r\nSubject: x\r\n{RULE}")), None);
        assert_eq!(told(&format!("Subject: x\r\n{RULE}")), Some(true));
        assert_eq!(told(&format!("Subject: x\r\nResent-From: a\r\n{RULE}")), None);
    }

    #[test]
    fn a_value_that_names_the_client_speaks_for_itself() {
        let elsewhere = "Received: from x by y.example; z";
        let find = |name: &str| {
            let line = format!("X-KSE-ServerInfo: {name}, 9");
            added(session(&format!("{elsewhere}\r\n{line}\r\nSubject: x")).as_bytes(), 50).contains(&(line, true))
        };
        assert!(find("MX.Corp.Example") && !find("mx.other.example"));
    }

    #[test]
    fn fields_are_unfolded_and_end_with_the_empty_line() {
        let stream = session("X-KSMG-AntiVirus: Kaspersky Secure Mail Gateway,\r\n version 3\r\nX-A: 1")
            .replace("hello", "X-B: 2\r\n..");
        let expected = [
            ("X-KSMG-AntiVirus: Kaspersky Secure Mail Gateway, version 3".to_owned(), true),
            ("X-A: 1".to_owned(), true),
        ];
        for step in 1..stream.len() {
            assert_eq!(added(stream.as_bytes(), step), expected, "{step}");
        }
        for end in 0..stream.len() {
            let part = added(&stream.as_bytes()[..end], 30);
            assert!(expected.starts_with(&part), "{end}: {part:?}");
        }
    }

    #[test]
    fn a_second_message_and_one_in_chunks_are_read_too() {
        let second = session("X-A: 1").replace("QUIT\r\n", "MAIL FROM:<a>\r\nDATA\r\nX-B: 2\r\n\r\n.\r\nQUIT\r\n");
        let chunks =
            "EHLO a\r\nBDAT 16\r\nX-A: 1\r\n\r\nhello\nBDAT 4 LAST\r\nX-C:BDAT 12 LAST\r\nX-B: 2\r\n\r\nhQUIT\r\n";
        for stream in [&second, chunks] {
            for step in 1..stream.len() {
                let lines: Vec<_> = added(stream.as_bytes(), step).into_iter().map(|(line, _)| line).collect();
                assert_eq!(lines, ["X-A: 1", "X-B: 2"], "{step} {stream}");
            }
        }
    }

    #[test]
    fn a_refused_message_is_none_and_a_handshake_ends_the_text() {
        let stream = b"EHLO a\r\nMAIL FROM:<a>\r\nDATA\r\nRSET\r\nMAIL FROM:<a>\r\nDATA\r\nX-A: 1\r\n\r\n.\r\n";
        assert_eq!(added(stream, 9), [("X-A: 1".to_owned(), true)]);
        let mut smtp = ClientStream::default();
        assert_eq!(smtp.accept(b"EHLO a\r\nSTARTTLS\r\n\x16\x03\x01", |_| {}), Progress::Over(b"\x16\x03\x01"));
    }

    #[test]
    fn commands_are_recognised_by_their_words() {
        for opening in ["EHLO a", "helo a", "LHLO a", "mail from:<a>"] {
            assert_eq!(recognise(opening.as_bytes()), Match::Yes);
            assert_eq!(recognise(&opening.as_bytes()[..4]), Match::NeedMore);
        }
        for other in ["EHLOS", "HEAD / HTTP/1.1", "MAIL TO:", "\x16\x03"] {
            assert_eq!(recognise(other.as_bytes()), Match::No, "{other}");
        }
    }

    #[test]
    fn endless_mail_is_left_alone() {
        for piece in ["NOOP\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"] {
            let mut smtp = ClientStream::default();
            let _ = smtp.accept(b"EHLO a\r\n", |_| {});
            let ended = (0..20_000).any(|_| {
                assert!(smtp.held_bytes() <= HEADER_MAX);
                smtp.accept(piece.as_bytes(), |_| {}) == Progress::Endless
            });
            assert!(ended, "{piece}");
        }
        let header = format!("{RULE}\r\n{}", "X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(1_000));
        assert_eq!(told(&header), None, "its end is not known, nor is there trace of others above");
    }

    proptest! {
        #[test]
        fn arbitrary_sessions_never_panic_and_hold_little(
            pieces in prop::collection::vec(prop::sample::select(vec![
                &b"EHLO a.b\r\n"[..], b"DATA\r\n", b"BDAT 7\r\n", b"BDAT 18446744073709551615 LAST\r\n", b"X-A: 1\r\n", b" folded\r\n", b"\r\n", b".\r\n",
                b"Received: from a by a.b (x (y) by z); now\r\n", b"Received: by", b"\xff", b"\n", b"\r", b"RSET\r\n", b"xxxxxxxxxxxxxxxxxxxxxxxxx",
            ]), 0..120),
            step in 1usize..50,
        ) {
            let stream = pieces.concat();
            prop_assert_eq!(added(&stream, step), added(&stream, stream.len().max(1)));
        }
    }
}
