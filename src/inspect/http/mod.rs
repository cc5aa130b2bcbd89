//! HTTP/1 (RFC 9112): the head of every request of a connection, where CONNECT turns it into something else, and how a response begins.

mod response;

pub use response::{BODY_MAX, Progress as ResponseProgress, ResponseStream};

use super::recognition::{FirstLetters, Match};
use super::{DomainName, HttpRequest, HttpTarget, Reader};
use memchr::memchr;
use std::net::{IpAddr, Ipv6Addr};

/// Bytes of one request head that are kept; servers take 8 to 32 KiB as they come.
const HEAD_MAX: usize = 64 << 10;
/// Memory that is kept from one connection to the next.
const CAPACITY_KEPT: usize = 8 << 10;
/// Empty lines before a request that are passed over, in bytes (RFC 9112 section 2.2 asks for one line at least).
const PADDING_MAX: usize = 64;
/// Longest method of nobody's list, and longest request line that is waited for to see whether one is.
const UNKNOWN_METHOD_MAX: usize = 32;
const UNKNOWN_LINE_MAX: usize = 4_000;
/// Bytes of a request's body that are given: a page bears what was put into it near its beginning.
const UPLOAD_MAX: usize = 4 << 10;
/// Longest line of a chunked body's framing.
const CHUNK_LINE_MAX: u8 = 255;
/// Methods of HTTP (RFC 9110), PATCH (RFC 5789) and WebDAV (RFC 4918, 3253, 5323), which Windows speaks. They are known by themselves;
/// any other word is a method when the whole line says so.
const METHODS: [&[u8]; 19] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"CONNECT",
    b"OPTIONS",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"BITS_POST",
];
const FIRST_LETTERS: FirstLetters = FirstLetters::of(&METHODS);

/// Whether a stream begins with a request.
#[must_use]
pub fn recognise_request(bytes: &[u8]) -> Match {
    let padding = bytes.iter().take(PADDING_MAX + 1).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = bytes.get(padding..).unwrap_or(&[]);
    let Some(&first) = bytes.first() else { return Match::NeedMore };
    if padding > PADDING_MAX || !is_token(first) {
        return Match::No;
    }
    let mut partial = false;
    if FIRST_LETTERS.contain(first) {
        for method in METHODS {
            match bytes.strip_prefix(method) {
                Some([b' ', ..]) => return Match::Yes,
                Some([]) => partial = true,
                Some(_) => {}
                None => partial |= method.starts_with(bytes),
            }
        }
    }
    if partial { Match::NeedMore } else { recognise_unknown_method(bytes) }
}

/// Whether a line is a request line whatever its first word is: a method is any token (RFC 9110 section 9.1). The target and the version
/// have to be there.
fn recognise_unknown_method(bytes: &[u8]) -> Match {
    let method = bytes.iter().take(UNKNOWN_METHOD_MAX + 1).take_while(|&&byte| is_token(byte)).count();
    if method > UNKNOWN_METHOD_MAX {
        return Match::No;
    }
    let target = match bytes.get(method..).unwrap_or(&[]) {
        [] => return Match::NeedMore,
        [b' ', target @ ..] => target,
        _ => return Match::No,
    };
    match target {
        [] => return Match::NeedMore,
        [b'/' | b'*', ..] => {}
        _ => {
            let scheme = target.iter().take(UNKNOWN_METHOD_MAX).take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let behind = target.get(scheme..).unwrap_or(&[]);
            let separator = b"://".get(..behind.len()).unwrap_or(b"://");
            if scheme == 0 || !behind.starts_with(separator) {
                return Match::No;
            }
        }
    }
    let line = target.get(..UNKNOWN_LINE_MAX).unwrap_or(target);
    match memchr(b'\n', line).and_then(|end| line.get(..end)) {
        Some(line) => {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let is_version = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
            if is_version { Match::Yes } else { Match::No }
        }
        None if target.len() < UNKNOWN_LINE_MAX && !line.contains(&0) => Match::NeedMore,
        None => Match::No,
    }
}

/// Whether a byte may be part of a token (RFC 9110 section 5.6.2).
#[inline]
fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// A table, because streams of every protocol are asked.
#[allow(clippy::indexing_slicing)] // At compile time.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

/// Whether a stream begins with a response.
#[must_use]
pub fn recognise_response(bytes: &[u8]) -> Match {
    const OPENING: &[u8] = b"HTTP/1.";
    if bytes.starts_with(OPENING) {
        Match::Yes
    } else if OPENING.starts_with(bytes) {
        Match::NeedMore
    } else {
        Match::No
    }
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// More requests, or more of one.
    More,
    /// A tunnel, from these bytes on.
    Tunnel(&'a [u8]),
    /// No HTTP, from these bytes on.
    Lost(&'a [u8]),
}

/// Framing of the body behind a request head (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Before or inside a head.
    #[default]
    Head,
    /// Bytes of a body still to come.
    Body(u64),
    /// Inside the line that says how long a chunk is: length so far, bytes of the line.
    ChunkSize(u64, u8),
    /// Bytes of a chunk still to come, its line end among them.
    Chunk(u64),
    /// Behind the last chunk: whether the line at hand is empty so far.
    Trailer(bool),
    /// In the part of an overlong head that is not kept: whether the line at hand is empty so far, and the length of the body.
    Overlong(bool, u64),
}

/// What a head led to, and the bytes behind it.
enum Step<'a> {
    /// It is not complete.
    Partial,
    /// HTTP goes on.
    Next(&'a [u8]),
    /// A tunnel.
    Tunnel(&'a [u8]),
    /// It is none.
    Lost(&'a [u8]),
}

/// The requests of one connection.
#[derive(Debug, Default)]
pub struct RequestStream {
    state: State,
    held: Vec<u8>,
    /// Bytes of the body at hand that are still given.
    upload_left: usize,
    /// Heads that were longer than what is kept, since they were last asked for.
    overlong: u32,
}

impl RequestStream {
    /// Takes the next bytes, and gives every request whose head they complete.
    pub fn accept<'b>(&mut self, bytes: &'b [u8], emit: impl FnMut(&HttpRequest<'_>)) -> Progress<'b> {
        self.accept_with_uploads(bytes, emit, |_| {})
    }

    /// The same, and gives the beginnings of bodies, in pieces as they come.
    pub fn accept_with_uploads<'b>(
        &mut self,
        mut bytes: &'b [u8],
        mut emit: impl FnMut(&HttpRequest<'_>),
        mut upload: impl FnMut(&[u8]),
    ) -> Progress<'b> {
        while !bytes.is_empty() {
            match self.state {
                State::Head => {
                    if self.held.is_empty() {
                        // Line ends between requests.
                        let padding = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                        bytes = bytes.get(padding..).unwrap_or(&[]);
                        if bytes.is_empty() {
                            break;
                        }
                        if recognise_request(bytes) == Match::No {
                            return Progress::Lost(bytes);
                        }
                    }
                    match self.head(bytes, &mut emit) {
                        Step::Partial => return Progress::More,
                        Step::Next(rest) => bytes = rest,
                        Step::Tunnel(rest) => {
                            self.clear();
                            return Progress::Tunnel(rest);
                        }
                        Step::Lost(rest) => return Progress::Lost(rest),
                    }
                }
                State::Body(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.give_upload(taken, bytes, &mut upload);
                    bytes = usize::try_from(taken).ok().and_then(|taken| bytes.get(taken..)).unwrap_or(&[]);
                    self.state = if taken == left { State::Head } else { State::Body(left - taken) };
                }
                State::Overlong(empty, body) => {
                    let Some((&byte, rest)) = bytes.split_first() else { break };
                    bytes = rest;
                    self.state = match byte {
                        b'\n' if empty && body == 0 => State::Head,
                        b'\n' if empty => State::Body(body),
                        b'\n' => State::Overlong(true, body),
                        b'\r' => State::Overlong(empty, body),
                        _ => State::Overlong(false, body),
                    };
                }
                State::ChunkSize(..) | State::Chunk(_) | State::Trailer(_) => {
                    if let State::Chunk(left) = self.state {
                        self.give_upload(left.saturating_sub(2).min(bytes.len() as u64), bytes, &mut upload);
                    }
                    let Some(rest) = self.chunked(bytes) else { return Progress::Lost(bytes) };
                    bytes = rest;
                }
            }
        }
        Progress::More
    }

    /// Gives the first `length` of `bytes`, as far as they belong to the beginning of a body.
    fn give_upload(&mut self, length: u64, bytes: &[u8], upload: &mut impl FnMut(&[u8])) {
        let given = usize::try_from(length).unwrap_or(usize::MAX).min(self.upload_left);
        self.upload_left -= given;
        if let Some(piece @ [_, ..]) = bytes.get(..given) {
            upload(piece);
        }
    }

    /// Notes that `missing` bytes were lost: whether they all lay inside a body, so that the place is still known.
    pub fn skip(&mut self, missing: u64) -> bool {
        match self.state {
            State::Body(left) if missing <= left => {
                self.state = if missing == left { State::Head } else { State::Body(left - missing) };
                true
            }
            State::Chunk(left) if missing < left => {
                self.state = State::Chunk(left - missing);
                true
            }
            _ => false,
        }
    }

    /// Reads what there is of a head that will not be completed.
    pub fn finish(&mut self, mut emit: impl FnMut(&HttpRequest<'_>)) {
        if let Some(head) = Head::parse(whole_lines(&self.held)) {
            emit(&head.request);
        }
        self.clear();
    }

    /// Heads that were longer than what is kept, since this was last asked.
    pub const fn take_overlong(&mut self) -> u32 {
        std::mem::replace(&mut self.overlong, 0)
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.state = State::Head;
        self.held.clear();
        if self.held.capacity() > CAPACITY_KEPT {
            self.held = Vec::new();
        }
        self.upload_left = 0;
    }

    /// Reads the head that begins with what is held.
    fn head<'b>(&mut self, bytes: &'b [u8], emit: &mut impl FnMut(&HttpRequest<'_>)) -> Step<'b> {
        let held = self.held.len();
        let (head, rest) = if held == 0 {
            // Where a head is too long must not depend on the pieces that it comes in.
            match head_end(bytes.get(..HEAD_MAX).unwrap_or(bytes), 0) {
                Some(end) => bytes.split_at_checked(end).unwrap_or((bytes, &[])),
                None => {
                    let beyond = self.hold(bytes);
                    return self.give_up(beyond, emit);
                }
            }
        } else {
            // The end may straddle the border, by three bytes at most.
            let before = held.saturating_sub(3);
            let beyond = self.hold(bytes);
            // What was held could still become a request line, and now it has become none.
            let before_line = self.held.get(..held).unwrap_or(&[]);
            if recognise_request(before_line) != Match::Yes && recognise_request(&self.held) == Match::No {
                self.held.clear();
                return Step::Lost(bytes);
            }
            let Some(end) = head_end(&self.held, before) else { return self.give_up(beyond, emit) };
            let rest = bytes.get(end - held..).unwrap_or(&[]);
            self.held.truncate(end);
            (&[][..], rest)
        };
        let whole = if held == 0 { head } else { &self.held };
        let Some(head) = Head::parse(whole) else {
            self.held.clear();
            // What looked like a request was none; the rest is looked at afresh.
            return Step::Next(rest);
        };
        emit(&head.request);
        self.upload_left = UPLOAD_MAX;
        let connect = head.request.target_form == HttpTarget::Authority;
        self.state = head.body;
        self.held.clear();
        if connect { Step::Tunnel(rest) } else { Step::Next(rest) }
    }

    /// Keeps bytes of a head as far as there is room, and gives the others.
    fn hold<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = HEAD_MAX.saturating_sub(self.held.len()).min(bytes.len());
        let (kept, beyond) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.held.extend_from_slice(kept);
        beyond
    }

    /// Once the head is longer than we keep, its beginning must do: the rest is skipped, and whatever body it may have.
    fn give_up<'b>(&mut self, beyond: &'b [u8], emit: &mut impl FnMut(&HttpRequest<'_>)) -> Step<'b> {
        if self.held.len() < HEAD_MAX {
            return Step::Partial;
        }
        let at_line_start = self.held.ends_with(b"\n") || self.held.ends_with(b"\n\r");
        let body = match Head::parse(whole_lines(&self.held)) {
            Some(Head { body: State::Body(length), .. }) => length,
            Some(Head { body: State::Head, request }) if matches!(request.method, b"GET" | b"HEAD") => 0,
            // Its length stands in a line that is not kept, or in the body itself.
            _ => u64::MAX,
        };
        self.finish(emit);
        self.overlong += 1;
        self.state = State::Overlong(at_line_start, body);
        Step::Next(beyond)
    }

    /// Walks over the framing of a chunked body (RFC 9112 section 7.1).
    fn chunked<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let (&byte, rest) = bytes.split_first()?;
        match self.state {
            State::ChunkSize(size, line) => {
                let line = line.checked_add(1).filter(|&line| line < CHUNK_LINE_MAX)?;
                self.state = match (byte, char::from(byte).to_digit(16)) {
                    (b'\n', _) if line == 1 => return None,
                    (b'\n', _) if size & !EXTENSION == 0 => State::Trailer(true),
                    // The chunk's own line end is part of it.
                    (b'\n', _) => State::Chunk((size & !EXTENSION) + 2),
                    (_, Some(digit)) if size & EXTENSION == 0 => State::ChunkSize(
                        size.checked_mul(16).filter(|&size| size < EXTENSION >> 8)? + u64::from(digit),
                        line,
                    ),
                    // A carriage return, or an extension behind a semicolon.
                    _ => State::ChunkSize(size | EXTENSION, line),
                };
                Some(rest)
            }
            State::Chunk(left) => {
                let taken = left.min(bytes.len() as u64);
                self.state = if taken == left { State::ChunkSize(0, 0) } else { State::Chunk(left - taken) };
                bytes.get(usize::try_from(taken).ok()?..)
            }
            State::Trailer(empty) => {
                self.state = match byte {
                    b'\n' if empty => State::Head,
                    b'\n' => State::Trailer(true),
                    b'\r' => State::Trailer(empty),
                    _ => State::Trailer(false),
                };
                Some(rest)
            }
            State::Head | State::Body(_) | State::Overlong(..) => Some(bytes),
        }
    }
}

/// Marks, in the length of a chunk, that its digits are over.
const EXTENSION: u64 = 1 << 63;

/// The lines that are there to their end: the last may be half a line, and half a name is another name.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    bytes.get(..end).unwrap_or(&[])
}

/// Where a head ends: behind its empty line. Looks from `from` on.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr(b'\n', bytes.get(at..)?)? + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// A request head, and what follows it.
struct Head<'a> {
    request: HttpRequest<'a>,
    body: State,
}

impl<'a> Head<'a> {
    /// Reads the lines of a head; the empty line may be missing.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = Lines(bytes);
        let mut parts = lines.next()?.split(|&byte| byte == b' ').filter(|part| !part.is_empty());
        let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
        let minor_version = match version {
            b"HTTP/1.1" => 1,
            b"HTTP/1.0" => 0,
            _ => return None,
        };
        let mut request = HttpRequest {
            method,
            target_form: HttpTarget::Origin,
            host: None,
            host_address: None,
            port: None,
            path: target,
            user_agent: None,
            minor_version,
            has_own_fields: false,
            head: bytes,
        };
        request.read_target(target)?;
        let mut body = State::Head;
        for line in lines {
            let Some((name, value)) = field(line) else { continue };
            request.has_own_fields |= matches!(name, [b'X' | b'x', b'-', ..]);
            if name.eq_ignore_ascii_case(b"host") {
                // The target says more than the Host field (RFC 9112 section 3.2.2).
                if matches!(request.target_form, HttpTarget::Origin | HttpTarget::Asterisk) && !request.has_host() {
                    request.read_authority(value);
                }
            } else if name.eq_ignore_ascii_case(b"user-agent") {
                request.user_agent = request.user_agent.or(Some(value));
            } else if name.eq_ignore_ascii_case(b"content-length") {
                let length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                if let (State::Head, Some(length @ 1..)) = (body, length) {
                    body = State::Body(length);
                }
            } else if name.eq_ignore_ascii_case(b"transfer-encoding")
                && value.to_ascii_lowercase().ends_with(b"chunked")
            {
                body = State::ChunkSize(0, 0);
            }
        }
        if request.target_form == HttpTarget::Authority {
            body = State::Head;
        }
        Some(Self { request, body })
    }
}

impl<'a> HttpRequest<'a> {
    /// Name and value of each header field, as on the wire.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        Lines(self.head).skip(1).filter_map(field)
    }

    /// Whether its sender says that it passes on what another asked: a proxy (RFC 9110 section 7.6.3, RFC 7239, and the older field that
    /// most write).
    #[must_use]
    pub fn is_forwarded(&self) -> bool {
        const FIELDS: [&[u8]; 3] = [b"via", b"forwarded", b"x-forwarded-for"];
        self.fields().any(|(name, _)| FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field)))
    }

    const fn has_host(&self) -> bool {
        self.host.is_some() || self.host_address.is_some()
    }

    /// Reads the request target (RFC 9112 section 3.2); `None` when it has none of the four forms.
    fn read_target(&mut self, target: &'a [u8]) -> Option<()> {
        if self.method == b"CONNECT" {
            self.target_form = HttpTarget::Authority;
            self.path = &[];
            self.read_authority(target);
        } else if target.first() == Some(&b'/') {
            self.target_form = HttpTarget::Origin;
        } else if target == b"*" {
            self.target_form = HttpTarget::Asterisk;
        } else {
            let scheme_end = target.iter().take(16).position(|&byte| byte == b':')?;
            let authority = target.get(scheme_end..)?.strip_prefix(b"://")?;
            let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(authority.len());
            let (authority, path) = authority.split_at_checked(end)?;
            self.target_form = HttpTarget::Absolute;
            self.path = if path.is_empty() { b"/" } else { path };
            self.read_authority(authority);
        }
        Some(())
    }

    /// Reads `user@host:port`; each part but the host may be missing.
    fn read_authority(&mut self, authority: &[u8]) {
        let host = authority.rsplit(|&byte| byte == b'@').next().unwrap_or(authority);
        let (host, port) = match host.strip_prefix(b"[").and_then(|inner| inner.split_at_checked(memchr(b']', inner)?))
        {
            Some((inner, rest)) => {
                self.host_address = text(inner).and_then(|inner| inner.parse::<Ipv6Addr>().ok()).map(IpAddr::V6);
                (&[][..], rest.get(1..).unwrap_or(&[]).strip_prefix(b":"))
            }
            None => match memchr(b':', host).and_then(|colon| host.split_at_checked(colon)) {
                Some((host, port)) => (host, port.get(1..)),
                None => (host, None),
            },
        };
        self.port = port.and_then(text).and_then(|port| port.parse().ok());
        if !host.is_empty() {
            self.host = DomainName::from_text(host);
            self.host_address = text(host).and_then(|host| host.parse().ok());
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Name and value of a header field, spaces around the value removed.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
    Some((name, value.get(1..)?.trim_ascii()))
}

/// Lines of a head, without their ends; a bare line feed is taken as one (RFC 9112 section 2.2).
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let mut reader = Reader::new(self.0);
        let length = memchr(b'\n', self.0).unwrap_or(self.0.len());
        let line = reader.take(length)?;
        let _ = reader.u8();
        self.0 = reader.rest();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests;
