//! Lines of text, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::lines::{LineStream, Progress, recognise};
use pieces::pieces;

/// How the text ended, and where.
fn follow<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (&'static str, usize) {
    let mut lines = LineStream::default();
    let mut seen = 0;
    for piece in pieces {
        seen += piece.len();
        match lines.accept(piece) {
            Progress::More => {}
            Progress::Over(rest) => {
                assert!(!rest.is_empty() && piece.ends_with(rest));
                return ("over", seen - rest.len());
            }
            Progress::Endless => return ("endless", 0),
        }
    }
    ("more", 0)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let _ = recognise(bytes);
    let whole = follow(std::iter::once(bytes));
    assert_eq!(whole, follow(pieces(seed, bytes)));
    assert_eq!(whole, follow(bytes.chunks(1)));
});
