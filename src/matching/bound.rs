//! At a bound the weakest goes first.

/// What comes behind the strongest `most`; what is stronger sorts first.
pub(super) fn weakest_beyond<T: Ord>(all: &mut [T], most: usize) -> &[T] {
    if all.len() <= most {
        return &[];
    }
    all.select_nth_unstable(most);
    all.get(most..).unwrap_or_default()
}
