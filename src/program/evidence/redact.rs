//! Zeroes what stands in packets behind what proves something.

use super::Held;
use super::captures::Captures;
use super::choice::{Choice, Chosen, Cut};
use kaspector::capture::Frame;
use kaspector::decode::{Dissected, Outcome, dissect_into};
use kaspector::matching::{EvidenceLine, Field};

/// What was left of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    Whole,
    /// From this byte of the frame on, it is zero.
    UpTo(usize),
}

/// Zeroes the payload of a packet as far as it is to be; with `keeps_marked`, not that of packets in which something matched. What cannot be
/// found is not cut: then the packet is kept whole, and its description says so.
pub(super) fn redact(
    packet: &Chosen,
    choice: &Choice<'_>,
    held: &mut Held,
    keeps_marked: bool,
    captures: &Captures<'_>,
) -> Kept {
    let mut is_text = false;
    let from = match payload_of(held, captures) {
        Some((start, payload)) => match &packet.cut {
            Cut::All => Some(start),
            Cut::Behind(lines) if !keeps_marked => {
                let evidence = || lines.iter().filter_map(|&line| choice.finding.evidence.get(line));
                is_text = evidence().any(|line| stands_in_text(line.field));
                // All that matched has to stay.
                let ends = evidence().map(|line| match_end(line, payload)).collect::<Option<Vec<_>>>();
                ends.map(|ends| start + ends.into_iter().max().unwrap_or(0))
            }
            _ => None,
        },
        None => None,
    };
    let Some(from) = from else { return Kept::Whole };
    // A head has no end without its lines.
    let goes = |byte: &&mut u8| !(is_text && matches!(**byte, b'\r' | b'\n'));
    held.bytes.iter_mut().skip(from).filter(goes).for_each(|byte| *byte = 0);
    Kept::UpTo(from)
}

/// Where the payload begins in a frame, and what it is. A part of a datagram has none of its own.
fn payload_of<'h>(held: &'h Held, captures: &Captures<'_>) -> Option<(usize, &'h [u8])> {
    let &Held { at, link_type, wire_len, ref bytes } = held;
    let mut dissected = Dissected::Other(Outcome::NotIp);
    dissect_into(&Frame { number: 1, at, link_type, wire_len, bytes }, captures.ports(), &mut dissected);
    let Dissected::Segment(segment) = dissected else { return None };
    // The payload lies in the frame, so the distance of both beginnings is where.
    let start = segment.payload.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    (start <= bytes.len()).then_some((start, segment.payload))
}

/// Where in a payload what matched ends. Zero where the payload does not matter; none where the value cannot be found as it stands.
fn match_end(line: &EvidenceLine, payload: &[u8]) -> Option<usize> {
    match line.field {
        Field::ResolvedAddress | Field::Address | Field::ServerPort | Field::Beacon | Field::WakeUp => Some(0),
        _ => {
            let value = line.observed.as_bytes();
            let is_there = |window: &[u8]| window.eq_ignore_ascii_case(value);
            let at = payload.windows(value.len().max(1)).position(is_there)?;
            let behind = payload.get(at + value.len()..)?;
            // A line says nothing without its end.
            let rest = behind.iter().position(|&byte| byte == b'\n').unwrap_or(behind.len());
            Some(at + value.len() + if stands_in_text(line.field) { rest } else { 0 })
        }
    }
}

/// Whether the value stands in a line of text.
const fn stands_in_text(field: Field) -> bool {
    matches!(
        field,
        Field::HttpHost
            | Field::HttpConnect
            | Field::HttpTarget
            | Field::HttpPath
            | Field::HttpUserAgent
            | Field::HttpHeader
            | Field::FtpPath
            | Field::MailHeader
            | Field::SyslogOriginator
    )
}
