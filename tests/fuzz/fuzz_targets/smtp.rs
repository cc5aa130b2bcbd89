//! What a mail client says, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::smtp::{ClientStream, Progress, recognise};
use pieces::pieces;

/// Every field that the client added, and how it ended.
fn added<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, &'static str) {
    let mut stream = ClientStream::default();
    let mut all = Vec::new();
    for piece in pieces {
        let progress = stream.accept(piece, |header| {
            all.extend(header.added_by_client().map(|(line, by)| format!("{by:?} {}", String::from_utf8_lossy(line))));
        });
        assert!(stream.held_bytes() <= 34 << 10);
        match progress {
            Progress::More => {}
            Progress::Over(rest) => {
                assert!(!rest.is_empty() && piece.ends_with(rest));
                return (all, "over");
            }
            Progress::Endless => return (all, "endless"),
        }
    }
    stream.finish(|header| all.extend(header.added_by_client().map(|(line, by)| format!("{by:?} {line:?}"))));
    assert_eq!(stream.held_bytes(), 0);
    (all, "more")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let whole = recognise(bytes);
    for end in 0..bytes.len().min(16) {
        let part = recognise(&bytes[..end]);
        assert!(part == Match::NeedMore || part == whole);
    }
    let whole = added(std::iter::once(bytes));
    // How much of an endless session is read depends on where it is cut.
    if whole.1 != "endless" && bytes.len() < 30 << 10 {
        assert_eq!(whole, added(pieces(seed, bytes)));
        assert_eq!(whole, added(bytes.chunks(1)));
    }
});
