//! Keeps the packets behind the findings of a scan.

use super::super::say;
use crate::cli::ScanArguments;
use crate::evidence::{Captures, EvidenceFolder, EvidenceOptions, Written, keep};
use crate::process::panics::survive;
use crate::scan::{Progress, Scan, ScanOptions};
use anyhow::anyhow;
use kaspector::capture::display_path;
use kaspector::matching::SignatureSet;
use std::sync::Arc;

/// Reads the inputs again for the packets that prove what was found.
pub fn keep_evidence(
    folder: EvidenceFolder,
    arguments: &ScanArguments,
    options: &ScanOptions,
    scan: &Scan,
    signatures: &Arc<SignatureSet>,
    progress: &Progress,
) -> anyhow::Result<Written> {
    let filter = options.filter.as_deref();
    let captures = Captures::new(&options.inputs, &scan.rows, filter, &options.tunnels, progress);
    let bounds = EvidenceOptions {
        packets: usize::from(arguments.evidence_packets),
        bytes: arguments.evidence_size.0,
        redacts: arguments.evidence_redact,
    };
    // The findings are there, whatever becomes of their packets.
    match survive(|| keep(folder, &bounds, &scan.report, signatures, &captures)) {
        Ok(kept) => Ok(kept?),
        Err(failure) => Err(anyhow!("{failure}")),
    }
}

/// Says what was kept where.
pub fn say_what_was_kept(kept: &Written, folder: &str) {
    let Some((manifest, digest)) = &kept.manifest else {
        return say(format_args!("No host was found, so nothing was kept in {folder}."));
    };
    let plural = if kept.captures == 1 { "" } else { "s" };
    let (captures, manifest) = (kept.captures, display_path(manifest));
    say(format_args!("Kept the packets of {captures} host{plural}. SHA-256 of {manifest}:\n  {digest}"));
    if kept.partial > 0 {
        let partial = kept.partial;
        say(format_args!(
            "Of {partial}, these packets by themselves show less than the whole: by_itself in the .json says what."
        ));
    }
}
