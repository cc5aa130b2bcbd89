//! Names on the wire: labels and compression pointers (RFC 1035 section 4.1.4).

use crate::inspect::DomainName;
use crate::inspect::domain_name::DomainNameBuilder;

/// Longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: u8 = 63;
/// Longest name on the wire, each label behind its length, without the root label.
const NAME_MAX: usize = DomainName::MAX + 1;

/// Pointers of one name that are followed: a compressor writes at most one per label, and a name has at most 127 labels.
const POINTERS_MAX: u8 = 127;

/// Reads the name that begins at `at`: the name, `None` for the root, and where the bytes after it begin.
///
/// `None` when it cannot be walked, as [`walk_name`] says, or is longer than a name may be.
pub(super) fn read_name(message: &[u8], at: usize) -> Option<(Option<DomainName>, usize)> {
    let mut name = DomainName::EMPTY;
    let (is_some, after) = read_name_into(message, at, &mut name)?;
    Some((is_some.then_some(name), after))
}

/// The same into `name`, which is large to be handed on: whether there is one besides the root, and where the bytes after it begin.
pub(super) fn read_name_into(message: &[u8], at: usize, name: &mut DomainName) -> Option<(bool, usize)> {
    // Most names are whole where they stand, without a pointer.
    if let Some(end) = end_of_labels(message, at) {
        if end > at {
            name.read_labels(message.get(at..end)?)?;
        }
        return Some((end > at, end + 1));
    }
    let mut builder = DomainNameBuilder::default();
    let after = walk_name(message, at, |label| builder.push_label(label))?;
    let read = builder.finish();
    if let Some(read) = read {
        *name = read;
    }
    Some((read.is_some(), after))
}

/// Where the bytes after the name begin that begins at `at`, if [`read_name`] can read it.
pub(super) fn skip_name(message: &[u8], at: usize) -> Option<usize> {
    if let Some(end) = end_of_labels(message, at) {
        return Some(end + 1);
    }
    let mut length = 0;
    walk_name(message, at, |label| {
        length += 1 + label.len();
        (length <= NAME_MAX).then_some(())
    })
}

/// Where the root label stands that ends the name at `at`, if nothing but labels lies before it, in at most as many bytes as a name has.
#[inline]
fn end_of_labels(message: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    // Each label takes a byte at least, so this ends.
    while end - at <= NAME_MAX {
        match *message.get(end)? {
            0 => return Some(end),
            length @ 1..=LABEL_MAX => end += 1 + usize::from(length),
            _ => return None,
        }
    }
    None
}

/// Hands the labels of the name that begins at `at` to `push`, in order, and says where the bytes after the name begin.
///
/// `None` when `push` says so, or the name runs past the end, points anywhere but back, or from pointer to pointer without end.
pub(in crate::inspect) fn walk_name(
    message: &[u8],
    at: usize,
    mut push: impl FnMut(&[u8]) -> Option<()>,
) -> Option<usize> {
    let mut at = at;
    // Where the bytes after the name begin, known once the first pointer was followed.
    let mut after = None;
    // Pointers must lead strictly backwards, so this loop ends. That alone would still allow a chain of 8,000 of them, walked again
    // for each of the records that point to its end.
    let mut limit = at;
    let mut pointers = 0;
    loop {
        let length = *message.get(at)?;
        match length >> 6 {
            0 if length == 0 => return Some(after.unwrap_or(at + 1)),
            0 => {
                let end = at + 1 + usize::from(length);
                push(message.get(at + 1..end)?)?;
                at = end;
            }
            3 => {
                let low = *message.get(at + 1)?;
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                if target >= limit || pointers == POINTERS_MAX {
                    return None;
                }
                pointers += 1;
                after = after.or(Some(at + 2));
                limit = target;
                at = target;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Bytes that are often lengths and pointers.
        #[test]
        fn names_are_skipped_and_read_as_their_labels_are_walked(
            message in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>(), Just(0xc0), Just(63)], 0..600),
            at in 0_usize..300,
        ) {
            let mut builder = DomainNameBuilder::default();
            let walked = walk_name(&message, at, |label| builder.push_label(label)).map(|after| (builder.finish(), after));
            prop_assert_eq!(read_name(&message, at), walked);
            prop_assert_eq!(skip_name(&message, at), walked.map(|(_, after)| after));
        }
    }
}
