//! Lines of an EVE log: each is counted once, and what is logged twice proves nothing that it does not prove once.
#![no_main]

use kaspector::matching::SignatureSet;
use kaspector_logs::{LineParser, LogReader};
use std::sync::{Arc, LazyLock};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let read = |times| {
        let mut reader = LogReader::new(&SIGNATURES);
        for line in data.split(|&byte| byte == b'\n') {
            for _ in 0..times {
                reader.line(&mut LineParser::eve(), line);
            }
        }
        let counters = reader.counters().clone();
        assert_eq!(counters.lines, counters.read + counters.others + counters.undirected + counters.malformed);
        assert_eq!(counters.malformed > 0, counters.first_malformed.is_some());
        reader.finish().hosts.len()
    };
    assert_eq!(read(1), read(1));
    assert!(read(2) >= read(1));
});
