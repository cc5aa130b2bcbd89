//! Messages of binary protocols that may turn into TLS: RDP ([MS-RDPBCGR] section 2.2.1, in X.224 and TPKT), MySQL (its protocol's
//! `SSLRequest`), PostgreSQL (`SSLRequest`), LDAP (StartTLS, RFC 4511 section 4.14).
//!
//! Whether a message asked for TLS does not matter, nor whether the server agreed: it is passed over by its own length, and what follows
//! is looked at afresh. Text protocols are read as [lines](super::lines).

use super::Reader;
use super::recognition::Match;

/// The message that a stream of either side begins with, if it is one of these: its length, header included.
///
/// # Errors
/// [`Match::NeedMore`] when there are too few bytes to tell, [`Match::No`] when there is no such message.
fn message(bytes: &[u8]) -> Result<u64, Match> {
    match bytes {
        [] => Err(Match::NeedMore),
        [3, ..] => connection_request(bytes),
        [0x30, ..] => ldap(bytes),
        [0, ..] => postgresql(bytes),
        _ => mysql(bytes),
    }
}

/// Whether a stream begins with such a message.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    message(bytes).map_or_else(|answer| answer, |_| Match::Yes)
}

/// Length of the message that [`recognise`] saw; zero when there is none.
#[must_use]
pub fn length(bytes: &[u8]) -> u64 {
    message(bytes).unwrap_or(0)
}

/// The next byte, if it is one of those that may stand here.
fn expect(reader: &mut Reader<'_>, fits: impl FnOnce(u8) -> bool) -> Result<u8, Match> {
    let byte = reader.u8().ok_or(Match::NeedMore)?;
    if fits(byte) { Ok(byte) } else { Err(Match::No) }
}

/// A connection request or confirmation of X.224 (class 0) in TPKT (RFC 1006 section 6).
fn connection_request(bytes: &[u8]) -> Result<u64, Match> {
    let mut reader = Reader::new(bytes);
    expect(&mut reader, |version| version == 3)?;
    expect(&mut reader, |reserved| reserved == 0)?;
    let length = reader.u16().ok_or(Match::NeedMore)?;
    let indicator = reader.u8().ok_or(Match::NeedMore)?;
    if u16::from(indicator) + 5 != length || indicator < 6 {
        return Err(Match::No);
    }
    expect(&mut reader, |code| matches!(code, 0xe0 | 0xd0))?;
    Ok(length.into())
}

/// A message of LDAP: a sequence of a message number and an operation (RFC 4511 section 4.1.1).
fn ldap(bytes: &[u8]) -> Result<u64, Match> {
    let mut reader = Reader::new(bytes);
    expect(&mut reader, |sequence| sequence == 0x30)?;
    let first = expect(&mut reader, |length| length < 0x80 || (0x81..=0x84).contains(&length))?;
    let mut length = u64::from(first);
    if first >= 0x80 {
        length = 0;
        for _ in 0..first & 0x7f {
            length = length << 8 | u64::from(reader.u8().ok_or(Match::NeedMore)?);
        }
    }
    let header = bytes.len() - reader.rest().len();
    expect(&mut reader, |integer| integer == 2)?;
    let digits = expect(&mut reader, |digits| (1..=4).contains(&digits))?;
    reader.skip(digits.into()).ok_or(Match::NeedMore)?;
    // Application tags 0 to 25: bind, its answer, unbind, search and so on to the intermediate response.
    expect(&mut reader, |tag| tag & 0xc0 == 0x40 && tag & 0x1f <= 25)?;
    if length < u64::from(digits) + 4 {
        return Err(Match::No);
    }
    Ok(header as u64 + length)
}

/// The request for TLS, or for encryption by GSSAPI, which a client may ask for first; both have no body.
fn postgresql(bytes: &[u8]) -> Result<u64, Match> {
    for request in [[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], [0, 0, 0, 8, 4, 0xd2, 0x16, 0x30]] {
        if bytes.starts_with(&request) {
            return Ok(8);
        }
        if request.starts_with(bytes) {
            return Err(Match::NeedMore);
        }
    }
    Err(Match::No)
}

/// The client's request for TLS, or the greeting of a server.
fn mysql(bytes: &[u8]) -> Result<u64, Match> {
    /// Bit of the capabilities by which a client asks for TLS.
    const SSL: u8 = 0x08;
    let mut reader = Reader::new(bytes);
    let low = reader.u8().ok_or(Match::NeedMore)?;
    let high = expect(&mut reader, |high| high <= 1)?;
    expect(&mut reader, |top| top == 0)?;
    let length = u16::from_le_bytes([low, high]);
    let sequence = expect(&mut reader, |sequence| sequence <= 1)?;
    if sequence == 1 {
        // Capabilities, longest packet, character set, nothing; before version 4.1 capabilities and a shorter longest packet.
        reader.u8().ok_or(Match::NeedMore)?;
        expect(&mut reader, |second| second & SSL != 0)?;
        if !matches!(length, 32 | 5) {
            return Err(Match::No);
        }
        if length == 32 {
            let body = reader.take(26).ok_or(Match::NeedMore)?;
            // The filler is all zero, but MariaDB's clients put capabilities of their own into the last four bytes.
            if body.get(7..26).is_none_or(|filler| filler.iter().any(|&byte| byte != 0)) {
                return Err(Match::No);
            }
        }
    } else {
        // Version 10 of the protocol, and the server's own version in digits.
        if length < 40 {
            return Err(Match::No);
        }
        expect(&mut reader, |version| version == 10)?;
        expect(&mut reader, |digit| digit.is_ascii_digit())?;
        expect(&mut reader, |digit| digit.is_ascii_digit() || digit == b'.')?;
    }
    Ok(4 + u64::from(length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn messages() -> Vec<Vec<u8>> {
        let sized = |fixed: &[u8], length: usize| {
            let mut bytes = fixed.to_vec();
            bytes.resize(length, 0);
            bytes
        };
        vec![
            // Connection request with a cookie and negotiation, confirmation.
            b"\x03\x00\x00\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=a\r\n\x01\0\x08\0\x03\0\0\0aaa".to_vec(),
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x0f\x08\0\x02\0\0\0".to_vec(),
            // StartTLS and its answer, an anonymous bind, an unbind, and a long form of length.
            b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037".to_vec(),
            b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0".to_vec(),
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0".to_vec(),
            b"\x30\x05\x02\x01\x02\x42\0".to_vec(),
            b"\x30\x84\0\0\0\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0".to_vec(),
            b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
            b"\0\0\0\x08\x04\xd2\x16\x30".to_vec(),
            sized(b"\x20\0\0\x01\x05\xae\xff\x09\0\0\0\x01\xff", 36),
            b"\x05\0\0\x01\x85\xa8\0\0\0".to_vec(),
            sized(b"\x4a\0\0\0\x0a8.0.36\0", 0x4e),
        ]
    }

    #[test]
    fn every_message_is_as_long_as_it_says() {
        for message in messages() {
            assert_eq!(length(&message), message.len() as u64, "{message:x?}");
            for end in 0..message.len() {
                assert_ne!(recognise(message.get(..end).unwrap()), Match::No, "{end} of {message:x?}");
            }
            let longer = [&message[..], b"\x16\x03\x01"].concat();
            assert_eq!(length(&longer), message.len() as u64);
        }
    }

    #[test]
    fn other_bytes_are_no_message() {
        for bytes in [
            &b"\x03\0\0\x13\x02\xf0\x80"[..],
            b"\x30\x1d\x02\x01\x01\x04",
            b"\0\0\0\x08\x04\xd2\x16\x31",
            b"\x20\0\0\x01\x05\xa6",
            b"\x16\x03\x01\x02\0",
            b"GET / HTTP/1.1\r\n",
            b"SSH-2.0-x\r\n",
        ] {
            assert_eq!(recognise(bytes), Match::No, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(at in 0usize..12, changes in prop::collection::vec((0usize..20, any::<u8>()), 0..4)) {
            let mut bytes = messages().swap_remove(at);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            let whole = recognise(&bytes);
            for end in 0..bytes.len() {
                let part = recognise(bytes.get(..end).unwrap());
                prop_assert!(part == Match::NeedMore || part == whole);
            }
        }
    }
}
