//! Keeps the packets that prove what was found: for each host a capture, and beside it what each packet is there for.
//!
//! In:    the findings of a scan, and its inputs, which are read again; or those of a sensor, and what it kept of the latest traffic.
//! Out:   pcapng files, their descriptions, and a manifest that names the one before.
//! Never: changes a finding, or writes over a file that is there.
//!
//! Inputs are read three times more, and only those that hold evidence, up to its last packet:
//!
//! ```text
//! trace: which flows, which DNS answers -> follow: which packets of them -> choice, within the bounds -> frames -> redact -> pcapng
//! ```
//!
//! Everything is done by one thread, in the order of the findings, so the files are the same whatever the number of threads of the scan.

mod captures;
mod choice;
mod description;
mod folder;
mod follow;
mod kept_frames;
mod live;
mod pcapng;
mod redact;
mod replay;
mod trace;

pub use captures::Captures;
pub use folder::EvidenceFolder;
pub use kept_frames::{FrameKeeper, KeptFrames};
pub use live::{EvidenceCounts, KeptInterface, LiveEvidence, LiveOptions};

use crate::process::output_file::OutputFileError;
use choice::{Choice, choose};
use description::describe;
use follow::{Follower, Window};
use kaspector::capture::{Frame, LinkType, Timestamp, display_path};
use kaspector::matching::{HostFinding, SignatureSet};
use kaspector_report::ScanReport;
use pcapng::{Interface, Packet, write_capture};
use redact::{Kept, redact};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use trace::{Clue, trace};

/// Lines of evidence that are followed together; of the next ones, the inputs are read again.
const LINES_TOGETHER: usize = 1 << 13;
/// Bytes of frames that are held together; for the next ones, the inputs are read again.
const BYTES_TOGETHER: u64 = 64 << 20;

/// How much is kept of each host, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceOptions {
    /// Packets, at most.
    pub packets: usize,
    /// Captured bytes of them, at most.
    pub bytes: u64,
    /// Whether payload behind the last matched field of a flow is zeroed.
    pub redacts: bool,
}

impl Default for EvidenceOptions {
    fn default() -> Self {
        Self { packets: 64, bytes: 256 << 10, redacts: false }
    }
}

/// What was kept.
#[derive(Debug, Default)]
pub struct Written {
    /// Captures, one for each host.
    pub captures: usize,
    /// Those of them that, scanned by themselves, show less than the whole did.
    pub partial: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// The number of the run.
    pub run: u64,
    /// The manifest that lists them, and its SHA-256; `None` where there was nothing to keep.
    pub manifest: Option<(PathBuf, String)>,
}

/// Why evidence was not kept.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// An input gives no longer what it gave.
    #[error("{input}: cannot be read again for its packets: {cause}")]
    Input {
        /// The input.
        input: String,
        /// What happened.
        cause: String,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputFileError),
    /// Somebody asked for an early end.
    #[error("the scan was interrupted")]
    Interrupted,
}

/// Writes the evidence of all findings of a report into a folder. Nothing is left of it when that fails.
///
/// # Errors
/// [`EvidenceError`].
pub fn keep(
    mut folder: EvidenceFolder,
    options: &EvidenceOptions,
    report: &ScanReport,
    signatures: &Arc<SignatureSet>,
    captures: &Captures<'_>,
) -> Result<Written, EvidenceError> {
    let mut written = Written::default();
    for findings in groups(&report.hosts, |finding| finding.evidence.len(), LINES_TOGETHER) {
        let choices = choices(findings, options, report, signatures, captures)?;
        let cost = |choice: &Choice<'_>| usize::try_from(choice.bytes()).unwrap_or(usize::MAX);
        for choices in groups(&choices, cost, usize::try_from(BYTES_TOGETHER).unwrap_or(usize::MAX)) {
            let frames = frames(choices, report, captures)?;
            for (choice, frames) in choices.iter().zip(frames) {
                let is_whole = write(&mut folder, choice, frames, options, report, signatures, captures)?;
                written.captures += 1;
                written.partial += usize::from(!is_whole);
            }
        }
    }
    (written.bytes, written.run) = (folder.bytes(), folder.run());
    written.manifest = folder.close()?;
    Ok(written)
}

/// Splits a list so that the sum of what each costs stays at `most`, or there is one only.
fn groups<T>(list: &[T], cost: impl Fn(&T) -> usize, most: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let mut sum = 0_usize;
        let fits = |one: &&T| {
            sum = sum.saturating_add(cost(one));
            sum <= most
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (group, behind) = rest.split_at_checked(count)?;
        rest = behind;
        Some(group)
    })
}

/// The packets of each finding.
fn choices<'f>(
    findings: &'f [HostFinding],
    options: &EvidenceOptions,
    report: &ScanReport,
    signatures: &Arc<SignatureSet>,
    captures: &Captures<'_>,
) -> Result<Vec<Choice<'f>>, EvidenceError> {
    let mut clues: BTreeMap<u32, Vec<Clue<'_>>> = BTreeMap::new();
    for (number, finding) in findings.iter().enumerate() {
        for (line, evidence) in finding.evidence.iter().enumerate() {
            clues.entry(evidence.example.input).or_default().push(Clue::new(number, line, finding.host, evidence));
        }
    }
    let window = Window::within(options.packets);
    let mut followed = BTreeMap::new();
    for (&input, clues) in &mut clues {
        trace(clues, input, signatures, report, captures)?;
        let mut follower = Follower::new(clues, window);
        let mut decoder = captures.decoder();
        captures.read(input, report, |frame| follower.take(frame, &mut decoder))?;
        followed.insert(input, follower.into_flows());
    }
    let mut of_finding: Vec<Vec<&Clue<'_>>> = vec![Vec::new(); findings.len()];
    for clue in clues.values().flatten() {
        if let Some(list) = of_finding.get_mut(clue.finding) {
            list.push(clue);
        }
    }
    let choose_of = |(finding, mut clues): (&'f HostFinding, Vec<&Clue<'_>>)| {
        // Strongest first, as the finding has them.
        clues.sort_by_key(|clue| clue.line);
        choose(finding, &clues, &followed, options)
    };
    Ok(findings.iter().zip(of_finding).map(choose_of).collect())
}

/// A frame that was read for a finding.
struct Held {
    at: Timestamp,
    link_type: LinkType,
    wire_len: u32,
    bytes: Vec<u8>,
}

/// The chosen frames, in the order of the choices and of their packets.
fn frames(
    choices: &[Choice<'_>],
    report: &ScanReport,
    captures: &Captures<'_>,
) -> Result<Vec<Vec<Held>>, EvidenceError> {
    let mut wanted: BTreeMap<u32, HashMap<u64, Vec<usize>>> = BTreeMap::new();
    for (number, choice) in choices.iter().enumerate() {
        for packet in &choice.packets {
            let of_input = wanted.entry(packet.input).or_default();
            of_input.entry(packet.packet).or_default().push(number);
        }
    }
    let mut held: Vec<Vec<Held>> = choices.iter().map(|_| Vec::new()).collect();
    for (&input, wanted) in &wanted {
        let last = wanted.keys().copied().max().unwrap_or(0);
        captures.read(input, report, |frame: &Frame<'_>| {
            for &number in wanted.get(&frame.number).into_iter().flatten() {
                if let Some(list) = held.get_mut(number) {
                    let &Frame { at, link_type, wire_len, bytes, .. } = frame;
                    list.push(Held { at, link_type, wire_len, bytes: bytes.to_vec() });
                }
            }
            frame.number < last
        })?;
    }
    for (choice, held) in choices.iter().zip(&held) {
        if let Some(packet) = choice.packets.get(held.len()) {
            return Err(captures.changed(packet.input, report));
        }
    }
    Ok(held)
}

/// Writes the capture of a finding and what describes it. Says whether the capture by itself shows all that the scan found of the host.
fn write(
    folder: &mut EvidenceFolder,
    choice: &Choice<'_>,
    mut frames: Vec<Held>,
    options: &EvidenceOptions,
    report: &ScanReport,
    signatures: &Arc<SignatureSet>,
    captures: &Captures<'_>,
) -> Result<bool, EvidenceError> {
    let again = replay::replay(choice.finding, &frames, signatures, captures);
    let kept = if options.redacts {
        redact_all(choice, &mut frames, &again, signatures, captures)
    } else {
        vec![Kept::Whole; frames.len()]
    };
    // One interface for each input and link type: a classic capture has one link type, and others may differ.
    let of = |(packet, frame): (&choice::Chosen, &Held)| (packet.input, frame.link_type);
    let kinds: BTreeSet<(u32, LinkType)> = choice.packets.iter().zip(&frames).map(of).collect();
    let interfaces: Vec<_> = kinds
        .iter()
        .map(|&(input, link_type)| Interface {
            name: captures.name(input, report),
            link_type,
            filter: captures.filter(),
        })
        .collect();
    let place = |kind| u32::try_from(kinds.iter().position(|&known| known == kind).unwrap_or(0)).unwrap_or(0);
    let packets: Vec<_> = choice
        .packets
        .iter()
        .zip(&frames)
        .map(|(packet, frame)| Packet {
            interface: place(of((packet, frame))),
            at: frame.at,
            wire_len: frame.wire_len,
            bytes: &frame.bytes,
            comments: description::comments(packet, choice, report, signatures, captures),
        })
        .collect();
    let bytes = write_capture(&interfaces, &packets);
    let again = if options.redacts { replay::replay(choice.finding, &frames, signatures, captures) } else { again };
    let is_whole = again.is_whole();
    let name = folder.name_of(&choice.finding.host);
    folder.add(&format!("{name}.pcapng"), &bytes)?;
    let text = describe(&name, &bytes, choice, &frames, &kept, &again, options, report, signatures, captures)?;
    folder.add(&format!("{name}.json"), text.as_bytes())?;
    Ok(is_whole)
}

/// Zeroes what is behind the proof. Where that cannot be read without what is behind it, as with a certificate, its packet is kept whole;
/// where it takes the connection, as at a management port, that is.
fn redact_all(
    choice: &Choice<'_>,
    frames: &mut [Held],
    whole: &replay::Replay<'_>,
    signatures: &Arc<SignatureSet>,
    captures: &Captures<'_>,
) -> Vec<Kept> {
    let original: Vec<Vec<u8>> = frames.iter().map(|frame| frame.bytes.clone()).collect();
    for keeps_marked in [false, true] {
        let pairs = choice.packets.iter().zip(&mut *frames);
        let kept = pairs.map(|(packet, frame)| redact(packet, choice, frame, keeps_marked, captures)).collect();
        if replay::replay(choice.finding, frames, signatures, captures) == *whole {
            return kept;
        }
        for (frame, bytes) in frames.iter_mut().zip(&original) {
            frame.bytes.clone_from(bytes);
        }
    }
    vec![Kept::Whole; frames.len()]
}

/// The path of a file as messages have it.
fn shown(path: &std::path::Path) -> String {
    display_path(path)
}
