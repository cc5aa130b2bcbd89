//! Whole captures.

use crate::answer::{Answer, answer};
use crate::packet::bytes_of;
use crate::{Signatures, detached};
use kaspector::capture::{CaptureError, CaptureFile};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::{Detector, Findings};
use kaspector_report::{InputReport, scan_capture};
use pyo3::prelude::*;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

/// Reads the capture file at `path`.
#[pyfunction]
pub fn scan_path(py: Python<'_>, path: PathBuf, signatures: &Signatures) -> PyResult<Answer> {
    let signatures = Arc::clone(&signatures.set);
    detached(py, || scanned(CaptureFile::open(&path), &signatures))
}

/// Reads a capture that lies in memory; `name` stands for its path.
#[pyfunction]
pub fn scan_bytes(
    py: Python<'_>,
    content: &Bound<'_, PyAny>,
    name: String,
    signatures: &Signatures,
) -> PyResult<Answer> {
    // A copy: what others may change must not be read while they may.
    let content = bytes_of(content)?.as_bytes().to_vec();
    let signatures = Arc::clone(&signatures.set);
    detached(py, || scanned(CaptureFile::from_reader(name, Cursor::new(content)), &signatures))
}

fn scanned(file: Result<CaptureFile, CaptureError>, signatures: &Arc<SignatureSet>) -> Answer {
    let (input, findings) = match file {
        Ok(file) => scan_capture(&mut Detector::builder().signatures(signatures).build(), 0, file),
        Err(error) => {
            let path = error.input().to_owned();
            let input =
                InputReport { path, error: Some(error.to_string()), unreadable: true, ..InputReport::default() };
            (input, Findings::default())
        }
    };
    answer(input, findings, signatures, None)
}
