//! A header of the PROXY protocol, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::proxy_protocol::{HeaderStream, Progress, recognise};
use pieces::pieces;

/// Who is named, and how many bytes the header has.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Option<std::net::IpAddr>, Option<usize>) {
    let mut header = HeaderStream::default();
    let mut source = None;
    let mut at = 0;
    for piece in pieces {
        at += piece.len();
        if let Progress::Over(rest) = header.accept(piece, |address| source = Some(address)) {
            return (source, Some(at - rest.len()));
        }
        assert!(header.held_bytes() <= 107);
    }
    (source, None)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let whole = recognise(bytes);
    for end in 0..bytes.len().min(20) {
        let part = recognise(&bytes[..end]);
        assert!(part == Match::NeedMore || part == whole);
    }
    assert_eq!(read(std::iter::once(bytes)), read(pieces(seed, bytes)));
});
