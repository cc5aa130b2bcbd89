//! A domain name, parsed once at the edge: later rooms cannot hold a bad one.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A domain name in lower case, without the final dot; 1 to 253 bytes of text, held inline.
///
/// Labels are the bytes that the wire carried. Bytes other than letters, digits, `-` and `_` are kept as `?`, so that a
/// name is always printable and never matches by accident.
#[derive(Clone, Copy, Eq)]
pub struct DomainName {
    len: u8,
    /// Of which the first `len` count.
    bytes: [u8; Self::MAX],
}

impl PartialEq for DomainName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Hash for DomainName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl DomainName {
    /// Longest name in text form (RFC 1035 section 2.3.4, without the root label and the final dot).
    pub const MAX: usize = 253;

    /// Reads text such as an SNI or a Host header without its port. Upper case is folded, one final dot removed.
    ///
    /// `None` for an empty or overlong name, an empty label, a label over 63 bytes, or an IP address literal.
    ///
    /// ```
    /// use kaspector::inspect::DomainName;
    /// assert_eq!(DomainName::from_text(b"S07.UPD.Kaspersky.com.").unwrap().as_str(), "s07.upd.kaspersky.com");
    /// assert!(DomainName::from_text(b"198.51.100.7").is_none());
    /// assert!(DomainName::from_text(b"a..b").is_none());
    /// ```
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        let mut name = Self { len: u8::try_from(text.len()).ok()?, ..Self::EMPTY };
        fold_all(name.bytes.get_mut(..text.len())?, text);
        let mut start = 0;
        let mut is_number = true;
        for (at, &byte) in text.iter().enumerate() {
            if byte == b'.' {
                if !(1..=LABEL_MAX).contains(&(at - start)) {
                    return None;
                }
                *name.bytes.get_mut(at)? = b'.';
                start = at + 1;
            }
            is_number &= byte == b'.' || byte.is_ascii_digit();
        }
        let is_last_label = (1..=LABEL_MAX).contains(&(text.len() - start));
        // An address literal names no host: all digits and dots, or anything with a colon (which became `?`).
        (is_last_label && !is_number && !text.contains(&b':')).then_some(name)
    }

    /// Room for a name that is read by [`Self::read_labels`]; until then it is none.
    pub(super) const EMPTY: Self = Self { len: 0, bytes: [0; Self::MAX] };

    /// Becomes the name of these labels as the wire carries them, each behind a byte with its length, without the root label; the caller
    /// has walked them. `None` for no label, or when they make a name too long.
    pub(super) fn read_labels(&mut self, labels: &[u8]) -> Option<()> {
        let (&first, text) = labels.split_first()?;
        fold_all(self.bytes.get_mut(..text.len())?, text);
        self.len = u8::try_from(text.len()).ok()?;
        // Each length but the first stands where a dot belongs.
        let mut at = usize::from(first);
        while let Some(&length) = text.get(at) {
            *self.bytes.get_mut(at)? = b'.';
            at += 1 + usize::from(length);
        }
        Some(())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Built from ASCII alone, so this never falls back.
        std::str::from_utf8(self.as_bytes()).unwrap_or("?")
    }

    /// The name as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What each byte of a label is kept as.
// Worked out by the compiler, which would stop at an index that is out of bounds.
#[allow(clippy::indexing_slicing)]
const FOLDED: [u8; 256] = {
    let mut folded = [b'?'; 256];
    let mut byte = 0_u8;
    loop {
        match byte {
            b'A'..=b'Z' => folded[byte as usize] = byte | 0x20,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => folded[byte as usize] = byte,
            _ => {}
        }
        if byte == u8::MAX {
            break folded;
        }
        byte += 1;
    }
};

/// Longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;
/// Bytes of a name that are folded together.
const BLOCK: usize = 16;

/// Folds `from` into `into`, which is as long.
fn fold_all(into: &mut [u8], from: &[u8]) {
    let (blocks, rest) = from.as_chunks::<BLOCK>();
    for (place, block) in into.as_chunks_mut::<BLOCK>().0.iter_mut().zip(blocks) {
        *place = fold(*block);
    }
    if rest.is_empty() {
        return;
    }
    // What is left is shorter than a block, so the last one overlaps the one before it.
    if let (Some(place), Some(block)) = (into.last_chunk_mut::<BLOCK>(), from.last_chunk::<BLOCK>()) {
        *place = fold(*block);
    } else {
        for (place, &byte) in into.iter_mut().zip(from) {
            *place = FOLDED.get(usize::from(byte)).copied().unwrap_or(b'?');
        }
    }
}

/// What [`FOLDED`] says of each of these, without a look-up, so that it takes a few vector instructions for all.
#[inline]
fn fold(mut bytes: [u8; BLOCK]) -> [u8; BLOCK] {
    for byte in &mut bytes {
        let lower = *byte | u8::from(byte.wrapping_sub(b'A') < 26) << 5;
        let is_kept =
            (lower.wrapping_sub(b'a') < 26) | (lower.wrapping_sub(b'0') < 10) | (lower == b'-') | (lower == b'_');
        *byte = if is_kept { lower } else { b'?' };
    }
    bytes
}

/// Collects labels into a [`DomainName`].
#[derive(Clone, Copy)]
pub struct DomainNameBuilder {
    name: DomainName,
}

impl Default for DomainNameBuilder {
    fn default() -> Self {
        Self { name: DomainName::EMPTY }
    }
}

impl DomainNameBuilder {
    /// Appends one label as the wire carried it; `None` when it is empty, over 63 bytes, or makes the name too long.
    pub fn push_label(&mut self, label: &[u8]) -> Option<()> {
        if label.is_empty() || label.len() > LABEL_MAX {
            return None;
        }
        let mut at = usize::from(self.name.len);
        if at > 0 {
            *self.name.bytes.get_mut(at)? = b'.';
            at += 1;
        }
        let end = at + label.len();
        let room = self.name.bytes.get_mut(at..end)?;
        fold_all(room, label);
        self.name.len = u8::try_from(end).ok()?;
        Some(())
    }

    /// The name; `None` for the root (no label).
    #[must_use]
    pub fn finish(self) -> Option<DomainName> {
        (self.name.len > 0).then_some(self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_is_folded_as_its_bytes_are() {
        for start in (0..=u8::MAX).step_by(BLOCK) {
            let bytes: [u8; BLOCK] = std::array::from_fn(|at| start + at as u8);
            assert_eq!(fold(bytes), bytes.map(|byte| FOLDED[usize::from(byte)]));
        }
    }

    proptest! {
        #[test]
        fn text_makes_the_name_of_its_labels(text in "([a-zA-Z0-9_-]{1,12}|[0-9]{1,3}|.{0,3}|a{60,66}){1,5}(\\.[A-Za-z0-9]{0,9}){0,9}") {
            let text = text.as_bytes();
            let whole = text.strip_suffix(b".").unwrap_or(text);
            let mut builder = DomainNameBuilder::default();
            let name = whole.split(|&byte| byte == b'.').try_for_each(|label| builder.push_label(label));
            let name = name.and_then(|()| builder.finish());
            let is_address = whole.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') || whole.contains(&b':');
            prop_assert_eq!(DomainName::from_text(text), name.filter(|_| !is_address));
        }

        #[test]
        fn labels_together_make_the_name_that_they_make_one_by_one(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..9)
        ) {
            let mut builder = DomainNameBuilder::default();
            let one_by_one = labels.iter().try_for_each(|label| builder.push_label(label)).and_then(|()| builder.finish());
            let wire: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8][..], label].concat()).collect();
            let mut together = DomainName::EMPTY;
            let read = together.read_labels(&wire).map(|()| together);
            prop_assert_eq!(read, one_by_one);
        }
    }
}
