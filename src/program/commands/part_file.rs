//! What `--partial` writes, gathered while inputs are read.

use crate::scan::InputScan;
use kaspector::matching::SignatureSet;
use kaspector_partial::{LeftOut, PartWriter, PartialError, Reading};
use kaspector_report::ScanReport;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};

/// A file that can be merged, in memory until it is whole: packed, it takes a few bytes for each machine.
pub struct PartFile<'s> {
    reading: Reading,
    signatures: &'s SignatureSet,
    /// Or what went wrong first.
    writer: Mutex<Result<PartWriter<Vec<u8>>, PartialError>>,
}

impl<'s> PartFile<'s> {
    /// Begins it, for inputs of which `filter` chooses the packets.
    pub fn new(filter: Option<&str>, signatures: &'s SignatureSet) -> Self {
        let reading = Reading {
            signatures: signatures.version().to_owned(),
            signatures_sha256: signatures.sha256().to_owned(),
            filter: filter.map(str::to_owned),
        };
        Self { reading, signatures, writer: Mutex::new(PartWriter::new(Vec::new())) }
    }

    /// Takes the result of an input.
    pub fn take(&self, InputScan { report, findings, is_defective, .. }: &InputScan) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(open) = &mut *writer
            && let Err(error) = open.add_input(&self.reading, report, findings, *is_defective, self.signatures)
        {
            *writer = Err(error);
        }
    }

    /// Ends it, once all inputs were taken.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn finish(self, report: &ScanReport) -> Result<Vec<u8>, PartialError> {
        let mut writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        if !report.left_out.is_empty() {
            writer.add_left_out(&LeftOut { kinds: report.left_out.clone(), scan: digest_of(report) })?;
        }
        writer.finish()
    }
}

/// Tells a scan from others by what it read.
fn digest_of(report: &ScanReport) -> String {
    let mut digest = Sha256::new();
    for input in &report.inputs {
        digest.update((input.path.len() as u64).to_be_bytes());
        digest.update(&input.path);
        digest.update(input.digest);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
