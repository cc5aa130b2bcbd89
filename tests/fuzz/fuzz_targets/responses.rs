//! HTTP responses to one request, in one piece and in several. The first two bytes choose the pieces.
#![no_main]

mod pieces;

use kaspector::inspect::http::{BODY_MAX, RequestStream, ResponseProgress, ResponseStream};
use pieces::pieces;

const REQUEST: &[u8] = b"GET /index/u1313g.xml HTTP/1.1\r\nHost: mirror.example\r\n\r\n";

/// The response, once enough of it is there.
fn response<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut stream = ResponseStream::default();
    let _ = RequestStream::default().accept(REQUEST, |request| stream.expect(request));
    let mut found = None;
    for piece in pieces {
        let progress = stream.accept(piece, |response| {
            assert!(response.body.len() <= BODY_MAX && response.request().is_some());
            assert!(found.replace(format!("{response:?}")).is_none());
        });
        assert!(stream.held_bytes() <= 8 << 10);
        if progress == ResponseProgress::Over {
            return found;
        }
    }
    stream.finish(|response| found = Some(format!("{response:?}")));
    assert_eq!(stream.held_bytes(), 0);
    found
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first_chunk::<2>() else { return };
    let whole = response(std::iter::once(bytes));
    // Damaged compression shows as much as there was when it was tried, and that depends on the pieces.
    if !bytes.windows(16).any(|name| name.eq_ignore_ascii_case(b"content-encoding")) {
        assert_eq!(whole, response(pieces(seed, bytes)));
        assert_eq!(whole, response(bytes.chunks(1)));
    } else {
        assert_eq!(whole.is_some(), response(pieces(seed, bytes)).is_some());
    }
});
