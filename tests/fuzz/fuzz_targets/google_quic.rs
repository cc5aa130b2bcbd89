//! A datagram of QUIC before TLS, and of any version: what it names is a name, and no version is both known and unknown.
#![no_main]

use kaspector::inspect::DomainName;
use kaspector::inspect::quic::{google_client_hello, recognise, unknown_version};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let unknown = unknown_version(data);
    assert!(unknown.is_none() || !recognise(data));
    let Some((_, hello)) = google_client_hello(data) else { return };
    assert_eq!(unknown, None);
    if let Some(name) = hello.sni {
        assert!(!name.as_str().is_empty() && name.as_str().len() <= DomainName::MAX);
    }
});
