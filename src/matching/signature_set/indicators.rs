//! The indicators of a set, one after the other.

use super::SignatureSet;
use super::load::Place;
use crate::matching::{Indicator, IndicatorIndex};
use std::iter::FusedIterator;
use std::slice::Iter;

/// All indicators that a set looks for, in the order of the files; see [`SignatureSet::iter`].
#[derive(Clone, Debug)]
pub struct Indicators<'s> {
    set: &'s SignatureSet,
    left: Iter<'s, (IndicatorIndex, Place)>,
}

impl<'s> Indicators<'s> {
    pub(super) fn of(set: &'s SignatureSet) -> Self {
        Self { set, left: set.places.iter() }
    }
}

impl<'s> Iterator for Indicators<'s> {
    type Item = &'s Indicator;

    fn next(&mut self) -> Option<&'s Indicator> {
        self.left.next().map(|(index, _)| self.set.get(*index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl ExactSizeIterator for Indicators<'_> {}
impl FusedIterator for Indicators<'_> {}

impl<'s> IntoIterator for &'s SignatureSet {
    type Item = &'s Indicator;
    type IntoIter = Indicators<'s>;

    fn into_iter(self) -> Indicators<'s> {
        self.iter()
    }
}
