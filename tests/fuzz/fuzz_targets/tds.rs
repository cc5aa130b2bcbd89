//! Packets of TDS, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::tds::{PacketStream, Progress, recognise};
use pieces::pieces;

/// The handshake in the packets, and how many bytes they have.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Option<usize>) {
    let mut packets = PacketStream::default();
    let mut given = Vec::new();
    let mut at = 0;
    for piece in pieces {
        at += piece.len();
        let progress = packets.accept(piece, |bytes| {
            given.extend_from_slice(bytes);
            true
        });
        if let Progress::Over(rest) = progress {
            return (given, Some(at - rest.len()));
        }
    }
    (given, None)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let whole = recognise(bytes);
    for end in 0..bytes.len().min(14) {
        let part = recognise(&bytes[..end]);
        assert!(part == Match::NeedMore || part == whole);
    }
    assert_eq!(read(std::iter::once(bytes)), read(pieces(seed, bytes)));
});
