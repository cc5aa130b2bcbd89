//! TLS handshake messages in the clear: the ClientHello, and up to TLS 1.2 the server's certificate.

mod attribute_types;
mod certificate;
mod client_hello;
mod distinguished_name;
mod fingerprint;
mod handshake;

use super::Reader;
use super::recognition::Match;

pub use certificate::Certificate;
pub use client_hello::ClientHello;
pub use distinguished_name::DistinguishedName;
pub use fingerprint::{Ja4, Ja4Transport};
pub use handshake::{Handshake, HandshakeStream, Progress};

/// Record types (RFC 8446 section 5.1).
const RECORD_ALERT: u8 = 21;
const RECORD_HANDSHAKE: u8 = 22;
const RECORD_APPLICATION_DATA: u8 = 23;
const RECORD_CHANGE_CIPHER_SPEC: u8 = 20;
/// Records without content that OpenSSL takes in a row, of the handshake or of the type that precedes a change of keys.
const EMPTY_RECORDS_MAX: u8 = 32;
/// Type and length of a handshake message.
const MESSAGE_HEADER: usize = 4;
/// Shortest hello: version, random, an empty session, and of a server's one cipher suite and compression method.
const HELLO_MIN: usize = 38;
/// Longest ClientHello: as much as its own lengths can say (RFC 8446 section 4.1.2), which is what OpenSSL takes.
const CLIENT_HELLO_MAX: usize = 131_396;
/// Length of an alert in the clear (RFC 8446 section 6): level and description.
const ALERT_LEN: usize = 2;
/// Handshake message types (RFC 8446 section 4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;

/// Whether a stream begins with a ClientHello.
#[must_use]
pub fn recognise_client(bytes: &[u8]) -> Match {
    recognise(bytes, CLIENT_HELLO)
}

/// Whether a stream begins with a ServerHello; a warning may precede it.
#[must_use]
pub fn recognise_server(bytes: &[u8]) -> Match {
    let is_warning = |(at, &byte): (usize, &u8)| match at {
        0 => byte == RECORD_ALERT,
        1 => byte == 3,
        2 => byte <= 4,
        3 => byte == 0,
        4 => usize::from(byte) == ALERT_LEN,
        // The level; a fatal one would end it all.
        5 => byte == 1,
        _ => true,
    };
    if bytes.is_empty() || !bytes.iter().take(7).enumerate().all(is_warning) {
        return recognise(bytes, SERVER_HELLO);
    }
    bytes.get(7..).map_or(Match::NeedMore, |rest| recognise(rest, SERVER_HELLO))
}

/// Whether bytes begin with a record of application data: the handshake is over and was not seen, and one that may follow is encrypted
/// (RFC 8446 section 5.2).
#[must_use]
pub fn recognise_protected(bytes: &[u8]) -> Match {
    match *bytes {
        // A record of TLS 1.2 holds at most 2^14 bytes and 2048 more (RFC 5246 section 6.2.3).
        [RECORD_APPLICATION_DATA, 3, 1..=4, high, low, ..] if high <= 0x48 && (high, low) != (0, 0) => Match::Yes,
        [] | [RECORD_APPLICATION_DATA] | [RECORD_APPLICATION_DATA, 3] => Match::NeedMore,
        [RECORD_APPLICATION_DATA, 3, 1..=4] => Match::NeedMore,
        [RECORD_APPLICATION_DATA, 3, 1..=4, high] if high <= 0x48 => Match::NeedMore,
        _ => Match::No,
    }
}

/// The ClientHello that handshake bytes without records begin with, as in QUIC. `None` while it is incomplete; `Some(None)` when they
/// begin with something else, or with a hello that cannot be read.
#[must_use]
pub fn whole_client_hello(bytes: &[u8]) -> Option<Option<ClientHello<'_>>> {
    let (&[kind, a, b, c], body) = bytes.split_first_chunk::<4>()?;
    if kind != CLIENT_HELLO {
        return Some(None);
    }
    let body = body.get(..u32::from_be_bytes([0, a, b, c]) as usize)?;
    Some(ClientHello::parse(body, true))
}

/// Handshake records of SSL 3.0 or any TLS that begin with a message of type `message`.
///
/// Which minor version a record bears says nothing (RFC 8446 section 5.1), a message may begin in records of one byte, and OpenSSL takes
/// records without any before it. What is left to tell it by: the record type, the major version, lengths, and the message's own length.
fn recognise(bytes: &[u8], message: u8) -> Match {
    // Servers of old exceed 2^14 by a few hundred.
    const RECORD_MAX: u16 = (1 << 14) + 2048;
    let mut reader = Reader::new(bytes);
    let mut header = [0; MESSAGE_HEADER];
    let mut seen = 0;
    let mut empty = 0;
    loop {
        let Some(kind) = reader.u8() else { return Match::NeedMore };
        if !matches!(kind, RECORD_HANDSHAKE | RECORD_CHANGE_CIPHER_SPEC) {
            return Match::No;
        }
        match reader.u8() {
            None => return Match::NeedMore,
            Some(3) => {}
            Some(_) => return Match::No,
        }
        let (Some(_minor), Some(length)) = (reader.u8(), reader.u16()) else { return Match::NeedMore };
        if length > RECORD_MAX || kind == RECORD_CHANGE_CIPHER_SPEC && length > 0 {
            return Match::No;
        }
        empty = if length == 0 { empty + 1 } else { 0 };
        if empty > EMPTY_RECORDS_MAX {
            return Match::No;
        }
        let wanted = usize::from(length).min(header.len() - seen);
        for _ in 0..wanted {
            let Some(byte) = reader.u8() else { return Match::NeedMore };
            if seen == 0 && byte != message {
                return Match::No;
            }
            if let Some(place) = header.get_mut(seen) {
                *place = byte;
            }
            seen += 1;
        }
        if seen == header.len() {
            let [_, a, b, c] = header;
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            return if (HELLO_MIN..=CLIENT_HELLO_MAX).contains(&length) { Match::Yes } else { Match::No };
        }
    }
}

#[cfg(test)]
mod certificate_tests;
#[cfg(test)]
pub mod made;
#[cfg(test)]
mod tests;
