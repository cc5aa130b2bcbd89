//! The answer of a protocol's recogniser, and the one that several text protocols share.

/// Whether bytes begin a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// They do.
    Yes,
    /// They cannot.
    No,
    /// Too few to tell.
    NeedMore,
}

/// The letters that some words begin with. Bytes of all kinds come to a recogniser, and most are turned away by the first.
#[derive(Clone, Copy, Debug)]
pub struct FirstLetters(u32);

impl FirstLetters {
    /// Those of `words`, which begin with capital letters.
    pub const fn of<const N: usize>(words: &[&[u8]; N]) -> Self {
        let mut letters = 0;
        let mut rest: &[&[u8]] = words;
        while let [word, others @ ..] = rest {
            if let [first @ b'A'..=b'Z', ..] = *word {
                letters |= 1 << (*first - b'A');
            }
            rest = others;
        }
        Self(letters)
    }

    /// Whether a word begins with this capital letter.
    pub const fn contain(self, byte: u8) -> bool {
        byte.is_ascii_uppercase() && self.0 >> (byte - b'A') & 1 != 0
    }
}

/// Whether `bytes` begin with one of `words`, which are in capitals, in whatever case; `letters` are the words' first.
pub fn opens_with(bytes: &[u8], words: &[&[u8]], letters: FirstLetters) -> Match {
    let Some(first) = bytes.first() else { return Match::NeedMore };
    if !letters.contain(first.to_ascii_uppercase()) {
        return Match::No;
    }
    let mut partial = false;
    for word in words {
        let length = word.len().min(bytes.len());
        let same = bytes.get(..length).zip(word.get(..length)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
        if same && length == word.len() {
            return Match::Yes;
        }
        partial |= same;
    }
    if partial { Match::NeedMore } else { Match::No }
}
