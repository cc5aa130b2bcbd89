//! Google's own QUIC before it took up TLS: the client's first message, `CHLO`, which is in the clear up to version Q046 and behind keys
//! that anyone can derive in Q050 ("QUIC Crypto", Langley and Chang, and Chromium's `quic_versions.h`).

use super::QuicVersion;
use crate::inspect::tls::ClientHello;
use crate::inspect::{DomainName, Reader};

/// Bytes between the version and the message: identifiers, packet number, hash, head of the frame.
const BEFORE_MAX: usize = 64;
/// Tags of one message that are looked at; Chromium takes 128.
const TAGS_MAX: u16 = 128;
const CHLO: &[u8] = b"CHLO";
const SNI: &[u8; 4] = b"SNI\0";

/// The hello of a client that a datagram begins with, up to version Q046.
#[must_use]
pub fn client_hello(datagram: &[u8]) -> Option<(QuicVersion, ClientHello<'_>)> {
    // A public header with version and identifier (up to Q043), or a long header (Q044 to Q046).
    let (version, rest) = match datagram {
        [first, rest @ ..] if first & 0xc9 == 0x09 => rest.get(8..)?.split_first_chunk::<4>()?,
        [first, rest @ ..] if first & 0xc0 == 0xc0 => rest.split_first_chunk::<4>()?,
        _ => return None,
    };
    let [b'Q', b'0', tens @ b'2'..=b'4', ones @ b'0'..=b'9'] = *version else { return None };
    if (tens, ones) > (b'4', b'6') {
        return None;
    }
    let at = memchr::memmem::find(rest.get(..BEFORE_MAX.min(rest.len()))?, CHLO)?;
    let hello = message(rest.get(at..)?)?;
    Some((if tens == b'4' && ones >= b'4' { QuicVersion::Q046 } else { QuicVersion::Q043 }, hello))
}

/// What a message says: which server it is for.
#[must_use]
pub(super) fn message(bytes: &[u8]) -> Option<ClientHello<'static>> {
    let mut reader = Reader::new(bytes.strip_prefix(CHLO)?);
    let [low, high, 0, 0] = reader.array()? else { return None };
    let tags = u16::from_le_bytes([low, high]);
    if tags == 0 || tags > TAGS_MAX {
        return None;
    }
    let mut table = reader.sub(usize::from(tags) * 8)?;
    let mut from = 0;
    let mut sni = None;
    while let Some((tag, end)) = table.array::<4>().zip(table.array::<4>()) {
        let to = u32::from_le_bytes(end) as usize;
        // Values stand one behind the other.
        if to < from {
            return None;
        }
        if &tag == SNI {
            sni = reader.rest().get(from..to).and_then(DomainName::from_text);
        }
        from = to;
    }
    Some(ClientHello::naming(sni))
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    /// A message as Chromium makes it, padded.
    pub fn chlo(name: &str) -> Vec<u8> {
        let values: [(&[u8; 4], &[u8]); 4] =
            [(b"PAD\0", &[b'-'; 900]), (SNI, name.as_bytes()), (b"VER\0", b"Q043"), (b"UAID", b"Chrome/70")];
        let mut bytes = [CHLO, &[4, 0, 0, 0]].concat();
        let mut end = 0;
        for (tag, value) in values {
            end += u32::try_from(value.len()).unwrap();
            bytes.extend_from_slice(tag);
            bytes.extend(end.to_le_bytes());
        }
        values.iter().for_each(|(_, value)| bytes.extend_from_slice(value));
        bytes
    }

    fn public(version: &[u8; 4], name: &str) -> Vec<u8> {
        [&[0x0d][..], &[7; 8], version, &[1], &[0x11; 12], &[0xa0, 1, 0, 4], &chlo(name)].concat()
    }

    fn long(version: &[u8; 4], name: &str) -> Vec<u8> {
        [&[0xc3][..], version, &[0x50], &[7; 8], &[0, 0, 0, 1], &[0x11; 12], &[0xa0, 1, 0, 4], &chlo(name)].concat()
    }

    #[test]
    fn the_name_is_read_in_the_clear() {
        for (datagram, expected) in [
            (public(b"Q025", "a.example"), QuicVersion::Q043),
            (public(b"Q043", "a.example"), QuicVersion::Q043),
            (long(b"Q046", "a.example"), QuicVersion::Q046),
        ] {
            let (version, hello) = client_hello(&datagram).unwrap();
            assert_eq!((version, hello.sni.unwrap().as_str()), (expected, "a.example"));
            for end in 0..datagram.len() - 1 {
                if let Some((_, hello)) = client_hello(&datagram[..end]) {
                    assert!(hello.sni.is_none_or(|name| name.as_str() == "a.example"), "{end}");
                }
            }
        }
        for datagram in [public(b"Q010", "a"), public(b"X043", "a"), long(b"Q050", "a"), vec![0x0d; 60]] {
            assert!(client_hello(&datagram).is_none());
        }
    }

    proptest! {
        #[test]
        fn damaged_datagrams_never_panic(changes in prop::collection::vec((0usize..90, any::<u8>()), 0..6), end in 0usize..1_100) {
            let mut bytes = public(b"Q043", "a.example");
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(end);
            let _ = client_hello(&bytes);
        }
    }
}
