//! The frames of a capture through the detector in blocks, and through the simple order of work: the same answer. Times are ours, a
//! millisecond apart, since when a flow is found to be over has no fixed time once they jump.
#![no_main]

use kaspector::capture::{Block, CaptureFile, Timestamp};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::{Detector, Findings};
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

#[allow(dead_code)]
#[path = "../../reference/mod.rs"]
mod reference;

use reference::Reference;

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

thread_local! {
    static DETECTOR: RefCell<Detector> = RefCell::new(Detector::new(&SIGNATURES));
}

/// Hosts without link-layer addresses, which are those of the first evidence; alerts in any order, since flows that end together have
/// none.
fn words(findings: &Findings) -> (Vec<String>, Vec<String>, String) {
    let mut hosts = findings.host_findings(&SIGNATURES);
    hosts.iter_mut().for_each(|host| host.mac = None);
    let mut alerts: Vec<String> = findings.alerts.iter().map(|alert| format!("{alert:?}")).collect();
    alerts.sort_unstable();
    let counters = format!("{:?} {} {:?}", findings.outcomes, findings.flows, findings.dropped);
    (hosts.iter().map(|host| format!("{host:?}")).collect(), alerts, counters)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = CaptureFile::from_reader("memory", std::io::Cursor::new(data.to_vec())) else { return };
    DETECTOR.with_borrow_mut(|detector| {
        let mut reference = Reference::new(&SIGNATURES);
        let mut block = Block::default();
        let mut at = 0;
        while let Ok(true) = file.next_block(&mut block) {
            for record in &mut block.records {
                at += 1_000_000;
                record.at = Timestamp(at);
            }
            for frame in block.frames() {
                reference.feed(&frame);
            }
            detector.feed_block(block.view(), |_| true);
        }
        assert_eq!(words(&reference.finish()), words(&detector.finish()));
    });
});
