//! Segments of the spool, in one piece and in two. The first byte chooses where they are cut.
#![no_main]

use kaspector_delivery::spool::record::{RecordStream, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    if !bytes.is_empty() {
        let _ = parse(bytes);
    }
    let mut whole = RecordStream::default();
    whole.feed(bytes);
    let mut pieces = RecordStream::default();
    let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
    pieces.feed(first);
    let mut found = Vec::new();
    found.extend(std::iter::from_fn(|| pieces.next(false)));
    pieces.feed(second);
    found.extend(std::iter::from_fn(|| pieces.next(true)));
    assert!(std::iter::from_fn(|| whole.next(true)).eq(found));
});
