//! The log of Unbound (<https://unbound.docs.nlnetlabs.nl/en/latest/manpages/unbound.conf.html>) with `log-queries: yes`, `log-replies: yes` or
//! both, with or without `log-tag-queryreply`, as Unbound 1.13 to 1.24 write it into a file or to syslog:
//!
//! ```text
//! [1795491549] unbound[1234:0] info: 10.0.0.5 a.example. A IN
//! [1795491549] unbound[1234:0] info: reply: 10.0.0.5 a.example. A IN NOERROR 0.012000 0 128
//! ```
//!
//! Every query is a client's: what Unbound asks for itself is not among them.

use super::clock::{self, Clock, Leading};
use super::lookup::Lookup;
use super::{Emit, Lacks};
use crate::reader::Malformed;

pub fn is_line(line: &str) -> bool {
    clock::lacks(line).is_some() && line.contains("unbound") && message(line).is_some()
}

/// What the time of a line leaves out.
pub fn lacks(line: &str) -> Option<Lacks> {
    let leading = is_line(line).then(|| clock::lacks(line)).flatten()?;
    Some(Lacks { zone: leading != Leading::Nothing, year: leading == Leading::ZoneAndYear })
}

/// A message and whether its line says that it is of the level of queries. Any other message shows that it is Unbound's log all the same.
fn message(line: &str) -> Option<(bool, &str)> {
    [": ", "] "].iter().find_map(|before| {
        ["info: ", "notice: ", "warning: ", "error: ", "debug: "].iter().find_map(|level| {
            let at = line.find(&format!("{before}{level}"))? + before.len() + level.len();
            Some((*level == "info: ", line.get(at..)?))
        })
    })
}

pub fn parse(line: &str, clock: &mut Clock, emit: &mut Emit<'_>) -> Result<(), Malformed> {
    let Some((true, message)) = message(line) else { return Ok(()) };
    let message = message.strip_prefix("query: ").or_else(|| message.strip_prefix("reply: ")).unwrap_or(message);
    let mut words = message.split_ascii_whitespace();
    // What Unbound says of itself begins with no address.
    let Some(client) = words.next().and_then(|word| word.parse().ok()) else { return Ok(()) };
    let (Some(name), Some(record_type), Some(_)) = (words.next(), words.next(), words.next()) else {
        return Err(Malformed::Line("behind the address there is no name, type and class"));
    };
    let (at, _) = clock.leading(line).ok_or(Malformed::Time)?;
    let lookup = Lookup {
        at,
        client,
        client_port: 0,
        resolver: None,
        name,
        record_type,
        recursion_desired: true,
        over_tcp: false,
        response_code: words.next(),
    };
    emit(&lookup.record())
}
