//! Messages that resolvers log as dnstap (<https://dnstap.info>), in the words of EVE records, a line for each: files of BIND, Unbound, Knot and
//! others, in frame streams (<https://farsightsec.github.io/fstrm/>).
//!
//! Of a frame stream a data frame has its length in front, and a control frame a length of 0. A data frame is a message of protocol buffers
//! (<https://github.com/dnstap/dnstap.pb/blob/master/dnstap.proto>). Lines are numbered as the frames are. Read are messages of clients, and those
//! of authoritative servers, which are asked by resolvers; what a resolver asks for itself is counted and left.

use foldhash::fast::FixedState;
use kaspector::inspect::DnsMessage;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest frame: a message and its reply, each of 64 KiB at most, and what stands around them.
const FRAME_MAX: usize = 1 << 18;
/// What the first control frame of such a stream says.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";
/// How a stream begins: a control frame, START.
const START: usize = 12;
/// Bytes of lines that are made at once.
const LINES: usize = 32 << 10;

/// Gives logs as lines: those that are none, frame streams of dnstap, a line for each frame; all others as they are.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn as_lines(mut reader: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    reader.by_ref().take((START + 64) as u64).read_to_end(&mut head)?;
    let is_control = head.get(..4) == Some(&[0; 4]) && head.get(8..START) == Some(&[0, 0, 0, 2]);
    let is_dnstap = is_control && memchr::memmem::find(&head, CONTENT).is_some();
    let whole = io::Cursor::new(head).chain(reader);
    Ok(if is_dnstap { Box::new(Frames::new(whole)) } else { Box::new(whole) })
}

/// Lines for the frames of a stream.
struct Frames<R> {
    reader: R,
    lines: Vec<u8>,
    given: usize,
    is_over: bool,
    frame: Vec<u8>,
    message: DnsMessage,
}

impl<R: Read> Frames<R> {
    fn new(reader: R) -> Self {
        Self { reader, lines: Vec::new(), given: 0, is_over: false, frame: Vec::new(), message: DnsMessage::default() }
    }

    /// Makes more lines.
    fn fill(&mut self) -> io::Result<()> {
        self.lines.clear();
        self.given = 0;
        while self.lines.len() < LINES && !self.is_over {
            match self.next_frame() {
                Ok(Some(true)) => self.tell(),
                Ok(Some(false)) => {}
                Ok(None) => self.is_over = true,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.lines.extend_from_slice(b"a frame that was cut short\n");
                    self.is_over = true;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.lines.extend_from_slice(b"a frame of an impossible length; what follows cannot be found\n");
                    self.is_over = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads the next frame: whether it has data; `None` at the end.
    fn next_frame(&mut self) -> io::Result<Option<bool>> {
        let mut length = [0; 4];
        self.frame.clear();
        if self.reader.by_ref().take(4).read_to_end(&mut self.frame)? == 0 {
            return Ok(None);
        }
        length.copy_from_slice(self.frame.get(..4).ok_or(io::ErrorKind::UnexpectedEof)?);
        let is_data = length != [0; 4];
        if !is_data {
            self.reader.read_exact(&mut length)?;
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > FRAME_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.frame.resize(length, 0);
        self.reader.read_exact(&mut self.frame)?;
        // STOP is 3.
        let stops = !is_data && self.frame.get(..4) == Some(&[0, 0, 0, 3]);
        Ok(if stops { None } else { Some(is_data) })
    }

    /// Adds the line of the frame at hand.
    fn tell(&mut self) {
        let Self { lines, frame, message, .. } = self;
        match Tap::read(frame) {
            Some(tap) => tap.tell(message, lines),
            None => lines.extend_from_slice(b"a frame that is no message of dnstap\n"),
        }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.lines.len() {
            self.fill()?;
        }
        let left = self.lines.get(self.given..).unwrap_or_default();
        let count = left.len().min(into.len());
        if let (Some(into), Some(left)) = (into.get_mut(..count), left.get(..count)) {
            into.copy_from_slice(left);
        }
        self.given += count;
        Ok(count)
    }
}

/// What of a message is looked at.
#[derive(Default)]
struct Tap<'a> {
    kind: u64,
    protocol: u64,
    client: Option<IpAddr>,
    server: Option<IpAddr>,
    client_port: u64,
    server_port: u64,
    query: (u64, u64, &'a [u8]),
    response: (u64, u64, &'a [u8]),
}

impl<'a> Tap<'a> {
    fn read(frame: &'a [u8]) -> Option<Self> {
        let mut message = None;
        for field in (Fields { rest: frame }) {
            if let (14, Value::Bytes(bytes)) = field? {
                message = Some(bytes);
            }
        }
        let mut tap = Self::default();
        for field in (Fields { rest: message? }) {
            match field? {
                (1, Value::Number(kind)) => tap.kind = kind,
                (3, Value::Number(protocol)) => tap.protocol = protocol,
                (4, Value::Bytes(bytes)) => tap.client = address(bytes),
                (5, Value::Bytes(bytes)) => tap.server = address(bytes),
                (6, Value::Number(port)) => tap.client_port = port,
                (7, Value::Number(port)) => tap.server_port = port,
                (8, Value::Number(seconds)) => tap.query.0 = seconds,
                (9, Value::Number(nanoseconds)) => tap.query.1 = nanoseconds,
                (10, Value::Bytes(bytes)) => tap.query.2 = bytes,
                (12, Value::Number(seconds)) => tap.response.0 = seconds,
                (13, Value::Number(nanoseconds)) => tap.response.1 = nanoseconds,
                (14, Value::Bytes(bytes)) => tap.response.2 = bytes,
                _ => {}
            }
        }
        Some(tap)
    }

    /// Adds its line.
    fn tell(&self, message: &mut DnsMessage, lines: &mut Vec<u8>) {
        // AUTH_QUERY and AUTH_RESPONSE, CLIENT_QUERY and CLIENT_RESPONSE.
        let (is_response, (seconds, nanoseconds, bytes)) = match self.kind {
            1 | 5 => (false, self.query),
            2 | 6 => (true, self.response),
            _ => {
                lines.extend_from_slice(b"{\"timestamp\":\"\",\"event_type\":\"dnstap\"}\n");
                return;
            }
        };
        let at = i64::try_from(seconds).ok().zip(i32::try_from(nanoseconds).ok());
        let at = at.and_then(|(seconds, nanoseconds)| jiff::Timestamp::new(seconds, nanoseconds).ok());
        let (Some(at), Some(client), Ok(())) = (at, self.client, message.parse(bytes)) else {
            lines.extend_from_slice(b"a message of dnstap without its time, its client or a message of DNS\n");
            return;
        };
        let server = self.server.unwrap_or_else(|| crate::format::unspecified(client));
        let name = message.question.as_ref().map_or("", |(name, _)| name.as_str());
        let record_type = message.question.as_ref().map_or(0, |&(_, of_type)| of_type);
        let ends = (client, self.client_port, server, message.id, name);
        // A query and its answer have the same.
        let flow = FixedState::default().hash_one(ends) >> 1;
        let answers = if is_response { answers(message, name) } else { Vec::new() };
        let dns = serde_json::json!({
            "type": if is_response { "answer" } else { "query" }, "id": message.id, "rd": message.recursion_desired,
            "rrname": name, "rrtype": spelled(record_type), "rcode": message.response_code.to_string(), "answers": answers,
        });
        let time = at.strftime("%Y-%m-%dT%H:%M:%S.%6f+0000");
        let proto = if self.protocol == 1 { "UDP" } else { "TCP" };
        let (client_port, server_port) = (self.client_port & 0xffff, self.server_port & 0xffff);
        lines.extend_from_slice(
            format!(
                r#"{{"timestamp":"{time}","flow_id":{flow},"in_iface":"dnstap","event_type":"dns","src_ip":"{client}","src_port":{client_port},"dest_ip":"{server}","dest_port":{server_port},"proto":"{proto}","dns":{dns}}}"#
            )
            .as_bytes(),
        );
        lines.push(b'\n');
    }
}

/// The aliases in their order, and the addresses of the last.
fn answers(message: &DnsMessage, name: &str) -> Vec<serde_json::Value> {
    let mut owner = name;
    let mut all = Vec::new();
    for alias in &message.names {
        all.push(
            serde_json::json!({"rrname": owner, "rrtype": "CNAME", "ttl": u32::MAX >> 1, "rdata": alias.as_str()}),
        );
        owner = alias.as_str();
    }
    for answer in &message.addresses {
        let kind = if answer.address.is_ipv4() { "A" } else { "AAAA" };
        all.push(serde_json::json!({"rrname": owner, "rrtype": kind, "ttl": answer.ttl_s, "rdata": answer.address.to_string()}));
    }
    all
}

/// A type of records by its name, as far as addresses follow from it.
const fn spelled(record_type: u16) -> &'static str {
    match record_type {
        1 => "A",
        5 => "CNAME",
        28 => "AAAA",
        65 => "HTTPS",
        _ => "other",
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)))).ok()
}

/// A value of protocol buffers.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message of protocol buffers (<https://protobuf.dev/programming-guides/encoding/>), by their numbers; `None` where it is none.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Number(u64::from(u32::from_le_bytes(self.take(4)?.try_into().ok()?))),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let &byte = self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f).checked_shl(place * 7)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::{LineParser, LogFormat, LogReader};
    use kaspector::matching::{Field, SignatureSet};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// A field with bytes.
    fn bytes(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
    }

    fn frame(data: &[u8]) -> Vec<u8> {
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], data].concat()
    }

    /// A message of DNS with this question, and an answer to it if it is one.
    fn dns(is_answer: bool) -> Vec<u8> {
        let flags: [u8; 2] = if is_answer { [0x81, 0x80] } else { [1, 0] };
        let mut dns = [&[0x12, 0x34][..], &flags, &[0, 1, 0, u8::from(is_answer), 0, 0, 0, 0]].concat();
        dns.extend_from_slice(b"\x03s07\x03upd\x09kaspersky\x03com\x00\x00\x01\x00\x01");
        if is_answer {
            dns.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc6\x33\x64\x0a");
        }
        dns
    }

    /// A message of this kind at 2026-11-24T03:39:09.5Z, from 10.0.0.5.
    fn tap(kind: u8, is_answer: bool) -> Vec<u8> {
        let mut time = vec![if is_answer { 12 << 3 } else { 8 << 3 }];
        let mut seconds = 1_795_491_549_u64;
        while seconds > 0x7f {
            time.push(u8::try_from(seconds & 0x7f).unwrap() | 0x80);
            seconds >>= 7;
        }
        time.push(u8::try_from(seconds).unwrap());
        time.push(if is_answer { 13 << 3 | 5 } else { 9 << 3 | 5 });
        time.extend_from_slice(&500_000_000_u32.to_le_bytes());
        let message = [
            &[1 << 3, kind, 2 << 3, 1, 3 << 3, 1][..],
            &bytes(4, &[10, 0, 0, 5]),
            &bytes(5, &[10, 0, 0, 53]),
            &[6 << 3, 0xb8, 0x17, 7 << 3, 53],
            &time,
            &bytes(if is_answer { 14 } else { 10 }, &dns(is_answer)),
        ]
        .concat();
        let length = u8::try_from(message.len()).unwrap();
        let length = if length > 0x7f { vec![length, 1] } else { vec![length] };
        [&bytes(1, b"ns1")[..], &[14 << 3 | 2], &length, &message, &[15 << 3, 1]].concat()
    }

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        let start = [&[0, 0, 0, 2, 0, 0, 0, 1][..], &frame(CONTENT)].concat();
        let mut stream = [&[0; 4][..], &frame(&start)].concat();
        frames.iter().for_each(|data| stream.extend(frame(data)));
        stream.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]);
        stream
    }

    fn lines(stream: Vec<u8>) -> String {
        let mut text = String::new();
        as_lines(io::Cursor::new(stream)).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn messages_of_clients_are_lines() {
        let text = lines(stream(&[tap(5, false), tap(6, true), tap(3, false)]));
        assert_eq!(LogFormat::recognise(text.as_bytes()), Some(LogFormat::Dnstap));
        let signatures = Arc::new(SignatureSet::builtin());
        let (mut reader, mut parser) = (LogReader::new(&signatures), LineParser::eve());
        text.lines().for_each(|line| _ = reader.line(&mut parser, line.as_bytes()));
        let counters = reader.counters().clone();
        assert_eq!((counters.lines, counters.read, counters.others), (3, 2, 1), "{text}");
        let host = reader.finish().host_findings(&signatures).remove(0);
        assert_eq!(host.host.address.to_string(), "10.0.0.5");
        let evidence: Vec<_> = host.evidence.iter().map(|line| (line.field, line.first_seen.0)).collect();
        assert_eq!(evidence, [(Field::DnsQuery, 1_795_491_549_500_000_000)]);
    }

    #[test]
    fn what_is_none_is_given_as_it_is() {
        for text in ["", "Nov 24", "a longer text that is no stream of frames at all, whatever it may look like\n"] {
            assert_eq!(lines(text.as_bytes().to_vec()), text);
        }
        let mut cut = stream(&[tap(5, false)]);
        cut.truncate(cut.len() - 20);
        assert!(lines(cut).ends_with("a frame that was cut short\n"));
        let mut long = stream(&[]);
        long.truncate(long.len() - 12);
        long.extend_from_slice(&[0xff; 8]);
        assert!(lines(long).starts_with("a frame of an impossible length"));
        assert_eq!(lines(stream(&[b"\x72\x01".to_vec()])), "a frame that is no message of dnstap\n");
    }

    proptest! {
        /// Each frame is a line, whatever it holds.
        #[test]
        fn each_frame_is_a_line(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut data = tap(6, true);
            let place = at.index(data.len());
            data[place] = byte;
            prop_assert_eq!(lines(stream(&[data.clone()])).lines().count(), 1);
            data.truncate(cut.index(data.len() - 1) + 1);
            prop_assert_eq!(lines(stream(&[data])).lines().count(), 1);
        }
    }
}
