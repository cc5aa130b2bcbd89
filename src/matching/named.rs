//! Enums whose values have a name each: one word for text, JSON and signature files.

use super::{Category, ConnectionOutcome, Field, MatchKind, ProductKind, Role, SeenAs, Strength, Verdict};
use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! named {
    ($($kind:ident),+) => {$(
        /// Its name.
        impl fmt::Display for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(self.name())
            }
        }

        /// Its name.
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    )+};
}

named!(Category, ConnectionOutcome, Field, MatchKind, ProductKind, Role, SeenAs, Strength, Verdict);
