//! File names as text. A name is bytes, and need not be UTF-8; what we write is.

use std::fmt::Write;
use std::path::Path;

/// The path as text from which its bytes can be got back.
///
/// A path that is UTF-8 is its own text, as a rule. Else each byte that is not UTF-8 is written as `\x` and two hexadecimal digits in lower
/// case, and a backslash as `\\`. The same holds for a path with control characters, which would break a line or command a terminal, and for
/// one that would read as if it had been written so. Hence: a text with `\\` or `\x` and two such digits in it stands for the bytes that
/// these name, and every other text for itself.
///
/// ```
/// use std::ffi::OsStr;
/// use std::os::unix::ffi::OsStrExt;
/// use std::path::Path;
///
/// use kaspector::capture::display_path;
/// assert_eq!(display_path(Path::new("Büro/mon.pcap")), "Büro/mon.pcap");
/// assert_eq!(display_path(Path::new(OsStr::from_bytes(b"B\xfcro\\mon.pcap"))), r"B\xfcro\\mon.pcap");
/// ```
#[must_use]
pub fn display_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains(char::is_control)
        && !reads_as_displayed(text)
    {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    let escape = |shown: &mut String, bytes: &[u8]| {
        for byte in bytes {
            // Writing to a string cannot fail.
            _ = write!(shown, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => shown.push_str(r"\\"),
                control if control.is_control() => {
                    escape(&mut shown, control.encode_utf8(&mut [0; 4]).as_bytes());
                }
                plain => shown.push(plain),
            }
        }
        escape(&mut shown, chunk.invalid());
    }
    shown
}

/// Whether a text holds `\\`, or `\x` with two digits as we write them.
fn reads_as_displayed(text: &str) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.match_indices('\\').any(|(at, _)| match text.as_bytes().get(at + 1..) {
        Some([b'\\', ..]) => true,
        Some([b'x', high, low, ..]) => is_digit(high) && is_digit(low),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn of(bytes: &[u8]) -> String {
        display_path(Path::new(OsStr::from_bytes(bytes)))
    }

    /// What the documentation promises can be done.
    fn undone(text: &str) -> Vec<u8> {
        if !reads_as_displayed(text) {
            return text.as_bytes().to_vec();
        }
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        loop {
            rest = match rest {
                [] => return bytes,
                [b'\\', b'\\', rest @ ..] => {
                    bytes.push(b'\\');
                    rest
                }
                [b'\\', b'x', high, low, rest @ ..] => {
                    let digits = [*high, *low];
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                    rest
                }
                [byte, rest @ ..] => {
                    bytes.push(*byte);
                    rest
                }
            };
        }
    }

    #[test]
    fn names_are_as_plain_as_they_can_be() {
        for (bytes, text) in [
            (&b"/captures/a.pcap"[..], "/captures/a.pcap"),
            ("/Größe/é.pcap".as_bytes(), "/Größe/é.pcap"),
            (br"DOMAIN\user.pcap", r"DOMAIN\user.pcap"),
            (b"caf\xe9.pcap", r"caf\xe9.pcap"),
            (b"caf\xe9\\x.pcap", r"caf\xe9\\x.pcap"),
            (br"caf\xe9.pcap", r"caf\\xe9.pcap"),
            (br"a\\b", r"a\\\\b"),
            (b"two\nlines\x1b[2J", r"two\x0alines\x1b[2J"),
            (b"\xc2\x80", r"\xc2\x80"),
            (b"", ""),
        ] {
            assert_eq!(of(bytes), text);
            assert_eq!(undone(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_name_can_be_got_back(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x'), Just(b'0')], 0..40)) {
            let text = of(&bytes);
            prop_assert!(!text.contains(char::is_control));
            prop_assert_eq!(undone(&text), bytes);
        }
    }
}
