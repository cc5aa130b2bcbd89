//! Which products a host's evidence names.

use serde::Serialize;
use std::collections::BTreeSet;

/// Products that evidence names. Some for certain, of others one of a few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alternatives {
    /// All of them.
    pub all: BTreeSet<String>,
    /// Lists of which one product is meant, nothing says which. What stands in none of them is named for certain.
    pub one_of: Vec<BTreeSet<String>>,
}

impl Alternatives {
    /// Nothing is named.
    pub(super) const NONE: Self = Self { all: BTreeSet::new(), one_of: Vec::new() };

    /// What several indicators name together, each of which may fit several products. A list with a product that another indicator names
    /// for certain says nothing more, and neither does one that holds all of a shorter one.
    #[must_use]
    pub fn of<'a>(named: impl IntoIterator<Item = &'a [String]>) -> Self {
        let mut lists: Vec<BTreeSet<String>> = named
            .into_iter()
            .filter(|products| !products.is_empty())
            .map(|products| products.iter().cloned().collect())
            .collect();
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
}
