//! Syslog messages of a connection, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::syslog::{MessageStream, Progress, originator, recognise};
use pieces::pieces;

/// Every originator, and how it ended.
fn originators<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, &'static str) {
    let mut stream = MessageStream::default();
    let mut all = Vec::new();
    for piece in pieces {
        let progress = stream.accept(piece, |originator| all.push(format!("{originator:?}")));
        assert!(stream.held_bytes() <= 1024);
        match progress {
            Progress::More => {}
            Progress::Over(rest) => {
                assert!(!rest.is_empty() && piece.ends_with(rest));
                return (all, "over");
            }
            Progress::Enough => return (all, "enough"),
        }
    }
    stream.finish(|originator| all.push(format!("{originator:?}")));
    (all, "more")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let whole = recognise(bytes);
    for end in 0..bytes.len().min(16) {
        let part = recognise(&bytes[..end]);
        assert!(part == Match::NeedMore || part == whole);
    }
    let _ = originator(bytes);
    let whole = originators(std::iter::once(bytes));
    assert_eq!(whole, originators(pieces(seed, bytes)));
    assert_eq!(whole, originators(bytes.chunks(1)));
});
