//! A capture through the whole detector: frame by frame, and in blocks. Detectors are used again, since making one takes longer than
//! most captures.
#![no_main]

use kaspector::capture::{Block, CaptureFile};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

thread_local! {
    static DETECTORS: RefCell<[Detector; 2]> = RefCell::new([Detector::new(&SIGNATURES), Detector::new(&SIGNATURES)]);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = CaptureFile::from_reader("memory", std::io::Cursor::new(data.to_vec())) else { return };
    DETECTORS.with_borrow_mut(|[single, blocks]| {
        let mut block = Block::default();
        let mut frames = 0;
        while let Ok(true) = file.next_block(&mut block) {
            for frame in block.frames() {
                frames += 1;
                single.feed(&frame);
            }
            blocks.feed_block(block.view(), |_| true);
        }
        let (single, blocks) = (single.finish(), blocks.finish());
        assert_eq!(single.outcomes.total(), frames);
        assert_eq!(format!("{single:?}"), format!("{blocks:?}"));
        assert_eq!(
            format!("{:?}", single.host_findings(&SIGNATURES)),
            format!("{:?}", blocks.host_findings(&SIGNATURES)),
        );
    });
});
