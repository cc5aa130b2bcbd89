//! The beginning of a binary protocol that may turn into TLS.
#![no_main]

use kaspector::inspect::Match;
use kaspector::inspect::preamble::{length, recognise};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = recognise(data);
    assert_eq!(whole == Match::Yes, length(data) > 0);
    for end in 0..data.len().min(40) {
        let part = recognise(&data[..end]);
        assert!(part == Match::NeedMore || part == whole);
    }
});
