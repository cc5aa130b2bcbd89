//! SOCKS 4, 4a and 5 requests (RFC 1928), and where the tunnel behind them begins. The client's side alone says all of that.

use super::recognition::Match;
use super::{DomainName, ProxyKind, ProxyRequest, Reader};
use std::net::{IpAddr, Ipv4Addr};

/// Bytes that are kept of a message; the longest has two strings of 255.
const HELD_MAX: usize = 600;
const VERSION_4: u8 = 4;
const VERSION_5: u8 = 5;
/// Version of the username and password exchange (RFC 1929).
const PASSWORD_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const BIND: u8 = 2;
const UDP_ASSOCIATE: u8 = 3;

/// Whether a client's stream begins with SOCKS.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    match bytes {
        [] | [VERSION_4 | VERSION_5] | [VERSION_4, CONNECT | BIND, ..] if bytes.len() < 8 => Match::NeedMore,
        [VERSION_4, CONNECT | BIND, ..] => match Request4::read(bytes) {
            Reading::Whole(..) => Match::Yes,
            Reading::Partial => Match::NeedMore,
            Reading::No => Match::No,
        },
        [VERSION_5, count @ 1..=16, rest @ ..] => match rest.split_at_checked((*count).into()) {
            None => Match::NeedMore,
            // No authentication, GSSAPI, password, or private methods; nothing else is in use. A client waits for the answer, or goes
            // straight on.
            Some((methods, next)) => {
                let methods_fit = methods.iter().all(|&method| method <= 9 || method >= 0x80)
                    && methods.contains(&0) | methods.contains(&2);
                let next_fits = matches!(next.first(), None | Some(&(VERSION_5 | PASSWORD_VERSION)));
                if methods_fit && next_fits { Match::Yes } else { Match::No }
            }
        },
        _ => Match::No,
    }
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More of the negotiation.
    More,
    /// The tunnel, from these bytes on.
    Tunnel(&'a [u8]),
    /// No SOCKS, from these bytes on.
    Lost(&'a [u8]),
}

/// The client's side of a negotiation.
#[derive(Debug, Default)]
pub struct ClientStream {
    held: Vec<u8>,
    greeted: bool,
}

/// A message at the start of some bytes: its parts and its length.
enum Reading<T> {
    Whole(T, usize),
    Partial,
    No,
}

impl ClientStream {
    /// Takes the next bytes, and gives the request when they complete it.
    pub fn accept<'b>(&mut self, mut bytes: &'b [u8], mut emit: impl FnMut(&ProxyRequest<'_>)) -> Progress<'b> {
        loop {
            // What is kept of a message is less than the bound, so each turn takes some bytes.
            let room = HELD_MAX.saturating_sub(self.held.len());
            let rest = bytes.get(room..).unwrap_or(&[]);
            match self.read(bytes, room, &mut emit) {
                // Messages made room for more than fitted at once.
                Progress::More if !rest.is_empty() => bytes = rest,
                progress => return progress,
            }
        }
    }

    /// Reads the messages that the first `room` of `bytes` complete.
    fn read<'b>(&mut self, bytes: &'b [u8], room: usize, emit: &mut impl FnMut(&ProxyRequest<'_>)) -> Progress<'b> {
        let before = self.held.len();
        self.held.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let mut done = 0;
        loop {
            let rest = self.held.get(done..).unwrap_or(&[]);
            let reading = match rest.first() {
                None => return self.keep(done),
                Some(&VERSION_4) if !self.greeted => Request4::read(rest),
                Some(&VERSION_5) if !self.greeted => greeting(rest),
                Some(&VERSION_5) => request5(rest),
                Some(&PASSWORD_VERSION) if self.greeted => password(rest),
                Some(_) => Reading::No,
            };
            match reading {
                Reading::Partial if self.held.len() - done < HELD_MAX => return self.keep(done),
                Reading::Partial | Reading::No => {
                    self.clear();
                    return Progress::Lost(bytes);
                }
                Reading::Whole(None, length) => {
                    self.greeted = true;
                    done += length;
                }
                Reading::Whole(Some(asked), length) => {
                    emit(&ProxyRequest {
                        kind: asked.kind,
                        name: asked.name.as_ref(),
                        address: asked.address,
                        port: asked.port,
                    });
                    done += length;
                    self.clear();
                    // What follows the request came with this piece: earlier pieces ended inside the request.
                    return Progress::Tunnel(bytes.get(done.saturating_sub(before)..).unwrap_or(&[]));
                }
            }
        }
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.held.clear();
        self.greeted = false;
    }

    fn keep<'b>(&mut self, done: usize) -> Progress<'b> {
        self.held.drain(..done.min(self.held.len()));
        Progress::More
    }
}

/// What a client asks for.
struct Asked {
    kind: ProxyKind,
    name: Option<DomainName>,
    address: Option<IpAddr>,
    port: u16,
}

/// A request of version 4, or 4a when its address is 0.0.0.x and a name follows.
struct Request4;

impl Request4 {
    fn read(bytes: &[u8]) -> Reading<Option<Asked>> {
        let mut reader = Reader::new(bytes);
        let Some(([_, _], port, [a, b, c, d])) = fields(&mut reader) else { return Reading::Partial };
        let (user, is_whole) = terminated(&mut reader);
        if !is_whole {
            return if user.len() > 255 || !is_text(user) { Reading::No } else { Reading::Partial };
        }
        if port == 0 || user.len() > 255 || !is_text(user) {
            return Reading::No;
        }
        let mut asked =
            Asked { kind: ProxyKind::Socks4, name: None, address: Some(Ipv4Addr::new(a, b, c, d).into()), port };
        if [a, b, c] == [0, 0, 0] && d != 0 {
            let (name, is_whole) = terminated(&mut reader);
            if name.len() > 255 || !is_text(name) {
                return Reading::No;
            }
            if !is_whole {
                return Reading::Partial;
            }
            asked.name = DomainName::from_text(name);
            asked.address = None;
        }
        Reading::Whole(Some(asked), bytes.len() - reader.rest().len())
    }
}

fn fields(reader: &mut Reader<'_>) -> Option<([u8; 2], u16, [u8; 4])> {
    Some((reader.array()?, reader.u16()?, reader.array()?))
}

/// Bytes up to a zero, and whether it was there.
fn terminated<'a>(reader: &mut Reader<'a>) -> (&'a [u8], bool) {
    let rest = reader.rest();
    let length = rest.iter().position(|&byte| byte == 0);
    let text = reader.sub_lax(length.unwrap_or(rest.len())).rest();
    (text, length.is_some() && reader.u8().is_some())
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte >= 0x80)
}

fn greeting(bytes: &[u8]) -> Reading<Option<Asked>> {
    match recognise(bytes) {
        Match::Yes => Reading::Whole(None, 2 + usize::from(bytes.get(1).copied().unwrap_or(0))),
        Match::NeedMore => Reading::Partial,
        Match::No => Reading::No,
    }
}

/// RFC 1929: version, user name, password.
fn password(bytes: &[u8]) -> Reading<Option<Asked>> {
    let mut reader = Reader::new(bytes);
    let whole = (|| {
        reader.u8()?;
        for _ in 0..2 {
            let length = usize::from(reader.u8()?);
            reader.skip(length)?;
        }
        Some(())
    })();
    match whole {
        Some(()) => Reading::Whole(None, bytes.len() - reader.rest().len()),
        None => Reading::Partial,
    }
}

/// RFC 1928 section 4: version, command, reserved, address, port.
fn request5(bytes: &[u8]) -> Reading<Option<Asked>> {
    let [_, command, reserved, kind, rest @ ..] = bytes else { return Reading::Partial };
    if !matches!(*command, CONNECT | BIND | UDP_ASSOCIATE) || *reserved != 0 {
        return Reading::No;
    }
    let mut reader = Reader::new(rest);
    let mut asked = Asked { kind: ProxyKind::Socks5, name: None, address: None, port: 0 };
    let whole = (|| {
        match kind {
            1 => asked.address = Some(reader.array::<4>()?.into()),
            3 => {
                let length = usize::from(reader.u8()?);
                let text = reader.take(length)?;
                asked.name = DomainName::from_text(text);
                // Some clients write an address as text.
                asked.address = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            }
            4 => asked.address = Some(reader.array::<16>()?.into()),
            _ => return Some(false),
        }
        asked.port = reader.u16()?;
        Some(true)
    })();
    match whole {
        Some(true) => Reading::Whole(Some(asked), bytes.len() - reader.rest().len()),
        Some(false) => Reading::No,
        None => Reading::Partial,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    /// Kind, destination and port of the request, and the bytes of the tunnel, with the stream cut every `step` bytes.
    fn run(stream: &[u8], step: usize) -> Option<(ProxyKind, String, u16, Vec<u8>)> {
        let mut socks = ClientStream::default();
        let mut asked = None;
        let mut at = 0;
        for piece in stream.chunks(step) {
            at += piece.len();
            let progress = socks.accept(piece, |request| {
                let to = request.name.map(ToString::to_string).or(request.address.map(|address| address.to_string()));
                asked = Some((request.kind, to.unwrap(), request.port));
            });
            match progress {
                Progress::More => {}
                Progress::Lost(_) => return None,
                Progress::Tunnel(rest) => {
                    let (kind, to, port) = asked?;
                    return Some((kind, to, port, [rest, &stream[at..]].concat()));
                }
            }
        }
        None
    }

    fn version_5(user: bool) -> Vec<u8> {
        let mut bytes = if user { vec![5, 2, 0, 2, 1, 3, b'm', b'e', b'!', 2, b'p', b'w'] } else { vec![5, 1, 0] };
        bytes.extend([5, 1, 0, 3, 16]);
        bytes.extend(b"ds.kaspersky.com");
        bytes.extend([1, 187, 0x16, 3, 1]);
        bytes
    }

    #[test]
    fn version_5_with_a_name() {
        for user in [false, true] {
            let stream = version_5(user);
            for step in 1..=stream.len() {
                let expected = (ProxyKind::Socks5, "ds.kaspersky.com".to_owned(), 443, vec![0x16, 3, 1]);
                assert_eq!(run(&stream, step), Some(expected), "{user} {step}");
            }
        }
    }

    #[test]
    fn a_negotiation_longer_than_what_is_kept_of_a_message() {
        let mut stream = vec![5, 1, 2];
        for _ in 0..2 {
            stream.extend([1, 255]);
            stream.extend([b'u'; 255]);
            stream.push(255);
            stream.extend([b'p'; 255]);
        }
        stream.extend(&version_5(false)[3..]);
        for step in [1, 100, stream.len()] {
            let expected = (ProxyKind::Socks5, "ds.kaspersky.com".to_owned(), 443, vec![0x16, 3, 1]);
            assert_eq!(run(&stream, step), Some(expected), "{step}");
        }
    }

    #[test]
    fn a_user_of_version_4_is_too_long_however_it_is_cut() {
        let mut stream = b"\x04\x01\x00\x50\xc6\x33\x64\x07".to_vec();
        stream.extend([b'u'; 256]);
        stream.extend(b"\0GET ");
        assert_eq!(recognise(&stream), Match::No);
        for step in [1, 100, stream.len()] {
            assert_eq!(run(&stream, step), None, "{step}");
        }
    }

    #[test]
    fn version_4_with_and_without_a_name() {
        let stream = b"\x04\x01\x00\x50\x00\x00\x00\x01me\0ds.kaspersky.com\0GET ";
        let plain = b"\x04\x01\x00\x50\xc6\x33\x64\x07\0GET ";
        for step in 1..=stream.len() {
            let expected = (ProxyKind::Socks4, "ds.kaspersky.com".to_owned(), 80, b"GET ".to_vec());
            assert_eq!(run(stream, step), Some(expected), "{step}");
            let expected = (ProxyKind::Socks4, "198.51.100.7".to_owned(), 80, b"GET ".to_vec());
            assert_eq!(run(plain, step), Some(expected), "{step}");
        }
    }

    #[test]
    fn prefixes_are_waited_for_and_strangers_refused() {
        for end in 0..3 {
            assert_eq!(recognise(&version_5(false)[..end]), Match::NeedMore);
        }
        assert_eq!(recognise(&version_5(false)), Match::Yes);
        for bytes in [
            &b"\x05\x00"[..],
            b"\x05\x01\x00\x16",
            b"\x05\x02\x01\x01",
            b"\x04\x09",
            b"SSH-",
            b"\x04\x01\x00\x50\x01\x02\x03\x04\x01\0",
        ] {
            assert_eq!(recognise(bytes), Match::No, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(pieces in prop::collection::vec(prop::collection::vec(0u8..8, 0..30), 0..30)) {
            let mut socks = ClientStream::default();
            for piece in pieces {
                let _ = recognise(&piece);
                let _ = socks.accept(&piece, |_| {});
                prop_assert!(socks.held_bytes() <= HELD_MAX);
            }
        }
    }
}
