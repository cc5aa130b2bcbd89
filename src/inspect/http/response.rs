//! HTTP/1 responses (RFC 9112): the status, and the first bytes of the body as its author wrote them.
//!
//! Nothing is followed to its end: behind the first bytes of a body the direction is left alone, until the client asks for more.

use super::{Lines, field, head_end, recognise_response, text};
use crate::inspect::recognition::Match;
use crate::inspect::{HttpRequest, HttpResponse};
use flate2::bufread::{GzDecoder, ZlibDecoder};
use std::io::Read;

/// Bytes of a body that are given, after decoding.
pub const BODY_MAX: usize = 64;
/// Bytes of a body that are kept to decode them; the tables of a deflate stream take some hundred.
const CODED_MAX: usize = 1 << 10;
/// Bytes of a response head that are kept.
const HEAD_MAX: usize = 32 << 10;
/// Memory that is kept from one connection to the next.
const CAPACITY_KEPT: usize = 8 << 10;
/// Bytes of the request that are kept beside the response to it: its first line and the fields that usually come first. More, where
/// somebody's own fields are among them.
const ASKED_MAX: usize = 256;
const ASKED_OWN_MAX: usize = 512;
/// Tries to decompress a body that comes in pieces.
const INFLATIONS_MAX: u8 = 4;

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More of a response.
    More,
    /// Nothing of interest until the client asks again.
    Over,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Before or inside a head.
    #[default]
    Head,
    /// Behind a head whose body has not shown enough yet.
    Body(Head),
}

/// The responses of one connection.
#[derive(Debug, Default)]
pub struct ResponseStream {
    state: State,
    held: Vec<u8>,
    /// The request that the next response answers; empty when it is not known.
    asked: Vec<u8>,
    /// Whether a request waits for its response.
    awaited: bool,
    /// Whether requests came before their predecessors were answered: then nobody knows any more which response is whose.
    pipelined: bool,
    inflations: u8,
    /// Heads that were longer than what is kept, since they were last asked for.
    overlong: u32,
}

impl ResponseStream {
    /// Notes that the client sent this request.
    pub fn expect(&mut self, request: &HttpRequest<'_>) {
        self.pipelined |= self.awaited;
        self.awaited = true;
        self.asked.clear();
        if !self.pipelined {
            let most = if request.has_own_fields { ASKED_OWN_MAX } else { ASKED_MAX };
            self.asked.extend_from_slice(request.head.get(..most).unwrap_or(request.head));
        }
        self.held.clear();
        self.state = State::Head;
    }

    /// Takes the next bytes, and gives the response whose first bytes they complete.
    pub fn accept(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&HttpResponse<'_>)) -> Progress {
        loop {
            match self.state {
                State::Head => {
                    if self.held.is_empty() && recognise_response(bytes) == Match::No {
                        // The rest of an earlier body.
                        return self.over();
                    }
                    let before = self.held.len();
                    let (head, rest) = if before == 0
                        && let Some(end) = head_end(bytes.get(..HEAD_MAX).unwrap_or(bytes), 0)
                        && let Some((head, rest)) = bytes.split_at_checked(end)
                    {
                        (Head::parse(head), rest)
                    } else {
                        let room = HEAD_MAX.saturating_sub(before).min(bytes.len());
                        self.held.extend_from_slice(bytes.get(..room).unwrap_or(&[]));
                        // So few bytes came first that they could still become a response, and now they have become none.
                        if recognise_response(&self.held) == Match::No {
                            return self.over();
                        }
                        let Some(end) = head_end(&self.held, before.saturating_sub(3)) else {
                            if self.held.len() < HEAD_MAX {
                                return Progress::More;
                            }
                            self.overlong += 1;
                            return self.over();
                        };
                        let head = self.held.get(..end).and_then(Head::parse);
                        self.held.clear();
                        (head, bytes.get(end.saturating_sub(before)..).unwrap_or(&[]))
                    };
                    let Some(head) = head else { return self.over() };
                    bytes = rest;
                    if head.is_interim() {
                        if bytes.is_empty() {
                            return Progress::More;
                        }
                        continue;
                    }
                    self.inflations = 0;
                    // What is made of a body must not depend on the pieces that it comes in.
                    let bytes = bytes.get(..CODED_MAX).unwrap_or(bytes);
                    if self.try_give(head, bytes, bytes.len() >= CODED_MAX, &mut emit) {
                        return self.over();
                    }
                    self.held.extend_from_slice(bytes);
                    self.state = State::Body(head);
                    return Progress::More;
                }
                State::Body(head) => {
                    let room = CODED_MAX.saturating_sub(self.held.len()).min(bytes.len());
                    self.held.extend_from_slice(bytes.get(..room).unwrap_or(&[]));
                    let held = std::mem::take(&mut self.held);
                    let given = self.try_give(head, &held, held.len() >= CODED_MAX, &mut emit);
                    self.held = held;
                    return if given { self.over() } else { Progress::More };
                }
            }
        }
    }

    /// Gives what there is of a response that will not be completed.
    pub fn finish(&mut self, mut emit: impl FnMut(&HttpResponse<'_>)) {
        if let State::Body(head) = self.state {
            let held = std::mem::take(&mut self.held);
            self.try_give(head, &held, true, &mut emit);
            self.held = held;
        }
        self.over();
    }

    /// Bytes are missing: whether a response is still to come.
    pub fn interrupt(&mut self, emit: impl FnMut(&HttpResponse<'_>)) -> Progress {
        if matches!(self.state, State::Head) && self.held.is_empty() {
            return Progress::More;
        }
        self.finish(emit);
        Progress::Over
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Heads that were longer than what is kept, since this was last asked.
    pub const fn take_overlong(&mut self) -> u32 {
        std::mem::replace(&mut self.overlong, 0)
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.over();
        self.pipelined = false;
    }

    fn over(&mut self) -> Progress {
        self.state = State::Head;
        self.held.clear();
        if self.held.capacity() > CAPACITY_KEPT {
            self.held = Vec::new();
        }
        self.asked.clear();
        self.awaited = false;
        Progress::Over
    }

    /// Gives the response if its body shows enough, or if this is the `last` of it.
    fn try_give(&mut self, head: Head, body: &[u8], last: bool, emit: &mut impl FnMut(&HttpResponse<'_>)) -> bool {
        let mut decoded = [0; BODY_MAX];
        let (length, complete) = if head.has_no_body() || self.asked.starts_with(b"HEAD ") {
            (0, true)
        } else {
            match head.coding {
                Coding::Identity => head.plain(body, &mut decoded),
                // A page: what products fetch is none, and most of what people fetch is.
                _ if head.page => (0, true),
                Coding::Unknown => (0, true),
                coding => {
                    let mut coded = [0; CODED_MAX];
                    let (length, complete) = head.plain(body, &mut coded);
                    let complete = complete || last;
                    // Bytes that come one by one would cost a decompression each.
                    if !complete
                        && (self.inflations >= INFLATIONS_MAX
                            || length < CODED_MAX >> (INFLATIONS_MAX - self.inflations))
                    {
                        return false;
                    }
                    self.inflations += 1;
                    let written = coded.get(..length).map_or(0, |coded| inflate(coding, coded, &mut decoded));
                    (written, complete || written == BODY_MAX)
                }
            }
        };
        if !complete && !last {
            return false;
        }
        let body = decoded.get(..length).unwrap_or(&[]);
        emit(&HttpResponse { status: head.status, body, request_head: &self.asked });
        true
    }
}

/// How the bytes of a body are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    /// The zlib format, which HTTP calls deflate (RFC 9110 section 8.4.1.2).
    Deflate,
    Unknown,
}

/// What a response head says of its body.
#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    coding: Coding,
    /// Whether it is of a type that web pages are made of.
    page: bool,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = Lines(bytes);
        let status = lines.next()?.get(9..12).and_then(text)?.parse().ok()?;
        let mut head = Self { status, length: None, chunked: false, coding: Coding::Identity, page: false };
        for (name, value) in lines.filter_map(field) {
            // Few fields matter, and their names differ in length.
            match name.len() {
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    head.length = text(value).and_then(|value| value.parse().ok())
                }
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    let last = value.len().saturating_sub(b"chunked".len());
                    head.chunked = value.get(last..).is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
                }
                16 if name.eq_ignore_ascii_case(b"content-encoding") => {
                    head.coding = match value {
                        b"gzip" | b"x-gzip" => Coding::Gzip,
                        b"deflate" => Coding::Deflate,
                        b"identity" | b"" => Coding::Identity,
                        _ => Coding::Unknown,
                    };
                }
                12 if name.eq_ignore_ascii_case(b"content-type") => head.page = is_of_page(value),
                _ => {}
            }
        }
        Some(head)
    }

    /// A response before the response, such as 100 (Continue). 101 ends HTTP and comes to nothing here.
    const fn is_interim(&self) -> bool {
        self.status >= 100 && self.status < 200
    }

    const fn has_no_body(&self) -> bool {
        matches!(self.status, 204 | 304) || matches!(self.length, Some(0)) && !self.chunked
    }

    /// Copies the first bytes of a body out of its framing: how many, and whether there will be no more or no room for them.
    fn plain(&self, body: &[u8], into: &mut [u8]) -> (usize, bool) {
        if self.chunked {
            return unchunk(body, into);
        }
        let length = self.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        let most = length.min(into.len());
        let copied = copy(body.get(..most).unwrap_or(body), into);
        (copied, copied == most)
    }
}

/// Copies the data of chunks (RFC 9112 section 7.1) as far as they and the room go.
fn unchunk(mut body: &[u8], into: &mut [u8]) -> (usize, bool) {
    let mut written = 0;
    // Every pass takes at least the two bytes of a line.
    while let Some(end) = memchr::memchr(b'\n', body) {
        let line = body.get(..end).unwrap_or(&[]);
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = line.get(..digits).and_then(text).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let Some(size @ 1..) = size else { return (written, true) };
        body = body.get(end + 1..).unwrap_or(&[]);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let chunk = body.get(..size).unwrap_or(body);
        written += into.get_mut(written..).map_or(0, |room| copy(chunk, room));
        if written >= into.len() {
            return (written, true);
        }
        // The chunk's own line end.
        let Some(rest) = size.checked_add(2).and_then(|size| body.get(size..)) else { break };
        body = rest;
    }
    (written, false)
}

fn copy(from: &[u8], into: &mut [u8]) -> usize {
    let length = from.len().min(into.len());
    if let (Some(into), Some(from)) = (into.get_mut(..length), from.get(..length)) {
        into.copy_from_slice(from);
    }
    length
}

/// Decompresses as much as there is and fits.
fn inflate(coding: Coding, coded: &[u8], into: &mut [u8]) -> usize {
    let mut reader: Box<dyn Read + '_> = match coding {
        Coding::Deflate => Box::new(ZlibDecoder::new(coded)),
        _ => Box::new(GzDecoder::new(coded)),
    };
    let mut written = 0;
    // An error is the end of what there is; each pass but the last writes something.
    while let Some(room @ [_, ..]) = into.get_mut(written..) {
        match reader.read(room) {
            Ok(0) | Err(_) => break,
            Ok(more) => written += more,
        }
    }
    written
}

/// Whether a media type is one that web pages are made of.
fn is_of_page(value: &[u8]) -> bool {
    const TYPES: [&[u8]; 9] = [
        b"text/html",
        b"text/css",
        b"text/javascript",
        b"application/javascript",
        b"application/json",
        b"image/",
        b"font/",
        b"audio/",
        b"video/",
    ];
    TYPES.iter().any(|one| value.get(..one.len()).is_some_and(|start| start.eq_ignore_ascii_case(one)))
}

impl<'a> HttpResponse<'a> {
    /// The request that this answers, as far as its head was kept. `None` when it was not seen, or when several waited for answers.
    #[must_use]
    pub fn request(&self) -> Option<HttpRequest<'a>> {
        super::Head::parse(super::whole_lines(self.request_head)).map(|head| head.request)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    /// Notes a request.
    fn expect(http: &mut ResponseStream, request: &[u8]) {
        http.expect(&super::super::Head::parse(request).unwrap().request);
    }

    const REQUEST: &[u8] = b"GET /index/u1313g.xml HTTP/1.1\r\nHost: mirror.example\r\nUser-Agent: x\r\n\r\n";

    /// Status, body and path of each response, to one request.
    fn responses(request: &[u8], stream: &[u8], step: usize) -> Vec<(u16, Vec<u8>, String)> {
        let mut http = ResponseStream::default();
        expect(&mut http, request);
        let mut all = Vec::new();
        let mut see = |response: &HttpResponse<'_>| {
            let path = response.request().map(|request| String::from_utf8_lossy(request.path).into_owned());
            all.push((response.status, response.body.to_vec(), path.unwrap_or_default()));
        };
        let over = stream.chunks(step).any(|piece| http.accept(piece, &mut see) == Progress::Over);
        if !over {
            http.finish(see);
        }
        assert_eq!(http.held_bytes(), 0);
        all
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    /// A database of which nothing repeats but its mark.
    fn database() -> Vec<u8> {
        b"KLZF"
            .iter()
            .copied()
            .chain((0..5_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8))
            .collect()
    }

    fn stream(fields: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 200 OK\r\nServer: x\r\n{fields}\r\n").as_bytes(), body].concat()
    }

    #[test]
    fn a_body_shows_its_beginning_however_it_is_packed_and_cut() {
        let body = database();
        let length = format!("content-length: {}\r\n", body.len());
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
        deflate.write_all(&body).unwrap();
        let mut chunks = Vec::new();
        for chunk in body.chunks(10) {
            chunks.extend([format!("{:X};name=value\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        let packed = gzip(&body);
        let chunked_gzip = [format!("{:x}\r\n", packed.len()).as_bytes(), &packed, b"\r\n0\r\n\r\n"].concat();
        for stream in [
            stream(&length, &body),
            stream("", &body),
            stream("Transfer-Encoding: chunked\r\n", &chunks),
            stream("Content-Encoding: gzip\r\nContent-Type: application/octet-stream\r\n", &packed),
            stream("Content-Encoding: deflate\r\n", &deflate.finish().unwrap()),
            stream("Transfer-Encoding: chunked\r\nContent-Encoding: x-gzip\r\n", &chunked_gzip),
            [b"HTTP/1.1 100 Continue\r\n\r\n", &stream(&length, &body)[..]].concat(),
        ] {
            for step in [1, 2, 3, 7, 50, 100, 536, 1_460, stream.len()] {
                let expected = (200, body[..BODY_MAX].to_vec(), "/index/u1313g.xml".to_owned());
                assert_eq!(
                    responses(REQUEST, &stream, step),
                    [expected],
                    "{step}: {:?}",
                    String::from_utf8_lossy(&stream[..90])
                );
            }
        }
    }

    #[test]
    fn a_short_body_is_given_whole_and_a_cut_one_as_far_as_it_goes() {
        let whole = stream("Content-Length: 5\r\n", b"KLZFx");
        for end in 0..=whole.len() {
            let body: Vec<_> = responses(REQUEST, &whole[..end], 9).into_iter().map(|(_, body, _)| body).collect();
            let there = end as isize - (whole.len() as isize - 5);
            match usize::try_from(there) {
                Ok(there) => assert_eq!(body, [&b"KLZFx"[..there]], "{end}"),
                Err(_) => assert!(body.is_empty(), "{end}"),
            }
        }
        let packed = stream("Content-Encoding: gzip\r\nContent-Length: 25\r\n", &gzip(b"KLZFx"));
        assert_eq!(responses(REQUEST, &packed, 11)[0].1, b"KLZFx");
    }

    #[test]
    fn what_has_no_body_or_none_that_is_read_is_still_a_response() {
        for (request, stream) in [
            (REQUEST, stream("Content-Length: 0\r\n", b"")),
            (REQUEST, stream("Content-Encoding: br\r\n", b"KLZF")),
            (REQUEST, stream("Content-Encoding: gzip\r\nContent-Type: Text/HTML; charset=x\r\n", &gzip(b"KLZF"))),
            (b"HEAD /index/u1313g.xml HTTP/1.1\r\nHost: a\r\n\r\n", stream("Content-Length: 9\r\n", b"")),
        ] {
            assert_eq!(responses(request, &stream, 5), [(200, Vec::new(), "/index/u1313g.xml".to_owned())]);
        }
        assert_eq!(responses(REQUEST, b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nKLZF", 99)[0].0, 404);
        assert_eq!(responses(REQUEST, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", 99)[0].0, 304);
    }

    #[test]
    fn the_rest_of_a_body_and_strangers_are_left_alone() {
        for stranger in [&b"KLZFKLZF"[..], b"HTTP/2", b"HTTP/1.1 no\r\n\r\n", b"\x16\x03\x01", b"HTxxxxxxx444xxx\n\nx"]
        {
            for step in 1..=stranger.len() {
                assert!(responses(REQUEST, stranger, step).is_empty(), "{step}");
            }
        }
        let mut http = ResponseStream::default();
        assert_eq!(
            http.accept(&[&b"HTTP/1.1 200 OK\r\n"[..], &[b'x'; 40_000]].concat(), |_| panic!("no response")),
            Progress::Over
        );
        assert_eq!((http.take_overlong(), http.take_overlong()), (1, 0));
    }

    #[test]
    fn nobody_knows_whose_response_it_is_once_requests_overlapped() {
        let mut http = ResponseStream::default();
        expect(&mut http, REQUEST);
        expect(&mut http, b"GET /other HTTP/1.1\r\n\r\n");
        let mut requests = Vec::new();
        http.accept(&stream("Content-Length: 4\r\n", b"KLZF"), |response| requests.push(response.request().is_some()));
        expect(&mut http, REQUEST);
        http.accept(&stream("Content-Length: 4\r\n", b"KLZF"), |response| requests.push(response.request().is_some()));
        assert_eq!(requests, [false, false]);
    }

    proptest! {
        #[test]
        fn arbitrary_responses_never_panic_and_hold_little(
            pieces in prop::collection::vec(prop::sample::select(vec![
                &b"HTTP/1.1 200 OK\r\n"[..], b"\r\n", b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n",
                b"5\r\nKLZFx\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\x4b\xe6\x02\0", b"xxxxxxxxxxxxxxxxxxxx",
            ]), 0..80),
            step in 1usize..40,
        ) {
            let mut http = ResponseStream::default();
            for piece in pieces.concat().chunks(step) {
                let mut bodies = 0;
                if http.accept(piece, |response| { bodies += 1; assert!(response.body.len() <= BODY_MAX) }) == Progress::Over {
                    expect(&mut http, REQUEST);
                }
                prop_assert!(bodies <= 1 && http.held_bytes() <= HEAD_MAX);
            }
            http.finish(|_| {});
        }

        /// What was compressed and damaged gives no more than fits.
        #[test]
        fn damaged_compression_never_panics(flips in prop::collection::vec((0usize..5_000, any::<u8>()), 0..8), step in 1usize..2_000) {
            let mut packed = stream("Content-Encoding: gzip\r\n", &gzip(&database()));
            for (at, value) in flips {
                let at = at % packed.len();
                packed[at] = value;
            }
            prop_assert!(responses(REQUEST, &packed, step).len() <= 1);
        }
    }
}
