//! HTTP requests, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::http::{Progress, RequestStream, recognise_request, recognise_response};
use pieces::pieces;

/// Every request, and how the stream ended.
fn requests<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, &'static str) {
    let mut stream = RequestStream::default();
    let mut all = Vec::new();
    for piece in pieces {
        let progress = stream.accept(piece, |request| all.push(format!("{request:?}")));
        assert!(stream.held_bytes() <= 16 << 10);
        match progress {
            Progress::More => {}
            Progress::Tunnel(rest) => {
                assert!(piece.ends_with(rest));
                return (all, "tunnel");
            }
            Progress::Lost(rest) => {
                assert!(piece.ends_with(rest));
                return (all, "lost");
            }
        }
    }
    stream.finish(|request| all.push(format!("{request:?}")));
    assert_eq!(stream.held_bytes(), 0);
    (all, "more")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    for recognise in [recognise_request, recognise_response] {
        let whole = recognise(bytes);
        for end in 0..bytes.len().min(16) {
            let part = recognise(&bytes[..end]);
            assert!(part == Match::NeedMore || part == whole);
        }
    }
    let whole = requests(std::iter::once(bytes));
    if recognise_request(bytes) == Match::Yes {
        assert_eq!(whole, requests(pieces(seed, bytes)));
        assert_eq!(whole, requests(bytes.chunks(1)));
    }
});
