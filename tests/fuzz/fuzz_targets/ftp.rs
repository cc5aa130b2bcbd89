//! What an FTP client says, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::ftp::{ClientStream, Progress, recognise};
use pieces::pieces;

/// Every path, and how it ended.
fn paths<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, &'static str) {
    let mut stream = ClientStream::default();
    let mut all = Vec::new();
    for piece in pieces {
        let progress = stream.accept(piece, |request| {
            assert!(request.path.first() == Some(&b'/') && request.path.len() <= 512);
            all.push(format!("{request:?}"));
        });
        assert!(stream.held_bytes() <= 3 * 512);
        match progress {
            Progress::More => {}
            Progress::Over(rest) => {
                assert!(!rest.is_empty() && piece.ends_with(rest));
                return (all, "over");
            }
            Progress::Endless => return (all, "endless"),
        }
    }
    (all, "more")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let whole = recognise(bytes);
    for end in 0..bytes.len().min(16) {
        let part = recognise(&bytes[..end]);
        assert!(part == Match::NeedMore || part == whole);
    }
    let whole = paths(std::iter::once(bytes));
    assert_eq!(whole, paths(pieces(seed, bytes)));
    assert_eq!(whole, paths(bytes.chunks(1)));
});
