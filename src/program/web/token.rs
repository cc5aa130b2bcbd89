//! The secret that a reader from elsewhere must know.

use axum::http::Uri;
use kaspector::capture::display_path;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Name of the page's cookie.
pub(super) const COOKIE: &str = "kaspector";

/// Least length of a token.
const LEAST: usize = 16;
/// Greatest length of a token.
const MOST: usize = 256;

/// A token, as its digest: comparing digests tells nothing about the token, however long it takes.
#[derive(Clone)]
pub struct Token {
    digest: [u8; 32],
    cookie: String,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("token file {}: cannot be read: {cause}; make one with: openssl rand -hex 32", display_path(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// What it holds is no token.
    #[error(
        "token file {}: expected one line of {LEAST} to {MOST} letters, digits or -._~+/=; make one with: openssl rand -hex 32",
        display_path(path)
    )]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// Reads a token: the first and only line of a file.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        Self::new(&Self::read(path)?).ok_or_else(|| TokenError::Unfit { path: path.to_owned() })
    }

    /// The same as it stands there, for whoever must show it.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(path: &Path) -> Result<String, TokenError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(4096).read_to_string(&mut text))
            .map_err(|cause| TokenError::Unreadable { path: path.to_owned(), cause })?;
        let text = text.trim();
        match Self::new(text) {
            Some(_) => Ok(text.to_owned()),
            None => Err(TokenError::Unfit { path: path.to_owned() }),
        }
    }

    /// The token `text`; `None` unless it has 16 to 256 characters of those that a header can carry (RFC 6750 section 2.1).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !(LEAST..=MOST).contains(&text.len()) || !text.bytes().all(fits) {
            return None;
        }
        // The browser keeps this in place of the token, which it could not be made out of.
        let cookie = Sha256::new().chain_update(b"kaspector page\0").chain_update(text).finalize();
        let cookie = cookie.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self { digest: digest(text), cookie })
    }

    /// Whether `text` is the token.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        are_same(&self.digest, &digest(text))
    }

    /// Whether `text` is the value of the page's cookie.
    #[must_use]
    pub fn is_cookie(&self, text: &str) -> bool {
        are_same(&digest(&self.cookie), &digest(text))
    }

    /// Value of the page's cookie.
    #[must_use]
    pub fn cookie(&self) -> &str {
        &self.cookie
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(hidden)")
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Looks at every byte, whatever the first ones are.
fn are_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    black_box(one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other))) == 0
}

/// The token in the page's address, `/?token=...`.
pub(super) fn token_of(uri: &Uri) -> Option<String> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    query.0.into_iter().find(|(key, _)| key == "token").map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0", token.cookie()] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert!(token.is_cookie(token.cookie()) && !token.is_cookie("0123456789abcdef"));
        assert_eq!(format!("{token:?}"), "Token(hidden)");
    }

    #[test]
    fn files_hold_one_line_that_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (text, fits) in [
            ("0123456789abcdef\n", true),
            ("short\n", false),
            ("0123456789 abcdef\n", false),
            ("0123456789abcdef\nx", false),
            ("", false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(Token::from_file(&path).is_ok(), fits, "{text:?}");
        }
        assert!(Token::from_file(&folder.path().join("none")).unwrap_err().to_string().contains("openssl rand"));
    }
}
