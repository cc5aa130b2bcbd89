//! A signature file, piece by piece: what a reader makes of TOML takes twenty times the memory of the text.

use toml::de::{DeTable, Error};

/// Bytes of a piece, at least; a file that is shorter is one.
const PIECE_BYTES: usize = 64 << 10;
/// Where a file may be cut: a list of tables goes on in the next piece as if nothing had been between.
const CUT: &[u8] = b"\n[[indicator]]";

/// The beginning of a text, as TOML.
pub struct Piece<'t> {
    pub text: &'t str,
    pub document: DeTable<'t>,
    /// What is no TOML in it.
    pub errors: Vec<Error>,
}

impl<'t> Piece<'t> {
    /// Takes the next piece of a text. Gives what is behind it, too.
    pub fn take(text: &'t str) -> (Self, &'t str) {
        let (start, behind) = cut(text);
        let piece = Self::parse(start);
        // If all of a piece is TOML, no text of several lines goes on behind it. If not, a line within such a text may look like a cut.
        if piece.errors.is_empty() || behind.is_empty() { (piece, behind) } else { (Self::parse(text), "") }
    }

    fn parse(text: &'t str) -> Self {
        let (document, errors) = DeTable::parse_recoverable(text);
        Self { text, document: document.into_inner(), errors }
    }
}

fn cut(text: &str) -> (&str, &str) {
    let at = text.as_bytes().get(PIECE_BYTES..).and_then(|rest| memchr::memmem::find(rest, CUT));
    at.and_then(|at| text.split_at_checked(PIECE_BYTES + at + 1)).unwrap_or((text, ""))
}
