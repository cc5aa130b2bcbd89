//! One observable with an id, and what it stands for.

/// Which service of the vendor an indicator belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Database and module updates.
    Update,
}

/// What an indicator proves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strength {
    /// Only the product or an embedded engine does this.
    Installed,
    /// Product, browser, administrator or a third-party page may all do this.
    Ambiguous,
    /// A person or an unrelated web page; not evidence of a product.
    Browse,
}

/// Position of an indicator in its [`SignatureSet`](super::SignatureSet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndicatorIndex(pub u16);

/// One observable with an id, a value, a category, a strength, products, a source and a date.
#[derive(Clone, Debug)]
pub struct Indicator {
    /// Stable identifier: `KL-UPD-0001`.
    pub id: String,
    /// Service.
    pub category: Category,
    /// What it proves.
    pub strength: Strength,
    /// Who contacts it.
    pub products: Vec<String>,
}
