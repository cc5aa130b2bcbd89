//! Keys of Initial packets (RFC 9001 section 5.2, RFC 9369 section 3.3), and the removal of their protection.

use super::QuicVersion;
use super::aead::Aes128Gcm;
use super::hkdf::Key;
use super::packet::Initial;
use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use std::sync::LazyLock;

/// Length of the sample that masks the packet number (RFC 9001 section 5.4.2).
const SAMPLE: usize = 16;
/// A packet number has at most this many bytes; the sample begins as if it had all.
const NUMBER_MAX: usize = 4;

/// Keys that open the client's Initial packets. Anyone on the path can derive them.
#[derive(Clone)]
pub(super) struct ClientKeys {
    payload: Aes128Gcm,
    iv: [u8; 12],
    header: Aes128Enc,
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ClientKeys")
    }
}

impl ClientKeys {
    /// Derives the keys. `dcid`: 0 to 20 bytes, from the client's *first* Initial, or from the Retry if the server sent one.
    pub(super) fn derive(version: QuicVersion, dcid: &[u8]) -> Self {
        let Secrets { key, iv, header } = Secrets::derive(version, dcid);
        Self { payload: Aes128Gcm::new(key), iv, header: Aes128Enc::new(&header.into()) }
    }

    /// Removes the protection of a packet. Gives its frames in `plain`, or `None` when it is not the client's or was damaged.
    pub(super) fn open<'p>(&self, packet: &Initial<'_>, plain: &'p mut Vec<u8>) -> Option<&'p [u8]> {
        let sample_at = packet.number_at + NUMBER_MAX;
        let sample = packet.bytes.get(sample_at..sample_at + SAMPLE)?;
        let mut mask = Array::try_from(sample).ok()?;
        self.header.encrypt_block(&mut mask);
        let mut mask = mask.iter().copied();
        let mut header = [0; HEADER_MAX];
        let first = packet.bytes.first()? ^ (mask.next()? & 0x0f);
        let number_len = usize::from(first & 0x03) + 1;
        let payload_at = packet.number_at + number_len;
        let header = header.get_mut(..payload_at);
        // A token may make the header longer than any array, so only the usual case does without the heap.
        let mut long = Vec::new();
        let header = match header {
            Some(header) => header,
            None => {
                long.resize(payload_at, 0);
                &mut long
            }
        };
        header.copy_from_slice(packet.bytes.get(..payload_at)?);
        *header.first_mut()? = first;
        let mut number: u64 = 0;
        for (byte, mask) in header.iter_mut().skip(packet.number_at).zip(mask) {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        // A connection's first packets have the smallest numbers, so the bytes that are there are the whole number.
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= number;
        }
        self.payload.open(nonce, header, packet.bytes.get(payload_at..)?, plain)?;
        Some(plain)
    }
}

/// Header bytes that are kept without asking the heap: a short token, both identifiers, lengths and number.
const HEADER_MAX: usize = 256;

/// What the keys are made of.
pub(super) struct Secrets {
    pub(super) key: [u8; 16],
    pub(super) iv: [u8; 12],
    pub(super) header: [u8; 16],
}

impl Secrets {
    pub(super) fn derive(version: QuicVersion, dcid: &[u8]) -> Self {
        let (salt, labels) = match version {
            QuicVersion::V1 | QuicVersion::Draft34 => (&SALT_V1, LABELS_V1),
            QuicVersion::V2 => (&SALT_V2, LABELS_V2),
            QuicVersion::Draft29 => (&SALT_DRAFT_29, LABELS_V1),
            QuicVersion::Draft27 => (&SALT_DRAFT_23, LABELS_V1),
            QuicVersion::Draft22 => (&SALT_DRAFT_22, LABELS_V1),
            QuicVersion::T051 => (&SALT_T051, LABELS_V1),
            QuicVersion::T050 => (&SALT_T050, LABELS_V1),
            // The older ones have no keys, and no packets that come here.
            QuicVersion::Q050 | QuicVersion::Q043 | QuicVersion::Q046 => (&SALT_Q050, LABELS_V1),
        };
        let client = Key::new(&salt.extract(dcid).expand::<32>(CLIENT));
        let [key, iv, header] = labels;
        Self { key: client.expand(key), iv: client.expand(iv), header: client.expand(header) }
    }
}

/// Labels as HKDF-Expand-Label of TLS 1.3 puts them (RFC 8446 section 7.1): length of what is wanted, length of the label, label, empty
/// context; and behind them the number of the hash, which is the first.
const CLIENT: &[u8] = b"\x00\x20\x0ftls13 client in\x00\x01";
const LABELS_V1: [&[u8]; 3] =
    [b"\x00\x10\x0etls13 quic key\x00\x01", b"\x00\x0c\x0dtls13 quic iv\x00\x01", b"\x00\x10\x0dtls13 quic hp\x00\x01"];
const LABELS_V2: [&[u8]; 3] = [
    b"\x00\x10\x10tls13 quicv2 key\x00\x01",
    b"\x00\x0c\x0ftls13 quicv2 iv\x00\x01",
    b"\x00\x10\x0ftls13 quicv2 hp\x00\x01",
];

/// A salt that a document gives, its pads hashed when it is needed first.
type Salt = LazyLock<Key>;

/// RFC 9001 section 5.2.
static SALT_V1: Salt = LazyLock::new(|| {
    Key::new(&[
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
        0x7f, 0x0a,
    ])
});
/// RFC 9369 section 3.3.1.
static SALT_V2: Salt = LazyLock::new(|| {
    Key::new(&[
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd,
        0x2e, 0xd9,
    ])
});
/// draft-ietf-quic-tls-29 section 5.2.
static SALT_DRAFT_29: Salt = LazyLock::new(|| {
    Key::new(&[
        0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90,
        0xa8, 0x99,
    ])
});
/// draft-ietf-quic-tls-23 section 5.2.
static SALT_DRAFT_23: Salt = LazyLock::new(|| {
    Key::new(&[
        0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9,
        0xf5, 0x02,
    ])
});
/// draft-ietf-quic-tls-22 section 5.2.
static SALT_DRAFT_22: Salt = LazyLock::new(|| {
    Key::new(&[
        0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02,
        0x64, 0x4a,
    ])
});
/// Chromium's `crypto_utils.cc`, and Wireshark's QUIC dissector; so the next two.
static SALT_Q050: Salt = LazyLock::new(|| {
    Key::new(&[
        0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5,
        0x6b, 0x45,
    ])
});
static SALT_T050: Salt = LazyLock::new(|| {
    Key::new(&[
        0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60, 0x48,
        0x83, 0x10,
    ])
});
static SALT_T051: Salt = LazyLock::new(|| {
    Key::new(&[
        0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda, 0x6e,
        0x03, 0x3d,
    ])
});

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
pub(super) mod tests {
    use super::*;
    use aes_gcm::aead::AeadInOut;

    /// Protects `frames` behind `header`, whose last `number_len` bytes are the packet number, as the client of `dcid` does, with ciphers
    /// of another library.
    pub(in super::super) fn seal(
        version: QuicVersion,
        dcid: &[u8],
        header: &[u8],
        number_len: usize,
        frames: &[u8],
    ) -> Vec<u8> {
        let secrets = Secrets::derive(version, dcid);
        let number_at = header.len() - number_len;
        let mut nonce = secrets.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(header.iter().rev().take(number_len)) {
            *byte ^= number;
        }
        let mut payload = frames.to_vec();
        let cipher = aes_gcm::Aes128Gcm::new(&secrets.key.into());
        cipher.encrypt_in_place(&nonce.into(), header, &mut payload).expect("short enough");
        let mut packet = [header, &payload].concat();
        let mut mask = Array::try_from(&packet[number_at + NUMBER_MAX..][..SAMPLE]).expect("16 bytes");
        aes::Aes128::new(&secrets.header.into()).encrypt_block(&mut mask);
        for (byte, mask) in packet.iter_mut().skip(number_at).take(number_len).zip(mask.iter().skip(1)) {
            *byte ^= mask;
        }
        packet[0] ^= mask[0] & 0x0f;
        packet
    }

    /// RFC 9001 appendix A.1 and RFC 9369 appendix A.1.
    #[test]
    fn keys_are_those_of_the_rfcs() {
        let dcid = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        for (version, key, iv, header) in [
            (
                QuicVersion::V1,
                0x1f36_9613_dd76_d546_7730_efcb_e3b1_a22d_u128,
                [0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3, 0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c],
                0x9f50_449e_04a0_e810_283a_1e99_33ad_edd2_u128,
            ),
            (
                QuicVersion::V2,
                0x8b1a_0bc1_2128_4290_a29e_0971_b5cd_045d,
                [0x91, 0xf7, 0x3e, 0x23, 0x51, 0xd8, 0xfa, 0x91, 0x66, 0x0e, 0x90, 0x9f],
                0x45b9_5e15_235d_6f45_a6b1_9cbc_b029_4ba9,
            ),
        ] {
            let secrets = Secrets::derive(version, &dcid);
            assert_eq!((u128::from_be_bytes(secrets.key), secrets.iv), (key, iv));
            assert_eq!(u128::from_be_bytes(secrets.header), header);
        }
    }
}
