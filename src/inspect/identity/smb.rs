//! SMB ([MS-CIFS], [MS-SMB], [MS-SMB2]) over TCP, alone or in NetBIOS's session service (RFC 1002 section 4.3): the messages in which both
//! sides prove who they are, as far as they do it by [NTLM](super::ntlm), and the names with which a session is asked for.
//!
//! A side is read up to its proof, or to the first message that is no negotiation. Users who prove themselves later in the same connection
//! are not read, nor is what is encrypted.

use super::netbios::tell_session_names;
use super::{IdentitySource, Statement, Teller, ntlm};
use crate::inspect::Match;

/// Messages of one side that are looked at. A negotiation takes a handful.
const MESSAGES_MAX: u8 = 16;
/// Bytes of one message that are read: names stand before the keys.
const MESSAGE_MAX: usize = 4096;
/// A longer message is no negotiation: 64 KiB of token is what both sides may send each other.
const LENGTH_MAX: usize = 1 << 17;
/// Type, and length in three bytes. Of NetBIOS's the upper seven bits are flags, which nobody sets.
const HEADER: usize = 4;
/// The shorter of the two headers of a message, that of SMB 1.
const MESSAGE_MIN: usize = 32;

// Types of the session service.
const MESSAGE: u8 = 0x00;
const REQUEST: u8 = 0x81;
const POSITIVE_RESPONSE: u8 = 0x82;
const KEEP_ALIVE: u8 = 0x85;
/// Length of a request: two names without a scope.
const REQUEST_LENGTH: u8 = 68;
/// Length of the called name in letters.
const NAME_LENGTH: u8 = 32;

/// How messages begin: versions 1 and 2, and those that are encrypted or compressed.
const MARKS: [u8; 4] = [0xff, 0xfe, 0xfd, 0xfc];
const MARK: &[u8] = b"SMB";

// Commands, and where a bit says that a message is an answer.
const NEGOTIATE_1: u8 = 0x72;
const SESSION_SETUP_1: u8 = 0x73;
const NEGOTIATE_2: u8 = 0;
const SESSION_SETUP_2: u8 = 1;

/// Whether a stream begins with a message of SMB, or with a request for a session that carries them.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    match bytes {
        [] | [MESSAGE] | [MESSAGE, _] | [MESSAGE, _, _] | [MESSAGE, _, _, _] => Match::NeedMore,
        [MESSAGE, _, _, _, mark, rest @ ..] if MARKS.contains(mark) => {
            let start = rest.get(..MARK.len()).unwrap_or(rest);
            match MARK.strip_prefix(start) {
                Some([]) => Match::Yes,
                Some(_) => Match::NeedMore,
                None => Match::No,
            }
        }
        [REQUEST, rest @ ..] => {
            const BEGINNING: [u8; 4] = [0, 0, REQUEST_LENGTH, NAME_LENGTH];
            let start = rest.get(..BEGINNING.len()).unwrap_or(rest);
            match rest.get(BEGINNING.len()..) {
                _ if !BEGINNING.starts_with(start) => Match::No,
                Some([b'A'..=b'P', b'A'..=b'P', ..]) => Match::Yes,
                None | Some([] | [b'A'..=b'P']) => Match::NeedMore,
                Some(_) => Match::No,
            }
        }
        _ => Match::No,
    }
}

/// What to do with a message of which so much is known.
enum Plan {
    /// So many bytes of it have to be there.
    Hold(usize),
    /// It says nothing: this is its length.
    Skip(usize),
    /// It is to be read: this is its length.
    Read(usize),
    /// Neither this message nor any behind it says anything.
    End,
}

/// One side of a connection.
#[derive(Debug, Default)]
pub struct SessionStream {
    /// The beginning of the message at hand.
    held: Vec<u8>,
    /// Bytes of the last message still to come.
    skipped: usize,
    messages: u8,
}

impl SessionStream {
    /// Takes the next bytes of the stream. `tell` gets each statement, and whether a client made it. Says whether there is more to read.
    pub fn accept(&mut self, bytes: &[u8], mut tell: impl FnMut(bool, &Statement<'_>)) -> bool {
        let mut rest = bytes;
        loop {
            let passed = self.skipped.min(rest.len());
            self.skipped -= passed;
            rest = rest.get(passed..).unwrap_or(&[]);
            // Every turn takes bytes, or tells more of a message that is there, so this ends.
            match plan(&self.held) {
                Plan::Hold(wanted) => {
                    let missing = wanted.saturating_sub(self.held.len());
                    let (taken, after) = rest.split_at(missing.min(rest.len()));
                    self.held.extend_from_slice(taken);
                    rest = after;
                    if taken.len() < missing {
                        return true;
                    }
                }
                Plan::Skip(length) => {
                    if !self.pass(length) {
                        return false;
                    }
                }
                Plan::Read(length) => {
                    let has_proved = read(&self.held, &mut tell);
                    if !self.pass(length) || has_proved {
                        return false;
                    }
                }
                Plan::End => return false,
            }
        }
    }

    /// Reads what there is of a message that will not be completed.
    pub fn finish(&mut self, mut tell: impl FnMut(bool, &Statement<'_>)) {
        if is_of_interest(&self.held) {
            read(&self.held, &mut tell);
        }
        self.clear();
    }

    /// Goes to the next message, if there may be one of interest.
    fn pass(&mut self, length: usize) -> bool {
        self.skipped = length.saturating_sub(self.held.len());
        self.held.clear();
        self.messages += 1;
        self.messages < MESSAGES_MAX
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What to do with the message that begins with these bytes.
fn plan(held: &[u8]) -> Plan {
    let Some(([kind, high, middle, low], message)) = held.split_first_chunk::<HEADER>() else {
        return Plan::Hold(HEADER);
    };
    let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
    let whole = HEADER + length;
    match *kind {
        _ if length > LENGTH_MAX => Plan::End,
        REQUEST if held.len() < whole.min(MESSAGE_MAX) => Plan::Hold(whole.min(MESSAGE_MAX)),
        REQUEST => Plan::Read(whole),
        POSITIVE_RESPONSE | KEEP_ALIVE => Plan::Skip(whole),
        MESSAGE if length < MESSAGE_MIN => Plan::End,
        MESSAGE if message.len() < MESSAGE_MIN => Plan::Hold(HEADER + MESSAGE_MIN),
        MESSAGE => match command(message) {
            Some((NEGOTIATE, _)) => Plan::Skip(whole),
            Some((SESSION_SETUP, _)) if held.len() < whole.min(MESSAGE_MAX) => Plan::Hold(whole.min(MESSAGE_MAX)),
            Some((SESSION_SETUP, _)) => Plan::Read(whole),
            _ => Plan::End,
        },
        _ => Plan::End,
    }
}

/// The two commands that matter, whichever the version.
const NEGOTIATE: u8 = 0;
const SESSION_SETUP: u8 = 1;

/// The command of a message, if it is one of the two that matter, and whether it is an answer.
fn command(message: &[u8]) -> Option<(u8, bool)> {
    match *message {
        [0xff, b'S', b'M', b'B', command, _, _, _, _, flags, ..] => {
            let command = match command {
                NEGOTIATE_1 => NEGOTIATE,
                SESSION_SETUP_1 => SESSION_SETUP,
                _ => return None,
            };
            Some((command, flags & 0x80 != 0))
        }
        [
            0xfe,
            b'S',
            b'M',
            b'B',
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            command @ (NEGOTIATE_2 | SESSION_SETUP_2),
            0,
            _,
            _,
            flags,
            ..,
        ] => Some((command, flags & 1 != 0)),
        _ => None,
    }
}

/// Whether a message that may not be whole can say something.
fn is_of_interest(held: &[u8]) -> bool {
    match held {
        [REQUEST, ..] => true,
        [MESSAGE, _, _, _, message @ ..] => matches!(command(message), Some((SESSION_SETUP, _))),
        _ => false,
    }
}

/// Reads a message, and says whether its sender has proved who it is, or was asked to.
fn read(held: &[u8], tell: &mut impl FnMut(bool, &Statement<'_>)) -> bool {
    let Some((&[kind, ..], message)) = held.split_first_chunk::<HEADER>() else { return false };
    if kind == REQUEST {
        let mut by_client = |statement: Statement<'_>| tell(true, &statement);
        tell_session_names(message, &mut Teller { source: IdentitySource::NetBios, tell: &mut by_client });
        return false;
    }
    let is_answer = command(message).is_some_and(|(_, is_answer)| is_answer);
    let Some(token) = ntlm::find(message) else { return false };
    ntlm::read(token, &mut |statement| tell(!is_answer, &statement));
    ntlm::is_last(token)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::ntlm::tests::{challenge, offer, proof};
    use super::super::sample::line;
    use super::*;
    use proptest::prelude::*;

    fn framed(kind: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[kind], &length[1..], message].concat()
    }

    fn version_1(command: u8, is_answer: bool, body: &[u8]) -> Vec<u8> {
        let mut header = vec![0; 32];
        header[..5].copy_from_slice(&[0xff, b'S', b'M', b'B', command]);
        header[9] = if is_answer { 0x98 } else { 0x18 };
        framed(MESSAGE, &[&header, body].concat())
    }

    fn version_2(command: u8, is_answer: bool, body: &[u8]) -> Vec<u8> {
        let mut header = vec![0; 64];
        header[..6].copy_from_slice(&[0xfe, b'S', b'M', b'B', 64, 0]);
        header[12] = command;
        header[16] = is_answer.into();
        framed(MESSAGE, &[&header, body].concat())
    }

    /// What a stream says in pieces of `step` bytes, each with who said it, and whether there is more to read.
    fn said(stream: &[u8], step: usize) -> (Vec<String>, bool) {
        let mut reader = SessionStream::default();
        let mut said = Vec::new();
        for piece in stream.chunks(step) {
            let mut tell = |by_client: bool, statement: &Statement<'_>| {
                said.push(format!("{} {}", if by_client { "client" } else { "server" }, line(*statement)));
            };
            let goes_on = reader.accept(piece, &mut tell);
            assert!(reader.held_bytes() <= MESSAGE_MAX);
            if !goes_on {
                return (said, false);
            }
        }
        reader.finish(|by_client, statement| {
            said.push(format!("{} {}", if by_client { "client" } else { "server" }, line(*statement)));
        });
        (said, true)
    }

    fn says(stream: &[u8], expected: &[&str], goes_on: bool) {
        for step in [1, 3, 7, 36, 64, 1000, stream.len()] {
            assert_eq!(said(stream, step), (expected.iter().map(|&text| text.to_owned()).collect(), goes_on), "{step}");
        }
    }

    #[test]
    fn a_client_is_named_by_its_proof() {
        let proved = [
            r#"client Sender HostName("PC1")"#,
            r#"client Sender User("jane")"#,
            r#"client Sender Domain("CORP")"#,
            r#"client Sender System("Windows NT 10.0.19041")"#,
        ];
        let stream = [
            version_1(NEGOTIATE_1, false, b"\0\x0c\0\x02SMB 2.002\0"),
            version_2(SESSION_SETUP_2, false, &[&[0x60, 0x48][..], &offer(false)].concat()),
            version_2(SESSION_SETUP_2, false, &proof("CORP", "jane", "PC1")),
            version_2(3, false, &[0; 40]),
        ];
        let offered = [r#"client Sender Domain("CORP")"#, r#"client Sender HostName("PC1")"#];
        says(&stream.concat(), &[&offered[..], &proved].concat(), false);
        let stream = [
            version_1(NEGOTIATE_1, false, b"\0\x0c\0\x02NT LM 0.12\0"),
            version_1(SESSION_SETUP_1, false, &proof("CORP", "jane", "PC1")),
        ];
        says(&stream.concat(), &proved, false);
    }

    #[test]
    fn a_server_is_named_by_its_challenge() {
        let named = [
            r#"server Sender HostName("FS1")"#,
            r#"server Sender Domain("CORP")"#,
            r#"server Sender HostName("fs1.corp.example")"#,
            r#"server Sender Domain("corp.example")"#,
            r#"server Sender System("Windows NT 10.0.19041")"#,
        ];
        let stream =
            [version_2(NEGOTIATE_2, true, &[7; 170]), version_2(SESSION_SETUP_2, true, &challenge("FS1", "CORP"))];
        says(&stream.concat(), &named, false);
        let stream = [
            framed(POSITIVE_RESPONSE, &[]),
            version_1(NEGOTIATE_1, true, &[7; 60]),
            version_1(SESSION_SETUP_1, true, &challenge("FS1", "CORP")),
        ];
        says(&stream.concat(), &named, false);
    }

    #[test]
    fn a_session_is_asked_for_by_name() {
        let letters =
            |name: &[u8; 16]| name.iter().flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]).collect::<Vec<_>>();
        let name = |name: &[u8; 16]| [&[NAME_LENGTH][..], &letters(name), &[0]].concat();
        let request = framed(REQUEST, &[name(b"FS1             "), name(b"PC1            \0")].concat());
        assert_eq!(recognise(&request), Match::Yes);
        says(&request, &[r#"client Receiver HostName("FS1")"#, r#"client Sender HostName("PC1")"#], true);
        let anybody = framed(REQUEST, &[name(b"*SMBSERVER      "), name(b"PC1            \0")].concat());
        says(&anybody, &[r#"client Sender HostName("PC1")"#], true);
    }

    #[test]
    fn what_follows_the_negotiation_is_not_read() {
        let behind = version_2(SESSION_SETUP_2, false, &proof("CORP", "jane", "PC1"));
        for other in [
            version_2(9, false, &[0; 100]),
            version_1(0x25, false, &[]),
            framed(0x83, &[0x80]),
            framed(MESSAGE, b"short"),
        ] {
            says(&[other, behind.clone()].concat(), &[], false);
        }
        let many = version_2(SESSION_SETUP_2, false, b"a ticket").repeat(MESSAGES_MAX.into());
        says(&[many, behind.clone()].concat(), &[], false);
        // A length that lies leads nowhere.
        let mut long = behind.clone();
        long[1..4].fill(0xff);
        says(&long, &[], false);
        let mut longer = behind;
        longer[2] = 0xf0;
        assert_eq!(said(&longer, longer.len()).0.len(), 4, "what is there is read at the end");
    }

    #[test]
    fn messages_are_recognised_by_their_marks() {
        let message = version_2(NEGOTIATE_2, false, &[]);
        for end in 0..message.len() {
            assert_eq!(recognise(&message[..end]), if end < 8 { Match::NeedMore } else { Match::Yes }, "{end}");
        }
        for other in
            [&b"\0\0\0\x08\x04"[..], b"\x81\0\0\x45", b"\x81\0\0\x44\x20Z", b"\0\0\0\x55\xffSMX", b"\x82\0\0\0"]
        {
            assert_eq!(recognise(other), Match::No);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            length in 0..400_u16,
            command in 0..3_u8,
            step in 1_usize..60,
        ) {
            let mut stream = version_2(command, false, &bytes);
            stream[2..4].copy_from_slice(&length.to_be_bytes());
            prop_assert_eq!(said(&stream, step), said(&stream, stream.len()));
        }
    }
}
