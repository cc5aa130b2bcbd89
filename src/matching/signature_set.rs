//! All indicators, compiled for matching; immutable once built.

/// All indicators, compiled.
#[derive(Debug, Default)]
pub struct SignatureSet {}
