//! Frames of the reputation service, of both sides, in one piece and in several. The first two bytes choose the pieces; the third says
//! where one side's bytes end.
#![no_main]

mod pieces;

use kaspector::inspect::reputation::{FrameStream, recognise};
use pieces::pieces;

/// What one side's bytes come to, held against those of the other.
fn follow<'a>(pieces: impl Iterator<Item = &'a [u8]>, other: Option<&FrameStream>) -> FrameStream {
    let mut frames = FrameStream::default();
    frames.begin();
    for piece in pieces {
        frames.accept(piece, other);
    }
    frames.finish();
    frames
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[first, second, cut], bytes)) = data.split_first_chunk::<3>() else { return };
    let _ = recognise(bytes);
    let (asked, answered) = bytes.split_at(bytes.len() * usize::from(cut) / 255);
    let client = follow(std::iter::once(asked), None);
    let server = follow(std::iter::once(answered), Some(&client));
    for pieces in [pieces([first, second], answered).collect::<Vec<_>>(), answered.chunks(1).collect()] {
        assert_eq!(format!("{:?}", follow(pieces.into_iter(), Some(&client))), format!("{server:?}"));
    }
    assert!(!client.is_answered_by(&client));
    let mut cut_short = client;
    let _ = cut_short.skip(u64::from(first) << 20 | u64::from(second));
    cut_short.interrupt();
    // What was proved stays.
    assert!(!client.is_answered_by(&server) || cut_short.is_answered_by(&server));
});
