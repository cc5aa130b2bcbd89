//! One cache line of the table: where the flows of a few hashes lie.

use super::Slot;
use crate::flow::pages::Zeroable;

pub const SLOTS: usize = 12;

/// One cache line: the slots of twelve flows, their tags (0 is free), and whether a key went on to its second bucket.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Bucket {
    pub slots: [u32; SLOTS],
    /// Twelve bytes of tags, the lowest of the first slot; behind them, not zero once the bucket has overflowed.
    tags: u128,
}

const _: () = assert!(size_of::<Bucket>() == 64);

#[allow(unsafe_code)]
// SAFETY: it is made of numbers alone, and of zero bytes it is an empty one.
unsafe impl Zeroable for Bucket {}

pub const EMPTY: Bucket = Bucket { slots: [0; SLOTS], tags: 0 };

impl Bucket {
    /// The places of all tags.
    const TAGS: u128 = (1 << (8 * SLOTS)) - 1;

    /// A bit for each slot whose tag is `tag`, the lowest for the first.
    #[inline]
    fn equal_to(&self, tag: u8) -> u32 {
        equal_bytes(self.tags, tag) & ((1 << SLOTS) - 1)
    }

    /// Places whose tag is `tag`, and their slots.
    #[inline]
    pub fn candidates(&self, tag: u8) -> impl Iterator<Item = (usize, Slot)> {
        let mut found = self.equal_to(tag);
        std::iter::from_fn(move || {
            if found == 0 {
                return None;
            }
            let at = found.trailing_zeros() as usize;
            found &= found - 1;
            Some((at, Slot(*self.slots.get(at)?)))
        })
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.equal_to(0) == 0
    }

    #[inline]
    pub fn has_overflowed(&self) -> bool {
        self.tags & !Self::TAGS != 0
    }

    pub fn overflow(&mut self) {
        self.tags |= 1 << (8 * SLOTS);
    }

    /// Puts a flow into a free place, which must be there.
    #[inline]
    pub fn fill(&mut self, tag: u8, slot: Slot) {
        let at = self.equal_to(0).trailing_zeros() as usize;
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot.0;
            self.tags |= u128::from(tag) << (8 * at);
        }
    }

    /// Where the slot of a flow with this tag stands.
    pub fn find_slot(&mut self, tag: u8, slot: Slot) -> Option<&mut u32> {
        let (at, _) = self.candidates(tag).find(|&(_, candidate)| candidate == slot)?;
        self.slots.get_mut(at)
    }

    /// Whether the flow was here.
    #[inline]
    pub fn clear(&mut self, tag: u8, slot: Slot) -> bool {
        let Some((at, _)) = self.candidates(tag).find(|&(_, candidate)| candidate == slot) else { return false };
        self.tags &= !(0xff << (8 * at));
        true
    }
}

/// A bit for each of the sixteen bytes that equals `byte`, the lowest for the lowest byte.
#[inline]
#[cfg(target_arch = "x86_64")]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]
fn equal_bytes(bytes: u128, byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    #[allow(unsafe_code)]
    // SAFETY: every processor of this architecture has these instructions, and they touch no memory.
    unsafe {
        let bytes = _mm_set_epi64x((bytes >> 64) as i64, bytes as i64);
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))) as u32
    }
}

#[inline]
#[cfg(not(target_arch = "x86_64"))]
fn equal_bytes(bytes: u128, byte: u8) -> u32 {
    bytes.to_le_bytes().iter().rev().fold(0, |found, &candidate| found << 1 | u32::from(candidate == byte))
}

/// Bits that neither the bucket nor the lane is chosen by; never zero.
#[inline]
#[allow(clippy::cast_possible_truncation)]
pub const fn tag(hash: u64) -> u8 {
    let tag = (hash >> 48) as u8;
    if tag == 0 { 1 } else { tag }
}
