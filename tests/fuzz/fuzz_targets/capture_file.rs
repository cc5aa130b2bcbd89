#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = kaspector::capture::read_all(data);
});
