//! Suricata's EVE log (<https://docs.suricata.io/en/latest/output/eve/eve-json-format.html>): dns, tls, quic, http, ftp, alert and flow
//! records of Suricata 4 to 8.

use super::Emit;
use crate::reader::Malformed;
use crate::skim::line::{address, is_target_of_interest, number, port, quoted};
use crate::skim::{Key, Look, Looking, What};
use crate::time::MinuteClock;
use kaspector::decode::FiveTuple;
use memchr::memmem::Finder;
use std::sync::LazyLock;

pub fn parse(line: &[u8], emit: &mut Emit<'_>) -> Result<(), Malformed> {
    match serde_json::from_slice(line) {
        Ok(record) => emit(&record),
        Err(error) => Err(Malformed::Json(error.to_string().into())),
    }
}

/// Where in a line, from the end of its flow's number, its kind and its addresses must begin.
const HEADER_MAX: usize = 512;

/// Searches for keys. To prepare one takes longer than the search.
struct Keys {
    event_type: Finder<'static>,
    src_ip: Finder<'static>,
    rdata: Finder<'static>,
    grouped: Finder<'static>,
    url: Finder<'static>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    event_type: Finder::new(br#","event_type":""#),
    src_ip: Finder::new(br#","src_ip":""#),
    rdata: Finder::new(br#""rdata":""#),
    grouped: Finder::new(br#""grouped":{"#),
    url: Finder::new(br#""url":""#),
});

/// Looks at a line. Whatever is not written just as Suricata writes it has to be read.
pub fn look(line: &[u8], clock: &mut MinuteClock, looking: &mut Looking<'_>) -> Look {
    glance(line, clock, looking).unwrap_or(Look::READ)
}

fn glance(line: &[u8], clock: &mut MinuteClock, looking: &mut Looking<'_>) -> Option<Look> {
    let rest = line.strip_prefix(br#"{"timestamp":""#)?;
    let (time, rest) = quoted(rest)?;
    // A line that was cut short, or of which another is a part, has to be counted.
    if line.last() != Some(&b'}') || braces(line) != 0 {
        return None;
    }
    let (flow_id, rest) = match rest.strip_prefix(br#","flow_id":"#) {
        Some(rest) => number(rest).map(|(flow_id, rest)| (Some(flow_id), rest))?,
        None => (None, rest),
    };
    let (_, rest) = after(rest, &KEYS.event_type)?;
    let (kind, rest) = quoted(rest)?;
    match kind {
        b"dns" | b"tls" | b"quic" | b"http" | b"flow" | b"alert" => {}
        // Commands of one connection make sense together.
        b"ftp" => return None,
        _ => return Some(Look::OTHER),
    }
    looking.keys.push(Key::connection(flow_id?));
    let (_, rest) = after_here(rest, &KEYS.src_ip)?;
    let (src, rest) = quoted(rest)?;
    let Some(rest) = rest.strip_prefix(br#","src_port":"#) else { return of_no_port(rest) };
    let (src_port, rest) = port(rest)?;
    let (dst, rest) = quoted(rest.strip_prefix(br#","dest_ip":""#)?)?;
    let (dst_port, rest) = port(rest.strip_prefix(br#","dest_port":"#)?)?;
    let rest = rest.strip_prefix(br#","proto":""#)?;
    let protocol = match rest.get(..4)? {
        b"TCP\"" => FiveTuple::TCP,
        b"UDP\"" => FiveTuple::UDP,
        _ => return None,
    };
    if looking.ends((address(src)?, src_port), (address(dst)?, dst_port), protocol) {
        return None;
    }
    match kind {
        b"dns" => addresses(rest, looking)?,
        b"http" | b"alert" => {
            if kind == b"http" && looking.sieve.reads_http {
                return None;
            }
            for at in KEYS.url.find_iter(rest) {
                let (target, _) = quoted(rest.get(at + KEYS.url.needle().len()..)?)?;
                if is_target_of_interest(target) {
                    return None;
                }
            }
        }
        _ => {}
    }
    let at = Some(clock.time(time)?);
    // A flow record has no text of its own.
    Some(match kind {
        b"flow" => Look { what: What::PassedEnd, at, ..Look::OTHER },
        _ => Look { what: What::Passed, at, text: line.len() - rest.len(), ..Look::OTHER },
    })
}

/// A record of a protocol that has no ports.
fn of_no_port(rest: &[u8]) -> Option<Look> {
    let rest = rest.strip_prefix(br#","dest_ip":""#)?;
    let (_, rest) = quoted(rest)?;
    let (protocol, _) = quoted(rest.strip_prefix(br#","proto":""#)?)?;
    (!matches!(protocol, b"TCP" | b"UDP")).then_some(Look::OTHER)
}

/// Notes the addresses of answers: another name for one that is known takes that back.
fn addresses(rest: &[u8], looking: &mut Looking<'_>) -> Option<()> {
    for at in KEYS.rdata.find_iter(rest) {
        let (data, _) = quoted(rest.get(at + KEYS.rdata.needle().len()..)?)?;
        looking.keys.extend(address(data).map(Key::address));
    }
    // Lists of addresses alone.
    if let Some(at) = KEYS.grouped.find(rest) {
        let mut list = rest.get(at + KEYS.grouped.needle().len()..)?;
        while let Some(at) = memchr::memchr(b'"', list) {
            let (data, behind) = quoted(list.get(at + 1..)?)?;
            looking.keys.extend(address(data).map(Key::address));
            list = behind;
        }
    }
    Some(())
}

/// Braces that are open at the end of a line.
fn braces(line: &[u8]) -> i64 {
    let mut sum = 0;
    // Each piece is short enough for a byte to hold its sum, so that many bytes are added at once.
    for piece in line.chunks(64) {
        let open = piece
            .iter()
            .fold(0_i8, |sum, &byte| sum.wrapping_add(i8::from(byte == b'{')).wrapping_sub(i8::from(byte == b'}')));
        sum += i64::from(open);
    }
    sum
}

/// What stands before a key, and what behind it.
fn after<'a>(bytes: &'a [u8], key: &Finder<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let at = key.find(bytes.get(..HEADER_MAX).unwrap_or(bytes))?;
    Some((bytes.get(..at)?, bytes.get(at + key.needle().len()..)?))
}

/// The same where the key usually stands right here.
fn after_here<'a>(bytes: &'a [u8], key: &Finder<'_>) -> Option<(&'a [u8], &'a [u8])> {
    match bytes.strip_prefix(key.needle()) {
        Some(rest) => Some((&[], rest)),
        None => after(bytes, key),
    }
}
