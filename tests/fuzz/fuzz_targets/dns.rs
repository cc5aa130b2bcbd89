//! A DNS message, and the same bytes as a stream over TCP in pieces. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::dns::{Message, TcpStream, recognise, recognise_stream};
use kaspector::inspect::{DomainName, Match};
use pieces::pieces;

fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::default();
    let mut all = Vec::new();
    for piece in pieces {
        stream.accept(piece, |message| all.push(message.to_vec()));
        assert!(stream.held_bytes() <= (16 << 10) + 2);
    }
    stream.finish(|message| all.push(message.to_vec()));
    assert_eq!(stream.held_bytes(), 0);
    all
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let mut message = Message::default();
    if message.parse(bytes).is_ok() {
        assert!(message.names.len() <= 64 && message.addresses.len() <= 128);
        assert!(message.is_response || message.names.is_empty() && message.addresses.is_empty());
        for name in message.names.iter().chain(message.question.as_ref().map(|(name, _)| name)) {
            assert!(!name.as_str().is_empty() && name.as_str().len() <= DomainName::MAX);
        }
    }
    // A message leaves nothing behind for the next.
    let first = format!("{message:?}");
    let _ = message.parse(bytes);
    assert_eq!(first, format!("{message:?}"));
    let _ = recognise(bytes);
    // What was decided stays so, however much more comes.
    let whole = recognise_stream(bytes);
    for end in 0..bytes.len().min(320) {
        let part = recognise_stream(&bytes[..end]);
        assert!(part == Match::NeedMore || part == whole, "{part:?} for {end} bytes, then {whole:?}");
    }
    assert_eq!(messages(std::iter::once(bytes)), messages(pieces(seed, bytes)));
});
