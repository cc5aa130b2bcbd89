#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use proptest::prelude::*;

/// What we assert of a request: form, host, port, path, user agent.
type Seen = (HttpTarget, String, Option<u16>, String, String);

fn seen(request: &HttpRequest<'_>) -> Seen {
    let host = request.host.map(|name| name.to_string()).or(request.host_address.map(|address| address.to_string()));
    (
        request.target_form,
        host.unwrap_or_default(),
        request.port,
        String::from_utf8_lossy(request.path).into(),
        String::from_utf8_lossy(request.user_agent.unwrap_or_default()).into(),
    )
}

fn requests(stream: &[u8], step: usize) -> Vec<Seen> {
    let mut http = RequestStream::default();
    let mut all = Vec::new();
    for piece in stream.chunks(step) {
        if http.accept(piece, |request| all.push(seen(request))) != Progress::More {
            break;
        }
    }
    all
}

fn one(text: &str) -> Seen {
    requests(text.as_bytes(), text.len()).pop().unwrap()
}

const PIPELINED: &str = "\r\nGET /index/u1313g.xml HTTP/1.1\r\nHost: dnl-05.geo.kaspersky.com\r\nUser-Agent: x\r\n\r\n\
POST /a HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\nxxxx\
PUT /b HTTP/1.1\r\nhost:b.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;name=value\r\n12345\r\n00A\r\nGET / 0123\r\n0\r\nTrailer: 1\r\n\r\n\
OPTIONS * HTTP/1.0\nHost: c.example\n\n";

#[test]
fn what_is_no_request_ends_the_stream_however_it_is_cut() {
    for stranger in ["GX / HTTP/2.0\r\n\r\n", "UNLO\x01"] {
        let stream = ["GET /a HTTP/1.1\r\n\r\n", stranger, "POST /b HTTP/1.1\r\n\r\n"].concat();
        for step in 1..=stream.len() {
            let paths: Vec<_> = requests(stream.as_bytes(), step).into_iter().map(|(.., path, _)| path).collect();
            assert_eq!(paths, ["/a"], "{stranger:?} {step}");
        }
    }
}

#[test]
fn every_request_of_a_connection_comes_out_however_it_is_cut() {
    let expected = [
        (HttpTarget::Origin, "dnl-05.geo.kaspersky.com", None, "/index/u1313g.xml", "x"),
        (HttpTarget::Origin, "a.example", Some(8080), "/a", ""),
        (HttpTarget::Origin, "b.example", None, "/b", ""),
        (HttpTarget::Asterisk, "c.example", None, "*", ""),
    ]
    .map(|(form, host, port, path, agent)| (form, host.to_owned(), port, path.to_owned(), agent.to_owned()));
    for step in 1..PIPELINED.len() {
        assert_eq!(requests(PIPELINED.as_bytes(), step), expected, "{step}");
    }
}

#[test]
fn a_method_is_any_word_and_empty_lines_may_precede_it() {
    for line in ["QUERY /a HTTP/1.1", "get /a HTTP/1.0", "X-M* http://a.example/a HTTP/1.1", "BREW /a HTTP/1.1"] {
        let stream = format!("\r\n\n\r\n{line}\r\nHost: a.example\r\n\r\n\r\n\r\n{line}\r\nHost: a.example\r\n\r\n");
        for step in 1..=stream.len() {
            let paths: Vec<_> = requests(stream.as_bytes(), step).into_iter().map(|(.., path, _)| path).collect();
            assert_eq!(paths, ["/a", "/a"], "{line} {step}");
        }
        for end in 0..line.len() {
            assert_eq!(recognise_request(&line.as_bytes()[..end]), Match::NeedMore, "{line} {end}");
        }
        assert_eq!(recognise_request(format!("{line}\n").as_bytes()), Match::Yes);
    }
    for line in [
        "PRI * HTTP/2.0\r\n",
        "DESCRIBE rtsp://a/ RTSP/1.0\r\n",
        "REGISTER sip:a SIP/2.0\r\n",
        "A: /\r\n",
        "RETR /a\r\n",
    ] {
        assert_eq!(recognise_request(line.as_bytes()), Match::No, "{line}");
    }
}

#[test]
fn targets_of_all_forms() {
    let (form, host, port, path, _) =
        one("GET http://u:p@S05.upd.kaspersky.com.:80/x?y HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(
        (form, host.as_str(), port, path.as_str()),
        (HttpTarget::Absolute, "s05.upd.kaspersky.com", Some(80), "/x?y")
    );
    let (form, host, port, path, _) = one("CONNECT ds.kaspersky.com:443 HTTP/1.1\r\nHost: proxy.example\r\n\r\n");
    assert_eq!((form, host.as_str(), port, path.as_str()), (HttpTarget::Authority, "ds.kaspersky.com", Some(443), ""));
    let (_, host, port, ..) = one("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n");
    assert_eq!((host.as_str(), port), ("2001:db8::1", Some(8080)));
    let (_, host, ..) = one("GET / HTTP/1.1\r\nHost: 198.51.100.7\r\n\r\n");
    assert_eq!(host, "198.51.100.7");
    let (form, host, _, path, _) = one("GET http://a.example HTTP/1.1\r\n\r\n");
    assert_eq!((form, host.as_str(), path.as_str()), (HttpTarget::Absolute, "a.example", "/"));
}

#[test]
fn bytes_behind_connect_are_the_tunnel() {
    let mut http = RequestStream::default();
    let bytes = b"CONNECT a.example:443 HTTP/1.1\r\n\r\n\x16\x03\x01";
    assert_eq!(http.accept(bytes, |_| {}), Progress::Tunnel(b"\x16\x03\x01"));
}

#[test]
fn what_is_no_http_is_given_back() {
    let mut http = RequestStream::default();
    assert_eq!(http.accept(b"GET / HTTP/1.1\r\n\r\n\x00\x01", |_| {}), Progress::Lost(b"\x00\x01"));
    for bytes in [&b"INVITE sip:a@example SIP/2.0\r\n"[..], b"EHLO a\r\n", b"GETS\t", b"\x16\x03\x01"] {
        assert_eq!(recognise_request(bytes), Match::No);
    }
    for bytes in [&b""[..], b"G", b"GET", b"\r", b"\r\n", b"PROPF"] {
        assert_eq!(recognise_request(bytes), Match::NeedMore);
    }
    assert!(requests(b"GET / RTSP/1.0\r\n\r\n", 99).is_empty());
}

#[test]
fn a_head_cut_short_gives_its_whole_lines() {
    let mut http = RequestStream::default();
    let bytes = b"GET /a HTTP/1.1\r\nHost: a.example\r\nUser-Agent: half a li";
    assert_eq!(http.accept(bytes, |_| panic!("too early")), Progress::More);
    let mut all = Vec::new();
    http.finish(|request| all.push(seen(request)));
    assert_eq!(all, [(HttpTarget::Origin, "a.example".to_owned(), None, "/a".to_owned(), String::new())]);
}

#[test]
fn a_gap_inside_a_body_keeps_the_place() {
    let mut http = RequestStream::default();
    let mut count = 0;
    assert_eq!(
        http.accept(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\nabc", |_| count += 1),
        Progress::More
    );
    assert!(http.skip(990));
    assert_eq!(http.accept(b"1234567GET / HTTP/1.1\r\n\r\n", |_| count += 1), Progress::More);
    assert_eq!(count, 2);
    assert!(!http.skip(1));
}

#[test]
fn a_gap_inside_a_chunk_keeps_the_place() {
    let mut http = RequestStream::default();
    let mut count = 0;
    let head = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc";
    assert_eq!(http.accept(head, |_| count += 1), Progress::More);
    assert!(http.skip(90));
    assert_eq!(http.accept(b"1234567\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", |_| count += 1), Progress::More);
    assert_eq!(count, 2);
}

#[test]
fn requests_behind_an_overlong_head_are_found() {
    let filler = format!("Cookie: {}\r\n", "a".repeat(20_000));
    let post =
        format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 18\r\n{filler}\r\nGET / HTTP/1.1\r\n\r\n");
    let get = format!("GET /b HTTP/1.1\r\nHost: b.example\r\n{filler}\r\n");
    let stream = format!("{post}{get}GET /c HTTP/1.1\r\nHost: c.example\r\n\r\n");
    for step in [1, 2, 3, 1_000, 1_460, 16_384, 20_300, stream.len()] {
        let paths: Vec<_> = requests(stream.as_bytes(), step).into_iter().map(|(_, _, _, path, _)| path).collect();
        assert_eq!(paths, ["/a", "/b", "/c"], "{step}");
    }
}

#[test]
fn the_beginning_of_a_body_is_given_and_no_more() {
    let body = "x".repeat(10_000);
    let length = format!("POST /a HTTP/1.1\r\nContent-Length: 10000\r\n\r\n{body}GET / HTTP/1.1\r\n\r\n");
    let chunks = format!(
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n2710\r\n{body}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    );
    for stream in [length, chunks] {
        for step in [1, 7, 1_460, stream.len()] {
            let mut http = RequestStream::default();
            let (mut requests, mut given) = (0, Vec::new());
            for piece in stream.as_bytes().chunks(step) {
                let progress =
                    http.accept_with_uploads(piece, |_| requests += 1, |piece| given.extend_from_slice(piece));
                assert_eq!(progress, Progress::More);
            }
            assert_eq!((requests, given), (2, vec![b'x'; UPLOAD_MAX]), "{step}");
        }
    }
}

#[test]
fn an_endless_head_is_bounded() {
    let mut http = RequestStream::default();
    let mut all = Vec::new();
    let _ = http.accept(b"GET /a HTTP/1.1\r\nHost: a.example\r\n", |_| {});
    for _ in 0..2_000 {
        let _ = http.accept(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", |request| all.push(seen(request)));
        assert!(http.held_bytes() <= HEAD_MAX);
    }
    assert_eq!((all.len(), http.take_overlong()), (1, 1));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut http = RequestStream::default();
        let _ = http.accept(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", |_| {});
        for piece in pieces {
            let _ = http.accept(&piece, |_| {});
        }
        http.finish(|_| {});
    }

    /// Requests with damaged bytes: never a panic, and never more requests than lines that could begin one.
    #[test]
    fn damaged_requests_never_panic(flips in prop::collection::vec((0usize..400, any::<u8>()), 0..8), step in 1usize..100) {
        let mut bytes = PIPELINED.as_bytes().to_vec();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        prop_assert!(requests(&bytes, step).len() <= 8);
    }
}
