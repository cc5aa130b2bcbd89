//! A datagram of QUIC before TLS, and of any version: what it names is a name, and no version is both known and unknown.
#![no_main]

use kaspector::inspect::quic::{google_client_hello, recognise, unknown_version};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let unknown = unknown_version(data);
    assert!(unknown.is_none() || !recognise(data));
    let Some((_, hello)) = google_client_hello(data) else { return };
    assert_eq!(unknown, None);
    if let Some(name) = hello.sni {
        // Names are taken as they stand, in lower case.
        let name = name.as_str().as_bytes();
        assert!(data.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name)));
    }
});
