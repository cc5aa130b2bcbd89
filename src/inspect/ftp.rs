//! What an FTP client asks for (RFC 959, RFC 3659): paths, put together from the folder that it works in.
//!
//! Commands are told by their words, on any port. Answers are not read, so a folder that the server refused is believed.

use super::lines::is_opening;
use super::recognition::{FirstLetters, Match, opens_with};

/// Longest command that is read, and longest path.
const LINE_MAX: usize = 512;
/// Commands that are followed.
const LINES_MAX: u16 = 1024;
/// Words that a client may begin with, when its login was captured or when it was not. The mailbox protocols share the first.
const OPENINGS: [&[u8]; 5] = [b"USER ", b"CWD ", b"RETR ", b"SIZE ", b"MDTM "];
const FIRST_LETTERS: FirstLetters = FirstLetters::of(&OPENINGS);

/// Whether a stream begins with a command of FTP.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    opens_with(bytes, &OPENINGS, FIRST_LETTERS)
}

/// A path that a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The whole path, with the folder that the client works in; that of a folder ends with a slash.
    pub path: &'a [u8],
    /// Whether it wants the file itself, and not only its size or its time, or to enter the folder.
    pub fetches: bool,
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More commands.
    More,
    /// Something else, from these bytes on: AUTH TLS begins a handshake (RFC 4217).
    Over(&'a [u8]),
    /// More commands than are followed.
    Endless,
}

/// The commands of one connection.
#[derive(Debug, Default)]
pub struct ClientStream {
    /// The command at hand.
    line: Vec<u8>,
    /// Whether the command at hand is too long to read.
    overlong: bool,
    /// The folder that the client works in, with a slash at its end.
    folder: Vec<u8>,
    /// The path that was asked for last.
    path: Vec<u8>,
    lines: u16,
    /// Commands and paths that were longer than what is kept, since they were last asked for.
    overlong_commands: u32,
}

impl ClientStream {
    /// Commands and paths that were longer than what is kept, since this was last asked.
    pub const fn take_overlong(&mut self) -> u32 {
        std::mem::replace(&mut self.overlong_commands, 0)
    }

    /// Takes the next bytes, and gives each path that they ask for.
    pub fn accept<'b>(&mut self, mut bytes: &'b [u8], mut emit: impl FnMut(&Request<'_>)) -> Progress<'b> {
        while let Some(&first) = bytes.first() {
            if self.line.is_empty() && !self.overlong && !is_opening(first) {
                return Progress::Over(bytes);
            }
            let end = memchr::memchr(b'\n', bytes);
            let (piece, rest) = bytes.split_at_checked(end.map_or(bytes.len(), |end| end + 1)).unwrap_or((bytes, &[]));
            bytes = rest;
            if !self.overlong && self.line.len() + piece.len() > LINE_MAX {
                self.overlong = true;
                self.overlong_commands += 1;
            }
            if !self.overlong {
                self.line.extend_from_slice(piece);
            }
            if end.is_some() {
                if !self.overlong {
                    self.command(&mut emit);
                }
                self.line.clear();
                self.overlong = false;
                self.lines += 1;
                if self.lines >= LINES_MAX {
                    return Progress::Endless;
                }
            }
        }
        Progress::More
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.line.len() + self.folder.len() + self.path.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.line.clear();
        self.overlong = false;
        self.folder.clear();
        self.path.clear();
        self.lines = 0;
    }

    fn command(&mut self, emit: &mut impl FnMut(&Request<'_>)) {
        let line = self.line.trim_ascii_end();
        if line.eq_ignore_ascii_case(b"CDUP") {
            let parent = self
                .folder
                .iter()
                .rev()
                .skip(1)
                .position(|&byte| byte == b'/')
                .map_or(0, |at| self.folder.len() - 1 - at);
            self.folder.truncate(parent);
            return;
        }
        let Some((word, argument)) = memchr::memchr(b' ', line).and_then(|space| line.split_at_checked(space)) else {
            return;
        };
        let argument = argument.trim_ascii();
        let (enters, fetches) = if word.eq_ignore_ascii_case(b"RETR") {
            (false, true)
        } else if [b"SIZE", b"MDTM"].iter().any(|other| word.eq_ignore_ascii_case(*other)) {
            (false, false)
        } else if word.eq_ignore_ascii_case(b"CWD") {
            (true, false)
        } else {
            return;
        };
        self.path.clear();
        if argument.first() != Some(&b'/') {
            self.path.extend_from_slice(if self.folder.is_empty() { b"/" } else { &self.folder });
        }
        if self.path.len() + argument.len() >= LINE_MAX {
            self.overlong_commands += 1;
            return;
        }
        self.path.extend_from_slice(argument);
        if enters && !self.path.ends_with(b"/") {
            self.path.push(b'/');
        }
        emit(&Request { path: &self.path, fetches });
        if enters {
            std::mem::swap(&mut self.path, &mut self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const SESSION: &str = "USER anonymous\r\nPASS a@b.example\r\nCWD index\r\nSIZE u1313g.xml\r\nretr u1313g.xml\r\nRETR /bases/av/kdb/i386/x.kdc\r\n\
        CDUP\r\nCWD /updates/kdb/\r\nMDTM a b\r\nQUIT\r\n";

    /// Every path, and whether the file was wanted.
    fn paths(stream: &[u8], step: usize) -> Vec<(String, bool)> {
        let mut ftp = ClientStream::default();
        let mut all = Vec::new();
        for piece in stream.chunks(step) {
            let progress =
                ftp.accept(piece, |request| all.push((String::from_utf8_lossy(request.path).into(), request.fetches)));
            if progress != Progress::More {
                break;
            }
        }
        all
    }

    #[test]
    fn paths_follow_the_folder_however_the_commands_are_cut() {
        let expected = [
            ("/index/", false),
            ("/index/u1313g.xml", false),
            ("/index/u1313g.xml", true),
            ("/bases/av/kdb/i386/x.kdc", true),
            ("/updates/kdb/", false),
            ("/updates/kdb/a b", false),
        ]
        .map(|(path, fetches)| (path.to_owned(), fetches));
        for step in 1..SESSION.len() {
            assert_eq!(paths(SESSION.as_bytes(), step), expected, "{step}");
        }
        for end in 0..SESSION.len() {
            assert!(expected.starts_with(&paths(&SESSION.as_bytes()[..end], 7)), "{end}");
        }
    }

    #[test]
    fn a_handshake_ends_the_commands() {
        let mut ftp = ClientStream::default();
        assert_eq!(ftp.accept(b"USER a\r\nAUTH TLS\r\n\x16\x03\x01", |_| {}), Progress::Over(b"\x16\x03\x01"));
    }

    #[test]
    fn commands_are_recognised_by_their_words() {
        for opening in ["USER x", "user x", "RETR a", "size b", "CWD /"] {
            assert_eq!(recognise(opening.as_bytes()), Match::Yes);
            assert_eq!(recognise(&opening.as_bytes()[..3]), Match::NeedMore);
        }
        for other in ["USERS ", "EHLO a", "GET / HTTP/1.1", "NICK a", "\x16\x03"] {
            assert_eq!(recognise(other.as_bytes()), Match::No, "{other}");
        }
    }

    #[test]
    fn overlong_and_endless_commands_are_bounded() {
        let mut ftp = ClientStream::default();
        let long = format!("RETR {}\r\nRETR /a\r\n", "x".repeat(LINE_MAX));
        let mut all = Vec::new();
        ftp.accept(long.as_bytes(), |request| all.push(request.path.to_vec()));
        assert_eq!(all, [b"/a"]);
        let mut ftp = ClientStream::default();
        assert_eq!(ftp.accept("NOOP\r\n".repeat(2_000).as_bytes(), |_| {}), Progress::Endless);
    }

    proptest! {
        #[test]
        fn arbitrary_commands_never_panic_and_hold_little(
            pieces in prop::collection::vec(prop::sample::select(vec![
                &b"CWD "[..], b"RETR ", b"/", b"a/b", b"\r\n", b"..", b"CDUP\r\n", b"\xff", b"\0",
                b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            ]), 0..200),
        ) {
            let mut ftp = ClientStream::default();
            for piece in pieces {
                let _ = ftp.accept(piece, |request| assert!(request.path.len() <= LINE_MAX && request.path.first() == Some(&b'/')));
                prop_assert!(ftp.held_bytes() <= 3 * LINE_MAX);
            }
        }
    }
}
