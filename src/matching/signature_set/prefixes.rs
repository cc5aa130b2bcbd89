//! What something begins with: bodies of responses, flows in no known protocol, header fields.
//!
//! One bit for the first byte tells nearly everything apart, so the price of an ordinary text is a test of that bit.

use crate::matching::{Indicator, IndicatorIndex, MatchKind, Strength};
use std::cmp::Reverse;

/// Fewest bytes that may be looked for: fewer also begin unrelated data.
const BYTES_MIN: usize = 4;
/// Most bytes that may be looked for in a body, and in a flow: no more of them is read.
const BODY_BYTES_MAX: usize = 64;
const STREAM_BYTES_MAX: usize = 16;
/// Numbers of IP for the transports.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// How bodies of everyday responses, flows and headers begin. An indicator that matches one is refused.
const EVERYDAY: [&[u8]; 24] = [
    b"<!DOCTYPE html>",
    b"<html lang=\"en\">",
    b"<?xml version=\"1.0\"",
    b"{\"id\":",
    b"PK\x03\x04",
    b"MZ\x90\0",
    b"%PDF-1.7",
    b"\x89PNG\r\n",
    b"GIF89a",
    b"\x1f\x8b\x08\0",
    b"\xff\xd8\xff\xe0",
    b"SSH-2.0-OpenSSH",
    b"\x16\x03\x01\x02",
    b"\0\0\0\0\0\0",
    b"Received: from",
    b"Subject: x",
    b"Message-ID: <x",
    b"X-Mailer: x",
    b"X-Spam-Status: x",
    b"X-Forwarded-For: x",
    b"X-Requested-With: x",
    b"User-Agent: x",
    b"Microsoft|Microsoft Windows|10|",
    b"timeQuality",
];

/// The matcher for one kind.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// Which bytes a pattern begins with.
    first: [u64; 4],
    /// Best first: the strongest, then the longest, then the order of the set.
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    index: IndicatorIndex,
    bytes: Box<[u8]>,
    /// Whether case matters not.
    folds: bool,
    /// Transport and port where it counts; empty for everywhere.
    ports: Vec<(u8, u16)>,
}

impl Prefixes {
    /// Compiles the indicators of `kind` among `indicators`, which were checked when they were read.
    pub fn build(indicators: &[(IndicatorIndex, &Indicator)], kind: MatchKind) -> Self {
        let mut wanted: Vec<(Strength, Pattern)> = indicators
            .iter()
            .filter(|(_, one)| one.kind == kind)
            .filter_map(|&(index, one)| Some((one.strength, Pattern::of(index, one)?)))
            .collect();
        wanted.sort_by_key(|(strength, one)| (*strength, Reverse(one.bytes.len()), one.index));
        let mut prefixes = Self::default();
        for (_, pattern) in wanted {
            for byte in pattern
                .bytes
                .first()
                .into_iter()
                .flat_map(|byte| [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()])
            {
                if let Some(word) = prefixes.first.get_mut(usize::from(byte >> 6)) {
                    *word |= 1 << (byte & 63);
                }
            }
            prefixes.patterns.push(pattern);
        }
        prefixes
    }

    /// The indicator that wins for `text`.
    #[inline]
    pub fn find(&self, text: &[u8]) -> Option<IndicatorIndex> {
        if self.may_match(text) { self.best(text, |_| true) } else { None }
    }

    /// The indicator whose value is all of `text`.
    #[inline]
    pub fn find_whole(&self, text: &[u8]) -> Option<IndicatorIndex> {
        if self.may_match(text) { self.best(text, |one| one.bytes.len() == text.len()) } else { None }
    }

    /// The indicator that wins for what stands at the beginning of a flow to this port.
    #[inline]
    pub fn find_at(&self, start: &[u8], protocol: u8, port: u16) -> Option<IndicatorIndex> {
        if self.may_match(start) { self.best(start, |one| one.ports.contains(&(protocol, port))) } else { None }
    }

    /// Whether anything that begins with the same byte could match.
    #[inline]
    pub fn may_match(&self, text: &[u8]) -> bool {
        text.first()
            .is_some_and(|byte| self.first.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 != 0))
    }

    fn best(&self, text: &[u8], also: impl Fn(&Pattern) -> bool) -> Option<IndicatorIndex> {
        self.patterns.iter().find(|one| one.begins(text) && also(one)).map(|one| one.index)
    }
}

impl Pattern {
    fn of(index: IndicatorIndex, one: &Indicator) -> Option<Self> {
        let bytes =
            if one.kind == MatchKind::StreamPrefix { hexadecimal(&one.value)? } else { one.value.clone().into_bytes() };
        let folds = matches!(one.kind, MatchKind::MailHeader | MatchKind::HttpHeader | MatchKind::Syslog);
        Some(Self {
            index,
            bytes: bytes.into(),
            folds,
            ports: one.ports.iter().filter_map(|port| transport_port(port)).collect(),
        })
    }

    fn begins(&self, text: &[u8]) -> bool {
        let Some(start) = text.get(..self.bytes.len()) else { return false };
        if self.folds { start.eq_ignore_ascii_case(&self.bytes) } else { *start == *self.bytes }
    }
}

/// Whether one indicator, by itself, stands at the beginning of `text`, at whatever port.
pub fn fits(one: &Indicator, text: &[u8]) -> bool {
    Pattern::of(IndicatorIndex(0), one).is_some_and(|pattern| pattern.begins(text))
}

/// What is wrong with the value of an indicator of one of these kinds.
///
/// # Errors
/// That, in words.
pub fn check(indicator: &Indicator) -> Result<(), String> {
    let value = indicator.value.as_str();
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match indicator.kind {
        MatchKind::StreamPrefix => {
            if hexadecimal(value).is_none() {
                return Err(format!("bad bytes {value:?}; expected hexadecimal pairs such as 4B 45 00 00"));
            }
            if indicator.ports.is_empty() || indicator.ports.iter().any(|port| transport_port(port).is_none()) {
                return Err(
                    "first bytes need the ports at which they count, as ports = [\"tcp/443\", \"udp/2001\"]".to_owned()
                );
            }
        }
        MatchKind::HttpHeader if !is_name(value) || !value.starts_with("X-") => {
            return Err(format!(
                "{value:?} is no field that a product made up; expected the form X-Name, without colon"
            ));
        }
        MatchKind::Syslog if !value.ends_with('|') && !value.contains('@') => {
            return Err(format!(
                "{value:?} names no writer of syslog; expected \"Vendor|\" or \"Vendor|Product|\" of a CEF or LEEF header, or structured data such as \"event@32473\""
            ));
        }
        MatchKind::MailHeader if !is_name(value.split(':').next().unwrap_or_default()) => {
            return Err(format!("{value:?} begins no header field; expected the form X-Name: or X-Name: value"));
        }
        _ => {}
    }
    let Some(pattern) = Pattern::of(IndicatorIndex(0), indicator) else { return Ok(()) };
    if pattern.bytes.len() < BYTES_MIN {
        return Err(format!("{value:?} is too short to tell anything apart; {BYTES_MIN} bytes are the least"));
    }
    let most = match indicator.kind {
        MatchKind::BodyPrefix => BODY_BYTES_MAX,
        MatchKind::StreamPrefix => STREAM_BYTES_MAX,
        _ => usize::MAX,
    };
    if pattern.bytes.len() > most {
        return Err(format!("{value:?} is longer than what is read; {most} bytes are the most"));
    }
    EVERYDAY.iter().find(|text| pattern.begins(text)).map_or(Ok(()), |text| {
        let text = String::from_utf8_lossy(text);
        Err(format!("{value:?} also matches {text:?}, which is everyday traffic; make it more specific"))
    })
}

/// Reads bytes written as hexadecimal pairs with blanks between them.
pub fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &str| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok())?;
    let bytes: Vec<u8> = text.split(' ').map(byte).collect::<Option<_>>()?;
    (bytes.len() >= BYTES_MIN).then_some(bytes)
}

/// Reads `tcp/443`.
fn transport_port(text: &str) -> Option<(u8, u16)> {
    let (transport, port) = text.split_once('/')?;
    let protocol = match transport {
        "tcp" => TCP,
        "udp" => UDP,
        _ => return None,
    };
    Some((protocol, port.parse().ok().filter(|&port| port > 0)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::matching::signature_set::tests::indicator;

    fn build(set: &[Indicator]) -> Prefixes {
        let numbered: Vec<_> = set.iter().enumerate().map(|(at, one)| (IndicatorIndex(at as u32), one)).collect();
        Prefixes::build(&numbered, set[0].kind)
    }

    #[test]
    fn the_strongest_and_longest_beginning_wins() {
        let weak = Indicator { strength: Strength::Ambiguous, ..indicator(MatchKind::BodyPrefix, "KLZFabc") };
        let set = [weak, indicator(MatchKind::BodyPrefix, "KLZF"), indicator(MatchKind::BodyPrefix, "KLZF12")];
        let prefixes = build(&set);
        let find = |text: &[u8]| prefixes.find(text).map(|index| index.0);
        assert_eq!(
            [
                find(b"KLZFabcd"),
                find(b"KLZF123"),
                find(b"KLZF"),
                find(b"KLZ"),
                find(b"klzf"),
                find(b"xKLZF"),
                find(b"")
            ],
            [Some(1), Some(2), Some(1), None, None, None, None]
        );
    }

    #[test]
    fn first_bytes_count_at_their_ports_alone() {
        let one = Indicator {
            ports: vec!["tcp/443".to_owned(), "udp/2001".to_owned()],
            ..indicator(MatchKind::StreamPrefix, "4B 45 00 07")
        };
        let prefixes = build(&[one]);
        assert!(
            prefixes.find_at(b"KE\0\x07rest", TCP, 443).is_some() && prefixes.find_at(b"KE\0\x07", UDP, 2001).is_some()
        );
        assert_eq!([prefixes.find_at(b"KE\0\x07", TCP, 2001), prefixes.find_at(b"KE\0\x08", TCP, 443)], [None, None]);
    }

    #[test]
    fn names_of_header_fields_are_whole_and_in_any_case() {
        let prefixes = build(&[indicator(MatchKind::HttpHeader, "X-KAV-Timeout")]);
        assert!(prefixes.find_whole(b"x-kav-TIMEOUT").is_some());
        assert_eq!([prefixes.find_whole(b"X-KAV-Timeouts"), prefixes.find_whole(b"X-KAV")], [None, None]);
        let prefixes = build(&[indicator(MatchKind::MailHeader, "X-KSMG-")]);
        assert!(prefixes.find(b"x-ksmg-rule-id: 1").is_some());
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused() {
        for (kind, value) in [
            (MatchKind::BodyPrefix, "KLZ"),
            (MatchKind::BodyPrefix, "<html"),
            (MatchKind::StreamPrefix, "KLZF"),
            (MatchKind::StreamPrefix, "4B 45 00 00"),
            (MatchKind::HttpHeader, "X-Name: x"),
            (MatchKind::HttpHeader, "User-Agent"),
            (MatchKind::MailHeader, "Rec eived:"),
            (MatchKind::MailHeader, "Received"),
        ] {
            assert!(check(&indicator(kind, value)).is_err(), "{value}");
        }
    }
}
