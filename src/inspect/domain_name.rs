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
        let mut builder = DomainNameBuilder::default();
        for label in text.split(|&byte| byte == b'.') {
            builder.push_label(label)?;
        }
        let name = builder.finish()?;
        // An address literal names no host: all digits and dots, or anything with a colon (which became `?`).
        let is_address =
            name.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || text.contains(&b':');
        (!is_address).then_some(name)
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

/// Collects labels into a [`DomainName`].
#[derive(Clone, Copy)]
pub struct DomainNameBuilder {
    name: DomainName,
}

impl Default for DomainNameBuilder {
    fn default() -> Self {
        Self { name: DomainName { len: 0, bytes: [0; DomainName::MAX] } }
    }
}

impl DomainNameBuilder {
    /// Appends one label as the wire carried it; `None` when it is empty, over 63 bytes, or makes the name too long.
    pub fn push_label(&mut self, label: &[u8]) -> Option<()> {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        let mut at = usize::from(self.name.len);
        if at > 0 {
            *self.name.bytes.get_mut(at)? = b'.';
            at += 1;
        }
        let end = at + label.len();
        let room = self.name.bytes.get_mut(at..end)?;
        for (into, &byte) in room.iter_mut().zip(label) {
            *into = FOLDED.get(usize::from(byte)).copied().unwrap_or(b'?');
        }
        self.name.len = u8::try_from(end).ok()?;
        Some(())
    }

    /// The name; `None` for the root (no label).
    #[must_use]
    pub fn finish(self) -> Option<DomainName> {
        (self.name.len > 0).then_some(self.name)
    }
}
