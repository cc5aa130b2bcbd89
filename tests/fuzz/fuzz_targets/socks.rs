//! The client's side of a SOCKS negotiation, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::socks::{ClientStream, Progress, recognise};
use pieces::pieces;

/// The request, and where the tunnel begins.
fn negotiate<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Option<String>, &'static str, usize) {
    let mut stream = ClientStream::default();
    let mut asked = None;
    let mut seen = 0;
    for piece in pieces {
        seen += piece.len();
        let progress = stream.accept(piece, |request| {
            assert!(asked.is_none());
            asked = Some(format!("{request:?}"));
        });
        assert!(stream.held_bytes() <= 600);
        match progress {
            Progress::More => {}
            Progress::Tunnel(rest) => {
                assert!(piece.ends_with(rest));
                return (asked, "tunnel", seen - rest.len());
            }
            Progress::Lost(rest) => {
                assert!(piece.ends_with(rest));
                // Where it was lost depends on when that showed.
                return (asked, "lost", 0);
            }
        }
    }
    (asked, "more", 0)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let whole = negotiate(std::iter::once(bytes));
    assert_eq!(whole.0.is_some(), whole.1 == "tunnel");
    if recognise(bytes) == Match::Yes {
        assert_eq!(whole, negotiate(pieces(seed, bytes)));
        assert_eq!(whole, negotiate(bytes.chunks(1)));
    }
});
