//! What is said of kept packets: in comments, and in the file beside them.

use super::choice::{Choice, Chosen, Part};
use super::redact::Kept;
use super::replay::Replay;
use super::{Captures, EvidenceError, EvidenceOptions, Held};
use crate::process::whole_file::hexadecimal_digest;
use kaspector::matching::{EvidenceLine, SignatureSet};
use kaspector_report::{ScanReport, evidence_uid, host, rfc3339};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Serialize)]
struct Description<'a, H> {
    schema: &'static str,
    version: &'static str,
    signatures: Signatures<'a>,
    capture: Capture<'a>,
    redacted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
    inputs: Vec<Input>,
    packets: Vec<Packet>,
    evidence: Vec<Evidence<'a>>,
    by_itself: &'a Replay<'a>,
    finding: H,
}

#[derive(Serialize)]
struct Signatures<'a> {
    version: &'a str,
    sha256: &'a str,
}

#[derive(Serialize)]
struct Capture<'a> {
    name: &'a str,
    sha256: String,
    bytes: usize,
    packets: usize,
}

#[derive(Serialize)]
struct Input {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

#[derive(Serialize)]
struct Packet {
    /// Place in `inputs`, from 0.
    input: usize,
    /// Number there, from 1.
    packet: u64,
    time: String,
    reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_from: Option<usize>,
}

#[derive(Serialize)]
struct Reason {
    /// Place in `evidence`, from 0.
    evidence: usize,
    part: &'static str,
}

#[derive(Serialize)]
struct Evidence<'a> {
    uid: String,
    indicator: &'a str,
    field: &'static str,
    observed: &'a str,
    /// Number in the capture, from 1.
    packet: Option<usize>,
    complete: bool,
}

/// The file beside a capture.
///
/// # Errors
/// When an input cannot be read any more.
#[allow(clippy::too_many_arguments, reason = "all that is known of a capture comes together here")]
pub(super) fn describe(
    name: &str,
    capture: &[u8],
    choice: &Choice<'_>,
    frames: &[Held],
    kept: &[Kept],
    again: &Replay<'_>,
    options: &EvidenceOptions,
    report: &ScanReport,
    signatures: &SignatureSet,
    captures: &Captures<'_>,
) -> Result<String, EvidenceError> {
    let used: BTreeSet<u32> = choice.packets.iter().map(|packet| packet.input).collect();
    let inputs = used
        .iter()
        .map(|&input| Ok(Input { path: captures.name(input, report), sha256: captures.sha256(input, report)? }));
    let inputs = inputs.collect::<Result<Vec<_>, EvidenceError>>()?;
    let place = |input| used.iter().position(|&known| known == input).unwrap_or(0);
    let packets = choice.packets.iter().zip(frames).zip(kept).map(|((packet, frame), kept)| Packet {
        input: place(packet.input),
        packet: captures.number(packet.input, packet.packet),
        time: rfc3339(frame.at),
        reasons: packet.reasons.iter().map(|&(evidence, part)| Reason { evidence, part: part.name() }).collect(),
        zero_from: match *kept {
            Kept::Whole => None,
            Kept::UpTo(byte) => Some(byte),
        },
    });
    let evidence = (0..).zip(&choice.finding.evidence).map(|(number, line)| {
        let shows = |packet: &Chosen| packet.reasons.contains(&(number, Part::Evidence));
        Evidence {
            uid: uid(line, report, signatures, captures),
            indicator: &signatures.get(line.indicator).id,
            field: line.field.name(),
            observed: &line.observed,
            packet: choice.packets.iter().rposition(shows).map(|at| at + 1),
            complete: !choice.partial.contains(&number),
        }
    });
    let file = format!("{name}.pcapng");
    let finding = captures.original(choice.finding);
    let description = Description {
        schema: "kaspector.evidence/1",
        version: env!("CARGO_PKG_VERSION"),
        signatures: Signatures { version: signatures.version(), sha256: signatures.sha256() },
        capture: Capture {
            name: &file,
            sha256: hexadecimal_digest(capture),
            bytes: capture.len(),
            packets: frames.len(),
        },
        redacted: options.redacts,
        filter: captures.filter(),
        inputs,
        packets: packets.collect(),
        evidence: evidence.collect(),
        by_itself: again,
        finding: host(&finding, report, signatures),
    };
    let mut text = serde_json::to_string_pretty(&description).expect("texts and numbers are JSON");
    text.push('\n');
    Ok(text)
}

/// The comments of a packet: one for each piece of evidence that it shows, and one for each other part that it plays.
pub(super) fn comments(
    packet: &Chosen,
    choice: &Choice<'_>,
    report: &ScanReport,
    signatures: &SignatureSet,
    captures: &Captures<'_>,
) -> Vec<String> {
    let input = usize::try_from(packet.input).ok().and_then(|row| report.inputs.get(row));
    let path = input.map(|input| input.path.as_str()).unwrap_or_default();
    let number = captures.number(packet.input, packet.packet);
    let origin = format!("packet={number} {}={path}", captures.kind());
    let line_of = |line: &usize| choice.finding.evidence.get(*line);
    let (mut comments, mut others) = (Vec::new(), BTreeMap::<Part, Vec<String>>::new());
    for (line, part) in &packet.reasons {
        let Some(line) = line_of(line) else { continue };
        let uid = uid(line, report, signatures, captures);
        if *part == Part::Evidence {
            comments.push(format!(
                "uid={uid} indicator={} verdict={} field={} observed={} {origin}",
                signatures.get(line.indicator).id,
                choice.finding.verdict.name(),
                line.field.name(),
                line.observed.escape_debug(),
            ));
        } else {
            others.entry(*part).or_default().push(uid);
        }
    }
    comments.extend(others.iter().map(|(part, uids)| format!("uid={} part={} {origin}", uids.join(","), part.name())));
    comments
}

/// The identifier that the alert has, too.
fn uid(line: &EvidenceLine, report: &ScanReport, signatures: &SignatureSet, captures: &Captures<'_>) -> String {
    let input = usize::try_from(line.example.input).ok().and_then(|row| report.inputs.get(row));
    let digest = input.map(|input| input.digest).unwrap_or_default();
    let mut line = line.clone();
    line.example.packet = captures.number(line.example.input, line.example.packet);
    evidence_uid(&line, &signatures.get(line.indicator).id, &digest).to_string()
}
