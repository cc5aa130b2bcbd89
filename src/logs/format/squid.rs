//! The access log of Squid (<https://wiki.squid-cache.org/Features/LogFormat>), as Squid 3 to 7 write it: the native form `squid`, and `common` and
//! `combined`, which Apache's and nginx's forward proxies write, too:
//!
//! ```text
//! 1795491549.282    120 10.0.0.5 TCP_TUNNEL/200 5120 CONNECT a.example:443 - HIER_DIRECT/198.51.100.10 -
//! 10.0.0.5 - - [24/Nov/2026:03:39:09 +0000] "GET http://a.example/x HTTP/1.1" 200 512 "-" "curl/8" TCP_MISS:HIER_DIRECT
//! ```
//!
//! The proxy's own address is not logged. A request whose target is a path alone was made to a server, not through a proxy.

use super::Emit;
use super::clock::{Clock, epoch};
use super::lookup::unspecified;
use crate::reader::Malformed;
use crate::record::{Flow, Http, Record, Text};
use crate::timestamp;
use kaspector::capture::Timestamp;
use std::net::IpAddr;

pub fn is_line(line: &str) -> bool {
    Request::of_native(line).or_else(|| Request::of_combined(line)).is_some()
}

struct Request<'a> {
    at: Timestamp,
    client: IpAddr,
    method: &'a str,
    target: &'a str,
    status: Option<u16>,
    bytes: u64,
    user_agent: Option<&'a str>,
    content_type: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn of_native(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let at = epoch(words.next()?)?;
        let _elapsed_ms: i64 = words.next()?.parse().ok()?;
        let client = words.next()?.parse().ok()?;
        let (_, status) = words.next()?.split_once('/')?;
        let bytes = words.next()?.parse().ok()?;
        let (method, target) = (words.next()?, words.next()?);
        let (_user, _peer) = (words.next()?, words.next()?);
        let content_type = words.next().filter(|&of_type| of_type != "-");
        Some(Self { at, client, method, target, status: of_server(status), bytes, user_agent: None, content_type })
    }

    fn of_combined(line: &'a str) -> Option<Self> {
        let (client, rest) = line.split_once(' ')?;
        let (_, rest) = rest.split_once('[')?;
        let (time, rest) = rest.split_once("] \"")?;
        let (request, rest) = rest.split_once('"')?;
        let mut words = request.split_ascii_whitespace();
        let (method, target) = (words.next()?, words.next()?);
        let mut after = rest.trim_ascii_start().splitn(3, ' ');
        let (status, bytes) = (after.next()?, after.next()?);
        let user_agent = after.next().and_then(|quoted| quoted.split('"').nth(3)).filter(|&agent| agent != "-");
        Some(Self {
            at: of_common(time)?,
            client: client.parse().ok()?,
            method,
            target,
            status: of_server(status),
            bytes: bytes.parse().unwrap_or(0),
            user_agent,
            content_type: None,
        })
    }

    fn record(&self) -> Record<'a> {
        Record {
            at: Some(self.at),
            event_type: Text::from("http"),
            src_ip: Some(self.client),
            src_port: Some(0),
            dest_ip: Some(unspecified(self.client)),
            dest_port: Some(0),
            proto: Some(Text::from("TCP")),
            flow: Some(Flow { bytes_toclient: self.bytes, ..Flow::default() }),
            http: Some(Http {
                http_method: Some(Text::from(self.method)),
                url: Some(Text::from(self.target)),
                status: self.status,
                http_user_agent: self.user_agent.map(Text::from),
                http_content_type: self.content_type.map(Text::from),
                ..Http::default()
            }),
            ..Record::default()
        }
    }
}

/// A status; 0 stands for none.
fn of_server(status: &str) -> Option<u16> {
    status.parse().ok().filter(|&status| status > 0)
}

/// A time of the common log format: `24/Nov/2026:03:39:09 +0000`.
fn of_common(text: &str) -> Option<Timestamp> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (date, rest) = text.split_once(':')?;
    let mut parts = date.split('/');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.find(month).filter(|at| at % 3 == 0)? / 3 + 1;
    let (clock, zone) = rest.split_once(' ')?;
    timestamp(&format!("{year}-{month:02}-{day}T{clock}{zone}"))
}

pub fn parse(line: &str, _: &mut Clock, emit: &mut Emit<'_>) -> Result<(), Malformed> {
    let request = Request::of_native(line).or_else(|| Request::of_combined(line));
    let request = request.ok_or(Malformed::Line("neither the native form of an access log nor the combined one"))?;
    // Requests that could not be read at all.
    if request.target.starts_with("error:") {
        return Ok(());
    }
    emit(&request.record())
}
