//! Observed values come from an attacker, perhaps: nothing in them may move a cursor, change a colour, hide a character, or become a
//! formula.

use std::borrow::Cow;
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

/// `text` for a terminal: characters that take up no column of their own (control characters, directional marks, joiners,
/// combining marks) and those that end a line are written as `\u{...}`.
#[must_use]
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    // Most texts are plain ASCII, which need not be looked up in tables.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_plain(character) {
            escaped.push(character);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "{}", character.escape_unicode());
        }
    }
    Cow::Owned(escaped)
}

/// `text` for a cell of a spreadsheet: as for a terminal, and with an apostrophe before what a spreadsheet would calculate.
pub(crate) fn for_spreadsheet(text: &str) -> Cow<'_, str> {
    let escaped = for_terminal(text);
    if escaped.starts_with(['=', '+', '-', '@']) { Cow::Owned(format!("'{escaped}")) } else { escaped }
}

fn is_plain(character: char) -> bool {
    // Line and paragraph separator have a width in some versions of the tables.
    !matches!(character, '\u{2028}' | '\u{2029}') && character.width().is_some_and(|width| width > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_control_a_terminal_is_spelt_out() {
        assert_eq!(for_terminal("s07.upd.kaspersky.com"), "s07.upd.kaspersky.com");
        assert_eq!(for_terminal("\u{1b}[2Jx\r\n"), "\\u{1b}[2Jx\\u{d}\\u{a}");
        assert_eq!(for_terminal("\u{9b}31m\u{7f}"), "\\u{9b}31m\\u{7f}");
        assert_eq!(
            for_terminal("a\u{202e}moc\u{2066}\u{200b}\u{feff}\u{2028}"),
            "a\\u{202e}moc\\u{2066}\\u{200b}\\u{feff}\\u{2028}"
        );
        assert_eq!(for_terminal("Касперский 卡巴"), "Касперский 卡巴");
    }

    #[test]
    fn a_spreadsheet_calculates_nothing() {
        assert_eq!(for_spreadsheet("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(for_spreadsheet("\t=1"), "\\u{9}=1");
        assert_eq!(for_spreadsheet("a=1"), "a=1");
    }
}
