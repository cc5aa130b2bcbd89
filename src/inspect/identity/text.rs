//! Text of bounded length, made of whatever a machine sent.

use std::fmt;

/// Bytes of a text that are kept.
const TEXT_MAX: usize = 255;

/// Text in UTF-8, without spaces around it. It ends at the first NUL, and at the last character that fits.
#[derive(Clone, Copy)]
pub(super) struct Text {
    length: usize,
    /// Of which the first `length` count.
    bytes: [u8; TEXT_MAX],
}

impl Text {
    pub(super) const EMPTY: Self = Self { length: 0, bytes: [0; TEXT_MAX] };

    /// Text in ASCII or UTF-8. Of other character sets, whose name nobody sends, only the ASCII is kept.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut text = Self::EMPTY;
        // As nearly all are.
        if let Some(room) = text.bytes.get_mut(..bytes.len())
            && bytes.is_ascii()
            && memchr::memchr(0, bytes).is_none()
        {
            room.copy_from_slice(bytes);
            text.length = bytes.len();
            return text;
        }
        // A byte becomes a character, so what does not fit is not looked at.
        let bytes = bytes.get(..bytes.len().min(TEXT_MAX + 4)).unwrap_or(bytes);
        for chunk in bytes.utf8_chunks() {
            let other = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
            for character in chunk.valid().chars().chain(other) {
                if character == '\0' || text.push(character).is_none() {
                    return text;
                }
            }
        }
        text
    }

    /// Text in UTF-16, the low byte first. Halves of a character that stand alone are replaced.
    pub(super) fn of_utf16(bytes: &[u8]) -> Self {
        let mut text = Self::EMPTY;
        let (pairs, _) = bytes.as_chunks::<2>();
        for character in char::decode_utf16(pairs.iter().copied().map(u16::from_le_bytes)) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            if character == '\0' || text.push(character).is_none() {
                break;
            }
        }
        text
    }

    /// Labels of a domain name, each behind its length (RFC 1035 section 3.1) and none a pointer, up to the root or the end.
    pub(super) fn of_labels(bytes: &[u8]) -> Option<Self> {
        let mut text = Self::EMPTY;
        let mut rest = bytes;
        while let Some((&length, after)) = rest.split_first().filter(|(length, _)| **length != 0) {
            let (label, after) = after.split_at_checked(length.into()).filter(|_| length < 64)?;
            text.push_label(label)?;
            rest = after;
        }
        Some(text)
    }

    /// Appends a label of a domain name; `None` when there is no room.
    pub(super) fn push_label(&mut self, label: &[u8]) -> Option<()> {
        if self.length > 0 {
            self.push('.')?;
        }
        Self::of(label).as_str().chars().try_for_each(|character| self.push(character))?;
        Some(())
    }

    pub(super) fn as_str(&self) -> &str {
        // Made of characters alone, so this never falls back.
        std::str::from_utf8(self.bytes.get(..self.length).unwrap_or(&[])).unwrap_or("").trim()
    }

    fn push(&mut self, character: char) -> Option<()> {
        let room = self.bytes.get_mut(self.length..self.length + character.len_utf8())?;
        self.length += character.encode_utf8(room).len();
        Some(())
    }
}

/// Appends as much as there is room for.
impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.push(character)).ok_or(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_trimmed_and_ends_at_nul() {
        assert_eq!(Text::of(b" PC 1  \0junk").as_str(), "PC 1");
        assert_eq!(Text::of("J\u{f6}rg".as_bytes()).as_str(), "J\u{f6}rg");
        assert_eq!(Text::of(b"J\xf6rg").as_str(), "J\u{fffd}rg");
        assert_eq!(Text::of(b"").as_str(), "");
    }

    #[test]
    fn utf16_is_read_with_the_low_byte_first() {
        let text = |bytes: &[u8]| Text::of_utf16(bytes).as_str().to_owned();
        assert_eq!(text(b"P\0C\0\xf6\0\x3d\xd8\x00\xde"), "PC\u{f6}\u{1f600}");
        assert_eq!(text(b"P\0\x3d\xd8C\0x"), "P\u{fffd}C");
        assert_eq!(text(&b"\xac\x20".repeat(200)).len(), TEXT_MAX);
    }

    #[test]
    fn labels_are_joined_by_dots() {
        let name = |bytes| Text::of_labels(bytes).map(|text| text.as_str().to_owned());
        assert_eq!(name(b"\x03pc1\x04Corp\x07example\0").as_deref(), Some("pc1.Corp.example"));
        assert_eq!(name(b"\x03pc1").as_deref(), Some("pc1"));
        assert_eq!(name(b"\x03pc"), None);
        assert_eq!(name(b"\xc0\x0c"), None);
        assert_eq!(name(&[63; 64 * 5]), None);
    }

    proptest! {
        #[test]
        fn text_is_the_beginning_of_what_was_sent(sent in "[^\0]{0,300}") {
            let text = Text::of(sent.as_bytes());
            prop_assert!(text.as_str().len() <= TEXT_MAX && sent.trim_start().starts_with(text.as_str()));
            prop_assert!(text.as_str().len() + 4 > sent.trim().len().min(TEXT_MAX) || sent.len() > TEXT_MAX);
        }
    }
}
