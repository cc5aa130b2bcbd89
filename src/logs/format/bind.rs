//! The query log of BIND (<https://bind9.readthedocs.io/en/latest/reference.html#logging-block-definition-and-usage>, category `queries`), as
//! BIND 9.11 to 9.20 write it into a file or to syslog:
//!
//! ```text
//! 24-Nov-2026 03:39:09.282 queries: info: client @0x7f1 10.0.0.5#55400 (a.example): view v: query: a.example IN A +E(0)TK (10.0.0.53)
//! ```
//!
//! The name asked for stands twice: what follows `query:` is what counts.

use super::clock::{self, Clock, Leading};
use super::lookup::Lookup;
use super::{Emit, Lacks};
use crate::reader::Malformed;

pub fn is_line(line: &str) -> bool {
    clock::lacks(line).is_some() && line.contains(" query: ") && client(line).is_some()
}

/// What the time of a line leaves out.
pub fn lacks(line: &str) -> Option<Lacks> {
    let leading = is_line(line).then(|| clock::lacks(line)).flatten()?;
    Some(Lacks { zone: leading != Leading::Nothing, year: leading == Leading::ZoneAndYear })
}

/// What follows `client`, or `client @0x7f1`.
fn client(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("client ")?;
    let rest = if rest.starts_with('@') { rest.split_once(' ')?.1 } else { rest };
    rest.split_once(' ').is_some_and(|(end, _)| end.contains('#')).then_some(rest)
}

pub fn parse(line: &str, clock: &mut Clock, emit: &mut Emit<'_>) -> Result<(), Malformed> {
    // Other categories of messages.
    let Some((_, query)) = line.split_once(" query: ") else { return Ok(()) };
    let (at, _) = clock.leading(line).ok_or(Malformed::Time)?;
    let (end, _) = client(line).and_then(|rest| rest.split_once(' ')).ok_or(Malformed::Addresses)?;
    let (client, port) = end.split_once('#').ok_or(Malformed::Addresses)?;
    let mut words = query.split_ascii_whitespace();
    let (Some(name), Some(_), Some(record_type)) = (words.next(), words.next(), words.next()) else {
        return Err(Malformed::Line("behind 'query:' there is no name, class and type"));
    };
    let flags = words.next().unwrap_or_default();
    let resolver = words.next().and_then(|word| word.strip_prefix('(')?.strip_suffix(')')?.parse().ok());
    // The letter T in the part before brackets, which hold the version of EDNS.
    let lookup = Lookup {
        at,
        client: client.parse().map_err(|_| Malformed::Addresses)?,
        client_port: port.trim_end_matches(':').parse().map_err(|_| Malformed::Addresses)?,
        resolver,
        name,
        record_type,
        recursion_desired: flags.starts_with('+'),
        over_tcp: flags.contains('T'),
        response_code: None,
    };
    emit(&lookup.record())
}
