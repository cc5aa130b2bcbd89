//! How an SSH server or client presents itself (RFC 4253 section 4.2): its software, and often the package of its system.

use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};
use crate::inspect::{Match, Reader};

const BEGINNING: &[u8] = b"SSH-";
/// Bytes of a greeting, its end included (RFC 4253 section 4.2).
const GREETING_MAX: usize = 255;
/// What each side sends next: a packet with this message (RFC 4253 section 7.1), no longer than every side must take (section 6.1).
const KEY_EXCHANGE: u8 = 20;
const PACKET_MAX: u32 = 35_000;

/// Whether a stream begins with a greeting. Nothing tells a server's from a client's.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    let start = bytes.get(..BEGINNING.len()).unwrap_or(bytes);
    if !BEGINNING.starts_with(start) {
        Match::No
    } else if start.len() == BEGINNING.len() {
        Match::Yes
    } else {
        Match::NeedMore
    }
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'b> {
    /// More of the greeting, or what comes behind it.
    More,
    /// These bytes, which are no key exchange: something else took the form of a greeting.
    Over(&'b [u8]),
    /// Nothing that can be read.
    Enough,
}

/// The greeting that a stream begins with.
#[derive(Debug, Default)]
pub struct GreetingStream {
    line: Vec<u8>,
    is_read: bool,
}

impl GreetingStream {
    /// Takes the next bytes of the stream. `take` gets the greeting without its end, once that is there.
    pub fn accept<'b>(&mut self, bytes: &'b [u8], take: impl FnOnce(&[u8])) -> Progress<'b> {
        let mut rest = bytes;
        if !self.is_read {
            let room = GREETING_MAX.saturating_sub(self.line.len());
            let within = bytes.get(..room).unwrap_or(bytes);
            let Some(end) = memchr::memchr(b'\n', within) else {
                self.line.extend_from_slice(within);
                return if within.len() < room { Progress::More } else { Progress::Enough };
            };
            self.line.extend_from_slice(within.get(..end).unwrap_or(&[]));
            take(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
            self.is_read = true;
            rest = bytes.get(end + 1..).unwrap_or(&[]);
        }
        match rest {
            [] => Progress::More,
            _ if is_key_exchange(rest) => Progress::Enough,
            _ => Progress::Over(rest),
        }
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.line.len()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether a packet of the key exchange begins here: its length, that of its padding, the message.
fn is_key_exchange(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    reader.u32().is_some_and(|length| length <= PACKET_MAX)
        && reader.u8().is_some()
        && reader.u8() == Some(KEY_EXCHANGE)
}

/// Reads a greeting without its end.
pub fn read_ssh(greeting: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    // Version of the protocol, then what is behind it.
    let Some(version) = greeting.strip_prefix(BEGINNING) else { return };
    let Some(hyphen) = memchr::memchr(b'-', version) else { return };
    let software = Text::of(version.get(hyphen + 1..).unwrap_or(&[]));
    Teller { source: IdentitySource::Ssh, tell }.say_text(Subject::Sender, IdentityFact::System, &software);
}

#[cfg(test)]
mod tests {
    use super::super::sample::line;
    use super::*;
    use proptest::prelude::*;

    /// What a stream in pieces of `step` bytes says, and whether there is anything else in it.
    fn said(stream: &[u8], step: usize) -> (Vec<String>, bool) {
        let mut reader = GreetingStream::default();
        let mut said = Vec::new();
        for piece in stream.chunks(step) {
            let progress =
                reader.accept(piece, |greeting| read_ssh(greeting, &mut |statement| said.push(line(statement))));
            assert!(reader.held_bytes() <= GREETING_MAX);
            if progress != Progress::More {
                return (said, matches!(progress, Progress::Over(_)));
            }
        }
        (said, false)
    }

    #[test]
    fn software_and_package_are_told() {
        let stream = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n\0\0\x05\xdc\x08\x14";
        let greeting = r#"Sender System("OpenSSH_9.2p1 Debian-2+deb12u3")"#.to_owned();
        for step in 6..=stream.len() {
            assert_eq!(said(stream, step).0.concat(), greeting, "{step}");
        }
        assert_eq!(said(stream, stream.len()), (vec![greeting], false));
        assert!(said(b"SSH-2.0-OpenSSH_9.2p1\r", 5).0.is_empty(), "a line without its end says nothing");
        assert_eq!(said(b"SSH-1.99-Cisco-1.25\n", 7).0, [r#"Sender System("Cisco-1.25")"#]);
        for other in [&b"SSH-2.0\r\n"[..], b"SSH-2.0-\r\n", &[b'S'; 300], b"SSH-\n"] {
            assert!(said(other, 9).0.is_empty());
        }
    }

    #[test]
    fn what_is_no_key_exchange_is_given_back() {
        let mut reader = GreetingStream::default();
        assert_eq!(
            reader.accept(b"SSH-2.0-x\n\x16\x03\x01\0\x05\x01", |_| {}),
            Progress::Over(b"\x16\x03\x01\0\x05\x01")
        );
    }

    #[test]
    fn a_greeting_is_recognised_by_its_beginning() {
        assert_eq!(recognise(b"SSH-2.0-x"), Match::Yes);
        assert_eq!(recognise(b"SSH"), Match::NeedMore);
        assert_eq!(recognise(b"SSL-"), Match::No);
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_say_the_same(text in "[ -~]{0,260}", step in 1_usize..50) {
            let stream = format!("SSH-2.0-{text}\r\n");
            let whole = said(stream.as_bytes(), stream.len()).0;
            prop_assert_eq!(&said(stream.as_bytes(), step).0, &whole);
            prop_assert_eq!(whole.is_empty(), stream.len() > GREETING_MAX || text.trim().is_empty());
        }
    }
}
