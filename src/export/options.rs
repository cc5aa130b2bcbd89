//! What the caller chooses.

/// What of a set is wanted, and how the result is dated.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Also indicators of strength `browse`: web sites, which say nothing about a product.
    pub browse: bool,
    /// Day of the pack, as `2026-11-23`; without it, that of the newest indicator.
    pub date: Option<String>,
}
