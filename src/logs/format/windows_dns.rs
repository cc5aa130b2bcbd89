//! The debug log of the DNS server of Windows (<https://learn.microsoft.com/en-us/windows-server/networking/dns/dns-logging-and-diagnostics>), Windows
//! Server 2008 to 2025, with the details of packets left out:
//!
//! ```text
//! 11/24/2026 3:39:09 AM 0E24 PACKET  00000000028657F0 UDP Rcv 10.0.0.5  b4f3   Q [0001   D   NOERROR] A      (1)a(7)example(0)
//! ```
//!
//! Dates are as the region of the server has them. With AM or PM the month is first; without, the day, unless the year is.

use super::Emit;
use super::clock::Clock;
use super::lookup::Lookup;
use crate::reader::Malformed;

pub fn is_line(line: &str) -> bool {
    packet(line).is_some_and(|(when, _)| time(when).is_some())
}

/// What stands in front of the thread's number, and the words behind `PACKET`.
fn packet(line: &str) -> Option<(&str, &str)> {
    let (before, packet) = line.split_once(" PACKET ")?;
    let (when, thread) = before.trim_ascii_end().rsplit_once(' ')?;
    let is_thread = !thread.is_empty() && thread.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_thread && (packet.contains(" Rcv ") || packet.contains(" Snd "))).then_some((when, packet))
}

/// A time with the year first, as in ISO 8601.
fn time(when: &str) -> Option<String> {
    let mut words = when.split_ascii_whitespace();
    let (date, clock) = (words.next()?, words.next()?);
    let half = words.next();
    let parts: Vec<&str> = date.split(['/', '.', '-']).collect();
    let &[one, two, three] = parts.as_slice() else { return None };
    let (year, month, day) = match half {
        _ if one.len() == 4 => (one, two, three),
        Some(_) => (three, one, two),
        None => (three, two, one),
    };
    let (hour, rest) = clock.split_once(':')?;
    let hour: u8 = hour.parse().ok()?;
    let hour = match half.map(str::to_ascii_uppercase).as_deref() {
        Some("AM") => hour % 12,
        Some("PM") => hour % 12 + 12,
        Some(_) => return None,
        None => hour,
    };
    Some(format!("{year}-{month:0>2}-{day:0>2}T{hour:02}:{rest}"))
}

pub fn parse(line: &str, clock: &mut Clock, emit: &mut Emit<'_>) -> Result<(), Malformed> {
    let Some((when, packet)) = packet(line) else { return Ok(()) };
    let (before, behind) =
        packet.split_once('[').ok_or(Malformed::Line("behind PACKET there are no flags in brackets"))?;
    let mut words = before.split_ascii_whitespace().skip(1);
    let (transport, direction, client) = (words.next(), words.next(), words.next());
    // The server's own questions, and answers.
    if direction != Some("Rcv") || words.any(|word| word == "R") {
        return Ok(());
    }
    let at = time(when).and_then(|time| clock.free(&time, None)).ok_or(Malformed::Time)?;
    let (flags, question) = behind.split_once(']').ok_or(Malformed::Line("the bracket does not close"))?;
    let mut question = question.split_ascii_whitespace();
    let (Some(record_type), Some(labels)) = (question.next(), question.next()) else { return Ok(()) };
    let lookup = Lookup {
        at,
        client: client.and_then(|client| client.parse().ok()).ok_or(Malformed::Addresses)?,
        client_port: 0,
        resolver: None,
        name: &name(labels).ok_or(Malformed::Line("the name is none of labels with their lengths"))?,
        record_type,
        recursion_desired: flags.split_ascii_whitespace().any(|flag| flag.contains('D') && flag.len() < 4),
        over_tcp: transport == Some("TCP"),
        response_code: None,
    };
    emit(&lookup.record())
}

/// `(1)a(7)example(0)` as `a.example`.
fn name(labels: &str) -> Option<String> {
    let mut rest = labels;
    let mut name = String::new();
    loop {
        let (length, behind) = rest.strip_prefix('(')?.split_once(')')?;
        let length: usize = length.parse().ok()?;
        if length == 0 {
            return Some(name);
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(behind.get(..length)?);
        rest = behind.get(length..)?;
    }
}
