//! Where packets are read again: the inputs of a scan, or what was kept of live traffic.

use super::EvidenceError;
use crate::inputs::{Input, Inputs};
use crate::process::whole_file::file_digest;
use crate::scan::Progress;
use kaspector::capture::{Block, Frame, LinkType, Timestamp};
use kaspector::decode::{Decoder, TunnelPort, TunnelPorts};
use kaspector::flow::Capacities;
use kaspector::matching::{HostFinding, SignatureSet};
use kaspector::pipeline::{Bounds, LANES, Lanes, Numbering, OFFLINE_SEED};
use kaspector_live::Filter;
use kaspector_report::ScanReport;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The inputs that a report names, and how they were read.
#[derive(Debug)]
pub struct Captures<'a> {
    source: Source<'a>,
    filter: Option<&'a str>,
    ports: Arc<TunnelPorts>,
    digests: RefCell<HashMap<u32, String>>,
}

/// Where the packets are.
#[derive(Debug)]
enum Source<'a> {
    Inputs { list: Vec<Option<&'a Input>>, progress: &'a Progress },
    Held(&'a BTreeMap<u32, Vec<HeldFrame>>),
}

/// A packet of live traffic that was kept.
#[derive(Clone, Debug)]
pub struct HeldFrame {
    /// Its number on the interface.
    pub number: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// How its bytes are to be read.
    pub link_type: LinkType,
    /// Its length on the wire.
    pub wire_len: u32,
    /// What was captured of it.
    pub bytes: Vec<u8>,
}

impl<'a> Captures<'a> {
    /// Those of a scan; `rows` are the places in the list of what its report has rows of.
    #[must_use]
    pub fn new(
        inputs: &'a Inputs,
        rows: &[usize],
        filter: Option<&'a str>,
        tunnels: &[TunnelPort],
        progress: &'a Progress,
    ) -> Self {
        let input = |row: &usize| inputs.list.get(*row).and_then(|input| input.as_ref().ok());
        Self {
            source: Source::Inputs { list: rows.iter().map(input).collect(), progress },
            filter,
            ports: Arc::new(TunnelPorts::with_own(tunnels)),
            digests: RefCell::default(),
        }
    }

    /// Packets of live traffic, by the number of the interface, in the order of time. They are known by their places, from 1.
    #[must_use]
    pub fn held(frames: &'a BTreeMap<u32, Vec<HeldFrame>>, filter: Option<&'a str>, ports: &Arc<TunnelPorts>) -> Self {
        Self { source: Source::Held(frames), filter, ports: Arc::clone(ports), digests: RefCell::default() }
    }

    /// What cannot be read a second time, in words, if anything cannot.
    #[must_use]
    pub fn read_only_once(inputs: &Inputs) -> Option<String> {
        inputs.list.iter().flatten().find_map(|input| match input {
            Input::Stdin => Some("standard input".to_owned()),
            Input::Named(path) if path.metadata().is_ok_and(|metadata| !metadata.is_file()) => Some(super::shown(path)),
            Input::Named(_) | Input::Found(_) => None,
        })
    }

    /// Reads an input, those packets that the filter chooses, for as long as `take` wants more.
    ///
    /// # Errors
    /// When it cannot be opened any more, or somebody asked for an early end. That a damaged file ends early is known from the scan.
    pub(super) fn read(
        &self,
        input: u32,
        report: &ScanReport,
        mut take: impl FnMut(&Frame<'_>) -> bool,
    ) -> Result<(), EvidenceError> {
        let failed = |cause: String| EvidenceError::Input { input: self.name(input, report), cause };
        let (list, progress) = match &self.source {
            Source::Inputs { list, progress } => (list, progress),
            Source::Held(frames) => {
                for (number, held) in (1..).zip(frames.get(&input).into_iter().flatten()) {
                    let &HeldFrame { at, link_type, wire_len, ref bytes, .. } = held;
                    if !take(&Frame { number, at, link_type, wire_len, bytes }) {
                        return Ok(());
                    }
                }
                return Ok(());
            }
        };
        let known = usize::try_from(input).ok().and_then(|row| list.get(row)).copied().flatten();
        let opened = known.ok_or_else(|| self.changed(input, report))?.open();
        let mut file = match opened {
            Ok(Some(file)) => file,
            Ok(None) => return Err(self.changed(input, report)),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut filter = match self.filter.map(Filter::new).transpose() {
            Ok(filter) => filter,
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut block = Block::default();
        while let Ok(true) = file.next_block(&mut block) {
            if progress.is_stopped() {
                return Err(EvidenceError::Interrupted);
            }
            for frame in block.frames() {
                if filter.as_mut().is_none_or(|filter| filter.accepts(&frame)) && !take(&frame) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Lanes for all of it.
    pub(super) fn lanes(&self, signatures: &Arc<SignatureSet>) -> Lanes {
        let lanes = match &self.source {
            Source::Inputs { .. } => Lanes::new(signatures, OFFLINE_SEED, LANES, Numbering::ALONE),
            Source::Held(frames) => {
                let bounds = bounds_for(frames.values().map(Vec::len).sum());
                Lanes::with_bounds(signatures, OFFLINE_SEED, 1, Numbering::ALONE, &bounds)
            }
        };
        lanes.with_tunnels(&self.ports)
    }

    /// A decoder as the scan had it.
    pub(super) fn decoder(&self) -> Decoder {
        Decoder::with_tunnels(&self.ports)
    }

    /// Where tunnels are opened.
    pub(super) const fn ports(&self) -> &Arc<TunnelPorts> {
        &self.ports
    }

    /// The filter expression.
    pub(super) const fn filter(&self) -> Option<&'a str> {
        self.filter
    }

    /// What the report calls an input.
    pub(super) fn name(&self, input: u32, report: &ScanReport) -> String {
        let row = usize::try_from(input).ok().and_then(|row| report.inputs.get(row));
        row.map(|input| input.path.clone()).unwrap_or_default()
    }

    /// The input is not what it was when it was scanned.
    pub(super) fn changed(&self, input: u32, report: &ScanReport) -> EvidenceError {
        let cause = "it was changed or moved since it was scanned; scan again what is complete".to_owned();
        EvidenceError::Input { input: self.name(input, report), cause }
    }

    /// What a packet is numbered where it comes from.
    pub(super) fn number(&self, input: u32, packet: u64) -> u64 {
        let Source::Held(frames) = &self.source else { return packet };
        let place = usize::try_from(packet).ok().and_then(|number| number.checked_sub(1));
        let held = frames.get(&input).zip(place).and_then(|(frames, place)| frames.get(place));
        held.map_or(packet, |held| held.number)
    }

    /// A finding whose packets are numbered as where they come from.
    pub(super) fn original<'f>(&self, finding: &'f HostFinding) -> Cow<'f, HostFinding> {
        if let Source::Inputs { .. } = self.source {
            return Cow::Borrowed(finding);
        }
        let mut finding = finding.clone();
        for line in &mut finding.evidence {
            line.example.packet = self.number(line.example.input, line.example.packet);
        }
        Cow::Owned(finding)
    }

    /// What an input is, in comments.
    pub(super) const fn kind(&self) -> &'static str {
        match self.source {
            Source::Inputs { .. } => "file",
            Source::Held(_) => "interface",
        }
    }

    /// The SHA-256 of an input's file; none of what is live.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub(super) fn sha256(&self, input: u32, report: &ScanReport) -> Result<Option<String>, EvidenceError> {
        let Source::Inputs { list, .. } = &self.source else { return Ok(None) };
        if let Some(known) = self.digests.borrow().get(&input) {
            return Ok(Some(known.clone()));
        }
        let known = usize::try_from(input).ok().and_then(|row| list.get(row)).copied().flatten();
        let (Input::Named(path) | Input::Found(path)) = known.ok_or_else(|| self.changed(input, report))? else {
            return Err(self.changed(input, report));
        };
        let digest = file_digest(path)
            .map_err(|error| EvidenceError::Input { input: self.name(input, report), cause: error.to_string() })?;
        self.digests.borrow_mut().insert(input, digest.clone());
        Ok(Some(digest))
    }
}

/// Bounds that so many packets do not meet, and no wider: to make and unmake tables for all flows that there may be costs more than to read
/// a few packets.
pub(super) fn bounds_for(packets: usize) -> Bounds {
    let mut bounds = Bounds::default();
    let Capacities { kept, half_open, datagrams, lookups } = bounds.flows;
    let [kept, half_open, datagrams, lookups] = [kept, half_open, datagrams, lookups].map(|most| most.min(packets));
    bounds.flows = Capacities { kept, half_open, datagrams, lookups };
    bounds
}
