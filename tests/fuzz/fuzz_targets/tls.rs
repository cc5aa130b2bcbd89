//! Handshake records, in one piece and in several, and the same bytes as bodies of messages. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::Match;
use kaspector::inspect::tls::{
    Certificate, ClientHello, Handshake, HandshakeStream, Ja4Transport, Progress, recognise_client, recognise_server,
    whole_client_hello,
};
use pieces::pieces;

/// Beyond this a side has lost our patience, which is looked at between pieces.
const PATIENCE: usize = 512 << 10;

fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut stream = HandshakeStream::default();
    let mut all = Vec::new();
    for piece in pieces {
        let progress = stream.accept(piece, |message| {
            if let Handshake::ClientHello(hello) = &message {
                check(hello);
            }
            all.push(format!("{message:?}"));
        });
        assert!(stream.held_bytes() <= 131_396 + 4);
        if progress == Progress::Done {
            return all;
        }
    }
    stream.finish(|message| all.push(format!("{message:?}")));
    all
}

fn check(hello: &ClientHello<'_>) {
    let mut ja3 = String::new();
    hello.ja3_string(&mut ja3);
    assert_eq!(ja3.matches(',').count(), 4);
    let _ = hello.ja3_hash();
    let ja4 = hello.ja4(Ja4Transport::Tcp).to_string();
    assert!(ja4.len() == 36 && ja4.is_ascii(), "{ja4}");
    assert_eq!(hello.alpn, hello.alpns().next());
    let _ = hello.version();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    for recognise in [recognise_client, recognise_server] {
        let whole = recognise(bytes);
        for end in 0..bytes.len().min(8) {
            let part = recognise(&bytes[..end]);
            assert!(part == Match::NeedMore || part == whole);
        }
    }
    for hello in [ClientHello::parse(bytes, true), whole_client_hello(bytes).flatten()].iter().flatten() {
        check(hello);
    }
    let _ = Certificate::parse(bytes).map(|certificate| (certificate.serial(), certificate.names().count()));
    if bytes.len() < PATIENCE {
        assert_eq!(messages(std::iter::once(bytes)), messages(pieces(seed, bytes)));
    }
});
