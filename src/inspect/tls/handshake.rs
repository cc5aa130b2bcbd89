//! Handshake messages out of records: a record may hold several messages, a message may span several records.

use super::{
    ALERT_LEN, CERTIFICATE, CLIENT_HELLO, CLIENT_HELLO_MAX, Certificate, ClientHello, EMPTY_RECORDS_MAX,
    MESSAGE_HEADER, RECORD_ALERT, RECORD_CHANGE_CIPHER_SPEC, RECORD_HANDSHAKE,
};
use crate::inspect::Bound;

/// Bytes of a Certificate message that are kept: its first certificate is the server's own. Signed by the longest of SLH-DSA (FIPS 205)
/// that one alone has 50 KiB; OpenSSL takes 100 KiB of all together.
const CERTIFICATE_MAX: usize = 100 << 10;
/// Bytes that a side may send in records before it must have said what we wait for.
const PATIENCE: usize = 512 << 10;
const RECORD_HEADER: usize = 5;
/// Memory that is kept from one connection to the next.
const CAPACITY_KEPT: usize = 8 << 10;

/// A message that was read.
// Lives on the stack for one call, so a small variant saves nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Handshake<'a> {
    /// The client's first.
    ClientHello(ClientHello<'a>),
    /// The server's.
    Certificate(Certificate<'a>),
    /// What was waited for lies beyond a bound.
    BoundReached(Bound),
}

/// Whether there is more to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Yes.
    More,
    /// No: what we wait for was seen, or can no longer come.
    Done,
}

/// One direction of a TLS connection, up to the message that we want of it.
#[derive(Debug, Default)]
pub struct HandshakeStream {
    /// Header of the record at hand, as far as it was seen.
    header: [u8; RECORD_HEADER],
    header_len: usize,
    /// Bytes of the record at hand still to come.
    record_left: usize,
    /// Whether that record is an alert, which is passed over.
    is_alert: bool,
    /// Records without content in a row.
    empty_records: u8,
    /// Message at hand, as far as it was seen.
    held: Vec<u8>,
    /// Bytes of the message at hand that are let go.
    skip: usize,
    seen: usize,
}

impl HandshakeStream {
    /// Takes the next bytes of the stream.
    pub fn accept(&mut self, mut bytes: &[u8], mut emit: impl FnMut(Handshake<'_>)) -> Progress {
        self.seen = self.seen.saturating_add(bytes.len());
        while !bytes.is_empty() {
            if self.record_left == 0 {
                let (taken, rest) = split(bytes, RECORD_HEADER - self.header_len);
                for (into, byte) in self.header.iter_mut().skip(self.header_len).zip(taken) {
                    *into = *byte;
                }
                self.header_len += taken.len();
                bytes = rest;
                if self.header_len < RECORD_HEADER {
                    break;
                }
                self.header_len = 0;
                let [kind, major, _, high, low] = self.header;
                let length = usize::from(u16::from_be_bytes([high, low]));
                // A server may warn in the clear before it goes on (RFC 6066 section 3, of a name that it does not know). Behind the
                // first record of another type the rest is encrypted.
                self.is_alert = kind == RECORD_ALERT && length == ALERT_LEN;
                let is_empty_change = kind == RECORD_CHANGE_CIPHER_SPEC && length == 0;
                if !(self.is_alert || kind == RECORD_HANDSHAKE || is_empty_change) || major != 3 {
                    return Progress::Done;
                }
                self.empty_records = if length == 0 { self.empty_records + 1 } else { 0 };
                if self.empty_records > EMPTY_RECORDS_MAX {
                    return Progress::Done;
                }
                self.record_left = length;
                continue;
            }
            let (fragment, rest) = split(bytes, self.record_left);
            self.record_left -= fragment.len();
            bytes = rest;
            if !self.is_alert && self.messages(fragment, &mut emit) == Progress::Done {
                return Progress::Done;
            }
        }
        if self.seen > PATIENCE {
            emit(Handshake::BoundReached(Bound::TlsHandshake));
            return Progress::Done;
        }
        Progress::More
    }

    /// Reads what there is of a message that will not be completed.
    pub fn finish(&mut self, mut emit: impl FnMut(Handshake<'_>)) {
        if let Some((header, body)) = self.held.split_first_chunk::<MESSAGE_HEADER>() {
            let [kind, ..] = *header;
            read(kind, body, false, &mut emit);
        }
        self.clear();
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.header_len = 0;
        self.record_left = 0;
        self.is_alert = false;
        self.empty_records = 0;
        self.held.clear();
        if self.held.capacity() > CAPACITY_KEPT {
            self.held = Vec::new();
        }
        self.skip = 0;
        self.seen = 0;
    }

    fn messages(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(Handshake<'_>)) -> Progress {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let (skipped, rest) = split(bytes, self.skip);
                self.skip -= skipped.len();
                bytes = rest;
                continue;
            }
            if self.held.is_empty()
                && let Some((kind, body, rest)) = whole_message(bytes)
                && body.len() <= kept_max(kind)
            {
                if read(kind, body, true, emit) == Progress::Done {
                    return Progress::Done;
                }
                bytes = rest;
                continue;
            }
            let (kind, length) = match self.held.first_chunk::<MESSAGE_HEADER>() {
                Some(&[kind, a, b, c]) => (kind, u32::from_be_bytes([0, a, b, c]) as usize),
                None => {
                    let (taken, rest) = split(bytes, MESSAGE_HEADER - self.held.len());
                    self.held.extend_from_slice(taken);
                    bytes = rest;
                    if let Some(&[kind, a, b, c]) = self.held.first_chunk::<MESSAGE_HEADER>()
                        && !matches!(kind, CLIENT_HELLO | CERTIFICATE)
                    {
                        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                        self.held.clear();
                    }
                    continue;
                }
            };
            let kept = length.min(kept_max(kind));
            let (taken, rest) = split(bytes, MESSAGE_HEADER + kept - self.held.len());
            self.held.extend_from_slice(taken);
            bytes = rest;
            if self.held.len() == MESSAGE_HEADER + kept {
                let body = self.held.get(MESSAGE_HEADER..).unwrap_or(&[]);
                let mut is_read = false;
                let progress = read(kind, body, kept == length, &mut |message: Handshake<'_>| {
                    is_read = true;
                    emit(message);
                });
                if kept < length && !is_read {
                    emit(Handshake::BoundReached(Bound::Certificate));
                }
                self.held.clear();
                self.skip = length - kept;
                if progress == Progress::Done {
                    return Progress::Done;
                }
            }
        }
        Progress::More
    }
}

/// Reads the body of a message. The two that we want are the last that we want.
fn read(kind: u8, body: &[u8], is_complete: bool, emit: &mut impl FnMut(Handshake<'_>)) -> Progress {
    match kind {
        CLIENT_HELLO => {
            if let Some(hello) = ClientHello::parse(body, is_complete) {
                emit(Handshake::ClientHello(hello));
            }
            Progress::Done
        }
        CERTIFICATE => {
            if let Some(certificate) = Certificate::parse(body) {
                emit(Handshake::Certificate(certificate));
            }
            Progress::Done
        }
        _ => Progress::More,
    }
}

/// Bytes of a message's body that are kept, whether it comes in one piece or in several.
const fn kept_max(kind: u8) -> usize {
    match kind {
        CLIENT_HELLO => CLIENT_HELLO_MAX,
        CERTIFICATE => CERTIFICATE_MAX,
        // Nothing is kept of it, and nothing read.
        _ => usize::MAX,
    }
}

/// A message that is there as a whole: its type, its body, and what follows.
fn whole_message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, a, b, c], rest) = bytes.split_first_chunk::<MESSAGE_HEADER>()?;
    let (body, rest) = rest.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize)?;
    Some((kind, body, rest))
}

/// At most `len` bytes, and the rest.
fn split(bytes: &[u8], len: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(len).unwrap_or((bytes, &[]))
}
