//! Lines of logs in each format, the first byte saying which: each line is counted once, and lines that are passed over would have proved nothing.
#![no_main]

use kaspector::capture::Timestamp;
use kaspector::matching::SignatureSet;
use kaspector_logs::{Clock, LineParser, LogFormat, LogReader, Skim, Skimmer, as_lines};
use std::io::Read;
use std::sync::{Arc, LazyLock};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

static FORMATS: LazyLock<Vec<LogFormat>> = LazyLock::new(LogFormat::all);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else { return };
    let format = FORMATS[usize::from(which) % FORMATS.len()];
    let _ = LogFormat::recognise(data).map(|format| format.lacks(data));
    // Frames of dnstap behind the beginning of their stream.
    let stream = [&b"\0\0\0\0\0\0\0\x22\0\0\0\x02\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap"[..], data].concat();
    let mut lines = Vec::new();
    as_lines(std::io::Cursor::new(stream)).unwrap().read_to_end(&mut lines).unwrap();
    assert!(lines.is_empty() || lines.ends_with(b"\n"));
    let read = |looks: bool| {
        let mut reader = LogReader::new(&SIGNATURES);
        let mut parser = LineParser::new(format, Clock::default());
        if looks {
            let mut skim = Skim::default();
            Skimmer::new(&parser, &SIGNATURES).skim(data, &mut skim);
            reader.lines(&mut parser, data, &skim, &mut 0, Timestamp(u64::MAX), &mut |_| {});
        } else {
            for line in data.split_inclusive(|&byte| byte == b'\n') {
                reader.read_line(&mut parser, line);
            }
        }
        let counters = reader.counters().clone();
        assert_eq!(counters.lines, counters.read + counters.others + counters.undirected + counters.malformed);
        assert_eq!(counters.malformed > 0, counters.first_malformed.is_some());
        format!("{} {:?}", counters.lines, reader.finish().host_findings(&SIGNATURES))
    };
    // Lines that are passed over would have shown nothing.
    assert_eq!(read(true), read(false));
});
