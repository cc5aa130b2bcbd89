//! Checksums of the inputs of a report.

use super::super::warn;
use crate::inputs::Input;
use crate::process::whole_file::file_digest;
use crate::scan::{Progress, ScanOptions};
use kaspector::capture::display_path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The SHA-256 of each input of the report, by row; `None` of what can be read only once, and of what cannot be read.
pub fn digests(options: &ScanOptions, rows: &[usize], progress: &Progress) -> Vec<Option<String>> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![None; rows.len()]));
    let work = || {
        loop {
            let row = next.fetch_add(1, Ordering::Relaxed);
            let Some(&input) = rows.get(row).filter(|_| !progress.is_stopped()) else { return };
            let Some(digest) = options.inputs.list.get(input).and_then(|input| digest(input.as_ref().ok()?)) else {
                continue;
            };
            if let Some(place) = found.lock().unwrap_or_else(PoisonError::into_inner).get_mut(row) {
                *place = Some(digest);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.min(rows.len()) {
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn digest(input: &Input) -> Option<String> {
    let (Input::Named(path) | Input::Found(path)) = input else { return None };
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    file_digest(path).map_err(|error| warn(format_args!("{}: no checksum: {error}", display_path(path)))).ok()
}
