//! The report of one input, counted while it is read.

use super::InputReport;
use kaspector::capture::{Block, CaptureError, CaptureFile};
use kaspector::pipeline::{Detector, Findings};
use sha2::{Digest, Sha256};

/// Bytes at the start of an input that identify it, together with its length.
const DIGESTED_BYTES: usize = 64 << 10;

/// What the report says of an input, counted block by block.
#[derive(Debug)]
pub struct Tally {
    report: InputReport,
    digest: Option<Sha256>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(file: &CaptureFile) -> Self {
        let report = InputReport { path: file.input().to_owned(), ..InputReport::default() };
        Self { report, digest: None }
    }

    /// Packets counted so far.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.report.packets
    }

    /// Counts the frames of a block.
    pub fn count(&mut self, block: &Block) {
        self.report.count(block);
        if self.digest.is_none() {
            let mut digest = Sha256::new();
            for frame in block.frames().take_while({
                let mut left = DIGESTED_BYTES;
                move |frame| {
                    let within = left > 0;
                    left = left.saturating_sub(frame.bytes.len());
                    within
                }
            }) {
                digest.update(frame.at.0.to_be_bytes());
                digest.update(frame.bytes);
            }
            self.digest = Some(digest);
        }
    }

    /// Notes why reading ended early.
    pub fn fail(&mut self, error: &CaptureError) {
        self.report.error = Some(error.to_string());
        self.report.unreadable = self.report.packets == 0;
    }

    /// Notes that somebody asked for an early end.
    pub fn interrupt(&mut self) {
        let InputReport { path, packets, .. } = &self.report;
        self.report.error = Some(format!("{path}: interrupted after packet {packets}; what came before was read"));
    }

    /// The input's report.
    #[must_use]
    pub fn close(self, file: &CaptureFile) -> InputReport {
        let mut digest = self.digest.unwrap_or_default();
        digest.update(self.report.packets.to_be_bytes());
        digest.update(self.report.bytes.to_be_bytes());
        InputReport {
            link_types: file.link_types().into_iter().collect(),
            digest: digest.finalize().into(),
            lost: file.lost(),
            ..self.report
        }
    }
}

/// Reads a capture to its end, on this thread. `input` is the number that evidence names it by. What is wrong with the capture stands in its
/// report; what came before was read.
pub fn scan_capture(detector: &mut Detector, input: u32, mut file: CaptureFile) -> (InputReport, Findings) {
    detector.begin_input(input);
    let (mut tally, mut block) = (Tally::new(&file), Block::default());
    loop {
        match file.next_block(&mut block) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tally.fail(&error);
                break;
            }
        }
        tally.count(&block);
        detector.feed_block(block.view(), |_| true);
    }
    (tally.close(&file), detector.finish())
}
