//! The inputs of a scan, read again.

use super::EvidenceError;
use crate::inputs::{Input, Inputs};
use crate::process::whole_file::file_digest;
use crate::scan::Progress;
use kaspector::capture::{Block, Frame};
use kaspector::decode::{Decoder, TunnelPort, TunnelPorts};
use kaspector_live::Filter;
use kaspector_report::ScanReport;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The inputs that a report names, and how they were read.
#[derive(Debug)]
pub struct Captures<'a> {
    inputs: Vec<Option<&'a Input>>,
    filter: Option<&'a str>,
    ports: Arc<TunnelPorts>,
    progress: &'a Progress,
    digests: RefCell<HashMap<u32, String>>,
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
            inputs: rows.iter().map(input).collect(),
            filter,
            ports: Arc::new(TunnelPorts::with_own(tunnels)),
            progress,
            digests: RefCell::default(),
        }
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
        let known = usize::try_from(input).ok().and_then(|row| self.inputs.get(row)).copied().flatten();
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
            if self.progress.is_stopped() {
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

    /// The SHA-256 of an input's file.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub(super) fn sha256(&self, input: u32, report: &ScanReport) -> Result<String, EvidenceError> {
        if let Some(known) = self.digests.borrow().get(&input) {
            return Ok(known.clone());
        }
        let known = usize::try_from(input).ok().and_then(|row| self.inputs.get(row)).copied().flatten();
        let (Input::Named(path) | Input::Found(path)) = known.ok_or_else(|| self.changed(input, report))? else {
            return Err(self.changed(input, report));
        };
        let digest = file_digest(path)
            .map_err(|error| EvidenceError::Input { input: self.name(input, report), cause: error.to_string() })?;
        self.digests.borrow_mut().insert(input, digest.clone());
        Ok(digest)
    }
}
