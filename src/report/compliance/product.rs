//! What a finding is about: one product, or one of a few that the evidence does not tell apart.

use kaspector::matching::{Alternatives, Category, Indicator, ProductKind, SignatureSet, Strength};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// How certain it is which product is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProductBasis {
    /// The evidence names this one.
    Named,
    /// The evidence fits each of several, of which the endpoint has one.
    OneOf,
    /// The evidence names none.
    NotNamed,
}

impl ProductBasis {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::OneOf => "one-of",
            Self::NotNamed => "not-named",
        }
    }
}

/// Whose product it is: rules about the vendor's own need not be about those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Embedding {
    /// The vendor's own.
    VendorProduct,
    /// Another vendor's, with the vendor's code inside.
    EmbeddedInThirdParty,
    /// Nothing says.
    Unknown,
}

impl Embedding {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VendorProduct => "vendor-product",
            Self::EmbeddedInThirdParty => "embedded-in-third-party",
            Self::Unknown => "unknown",
        }
    }
}

/// One product, or several of which one is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductGroup {
    /// Whose.
    pub embedding: Embedding,
    /// Names; none where the evidence names none.
    pub names: Vec<String>,
}

impl ProductGroup {
    /// What is meant when no product is named.
    pub const fn not_named() -> Self {
        Self { embedding: Embedding::Unknown, names: Vec::new() }
    }

    /// How certain it is.
    #[must_use]
    pub const fn basis(&self) -> ProductBasis {
        match self.names.len() {
            0 => ProductBasis::NotNamed,
            1 => ProductBasis::Named,
            _ => ProductBasis::OneOf,
        }
    }

    /// For a reader: `A`, `one of: A, B`, or that none is named.
    #[must_use]
    pub fn text(&self) -> String {
        match &*self.names {
            [] => "product not named by the evidence".to_owned(),
            [name] => name.clone(),
            names => format!("one of: {}", names.join(", ")),
        }
    }

    /// Whether an indicator speaks of it: all that the group may be, the indicator names, too.
    fn fits(&self, indicator: &Indicator, is_of_others: bool) -> bool {
        let lists = indicator.engine_in.as_slice();
        let own = indicator.products.as_slice();
        let within = |list: &[String]| !list.is_empty() && self.names.iter().all(|name| list.contains(name));
        match self.embedding {
            Embedding::EmbeddedInThirdParty => within(lists) || is_of_others && within(own),
            _ => !is_of_others && within(own),
        }
    }

    /// Six hexadecimal digits that tell the products of one endpoint apart, the same in every run.
    pub(super) fn code(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.embedding.name());
        for name in &self.names {
            hash.update([0]);
            hash.update(name);
        }
        let [a, b, c, ..]: [u8; 32] = hash.finalize().into();
        format!("{a:02x}{b:02x}{c:02x}")
    }
}

/// As people read it, with its basis.
impl Serialize for ProductGroup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.text())
    }
}

/// The groups of products that findings are about. Each stands in memory once, since very many endpoints may have the same.
#[derive(Debug, Default)]
pub struct ProductGroups {
    known: Mutex<HashMap<ProductGroup, Arc<ProductGroup>>>,
    engines: BTreeSet<String>,
}

impl ProductGroups {
    /// Those that a signature set may name.
    #[must_use]
    pub fn new(signatures: &SignatureSet) -> Self {
        let engines = signatures.products().iter().filter(|product| product.kind == ProductKind::Engine);
        Self { known: Mutex::default(), engines: engines.map(|product| product.name.clone()).collect() }
    }

    /// The groups that are named: the vendor's own first, those that are named for certain first.
    pub(super) fn of(&self, own: &Alternatives, engine_in: &Alternatives) -> Vec<Arc<ProductGroup>> {
        let groups = |products: &Alternatives, of_others: bool| -> Vec<ProductGroup> {
            let certain = products.certain().map(|name| vec![name.to_owned()]);
            let lists = products.one_of.iter().map(|list| list.iter().cloned().collect());
            let embedding = |names: &[String]| match of_others {
                true => Embedding::EmbeddedInThirdParty,
                // An engine for other programs may be inside one of them.
                false if names.iter().any(|name| self.engines.contains(name)) => Embedding::Unknown,
                false => Embedding::VendorProduct,
            };
            certain
                .chain(lists)
                .map(|names: Vec<String>| ProductGroup { embedding: embedding(&names), names })
                .collect()
        };
        let all = groups(own, false).into_iter().chain(groups(engine_in, true));
        all.map(|group| self.shared(group)).collect()
    }

    pub(super) fn shared(&self, group: ProductGroup) -> Arc<ProductGroup> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&group) {
            return Arc::clone(known);
        }
        let shared = Arc::new(group.clone());
        known.insert(group, Arc::clone(&shared));
        shared
    }
}

/// The places in `groups` of what an indicator may be evidence of; none when it names none of them.
pub(super) fn place(groups: &[Arc<ProductGroup>], indicator: &Indicator) -> impl Iterator<Item = usize> {
    let is_of_others = indicator.category == Category::Oem;
    // What a person does in a browser names no product of the machine.
    let tells = indicator.strength != Strength::Browse;
    let fit = (0..).zip(groups).filter(move |(_, group)| tells && group.fits(indicator, is_of_others));
    fit.map(|(place, _)| place)
}
