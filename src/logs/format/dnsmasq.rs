//! The log of dnsmasq (<https://thekelleys.org.uk/dnsmasq/docs/dnsmasq-man.html>) with `log-queries` or `log-queries=extra`, and of Pi-hole, as
//! dnsmasq 2.80 to 2.91 write it into a file or to syslog:
//!
//! ```text
//! Nov 24 03:39:09 dnsmasq[1234]: query[A] a.example from 10.0.0.5
//! Nov 24 03:39:09 dnsmasq[1234]: 12 10.0.0.5/55400 query[A] a.example from 10.0.0.5
//! ```
//!
//! Only queries name a client. What was forwarded, answered or blocked says no more of it.

use super::Emit;
use super::clock::{self, Clock};
use super::lookup::Lookup;
use crate::reader::Malformed;

pub fn is_line(line: &str) -> bool {
    clock::lacks(line).is_some() && message(line).is_some()
}

/// What follows `dnsmasq[1234]: ` or `dnsmasq: `.
fn message(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("dnsmasq")?;
    let (process, message) = rest.split_once(": ")?;
    (process.is_empty() || process.starts_with('[') && process.ends_with(']')).then_some(message)
}

pub fn parse(line: &str, clock: &mut Clock, emit: &mut Emit<'_>) -> Result<(), Malformed> {
    let Some(message) = message(line) else { return Err(Malformed::Line("no message of dnsmasq")) };
    let mut words = message.split_ascii_whitespace();
    let (mut word, mut client_port) = (words.next().unwrap_or_default(), 0);
    // A number for the query, and its client with its port.
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        client_port = words.next().and_then(|end| end.rsplit_once('/')?.1.parse().ok()).unwrap_or_default();
        word = words.next().unwrap_or_default();
    }
    let Some(record_type) = word.strip_prefix("query[").and_then(|rest| rest.strip_suffix(']')) else { return Ok(()) };
    let (Some(name), Some("from"), Some(client)) = (words.next(), words.next(), words.next()) else {
        return Err(Malformed::Line("behind 'query' there is no name and no client"));
    };
    let (at, _) = clock.leading(line).ok_or(Malformed::Time)?;
    let lookup = Lookup {
        at,
        client: client.parse().map_err(|_| Malformed::Addresses)?,
        client_port,
        resolver: None,
        name,
        record_type,
        recursion_desired: true,
        over_tcp: false,
        response_code: None,
    };
    emit(&lookup.record())
}
