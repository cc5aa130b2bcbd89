//! TLS handshake messages in the clear: the ClientHello, and up to TLS 1.2 the server's certificate.

mod certificate;
mod client_hello;
mod fingerprint;
mod handshake;

use super::recognition::Match;

pub use certificate::Certificate;
pub use client_hello::ClientHello;
pub use fingerprint::{Ja4, Ja4Transport};
pub use handshake::{Handshake, HandshakeStream, Progress};

/// Record types (RFC 8446 section 5.1).
const RECORD_ALERT: u8 = 21;
const RECORD_HANDSHAKE: u8 = 22;
const RECORD_APPLICATION_DATA: u8 = 23;
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

/// A handshake record of SSL 3.0 or any TLS that begins with a message of type `message`.
fn recognise(bytes: &[u8], message: u8) -> Match {
    // A record holds 1 to 2^14 bytes; old servers exceed that by a few hundred.
    let holds = |at: usize, byte: u8| match at {
        0 => byte == RECORD_HANDSHAKE,
        1 => byte == 3,
        2 => byte <= 4,
        3 => byte <= 0x48,
        5 => byte == message,
        // A hello is shorter than 64 KiB.
        6 => byte == 0,
        _ => true,
    };
    if !bytes.iter().take(7).enumerate().all(|(at, &byte)| holds(at, byte)) {
        return Match::No;
    }
    if bytes.len() >= 7 { Match::Yes } else { Match::NeedMore }
}

#[cfg(test)]
mod tests;
