//! A capture file of any format, whatever its bytes: it is read to its end or to an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = kaspector::capture::read_all(data);
});
