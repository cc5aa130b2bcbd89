//! Which products a host's evidence names.

use super::{Category, Indicator, Strength};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Products that evidence names. Some for certain, of others one of a few.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Alternatives {
    /// All of them.
    pub all: BTreeSet<String>,
    /// Lists of which one product is meant, nothing says which. What stands in none of them is named for certain.
    pub one_of: Vec<BTreeSet<String>>,
}

impl Alternatives {
    /// What several indicators name together, each of which may fit several products. A list with a product that another indicator names
    /// for certain says nothing more, and neither does one that holds all of a shorter one.
    #[must_use]
    pub fn of<'a>(named: impl IntoIterator<Item = &'a [String]>) -> Self {
        let named = named.into_iter().filter(|products| !products.is_empty());
        Self::of_lists(named.map(|products| products.iter().cloned().collect()).collect())
    }

    fn of_lists(mut lists: Vec<BTreeSet<String>>) -> Self {
        lists.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
        let mut kept: Vec<BTreeSet<String>> = Vec::new();
        for list in lists {
            if !kept.iter().any(|shorter| shorter.is_subset(&list)) {
                kept.push(list);
            }
        }
        let all = kept.iter().flatten().cloned().collect();
        Self { all, one_of: kept.into_iter().filter(|list| list.len() > 1).collect() }
    }

    /// What several of these say together. Most hosts have evidence of one product alone, and share what it is called.
    fn together<'a>(parts: impl Iterator<Item = &'a Arc<Self>>) -> Arc<Self> {
        let mut distinct: Vec<&Arc<Self>> = Vec::new();
        for part in parts {
            if !distinct.iter().any(|known| Arc::ptr_eq(known, part)) {
                distinct.push(part);
            }
        }
        match distinct.as_slice() {
            [] => Arc::default(),
            [one] => Arc::clone(one),
            several => match several.iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().as_slice() {
                [one] => Arc::clone(one),
                telling => Arc::new(Self::of_lists(telling.iter().flat_map(|part| part.lists()).collect())),
            },
        }
    }

    /// The lists that this was made of, but for those that said nothing more.
    fn lists(&self) -> impl Iterator<Item = BTreeSet<String>> {
        self.certain().map(|product| [product.to_owned()].into()).chain(self.one_of.iter().cloned())
    }

    /// Those that are named for certain.
    pub fn certain(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter(|product| !self.one_of.iter().any(|list| list.contains(*product))).map(String::as_str)
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// What evidence of an indicator, or of several, names.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedProducts {
    /// The vendor's own products.
    pub(super) own: Arc<Alternatives>,
    /// Products of other vendors with the engine inside.
    pub(super) of_others: Arc<Alternatives>,
}

impl NamedProducts {
    /// What each indicator names; what is the same is there once.
    pub(super) fn of_each(indicators: &[Indicator]) -> Vec<Self> {
        const NOTHING: &[String] = &[];
        let mut known: HashMap<[&[String]; 2], Arc<Alternatives>> = HashMap::new();
        let mut shared = |lists| Arc::clone(known.entry(lists).or_insert_with(|| Arc::new(Alternatives::of(lists))));
        let each = indicators.iter().map(|one| {
            let (products, engine_in) = (one.products.as_slice(), one.engine_in.as_slice());
            let (own, of_others) = match (one.strength, one.category) {
                (Strength::Browse, _) => ([NOTHING; 2], [NOTHING; 2]),
                // What an indicator of another vendor's product names is not the vendor's own, whichever key it stands under.
                (_, Category::Oem) => ([NOTHING; 2], [engine_in, products]),
                _ => ([products, NOTHING], [engine_in, NOTHING]),
            };
            Self { own: shared(own), of_others: shared(of_others) }
        });
        each.collect()
    }

    /// What several of these name together.
    pub(super) fn together<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let own = Alternatives::together(parts.clone().map(|part| &part.own));
        Self { own, of_others: Alternatives::together(parts.map(|part| &part.of_others)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(lists: &[&[&str]]) -> (Vec<String>, Vec<Vec<String>>) {
        let lists: Vec<Vec<String>> = lists.iter().map(|list| list.iter().map(ToString::to_string).collect()).collect();
        let products = Alternatives::of(lists.iter().map(Vec::as_slice));
        let one_of = products.one_of.iter().map(|list| list.iter().cloned().collect()).collect();
        (products.certain().map(str::to_owned).collect(), one_of)
    }

    #[test]
    fn one_of_several_is_never_taken_for_all() {
        assert_eq!(named(&[]), (vec![], vec![]));
        assert_eq!(named(&[&["B", "A"]]), (vec![], vec![vec!["A".to_owned(), "B".to_owned()]]));
        assert_eq!(named(&[&["A", "B"], &["A"]]), (vec!["A".to_owned()], vec![]), "B is not named any more");
        assert_eq!(named(&[&["A", "B", "C"], &["B", "A"], &[]]), (vec![], vec![vec!["A".to_owned(), "B".to_owned()]]));
        let (certain, one_of) = named(&[&["D"], &["A", "B"], &["B", "C"], &["D"]]);
        assert_eq!((certain, one_of.len()), (vec!["D".to_owned()], 2));
    }

    proptest::proptest! {
        /// Lists that were gathered in parts say what they say at once.
        #[test]
        fn parts_say_together_what_their_lists_say(parts in proptest::collection::vec(lists(), 0..4)) {
            let of = |lists: &[Vec<String>]| Alternatives::of(lists.iter().map(Vec::as_slice));
            let gathered: Vec<Arc<Alternatives>> = parts.iter().map(|lists| Arc::new(of(lists))).collect();
            proptest::prop_assert_eq!(&*Alternatives::together(gathered.iter()), &of(&parts.concat()));
        }
    }

    fn lists() -> impl proptest::strategy::Strategy<Value = Vec<Vec<String>>> {
        proptest::collection::vec(proptest::collection::vec("[A-E]", 0..4), 0..3)
    }
}
