//! HKDF over SHA-256 (RFC 5869) and the HMAC beneath it (RFC 2104). The pads of a key are hashed once for all that is derived from it.

use sha2::block_api::compress256;

/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;
/// What SHA-256 begins with (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A salt or a pseudorandom key: the two hashes of HMAC, each behind its pad.
#[derive(Clone, Copy)]
pub(super) struct Key {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Key {
    /// A key of at most 32 bytes, which need not be hashed before it is padded.
    pub(super) fn new<const N: usize>(key: &[u8; N]) -> Self {
        const { assert!(N <= 32) };
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            state
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// HKDF-Extract (RFC 5869 section 2.2) with this for the salt.
    pub(super) fn extract(&self, secret: &[u8]) -> Self {
        Self::new(&self.mac(secret))
    }

    /// The first `N` bytes of HKDF-Expand (RFC 5869 section 2.3); one hash has them all. `info` ends with the number of that hash, 1.
    pub(super) fn expand<const N: usize>(&self, info: &[u8]) -> [u8; N] {
        const { assert!(N <= 32) };
        let mut key = [0; N];
        for (byte, hash) in key.iter_mut().zip(self.mac(info)) {
            *byte = hash;
        }
        key
    }

    fn mac(&self, message: &[u8]) -> [u8; 32] {
        finished(self.outer, &finished(self.inner, message))
    }
}

/// The hash of one block that was taken already and of `message` (FIPS 180-4 section 5.1.1).
fn finished(mut state: [u32; 8], message: &[u8]) -> [u8; 32] {
    let (whole, rest) = message.as_chunks();
    compress256(&mut state, whole);
    let mut ending = [[0; BLOCK]; 2];
    if let Some((start, [mark, ..])) = ending.as_flattened_mut().split_at_mut_checked(rest.len()) {
        start.copy_from_slice(rest);
        *mark = 0x80;
    }
    // The length in bits stands at the end, in a block of its own if it must.
    let blocks = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    let ending = ending.get_mut(..blocks).unwrap_or_default();
    if let Some(length) = ending.as_flattened_mut().last_chunk_mut() {
        *length = (8 * (BLOCK + message.len()) as u64).to_be_bytes();
    }
    compress256(&mut state, ending);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_those_of_another_library(salt: [u8; 20], secret in prop::collection::vec(any::<u8>(), 0..200), mut info: Vec<u8>) {
            let other = hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), &secret);
            let (mut long, mut short) = ([0; 32], [0; 12]);
            other.expand(&info, &mut long).unwrap();
            other.expand(&info, &mut short).unwrap();
            info.push(1);
            let key = Key::new(&salt).extract(&secret);
            prop_assert_eq!(key.expand(&info), long);
            prop_assert_eq!(key.expand(&info), short);
        }
    }

    #[test]
    fn every_length_is_padded() {
        let message: Vec<u8> = (0..=255).collect();
        let salt = [7; 20];
        for end in 0..message.len() {
            let (secret, _) = message.split_at(end);
            let mut expected = [0; 32];
            hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), secret).expand(&[], &mut expected).unwrap();
            assert_eq!(Key::new(&salt).extract(secret).expand(&[1]), expected, "{end}");
        }
    }
}
