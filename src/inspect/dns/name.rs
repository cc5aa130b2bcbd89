//! Names on the wire: labels and compression pointers (RFC 1035 section 4.1.4).

use crate::inspect::DomainName;
use crate::inspect::domain_name::DomainNameBuilder;

/// Pointers of one name that are followed: a compressor writes at most one per label, and a name has at most 127 labels.
const POINTERS_MAX: u8 = 127;

/// Reads the name that begins at `at`: the name, `None` for the root, and where the bytes after it begin.
///
/// `None` when it cannot be walked, as [`walk_name`] says, or is longer than a name may be.
pub(super) fn read_name(message: &[u8], at: usize) -> Option<(Option<DomainName>, usize)> {
    let mut builder = DomainNameBuilder::default();
    let after = walk_name(message, at, |label| builder.push_label(label))?;
    Some((builder.finish(), after))
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
