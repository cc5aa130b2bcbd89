//! GHASH, the hash behind the tags of GCM (NIST SP 800-38D section 6.4), with the processor's carry-less multiplication where it has one.
//!
//! Everybody on the path has the keys of Initial packets, so nothing here need take the same time for all of them.
//!
//! Blocks are numbers in the bit order of POLYVAL (RFC 8452 appendix A), which spares a shift for each: its product of two elements is
//! theirs divided by x^128, and the key is multiplied by x once to fit.

/// A key.
#[derive(Clone, Copy)]
pub(super) struct Ghash(u128);

impl Ghash {
    /// The key that the cipher makes of a block of zeros.
    pub(super) fn new(key: [u8; 16]) -> Self {
        let key = u128::from_be_bytes(key);
        // Times x; what falls out comes back as x^128 = x^127 + x^126 + x^121 + 1.
        Self(key << 1 ^ if key >> 127 == 1 { 1 << 127 | 1 << 126 | 1 << 121 | 1 } else { 0 })
    }

    /// The hash of `associated` and `text`, each filled up with zeros to whole blocks, and of their lengths.
    pub(super) fn hash(self, associated: &[u8], text: &[u8]) -> [u8; 16] {
        let hash = self.with_instruction(associated, text);
        hash.unwrap_or_else(|| self.all(associated, text, portable)).to_be_bytes()
    }

    /// With the instruction that multiplies, if this processor has it.
    #[allow(unsafe_code)]
    fn with_instruction(self, associated: &[u8], text: &[u8]) -> Option<u128> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("pclmulqdq") {
            // SAFETY: the processor has the instruction.
            return Some(unsafe { instruction::all(self, associated, text) });
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("aes") {
            // SAFETY: as above; the feature comprises the multiplication.
            return Some(unsafe { instruction::all(self, associated, text) });
        }
        let _ = (associated, text);
        None
    }

    #[inline(always)]
    fn all(self, associated: &[u8], text: &[u8], multiply: impl Fn(u64, u64) -> u128 + Copy) -> u128 {
        let powers = Powers::new(self, multiply);
        let bits = |bytes: &[u8]| 8 * bytes.len() as u128;
        let lengths = (bits(associated) << 64 | bits(text)).to_be_bytes();
        let hash = powers.blocks(0, associated, multiply);
        let hash = powers.blocks(hash, text, multiply);
        powers.blocks(hash, &lengths, multiply)
    }
}

/// The fourth power of a key, then the third, the square, and itself: so four blocks cost one reduction.
struct Powers([u128; 4]);

impl Powers {
    #[inline(always)]
    fn new(Ghash(key): Ghash, multiply: impl Fn(u64, u64) -> u128 + Copy) -> Self {
        let times = |one: u128, other: u128| {
            let mut product = Product::default();
            product.add(one, other, multiply);
            product.reduced()
        };
        let square = times(key, key);
        Self([times(square, square), times(square, key), square, key])
    }

    /// The hash of what came before and of more bytes.
    #[inline(always)]
    fn blocks(&self, mut hash: u128, bytes: &[u8], multiply: impl Fn(u64, u64) -> u128 + Copy) -> u128 {
        let (blocks, rest) = bytes.as_chunks::<16>();
        let (groups, others) = blocks.as_chunks::<4>();
        for group in groups {
            hash = self.group(hash, group, multiply);
        }
        let mut last = [[0; 16]; 4];
        for (to, from) in last.as_flattened_mut().iter_mut().zip(others.as_flattened().iter().chain(rest)) {
            *to = *from;
        }
        match last.get(..others.len() + usize::from(!rest.is_empty())) {
            None | Some([]) => hash,
            Some(last) => self.group(hash, last, multiply),
        }
    }

    /// One to four blocks.
    #[inline(always)]
    fn group(&self, mut hash: u128, blocks: &[[u8; 16]], multiply: impl Fn(u64, u64) -> u128 + Copy) -> u128 {
        let mut product = Product::default();
        for (block, power) in blocks.iter().zip(self.0.iter().skip(4 - blocks.len().min(4))) {
            product.add(u128::from_be_bytes(*block) ^ std::mem::take(&mut hash), *power, multiply);
        }
        product.reduced()
    }
}

/// A sum of products of 256 bits, as Karatsuba's method has them.
#[derive(Clone, Copy, Default)]
struct Product {
    low: u128,
    high: u128,
    both: u128,
}

impl Product {
    #[inline(always)]
    fn add(&mut self, one: u128, other: u128, multiply: impl Fn(u64, u64) -> u128) {
        let halves = |number: u128| (number as u64, (number >> 64) as u64);
        let ((low, high), (other_low, other_high)) = (halves(one), halves(other));
        self.low ^= multiply(low, other_low);
        self.high ^= multiply(high, other_high);
        self.both ^= multiply(low ^ high, other_low ^ other_high);
    }

    /// Divided by x^128, modulo x^128 + x^127 + x^126 + x^121 + 1: the two low words are made zero, one after the other, by adding
    /// multiples of that.
    #[inline(always)]
    fn reduced(self) -> u128 {
        let middle = self.both ^ self.low ^ self.high;
        let (low, high) = (self.low ^ middle << 64, self.high ^ middle >> 64);
        let first = u128::from(low as u64);
        let second = u128::from((low >> 64) as u64 ^ (first << 63 ^ first << 62 ^ first << 57) as u64);
        let carried = first ^ first >> 1 ^ first >> 2 ^ first >> 7;
        let next = second << 64 ^ second << 63 ^ second << 62 ^ second << 57;
        high ^ carried ^ next
    }
}

/// The product of two polynomials over bits, for any processor: four bits of one at a time.
fn portable(one: u64, other: u64) -> u128 {
    let one = u128::from(one);
    let mut multiples = [0; 16];
    for (multiple, bits) in multiples.iter_mut().zip(0_u8..) {
        *multiple = (0..4).filter(|bit| bits >> bit & 1 == 1).fold(0, |sum, bit| sum ^ one << bit);
    }
    (0..16).rev().fold(0, |product, at| {
        let bits = (other >> (4 * at) & 15) as usize;
        product << 4 ^ multiples.get(bits).copied().unwrap_or_default()
    })
}

#[cfg(target_arch = "x86_64")]
mod instruction {
    use std::arch::x86_64::{_mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_unpackhi_epi64};

    #[target_feature(enable = "pclmulqdq")]
    pub(super) fn all(key: super::Ghash, associated: &[u8], text: &[u8]) -> u128 {
        key.all(associated, text, |one, other| {
            let product = _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(one as i64), _mm_cvtsi64_si128(other as i64));
            let high = _mm_cvtsi128_si64(_mm_unpackhi_epi64(product, product));
            u128::from(high as u64) << 64 | u128::from(_mm_cvtsi128_si64(product) as u64)
        })
    }
}

#[cfg(target_arch = "aarch64")]
mod instruction {
    use std::arch::aarch64::vmull_p64;

    #[target_feature(enable = "neon,aes")]
    pub(super) fn all(key: super::Ghash, associated: &[u8], text: &[u8]) -> u128 {
        key.all(associated, text, |one, other| vmull_p64(one, other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The tags in `aead` are held against another library's; this is for what this processor would not run.
        #[test]
        fn every_processor_finds_the_same(key: [u8; 16], associated: Vec<u8>, text in prop::collection::vec(any::<u8>(), 0..300)) {
            let key = Ghash::new(key);
            prop_assert_eq!(key.all(&associated, &text, portable).to_be_bytes(), key.hash(&associated, &text));
        }
    }
}
