//! One capture on one thread: each block goes through lanes and ledger before the next is read.

use super::input_scan::InputScan;
use super::progress::Progress;
use super::reading::Reading;
use kaspector::capture::{Block, CaptureFile, Frame};
use kaspector::pipeline::Detector;
use kaspector_live::Filter;
use kaspector_report::Tally;
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads inputs one after the other.
#[derive(Debug)]
pub struct Reader<'a> {
    detector: Detector,
    block: Block,
    filter: Option<Filter>,
    progress: &'a Progress,
}

impl<'a> Reader<'a> {
    /// One that has read nothing yet.
    #[must_use]
    pub fn new(reading: &Reading<'a>) -> Self {
        let builder = Detector::builder().signatures(reading.signatures).tunnels(&reading.ports);
        let detector = if reading.keeps_alerts { builder } else { builder.without_alerts() }.build();
        Self { detector, block: Block::default(), filter: reading.filter(), progress: reading.progress }
    }

    /// Reads one input, or its blocks up to packet `limit`. `sound` holds the packets of all blocks that are through.
    pub fn read(&mut self, mut file: CaptureFile, input: u32, limit: u64, sound: &AtomicU64) -> InputScan {
        self.detector.begin_input(input);
        let mut tally = Tally::new(&file);
        while tally.packets() < limit {
            if self.progress.is_stopped() {
                tally.interrupt();
                break;
            }
            match file.next_block(&mut self.block) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tally.fail(&error);
                    break;
                }
            }
            tally.count(&self.block);
            self.progress.add_block(&self.block);
            #[cfg(test)]
            super::defect::tests::panic_if_asked(file.input(), tally.packets());
            match &mut self.filter {
                Some(filter) => self.detector.feed_block(self.block.view(), |frame| filter.accepts(frame)),
                None => self.detector.feed_block(self.block.view(), |_: &Frame<'_>| true),
            }
            sound.store(tally.packets(), Ordering::Relaxed);
        }
        InputScan { report: tally.close(&file), findings: self.detector.finish(), ..InputScan::default() }
    }
}
