//! How the program ends.

use std::process::ExitCode;

/// How the program ends, as the documentation promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Ran.
    Ran = 0,
    /// Anything that none of the others says.
    Failure = 1,
    /// Bad usage.
    Usage = 2,
    /// `--fail-on` met, or nothing matches a test.
    Found = 3,
    /// An input could not be read at all.
    Unreadable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// How the program ends with this error.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<super::Usage>() { Self::Usage } else { Self::Failure }
    }
}
