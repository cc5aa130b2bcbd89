//! A capture scanned by one thread and by several: the same report, the same alerts. It comes through a pipe, because an input of unknown
//! length is read by all threads together, however short it turns out to be.
#![no_main]

use kaspector::matching::SignatureSet;
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, ScanOptions, Takers, scan};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::{Arc, LazyLock};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

/// What a pipe holds before its writer would wait.
const PIPE: usize = 64 << 10;

fn scanned(data: &[u8], threads: usize) -> String {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(data).expect("it fits the pipe");
    drop(writer);
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let options = ScanOptions { inputs: expand([&path]), threads, ..ScanOptions::default() };
    let mut scan = scan(&options, &SIGNATURES, &Progress::default(), Takers::default()).expect("there is no filter");
    for input in &mut scan.report.inputs {
        input.path.clear();
        input.error = input.error.take().map(|error| error.replace(&path, ""));
    }
    format!("{scan:?}")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [threads, capture @ ..] = data else { return };
    if capture.len() > PIPE {
        return;
    }
    assert_eq!(scanned(capture, 1), scanned(capture, 2 + usize::from(threads % 2)));
});
