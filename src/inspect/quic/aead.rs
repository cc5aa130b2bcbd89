//! AEAD_AES_128_GCM (RFC 5116 section 5.1, NIST SP 800-38D), which protects Initial packets. Here it is only opened.

use super::ghash::Ghash;
use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// Length of the tag behind the text.
const TAG: usize = 16;
/// Blocks that are encrypted at once: as many as the processor has under way.
const AT_ONCE: usize = 8;

/// A key that opens what it protected.
#[derive(Clone)]
pub(super) struct Aes128Gcm {
    cipher: Aes128Enc,
    hash: Ghash,
}

impl Aes128Gcm {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let cipher = Aes128Enc::new(&key.into());
        let mut zeros = Array::from([0; 16]);
        cipher.encrypt_block(&mut zeros);
        Self { hash: Ghash::new(zeros.into()), cipher }
    }

    /// Writes what is in `sealed` to `plain`; `None`, and nothing is there, when its tag is not that of itself and `associated`.
    pub(super) fn open(&self, nonce: [u8; 12], associated: &[u8], sealed: &[u8], plain: &mut Vec<u8>) -> Option<()> {
        plain.clear();
        let (text, tag) = sealed.split_last_chunk::<TAG>()?;
        let nonce = nonce.iter().fold(0_u128, |nonce, &byte| nonce << 8 | u128::from(byte)) << 32;
        let counter = |number: u32| Array::from((nonce | u128::from(number)).to_be_bytes());
        let mut mask = counter(1);
        self.cipher.encrypt_block(&mut mask);
        let mask = u128::from_be_bytes(mask.into());
        if u128::from_be_bytes(self.hash.hash(associated, text)) ^ mask != u128::from_be_bytes(*tag) {
            return None;
        }
        plain.extend_from_slice(text);
        let mut number = 2_u32;
        for part in plain.chunks_mut(16 * AT_ONCE) {
            let mut stream = std::array::from_fn::<_, AT_ONCE, _>(|at| counter(number.wrapping_add(at as u32)));
            number = number.wrapping_add(AT_ONCE as u32);
            self.cipher.encrypt_blocks(&mut stream);
            // Whole blocks first, so that they are not gone through byte by byte.
            let (blocks, rest) = part.as_chunks_mut();
            let mut stream = stream.into_iter().map(|mask| u128::from_ne_bytes(mask.into()));
            for (block, mask) in blocks.iter_mut().zip(&mut stream) {
                *block = (u128::from_ne_bytes(*block) ^ mask).to_ne_bytes();
            }
            for (byte, mask) in rest.iter_mut().zip(stream.next().unwrap_or_default().to_ne_bytes()) {
                *byte ^= mask;
            }
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use aes_gcm::aead::AeadInOut;
    use proptest::prelude::*;

    fn sealed(key: [u8; 16], nonce: [u8; 12], associated: &[u8], text: &[u8]) -> Vec<u8> {
        let mut sealed = text.to_vec();
        aes_gcm::Aes128Gcm::new(&key.into()).encrypt_in_place(&nonce.into(), associated, &mut sealed).unwrap();
        sealed
    }

    fn opened(key: [u8; 16], nonce: [u8; 12], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut plain = b"before".to_vec();
        let opened = Aes128Gcm::new(key).open(nonce, associated, sealed, &mut plain);
        assert!(opened.is_some() || plain.is_empty());
        opened.map(|()| plain)
    }

    proptest! {
        #[test]
        fn what_another_library_sealed_is_opened(
            key: [u8; 16],
            nonce: [u8; 12],
            associated in prop::collection::vec(any::<u8>(), 0..300),
            text in prop::collection::vec(any::<u8>(), 0..1_500),
        ) {
            let sealed = sealed(key, nonce, &associated, &text);
            prop_assert_eq!(opened(key, nonce, &associated, &sealed), Some(text));
        }

        #[test]
        fn damage_anywhere_is_found(
            key: [u8; 16],
            nonce: [u8; 12],
            associated in prop::collection::vec(any::<u8>(), 1..100),
            text in prop::collection::vec(any::<u8>(), 0..300),
            at: prop::sample::Index,
            bit in 0..8_u8,
        ) {
            let sealed = sealed(key, nonce, &associated, &text);
            let mut bad = sealed.clone();
            *at.get_mut(&mut bad) ^= 1_u8 << bit;
            prop_assert_eq!(opened(key, nonce, &associated, &bad), None);
            let mut bad = associated.clone();
            *at.get_mut(&mut bad) ^= 1_u8 << bit;
            prop_assert_eq!(opened(key, nonce, &bad, &sealed), None);
            let mut bad = nonce;
            *at.get_mut(&mut bad) ^= 1_u8 << bit;
            prop_assert_eq!(opened(key, bad, &associated, &sealed), None);
        }
    }

    #[test]
    fn every_length_is_opened_and_no_prefix() {
        let text: Vec<u8> = (0..=150).collect();
        let (key, nonce) = ([3; 16], [5; 12]);
        for length in 0..text.len() {
            let (associated, text) = (&text[..length % 70], &text[..length]);
            let sealed = sealed(key, nonce, associated, text);
            assert_eq!(opened(key, nonce, associated, &sealed).as_deref(), Some(text));
            for end in 0..sealed.len() {
                assert_eq!(opened(key, nonce, associated, &sealed[..end]), None, "{end} of {length}");
            }
        }
    }
}
