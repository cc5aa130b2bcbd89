//! Lines of logs in each format, the first byte saying which: each line is counted once, and the same lines prove the same.
#![no_main]

use kaspector::matching::SignatureSet;
use kaspector_logs::{Clock, LineParser, LogFormat, LogReader};
use std::sync::{Arc, LazyLock};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else { return };
    let format = LogFormat::ALL[usize::from(which) % LogFormat::ALL.len()];
    let _ = LogFormat::recognise(data).map(|format| format.lacks(data));
    let read = || {
        let mut reader = LogReader::new(&SIGNATURES);
        let mut parser = LineParser::new(format, Clock::default());
        let mut looker = LineParser::new(format, Clock::default());
        for line in data.split(|&byte| byte == b'\n') {
            let _ = looker.written(line);
            reader.line(&mut parser, line);
        }
        let counters = reader.counters().clone();
        assert_eq!(counters.lines, counters.read + counters.others + counters.undirected + counters.malformed);
        assert_eq!(counters.malformed > 0, counters.first_malformed.is_some());
        reader.finish().hosts.len()
    };
    assert_eq!(read(), read());
});
