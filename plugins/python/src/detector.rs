//! Packets one by one.

use crate::answer::{Answer, Origin, alerts, answer};
use crate::packet::{bytes_of, nanoseconds_of};
use crate::{Error, Signatures, detached};
use kaspector::capture::{Block, LinkType, Record, Timestamp};
use kaspector::matching::{Alert, SignatureSet};
use kaspector::pipeline::{self, OFFLINE_SEED};
use kaspector_report::InputReport;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Packets are gathered until there are so many, or so many bytes of them, and then read together.
const GATHERED_PACKETS: usize = 1024;
const GATHERED_BYTES: usize = 1 << 20;
/// Longest packet: longer than any link has, and what a place in a block can name.
const PACKET_MAX: usize = 256 << 20;

/// A detector for packets that are fed one by one.
#[pyclass(subclass, frozen, module = "kaspector._kaspector")]
pub struct Detector {
    link_type: u16,
    /// `None` after a panic. Locked only while nobody waits for the interpreter's lock.
    work: Mutex<Option<Work>>,
}

struct Work {
    signatures: Arc<SignatureSet>,
    detector: pipeline::Detector,
    block: Block,
    input: InputReport,
    source: String,
    run: [u8; 32],
}

impl Work {
    fn take(&mut self, at: u64, link_type: u16, wire_len: u32, bytes: &[u8]) -> bool {
        let (at, link_type, block) = (Timestamp(at), LinkType(link_type), &mut self.block);
        #[expect(clippy::cast_possible_truncation, reason = "both are bounded")]
        let (start, len) = (block.bytes.len() as u32, bytes.len() as u32);
        block.bytes.extend_from_slice(bytes);
        block.records.push(Record { at, start, len, wire_len: wire_len.max(len), link_type });
        block.records.len() >= GATHERED_PACKETS || block.bytes.len() >= GATHERED_BYTES
    }

    fn read(&mut self) {
        let Self { block, input, detector, .. } = self;
        input.count(block);
        input.link_types.extend(block.records.iter().map(|record| record.link_type).collect::<BTreeSet<_>>());
        detector.feed_block(block.view(), |_| true);
        block.first_number += block.records.len() as u64;
        block.bytes.clear();
        block.records.clear();
    }

    fn alerts(&mut self) -> String {
        self.read();
        let taken: Vec<Alert> = self.detector.take_alerts();
        alerts(&taken, &Origin::Fed { source: &self.source, run: &self.run }, &self.signatures)
    }

    fn finish(&mut self) -> Answer {
        self.read();
        self.block.first_number = 1;
        let new = InputReport { path: self.source.clone(), ..InputReport::default() };
        let input = std::mem::replace(&mut self.input, new);
        answer(input, self.detector.finish(), &self.signatures, Some(&self.run))
    }
}

#[pymethods]
impl Detector {
    #[new]
    fn new(
        py: Python<'_>,
        signatures: &Signatures,
        link_type: u16,
        seed: Option<u64>,
        source: String,
        run: &[u8],
    ) -> PyResult<Self> {
        let Ok(run) = <[u8; 32]>::try_from(run) else {
            let what = format!("run has {} bytes; it has 32, for example of os.urandom(32), or is left out", run.len());
            return Err(PyValueError::new_err(what));
        };
        let signatures = Arc::clone(&signatures.set);
        let seed = seed.unwrap_or(OFFLINE_SEED);
        let work = detached(py, || {
            let detector = pipeline::Detector::builder().signatures(&signatures).seed(seed).build();
            let input = InputReport { path: source.clone(), ..InputReport::default() };
            Work { signatures, detector, block: Block { first_number: 1, ..Block::default() }, input, source, run }
        })?;
        Ok(Self { link_type, work: Mutex::new(Some(work)) })
    }

    /// Takes the next packet.
    #[pyo3(signature = (ts, data, wire_len = None, link_type = None))]
    fn feed(
        &self,
        ts: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        wire_len: Option<u32>,
        link_type: Option<u16>,
    ) -> PyResult<()> {
        let (at, data) = (nanoseconds_of(ts)?, bytes_of(data)?);
        let bytes = data.as_bytes();
        if bytes.len() > PACKET_MAX {
            let what = format!(
                "data has {} bytes; no packet has more than {PACKET_MAX}; use kaspector.scan for captures",
                bytes.len()
            );
            return Err(PyValueError::new_err(what));
        }
        let link_type = link_type.unwrap_or(self.link_type);
        // Nobody who has this lock waits for the interpreter's, so it may be taken with that in hand; as a rule nobody has it.
        let is_full = match &mut *self.work.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(work) => work.take(at, link_type, wire_len.unwrap_or_default(), bytes),
            None => return Err(failed()),
        };
        if is_full { self.with(data.py(), Work::read) } else { Ok(()) }
    }

    /// The alerts raised since they were taken last, as JSON.
    fn take_alerts(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, Work::alerts)
    }

    /// Ends every flow, and gives the answer.
    fn take_answer(&self, py: Python<'_>) -> PyResult<Answer> {
        self.with(py, Work::finish)
    }
}

impl Detector {
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Work) -> T + Send) -> PyResult<T> {
        let done = detached(py, || {
            let mut place = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            // Taken out, so that a panic leaves nothing that is half changed.
            let mut inner = place.take()?;
            let done = work(&mut inner);
            *place = Some(inner);
            Some(done)
        })?;
        done.ok_or_else(failed)
    }
}

fn failed() -> PyErr {
    Error::new_err("this detector failed before; make another")
}
